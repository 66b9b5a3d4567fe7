"""Carries out faults on a lab of processes: signals for machines, relays for links."""

from __future__ import annotations

from typing import Any

from sim.evidence.journal import Writer
from sim.faults.actions import Action
from sim.lab.fault import ACTION_VERBS
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.processes.relay_process import LinkRelays, RelayError
from sim.processes.supervisor import Supervisor
from sim.world import LabError

__all__ = ["IMPOSSIBLE", "LINK_VERBS", "FaultInjector"]

IMPOSSIBLE = frozenset(verb for verb, facts in ACTION_VERBS.items() if facts.is_virtual)
"""Verbs that cannot be carried out on processes: TCP hides the loss of a single message."""

LINK_VERBS = {verb for verb, facts in ACTION_VERBS.items() if facts.on == "link"} - IMPOSSIBLE


class FaultInjector:
    """Carries out actions on the processes of `supervisor` and on `relays`, and journals each before it is done.

    `relays` is None in a lab without relays.
    """

    def __init__(
        self, topology: Topology, supervisor: Supervisor, relays: LinkRelays | None, journal: Writer, *, tree: Tree
    ) -> None:
        self._topology = topology
        self._supervisor = supervisor
        self._relays = relays
        self._journal = journal
        self._tree = tree
        self._before: dict[str, int] = {}  # machines that have to shake hands again -> their handshakes before

    def do(self, action: Action) -> None:
        """Carry out one action. Does nothing where it already holds. Raises `LabError`."""
        if ACTION_VERBS[action.verb].on == "machine":
            names = [name for name in _processes_of(action) if self._can(action.verb, name)]
            if names:
                self._write(action)
                self._strike(action.verb, names)
        elif self._relays is None:
            raise LabError(f"the link of {action.target} has no relay, so {action.verb} is not possible")
        else:
            self._write(action)
            try:
                self._relays.do(action)
            except RelayError as error:
                raise LabError(str(error)) from error

    def awaited_handshakes(self) -> list[str]:
        """The machines that were restarted, or lie below a restarted station, and have not shaken hands since."""
        return [name for name, before in self._before.items() if self._supervisor.handshakes[name] <= before]

    def _write(self, action: Action) -> None:
        facts: dict[str, Any] = {"what": action.what, "way": action.way, "fault": action.fault}
        if action.verb == "shape":
            facts |= {name: getattr(action, name) for name in ("latency_ms", "jitter_ms", "rate_mbit")}
        self._journal.write("fault", key=action.verb, to=action.target, value=facts)

    def _can(self, verb: str, name: str) -> bool:
        alive, paused = self._supervisor.is_alive(name), self._supervisor.is_paused(name)
        return {"kill": alive, "restart": not alive, "pause": alive and not paused, "resume": paused}.get(verb, False)

    def _strike(self, verb: str, names: list[str]) -> None:
        if verb == "kill":
            self._supervisor.kill(names)
        for name in names:
            if verb == "restart":
                self._await_handshakes(name)
                self._supervisor.start(name)
            elif verb == "pause":
                self._supervisor.pause(name)
            elif verb == "resume":
                self._supervisor.resume(name)

    def _await_handshakes(self, name: str) -> None:
        """After a program's restart its machine shakes hands again; after a station's, all machines below do too."""
        machines = [name[1:]] if name.startswith("_") else self._tree.subtree(name)
        for machine in machines:
            if machine != self._topology.terminal.id:
                self._before[machine] = self._supervisor.handshakes[machine]


def _processes_of(action: Action) -> list[str]:
    both = {"station": action.target, "program": "_" + action.target}
    return list(both.values()) if action.what == "machine" else [both[action.what]]
