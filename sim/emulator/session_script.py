"""The script of the terminal's program: it asks who is there, starts every pilot, graduates some, and stops all."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sim.emulator.session import Command, SendMessage, subject_of
from sim.lab.topology import Machine, Topology

__all__ = ["SessionScript"]


class SessionScript:
    """The terminal's side of a session. Every method returns commands, in order.

    `done` is True when the session is over and all orders were given. An order that is not known to have been handled
    is given again: by this life if it was given up, and by the next life after a restart.
    """

    def __init__(self, topology: Topology, *, seed: int) -> None:
        self._topology = topology
        self._seed = seed
        self._sessions = dict.fromkeys((pilot.id for pilot in topology.pilots), 0)
        self._timers: list[tuple[float, str, str]] = []
        self._open: list[SendMessage] = []  # orders that are not known to have been handled
        self._copies: Counter[tuple[str, str, int]] = Counter()  # of each order: how often it was sent
        self._begun: float | None = None
        self.done = False

    def begin(self, *, now: float) -> list[Command]:
        """INIT, and to every pilot START and what follows it."""
        self._begun = now
        session = self._topology.session
        self._timers = [(now + g.at_s, "graduate", g.pilot) for g in session.graduate]
        self._timers.append((now + session.duration_s, "stop", ""))
        self._timers.sort()
        here = self._topology.terminal.id
        begun = [command for pilot in self._topology.pilots for command in self._begin_task(pilot)]
        return [SendMessage(here, "INIT"), *begun]

    def handle_timer(self, *, now: float) -> list[Command]:
        """Commands that are due by `now`."""
        commands: list[Command] = []
        while self._timers and self._timers[0][0] <= now:
            _, what, pilot = self._timers.pop(0)
            if what == "graduate":
                commands.append(self._order(self._stop(pilot, graduation=True)))
                self._sessions[pilot] += 1
                commands += self._begin_task(self._topology.machine(pilot))
            else:
                self.done = True
                commands.append(SendMessage(self._topology.terminal.id, "MACHINES"))  # while the rigs still run
                commands += [self._order(self._stop(pilot.id)) for pilot in self._topology.pilots]
        return commands

    def next_timer(self) -> float | None:
        """When `handle_timer` is due next; None if no timer runs."""
        return self._timers[0][0] if self._timers else None

    def sent(self, order: SendMessage) -> int:
        """An order is sent, or sent again. Returns the number of this copy."""
        self._copies[_name(order)] += 1
        return self._copies[_name(order)]

    def settled(self, order: SendMessage, *, confirmed: bool, copy: int | None = None) -> list[Command]:
        """An order was handled, or given up. One that was given up is repeated, with all later orders to that pilot.

        Otherwise a repeated START would arrive after the STOP, and the task would never end. The end of an earlier
        `copy` than the last repeats nothing: else each would beget copies of its own, and fill a slow link.
        """
        if order not in self._open or (not confirmed and copy is not None and copy < self._copies[_name(order)]):
            return []
        if confirmed:
            self._open.remove(order)
            return []
        return [later for later in self._open[self._open.index(order) :] if later.to == order.to]

    def saved(self) -> dict[str, Any]:
        """What the next life must know, as JSON."""
        orders = [[order.to, order.key, order.value] for order in self._open]
        timers = [list(timer) for timer in self._timers]
        return {
            "begun": self._begun, "sessions": dict(self._sessions), "timers": timers, "open": orders, "done": self.done
        }

    def resume(self, saved: dict[str, Any], *, now: float) -> list[Command]:
        """Continue where the former life ended. Both lives use the same clock."""
        del now
        self._begun, self._sessions, self.done = saved["begun"], dict(saved["sessions"]), saved["done"]
        self._timers = [(at, what, pilot) for at, what, pilot in saved["timers"]]
        self._open = [SendMessage(to, key, value) for to, key, value in saved["open"]]
        return list(self._open)

    def coherence_questions(self) -> list[Command]:
        """COHERE to every pilot that made trials, for each of its sessions."""
        return [
            SendMessage(pilot.id, "COHERE", {"subject": subject_of(pilot, session), "session": session})
            for pilot in self._topology.pilots
            if pilot.trials is not None and pilot.program is None
            for session in range(self._sessions[pilot.id] + 1)
        ]

    def _order(self, order: SendMessage) -> SendMessage:
        self._open.append(order)
        return order

    def _stop(self, pilot: str, *, graduation: bool = False) -> SendMessage:
        value: dict[str, Any] = {"graduation": True} if graduation else {}
        return SendMessage(pilot, "STOP", {**value, "session": self._sessions[pilot]})

    def _begin_task(self, pilot: Machine) -> list[Command]:
        """START, and right behind it two changes of a parameter: to the pilot, and by way of the terminal's station.

        A lab's own program gets none: it need not know the parameter.
        """
        start = self._order(self._start(pilot))
        if pilot.program is not None:
            return [start]
        home, change = self._topology.terminal.id, {"pilot": pilot.id, "session": start.value["session"], "reward": 5}
        return [start, SendMessage(pilot.id, "PARAM", change), SendMessage(home, "CHANGE", change)]

    def _start(self, pilot: Machine) -> SendMessage:
        session = self._sessions[pilot.id]
        sounds = [{"type": "File", "path": name} for name in pilot.task.get("sounds", [])]
        value = {**pilot.task, "subject": subject_of(pilot, session), "session": session, "pilot": pilot.id}
        if sounds:
            value["stim"] = {"sounds": {"L": sounds}}
        return SendMessage(pilot.id, "START", value)


def _name(order: SendMessage) -> tuple[str, str, int]:
    return order.to, order.key, int(order.value["session"])
