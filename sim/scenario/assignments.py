"""Assigns the operations of a storm to processes: who sends what, and how much is to reach whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from sim.lab.names import is_probe, machine_of
from sim.scenario import Crash, Example, Flow, Op, Send, Twice

__all__ = ["assign", "recipient_process", "sender_process"]


def assign(example: Example, skipped: Collection[int] = ()) -> tuple[dict[str, list[tuple[int, Op]]], Counter[str]]:
    """The operations that each process sends, by number, and how many messages and items are to reach each.

    `skipped` has the numbers of operations that are not played.
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


def sender_process(participant: str) -> str:
    """The process that speaks for a participant: a program's and a probe's is the program's."""
    return "_" + machine_of(participant) if is_probe(participant) else participant


def recipient_process(participant: str) -> str:
    """The process whose handler runs for a recipient: what goes to `_rig_1` from elsewhere is its station's."""
    return "_" + machine_of(participant) if is_probe(participant) else participant.removeprefix("_")
