"""The lab's own limits: each can be kept and broken, and is told with the figure and the limit."""

from __future__ import annotations

from typing import Any

import pytest

from sim.evidence.index import Evidence
from sim.evidence.journal import Trace
from sim.lab.topology import Expect, Limits
from sim.verdict import Check
from tests.sim.checks.healthy_run import broke, check_of, forget, found, healthy, lab, limited, reported
from tests.sim.checks.test_recovery import came
from tests.sim.checks.test_stream_items import streamed
from tests.sim.journal_builder import SEED, Story, Tale, evidence


def expect(run: Evidence | Tale, **limits: Any) -> Check:
    """The check of these limits alone."""
    return check_of(limited(evidence(run) if isinstance(run, Tale) else run, **limits), "expect")


def said(check: Check) -> list[str]:
    """What was found, without the slowest messages that it names."""
    return [text.partition("; slowest: ")[0] for text in check.violations]


def trials() -> Tale:
    """Four trials of four seconds, which take 100, 200, 300 and 1003 ms; a fifth never comes; the first comes twice."""
    tale = Tale()
    for n, took in enumerate((0.1, 0.2, 0.3, 1.003)):
        came(tale, 10 + n, 10 + n + took)
    tale.at(14).made("_rig_1_14", "_rig_1", "T", "DATA")
    tale.at(15).handled("_rig_1_10", "_T", "DATA", first="_rig_1_10", redelivered=True)
    return tale


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"lost": 0}, "trials lost: 1 > 0"),
        ({"twice": 0}, "trials handled twice: 1 > 0"),
        ({"missing": 0}, "trials missing: 1 > 0"),
        ({"missing_pct": 10.0}, "trials % missing: 20 > 10"),
        ({"p50_ms": 150.0}, "trials p50 ms: 200 > 150"),
        ({"p99_ms": 10.0}, "trials p99 ms: 1,003 > 10"),
        ({"rate_hz": 2.0}, "trials Hz: 0.77 < 2"),
    ],
)
def test_each_limit_of_trials(limits: dict[str, Any], sentence: str) -> None:
    assert said(expect(trials(), trials=Limits(**limits))) == [sentence]


def test_limits_of_trials_that_are_kept() -> None:
    kept = Limits(lost=1, twice=1, missing=1, missing_pct=20.0, p50_ms=201.0, p99_ms=1004.0, rate_hz=0.76)
    check = expect(trials(), trials=kept)
    assert (check.result, check.count) == ("pass", 7)


def test_what_a_fault_explains_counts_all_the_same() -> None:
    tale = trials().struck("kill", "rig_1", since=14.5, until=20, end="restart", what="program")
    tale.struck("kill", "T", since=13.5, until=14, end="restart", what="station")
    run = evidence(tale)
    assert check_of(run, "confirm").violations == []
    both = ["trials lost: 1 > 0", "trials handled twice: 1 > 0"]
    assert expect(run, trials=Limits(lost=0, twice=0)).violations == both


# -- any key -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"p50_ms": 50.0}, "START p50 ms: 100 > 50"),
        ({"p99_ms": 50.0}, "START p99 ms: 100 > 50"),
        ({"lost": 0}, "START lost: 1 > 0"),
        ({"missing_pct": 5.0}, "START % missing: 50 > 5"),
        ({"rate_hz": 1.0}, "START Hz: there was nothing to hold against 1"),
    ],
)
def test_each_limit_of_any_key(limits: dict[str, Any], sentence: str) -> None:
    tale = Tale()
    for n in range(2):
        tale.at(10 + n).made(f"_T_{n}", "_T", "rig_1", "START")
    tale.at(10.1).handled("_T_0", "_rig_1", "START", first="_T_0")
    (text,) = said(expect(tale, keys={"START": Limits(**limits)}))
    assert text.removeprefix("not known: ") == sentence


@pytest.mark.parametrize(("key", "what"), [("STATE", "state"), ("HANDSHAKE", "shook")], ids=["states", "handshakes"])
def test_a_key_may_come_to_its_end_in_other_words_than_that_it_was_handled(key: str, what: str) -> None:
    tale = Tale()
    tale.at(10).made("_rig_1_0", "_rig_1", "rig_1", key)
    told = {"machine": "rig_1", "pilot": "rig_1", "state": "IDLE", "way": ["rig_1"]}
    tale.at(10.25).note(what, "_T", id="T_9", first="_rig_1_0", first_sender="_rig_1", sender="T", value=told)
    assert said(expect(tale, keys={key: Limits(p50_ms=100.0, lost=0)})) == [f"{key} p50 ms: 250 > 100"]


def test_a_key_that_nobody_writes_down_is_known_from_the_traces() -> None:
    tale = Tale()
    tale.at(10).made("_T_0", "_T", "rig_1", "COHERE")
    limits = {"COHERE": Limits(p50_ms=100.0, lost=0)}
    assert expect(tale, keys=limits).result == "fail"
    for at, t in (("T", 10.1), ("rig_1", 10.25)):
        tale.journal.traces.append(Trace(t=int(t * 1e9), at=at, life="a", do="Deliver", id="_T_0", key="COHERE"))
    assert said(expect(tale, keys=limits)) == ["COHERE p50 ms: 250 > 100"]


def test_a_limit_on_traffic_that_there_was_none_of_is_unknown() -> None:
    limits = Limits(lost=0, twice=0, missing=0, missing_pct=0.0, p50_ms=1.0, p99_ms=1.0, rate_hz=1.0)
    for keys in ({"trials": limits}, {"keys": {"PARAM": limits}}, {"streams": {"wheel": limits}}):
        check = expect(Tale(), **keys)
        assert (check.result, check.count, len(check.violations)) == ("unknown", 7, 7)


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"lost": 0}, "rig_1 wheel: items lost: 2 > 0"),
        ({"missing": 1}, "rig_1 wheel: items missing: 2 > 1"),
        ({"missing_pct": 4.5}, "rig_1 wheel: % missing: 5 > 4.5"),
        ({"p50_ms": 5.0}, "rig_1 wheel: p50 ms: 10 > 5"),
        ({"p99_ms": 5.0}, "rig_1 wheel: p99 ms: 10 > 5"),
        ({"rate_hz": 2.1}, "rig_1 wheel: Hz: 1.9 < 2.1"),
    ],
)
@pytest.mark.parametrize("name", ["wheel", "rig_1.wheel"])
def test_each_limit_of_a_stream(name: str, limits: dict[str, Any], sentence: str) -> None:
    tale = streamed("wheel", lost=(18, 19))
    assert said(expect(tale, streams={name: Limits(**limits)})) == [sentence]


def test_limits_of_a_stream_that_are_kept() -> None:
    kept = Limits(lost=0, twice=0, missing=0, missing_pct=0.0, p50_ms=10.1, p99_ms=10.1, rate_hz=1.9)
    check = expect(streamed("wheel"), streams={"wheel": kept})
    assert (check.result, check.count) == ("pass", 7)


def test_what_is_not_repeated_cannot_be_lost_only_missing() -> None:
    tale = streamed("camera", lost=(18, 19))
    limits = {"camera": Limits(lost=0, missing=0)}
    assert expect(tale, streams=limits).violations == ["rig_1 camera: items missing: 2 > 0"]


# -- how soon ----------------------------------------------------------------------------------------------------------


def test_the_last_handshake_has_a_limit() -> None:
    tale = Tale()
    for at, machine in ((1, "rig_1"), (10.2, "rig_2"), (2, "cam")):
        tale.at(at).shook(machine, *(["rig_1", "cam"] if machine == "cam" else [machine]))
    assert expect(tale, handshake_within_s=5.0).violations == ["handshake: 10.2 s > 5 s, rig_2 the last"]
    assert expect(tale, handshake_within_s=11.0).result == "pass"


def test_who_never_shook_hands_broke_the_limit() -> None:
    tale = Tale()
    tale.at(1).shook("rig_1", "rig_1")
    sentence = "handshake: never of cam, rig_2, and 5 s is the limit"
    assert expect(tale, handshake_within_s=5.0).violations == [sentence]


def test_the_last_rig_to_run_has_a_limit() -> None:
    tale = Tale()
    tale.at(10).made("_T_0", "_T", "rig_1", "START")
    for at, rig in ((11, "_rig_1"), (17.25, "_cam"), (12, "_rig_2")):
        tale.at(at).note("handled", rig, key="START", id="x", first="_T_0")
    assert expect(tale, start_within_s=5.0).violations == ["start: 7.25 s > 5 s, cam the last"]
    assert expect(tale, start_within_s=8.0).result == "pass"


def test_a_pilot_that_never_ran_broke_the_limit() -> None:
    tale = Tale()
    tale.at(10).made("_T_0", "_T", "rig_1", "START")
    tale.at(11).note("handled", "_rig_1", key="START", id="x", first="_T_0")
    assert expect(tale, start_within_s=5.0).violations == ["start: never of rig_2, and 5 s is the limit"]


def test_nothing_was_started_where_no_start_was_sent() -> None:
    assert expect(Tale(), start_within_s=5.0).result == "unknown"


def test_a_healthy_run_keeps_all_limits_at_once() -> None:
    run = healthy()
    assert found(run, "made", key="START")
    limits = Limits(lost=0, twice=0, p99_ms=50.0)
    keys = {"START": limits, "STOP": limits, "STORM": limits}
    check = expect(run, trials=limits, keys=keys, start_within_s=1.0, handshake_within_s=1.0)
    assert (check.result, check.count) == ("pass", 14)


def test_a_limit_that_is_kept_is_a_pass(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3))
    camera = {"camera": Limits(missing=1, missing_pct=10.0)}
    assert check_of(limited(run, streams=camera), "expect").result == "pass"


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"missing": 0}, "rig_1 camera: items missing: 1 > 0"),
        ({"missing_pct": 9.5}, "rig_1 camera: % missing: 10 > 9.5"),
    ],
)
def test_a_streams_limit_is_told_with_the_figure(run: Evidence, limits: dict[str, Any], sentence: str) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3))
    assert broke(limited(run, streams={"camera": Limits(**limits)})) == {"expect": [sentence]}


def test_trials_that_took_too_long_are_told_in_plain_digits(run: Evidence) -> None:
    for n in range(3):
        found(run, "handled", first=f"_rig_1_{n}").t = found(run, "made", id=f"_rig_1_{n}").t + 12_345_670_000
        found(run, "settled", id=f"_rig_1_{n}").t += 20 * 10**9
    limits = limited(run, trials=Limits(p99_ms=500.0))
    assert [*broke(limits)] == ["expect"]
    assert said(check_of(limits, "expect")) == ["trials p99 ms: 12,345.67 > 500"]


def test_one_slow_trial_of_a_hundred_is_not_the_99th_percentile() -> None:
    topology = lab(expect=Expect(trials=Limits(p99_ms=10.0)))
    story = Story()
    for n in range(100):
        story.relayed(f"_rig_1_{n}", ["_rig_1", "rig_1", "T"], by="_T", key="DATA")
    run = Evidence(topology=topology, seed=SEED, journal=story.journal)
    found(run, "made", id="_rig_1_0").t -= 10**9
    assert check_of(run, "expect").violations == []
    found(run, "made", id="_rig_1_1").t -= 10**9
    (text,) = check_of(run, "expect").violations
    assert text == (
        "trials p99 ms: 1,003 > 10; slowest: _rig_1_0 (1,003 ms: 1,001 waiting in _rig_1); "
        "_rig_1_1 (1,003 ms: 1,001 waiting in _rig_1)"
    )
