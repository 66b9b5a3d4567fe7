"""The script of a pilot's or a child's program: it makes trials, fills streams, and starts and stops its children."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Any

from sim.emulator.session import AppendItem, CloseStream, Command, OpenStream, SendMessage, names_subject
from sim.lab.seeds import share_of
from sim.lab.topology import Machine, Topology

__all__ = ["MachineScript"]

CATCH_UP = 50  # items that one stream may send at once after a pause, before other streams have their turn


class MachineScript:
    """One machine's side of a session. Every method returns commands, in order.

    A session begins once and ends once, however often it is ordered: each order carries the number of its session.
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

    def started(self, value: Any, *, now: float) -> list[Command]:
        """A START arrived. It begins no second task: neither while one runs, nor for a session that already began.

        A repeated START is passed on to the children. They may have missed the first one.
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

    def stopped(self, value: Any, *, now: float) -> list[Command]:
        """A STOP arrived. Ends the streams, stops the children, and tells IDLE when the children have stopped.

        The STOP of a later session ends an earlier one too: its own STOP, and the START of the later, never came.
        Meanwhile a PING asks the station for this machine's state. The station must not have taken it from a child.
        """
        del now
        session = value.get("session") if isinstance(value, dict) else None
        if self.state != "RUNNING" or (session is not None and session < self._session):
            is_this = self.state != "RUNNING" and session is not None and session == self._session
            return self._to_children("STOP", session=session) if is_this else []
        self.state = "IDLE"
        self._timers.clear()
        return [*(CloseStream(name, self._session) for name in self.machine.streams), *self._end()]

    def saved(self) -> dict[str, Any]:
        """What the next life must know, as JSON. `numbers` counts the items that may have been sent, by stream."""
        return {
            "state": self.state,
            "session": self._session,
            "facts": self._facts,
            "trial": self._trial,
            "numbers": dict(self._numbers),
        }

    def resume(self, saved: dict[str, Any], *, now: float) -> list[Command]:
        """Continue where the former life ended. Messages that it may not have sent are sent again."""
        self._session, self._facts, self._trial = saved["session"], saved["facts"], saved["trial"]
        self._subject = str(self._facts.get("subject", ""))
        self._numbers = dict(saved["numbers"])
        if self._session < 0:
            return []
        return self._begin(now) if saved["state"] == "RUNNING" else self._end()

    def handle_timer(self, *, now: float) -> list[Command]:
        """Commands that are due by `now`."""
        commands: list[Command] = []
        while self._timers and self._timers[0][0] <= now:
            at, _, (what, *facts) = heapq.heappop(self._timers)
            if what == "item":
                commands += self._items(now, *facts)
            elif what == "trial":
                commands += self._begin_trial(at)
            else:
                commands.append(self._stage(*facts))
        return commands

    def next_timer(self) -> float | None:
        """When `handle_timer` is due next; None if no timer runs."""
        return self._timers[0][0] if self._timers else None

    def _begin(self, now: float) -> list[Command]:
        self.state = "RUNNING"
        commands: list[Command] = [SendMessage(self.machine.id, "STATE", self.state)]
        commands += self._to_children("START", **self._facts)
        for name, stream in self.machine.streams.items():
            subject = self._subject if names_subject(self._topology, self.machine, name) else None
            commands.append(OpenStream(name, self._session, subject))
            if stream.rate_hz:
                self._later(now, ("item", name, 0, now, math.inf))
        if self.machine.trials:
            self._later(now, ("trial",))
        return commands

    def _end(self) -> list[Command]:
        tell_idle = SendMessage(self.machine.id, "STATE", "IDLE")
        idle: tuple[Command, ...] = (SendMessage(self.machine.id, "PING", then=(tell_idle,)),)
        return self._to_children("STOP", then=idle, session=self._session) or [*idle]

    def _to_children(self, key: str, *, then: tuple[Command, ...] = (), **facts: Any) -> list[Command]:
        if not self.machine.children:
            return []
        return [SendMessage(self.machine.id, "CHILD", {"KEY": key, **facts}, then=then)]

    def _later(self, at: float, what: tuple[Any, ...]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (at, self._count, what))

    def _items(self, now: float, name: str, done: int, begun: float, count: float) -> Iterator[Command]:
        """The items that are due by `now`. Late items are sent at once, so the rate holds over time.

        `done` of `count` items have been sent since `begun`. The bursts of two trials may overlap, so items are
        numbered by stream and not by burst.
        """
        stream = self.machine.streams[name]
        rate = stream.rate_hz or (stream.burst.rate_hz if stream.burst else 1.0)
        most = done + CATCH_UP
        while done < min(count, most) and begun + done / rate <= now:
            number = self._numbers[name]
            self._numbers[name] += 1
            yield AppendItem(name, self._session, number)
            done += 1
        if done < count:
            self._later(begun + done / rate, ("item", name, done, begun, count))

    def _begin_trial(self, at: float) -> list[Command]:
        trials = self.machine.trials
        if trials is None:
            return []
        share = share_of(self._seed, self.machine.id, self._session, self._trial)
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

    def _stage(self, trial: int, stage: int) -> Command:
        trials = self.machine.trials
        share = share_of(self._seed, self.machine.id, trial, stage)
        value = {
            "pilot": self.machine.id,
            "subject": self._subject,
            "session": self._session,
            "trial_num": trial,
            "stage": stage,
            "rt": math.nan if share < 0.2 else round(share, 6),  # NaN: the subject did not answer
            "note": "x" * (trials.bytes if trials else 0),
        }
        return SendMessage(self._topology.terminal.id, "DATA", value)
