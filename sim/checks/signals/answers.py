"""Whether every machine answered the PINGs of the terminal's program, and told it what it raised on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from sim.checks.signals.finding import Finding, doubt, wrong
from sim.emulator.signals import ITEMS, NOBODY, PARTS, RAISE
from sim.evidence.index import Index
from sim.evidence.journal import Entry

__all__ = ["has_open_error", "unanswered", "unreached", "unrefused", "untold"]


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
        if _has_lost_connection(index, machine.id, pings[0].t, told.t):
            yield doubt(machine.id, f"whether {machine.id} answers a PING: a connection broke meanwhile")
        else:
            yield wrong(machine.id, f"{machine.id} answered {len(answers)} of {len(pings)} PINGs")


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
                yield wrong(machine.id, f"the ERROR of the {part} of {machine.id} has no traceback")


def unreached(index: Index) -> Iterator[Finding]:
    """The items of a batch that were never handled, behind one whose handler raised."""
    raised = {entry.id for entry in index.evidence.journal.of("raising")}
    for machine in index.evidence.topology.machines:
        for batch in _made(index, "STREAM", machine.id):
            missing = [number for number in range(len(ITEMS)) if f"{batch.id}.{number}" not in raised]
            if missing and _is_confirmed(index, batch):
                count = f"{len(missing)} of {len(ITEMS)}"
                text = f"{machine.id} handled a batch, and left {count} items out, where it raised at the first"
                yield wrong(machine.id, text)


def unrefused(index: Index) -> Iterator[Finding]:
    """The messages for which a program has no listen, and of which their sender was not told that."""
    for machine in index.evidence.topology.machines:
        for made in _made(index, NOBODY, machine.id):
            settled = index.settled.get((made.by, made.id))
            if settled is None:
                continue
            if settled.value == "confirmed":
                text = f"a message for which the program of {machine.id} has no listen was confirmed as handled"
                yield wrong(machine.id, text)
            elif f"nobody listens for {NOBODY}" not in str(settled.value):
                why = f"nobody listens at the program of {machine.id}, and the sender was told: {settled.value}"
                yield wrong(machine.id, why)


def _missing(index: Index, machine: str, part: str, participant: str, order: Entry) -> Finding:
    """What is known of an ERROR that did not reach the terminal's program."""
    raising = [entry for entry in index.evidence.journal.of("raising") if entry.by == participant]
    if not any(entry.t >= order.t for entry in raising):
        return wrong(machine, f"a message for the {part} of {machine} was confirmed, and never handled")
    home = index.evidence.topology.terminal.id
    if has_open_error(index, participant, raising[-1].t):
        what = f"the ERROR that the {part} of {machine} sent will reach the program of {home}"
        return doubt(machine, f"whether {what}: it has not settled")
    return wrong(machine, f"the {part} of {machine} raised, and the ERROR never reached the program of {home}")


def has_open_error(index: Index, participant: str, since: int) -> bool:
    """Whether a participant sent an ERROR after `since`, and does not know what became of it."""
    traces = index.evidence.journal.traces
    sent = {t.id for t in traces if (t.do, t.at, t.key) == ("Transmit", participant, "ERROR") and t.t >= since}
    settled = {t.id for t in traces if t.do in ("Confirmed", "Expired")}
    return not sent <= settled


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
    downs = (trace for trace in index.evidence.journal.traces if trace.do == "PeerDown")
    return any(since <= trace.t <= until and {trace.at, trace.peer} <= path for trace in downs)
