"""Too slow is not broken: what failed while the CPUs were full is unknown, unless it would have failed without that."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from sim.lab.topology import Limits
from sim.verdict import Check
from tests.sim.checks.expect.test_limits import expect, trials
from tests.sim.checks.healthy_run import check_of, limited
from tests.sim.checks.test_recovery import came
from tests.sim.checks.test_stream_items import streamed
from tests.sim.journal_builder import Tale, evidence


def on_a_busy_computer(tale: Tale, *busy: tuple[float, float], **limits: Any) -> Check:
    """The check of limits alone, when the CPUs were full in these seconds."""
    spans = [(int(since * 1e9), int(until * 1e9)) for since, until in busy]
    return check_of(limited(replace(evidence(tale), busy=spans), **limits), "expect")


def test_what_the_cpus_may_have_delayed_is_unknown_and_never_broken() -> None:
    """The trial at 13 s took a second, and the CPUs were full meanwhile."""
    check = on_a_busy_computer(trials(), (13.2, 13.9), trials=Limits(p99_ms=500.0))
    assert (check.result, check.broke) == ("unknown", [])
    (text,) = check.violations
    assert text.startswith("not known: trials p99 ms: 1,003 > 500; slowest: _rig_1_13 (1,003 ms")
    assert text.endswith(
        "; but the CPUs of this computer were full for 0.7 s of the run, so this says nothing about the lab. "
        "Run it again where nothing else runs"
    )


def test_what_was_slow_on_idle_cpus_is_broken_however_full_they_were_at_other_times() -> None:
    for busy in [(0, 9), (20, 30)], [(10, 10.2)]:
        assert on_a_busy_computer(trials(), *busy, trials=Limits(p99_ms=500.0)).result == "fail"


def test_more_slow_messages_than_the_cpus_explain_are_broken() -> None:
    """All four trials take longer than 90 ms. The CPUs explain one of them."""
    assert on_a_busy_computer(trials(), (13.2, 13.9), trials=Limits(p50_ms=90.0)).result == "fail"
    assert on_a_busy_computer(trials(), (10, 14), trials=Limits(p50_ms=90.0)).result == "unknown"


def test_what_is_lost_is_broken_on_full_cpus_too() -> None:
    assert on_a_busy_computer(trials(), (0, 30), trials=Limits(lost=0)).result == "fail"


def test_time_on_full_cpus_does_not_count_for_a_limit_in_seconds() -> None:
    tale = Tale()
    for at, machine in ((1, "rig_1"), (10, "rig_2"), (2, "cam")):
        tale.at(at).note("shook", "_T", first_sender="_" + machine, value={"machine": machine, "way": []})
    assert on_a_busy_computer(tale, (2, 9), handshake_within_s=5.0).result == "unknown"
    assert on_a_busy_computer(tale, (2, 4), handshake_within_s=5.0).result == "fail"
    assert expect(tale, handshake_within_s=5.0).result == "fail"


def test_what_an_unreliable_stream_left_out_on_full_cpus_says_nothing() -> None:
    tale = streamed("camera", lost=(18, 19))
    limits = {"camera": Limits(missing=0, missing_pct=1.0)}
    made = {entry.n: entry.t / 1e9 for entry in tale.journal.entries if entry.what == "item_made"}
    full = (made[18], made[19])
    assert on_a_busy_computer(tale, full, streams=limits).result == "unknown"
    assert on_a_busy_computer(tale, (made[18] - 0.6, made[18] - 0.55), streams=limits).result == "fail"
    reliable = {"wheel": Limits(missing=0)}
    assert on_a_busy_computer(streamed("wheel", lost=(18, 19)), full, streams=reliable).result == "fail"


def test_a_rate_counts_on_idle_cpus() -> None:
    """Ten items a second of which eight were delayed by ten seconds."""
    tale = streamed("wheel")
    assert expect(tale, streams={"wheel": Limits(rate_hz=5.0)}).result == "fail"
    items = [entry.t / 1e9 for entry in tale.journal.entries if entry.what == "item_got"]
    everywhere = (min(items), max(items) - 0.5)
    assert on_a_busy_computer(tale, everywhere, streams={"wheel": Limits(rate_hz=5.0)}).result == "unknown"
    assert on_a_busy_computer(tale, (0, 1), streams={"wheel": Limits(rate_hz=5.0)}).result == "fail"


def test_the_slow_ones_are_named_for_the_diagram() -> None:
    (violation,) = expect(trials(), trials=Limits(p99_ms=250.0)).broke
    assert violation.messages == ("_rig_1_13", "_rig_1_12")


def test_messages_of_one_rig_have_limits_of_their_own() -> None:
    tale = trials()
    assert expect(tale, rigs={"rig_*": Limits(p99_ms=2000.0)}).result == "pass"
    (text,) = expect(tale, rigs={"rig_*": Limits(lost=0)}).violations
    assert text == "rig_1 trials lost: 1 > 0"
    tale = came(Tale(), 10, 10.5)
    assert expect(tale, keys={"rig_1.DATA": Limits(p99_ms=100.0)}).result == "fail"
    assert expect(tale, keys={"rig_2.DATA": Limits(p99_ms=100.0)}).result == "unknown"
