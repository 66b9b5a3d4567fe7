"""The result of a check: makes one `Check` of its findings, and words them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation
from sim.lab.names import in_plain_words, machine_of
from sim.verdict import Check, Result

__all__ = ["about_machine", "about_message", "excused", "folded", "for_people", "many", "message_words", "result_of"]

OBEYS_S = 2.0  # how long a program may take to carry an order out


def result_of(
    name: str,
    looked_at: str,
    count: int,
    broke: Iterable[Violation],
    *,
    unknown: Iterable[Violation] = (),
    explained: Iterable[str] = (),
    figures: str = "",
) -> Check:
    """The result of the check `name`, which looked at `count` things. Sets `name` as the check of each violation."""
    found = [replace(violation, check=name) for violation in broke]
    doubts = [replace(doubt, check=name, text=f"not known: {doubt.text}") for doubt in unknown]
    excused = list(explained)
    if not (count or found or excused):
        doubts.append(Violation(name, (), (), "there was nothing to look at"))
    return Check(
        name=name,
        looked_at=looked_at,
        count=count,
        result="fail" if found else "unknown" if doubts else "pass",
        figures=figures,
        broke=found,
        doubts=doubts,
        explained=excused,
    )


def for_people(check: Check) -> Check:
    """The check, with sentences in which no name of the rehearsal's own is left unexplained."""
    broke, doubts, follows = (
        [replace(found, text=in_plain_words(found.text)) for found in some]
        for some in (check.broke, check.doubts, check.follows)
    )
    explained = [in_plain_words(sentence) for sentence in check.explained]
    return replace(check, broke=broke, doubts=doubts, follows=follows, explained=explained)


def folded(checks: Sequence[Check]) -> list[Check]:
    """The checks. If a process ended or a handler hangs, what may follow from that is no finding of its own.

    A check whose findings all may follow from it could not decide anything, so it is `unknown`.
    """
    if not any(wrong.is_cause for check in checks for wrong in check.broke):
        return list(checks)
    return [check if any(wrong.is_cause for wrong in check.broke) else _without_consequences(check) for check in checks]


def _without_consequences(check: Check) -> Check:
    kept = [wrong for wrong in check.broke if wrong.stands]
    follows = [*(wrong for wrong in check.broke if not wrong.stands), *check.doubts]
    result: Result = "fail" if kept else "unknown" if follows else check.result
    return replace(check, broke=kept, doubts=[], follows=follows, result=result)


def about_machine(machine: str, text: str, *, messages: tuple[str, ...] = ()) -> Violation:
    """A finding about one machine. `result_of` adds the check's name."""
    return Violation("", (machine,), messages, text)


def about_message(made: Entry, text: str) -> Violation:
    """A finding about one message, and so about the machines of its sender and its recipient."""
    machines = dict.fromkeys((machine_of(made.by), machine_of(made.to)))
    return Violation("", tuple(machines), (made.id,), text)


def excused(index: Index, idle: Sequence[Violation]) -> tuple[list[str], list[Violation]]:
    """Split machines that did nothing into those that faults explain, as sentences, and the others.

    A machine is explained if its path to the terminal never had the time without outages that an order needs.
    """
    explained, others = [], []
    orders = [entry.t for entry in index.made if entry.key in ("START", "STOP")] or [0]
    enough = seconds(index.repeat_s + OBEYS_S)
    for violation in idle:
        stations = index.tree.path("_" + index.evidence.topology.terminal.id, violation.machines[0])[1:]
        path = [name for station in stations for name in (station, "_" + station, station)]
        longest, struck = index.outages.unbroken(path, min(orders), max(orders))
        if struck is not None and longest < enough:
            explained.append(f"{violation.text}: {struck.words}")
        else:
            others.append(violation)
    return explained, others


def message_words(made: Entry) -> str:
    """The name of a message in sentences."""
    return f"{made.key} {made.id} from {made.by} to {made.to}"


def many(count: int, what: str) -> str:
    """'1 rig', '1,204 items'."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
