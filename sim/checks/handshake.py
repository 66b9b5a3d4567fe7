"""Handshakes: the program of every machine shook hands, the terminal knows the path to it, and the path stays up."""

from __future__ import annotations

from collections import defaultdict

from sim.checks.content.reconnects import needless_notices, needless_reconnects, unnoticed_returns
from sim.checks.message_fates import fate_of
from sim.checks.result import about_machine, many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation
from sim.verdict import Check

__all__ = ["check_handshake"]


def check_handshake(index: Index) -> Check:
    """The program of every machine shook hands, and the terminal was told the path that the topology has.

    Nobody gave up a connection on it that nothing was wrong with.
    """
    evidence = index.evidence
    shook: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.of("shook"):
        shook[str(entry.value["machine"])].append(entry)
    machines = evidence.topology.machines[1:]
    begun = min((entry.t for entry in evidence.journal.entries), default=0)
    broke, explained, took = list[Violation](), list[str](), [0.0]
    for machine in machines:
        own = [entry for entry in shook[machine.id] if entry.first_sender == "_" + machine.id]
        if not own:
            broke.append(about_machine(machine.id, f"{machine.id} never shook hands with the terminal"))
            continue
        took.append((own[0].t - begun) / 1e9)
        again = index.outages.last_start("_" + machine.id)
        if again is not None and own[-1].t < again:
            sentence = f"{machine.id} never shook hands again after its program was started again"
            why = _why_never_again(index, machine.id, again)
            broke += [about_machine(machine.id, sentence)] * (not why)
            explained += [f"{sentence}: {reason}" for reason in why]
        right = index.tree.path(evidence.topology.terminal.id, machine.id)[1:]
        wrong = {tuple(entry.value.get("way") or ()) for entry in shook[machine.id]} - {tuple(right)}
        broke += [about_machine(machine.id, _wrong_path(machine.id, right, path)) for path in sorted(wrong)]
    strangers = sorted(set(shook) - {machine.id for machine in machines})
    broke += [about_machine(name, f"{name} shook hands, and is not in the lab") for name in strangers]
    broke += [*needless_reconnects(index), *needless_notices(index), *unnoticed_returns(index)]
    figures = f"slowest after {max(took):.1f} s"
    looked_at = many(len(machines), "route")
    return result_of("handshake", looked_at, len(machines), broke, explained=explained, figures=figures)


def _wrong_path(machine: str, right: list[str], path: tuple[str, ...]) -> str:
    return f"{machine} is on the way {' → '.join(right)}, and the terminal was told {list(path)}"


def _why_never_again(index: Index, machine: str, since: int) -> list[str]:
    """The fault that explains why a restarted program gave its handshake up: a list of one sentence or none."""
    own = (made for made in index.made if made.by == "_" + machine and made.key == "HANDSHAKE" and made.t >= since)
    return [why for made in own for why in fate_of(index, made).explained][:1]
