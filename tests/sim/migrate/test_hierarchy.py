"""Where an import puts each machine in the tree."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.migrate.import_files import CHILD, Files, edges, line_with, pilot


def test_children_are_made_from_the_childid_of_their_parents(files: Files) -> None:
    lab = files.lab(
        {
            "rig_1": pilot(LINEAGE="PARENT", CHILDID="cam", CHILDIP="10.0.0.2"),
            "rig_2": pilot(LINEAGE="PARENT", CHILDID=["a", "b"], CHILDIP=["10.0.0.3", ""]),
            "rig_3": pilot(CHILDID=""),
        }
    )
    assert edges(lab) == {"T": ["rig_1", "rig_2", "rig_3"], "rig_1": ["cam"], "rig_2": ["a", "b"]}
    assert [lab.machine(id).host for id in ("cam", "a", "b")] == ["10.0.0.2", "10.0.0.3", None]
    assert lab.machine("cam").trials is None
    assert files.told == []


@pytest.mark.parametrize("nobody", ["NONE", "none", "None ", "", None, [], ["NONE"], [""], [None]])
def test_a_child_that_is_called_none_is_nobody(files: Files, nobody: Any) -> None:
    lab = files.lab({"rig_1": pilot(CHILDID=nobody, CHILDIP=nobody, PARENTID="NONE", PARENTIP="NONE", LINEAGE="NONE")})
    assert [machine.id for machine in lab.machines] == ["T", "rig_1"]
    assert (lab.machine("rig_1").host, files.told) == (None, [])


def test_a_parent_that_is_called_none_is_nobody(files: Files) -> None:
    lab = files.lab({"rig_1": pilot(CHILDID="cam"), "cam": pilot(LINEAGE="CHILD", PARENTID="NONE")})
    assert edges(lab) == {"T": ["rig_1"], "rig_1": ["cam"]}


def test_children_that_have_entries_are_nested_under_their_parentid(files: Files) -> None:
    child: dict[str, Any] = {"LINEAGE": "CHILD", "PARENTIP": "10.0.0.9", "PARENTPORT": "5599"}
    lab = files.lab(
        {
            "wheel": pilot(**child, PARENTID="cam"),
            "cam": pilot("10.0.0.9", MSGPORT=5599, **(child | {"PARENTID": "rig_1", "PARENTPORT": 5570})),
            "rig_1": {"subjects": ["m"], "ip": "", "prefs": {}},
        }
    )
    assert edges(lab) == {"T": ["rig_1"], "rig_1": ["cam"], "cam": ["wheel"]}
    rig = lab.machine("rig_1")
    assert (rig.host, rig.port) == ("10.0.0.9", 5570), "its child knows where to find it"
    assert "# guess: PARENTPORT of cam" in line_with(files.text, "port: 5570")
    assert files.told == []


def test_a_doubtful_machine_has_one_place(files: Files) -> None:
    lab = files.lab({"a": pilot(CHILDID="c"), "b": pilot(CHILDID=["c", "d"]), "d": pilot(**CHILD, PARENTID="a")})
    assert edges(lab) == {"T": ["a", "b"], "a": ["d", "c"]}
    assert "# guess: a child of a, as of 'a' and 'b'" in line_with(files.text, "- id: c")


def test_a_chain_that_yaml_cannot_nest_is_cut_where_it_gets_too_deep(files: Files) -> None:
    lab = files.lab({f"r{n}": pilot(CHILDID=f"r{n + 1}") for n in range(1900)})
    assert files.result is not None
    assert (len(lab.machines), len(files.result.unplaced)) == (41, 1861)
