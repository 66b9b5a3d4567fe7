"""PURE. One life of a machine's program in virtual time: its nodes, what it writes down, and what outlives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sim.emulator.program import EmulatedProgram
from sim.emulator.sender import Sender
from sim.evidence.journal import Entry
from sim.lab.names import probe_of
from sim.lab.topology import Machine
from sim.virtual.event_loop import Process
from sim.virtual.machines import Node

if TYPE_CHECKING:
    from sim.virtual.lab import VirtualLab

__all__ = ["Notebook", "Notes", "Program"]


class Notebook:
    """Where one life of a process writes down what happens."""

    def __init__(self, lab: VirtualLab, by: str, life: int) -> None:
        self.life = life
        self._lab = lab
        self._by = by

    def write(self, what: str, **told: Any) -> None:
        """Note it, now."""
        at = self._lab.loop.now_us * 1_000
        self._lab.entries.append(Entry(t=at, by=told.pop("by", self._by), life=self.life, what=what, **told))


class Notes:
    """A program's memory."""

    def __init__(self) -> None:
        self._value: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        """What was kept last."""
        return self._value

    def keep(self, value: dict[str, Any]) -> None:
        """Keep it."""
        self._value = value


class Program:
    """One life of a machine's program: its nodes, and what it does."""

    def __init__(self, lab: VirtualLab, machine: Machine, life: int) -> None:
        self.machine = machine
        self.process = Process(f"_{machine.id}")
        self.sender = Sender(Notebook(lab, "_" + machine.id, life), lambda *words: lab.hear(*words, "_" + machine.id))
        self.sender.journal.write("start")
        self._lab = lab
        self._armed_us: int | None = None
        self.emulated = EmulatedProgram(
            lab.topology,
            machine,
            seed=lab.seed,
            sender=self.sender,
            memory=lab.notes.setdefault(machine.id, Notes()),
            clock=lambda: lab.loop.now,
            tell=lambda *words: lab.hear(*words, "_" + machine.id),
            changed=self.arm,
        )
        self.node = self._node("_" + machine.id, life, self.emulated.listens())
        self.nodes = [self.node]
        if lab.has_probes:
            self.nodes.append(self._node(probe_of(machine.id), life, self.emulated.probe_listens()))
        self.emulated.begin(self.node, self.nodes[-1])
        self.arm()

    def arm(self) -> None:
        """See to it that what is due next in the session is done."""
        due = self.emulated.next_timer()
        if due is None:
            return
        at = max(int(due * 1_000_000) + 1, self._lab.loop.now_us + 1)
        if self._armed_us is None or at < self._armed_us:
            self._armed_us = at
            self._lab.loop.at(at, lambda: self._time(at), self.process)

    def _time(self, armed_us: int) -> None:
        if self._armed_us == armed_us:
            self._armed_us = None
            self.emulated.handle_timer()
            self.arm()

    def _node(self, name: str, life: int, listens: Mapping[str, Any]) -> Node:
        node = Node(
            self._lab,
            self.process,
            name,
            upstream=self.machine.id,
            forwards=False,
            settings=self._lab.settings,
            life=life,
            durable=self.machine.durable,
        )
        self.sender.add(node)
        node.begin(listens)
        return node
