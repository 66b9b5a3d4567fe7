"""A lab's own programs and files: whether they are found, and what stands in for them."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from sim.lab.own_programs import needs_folder, not_found, not_run, without_programs
from sim.lab.topology import load
from tests.sim.lab.files import SHIPPED

OWN = """
pilots: [{id: rig_1, task: {sounds: [a.wav, b.wav]}, program: 'box:Box'}]
files: {synthetic_kb: {b.wav: 1}}
"""


def test_ours_stands_in_for_the_wheel_of_the_lab_that_ships() -> None:
    lab = load(SHIPPED / "lab.yaml")
    emulated = without_programs(lab)
    assert not_run(lab) == []
    (sentence,) = not_run(emulated)
    assert sentence == "not run: wheelbox:WheelBox on rig_6_wheel; an emulated program stands in for it"
    assert without_programs(emulated) == emulated


def test_a_lab_needs_its_folder_for_its_programs_and_for_files_that_are_not_made() -> None:
    lab = load(SHIPPED / "lab.yaml")
    assert [needs_folder(lab), needs_folder(without_programs(lab))] == [True, False]


def test_what_is_gone_is_named_with_the_folder_that_it_is_not_in(tmp_path: Path) -> None:
    (tmp_path / "box.py").write_text("class Box: pass\n")
    (tmp_path / "a.wav").write_text("")
    (tmp_path / "lab.yaml").write_text(OWN)
    lab = load(tmp_path / "lab.yaml")
    assert not_found(lab) == []
    elsewhere = tmp_path / "elsewhere"
    assert not_found(replace(lab, path=str(elsewhere / "lab.yaml"))) == [
        f"the program box:Box of rig_1 is neither in {elsewhere} nor installed",
        f"the file a.wav is not in {elsewhere}",
    ]
