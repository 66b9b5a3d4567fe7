"""Assigns the operations of a storm to processes: what each sends, and how much will reach each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from sim.lab.names import is_probe, machine_of
from sim.scenario import Crash, Example, Flow, Op, Send, Twice

__all__ = ["HANDLER_US", "assign", "busy_s", "recipient_process", "sender_process", "size_of"]

# The durations from which, in virtual time, that of a storm's handlers is drawn where the storm does not say.
HANDLER_US = (50, 1_000, 20_000)


def assign(example: Example, skipped: Collection[int] = ()) -> tuple[dict[str, list[tuple[int, Op]]], Counter[str]]:
    """The numbered operations that each process sends, and how many messages and items will reach each process.

    `skipped` are the numbers of operations that are not played. Processes are named as participants: `rig_1`, `_rig_1`.
    """
    senders: dict[str, list[tuple[int, Op]]] = {}
    due: Counter[str] = Counter()
    for n, op in enumerate(example.ops):
        if n in skipped:
            continue
        if isinstance(op, Send | Flow | Crash):
            senders.setdefault(sender_process(op.frm), []).append((n, op))
        if isinstance(op, Send | Flow):
            due[recipient_process(op.to)] += op.burst if isinstance(op, Send) else op.items
        elif isinstance(op, Twice):
            due[recipient_process(op.to)] += 1
    return senders, due


def busy_s(example: Example) -> float:
    """How long slow handlers of a storm take at most, in seconds: as if one thread ran all of them."""
    return sum(op.takes_ms * op.burst for op in example.ops if isinstance(op, Send)) / 1e3


def size_of(example: Example) -> int:
    """How many messages and items a storm sends."""
    return sum(op.burst if isinstance(op, Send) else op.items if isinstance(op, Flow) else 1 for op in example.ops)


def sender_process(participant: str) -> str:
    """The process that sends for a participant. A probe node runs in the program of its machine."""
    return "_" + machine_of(participant) if is_probe(participant) else participant


def recipient_process(participant: str) -> str:
    """The process whose handler runs for a recipient. A message for `_rig_1` is handled by the station `rig_1`."""
    return "_" + machine_of(participant) if is_probe(participant) else participant.removeprefix("_")
