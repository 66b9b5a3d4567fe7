"""A situation: everything about a small lab at one moment, as one immutable value. And the steps that may follow.

A link behaves as a TCP connection does. It keeps order. When it breaks, each end notices that in its own time, after
what it still gets. The lower end connects again.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from sim.exhaustive.small_labs import SmallLab

__all__ = ["Cable", "Frames", "Ledger", "Situation", "SmallStep", "is_calm", "steps_from"]

Frames = tuple[bytes, ...]
Sent = tuple[int, Frames | None]  # the number of a connection, and what was sent by it; None: it has ended


class SmallStep(Struct, frozen=True, order=True):
    """One step: `deliver up cam` hands on the first message on the link from cam to its parent."""

    what: str  # deliver, handle, send, connect, timer; and the faults drop, copy, break, restart
    where: str = ""  # a station; a link has the id of its lower one
    way: str = ""  # up or down, of a link

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.way, self.where) if part)


FAULTS = ("drop", "copy", "break", "restart")


class Cable(Struct, frozen=True):
    """The link from one station up to its parent."""

    conn: int = 0  # the number of its last connection
    is_up: bool = False  # whether the lower end believes that it is connected
    known: int = 0  # the connection that the upper end knows; 0: none
    is_broken: bool = False  # what is sent by it is lost, whatever the ends believe
    up: tuple[Sent, ...] = ()
    down: tuple[Sent, ...] = ()


class Ledger(Struct, frozen=True):
    """What was promised and kept so far: see `promises.py`."""

    ends: tuple[str, ...]  # of each message of the lab: "", confirmed, given up, or its sender died
    lives: tuple[int, ...]  # of each message: the life of its sender; 0: not sent yet
    begun: tuple[tuple[str, int, int], ...] = ()  # station, its life, the message that its handler was given; in order
    done: tuple[tuple[str, int], ...] = ()  # station, the message that its handler is done with


class Situation(Struct, frozen=True):
    """One moment of a small lab."""

    now: float
    stations: tuple[bytes, ...]  # each as `play.py` packs it
    lives: tuple[int, ...]  # the number of the present life of each
    dues: tuple[float | None, ...]  # when the next timer of each is due
    pending: tuple[tuple[tuple[int, int], ...], ...]  # of each: tickets and messages that wait for their handler
    cables: dict[str, Cable]  # by the lower station
    ledger: Ledger
    faults: int  # so many may yet happen
    early: int


def steps_from(lab: SmallLab, at: Situation) -> list[SmallStep]:
    """Every step that may be next, those without a fault first."""
    sound = [*_deliveries(at), *_own(lab, at), *_connects(at)]
    timer = any(due is not None for due in at.dues) and (not sound or at.early > 0)
    return [*sound, *([SmallStep("timer")] if timer else []), *(_faults(lab, at) if at.faults else ())]


def is_calm(lab: SmallLab, at: Situation) -> bool:
    """Whether nothing can happen but by a timer or a fault."""
    return not any(True for steps in (_deliveries(at), _own(lab, at), _connects(at)) for _ in steps)


def _deliveries(at: Situation) -> Iterator[SmallStep]:
    for name, cable in at.cables.items():
        if cable.up:
            yield SmallStep("deliver", name, "up")
        if cable.down:
            yield SmallStep("deliver", name, "down")


def _own(lab: SmallLab, at: Situation) -> Iterator[SmallStep]:
    """What the programs of the stations do: a handler is done, or the next message is sent."""
    for name, pending in zip(lab.parents, at.pending, strict=True):
        if pending:
            yield SmallStep("handle", name)
    senders = dict.fromkeys(send.frm for send, life in zip(lab.sends, at.ledger.lives, strict=True) if not life)
    yield from (SmallStep("send", name) for name in senders)


def _connects(at: Situation) -> Iterator[SmallStep]:
    yield from (SmallStep("connect", name) for name, cable in at.cables.items() if not cable.is_up)


def _faults(lab: SmallLab, at: Situation) -> Iterator[SmallStep]:
    """Probes are neither lost nor doubled by themselves, but with their connection."""
    for name, cable in at.cables.items():
        for way, sent in (("up", cable.up), ("down", cable.down)):
            if sent and sent[0][1] is not None and sent[0][1][-1]:
                yield SmallStep("drop", name, way)
                yield SmallStep("copy", name, way)
        if cable.is_up and cable.known == cable.conn and not cable.is_broken:
            yield SmallStep("break", name)
    yield from (SmallStep("restart", name) for name in lab.parents)
