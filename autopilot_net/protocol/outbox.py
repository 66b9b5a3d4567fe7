"""Confirmed delivery, the sending half: numbers, the window, repeats, patience, expiry. Its twin is `inbox.py`.

Each recipient has a channel of its own. On it every message that awaits confirmation has a number (`seq`), and each
transmission also says the lowest number that may still be repeated (`low`), which is all a recipient needs to keep
order and to forget. Where a message goes is not known here; whether its path is up is told (`open`, `close`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.outbox_channel import OutboxEntry, RecipientChannel, RepeatBudget, Window

__all__ = ["Outbox"]

WAITS = 2  # times the slowest recent confirmation must pass before a message is repeated
LONGEST_S = 60.0


class Outbox:
    """All channels of one sender. Every method that returns entries means: transmit these, now, in this order."""

    def __init__(self, *, incarnation: str, repeat_interval: float, window: Window) -> None:
        self.incarnation = incarnation
        self.repeat_interval = repeat_interval
        self.window = window
        self._channels: dict[str, RecipientChannel] = {}
        self._by_id: dict[str, OutboxEntry] = {}
        self._budget = RepeatBudget(repeat_interval)
        self._due: list[tuple[float, str]] = []  # at most one per channel with messages under way
        self._bounded: list[tuple[float, str]] = []  # (when its time is up, message id)

    def restore(self, saved: Saved, *, epoch: float) -> None:
        """Begin with what a former life had yet to deliver, under the numbers that it had; `epoch` as in Endpoint."""
        for recipient, next_seq in saved.next_seq.items():
            self._channels[recipient] = RecipientChannel(recipient, is_open=False)
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
            channel = self._channels[recipient] = RecipientChannel(recipient, is_open=is_open)
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
        """`recipient` lacks the numbers `first` to `last`. At ttl 0 none is sent again: a copy may be under way."""
        channel = self._channels.get(recipient)
        if channel is None or not channel.open or not self._is_mine(re):
            return []
        lacking = [e for e in channel.in_flight.values() if first <= e.seq <= last and e.ttl > 0]
        return self._repeat(lacking, now)[0]

    def nudge(self, recipient: str) -> list[OutboxEntry]:
        """Send the oldest message under way again: its `low` tells `recipient` that what it lacks will not come."""
        channel = self._channels[recipient]
        oldest = channel.in_flight.get(channel.low()) if channel.open else None
        if oldest is None:
            return []
        oldest.is_resend = True
        return [oldest]

    # -- what time and the path do -------------------------------------------------------------------------------

    def open(self, recipient: str, *, now: float) -> list[OutboxEntry]:
        """The path is up again: everything unconfirmed is sent at once, in order. This costs no ttl."""
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
        """The path was only late: unconfirmed messages are still on it, and fall due later; waiting ones are sent."""
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
        """The messages to send now, and those that have expired: their repeats, or their time, are used up.

        `is_stuck` tells of an id whether messages on its path wait in a full pipe, or unread at the next neighbour.
        Those are still under way, and are not repeated.
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
        """When something may fall due. It may turn out that nothing has."""
        if self._due and self._bounded:
            return min(self._due[0][0], self._bounded[0][0])
        return self._due[0][0] if self._due else self._bounded[0][0] if self._bounded else None

    # -- below ---------------------------------------------------------------------------------------------------

    def _append(self, channel: RecipientChannel, entry: OutboxEntry, expires_at: float | None) -> None:
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

    def _fill(self, channel: RecipientChannel, now: float) -> list[OutboxEntry]:
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

    def _affordable(self, channel: RecipientChannel, now: float) -> list[OutboxEntry]:
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

    def _launch(self, channel: RecipientChannel, entry: OutboxEntry, now: float) -> None:
        # A recipient whose answers are late is alive, and busy: repeats would only add to its load.
        entry.due = now + max(self.repeat_interval, min(WAITS * channel.slowest, LONGEST_S))
        channel.in_flight[entry.seq] = entry
        self._arm(channel)

    def _arm(self, channel: RecipientChannel, at: float | None = None) -> None:
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
