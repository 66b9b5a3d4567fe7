"""The fixtures of the checks' tests."""

from __future__ import annotations

import pytest

from sim.evidence.index import Evidence
from tests.sim.checks.healthy_run import healthy


@pytest.fixture
def run() -> Evidence:
    return healthy()
