"""The check `clocks`: offsets that machines report, and their rows."""

from __future__ import annotations

from sim.checks.clocks import clock_rows
from sim.evidence.index import Evidence, Index
from tests.sim.checks.healthy_run import broke, check_of, forget, found, violations_by_check


def test_a_clock_that_cannot_be_the_terminals_breaks_a_rehearsal_where_there_is_one_clock(run: Evidence) -> None:
    found(run, "clock").value["offset"] = -0.0125
    sentence = "rig_1 took its clock to be -12.50 ms ± 0.50 ms from the terminal's, and here it is the same clock"
    assert broke(run) == {"clocks": [sentence]}


def test_a_machine_that_never_told_of_its_clock_is_unknown(run: Evidence) -> None:
    forget(run, "clock")
    forget(run, "clock")
    assert violations_by_check(run, "unknown") == {
        "clocks": [
            "not known: how far the clock of rig_1 is from the terminal's: it never said",
            "there was nothing to look at",
        ]
    }
    assert [(row.machine, row.offset_ms, row.told) for row in clock_rows(Index(run))] == [("rig_1", None, 0)]


def test_of_each_machine_the_clock_that_it_told_last_is_shown(run: Evidence) -> None:
    (row,) = clock_rows(Index(run))
    assert (row.machine, row.offset_ms, row.uncertainty_ms, row.told) == ("rig_1", -0.1, 0.3, 2)
    assert check_of(run, "clocks").figures == "± 0.30 ms at most"
