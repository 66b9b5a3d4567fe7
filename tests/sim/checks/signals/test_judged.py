"""The check of the signals: of a healthy run it says what it looked at; of a run without signals it says nothing."""

from __future__ import annotations

from sim.checks.registry import check_all
from sim.checks.signals.judged import has_signals
from sim.evidence.index import Index
from tests.sim.checks.healthy_run import forget
from tests.sim.checks.signals.signalled import answered, signals_of


def test_signals_that_were_all_answered_pass() -> None:
    check = signals_of(answered())
    assert (check.result, check.looked_at, check.figures) == ("pass", "2 machines", "all answered")
    assert not check.violations


def test_where_no_signals_were_played_there_is_no_such_check() -> None:
    run = answered()
    forget(run, "signals")
    assert not has_signals(Index(run))
    assert "signals" not in {check.name for check in check_all(run)}
