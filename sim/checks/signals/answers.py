"""Whether every machine answered the PINGs of the terminal's program, and told it what it raised on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from sim.checks.result import about_machine
from sim.emulator.signals import PARTS, RAISE
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation

__all__ = ["Finding", "unanswered", "untold"]


class Finding(Struct, frozen=True):
    """Something that a signal showed. A doubt is what the journal cannot decide."""

    violation: Violation
    is_doubt: bool = False


def finding(machine: str, text: str, *, is_doubt: bool = False) -> Finding:
    """A finding about one machine."""
    return Finding(about_machine(machine, f"whether {text}" if is_doubt else text), is_doubt)


def unanswered(index: Index) -> Iterator[Finding]:
    """The machines whose PINGs were confirmed and not answered.

    The answer seeks no confirmation. But it was sent before the machine's station raised, and all handlers on the way
    have their messages in order. So it is missing if that ERROR came before it, unless a connection broke meanwhile.
    """
    for machine in index.evidence.topology.machines:
        pings = [made for made in _made(index, "PING", machine.id) if _is_confirmed(index, made)]
        told = _told(index, machine.id, "station")
        if not pings or told is None:
            continue
        answers = [entry for entry in _answers(index, machine.id) if pings[0].t <= entry.t <= told.t]
        if len(answers) >= len(pings):
            continue
        broke_off = _has_lost_connection(index, machine.id, pings[0].t, told.t)
        text = f"{machine.id} answered {len(answers)} of {len(pings)} PINGs"
        yield finding(machine.id, f"{machine.id} answers a PING", is_doubt=True) if broke_off else finding(
            machine.id, text
        )


def untold(index: Index) -> Iterator[Finding]:
    """What was raised on purpose and did not reach the terminal's program as it should."""
    for machine in index.evidence.topology.machines:
        orders = [made for made in _made(index, RAISE, machine.id) if _is_confirmed(index, made)]
        for part, order in zip(PARTS, orders, strict=False):
            participant = machine.id if part == "station" else "_" + machine.id
            told = _told(index, machine.id, part)
            if told is None:
                yield _missing(index, machine.id, part, participant, order)
            elif "OnPurposeError" not in str(told.value.get("traceback")):
                yield finding(machine.id, f"the ERROR of the {part} of {machine.id} has no traceback")


def _missing(index: Index, machine: str, part: str, participant: str, order: Entry) -> Finding:
    """What is known of an ERROR that did not reach the terminal's program."""
    raising = [entry for entry in index.evidence.journal.of("raising") if entry.by == participant]
    if not any(entry.t >= order.t for entry in raising):
        return finding(machine, f"a message for the {part} of {machine} was confirmed, and never handled")
    home = index.evidence.topology.terminal.id
    text = f"the {part} of {machine} raised, and the ERROR never reached the program of {home}"
    sent = [
        trace
        for trace in index.evidence.journal.traces
        if (trace.do, trace.at, trace.key) == ("Transmit", participant, "ERROR") and trace.t >= raising[-1].t
    ]
    settled = {trace.id for trace in index.evidence.journal.traces if trace.do in ("Confirmed", "Expired")}
    is_open = any(trace.id not in settled for trace in sent)
    doubt = f"the ERROR that the {part} of {machine} sent will reach the program of {home}: it has not settled"
    return finding(machine, doubt if is_open else text, is_doubt=is_open)


def _made(index: Index, key: str, to: str) -> list[Entry]:
    """The signals of that key to a machine. What was sent before the signals began is none of them."""
    begun = max(entry.t for entry in index.evidence.journal.of("signals"))
    home = "_" + index.evidence.topology.terminal.id
    return [made for made in index.made_by[home] if made.key == key and made.to == to and made.t >= begun]


def _is_confirmed(index: Index, made: Entry) -> bool:
    settled = index.settled.get((made.by, made.id))
    return settled is not None and settled.value == "confirmed"


def _told(index: Index, machine: str, part: str) -> Entry | None:
    """The ERROR by which a part of a machine told the terminal's program that it raised."""
    for entry in index.evidence.journal.of("raised"):
        if entry.value.get("machine") == machine and entry.value.get("part") == part:
            return entry
    return None


def _answers(index: Index, machine: str) -> list[Entry]:
    """The states that the station of a machine told by itself."""
    if machine == index.evidence.topology.terminal.id:
        return list(index.evidence.journal.of("pong"))
    return [entry for entry in index.heard_states[machine] if entry.first_sender == machine]


def _has_lost_connection(index: Index, machine: str, since: int, until: int) -> bool:
    """Whether a connection between the machine and the terminal's program broke in that span."""
    home = index.evidence.topology.terminal.id
    path = {*index.tree.path("_" + home, machine)}
    downs = (trace for trace in index.evidence.journal.traces if trace.do == "PeerDown" and trace.at in path)
    return any(since <= trace.t <= until for trace in downs)
