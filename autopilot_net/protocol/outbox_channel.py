"""What awaits confirmation from one recipient: its messages, how many may be under way, and be repeated."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from autopilot_net.codec import closed, opened, whole
from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Kept
from autopilot_net.protocol.numbers import as_int

__all__ = ["OutboxEntry", "RecipientChannel", "RepeatBudget", "Window"]

FADES = 0.9  # the slowest confirmation fades by this factor with each that is faster
REPEAT_SHARE = 0.2  # repeats that each first transmission allows
REPEAT_FLOOR = 256  # repeats allowed in each repeat interval in any case


class Window(Struct, frozen=True):
    """How much may be under way to one recipient, unconfirmed: messages, and bytes of them as they are encoded.

    One message always may, whatever its size. Beyond the window, `send` waits, raises `WindowFull` or queues.
    """

    messages: int = 1_000
    size_bytes: int = 8 << 20


class OutboxEntry:
    """One message that awaits confirmation. It is encoded once, but for the tail that changes with each sending."""

    __slots__ = (
        *("is_resend", "body", "channel", "due", "hops", "is_first", "message", "patience", "sent_at", "seq", "ttl"),
        "until",
    )

    def __init__(self, message: Message, hops: tuple[str, ...], *, pack: bool) -> None:
        self.message = message
        self.hops = hops
        self.ttl = self.patience = _ttl_of(message)
        del message["ttl"]
        self.body = opened(message.serialize(pack=pack))
        message["ttl"] = self.ttl
        self.channel: RecipientChannel
        self.seq = 0
        self.due = self.sent_at = 0.0
        self.until: float | None = None  # when its time is up
        self.is_resend = False
        self.is_first = True  # whether this life has yet to send it

    @classmethod
    def kept(cls, record: Kept) -> OutboxEntry:
        """What a former life had yet to deliver. It may have been sent, and says so when it is sent now."""
        entry = cls.__new__(cls)
        entry.message = Message(whole(record.body))
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
        return closed(self.body, ttl=self.ttl, seq=self.seq, low=self.channel.low(), again=self.is_resend)


def _ttl_of(message: Message) -> int:
    ttl = as_int(message.get("ttl"))
    if ttl is None:
        told = f"message {message.id} has the ttl {message.get('ttl')!r}"
        raise BadMessage(f"{told}: how often it may be repeated is a whole number, from 0 on")
    return ttl


class RecipientChannel:
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
        self.seqs: deque[int] = deque()  # ascending; may begin with numbers that are settled already
        self.size = 0  # of what is under way
        self.doubted = 0.0  # how long a confirmation counts at most, if its message was repeated
        self.slowest = 0.0  # the slowest recent confirmation, in seconds
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


class RepeatBudget:
    """How many messages may be repeated by the clock. Repeats must not add to the load of a lab that is late.

    Beyond the budget, only the oldest message of each channel is repeated. The others keep their ttl, and wait.
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
