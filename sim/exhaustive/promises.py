"""What the library promises, held against every effect of a small lab, and against the situation in which it ends.

- A message is handled at most once in one life of its recipient, and in the order in which its sender sent it. In a
  later life it comes again only if it says so; a durable recipient is done with it for good.
- What is confirmed was handled. Each message is confirmed or given up, once. None is given up while fewer things went
  wrong than it has repeats.
- Nothing is lost without being told: in the end every message of a sender that lives is confirmed or given up.
"""

from __future__ import annotations

from msgspec.structs import replace

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Confirmed, Effect, Expired
from sim.exhaustive.situation import Ledger, Situation, is_calm
from sim.exhaustive.small_labs import SmallLab

__all__ = [
    "PREFIX",
    "BrokenPromiseError",
    "begin",
    "die",
    "done",
    "end",
    "endless",
    "is_over",
    "number_of",
    "unsettled",
]

PREFIX = "m"  # the messages of a small lab are m1, m2, …


class BrokenPromiseError(Exception):
    """Something broke. `check` is the promise, and `number` the message that it is about; 0: none."""

    def __init__(self, check: str, text: str, number: int = 0) -> None:
        super().__init__(text)
        self.check = check
        self.number = number


def number_of(id: str) -> int:
    """The number of a message of the lab; 0 for any other."""
    digits = id.removeprefix(PREFIX)
    return int(digits) if id.startswith(PREFIX) and digits.isdecimal() else 0


def begin(lab: SmallLab, ledger: Ledger, station: str, life: int, message: Message) -> Ledger:
    """A handler is given a message."""
    number = number_of(message.id)
    sender = lab.sends[number - 1].frm
    same = [begun for begun in ledger.begun if begun[0] == station and lab.sends[begun[2] - 1].frm == sender]
    before = [n for _, then, n in same if then == life]
    if number in before:
        raise BrokenPromiseError("twice", f"{station} handles m{number} twice in one life", number)
    sent_by = ledger.lives[number - 1]
    later = [n for n in before if n > number and ledger.lives[n - 1] == sent_by]
    if later:
        raise BrokenPromiseError("order", f"{station} handles m{number} after m{later[-1]}", number)
    if any(n == number for _, _, n in same) and not message.redelivered:
        raise BrokenPromiseError("redelivered", f"{station} handles m{number} again and is not told so", number)
    if station in lab.durable and (station, number) in ledger.done:
        raise BrokenPromiseError("durable", f"{station} is durable and handles m{number} again", number)
    return replace(ledger, begun=(*ledger.begun, (station, life, number)))


def done(ledger: Ledger, station: str, number: int) -> Ledger:
    """A handler is done with a message."""
    return ledger if (station, number) in ledger.done else replace(ledger, done=(*ledger.done, (station, number)))


def end(lab: SmallLab, at: Situation, ledger: Ledger, effect: Effect) -> Ledger:
    """A message is confirmed or given up."""
    if not isinstance(effect, Confirmed | Expired) or not (number := number_of(effect.id)):
        return ledger
    was = ledger.ends[number - 1]
    said = "confirmed" if isinstance(effect, Confirmed) else "given up"
    if was:
        raise BrokenPromiseError("once", f"m{number} is {said}, and was {was} before", number)
    if said == "confirmed" and (lab.sends[number - 1].to, number) not in ledger.done:
        raise BrokenPromiseError("confirm", f"m{number} is confirmed, and no handler is done with it", number)
    went_wrong = lab.faults - at.faults + lab.early - at.early
    if isinstance(effect, Expired) and went_wrong <= lab.ttl:
        text = f"m{number} is given up after {went_wrong} mishaps, with {lab.ttl} repeats: {effect.reason}"
        raise BrokenPromiseError("patience", text, number)
    return _ended(ledger, number, said)


def die(lab: SmallLab, ledger: Ledger, station: str) -> Ledger:
    """A station dies. If it is not durable, nobody promises anything any more of what it sent."""
    for number, send in enumerate(lab.sends, 1):
        is_open = ledger.lives[number - 1] and not ledger.ends[number - 1]
        if send.frm == station and is_open and station not in lab.durable:
            ledger = _ended(ledger, number, "its sender died")
    return ledger


def unsettled(at: Situation) -> list[int]:
    """The messages that were sent, and are neither confirmed nor given up."""
    pairs = zip(at.ledger.lives, at.ledger.ends, strict=True)
    return [number for number, (life, said) in enumerate(pairs, 1) if life and not said]


def _ended(ledger: Ledger, number: int, said: str) -> Ledger:
    return replace(ledger, ends=(*ledger.ends[: number - 1], said, *ledger.ends[number:]))


def is_over(lab: SmallLab, at: Situation) -> bool:
    """Whether all is settled, and nothing is under way. Raises `BrokenPromiseError` if nothing will ever settle it."""
    if not is_calm(lab, at):
        return False
    open_still = unsettled(at)
    if open_still and all(due is None for due in at.dues):
        text = f"m{open_still[0]} is neither confirmed nor given up, and nothing will happen any more"
        raise BrokenPromiseError("told", text, open_still[0])
    return not open_still


def endless(at: Situation) -> BrokenPromiseError:
    """What breaks if the same situation comes again and again."""
    number = next(iter(unsettled(at)), 0)
    told = f"m{number} is never settled: " if number else ""
    return BrokenPromiseError("ends", f"{told}the same happens again and again", number)
