"""Labels: every item of a stream that arrives names the rig and the subject that it is of.

A machine names its rig and its subject itself. For a child whose items go by its parent, the parent's station does: it
puts its own name, the child's, and the subject of the START that it saw last, unless the child has named it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from sim.checks.result import many
from sim.emulator.session import is_forwarded, names_subject, subject_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.lab.topology import Machine, Stream

__all__ = ["judge_labels"]

Allowed = Collection[str | None]


def judge_labels(index: Index, machine: Machine, spec: Stream, came: Sequence[Entry]) -> list[str]:
    """Sentences about items of a planned stream that arrived under another pilot, child or subject than theirs."""
    wrong: Counter[tuple[str, str, str, str]] = Counter()
    for entry in came:
        labels = entry.value if isinstance(entry.value, dict) else {}
        for name, allowed in _meant(index, machine, spec, entry).items() if labels else ():
            said = labels.get(name)
            if said not in allowed:
                wrong[entry.by, name, _words(name, [said]), _words(name, list(allowed))] += 1
    return [f"{many(n, 'item')} came to {to} with {said}, and not {meant}" for (to, _, said, meant), n in wrong.items()]


def _meant(index: Index, machine: Machine, spec: Stream, entry: Entry) -> dict[str, Allowed]:
    """The labels that an item may have, by name. A name that nobody can judge is left out."""
    topology = index.evidence.topology
    forwarded = is_forwarded(topology, machine, spec)
    pilot, child = (machine.parent, machine.id) if forwarded else (machine.id, None)
    meant: dict[str, Allowed] = {"pilot": (pilot,), "child": (child,)}
    above = [topology.machine(name) for name in index.tree.upward(machine.id)]
    rig = above[-2]
    if any(one.program for one in above):
        return meant  # a program of the lab's own may give its children any subject
    name, _, number = entry.stream.removeprefix(f"{machine.id}/").rpartition("/")
    session, is_named = int(number), names_subject(topology, machine, name)
    subjects = None if is_named else _forwarded(index, rig, str(machine.parent), session, entry.t)
    if is_named or subjects is not None:
        meant["subject"] = subjects or (subject_of(rig, session),)
    return meant


def _forwarded(index: Index, rig: Machine, station: str, session: int, t: int) -> Allowed | None:
    """The subjects that a station may have added to an item of its child; None if it cannot be known.

    An item that was still under way when the rig graduated gets the next subject. A station that was killed knows none
    until the next START, and an order that was repeated may have come late.
    """
    graduations = [one for one in index.evidence.topology.session.graduate if one.pilot == rig.id]
    starts = [entry.t for entry in index.made if entry.key == "START" and entry.to == rig.id]
    if len(starts) > 1 + len(graduations) or index.outages.killed(station, 0, t) is not None:
        return None
    begun = sum(1 for start in starts if start <= t)
    return dict.fromkeys(subject_of(rig, n) for n in range(session, max(begun, session + 1)))


def _words(name: str, labels: list[str | None]) -> str:
    given = " or ".join(str(label) for label in labels if label is not None)
    return f"{name} {given}" if given else f"no {name}"
