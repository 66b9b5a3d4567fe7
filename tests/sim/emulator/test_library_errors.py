"""What the library's own threads outlive is a violation, and not only a line of a log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from sim.emulator.library_errors import LIBRARY, journal_library_errors


class JournalWriter:
    life = 0

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []

    def now(self) -> int:
        return 0

    def write(self, what: str, **facts: Any) -> None:
        self.lines.append((what, facts["value"]))


@pytest.fixture
def lines() -> Iterator[list[tuple[str, Any]]]:
    before, journal = list(LIBRARY.handlers), JournalWriter()
    journal_library_errors(journal, "_rig_1")
    yield journal.lines
    LIBRARY.handlers = before


def test_an_error_that_a_library_thread_survived_is_journalled(lines: list[tuple[str, Any]]) -> None:
    try:
        raise KeyError(7)
    except KeyError:
        logging.getLogger("autopilot_net").exception("rig_1: a message broke what bears it; please report this")
    ((what, value),) = lines
    assert (what, value["machine"]) == ("exception", "rig_1")
    assert "a message broke" in value["exception"]
    assert "KeyError: 7" in value["traceback"]


def test_other_log_records_are_not_journalled(lines: list[tuple[str, Any]]) -> None:
    logging.getLogger("autopilot_net").error("the handler of DATA raised")
    assert lines == []
