"""What faults do to a virtual lab: machines die, stand still and come back. Links are struck by `connections.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from autopilot_net import Delivery
from autopilot_net.codec import head
from autopilot_net.message import Message
from sim.emulator.sender import Sender
from sim.faults.actions import Action
from sim.lab.fault import ACTION_VERBS
from sim.virtual.connections import Wire, Wires
from sim.virtual.event_loop import Loop
from sim.virtual.journal import VirtualWriter
from sim.virtual.machines import Station
from sim.virtual.programs import Running, VirtualProgram

__all__ = ["VirtualFaults"]

CRASH_US = (200_000, 300_000)  # when a station that is told to is killed in its handler, and when it is back


class VirtualFaults:
    """Does the actions of faults, and writes down each before it is done.

    `restart` starts what of a machine is dead.
    """

    def __init__(
        self,
        loop: Loop,
        journal: VirtualWriter,
        running: Running,
        wires: Wires,
        restart: Callable[[str, str], None],
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._running = running
        self._wires = wires
        self._restart = restart
        self._crashed: set[tuple[str, int]] = set()

    def doing(self, action: Action) -> Callable[[], None]:
        """What does `action`, when it is called."""
        return lambda: self.do(action)

    def do(self, action: Action) -> None:
        """Do it now."""
        told = {name: value for name, value in msgspec.to_builtins(action).items() if name not in ("verb", "target")}
        told |= {"what": action.what, "way": action.way, "fault": action.fault}
        self._journal.write("fault", key=action.verb, to=action.target, value=told)
        if ACTION_VERBS[action.verb].on == "link":
            self._wires.strike(action)
        elif action.verb == "restart":
            self._restart(action.target, action.what)
        else:
            self._signal(action)

    def lost(self, verb: str, wire: Wire, up: bool, payload: bytes) -> None:
        """A message was lost, or doubled, on a wire."""
        told = head(payload)
        ends = (wire.lower.endpoint.id, wire.upper_id)
        self._journal.write(
            "frame",
            key=verb,
            to=wire.link.name,
            sender=ends[0] if up else ends[1],
            id=told.id if told is not None else "",
            value={"to": ends[1] if up else ends[0]},
        )

    def crashing(self, machine: str, sender: Sender) -> Callable[[Message], Any]:
        """A listen of the station `machine`, in which it is killed, once, and started again."""

        def crash(message: Message) -> Any:
            example = message.value["example"]
            sender.heard(message, "began", example=example)
            if (message.sender, example) in self._crashed:
                sender.heard(message, example=example)
                return None
            self._crashed.add((message.sender, example))
            for verb, us in zip(("kill", "restart"), CRASH_US, strict=True):
                action = msgspec.convert({"at_us": 0, "verb": verb, "target": machine, "what": "station"}, Action)
                self._loop.after(us, self.doing(action))
            return Delivery("a handler that comes to no end", machine)

        return crash

    def _signal(self, action: Action) -> None:
        who: list[Station | VirtualProgram | None] = []
        if action.what != "station":
            who.append(self._running.programs.get(action.target))
        if action.what != "program":
            who.append(self._running.stations.get(action.target))
        for one in who:
            if one is not None and not one.process.dead:
                self._signal_one(one, action.verb)
        if action.verb == "resume":
            self._wires.kick(action.target)

    def _signal_one(self, who: Station | VirtualProgram, verb: str) -> None:
        process, peers = who.process, [who] if isinstance(who, Station) else list(who.nodes)
        if verb == "kill":
            process.dead, process.paused = True, False
            for peer in peers:
                peer.end()
        elif verb == "pause" and not process.paused:
            process.paused, process.since_us = True, self._loop.now_us
            Wires.watch(line.wire for peer in peers for line in peer.lines)
        elif verb == "resume" and process.paused:
            process.resume()
