"""What the tests of strategies share: labs to draw from, and whether a drawn lab could be in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sim.lab.topology import Machine, Topology, load
from sim.scenario import Send
from sim.search.draw import draws
from tests import ROOT

LABS = {
    name: load(ROOT / "topologies" / f"{name}.yaml")
    for name in ("pair", "lab", "boxroom", "chain", "campus")
}
FORK = Topology(
    name="fork",
    path="fork.yaml",
    machines=(
        Machine("T", children=("rig_1", "rig_2")),
        Machine("rig_1", parent="T", children=("cam",)),
        Machine("cam", parent="rig_1"),
        Machine("rig_2", parent="T"),
    ),
)
T = TypeVar("T")
A_FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
every_lab = pytest.mark.parametrize("topology", LABS.values(), ids=LABS)


def drawn(strategy: st.SearchStrategy[T], count: int = 50) -> list[T]:
    """Many values, the same ones each time."""
    return [value for n in range(count // 10) for value in draws(strategy, seed=n, count=10)]


def as_yaml(topology: Topology) -> str:
    """The file that a person would have written for this lab."""

    def plain(struct: Any, *without: str) -> dict[str, Any]:
        values = msgspec.to_builtins(struct)
        defaults = {
            field.name: msgspec.to_builtins(field.default)
            for field in msgspec.structs.fields(struct)
            if field.default is not msgspec.NODEFAULT
        }
        return {
            key: value
            for key, value in values.items()
            if key not in without and value is not None and value != defaults.get(key, ...)
        }

    def entry(machine: Machine) -> dict[str, Any]:
        keys = plain(machine, "parent", "children", "streams")
        keys["streams"] = {name: plain(stream) for name, stream in machine.streams.items()}
        return keys | {"children": [entry(topology.machine(child)) for child in machine.children]}

    top = plain(topology, "path", "machines", "faults", "expect", "name")
    own = ("id", "host", "port", "durable")
    terminal = {key: value for key, value in entry(topology.terminal).items() if key in own}
    faults = [plain(fault) for fault in topology.faults]
    pilots = [entry(pilot) for pilot in topology.pilots]
    kinds: dict[str, Any] = {machine.kind: {} for machine in topology.machines if machine.kind}
    lab = {"name": topology.name, **top, "terminal": terminal, "kinds": kinds, "pilots": pilots, "faults": faults}
    return yaml.safe_dump(lab, sort_keys=False)


def check_lab(topology: Topology, folder: Path) -> None:
    """`load` would have made it of a file: so it keeps to all that is demanded of one."""
    path = folder / "drawn.yaml"
    path.write_text(as_yaml(topology))
    assert load(path) == replace(topology, path=path.as_posix(), expect=load(path).expect)


def home(topology: Topology, participant: str) -> str:
    """The machine a participant is on: stations have its name, programs and probes one made of it."""
    [found] = [m.id for m in topology.machines if participant in (m.id, "_" + m.id, m.id + ".probe")]
    return found


def are_neighbours(topology: Topology, one: str, other: str) -> bool:
    """Stations are neighbours of their parents and children, and of the nodes on their own machine."""
    parents = {machine.id: machine.parent for machine in topology.machines}
    if one in parents and other in parents:
        return one == parents[other] or other == parents[one]
    return home(topology, one) == home(topology, other) and (one in parents or other in parents)


def is_program(name: str) -> bool:
    return name.startswith("_")


def is_probe(name: str) -> bool:
    return name.endswith(".probe")


def check_send(topology: Topology, send: Send) -> None:
    here, there = home(topology, send.frm), home(topology, send.to)
    assert send.frm != send.to
    assert send.burst >= 1
    assert not (is_program(send.to) and send.frm == here == there), "its station's own handler would get it"
    if is_probe(send.to) and here != there:
        assert send.hops, "a node elsewhere is found along hops only"
    if send.hops:
        assert send.hops[-1] == send.to
        way = [send.frm, *send.hops]
        assert len(set(way)) == len(way), "on a tree, that makes it the one shortest way"
        for one, other in zip(way, send.hops, strict=False):
            assert are_neighbours(topology, one, other), f"{one} has no link to {other}"
