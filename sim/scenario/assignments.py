"""Who has which part in a storm: what each process is to send, and how much is to reach each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from sim.lab.names import machine_of_probe
from sim.scenario import Crash, Example, Flow, Op, Send, Twice

__all__ = ["parts", "recipient_process", "sender_process"]


def parts(
    example: Example, skipped: Collection[int] = ()
) -> tuple[dict[str, list[tuple[int, Op]]], Counter[str]]:
    """What each process is to send, and how many messages and items are to reach each. `skipped` ops are not played."""
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
    machine = machine_of_probe(participant)
    return participant if machine is None else "_" + machine


def recipient_process(participant: str) -> str:
    """The process whose handler runs for a recipient: what goes to `_rig_1` from elsewhere is its station's."""
    machine = machine_of_probe(participant)
    return participant.removeprefix("_") if machine is None else "_" + machine
