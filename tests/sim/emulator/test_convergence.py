"""A lab has converged when no snapshot diverges from its tree."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.roles.terminal import Terminal
from sim.emulator.convergence import Snapshot, divergences, snapshot_of, steady
from sim.lab.topology import Machine, Topology
from sim.lab.tree import Tree

LAB = Topology(
    name="three",
    path="three.yaml",
    machines=(
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", children=("cam",)),
        Machine("cam", parent="rig_1"),
    ),
)
CONVERGED = {
    "T": Snapshot(routes={"cam": "rig_1", "_cam": "rig_1"}, neighbours=["_T", "rig_1"], known=["cam", "rig_1"]),
    "rig_1": Snapshot(neighbours=["T", "_rig_1", "cam"], known=["cam"]),
    "cam": Snapshot(neighbours=["_cam", "rig_1"]),
    "_T": Snapshot(),
    "_rig_1": Snapshot(),
    "_cam": Snapshot(),
}


@pytest.mark.parametrize(
    ("at", "snapshot", "sentence"),
    [
        ("T", None, "T does not answer"),
        ("_cam", Snapshot(outbox=["_cam_1", "_cam_2"]), "2 in the outbox (_cam_1, _cam_2) of _cam"),
        ("cam", Snapshot(neighbours=["rig_1"]), "cam has no connection with _cam"),
        ("cam", Snapshot(neighbours=["_cam"]), "cam has no connection with rig_1"),
        ("rig_1", Snapshot(neighbours=["T", "_rig_1"], known=["cam"]), "rig_1 has no connection with cam"),
        (
            "T",
            Snapshot(neighbours=["_T", "rig_1"], known=["cam", "rig_1"]),
            "T has no route to cam, which is behind rig_1",
        ),
        (
            "T",
            Snapshot(routes={"cam": "x"}, neighbours=["_T", "rig_1"], known=["cam", "rig_1"]),
            "T has the route by x to cam, which is behind rig_1",
        ),
        ("T", Snapshot(routes={"cam": "rig_1"}, neighbours=["_T", "rig_1"], known=["rig_1"]), "T does not know cam"),
    ],
)
def test_each_divergence_of_a_snapshot_is_named(at: str, snapshot: Snapshot | None, sentence: str) -> None:
    tree = Tree(LAB)
    assert divergences(tree, CONVERGED) == []
    [found] = divergences(tree, {**CONVERGED, at: snapshot})
    assert found.text == sentence
    assert at.removeprefix("_") in found.machines or at == "T"


def test_a_snapshot_is_read_again_if_a_dict_changed_meanwhile() -> None:
    tries = iter([RuntimeError("dictionary changed size during iteration"), None])

    def take() -> str:
        if (error := next(tries)) is not None:
            raise error
        return "taken"

    assert steady(take) == "taken"


def test_a_snapshot_has_neighbours_routes_and_the_machines_that_shook_hands() -> None:
    endpoint = Endpoint("T", forwards=True, incarnation="a")
    endpoint.routes.below["rig_1"] = None
    endpoint.routes.behind["cam"] = "rig_1"
    host: Any = SimpleNamespace(id="T", parent=None, files=None)
    role = Terminal(host, pilots={"rig_1": {"way": ["rig_1"]}, "cam": {}})
    assert snapshot_of(endpoint, role) == Snapshot(routes={"cam": "rig_1"}, neighbours=["rig_1"], known=["rig_1"])
