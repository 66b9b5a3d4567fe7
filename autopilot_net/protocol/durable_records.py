"""What outlives a restart, as values: what is to be delivered, and what was handled. Nothing is written here.

A durable endpoint asks for a record to be kept by `Store`, and to be deleted by `Forget`. A store that does this can
give back, as `Saved`, what the next life begins with. A store has to do no more than `Saved` does.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

__all__ = ["Handled", "Kept", "Life", "Record", "Saved", "SeenUnnumbered"]

LIVES = 4  # former lives of one sender that are remembered: their late frames must not look new
REMEMBER = 10_000  # messages of Autopilot's own that are remembered, as many as in one life

Life = tuple[str, str, str]  # sender, recipient, and the sender's incarnation


class Kept(Struct, frozen=True):
    """A message that awaits its confirmation. `body` is the message without the numbers that change as it is sent."""

    to: str
    seq: int
    id: str
    hops: tuple[str, ...]
    body: bytes
    ttl: int
    until: float | None = None  # wall-clock time, in seconds, at which it expires


class Handled(Struct, frozen=True):
    """Number `seq` of one life of a sender was handled. Nothing below `low` will come again.

    With `waits`, it counts as handled when these messages of ours are settled; `id` and `via` then say whom to tell. If
    it was refused, `why` says the reason.
    """

    sender: str
    to: str
    inc: str
    seq: int
    low: int
    failed: bool = False
    waits: tuple[str, ...] = ()
    id: str = ""
    via: tuple[str, ...] = ()
    why: str = ""

    @property
    def life(self) -> Life:
        """Whose number it is."""
        return (self.sender, self.to, self.inc)


class SeenUnnumbered(Struct, frozen=True):
    """A message without a number, from Autopilot's own, has been handled."""

    sender: str
    id: str
    timestamp: str


Record = Kept | Handled | SeenUnnumbered


class Saved(Struct):
    """What one endpoint's next life begins with."""

    incarnation: str
    next_seq: dict[str, int] = field(default_factory=dict)  # recipient -> the number after the last that was given
    kept: dict[tuple[str, int], Kept] = field(default_factory=dict)
    handled: dict[Life, dict[int, Handled]] = field(default_factory=dict)
    seen: dict[SeenUnnumbered, None] = field(default_factory=dict)

    def store(self, record: Record) -> None:
        """Keep `record`, and let go of what it makes needless."""
        if isinstance(record, Kept):
            self.kept[record.to, record.seq] = record
            self.next_seq[record.to] = max(record.seq + 1, self.next_seq.get(record.to, 1))
        elif isinstance(record, Handled):
            life = {**self.handled.pop(record.life, {}), record.seq: record}  # popped, since the latest is to be last
            self.handled[record.life] = {seq: one for seq, one in life.items() if seq >= record.low}
        else:
            self.seen[record] = None
            if len(self.seen) > REMEMBER:
                del self.seen[next(iter(self.seen))]

    def prune(self) -> list[Life]:
        """Delete all but the last `LIVES` lives of each sender, as one life of ours would have; the deleted ones."""
        later: Counter[tuple[str, str]] = Counter()
        gone = []
        for life in reversed(list(self.handled)):
            later[life[:2]] += 1
            if later[life[:2]] > LIVES and not any(record.waits for record in self.handled[life].values()):
                gone.append(life)
                del self.handled[life]
        return gone

    def forget(self, to: str, seq: int) -> None:
        """Message `seq` to `to` is settled."""
        self.kept.pop((to, seq), None)
