"""Carries out faults in a virtual lab: kills, pauses and restarts processes. `connections.py` strikes the links."""

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
from sim.virtual.event_loop import Loop
from sim.virtual.journal import VirtualWriter
from sim.virtual.machines import Station
from sim.virtual.programs import Running, VirtualProgram
from sim.virtual.wires.connections import Wire, Wires

__all__ = ["VirtualFaults"]

CRASH_US = (200_000, 300_000)  # from CRASH to the kill of the station, and to its restart


class VirtualFaults:
    """Carries out the actions of faults. It journals each first.

    `restart(machine, what)` starts the dead processes of a machine.
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
        """A call that carries out `action`."""
        return lambda: self.do(action)

    def do(self, action: Action) -> None:
        """Carry out `action` now."""
        facts = {name: value for name, value in msgspec.to_builtins(action).items() if name not in ("verb", "target")}
        facts |= {"what": action.what, "way": action.way, "fault": action.fault}
        self._journal.write("fault", key=action.verb, to=action.target, value=facts)
        if ACTION_VERBS[action.verb].on == "link":
            self._wires.strike(action)
        elif action.verb == "restart":
            self._restart(action.target, action.what)
        else:
            self._signal(action)

    def lost(self, verb: str, wire: Wire, up: bool, payload: bytes) -> None:
        """Journal that a message was dropped or duplicated on a wire. `up` is its direction."""
        message_head = head(payload)
        ends = (wire.lower.endpoint.id, wire.upper_id)
        self._journal.write(
            "frame",
            key=verb,
            to=wire.link.name,
            sender=ends[0] if up else ends[1],
            id=message_head.id if message_head is not None else "",
            value={"to": ends[1] if up else ends[0]},
        )

    def crashing(self, machine: str, sender: Sender) -> Callable[[Message], Any]:
        """A listen of the station `machine`. For each CRASH the station is killed once in it, and then restarted."""

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
        targets: list[Station | VirtualProgram | None] = []
        if action.what != "station":
            targets.append(self._running.programs.get(action.target))
        if action.what != "program":
            targets.append(self._running.stations.get(action.target))
        for target in targets:
            if target is not None and not target.process.dead:
                self._signal_process(target, action.verb)
        if action.verb == "resume":
            self._wires.retry_below(action.target)

    def _signal_process(self, target: Station | VirtualProgram, verb: str) -> None:
        process, peers = target.process, [target] if isinstance(target, Station) else list(target.nodes)
        if verb == "kill":
            process.dead, process.paused = True, False
            for peer in peers:
                peer.end()
        elif verb == "pause" and not process.paused:
            process.paused, process.since_us = True, self._loop.now_us
            Wires.watch(line.wire for peer in peers for line in peer.lines)
        elif verb == "resume" and process.paused:
            process.resume()
