"""The figures of a class of traffic, of all of it or of a part of the run."""

from __future__ import annotations

from msgspec.structs import replace

from sim.checks.expect.traffic import messages, rate, stream_traffic, trials
from sim.checks.streams import StreamTimes, stream_rows, stream_times
from sim.evidence.index import Index
from sim.verdict import StreamRow
from tests.sim.checks.expect.test_limits import trials as five_trials
from tests.sim.checks.test_stream_items import streamed
from tests.sim.journal_builder import evidence

S = 10**9


def test_a_rate_is_from_the_first_to_the_last_arrival() -> None:
    assert rate([0, S, 2 * S, 3 * S]) == 1.0
    assert rate([0]) is None
    assert rate([S, S]) is None


def test_idle_time_counts_for_no_rate() -> None:
    came = [0, S, 2 * S, 12 * S, 13 * S]
    assert rate(came, [(2 * S + 1, 12 * S - 1)]) == 4 / (3 + 2e-9)
    assert rate(came, [(-S, 20 * S)]) is None
    assert rate(came, [(S, 13 * S)], least_s=1.5) is None


def test_trials_have_times_and_counts() -> None:
    index = Index(evidence(five_trials()))
    traffic = trials(index, [(10 * S, 11 * S)])
    assert (traffic.made, traffic.lost, traffic.missing, traffic.twice) == (5, 1, 1, 1)
    assert [round(transit.ms) for transit in traffic.came] == [100, 200, 300, 1003]
    assert [transit.is_busy for transit in traffic.came] == [True, True, False, False]
    assert trials(index, [], rig="rig_2").made == 0


def test_messages_of_any_kind_are_measured() -> None:
    index = Index(evidence(five_trials()))
    traffic = messages(index, "DATA", index.made, [])
    assert {transit.path for transit in traffic.transits} == {("_rig_1", "_T"), ("_rig_1", "T")}


def test_a_stream_has_the_counts_of_its_row_and_the_times_of_its_items() -> None:
    index = Index(evidence(streamed("wheel", lost=(3,))))
    (row,) = stream_rows(index)
    traffic = stream_traffic(row, stream_times(index)["rig_1", "wheel"], [])
    assert (traffic.made, traffic.lost, len(traffic.came)) == (40, 1, 39)
    assert {transit.path for transit in traffic.transits} == {("_rig_1", "_T")}
    assert stream_traffic(row, None, []).transits == []


def test_of_an_own_programs_items_only_the_rate_is_known() -> None:
    row = StreamRow(machine="box", stream="wheel", to="_T", reliable=True, sent=5, received=3)
    known = StreamTimes("_box", "_T", [(n * S, n * S) for n in range(3)], is_timed=False)
    traffic = stream_traffic(row, known, [])
    assert (traffic.made, traffic.missing, traffic.came) == (5, 2, [])
    assert traffic.arrivals == [0, S, 2 * S]
    uncounted = stream_traffic(replace(row, is_counted=False), known, [])
    assert (uncounted.made, rate(uncounted.arrivals)) == (0, 1.0)
