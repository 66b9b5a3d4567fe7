"""What a machine says of its clock is true: the terminal's time lies within the uncertainty, whatever the wire does."""

import json
import math
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autopilot_net.protocol.clock import DRIFT, Clock, ClockOffset
from autopilot_net.protocol.effects import Deliver, Traffic, Transmit
from autopilot_net.protocol.endpoint import Endpoint, Settings
from tests.autopilot_net.protocol.invariants import message_of
from tests.autopilot_net.protocol.test_frames import station
from tests.autopilot_net.protocol.wire import LOSE, PASS, Flight, Wire

delays = st.floats(0, 0.2)
epochs = st.floats(0, 4e9)
WORST = 49.9e-6  # of a crystal: what counts is its drift in seconds of the other


def clock(interval: float = 16.0) -> Clock:
    return Clock(interval=interval)


def asked(
    one: Clock, *, at: float = 0.0, out: float = 0.0, back: float = 0.0, ahead: float = 0.0, sure: float = 0.0
) -> bool:
    """Ask one whose clock is `ahead` of ours, over ways that take so long."""
    one.ask("q", now=at)
    return one.answer("q", [at + out + ahead, 0.0, sure], now=at + out + back)


def known(one: Clock, *, now: float = 0.0, epoch: float = 0.0) -> tuple[float, float]:
    told = one.offset(epoch=epoch, now=now)
    assert told is not None
    return told.offset, told.uncertainty


def questions(wire: Wire, source: str) -> int:
    """How often `source` has asked."""
    upstream = wire.parents[source]
    payloads = [effect.frames[-1] for effect in wire.of(source, Transmit) if effect.peer == upstream]
    return len([payload for payload in payloads if (m := message_of(payload)) and m.key == "CLOCK"])


def offset_of(wire: Wire, name: str) -> ClockOffset:
    told = wire[name].clock_offset(now=wire.now)
    assert told is not None, f"{name} knows nothing of the terminal's clock"
    return told


def assert_true(wire: Wire, *names: str, root: str = "T") -> None:
    for name in names:
        told = offset_of(wire, name)
        wrong_by = abs(told.offset - (wire[root].epoch - wire[name].epoch))
        assert wrong_by <= told.uncertainty, f"{name} is off by {wrong_by} s, and says {told}"


def chain(**settings: Any) -> Wire:
    stations = {"T": None, "rig": "T", "cam": "rig", "lamp": "cam"}
    return Wire(stations, {"_lamp": "lamp"}, settings=Settings(**settings))


# -- what one answer proves ----------------------------------------------------------------------------------------


def test_before_the_first_answer_nothing_is_known() -> None:
    assert clock().offset(epoch=0, now=0) is None


def test_an_offset_is_what_is_added_to_the_time_here_to_get_the_terminals() -> None:
    one = clock()
    assert asked(one, at=5, out=0.25, back=0.25, ahead=100)
    offset, uncertainty = known(one, epoch=30, now=5)
    assert offset == pytest.approx(70)
    assert uncertainty == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize(("out", "back"), [(1.0, 0.0), (0.0, 1.0)])
def test_a_round_trip_whose_ways_are_unlike_is_off_by_half_of_it_and_says_so(out: float, back: float) -> None:
    one = clock()
    asked(one, out=out, back=back, ahead=10)
    offset, uncertainty = known(one, now=1)
    assert abs(offset - 10) == pytest.approx(0.5)
    assert abs(offset - 10) <= uncertainty


def test_the_uncertainty_of_whoever_answered_adds_up() -> None:
    one = clock()
    asked(one, out=0.1, back=0.1, sure=2.0)
    assert known(one)[1] == pytest.approx(2.1, abs=1e-4)


def test_what_was_measured_grows_less_sure_as_crystals_drift_apart() -> None:
    one = clock()
    asked(one)
    assert known(one, now=1_000)[1] == pytest.approx(1_000 * DRIFT, rel=0.01)


def test_a_surer_answer_replaces_one_that_is_less_sure_and_not_the_other_way_round() -> None:
    one = clock()
    asked(one, at=0, out=0.02, back=0.00)
    asked(one, at=1, out=0.004, back=0.004)
    assert known(one, now=1)[0] == pytest.approx(0, abs=1e-6)
    asked(one, at=2, out=0.02, back=0.0)
    assert known(one, now=2)[0] == pytest.approx(0, abs=1e-6)


def test_one_that_has_aged_gives_way_to_one_that_was_less_sure_when_it_came() -> None:
    one = clock()
    asked(one, at=0, out=0.004, back=0.004)
    asked(one, at=1_000, out=0.02, back=0.0)
    assert known(one, now=1_000)[0] == pytest.approx(0.01)


def test_when_the_terminals_clock_was_set_what_was_measured_before_is_wrong_however_sure_it_was() -> None:
    one = clock()
    asked(one, at=0, out=0.001, back=0.001)
    asked(one, at=1, out=0.1, back=0.1, ahead=3_600)
    assert known(one, now=1)[0] == pytest.approx(3_600)


def test_in_another_era_what_was_known_is_wrong_however_unsure_the_answer_is() -> None:
    one = clock()
    for era, ahead in ((7.0, 0.0), (7.0, 1.0), (8.0, 1.0)):
        one.ask("q", now=0)
        assert one.answer("q", [1.0 + ahead, 0.0, 0.0 if ahead == 0 else 3.0], era=era, now=2)
        assert known(one)[0] == pytest.approx(0.0 if era == 7.0 else 1.0)
        assert one.era == era


@pytest.mark.parametrize("era", [None, "yesterday", [1], float("nan")])
def test_who_tells_no_era_is_believed_as_ever(era: Any) -> None:
    one = clock()
    one.ask("q", now=0)
    assert one.answer("q", [1.0, 0.0, 0.0], era=era, now=0)
    assert one.era is None


def test_when_our_own_clock_was_set_nothing_is_lost() -> None:
    one = clock()
    asked(one, ahead=100)
    assert known(one, epoch=100)[0] == pytest.approx(0)
    assert known(one, epoch=-500)[0] == pytest.approx(600)


@given(
    st.lists(st.tuples(st.floats(0, 100), delays, delays), min_size=1, max_size=8),
    st.floats(-WORST, WORST),
    st.floats(-WORST, WORST),
    epochs,
    st.floats(0, 1_000),
)
@example([(0.0, 0.0, 0.0)], -WORST, WORST, 0.0, 1_000.0)
@example([(0.0, 0.0, 0.0)], WORST, -WORST, 1.7e9, 1_000.0)
def test_the_true_offset_lies_within_the_uncertainty_while_crystals_drift(
    exchanges: list[tuple[float, float, float]], ours: float, theirs: float, epoch: float, later: float
) -> None:
    one, true = clock(), 0.0
    for wait, out, back in exchanges:
        asked_at = true + wait
        one.ask("q", now=asked_at * (1 + ours))
        there = epoch + (asked_at + out) * (1 + theirs)
        true = asked_at + out + back
        assert one.answer("q", [there, 0.0, 0.0], now=true * (1 + ours))
    for at in (true, true + later):
        now = at * (1 + ours)
        offset, uncertainty = known(one, now=now)
        assert abs(now + offset - (epoch + at * (1 + theirs))) <= uncertainty


def test_what_a_double_cannot_hold_is_within_the_uncertainty_too() -> None:
    chance = random.Random(7)
    for _ in range(100):
        terminal, parent, ours = (chance.uniform(0, 4e9) for _ in range(3))
        now, one = chance.uniform(0, 1e6), clock()
        one.ask("q", now=now)
        assert one.answer("q", [parent + now, terminal - parent, 0.0], now=now)
        offset, uncertainty = known(one, now=now, epoch=ours)
        assert abs(offset - (terminal - ours)) <= uncertainty


# -- what is not believed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *(None, "now", {}, [], [1.0], [1.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
        *([1.0, 0.0, -1.0], ["1", 0.0, 0.0], [1.0, None, 0.0], [1.0, 0.0, True], [[1.0], 0.0, 0.0]),
        *([math.nan, 0.0, 0.0], [1.0, math.nan, 0.0], [1.0, 0.0, math.inf], [-math.inf, 0.0, 0.0]),
        *([10**400, 0, 0], [0, 10**13, 0], [0, 0, 1e300]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_time_that_is_none_is_not_believed(value: Any) -> None:
    one = clock()
    asked(one, ahead=7)
    one.ask("q", now=1)
    assert not one.answer("q", value, now=1)
    assert known(one, now=1)[0] == pytest.approx(7)


@pytest.mark.parametrize("question", ["another", None, 3, ["q"], {}])
def test_an_answer_to_something_else_is_none(question: Any) -> None:
    one = clock()
    assert not one.answer(question, [7.0, 0.0, 0.0], now=0)
    one.ask("q", now=0)
    assert not one.answer(question, [7.0, 0.0, 0.0], now=0)
    assert one.offset(epoch=0, now=0) is None


def test_an_answer_counts_once_and_not_after_the_one_who_was_asked_was_away() -> None:
    one = clock()
    assert asked(one)
    assert not one.answer("q", [7.0, 0.0, 0.0], now=0)
    one.ask("r", now=1)
    one.meet(now=2)
    assert not one.answer("r", [7.0, 0.0, 0.0], now=2)


# -- stations ------------------------------------------------------------------------------------------------------


@given(st.integers(), st.lists(epochs, min_size=5, max_size=5), st.floats(0, 0.5))
def test_every_machine_of_a_chain_knows_the_terminals_time_whatever_its_links_do(
    seed: int, wall: list[float], loss: float
) -> None:
    chance = random.Random(seed)
    wire = chain(liveness_s=20.0)  # probes prove nothing here, and cost time
    for endpoint, epoch in zip(wire.endpoints.values(), wall, strict=True):
        endpoint.epoch = epoch
    wire["_lamp"].epoch = wire["lamp"].epoch  # the same machine

    def policy(_: Flight) -> tuple[float, ...]:
        return LOSE if chance.random() < loss else (chance.random() ** 4,)

    wire.policy = policy
    wire.run(60)
    wire.policy = lambda _: (chance.random() ** 4,)
    wire.run(80)  # every one is answered by now, and so are those that learned only then what to answer
    assert_true(wire, "T", "rig", "cam", "lamp", "_lamp")
    wire.run(20)
    assert_true(wire, "rig", "cam", "lamp", "_lamp")


def test_the_root_is_the_clock() -> None:
    assert chain()["T"].clock_offset(now=5) == ClockOffset(0.0, 0.0)


def test_a_lab_that_has_just_met_knows_within_a_moment_and_asks_ever_more_rarely() -> None:
    wire = chain()
    wire.policy = lambda _: (0.001,)
    wire.run(0.5)
    assert offset_of(wire, "lamp").uncertainty < 0.01
    wire.run(20)
    so_far = questions(wire, "lamp")
    wire.run(3_600)
    assert so_far <= 9
    assert 3_600 / 16 - 2 <= questions(wire, "lamp") - so_far <= 3_600 / 16 + 2


def test_no_handler_is_given_it_so_that_none_delays_it() -> None:
    wire = chain()
    wire.handles_at_once = False
    wire.send("T", "rig", key="SLOW")
    wire.run(60)
    assert [effect.message.key for name in wire.parents for effect in wire.of(name, Deliver)] == ["SLOW"]
    assert_true(wire, "lamp")


def test_autopilots_own_are_never_asked() -> None:
    wire = Wire({"T": None, "rig": "T"}, connected=False)
    wire.policy = lambda flight: PASS if flight.frames[-1] else LOSE  # a probe's answer would show who it is
    wire.connect("rig")
    wire.run(100)
    assert questions(wire, "rig") == 0
    wire.send("T", "rig")  # what it sends shows that it is one of ours
    wire.run(1)
    assert questions(wire, "rig") > 0


def test_one_that_is_told_not_to_ask_does_not() -> None:
    wire = Wire({"T": None, "rig": "T"}, settings=Settings(clock_s=None))
    wire.run(100)
    assert questions(wire, "rig") == 0
    assert wire["rig"].clock_offset(now=100) is None


def test_who_does_not_know_the_time_says_nothing() -> None:
    wire = chain()
    wire.cut("rig")
    wire.run(30)
    assert questions(wire, "cam") > 3
    assert wire["lamp"].clock_offset(now=wire.now) is None
    wire.connect("rig")
    wire.announce()
    wire.run(60)
    assert_true(wire, "rig", "cam", "lamp")


def test_when_the_terminals_clock_is_set_all_below_find_out() -> None:
    wire = chain()
    wire.run(60)
    so_far = questions(wire, "lamp")
    wire["T"].epoch = 1e9
    wire.run(1)  # and not only when each asks again
    assert_true(wire, "rig", "cam", "lamp", "_lamp")
    wire.run(60)
    assert questions(wire, "lamp") - so_far <= 15


def test_who_did_not_hear_that_the_terminals_clock_was_set_finds_out_when_it_asks() -> None:
    wire = chain()
    wire.run(60)
    wire["T"].epoch = 2.0
    wire.policy = lambda flight: LOSE if b'"set"' in flight.frames[-1] else (4.0,)  # sure to four seconds
    wire.run(5 * 16)  # at each level it takes until it asks again
    assert_true(wire, "rig", "cam", "lamp", "_lamp")


def test_a_terminals_clock_that_is_slewed_has_nothing_measured_anew() -> None:
    wire = chain()
    wire.run(60)
    so_far = questions(wire, "rig")
    wire["T"].epoch += 0.0005
    wire.run(1)
    assert questions(wire, "rig") == so_far


def test_when_a_clock_on_the_way_is_set_nothing_is_measured_anew_and_all_is_still_true() -> None:
    wire = chain()
    wire.run(60)
    wire["cam"].epoch = 1e9
    assert_true(wire, "rig", "cam", "lamp")
    wire.run(60)
    assert_true(wire, "rig", "cam", "lamp")


def test_a_parent_in_its_next_life_is_asked_at_once_and_another_clock_there_is_believed() -> None:
    wire = chain()
    wire.run(60)
    so_far = questions(wire, "rig")
    wire.restart("T")
    wire.announce()
    wire["T"].epoch = -250.0
    wire.run(0.05)
    assert questions(wire, "rig") > so_far
    assert_true(wire, "rig")


def test_an_answer_to_a_former_life_is_none() -> None:
    wire = Wire({"T": None, "rig": "T"})
    wire.policy = lambda flight: (0.05,) if flight.source == "T" else (0.0,)
    wire.run(0.01)  # the first question of the first life has been answered, and the answer is under way
    wire.restart("rig")
    wire.announce()
    wire.policy = lambda _: LOSE
    wire.run(0.08)  # it comes while the first question of the second life is out
    assert (questions(wire, "rig"), wire.flights) == (2, [])
    assert wire["rig"].clock_offset(now=wire.now) is None


def test_only_neighbours_are_told() -> None:
    asker = json.dumps({"id": "1", "to": "s", "sender": "far", "key": "CLOCK", "flags": {"NOREPEAT": True}, "inc": "a"})
    root = station(upstream=None, below=("n",))
    assert root.receive("n", [b"s", b"s", asker.encode()], now=0) == []


def test_a_question_that_comes_from_above_is_no_answer_and_gets_none() -> None:
    facts = {"id": "1", "to": "s", "sender": "parent", "key": "CLOCK", "flags": {"NOREPEAT": True}, "inc": "a"}
    asker = json.dumps(facts)
    made: Endpoint = station()
    assert made.receive("parent", [asker.encode()], now=0) == []
    assert made.clock_offset(now=0) is None


def test_nobody_misses_the_answer_when_whoever_asked_has_gone() -> None:
    wire = chain()
    wire.run(1)
    answers = [e for e in wire.of("T", Transmit) if (m := message_of(e.frames[-1])) and m.key == "CLOCK"]
    assert answers
    assert {effect.kind for effect in answers} == {Traffic.CONTROL}
