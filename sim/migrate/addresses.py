"""The addresses and ports of the terminal and the machines, from all files that name them.

Where files contradict one another, that is a finding. What no file says is a guess, and gets a note that says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sim.lab.yaml.nodes import show
from sim.migrate.findings import Findings
from sim.migrate.hierarchy import Placed, everybody
from sim.migrate.prefs import Prefs

__all__ = ["MSGPORT", "Terminal", "ping_interval", "settle", "terminal"]

MSGPORT = 5565  # Autopilot's defaults, which its files leave out
PUSHPORT = 5560
PING_INTERVAL_S = 5.0

V = TypeVar("V", str, int, float)


@dataclass(slots=True)
class Terminal:
    """The root of the tree. `notes` are comments, by the key at whose line they are written."""

    id: str
    host: str | None = None
    port: int = PUSHPORT
    notes: dict[str, str] = field(default_factory=dict)


def settle(pilots: list[Placed], findings: Findings) -> None:
    """Give every machine its host and port."""
    for machine in everybody(pilots):
        machine.host = machine.record.ip
        machine.port = machine.record.prefs.msgport
    for parent in everybody(pilots):
        _addresses_of_children(parent, findings)
        for child in parent.children:
            _address_of_parent(parent, child, findings)
            _port_of_parent(parent, child, findings)
    _tell_shared(pilots, findings)


def _take_host(machine: Placed, host: str, findings: Findings, *, at: Placed, sentence: str) -> None:
    """Give a machine its host. Where it has another one, that counts, and `sentence` is a finding at a machine."""
    if machine.host is None:
        machine.host = host
    elif machine.host != host:
        findings.add(at.record.file, at.id, sentence)


def _addresses_of_children(parent: Placed, findings: Findings) -> None:
    ids, hosts = parent.record.prefs.childid or (), parent.record.prefs.childip or ()
    if not any(hosts):
        return
    if len(ids) != len(hosts):
        sentence = f"CHILDIP has {len(hosts)} addresses for {len(ids)} ids in CHILDID, so it is left out."
        findings.add(parent.record.file, parent.id, sentence)
        return
    for child in parent.children:
        host = dict(zip(ids, hosts, strict=True)).get(child.id)
        if not host:
            continue
        sentence = f"its address is {child.host}, but CHILDIP of {show(parent.id)} says {host}; the former counts."
        _take_host(child, host, findings, at=child, sentence=sentence)


def _address_of_parent(parent: Placed, child: Placed, findings: Findings) -> None:
    host = child.record.prefs.parentip
    if host is None:
        return
    sentence = f"its PARENTIP is {host}, but {show(parent.id)} is at {parent.host}; the latter counts."
    _take_host(parent, host, findings, at=child, sentence=sentence)


def _port_of_parent(parent: Placed, child: Placed, findings: Findings) -> None:
    port = child.record.prefs.parentport
    if port is None:
        return
    if parent.port is None and not parent.record.has_prefs:
        parent.port = port
        parent.notes["port"] = f"guess: PARENTPORT of {child.id}"
    elif port != (parent.port or MSGPORT):
        sentence = f"its PARENTPORT is {port}, but {show(parent.id)} listens at {parent.port or MSGPORT}."
        findings.add(child.record.file, child.id, sentence)


def _tell_shared(pilots: list[Placed], findings: Findings) -> None:
    """Tell which machines share an address and a port. A renamed Pi leaves its old entry behind."""
    first: dict[tuple[str, int], Placed] = {}
    for machine in everybody(pilots):
        if machine.host is None:
            continue
        port = machine.port or MSGPORT
        other = first.setdefault((machine.host, port), machine)
        if other is not machine:
            sentence = f"it has the address of {show(other.id)}, {machine.host}, and its port, {port}."
            findings.add(machine.record.file, machine.id, sentence)


# The terminal


def terminal(id: str, own: tuple[Path, Prefs] | None, pilots: list[Placed], findings: Findings) -> Terminal:
    """The terminal, from its own prefs. What they do not say is taken from most pilots: they push to the terminal."""
    made = Terminal(id)
    file, prefs = own if own is not None else (Path(), Prefs())
    ports = [(pilot, port) for pilot in pilots if (port := _port_above(pilot)) is not None]
    hosts = [(pilot, host) for pilot in pilots if (host := _host_above(pilot)) is not None]
    port, made.notes["port"] = _chosen(prefs.msgport, f"MSGPORT of {file.name}", ports)
    host, note = _chosen(prefs.terminalip, f"TERMINALIP of {file.name}", hosts)
    made.port = PUSHPORT if port is None else port
    if port is None:
        made.notes["port"] = "guess: Autopilot's default, no file says it"
    if host is not None:
        made.host, made.notes["host"] = host, note
    for pilot, its in ports:
        if its != made.port:
            sentence = f"it pushes to port {its}, but the terminal's is {made.port}."
            findings.add(pilot.record.file, pilot.id, sentence)
    for pilot, its_host in hosts:
        if its_host != made.host:
            sentence = f"it pushes to the address {its_host}, but the terminal's is {made.host}."
            findings.add(pilot.record.file, pilot.id, sentence)
    return made


def _port_above(pilot: Placed) -> int | None:
    prefs = pilot.record.prefs
    if prefs.lineage == "CHILD":
        return prefs.parentport
    return prefs.pushport or (PUSHPORT if pilot.record.has_prefs else None)


def _host_above(pilot: Placed) -> str | None:
    prefs = pilot.record.prefs
    return prefs.parentip if prefs.lineage == "CHILD" else prefs.terminalip


def _chosen(own: V | None, source: str, votes: Sequence[tuple[Placed, V]]) -> tuple[V | None, str]:
    if own is not None:
        return own, source
    if not votes:
        return None, ""
    most, times = Counter(vote for _, vote in votes).most_common(1)[0]
    return most, f"guess: where {times} of {len(votes)} pilots push"


def ping_interval(pilots: list[Placed]) -> float | None:
    """The PING_INTERVAL of most machines, in seconds; None if no file says one. Machines with another get a note."""
    said = [(one, one.record.prefs.ping_interval) for one in everybody(pilots)]
    known = [(one, own or PING_INTERVAL_S) for one, own in said if own is not None or one.record.has_prefs]
    if not any(own for _, own in said):
        return None
    most = Counter(own for _, own in known).most_common(1)[0][0]
    for one, own in known:
        if own != most:
            one.notes["ping"] = f"PING_INTERVAL is {own:g} here; a topology has one for all machines"
    return most
