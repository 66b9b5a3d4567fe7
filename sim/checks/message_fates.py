"""The fate of each message, judged by the promises of the library, and the faults that excuse a broken one.

A fault excuses only a message that was under way on the path that it struck, when it struck.
"""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct, field
from msgspec.structs import replace

from sim.checks.patience import TTL, impatience
from sim.checks.result import about_message, message_words
from sim.emulator.signals import NOBODY
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import BEFORE_S, Outage, seconds
from sim.evidence.spans import touches
from sim.evidence.violation import Violation
from sim.lab.names import is_node, machine_of
from sim.scenario import Send
from sim.scenario.assignments import HANDLER_US

__all__ = ["HANDLED", "Fate", "fate_of", "may_be_under_way", "path_to_confirm"]

# The keys for which programs journal `handled`.
HANDLED = ("STORM", "CRASH", "CALM", "DATA", "START", "STOP", "PARAM", "CHANGE")
UP = "its time is up"  # how the library says that a message was given up because of that
TIMER_S = 0.5  # how late a sender may give up, where the CPUs are not full
LATE_S = 2.0  # how long a repeat may take on a path without outages
COMMIT_S = 0.5  # from the journal entry of a message until its durable sender has stored it


class Fate(Struct):
    """The fate of one message. `settled` is the entry that tells how it ended at its sender."""

    made: Entry
    handled: list[Entry]
    settled: Entry | None
    broke: list[Violation] = field(default_factory=list)
    unknown: list[Violation] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    lost_to: str = ""  # the outage that explains the loss or the missing confirmation, in words
    is_twice: bool = False  # handled twice in one life without an excuse

    @property
    def is_confirmed(self) -> bool:
        """Whether its sender has a confirmation."""
        return self.settled is not None and self.settled.value == "confirmed"

    @property
    def is_explained(self) -> bool:
        """Whether it is missing and a fault explains that."""
        return not self.handled and bool(self.explained)


def fate_of(index: Index, made: Entry) -> Fate:
    """Judge one message. The result is cached in `index`."""
    known = index.fates.get(made.id)
    if known is None or known.made is not made:
        known = Fate(made=made, handled=index.handled[made.id], settled=index.settled.get((made.by, made.id)))
        if made.sought and not known.is_confirmed:
            _judge_settling(index, known)
        if made.expires_s and known.settled is not None:
            _judge_late(index, known, known.settled.t)
        for sentence in impatience(index, made, known.settled) if made.sought else ():
            _break(known, sentence)
        if made.key in HANDLED:
            _judge_handling(index, known)
        index.fates[made.id] = known
    return known


def _break(fate: Fate, sentence: str, *, stands: bool = False) -> None:
    wrong = about_message(fate.made, f"{message_words(fate.made)} {sentence}")
    fate.broke.append(replace(wrong, stands=stands))


def _explain(fate: Fate, sentence: str, outage: Outage) -> None:
    """Note that `outage` explains the loss or the missing confirmation."""
    fate.explained.append(f"{message_words(fate.made)} {sentence}: {outage.words}")
    fate.lost_to = fate.lost_to or outage.words


# -- confirmed, expired, or neither ------------------------------------------------------------------------------------


def _judge_settling(index: Index, fate: Fate) -> None:
    made, settled = fate.made, fate.settled
    if settled is None:
        _judge_unsettled(index, fate)
        return
    if made.key == NOBODY:
        return  # it is to be refused: see `checks.signals`
    outage = _why_expired(index, fate, settled.t)
    if outage is None and made.expires_s and (index.slow_s or _has_slow_links(index) or _is_behind_many(index, made)):
        fate.explained.append(f"{message_words(made)} expired after {made.expires_s:g} s: a handler or a link is slow")
    elif outage is None:
        _break(fate, f"was never confirmed: {settled.value}")
    elif made.key in HANDLED and not fate.handled:
        _explain(fate, "was lost, and expired", outage)
    else:
        _explain(fate, "was never confirmed", outage)


def _judge_unsettled(index: Index, fate: Fate) -> None:
    """Judge a message that never settled. Its sender may have been killed; a durable one sends it in its next life."""
    made, name = fate.made, message_words(fate.made)
    kill = index.outages.killed(made.by, made.t)
    if kill is None:
        fate.unknown.append(about_message(made, f"whether {name} was handled: it has not settled"))
    elif fate.handled or made.key not in HANDLED:
        return
    elif not _is_kept(index, made, kill):
        if not may_be_under_way(index, path_to_confirm(index, made), made.t, kill):
            _break(fate, f"was never handled, long before its sender died: {kill.words}")
            return
        _explain(fate, "was lost with its sender", kill)
    elif kill.ends is None:
        fate.unknown.append(about_message(made, f"whether {name} will be handled: {kill.words}"))
    elif (given_up := index.given_up.get(made.id)) and (outage := _why_expired(index, fate, given_up)):
        _explain(fate, "was lost, and given up by the next life of its sender", outage)
    else:
        _break(fate, f"is promised by a durable sender, and was never handled: {kill.words}")


def may_be_under_way(index: Index, path: list[str], since: int, kill: Outage) -> bool:
    """Whether a message sent on `path` at `since` may still have been under way when its sender was killed."""
    if kill.begins - since <= seconds(index.repeat_s + LATE_S):
        return True
    before = kill.begins - seconds(2 * BEFORE_S)  # excludes the kill itself, and outages that began with it
    return any(outage.overlaps(since, before) for outage in index.outages.on(path, both_ways=True))


def _is_kept(index: Index, made: Entry, kill: Outage) -> bool:
    """Whether the sender is durable and had stored the message when it was killed."""
    if not index.durable(made.by):
        return False
    return bool(index.sendings.get(made.id)) or kill.begins - made.t > seconds(COMMIT_S)


def _why_expired(index: Index, fate: Fate, at: int) -> Outage | None:
    """The outage that explains why a message expired; None if there is none.

    It must have struck every repeat, or its confirmation: one repeat on a path without outages gets through.
    """
    made = fate.made
    if made.expires_s:
        return _why_too_late(index, made, at)
    since = max(made.t, at - seconds(TTL * index.repeat_s))
    longest, outage = index.outages.unbroken(path_to_confirm(index, made), since, at)
    if outage is None or longest > seconds(index.repeat_s + LATE_S):
        return None
    # On a crawling link the message may still be under way.
    is_missing = made.key in HANDLED and not fate.handled and not outage.is_crawl
    # From when it was made: if its recipient may be Autopilot itself, the sender asks about it and does not repeat it.
    if is_missing and index.outages.explain(path_to_confirm(index, made), made.t, until=at, ids=[made.id]) is None:
        return None
    return outage


def _why_too_late(index: Index, made: Entry, at: int) -> Outage | None:
    """The outage because of which a message did not come in a time of its own. It may have waited behind a former one.
    """
    since = made.t - seconds(TTL * index.repeat_s)
    struck = index.outages.on(path_to_confirm(index, made), both_ways=True)
    return next((outage for outage in struck if outage.overlaps(since, at)), None)


def _is_behind_many(index: Index, made: Entry) -> bool:
    """Whether the handlers of its storm alone may take as long as it has, in virtual time."""
    storm = index.evidence.examples.get(made.example)
    count = 0 if storm is None else sum(op.burst for op in storm.ops if isinstance(op, Send))
    return count * max(HANDLER_US) / 1e6 >= 0.8 * made.expires_s


def _has_slow_links(index: Index) -> bool:
    return any(machine.link is not None for machine in index.evidence.topology.machines)


def _judge_late(index: Index, fate: Fate, at: int) -> None:
    """A message with a time of its own is given up when that is over: not before, and later if its sender was held up.
    """
    made, took_s = fate.made, (at - fate.made.t) / 1e9
    struck = any(outage.overlaps(made.t, at) for outage in index.outages.on([made.by]))
    struck = struck or touches(index.evidence.busy, made.t, at)
    is_up = fate.settled is not None and str(fate.settled.value).endswith(UP)
    if (is_up and took_s < made.expires_s) or (took_s > made.expires_s + TIMER_S and not struck):
        how = "confirmed" if fate.is_confirmed else "given up"
        _break(fate, f"was to be given up after {made.expires_s:g} s, and was {how} after {took_s:.1f} s")


# -- handled -----------------------------------------------------------------------------------------------------------


def _judge_handling(index: Index, fate: Fate) -> None:
    made = fate.made
    if not fate.handled:
        _judge_missing(index, fate)
        return
    if fate.settled is not None and fate.is_confirmed and fate.settled.t < fate.handled[0].t:
        _break(fate, "was confirmed before it was handled", stands=True)
    if made.key in ("STORM", "DATA") and any(entry.print != made.print for entry in fate.handled):
        _break(fate, "arrived with another content than it was sent with", stands=True)
    _judge_copies(index, fate)
    _judge_lives(index, fate)


def _judge_missing(index: Index, fate: Fate) -> None:
    name = message_words(fate.made)
    refusal = _refusal(index, fate.made)
    if fate.is_confirmed and refusal:
        fate.explained.append(f"{name} was not begun, and its station reported that: {refusal}")
    elif fate.is_confirmed:
        _break(fate, "was confirmed, and never handled")
    elif not fate.made.sought:
        outage = why_missing(index, fate.made)
        if outage is None:
            _break(fate, "was never handled")
        else:
            _explain(fate, "was lost", outage)


def _refusal(index: Index, made: Entry) -> str | None:
    """The error that a station reported instead of passing a START to its program. The check `programs` judges it."""
    begins = f"{made.key} was not begun on {machine_of(made.to)}: "
    errors = (raised["exception"] for raised in index.exceptions())
    return next((error for error in errors if error.startswith(begins)), None)


def why_missing(index: Index, made: Entry) -> Outage | None:
    """The outage to which an unrepeated message was lost, on the path from the last participant that sent it."""
    path, since = index.tree.path(made.by, made.to), made.t
    for n, edge in enumerate(index.edges(made.by, made.to)):
        sent = index.sent.get((made.id, *edge))
        if not sent:
            break
        path, since = index.tree.path(made.by, made.to)[n:], sent[-1]
    return index.outages.explain(path, since, ids=[made.id])


def _judge_copies(index: Index, fate: Fate) -> None:
    """A message is handled once in a life. `why_again` tells what excuses a second time."""
    name = message_words(fate.made)
    copies: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in fate.handled:
        copies[entry.by, entry.life].append(entry)
    for (by, _), entries in sorted(copies.items()):
        if len(entries) < 2:
            continue
        why = [why_again(index, fate.made, entry) for entry in entries[1:]]
        if None in why:
            _break(fate, f"was handled {len(entries)} times by {by} in one life", stands=True)
            fate.is_twice = True
        else:
            fate.explained += [f"{name} was handled again by {by}, {reason}" for reason in why if reason]


def why_again(index: Index, made: Entry, copy: Entry) -> str | None:
    """What excuses a second handling in one life; None if nothing does.

    A link may have duplicated the message, or the station that relays it was killed and marks it redelivered.
    """
    if not made.sought:
        return "since a link duplicated it and it seeks no confirmation" if made.id in index.outages.doubled else None
    relays = {machine_of(copy.by), machine_of(made.to)}  # a CHANGE is relayed by the terminal and by its machine
    if not copy.redelivered or not copy.first or not is_node(copy.by):
        return None
    kill = index.outages.relays_killed(relays, made.t, copy.t)
    return f"marked redelivered: {kill.words}" if kill is not None else None


def _judge_lives(index: Index, fate: Fate) -> None:
    """A message that is handled again in a next life is marked redelivered there."""
    if not fate.made.sought:
        return
    began = {entry.life for entry in index.began[fate.made.id]}
    first = fate.handled[0]
    again = [entry for entry in fate.handled if entry.by == first.by and entry.life != first.life]
    is_marked = all(entry.redelivered for entry in again) and (
        len(began) < 2 or any(entry.redelivered for entry in fate.handled)
    )
    if not is_marked:
        sentence = "was handled again in a next life, and not marked redelivered"
        _break(fate, sentence)
    for entry in again:
        kill = index.outages.killed(entry.by, first.t)
        is_stored = kill is not None and kill.begins - first.t > seconds(COMMIT_S + _handler_s(index, fate.made))
        if is_stored and index.durable(entry.by) and not entry.first and entry.t > first.t:
            sentence = f"was handled again in a next life of {entry.by}, which had stored that it was handled"
            _break(fate, sentence)


def _handler_s(index: Index, made: Entry) -> float:
    """How long a handler in the storm of a message may take. Its entry is older than its end, after which it is stored.
    """
    storm = index.evidence.examples.get(made.example)
    return max((op.takes_ms for op in storm.ops if isinstance(op, Send)), default=0) / 1e3 if storm else 0.0


# -- the path of a message --------------------------------------------------------------------------------------------


def path_to_confirm(index: Index, made: Entry) -> list[str]:
    """The participants that must work until a message is confirmed. Each is next to a neighbour of it.

    A station confirms a message that it relays only when the relayed one is handled. A trial, a state and a handshake
    are handled by the terminal's program. An order is handled by the program and by all machines below, and then the
    terminal's program must know the new state.
    """
    topology = index.evidence.topology
    terminal = topology.terminal.id
    path = index.tree.path(made.by, made.to)
    end = machine_of(made.to)
    if made.key == "CHANGE":  # the terminal's station passes it to the pilot that it names
        end = str(made.value["pilot"])
        path = [*path, *index.tree.path(terminal, end)[1:]]
    if made.key in ("DATA", "STATE", "HANDSHAKE", "ERROR", "CONTINUOUS"):
        return [*path, *index.tree.path(end, terminal)[1:], "_" + terminal]
    if made.key in ("START", "STOP", "CHILD", "PARAM", "STOPALL", "CHANGE"):
        return [*path, *_all_below(index, end), *index.tree.path(end, terminal), "_" + terminal]
    return path


def _all_below(index: Index, machine: str) -> list[str]:
    """The path from a machine to its program and to all machines below it, and back."""
    around = [machine, "_" + machine, machine]
    for child in index.evidence.topology.machine(machine).children:
        around += [*_all_below(index, child), machine]
    return around
