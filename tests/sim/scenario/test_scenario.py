"""A scenario is the same after it was saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.lab.topology import Topology
from sim.scenario import Crash, Example, Scenario, load_scenario, save_scenario
from sim.search.strategies import examples
from tests.sim.search.drawn import A_FEW, every_lab


@every_lab
@settings(A_FEW, suppress_health_check=list(HealthCheck), max_examples=5)
@given(data=st.data())
def test_a_scenario_is_the_same_after_it_was_written_and_read(
    topology: Topology, tmp_path: Path, data: st.DataObject
) -> None:
    storms = data.draw(st.lists(examples(topology), max_size=3).map(tuple))
    crash = Example(ops=(Crash(frm="T", to="rig_1"),))
    scenario = Scenario(topology=topology, seed=4, examples=(*storms, crash), session=False, why="it did not settle")
    save_scenario(scenario, tmp_path / "smallest.json")
    assert load_scenario(tmp_path / "smallest.json") == scenario


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"topology": 1, "seed": 2}'])
def test_what_is_no_scenario_is_refused(tmp_path: Path, raw: Any) -> None:
    (tmp_path / "smallest.json").write_bytes(raw)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        load_scenario(tmp_path / "smallest.json")
