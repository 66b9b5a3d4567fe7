"""Confirmed delivery, the sending half: numbers, the window, repeats, patience, expiry. Its twin is `inbox.py`.

Each recipient has a channel of its own. On it every message that awaits confirmation has a number (`seq`), and each
transmission also says the lowest number that may still be repeated (`low`), which is all a recipient needs to keep
order and to forget. Where a message goes is not known here; whether its path is up is told (`open`, `close`).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Kept, Saved
from autopilot_net.protocol.numbers import as_int

__all__ = ["OutboxEntry", "Outbox", "Window"]

WAITS = 2  # times the slowest confirmation of late are waited for, before a message is sent again
FADES = 0.9  # what is left of the slowest at each that was faster
LONGEST_S = 60.0
REPEAT_SHARE = 0.2  # of what is sent for the first time, so much may be sent again by the clock
REPEAT_FLOOR = 256  # and so many in a repeat interval in any case


class Window(Struct, frozen=True):
    """How much may be under way, unconfirmed, to one recipient. One message always may, whatever its size."""

    messages: int = 1_000
    size_bytes: int = 8 << 20


class OutboxEntry:
    """One message that awaits confirmation, encoded once: what changes from one sending to the next is its tail."""

    __slots__ = (
        *("is_resend", "body", "channel", "due", "hops", "is_first", "message", "patience", "sent_at", "seq", "ttl"),
        "until",
    )

    def __init__(self, message: Message, hops: tuple[str, ...], *, pack: bool) -> None:
        self.message = message
        self.hops = hops
        self.ttl = self.patience = _ttl_of(message)
        del message["ttl"]
        self.body = message.serialize(pack=pack)[:-1]
        message["ttl"] = self.ttl
        self.channel: _RecipientChannel
        self.seq = 0
        self.due = self.sent_at = 0.0
        self.until: float | None = None  # when its time is up
        self.is_resend = False
        self.is_first = True  # whether this life has yet to send it

    @classmethod
    def kept(cls, record: Kept) -> OutboxEntry:
        """What a former life had yet to deliver. It may have been sent, and says so when it is sent now."""
        entry = cls.__new__(cls)
        entry.message = Message(record.body + b"}")
        entry.message["ttl"] = entry.ttl = entry.patience = record.ttl
        entry.hops, entry.body, entry.seq = record.hops, record.body, record.seq
        entry.due = entry.sent_at = 0.0
        entry.until, entry.is_resend, entry.is_first = None, True, True
        return entry

    def record(self, until: float | None) -> Kept:
        """It, as it is kept; `until` is when it expires, in wall-clock seconds."""
        message = self.message
        return Kept(message.to, self.seq, message.id, self.hops, self.body, self.patience, until)

    @property
    def target(self) -> str:
        """The id whose path it takes."""
        return self.hops[0] if self.hops else str(self.message.to)

    @property
    def size(self) -> int:
        """About how many bytes it has on the wire."""
        return len(self.body)

    def wire(self) -> bytes:
        """The message as it is to be sent now, with the numbers that hold now."""
        again = ',"again":true' if self.is_resend else ""
        tail = f',"ttl":{self.ttl},"seq":{self.seq},"low":{self.channel.low()}{again}}}'
        return self.body + tail.encode()


def _ttl_of(message: Message) -> int:
    ttl = as_int(message.get("ttl"))
    if ttl is None:
        told = f"message {message.id} has the ttl {message.get('ttl')!r}"
        raise BadMessage(f"{told}: how often it may be repeated is a whole number, from 0 on")
    return ttl


class _Budget:
    """How many repeats may go out by the clock: a lab that is late must not be given more to do.

    What is over it is asked about by the oldest message of its channel, which always goes out, and spends no patience.
    """

    __slots__ = ("_at", "_interval", "_tokens")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._tokens = float(REPEAT_FLOOR)
        self._at = 0.0

    def earn(self) -> None:
        self._tokens = min(self._tokens + REPEAT_SHARE, 4.0 * REPEAT_FLOOR)

    def take(self, *, now: float) -> bool:
        earned = REPEAT_FLOOR * max(0.0, now - self._at) / self._interval if self._interval else REPEAT_FLOOR
        self._at = now
        self._tokens = max(self._tokens, min(self._tokens + earned, REPEAT_FLOOR))
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class _RecipientChannel:
    """What awaits confirmation from one recipient. `in_flight` is in the order in which repeats fall due."""

    __slots__ = (
        "armed",
        "doubted",
        "in_flight",
        "next_seq",
        "open",
        "recipient",
        "seqs",
        "size",
        "slowest",
        "target",
        "waiting",
        "waiting_size",
    )

    def __init__(self, recipient: str, *, is_open: bool) -> None:
        self.recipient = recipient
        self.target = recipient  # whose path it takes: the first hop of what was sent last
        self.open = is_open
        self.armed = False
        self.next_seq = 1
        self.in_flight: dict[int, OutboxEntry] = {}
        self.seqs: deque[int] = deque()  # ascending; its head is the lowest of `in_flight`, once what is done is popped
        self.size = 0  # of what flies
        self.doubted = 0.0  # the most that is believed of one that was sent again
        self.slowest = 0.0  # how long a confirmation took, of late, in seconds
        self.waiting_size = 0
        self.waiting: deque[OutboxEntry] = deque()

    def low(self) -> int:
        while self.seqs and self.seqs[0] not in self.in_flight:
            self.seqs.popleft()
        return self.seqs[0] if self.seqs else self.next_seq

    def confirmed(self, entry: OutboxEntry, now: float) -> None:
        """The recipient has handled it. Where it was sent again, which copy is not known, and not much is concluded."""
        took = now - entry.sent_at
        self.slowest = max(min(took, self.doubted) if entry.is_resend else took, FADES * self.slowest)

    def has_room(self, window: Window) -> bool:
        return not self.in_flight or (len(self.in_flight) < window.messages and self.size < window.size_bytes)

    def takes(self, window: Window) -> bool:
        count = len(self.in_flight) + len(self.waiting)
        return not count or (count < window.messages and self.size + self.waiting_size < window.size_bytes)


class Outbox:
    """All channels of one sender. Every method that returns entries means: transmit these, now, in this order."""

    def __init__(self, *, incarnation: str, repeat_interval: float, window: Window) -> None:
        self.incarnation = incarnation
        self.repeat_interval = repeat_interval
        self.window = window
        self._channels: dict[str, _RecipientChannel] = {}
        self._by_id: dict[str, OutboxEntry] = {}
        self._budget = _Budget(repeat_interval)
        self._due: list[tuple[float, str]] = []  # at most one per channel that flies
        self._bounded: list[tuple[float, str]] = []  # (when its time is up, message id)

    def restore(self, saved: Saved, *, epoch: float) -> None:
        """Begin with what a former life had yet to deliver, under the numbers that it had; `epoch` as in Endpoint."""
        for recipient, next_seq in saved.next_seq.items():
            self._channels[recipient] = _RecipientChannel(recipient, is_open=False)
            self._channels[recipient].next_seq = next_seq
        for record in sorted(saved.kept.values(), key=lambda kept: kept.seq):
            until = None if record.until is None else record.until - epoch
            self._append(self._channels[record.to], OutboxEntry.kept(record), until)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._by_id

    def messages(self) -> dict[str, Message]:
        """What awaits confirmation, by id, oldest first."""
        return {message_id: entry.message for message_id, entry in self._by_id.copy().items()}

    def recipients(self, *, is_open: bool) -> list[tuple[str, str]]:
        """Those whose path is up, or is down, and for whom something waits; each with the id whose path it takes."""
        channels = [c for c in self._channels.values() if c.open is is_open and (c.in_flight or c.waiting)]
        return [(channel.recipient, channel.target) for channel in channels]

    def room(self, recipient: str) -> bool:
        """Whether one more message to `recipient` is within the window: of what is under way, or waits for its path."""
        channel = self._channels.get(recipient)
        return channel is None or channel.takes(self.window)

    def count(self, recipient: str) -> int:
        """How many messages to `recipient` await their confirmation."""
        channel = self._channels.get(recipient)
        return 0 if channel is None else len(channel.in_flight) + len(channel.waiting)

    # -- what the sender does ------------------------------------------------------------------------------------

    def put(
        self, entry: OutboxEntry, *, now: float, is_open: bool, expires_at: float | None = None
    ) -> list[OutboxEntry]:
        """Number a message, and send it if the window and the path allow."""
        recipient = entry.message.to
        channel = self._channels.get(recipient)
        if channel is None:
            channel = self._channels[recipient] = _RecipientChannel(recipient, is_open=is_open)
            channel.doubted = self.repeat_interval
        entry.seq = channel.next_seq
        channel.next_seq += 1
        self._append(channel, entry, expires_at)
        if is_open and not channel.open:
            return self.open(recipient, now=now)
        channel.open = is_open
        return self._fill(channel, now)

    # -- what the recipient says ---------------------------------------------------------------------------------

    def confirm(
        self, message_id: str, recipient: str, re: Any, *, now: float
    ) -> tuple[OutboxEntry | None, list[OutboxEntry]]:
        """`recipient` has handled `message_id`; what that settles, if anything, and what may go out now."""
        entry = self._find(message_id, recipient, re)
        if entry is None:
            return None, []
        entry.channel.confirmed(entry, now)
        return entry, self._remove(entry, now)

    def received(self, message_id: str, recipient: str, re: Any) -> None:
        """`recipient` has it, and has yet to handle it: patience starts anew."""
        entry = self._find(message_id, recipient, re)
        if entry:
            entry.ttl = entry.patience

    def missing(self, recipient: str, re: Any, first: int, last: int, *, now: float) -> list[OutboxEntry]:
        """`recipient` lacks the numbers `first` to `last`. What has no patience left waits: a copy may be under way."""
        channel = self._channels.get(recipient)
        if channel is None or not channel.open or not self._is_mine(re):
            return []
        lacking = [e for e in channel.in_flight.values() if first <= e.seq <= last and e.ttl > 0]
        return self._repeat(lacking, now)[0]

    def nudge(self, recipient: str) -> list[OutboxEntry]:
        """Something that `recipient` never saw is settled: the oldest that is under way tells it to wait no more."""
        channel = self._channels[recipient]
        oldest = channel.in_flight.get(channel.low()) if channel.open else None
        if oldest is None:
            return []
        oldest.is_resend = True
        return [oldest]

    # -- what time and the path do -------------------------------------------------------------------------------

    def open(self, recipient: str, *, now: float) -> list[OutboxEntry]:
        """The path is up again: what is unconfirmed goes out at once, in order, for a meeting costs no patience."""
        channel = self._channels[recipient]
        channel.open = True
        again = sorted(channel.in_flight.values(), key=lambda entry: entry.seq)
        channel.in_flight = {}
        for entry in again:
            entry.is_resend = True
            entry.sent_at = now
            self._launch(channel, entry, now)
        return again + self._fill(channel, now)

    def resume(self, recipient: str, *, now: float) -> list[OutboxEntry]:
        """The path was only late: what is unconfirmed is on it, and falls due anew; what waits goes out."""
        channel = self._channels[recipient]
        channel.open = True
        under_way, channel.in_flight = sorted(channel.in_flight.values(), key=lambda entry: entry.seq), {}
        for entry in under_way:
            self._launch(channel, entry, now)
        return self._fill(channel, now)

    def close(self, recipient: str) -> None:
        """The path is down: nothing is sent, and no patience is spent, until it is up."""
        self._channels[recipient].open = False

    def handle_timer(
        self, *, now: float, is_stuck: Callable[[str], bool] = lambda _: False
    ) -> tuple[list[OutboxEntry], list[OutboxEntry]]:
        """What to send by now, and what has expired: its repeats are used up, or its time is.

        What waits in a full pipe, or unread at the next neighbour (`is_stuck`, of the id whose path it takes), is
        under way, and is not repeated.
        """
        sent: list[OutboxEntry] = []
        expired: list[OutboxEntry] = []
        while self._bounded and self._bounded[0][0] <= now:
            until, message_id = heapq.heappop(self._bounded)
            entry = self._by_id.get(message_id)
            if entry and entry.until == until:  # else another message of that id, sent since
                expired.append(entry)
                sent += self._remove(entry, now)
        while self._due and self._due[0][0] <= now:
            channel = self._channels[heapq.heappop(self._due)[1]]
            channel.armed = False
            if channel.open and is_stuck(channel.target):
                self._arm(channel, at=now + self.repeat_interval)
            elif channel.open:
                again, dead = self._repeat(self._affordable(channel, now), now)
                sent += again
                expired += dead
                self._arm(channel)
        return [entry for entry in sent if entry.message.id in self._by_id], expired

    def next_timer(self) -> float | None:
        """When something may fall due; it may turn out that nothing has."""
        if self._due and self._bounded:
            return min(self._due[0][0], self._bounded[0][0])
        return self._due[0][0] if self._due else self._bounded[0][0] if self._bounded else None

    # -- below ---------------------------------------------------------------------------------------------------

    def _append(self, channel: _RecipientChannel, entry: OutboxEntry, expires_at: float | None) -> None:
        entry.channel = channel
        self._by_id[entry.message.id] = entry
        entry.until = expires_at
        if expires_at is not None:
            heapq.heappush(self._bounded, (expires_at, entry.message.id))
        channel.waiting.append(entry)
        channel.waiting_size += entry.size
        channel.target = entry.target

    def _find(self, message_id: str, recipient: str, re: Any) -> OutboxEntry | None:
        entry = self._by_id.get(message_id)
        if entry is None or (re is not None and not self._is_mine(re)):
            return None  # a confirmation of what a former life sent under the same id confirms nothing of this one
        same = entry.message.to.removeprefix("_") == recipient.removeprefix("_")
        return entry if same else None

    def _is_mine(self, re: Any) -> bool:
        return isinstance(re, list) and bool(re) and bool(re[0] == self.incarnation)

    def _fill(self, channel: _RecipientChannel, now: float) -> list[OutboxEntry]:
        out: list[OutboxEntry] = []
        while channel.waiting and channel.open and channel.has_room(self.window):
            entry = channel.waiting.popleft()
            channel.seqs.append(entry.seq)
            channel.size += entry.size
            channel.waiting_size -= entry.size
            entry.sent_at = now
            self._launch(channel, entry, now)
            self._budget.earn()
            out.append(entry)
        return out

    def _affordable(self, channel: _RecipientChannel, now: float) -> list[OutboxEntry]:
        """What is due for a repeat, and within the budget. The rest falls due anew."""
        due = [entry for entry in channel.in_flight.values() if entry.due <= now]
        affordable: list[OutboxEntry] = []
        for entry in due:
            if not affordable or entry.ttl <= 0 or self._budget.take(now=now):
                affordable.append(entry)
            else:
                del channel.in_flight[entry.seq]
                self._launch(channel, entry, now)
        return affordable

    def _launch(self, channel: _RecipientChannel, entry: OutboxEntry, now: float) -> None:
        # One whose answers are late is alive, and busy: what it has is not sent to it again.
        entry.due = now + max(self.repeat_interval, min(WAITS * channel.slowest, LONGEST_S))
        channel.in_flight[entry.seq] = entry
        self._arm(channel)

    def _arm(self, channel: _RecipientChannel, at: float | None = None) -> None:
        if channel.in_flight and not channel.armed:
            channel.armed = True
            due = next(iter(channel.in_flight.values())).due if at is None else at
            heapq.heappush(self._due, (due, channel.recipient))

    def _repeat(self, entries: Iterable[OutboxEntry], now: float) -> tuple[list[OutboxEntry], list[OutboxEntry]]:
        again: list[OutboxEntry] = []
        expired: list[OutboxEntry] = []
        freed: list[OutboxEntry] = []
        for entry in list(entries):
            if entry.ttl <= 0:
                expired.append(entry)
                freed += self._remove(entry, now)
                continue
            entry.ttl -= 1
            entry.message["ttl"], entry.is_resend = entry.ttl, True
            del entry.channel.in_flight[entry.seq]
            self._launch(entry.channel, entry, now)
            again.append(entry)
        return again + freed, expired

    def _remove(self, entry: OutboxEntry, now: float) -> list[OutboxEntry]:
        del self._by_id[entry.message.id]
        channel = entry.channel
        if channel.in_flight.pop(entry.seq, None):
            channel.size -= entry.size
        else:
            channel.waiting.remove(entry)
            channel.waiting_size -= entry.size
        return self._fill(channel, now)
