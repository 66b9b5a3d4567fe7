"""Files of tasks: no two are alike, and what lies on a rig before the session is a part of one."""

from __future__ import annotations

from sim.lab.topology import Files, Machine, Topology
from sim.scenario.files import damaged_part, file_names, leftover, leftovers, named_in, synthetic

LAB = Topology(
    name="l",
    path="l.yaml",
    machines=(
        Machine("T", children=("a", "b", "c", "d")),
        Machine("a", parent="T"),
        Machine("b", parent="T", task={"sounds": ["L.wav", "R.wav"]}),
        Machine("c", parent="T", task={"sounds": ["own.wav"]}),
        Machine("d", parent="T", task={"sounds": ["L.wav"]}),
    ),
    files=Files(synthetic_kb={"L.wav": 3, "spare.wav": 1}),
)


def test_files_that_tasks_name_are_found_in_the_lab_and_in_a_start() -> None:
    assert file_names(LAB) == ["L.wav", "R.wav", "own.wav", "spare.wav"]
    sounds = [{"type": "File", "path": name} for name in ("L.wav", "R.wav")]
    assert list(named_in({"stim": {"sounds": {"L": sounds}}})) == ["L.wav", "R.wav"]
    for nothing in (None, {}, {"stim": 3}, {"stim": {"sounds": None}}, {"stim": {"sounds": {"L": [{}, 1]}}}):
        assert list(named_in(nothing)) == []


def test_no_two_files_and_no_two_parts_are_alike() -> None:
    one, other = (synthetic(name, 2000, seed=1) for name in ("L.wav", "R.wav"))
    assert len({one[:1000], one[1000:], other[:1000], other[1000:]}) == 4
    assert one == synthetic("L.wav", 2000, seed=1)


def test_a_damaged_part_lies_on_one_rig_and_a_good_one_on_the_next() -> None:
    assert leftovers(LAB) == {"b": ("L.wav", True), "c": ("own.wav", False)}
    assert damaged_part(LAB) == ("b", "L.wav")
    content = bytes(range(1, 201)) * 10
    assert leftover(content, damaged=False) == content[:1000]
    damaged = leftover(content, damaged=True)
    assert (len(damaged), damaged[:400], damaged[-1]) == (1000, content[:400], 0)
    assert leftover(b"", damaged=True) == b""
