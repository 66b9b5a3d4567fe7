"""Where a session's streams go, and what their items carry."""

from __future__ import annotations

import numpy as np
import pytest

from sim.emulator.session import item_of, shared_subjects, stream_destination
from sim.lab.topology import Machine, Stream, Topology
from sim.scenario.payloads import fingerprint


@pytest.mark.parametrize(
    ("machine", "to", "route"),
    [
        ("rig_1", None, ("T", "CONTINUOUS")),
        ("rig_1", "T", ("T", "CONTINUOUS")),
        ("cam", None, ("rig_1", "CONTINUOUS")),
        ("cam", "T", ("T", "CONTINUOUS")),
        ("cam", "rig_1", ("rig_1", "STREAM_VIDEO")),
    ],
)
def test_a_stream_goes_to_a_program_above_or_by_way_of_the_parent(
    machine: str, to: str | None, route: tuple[str, str]
) -> None:
    rig, cam = Machine("rig_1", parent="T", children=("cam",)), Machine("cam", parent="rig_1")
    topology = Topology(name="x", path="x.yaml", machines=(Machine("T", children=("rig_1",)), rig, cam))
    assert stream_destination(topology, topology.machine(machine), Stream(bytes=1, rate_hz=1.0, to=to)) == route


KINDS = {
    "video": Stream(shape=(24, 32), dtype="uint8", rate_hz=1.0, content="video"),
    "noise": Stream(shape=(4, 3), dtype="float32", rate_hz=1.0, content="noise"),
    "small": Stream(shape=(1,), dtype="bool", rate_hz=1.0),
    "wheel": Stream(fields=("x", "y"), rate_hz=1.0),
    "text": Stream(bytes=10, rate_hz=1.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_is_the_same_whoever_makes_it_and_unlike_any_other(kind: str) -> None:
    asked = [("rig_1", kind, session, n) for session in range(2) for n in range(20)] + [("rig_2", kind, 0, 0)]

    def prints() -> list[str]:
        return [fingerprint(item_of(3, m, name, KINDS[kind], session, n)) for m, name, session, n in asked]

    assert prints() == prints()
    assert len(set(prints())) == len(asked)


def test_an_array_item_has_the_shape_and_type_of_its_stream_and_content_of_its_seed() -> None:
    one, other = (item_of(seed, "rig_1", "noise", KINDS["noise"], 0, 0)["frame"] for seed in (1, 2))
    assert (one.shape, one.dtype) == ((4, 3), np.float32)
    assert fingerprint(one) != fingerprint(other)


def test_a_field_of_a_lab_may_have_the_name_of_a_built_in_field() -> None:
    spec = Stream(fields=("n", "stream", "x"), rate_hz=1.0)
    item = item_of(1, "rig_1", "wheel", spec, 2, 5)
    assert (item["stream"], item["n"]) == ("rig_1/wheel/2", 5)
    assert isinstance(item["x"], float)


def test_a_subject_in_several_rigs_is_told() -> None:
    def told(*subjects: tuple[str, ...]) -> list[str]:
        rigs = [Machine(f"rig_{n}", parent="T", subjects=of_it) for n, of_it in enumerate(subjects, 1)]
        terminal = Machine("T", children=tuple(rig.id for rig in rigs))
        return shared_subjects(Topology(name="x", path="x.yaml", machines=(terminal, *rigs)))

    assert told(("a", "a"), ("b",)) == []
    [sentence] = told(("a", "b"), ("b", "c"), ("b",))
    assert sentence.startswith("the subject b is in rig_1, rig_2 and rig_3; its data are told apart by rig and session")
    assert "is in rig_1, rig_2, rig_3 and 6 more" in told(*[("m",)] * 9)[0]
