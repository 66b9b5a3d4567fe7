"""What the tests of relays share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.processes.cable import Cable, cabled


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    with cabled(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cable]:
    """A cable for tests that leave it as it was."""
    with cabled(tmp_path_factory.mktemp("cable")) as made:
        yield made
