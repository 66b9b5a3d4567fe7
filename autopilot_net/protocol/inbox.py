"""Confirmed delivery, the receiving half: order, once, and what to tell the sender. The other half is `outbox.py`.

A channel is one life of one sender. Numbered messages are handed on in the order of their numbers. What follows a gap
is held until the gap is filled, or until `low` says that it never will be. Nothing below `low` is remembered. Repeats
from a sender that does not number (Autopilot's own) are recognized by (sender, id, timestamp); a bounded count of these
is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum
from typing import Any

from msgspec import Struct, field

from autopilot_net.message import Message, why_refused
from autopilot_net.protocol.durable_records import LIVES, Handled, Saved, SeenUnnumbered
from autopilot_net.protocol.numbers import as_int

__all__ = ["Reception", "Inbox", "TicketResult", "Receipt", "Verdict"]

Key = tuple[Any, ...]
Pair = tuple[str, str]  # sender and recipient: a station is `rig_1` and `_rig_1`, and each has numbers of its own


class Verdict(Enum):
    """What to tell the sender about one message."""

    HANDLED = "handled"
    RECEIVED = "received"
    FAILED = "failed"


class Receipt(Struct, frozen=True):
    """Where a confirmation goes, and what it is about."""

    sender: str
    id: str
    via: tuple[str, ...] = ()
    re: tuple[str, int] | None = None


class Reception(Struct):
    """What follows from one received message."""

    deliver: list[tuple[int, Message]] = field(default_factory=list)  # in the order to handle them, with their tickets
    tell: Verdict | None = None
    why: str = ""  # why it was refused
    missing: tuple[int, int] | None = None  # the numbers, first and last, that should have come before
    dropped: str | None = None


class TicketResult(Struct):
    """What follows from the end of one ticket: whom to tell, and what to remember across a restart."""

    receipt: Receipt
    record: Handled | SeenUnnumbered


class _SenderChannel:
    """One life of one sender."""

    __slots__ = ("done", "expected", "fresh_from", "held", "horizon", "low", "open_tickets", "skipped", "whys")

    def __init__(self, low: int) -> None:
        self.low = low
        self.expected = low  # the number to hand on next
        self.horizon = low - 1  # the highest number seen
        self.fresh_from: int | None = None  # a lower number may have been sent to a former life of ours
        self.held: dict[int, Message] = {}
        self.done: set[int] = set()  # what a former life of ours handled, from `expected` on
        self.open_tickets: dict[int, Verdict] = {}  # number -> RECEIVED while in a handler, FAILED for ever after
        self.whys: dict[int, str] = {}  # why, for each that was refused
        self.skipped: set[int] = set()

    def busy(self) -> bool:
        return bool(self.held) or Verdict.RECEIVED in self.open_tickets.values()

    def fail(self, seq: int, why: str) -> None:
        self.open_tickets[seq] = Verdict.FAILED
        if why:
            self.whys[seq] = why


class Inbox:
    """All channels toward one recipient."""

    def __init__(self, *, hold: int = 4_000, senders: int = 65_536, remember: int = 10_000) -> None:
        self._hold = hold
        self._senders = senders
        self._remember = remember
        self._lives: OrderedDict[Pair, OrderedDict[str, _SenderChannel]] = OrderedDict()
        self._seen: OrderedDict[Key, Verdict] = OrderedDict()
        self._tickets: dict[int, tuple[Receipt, Key]] = {}
        self._in_handlers: dict[int, Message] = {}
        self._last_ticket = 0

    def arrive(self, message: Message, receipt: Receipt) -> Reception:
        """One message that seeks a confirmation has come in."""
        if receipt.re is None:
            return self._unnumbered(message, receipt)
        inc, seq = receipt.re
        low = as_int(message.get("low", seq), 1, seq + 1)
        if low is None:
            return Reception(dropped="numbered, but not so that it can be put in order")
        channel, flushed = self._channel((receipt.sender, str(message.to)), inc, low)
        arrival = self._numbered(channel, message, seq, low)
        arrival.deliver[:0] = flushed
        return arrival

    def why_refused(self, ticket: int) -> str:
        """Why the message of `ticket` was refused by its handler; empty if it was not."""
        message = self._in_handlers.get(ticket)
        return "" if message is None else why_refused(message)

    def is_unnumbered(self, ticket: int) -> bool:
        """Whether `ticket` is of a message of Autopilot's own."""
        receipt, _ = self._tickets.get(ticket, (None, ()))
        return receipt is not None and receipt.re is None

    def handled(self, ticket: int, verdict: Verdict, why: str = "") -> TicketResult | None:
        """The handler of `ticket` is done: whom to tell, if anybody. `why` says the reason if it was refused."""
        receipt, key = self._tickets.pop(ticket, (None, ()))
        self._in_handlers.pop(ticket, None)
        if receipt is None:
            return None
        if receipt.re is None:
            if key in self._seen:
                self._seen[key] = verdict
            return TicketResult(receipt, SeenUnnumbered(*key))
        (sender, to), inc, seq = key
        channel = self._lives[sender, to][inc]  # it is there: a channel with an open ticket is not forgotten
        del channel.open_tickets[seq]
        failed = verdict is Verdict.FAILED
        if failed and seq >= channel.low:
            channel.fail(seq, why)
        return TicketResult(receipt, Handled(sender, to, inc, seq, channel.low, failed, why=why))

    def relayed(self, ticket: int, waits: Iterable[str], *, failed: bool, why: str = "") -> Handled | None:
        """What to remember of `ticket`, which is settled when `waits`, messages of ours, are."""
        receipt, key = self._tickets.get(ticket, (None, ()))
        if receipt is None or receipt.re is None:
            return None
        (sender, to), inc, seq = key
        low = self._lives[sender, to][inc].low
        return Handled(sender, to, inc, seq, low, failed, tuple(sorted(waits)), receipt.id, receipt.via, why)

    def restore(self, saved: Saved) -> list[tuple[int, Handled]]:
        """Begin with what a former life of ours handled. Returns the tickets that still wait for messages of ours."""
        relays: list[tuple[int, Handled]] = []
        for records in saved.handled.values():
            for record in records.values():
                lives = self._lives.setdefault((record.sender, record.to), OrderedDict())
                channel = lives.setdefault(record.inc, _SenderChannel(record.low))
                self._advance_low(channel, record.low)
                channel.done.add(record.seq)
                channel.horizon = max(channel.horizon, record.seq)
                if record.waits:
                    channel.open_tickets[record.seq] = Verdict.RECEIVED
                    receipt = Receipt(record.sender, record.id, record.via, (record.inc, record.seq))
                    key = ((record.sender, record.to), record.inc, record.seq)
                    relays.append((self._ticket(receipt, key), record))
                elif record.failed:
                    channel.fail(record.seq, record.why)
        for channel in (channel for lives in self._lives.values() for channel in lives.values()):
            self._hand_on(channel)
        self._seen |= {(seen.sender, seen.id, seen.timestamp): Verdict.HANDLED for seen in saved.seen}
        return relays

    # -- numbered ------------------------------------------------------------------------------------------------

    def _numbered(self, channel: _SenderChannel, message: Message, seq: int, low: int) -> Reception:
        arrival = Reception(deliver=self._advance_low(channel, low))
        again = bool(message.get("again"))
        if not again and channel.fresh_from is None:
            channel.fresh_from = seq
        if seq < channel.expected or seq in channel.done:
            arrival.tell, arrival.dropped = self._old(channel, seq)
            arrival.why = channel.whys.get(seq, "")
            return arrival
        if again and (channel.fresh_from is None or seq < channel.fresh_from):
            message["redelivered"] = True
        if seq - channel.expected >= self._hold:
            arrival.dropped = f"more than {self._hold} ahead of what is missing"
            return arrival
        if seq > channel.horizon + 1:
            arrival.missing = (channel.horizon + 1, seq - 1)
        if seq in channel.held or seq > channel.expected:
            arrival.tell = Verdict.RECEIVED
        channel.horizon = max(channel.horizon, seq)
        channel.held[seq] = message
        arrival.deliver += self._hand_on(channel)
        return arrival

    def _old(self, channel: _SenderChannel, seq: int) -> tuple[Verdict | None, str | None]:
        if seq < channel.low:
            return None, "a late copy of what its sender has settled"
        if seq in channel.skipped:
            return None, "too late: what followed it has been handled"
        return channel.open_tickets.get(seq, Verdict.HANDLED), None

    def _advance_low(self, channel: _SenderChannel, low: int) -> list[tuple[int, Message]]:
        """The sender repeats nothing below `low`: hand on what is held below it, and close the gaps there."""
        if low <= channel.low:
            return []
        channel.low = low
        channel.skipped = {seq for seq in channel.skipped if seq >= low}
        channel.done = {seq for seq in channel.done if seq >= low}
        for seq in [seq for seq, verdict in channel.open_tickets.items() if seq < low and verdict is Verdict.FAILED]:
            del channel.open_tickets[seq]
            channel.whys.pop(seq, None)
        out = []
        for seq in sorted(seq for seq in channel.held if seq < low):
            out.append(self._issue(channel, seq, channel.held.pop(seq)))
        channel.expected = max(channel.expected, low)
        channel.horizon = max(channel.horizon, low - 1)
        return out + self._hand_on(channel)

    def _hand_on(self, channel: _SenderChannel) -> list[tuple[int, Message]]:
        out = []
        while channel.expected in channel.held or channel.expected in channel.done:
            if channel.expected in channel.held:
                out.append(self._issue(channel, channel.expected, channel.held.pop(channel.expected)))
            channel.done.discard(channel.expected)
            channel.expected += 1
        return out

    def _issue(self, channel: _SenderChannel, seq: int, message: Message) -> tuple[int, Message]:
        channel.open_tickets[seq] = Verdict.RECEIVED
        receipt = receipt_of(message)
        key = ((receipt.sender, str(message.to)), message.inc, seq)
        return self._ticket(receipt, key, message), message

    def _channel(self, pair: Pair, inc: str, low: int) -> tuple[_SenderChannel, list[tuple[int, Message]]]:
        """The channel of this life of a sender, and, if it is new, what former lives had left behind a gap."""
        lives = self._lives.get(pair)
        if lives is None:
            lives = self._lives[pair] = OrderedDict()
            self._forget_idle_senders()
        self._lives.move_to_end(pair)
        channel = lives.get(inc)
        if channel is not None:
            return channel, []
        flushed = [item for former in lives.values() for item in self._flush(former)]
        channel = lives[inc] = _SenderChannel(low)
        while len(lives) > LIVES and not next(iter(lives.values())).busy():
            lives.popitem(last=False)
        return channel, flushed

    def _flush(self, channel: _SenderChannel) -> list[tuple[int, Message]]:
        """Hand on what the life held behind a gap, in order: the life is over, so that nobody will fill the gap.

        Relayed messages are left out. Their first sender sends them again through the new life, after what is missing
        here, and handling them now could not be undone.
        """
        if not channel.held:
            return []
        kept = [seq for seq in sorted(channel.held) if "origin" not in channel.held[seq]]
        last = max(channel.held)
        channel.skipped |= set(range(channel.expected, last + 1)) - set(kept) - channel.done
        channel.expected = last + 1
        held, channel.held = channel.held, {}
        return [self._issue(channel, seq, held[seq]) for seq in kept]

    def _forget_idle_senders(self) -> None:
        while len(self._lives) > self._senders:
            oldest = next(iter(self._lives))
            if any(channel.busy() for channel in self._lives[oldest].values()):
                self._lives.move_to_end(oldest)
                return
            del self._lives[oldest]

    # -- not numbered --------------------------------------------------------------------------------------------

    def _unnumbered(self, message: Message, receipt: Receipt) -> Reception:
        key = (receipt.sender, receipt.id, str(message.get("timestamp")))
        known = self._seen.get(key)
        if known is not None:
            self._seen.move_to_end(key)
            return Reception(tell=known)
        self._seen[key] = Verdict.RECEIVED
        if len(self._seen) > self._remember:
            self._seen.popitem(last=False)
        return Reception(deliver=[(self._ticket(receipt, key, message), message)])

    def _ticket(self, receipt: Receipt, key: Key, message: Message | None = None) -> int:
        self._last_ticket += 1
        self._tickets[self._last_ticket] = (receipt, key)
        if message is not None:
            self._in_handlers[self._last_ticket] = message
        return self._last_ticket


def receipt_of(message: Message) -> Receipt:
    """Where the confirmation of `message` goes. Malformed extra attributes count as absent."""
    inc, seq = message.get("inc"), as_int(message.get("seq"), 1)
    re = (str(inc), seq) if _is_text(inc) and seq is not None else None
    return Receipt(sender=message.sender, id=message.id, via=via_of(message), re=re)


def via_of(message: Message) -> tuple[str, ...]:
    """The stations that `message` says it passes; none if the attribute is malformed."""
    via = message.get("via")
    return tuple(via) if isinstance(via, list) and all(map(_is_text, via)) else ()


def _is_text(value: Any) -> bool:
    """Whether it is text that can be sent back: JSON can spell half a surrogate pair, which UTF-8 cannot encode."""
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value))
