"""A link that is asked to carry more than it can is told before anything starts, with the arithmetic."""

from pathlib import Path

import pytest

from sim.emulator.bandwidth import load_warnings
from sim.lab.topology import load
from tests import ROOT

SHIPPED = ROOT / "topologies"
CAMERA = "{shape: [240, 320], dtype: uint8, rate_hz: 30, batch: 5, content: video}"


def warned(tmp_path: Path, pilots: str, *, pace: float = 1) -> list[str]:
    path = tmp_path / "lab.yaml"
    path.write_text(f"session: {{pace: {pace}}}\npilots:\n{pilots}\n")
    return load_warnings(load(path))


def test_a_camera_over_wifi_that_is_too_slow_for_it(tmp_path: Path) -> None:
    rig = f"  - {{id: rig_10, streams: {{camera: {CAMERA}}}, link: {{rate_mbit: RATE}}}}"
    assert warned(tmp_path, rig.replace("RATE", "20")) == [
        "rig_10: its camera sends 18.4 Mbit/s, 24.6 in base64, over a link of 20 Mbit/s"
    ]
    assert warned(tmp_path, rig.replace("RATE", "25")) == []


def test_a_link_without_a_rate_carries_all(tmp_path: Path) -> None:
    assert warned(tmp_path, f"  - {{id: rig_1, streams: {{camera: {CAMERA}}}, link: {{latency_ms: 8}}}}") == []


TREE = """
  - id: rig_1
    link: {rate_mbit: 1}
    trials: {every_s: [1, 3], stages: 10, bytes: 10000}
    children:
      - id: cam
        link: {rate_mbit: 1}
        streams: {top: {shape: [100, 125], dtype: uint16, rate_hz: 10, to: TO}}
"""


@pytest.mark.parametrize(("to", "crosses"), [("rig_1", ["cam"]), ("T", ["rig_1", "cam"]), (None, ["rig_1", "cam"])])
def test_a_childs_stream_crosses_every_link_up_to_its_recipient(
    to: str | None, crosses: list[str], tmp_path: Path
) -> None:
    pilots = TREE.replace(", to: TO", "" if to is None else f", to: {to}")
    assert [warning.partition(":")[0] for warning in warned(tmp_path, pilots)] == crosses


def test_the_loads_of_a_link_are_listed_one_by_one(tmp_path: Path) -> None:
    rig, cam = warned(tmp_path, TREE.replace("TO", "T"), pace=2)
    assert cam == "cam: its top sends 2 Mbit/s, 2.7 in base64, over a link of 1 Mbit/s"
    assert rig == (
        "rig_1: cam's top sends 2 Mbit/s, 2.7 in base64 and its trials 0.82: 3.5 Mbit/s in all, over a link of 1 Mbit/s"
    )


def test_items_that_are_no_arrays_and_come_in_bursts_count_too(tmp_path: Path) -> None:
    rig = (
        "  - {id: r, trials: {every_s: 1, stages: 1, bytes: 0}, link: {rate_mbit: 0.1}, "
        "streams: {lick: {bytes: 1000, batch: 1, burst: {n: 20}}, wheel: {fields: [x, y, t], rate_hz: 125, batch: 5}}}"
    )
    (warning,) = warned(tmp_path, rig)
    lick = 20 * (1000 + 37 + 250) * 8 / 1e6
    assert lick == pytest.approx(0.206, abs=0.001)
    assert warning.startswith("r: its lick sends 0.21 Mbit/s and its wheel 0.1")


def test_the_labs_own_programs_are_not_estimated(tmp_path: Path) -> None:
    own = f"  - {{id: r, program: 'json:loads', streams: {{camera: {CAMERA}}}, link: {{rate_mbit: 1}}}}"
    assert warned(tmp_path, own) == []


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_the_shipped_labs_ask_no_link_for_too_much(name: str) -> None:
    assert load_warnings(load(SHIPPED / f"{name}.yaml")) == []
