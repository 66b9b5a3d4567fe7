"""The fixtures of the virtual lab's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.lab.topology import Topology, load
from tests.sim.virtual.virtual_run import LAB


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    path = tmp_path / "tiny.yaml"
    path.write_text(LAB)
    return load(path)
