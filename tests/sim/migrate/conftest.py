"""What the tests of the import share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.migrate.import_files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
