"""The tree of a lab: paths between participants, links between neighbours, and what lies above and below."""

from __future__ import annotations

import networkx as nx
import pytest

from sim.lab.topology import Machine, Topology
from sim.lab.tree import Tree

PARENTS = {"T": None, "rig_1": "T", "cam": "rig_1", "wheel": "rig_1", "lens": "cam", "rig_2": "T"}


@pytest.fixture
def tree() -> Tree:
    machines = tuple(Machine(id, parent=parent) for id, parent in PARENTS.items())
    return Tree(Topology(name="lab", path="lab.yaml", machines=machines))


@pytest.mark.parametrize(
    ("frm", "to", "path"),
    [
        ("rig_1", "T", "rig_1 T"),
        ("_rig_1", "rig_1", "_rig_1 rig_1"),
        ("rig_1.probe", "_rig_1", "rig_1.probe rig_1"),  # what is for a program is its station's
        ("T", "T.probe", "T T.probe"),
        ("_cam", "wheel.probe", "_cam cam rig_1 wheel wheel.probe"),  # across, by way of the parent
        ("rig_2", "_cam", "rig_2 T rig_1 cam"),
        ("T", "lens", "T rig_1 cam lens"),
        ("cam", "cam", "cam"),
    ],
)
def test_there_is_one_path_between_two_participants(tree: Tree, frm: str, to: str, path: str) -> None:
    assert tree.path(frm, to) == path.split()


@pytest.mark.parametrize(
    ("frm", "to", "hops"),
    [
        ("T", "cam", "rig_1 cam"),
        ("_T", "_cam", "T rig_1 cam _cam"),
        ("rig_1.probe", "T.probe", "rig_1 T T.probe"),
        ("cam", "wheel", "rig_1 wheel"),
    ],
)
def test_hops_are_the_stations_between_and_the_recipient(tree: Tree, frm: str, to: str, hops: str) -> None:
    assert tree.hops(frm, to) == tuple(hops.split())


@pytest.mark.parametrize(
    ("frm", "to", "link"),
    [
        ("cam", "rig_1", ("cam", True)),
        ("rig_1", "cam", ("cam", False)),
        ("_rig_1", "rig_1", None),  # within one machine
        ("cam", "wheel", None),
        ("cam", "T", None),
        ("elsewhere", "T", None),
    ],
)
def test_a_link_is_named_by_its_lower_end(tree: Tree, frm: str, to: str, link: tuple[str, bool] | None) -> None:
    assert tree.link(frm, to) == link


def test_what_lies_above_and_below(tree: Tree) -> None:
    assert tree.upward("lens") == ["lens", "cam", "rig_1", "T"]
    assert tree.subtree("rig_1") == ["rig_1", "cam", "wheel", "lens"]
    assert tree.subtree("cam", "rig_2") == ["cam", "lens", "rig_2"]
    assert [tree.depth(machine) for machine in PARENTS] == [0, 1, 2, 2, 3, 1]
    assert tree.depth_first() == ["T", "rig_1", "cam", "lens", "wheel", "rig_2"]


def test_networkx_has_the_same_edges(tree: Tree) -> None:
    assert nx.is_arborescence(tree.graph)
    assert set(tree.graph.edges) == {(parent, machine) for machine, parent in PARENTS.items() if parent}


def test_who_is_on_no_machine_is_in_no_path(tree: Tree) -> None:
    assert "elsewhere" not in tree
    with pytest.raises(KeyError, match="elsewhere"):
        tree.path("elsewhere", "T")
