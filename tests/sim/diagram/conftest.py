"""The fixtures of the diagram's tests."""

from __future__ import annotations

import pytest

from tests.sim.diagram.tape import Tape


@pytest.fixture
def tape() -> Tape:
    return Tape()
