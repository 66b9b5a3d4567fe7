"""PURE. What the emulated programs do in a session: trials, streams, states, and the terminal that conducts them.

Time and what was said come in, acts come out: the same for processes and for the virtual world. Each can say what its
next life must know (`saved`), and go on from there (`resume`), as a program does that keeps notes on its disk.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sim.lab.topology import Machine, Stream, Topology
from sim.scenario.payloads import frame

__all__ = ["Act", "Close", "Conductor", "Item", "Open", "Rig", "Say", "item_of", "route_of", "seed_of", "stream_name"]

CATCH_UP = 50  # items of one stream sent in one go after a pause, before others have their turn


class Say(Struct, frozen=True):
    """Send a message, confirmed; once it is, do what comes `then`."""

    to: str
    key: str
    value: Any = None
    then: tuple[Say | Open | Item | Close, ...] = ()


class Open(Struct, frozen=True):
    """Open a stream."""

    stream: str
    session: int


class Item(Struct, frozen=True):
    """Append item `n` to a stream."""

    stream: str
    session: int
    n: int


class Close(Struct, frozen=True):
    """End a stream."""

    stream: str
    session: int


Act = Say | Open | Item | Close


class Rig:
    """The program of one pilot or child, as far as a session goes. Every method returns acts, in order.

    A session is begun once and ended once, whoever says so again: an order carries the number of its session.
    """

    def __init__(self, topology: Topology, machine: Machine, *, seed: int) -> None:
        self.machine = machine
        self.state = "IDLE"
        self._topology = topology
        self._seed = seed
        self._session = -1
        self._subject = ""
        self._facts: dict[str, Any] = {}
        self._timers: list[tuple[float, int, tuple[Any, ...]]] = []
        self._count = 0
        self._numbers: dict[str, int] = {}
        self._trial = 0

    def started(self, value: Any, *, now: float) -> list[Act]:
        """A START came. One that comes while a task runs, or again, begins none: it would be a second task.

        But the children may lack it: then what it says to them was given up, and it is said again.
        """
        facts = value if isinstance(value, dict) else {}
        session = int(facts.get("session", 0))
        if self.state == "RUNNING" or session <= self._session:
            is_this = self.state == "RUNNING" and session == self._session
            return self._to_children("START", **self._facts) if is_this else []
        self._session = session
        self._subject = str(facts.get("subject", ""))
        self._facts = facts
        self._numbers = dict.fromkeys(self.machine.streams, 0)
        return self._begin(now)

    def stopped(self, value: Any, *, now: float) -> list[Act]:
        """A STOP came: end the streams, stop the children, and only when they have stopped, be idle.

        In between the station is asked for our state, which it must not have taken from a child.
        """
        del now
        session = value.get("session") if isinstance(value, dict) else None
        if self.state != "RUNNING" or session not in (None, self._session):
            is_this = self.state != "RUNNING" and session is not None and session == self._session
            return self._to_children("STOP", session=session) if is_this else []
        self.state = "IDLE"
        self._timers.clear()
        return [*(Close(name, self._session) for name in self.machine.streams), *self._end()]

    def saved(self) -> dict[str, Any]:
        """What the next life must know. `numbers` are of the items that may have been sent."""
        return {
            "state": self.state,
            "session": self._session,
            "facts": self._facts,
            "trial": self._trial,
            "numbers": dict(self._numbers),
        }

    def resume(self, saved: dict[str, Any], *, now: float) -> list[Act]:
        """Go on where the former life was ended. What it may not have come to say is said again."""
        self._session, self._facts, self._trial = saved["session"], saved["facts"], saved["trial"]
        self._subject = str(self._facts.get("subject", ""))
        self._numbers = dict(saved["numbers"])
        if self._session < 0:
            return []
        return self._begin(now) if saved["state"] == "RUNNING" else self._end()

    def _begin(self, now: float) -> list[Act]:
        self.state = "RUNNING"
        acts: list[Act] = [Say(self.machine.id, "STATE", self.state)]
        acts += self._to_children("START", **self._facts)
        for name, stream in self.machine.streams.items():
            acts.append(Open(name, self._session))
            if stream.rate_hz:
                self._later(now, ("item", name, 0, now, math.inf))
        if self.machine.trials:
            self._later(now, ("trial",))
        return acts

    def _end(self) -> list[Act]:
        idle: tuple[Act, ...] = (Say(self.machine.id, "PING", then=(Say(self.machine.id, "STATE", "IDLE"),)),)
        return self._to_children("STOP", then=idle, session=self._session) or [*idle]

    def _to_children(self, key: str, *, then: tuple[Act, ...] = (), **facts: Any) -> list[Act]:
        return [Say(self.machine.id, "CHILD", {"KEY": key, **facts}, then=then)] if self.machine.children else []

    def handle_timer(self, *, now: float) -> list[Act]:
        """What is due by now."""
        acts: list[Act] = []
        while self._timers and self._timers[0][0] <= now:
            at, _, (what, *facts) = heapq.heappop(self._timers)
            if what == "item":
                acts += self._items(now, *facts)
            elif what == "trial":
                acts += self._begin_trial(at)
            else:
                acts.append(self._stage(*facts))
        return acts

    def next_timer(self) -> float | None:
        """When something is due."""
        return self._timers[0][0] if self._timers else None

    def _later(self, at: float, what: tuple[Any, ...]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (at, self._count, what))

    def _items(self, now: float, name: str, done: int, begun: float, count: float) -> Iterator[Act]:
        """Items by the clock: one that comes late is sent at once, and the rate holds over time.

        `done` of `count` are sent of what `begun` then. Bursts of two trials may overlap, so the number an item gets is
        the stream's own.
        """
        stream = self.machine.streams[name]
        rate = stream.rate_hz or (stream.burst.rate_hz if stream.burst else 1.0)
        most = done + CATCH_UP
        while done < min(count, most) and begun + done / rate <= now:
            number = self._numbers[name]
            self._numbers[name] += 1
            yield Item(name, self._session, number)
            done += 1
        if done < count:
            self._later(begun + done / rate, ("item", name, done, begun, count))

    def _begin_trial(self, at: float) -> list[Act]:
        trials = self.machine.trials
        if trials is None:
            return []
        share = _share(self._seed, self.machine.id, self._session, self._trial)
        low, high = trials.every_s
        takes = (low + share * (high - low)) / self._topology.session.pace
        for stage in range(trials.stages):
            self._later(at + takes * stage / trials.stages, ("stage", self._trial, stage))
        for name, stream in self.machine.streams.items():
            if stream.burst:
                self._later(at, ("item", name, 0, at, stream.burst.n))
        self._trial += 1
        self._later(at + takes, ("trial",))
        return []

    def _stage(self, trial: int, stage: int) -> Act:
        trials = self.machine.trials
        share = _share(self._seed, self.machine.id, trial, stage)
        value = {
            "pilot": self.machine.id,
            "subject": self._subject,
            "session": self._session,
            "trial_num": trial,
            "stage": stage,
            "rt": math.nan if share < 0.2 else round(share, 6),  # no answer, no reaction time
            "note": "x" * (trials.bytes if trials else 0),
        }
        return Say(self._topology.terminal.id, "DATA", value)


class Conductor:
    """The program of the terminal: asks who is there, starts every pilot, graduates some, stops all.

    `done`: the session is over, all that it needed was said. What the terminal ordered and is not known to have been
    handled, its next life orders again; and so does this one, if it was given up.
    """

    def __init__(self, topology: Topology, *, seed: int) -> None:
        self._topology = topology
        self._seed = seed
        self._sessions = dict.fromkeys((pilot.id for pilot in topology.pilots), 0)
        self._timers: list[tuple[float, str, str]] = []
        self._open: list[Say] = []  # orders that are not known to have been handled
        self._begun: float | None = None
        self.done = False

    def begin(self, *, now: float) -> list[Act]:
        """INIT, and START to every pilot."""
        self._begun = now
        session = self._topology.session
        self._timers = [(now + g.at_s, "graduate", g.pilot) for g in session.graduate]
        self._timers.append((now + session.duration_s, "stop", ""))
        self._timers.sort()
        here = self._topology.terminal.id
        return [Say(here, "INIT"), *(self._order(self._start(pilot)) for pilot in self._topology.pilots)]

    def handle_timer(self, *, now: float) -> list[Act]:
        """What is due by now."""
        acts: list[Act] = []
        while self._timers and self._timers[0][0] <= now:
            _, what, pilot = self._timers.pop(0)
            if what == "graduate":
                acts.append(self._order(self._stop(pilot, graduation=True)))
                self._sessions[pilot] += 1
                acts.append(self._order(self._start(self._topology.machine(pilot))))
            else:
                self.done = True
                acts += [self._order(self._stop(pilot.id)) for pilot in self._topology.pilots]
        return acts

    def next_timer(self) -> float | None:
        """When something is due."""
        return self._timers[0][0] if self._timers else None

    def settled(self, order: Say, *, confirmed: bool) -> list[Act]:
        """An order was handled; or it was given up, and is given again, with what came after it to the same pilot.

        Else a START that was given up would come after the STOP, and the task would never end.
        """
        if order not in self._open:
            return []
        if confirmed:
            self._open.remove(order)
            return []
        return [later for later in self._open[self._open.index(order) :] if later.to == order.to]

    def saved(self) -> dict[str, Any]:
        """What the next life must know."""
        orders = [[order.to, order.key, order.value] for order in self._open]
        timers = [list(timer) for timer in self._timers]
        return {
            "begun": self._begun, "sessions": dict(self._sessions), "timers": timers, "open": orders, "done": self.done
        }

    def resume(self, saved: dict[str, Any], *, now: float) -> list[Act]:
        """Go on where the former life was ended: `now` is of the same clock."""
        del now
        self._begun, self._sessions, self.done = saved["begun"], dict(saved["sessions"]), saved["done"]
        self._timers = [(at, what, pilot) for at, what, pilot in saved["timers"]]
        self._open = [Say(to, key, value) for to, key, value in saved["open"]]
        return list(self._open)

    def questions(self) -> list[Act]:
        """COHERE to every pilot that made trials, for each of its sessions."""
        return [
            Say(pilot.id, "COHERE", {"subject": subject_of(pilot, session), "session": session})
            for pilot in self._topology.pilots
            if pilot.trials is not None and pilot.program is None
            for session in range(self._sessions[pilot.id] + 1)
        ]

    def _order(self, order: Say) -> Say:
        self._open.append(order)
        return order

    def _stop(self, pilot: str, *, graduation: bool = False) -> Say:
        value: dict[str, Any] = {"graduation": True} if graduation else {}
        return Say(pilot, "STOP", {**value, "session": self._sessions[pilot]})

    def _start(self, pilot: Machine) -> Say:
        session = self._sessions[pilot.id]
        sounds = [{"type": "File", "path": name} for name in pilot.task.get("sounds", [])]
        value = {**pilot.task, "subject": subject_of(pilot, session), "session": session, "pilot": pilot.id}
        if sounds:
            value["stim"] = {"sounds": {"L": sounds}}
        return Say(pilot.id, "START", value)


def subject_of(pilot: Machine, session: int) -> str:
    """Subjects take turns, a session each."""
    return pilot.subjects[session % len(pilot.subjects)] if pilot.subjects else f"{pilot.id}_subject"


def stream_name(machine: str, stream: str, session: int) -> str:
    """What an item says it belongs to."""
    return f"{machine}/{stream}/{session}"


def route_of(topology: Topology, machine: Machine, stream: Stream) -> tuple[str, str]:
    """Where a stream is sent, and under which key: to somebody's program, to the terminal, or through the parent."""
    if stream.to is not None and stream.to != topology.terminal.id:
        return stream.to, "STREAM_VIDEO"
    if stream.to is None and machine.parent != topology.terminal.id:
        return str(machine.parent), "CONTINUOUS"
    return topology.terminal.id, "CONTINUOUS"


def item_of(seed: int, machine: str, name: str, stream: Stream, session: int, n: int) -> dict[str, Any]:
    """Item `n` of a stream: the same whoever asks, so that what arrives can be held against it bit for bit."""
    head = {"stream": stream_name(machine, name, session), "n": n}
    if stream.shape is not None:
        own = seed_of(seed, machine, name)
        picture = frame(stream.dtype or "uint8", stream.shape, seed=own, n=n, content=stream.content)
        return {**head, "frame": picture}
    if stream.fields:
        return {**{field: math.sin(n / 40 + k) for k, field in enumerate(stream.fields)}, **head}
    return {**head, "text": "y" * (stream.bytes or 0)}


def seed_of(seed: int, *names: object) -> int:
    """A seed of its own for whatever has these names."""
    return int.from_bytes(hashlib.blake2b(repr((seed, *names)).encode(), digest_size=6).digest(), "big")


def _share(seed: int, *names: object) -> float:
    return seed_of(seed, *names) / 2**48
