"""What emulated programs do in a session, in made-up time; and what they send, the same whoever computes it."""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.emulator.session import CATCH_UP, Act, Close, Conductor, Item, Open, Rig, Say, item_of, route_of
from sim.lab.topology import Burst, Graduation, Machine, Session, Stream, Topology, Trials
from sim.scenario.payloads import ArraySpec, Payload, build, fingerprint, noise, opaque_bytes
from sim.search.strategies import payloads

BEGIN = {"task_type": "Nafc", "session": 0, "subject": "a"}
RUNNING = Say("rig_1", "STATE", "RUNNING")
IDLE = Say("rig_1", "PING", then=(Say("rig_1", "STATE", "IDLE"),))


def lab(*, pace: float = 1.0, graduate: tuple[Graduation, ...] = (), **keys: Any) -> Topology:
    """A terminal, a rig with these keys, another that only looks on, and one whose program is the lab's own."""
    return Topology(
        name="made up",
        path="made_up.yaml",
        machines=(
            Machine("T", children=("rig_1", "rig_2", "rig_3")),
            Machine("rig_1", parent="T", subjects=("a", "b"), **keys),
            Machine("rig_2", parent="T", task={"task_type": "Look", "sounds": ["L.wav"]}),
            Machine("rig_3", parent="T", trials=Trials(), program="mylab:Box"),
        ),
        session=Session(duration_s=10.0, pace=pace, graduate=graduate),
    )


def rig_of(topology: Topology, *, seed: int = 1) -> Rig:
    return Rig(topology, topology.machine("rig_1"), seed=seed)


def rig_with(*, pace: float = 1.0, **keys: Any) -> Rig:
    return rig_of(lab(pace=pace, **keys))


def run_until(rig: Rig, end: float) -> list[tuple[float, Act]]:
    """Each act with the time it is done at, when the rig is called whenever it wants to be."""
    acts: list[tuple[float, Act]] = []
    while (due := rig.next_timer()) is not None and due <= end:
        acts += [(due, act) for act in rig.handle_timer(now=due)]
    return acts


def numbers(acts: Sequence[Act], stream: str) -> list[int]:
    return [act.n for act in acts if isinstance(act, Item) and act.stream == stream]


def data(acts: Sequence[Act]) -> list[Any]:
    return [act.value for act in acts if isinstance(act, Say) and act.key == "DATA"]


# -- a rig -----------------------------------------------------------------------------------------------------------


def test_a_start_says_running_and_a_second_one_begins_no_second_task() -> None:
    rig = rig_with(trials=Trials(), streams={"wheel": Stream(fields=("x",), rate_hz=10.0)})
    assert rig.started(BEGIN, now=0.0) == [RUNNING, Open("wheel", 0)]
    due = rig.next_timer()
    assert rig.started({**BEGIN, "session": 1}, now=0.5) == []
    assert (rig.next_timer(), rig.state) == (due, "RUNNING")


@pytest.mark.parametrize("value", [None, "Nafc", 7, []])
def test_a_start_that_says_nothing_is_a_session_all_the_same(value: Any) -> None:
    assert rig_with().started(value, now=0.0) == [RUNNING]


def test_a_start_is_passed_on_to_the_children_with_what_it_says() -> None:
    rig = rig_with(children=("cam",))
    assert rig.started(BEGIN, now=0.0) == [RUNNING, Say("rig_1", "CHILD", {"KEY": "START", **BEGIN})]


def test_a_stop_ends_the_streams_and_then_the_state_is_idle() -> None:
    rig = rig_with(trials=Trials(), streams={"wheel": Stream(fields=("x",), rate_hz=10.0)})
    rig.started(BEGIN, now=0.0)
    assert rig.stopped(None, now=1.0) == [Close("wheel", 0), IDLE]
    assert (rig.next_timer(), rig.state) == (None, "IDLE")
    assert rig.stopped(None, now=2.0) == [], "it has stopped"


def test_an_order_that_comes_again_is_told_to_the_children_who_may_lack_it_and_begins_or_ends_nothing_here() -> None:
    rig = rig_with(children=("cam",))
    rig.started(BEGIN, now=0.0)
    assert rig.started(BEGIN, now=1.0) == [Say("rig_1", "CHILD", {"KEY": "START", **BEGIN})]
    rig.stopped({"session": 0}, now=2.0)
    assert rig.stopped({"session": 0}, now=3.0) == [Say("rig_1", "CHILD", {"KEY": "STOP", "session": 0})]
    assert rig.started(BEGIN, now=4.0) == []
    assert rig.stopped(None, now=5.0) == []
    assert rig.stopped({"session": 1}, now=5.0) == []


def test_a_rig_is_idle_only_when_its_children_have_stopped() -> None:
    rig = rig_with(children=("cam",))
    rig.started(BEGIN, now=0.0)
    assert rig.stopped(None, now=1.0) == [
            Say("rig_1", "CHILD", {"KEY": "STOP", "session": 0}, then=(IDLE,))
        ]


def test_trials_come_stage_by_stage_within_the_time_that_the_file_gives_them() -> None:
    rig = rig_with(trials=Trials(every_s=(2.0, 4.0), stages=2, bytes=20))
    rig.started(BEGIN, now=100.0)
    said = [(at, act.value) for at, act in run_until(rig, 200.0) if isinstance(act, Say)]
    assert [(value["trial_num"], value["stage"]) for _, value in said[:4]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    begun = [at for at, value in said if value["stage"] == 0]
    waits = [b - a for a, b in pairwise(begun)]
    assert begun[0] == 100.0
    assert 25 <= len(waits) <= 50
    assert all(2.0 <= wait <= 4.0 for wait in waits)
    assert max(waits) - min(waits) > 1.0, "they differ"
    assert said[1][0] - said[0][0] == pytest.approx(waits[0] / 2), "a stage is a share of its trial"
    assert said[0][1] | {"rt": 0} == {
        "pilot": "rig_1",
        "subject": "a",
        "session": 0,
        "trial_num": 0,
        "stage": 0,
        "rt": 0,
        "note": "x" * 20,
    }


def test_some_trials_have_no_reaction_time() -> None:
    """NaN is what an experiment writes there, so it must cross the network."""
    rig = rig_with(trials=Trials(every_s=(1.0, 1.0), stages=1))
    rig.started(BEGIN, now=0.0)
    times = [value["rt"] for value in data([act for _, act in run_until(rig, 99.0)])]
    assert 10 <= sum(map(math.isnan, times)) <= 30


def test_the_pace_shortens_the_waits_between_trials_and_no_streams_rate() -> None:
    keys: dict[str, Any] = {"trials": Trials(every_s=(1.0, 1.0), stages=1)}
    keys["streams"] = {"wheel": Stream(fields=("x",), rate_hz=10.0)}
    rig = rig_with(pace=4.0, **keys)
    rig.started(BEGIN, now=0.0)
    acts = [act for _, act in run_until(rig, 4.95)]
    assert len(data(acts)) == 20
    assert numbers(acts, "wheel") == list(range(50))


def test_the_next_session_has_another_number_and_subject_and_counts_items_from_zero() -> None:
    keys: dict[str, Any] = {"trials": Trials(every_s=(1.0, 1.0), stages=1)}
    keys["streams"] = {"wheel": Stream(fields=("x",), rate_hz=1.0)}
    rig = rig_with(**keys)
    rig.started(BEGIN, now=0.0)
    first = [act for _, act in run_until(rig, 2.5)]
    rig.stopped({"graduation": True}, now=2.6)
    assert rig.started({"session": 1, "subject": "b"}, now=2.7) == [RUNNING, Open("wheel", 1)]
    second = [act for _, act in run_until(rig, 4.0)]
    assert [act for act in first if isinstance(act, Item)] == [Item("wheel", 0, n) for n in range(3)]
    assert [act for act in second if isinstance(act, Item)] == [Item("wheel", 1, n) for n in range(2)]
    assert {(value["session"], value["subject"]) for value in data(first)} == {(0, "a")}
    assert {(value["session"], value["subject"]) for value in data(second)} == {(1, "b")}


# -- streams over time -----------------------------------------------------------------------------------------------


def test_bursts_that_overlap_are_numbered_as_they_are_sent() -> None:
    lick = Stream(bytes=10, burst=Burst(n=8, rate_hz=4.0))  # two seconds, and a trial a second
    rig = rig_with(trials=Trials(every_s=(1.0, 1.0), stages=1), streams={"lick": lick})
    rig.started(BEGIN, now=0.0)
    timed = [(at, act) for at, act in run_until(rig, 10.0) if isinstance(act, Item)]
    assert [act.n for _, act in timed] == list(range(len(timed)))
    in_the_fifth = [at for at, _ in timed if 5.0 <= at < 6.0]
    assert len(in_the_fifth) == 8, "four of the trial's own, and four of the one before"


@given(
    rate=st.floats(0.5, 200.0),
    waits=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=20),
)
def test_a_rate_holds_over_time_however_late_the_calls_are(rate: float, waits: list[float]) -> None:
    rig = rig_with(streams={"wheel": Stream(fields=("x",), rate_hz=rate)})
    rig.started(BEGIN, now=0.0)
    now, sent = 0.0, 0
    for wait in waits:
        now += wait
        sent += len(numbers(rig.handle_timer(now=now), "wheel"))
        assert sent - 1 <= now * rate * (1 + 1e-9)
        assert sent > now * rate * (1 - 1e-9) - 1e-6


def test_after_a_pause_no_stream_makes_the_others_wait() -> None:
    fast, slow = Stream(fields=("x",), rate_hz=100.0), Stream(fields=("x",), rate_hz=1.0)
    rig = rig_with(streams={"fast": fast, "slow": slow}, trials=Trials(every_s=(5.0, 5.0), stages=1))
    rig.started(BEGIN, now=0.0)
    acts = rig.handle_timer(now=10.0)
    assert numbers(acts, "fast") == list(range(1001))
    assert numbers(acts, "slow") == list(range(11))
    others = [place for place, act in enumerate(acts) if not (isinstance(act, Item) and act.stream == "fast")]
    assert others[0] == CATCH_UP
    assert len(data(acts)) == 3


# -- whatever happens ------------------------------------------------------------------------------------------------

BUSY: dict[str, Any] = {
    "trials": Trials(every_s=(0.3, 0.9), stages=2, bytes=5),
    "streams": {
        "wheel": Stream(fields=("x",), rate_hz=20.0),
        "lick": Stream(bytes=10, burst=Burst(n=6, rate_hz=8.0)),
    },
    "children": ("cam",),
}
CALLS = st.lists(
    st.tuples(st.sampled_from(["start", "stop", "timer", "timer", "on time"]), st.floats(0.0, 3.0)), max_size=25
)


def played(calls: list[tuple[str, float]], *, seed: int = 1) -> list[list[Act]]:
    """The acts of each call. A session's number is that of its START, taken or not."""
    rig = rig_of(lab(**BUSY), seed=seed)
    now, acts = 50.0, []
    for session, (what, wait) in enumerate(calls):
        now = rig.next_timer() or now if what == "on time" else now + wait
        if what == "start":
            acts.append(rig.started({"session": session, "subject": f"s{session}"}, now=now))
        elif what == "stop":
            acts.append(rig.stopped(None, now=now))
        else:
            acts.append(rig.handle_timer(now=now))
        due = rig.next_timer()
        assert what in ("start", "stop") or due is None or due > now, "a timer that went off is still due"
        assert (rig.state == "RUNNING") == (due is not None)
    return acts


@given(CALLS)
def test_whatever_happens_items_are_numbered_from_zero_within_their_open_stream(calls: list[tuple[str, float]]) -> None:
    is_open: set[tuple[str, int]] = set()
    count: Counter[tuple[str, int]] = Counter()
    for act in [act for acts in played(calls) for act in acts]:
        if isinstance(act, Open):
            is_open.add((act.stream, act.session))
        elif isinstance(act, Close):
            is_open.remove((act.stream, act.session))
        elif isinstance(act, Item):
            assert (act.stream, act.session) in is_open
            assert act.n == count[act.stream, act.session]
            count[act.stream, act.session] += 1


@given(CALLS)
def test_whatever_happens_trials_are_made_between_start_and_stop_only(calls: list[tuple[str, float]]) -> None:
    running = None
    trials: list[tuple[int, int]] = []
    for (what, _), (session, acts) in zip(calls, enumerate(played(calls)), strict=True):
        if what == "start" and running is None:
            assert acts[0] == RUNNING
            running = session
        elif what == "stop":
            assert bool(acts) == (running is not None)
            running = None
        assert all(value["session"] == running and value["subject"] == f"s{running}" for value in data(acts))
        trials += [(value["trial_num"], value["stage"]) for value in data(acts)]
    assert len(set(trials)) == len(trials), "no trial is made again in a later session"


@given(CALLS, st.integers(0, 99))
def test_the_same_seed_makes_the_same_acts(calls: list[tuple[str, float]], seed: int) -> None:
    one, two = (repr(played(calls, seed=seed)) for _ in range(2))  # repr, since no NaN is equal to itself
    assert one == two


def test_another_seed_makes_other_trials() -> None:
    calls = [("start", 0.0), ("timer", 3.0)]
    assert repr(played(calls, seed=1)) != repr(played(calls, seed=2))


# -- the terminal ----------------------------------------------------------------------------------------------------


def start(pilot: str, session: int, subject: str, **more: Any) -> Say:
    return Say(pilot, "START", {"subject": subject, "session": session, "pilot": pilot, **more})


LOOK = {"task_type": "Look", "sounds": ["L.wav"], "stim": {"sounds": {"L": [{"type": "File", "path": "L.wav"}]}}}


def test_a_session_begins_with_who_is_there_and_a_start_to_every_pilot_with_its_files() -> None:
    conductor = Conductor(lab(trials=Trials()), seed=1)
    assert conductor.begin(now=5.0) == [
        Say("T", "INIT"),
        start("rig_1", 0, "a"),
        start("rig_2", 0, "rig_2_subject", **LOOK),
        start("rig_3", 0, "rig_3_subject"),
    ]
    assert conductor.next_timer() == 15.0


def test_a_graduation_is_a_stop_and_then_the_start_of_the_next_session_with_the_next_subject() -> None:
    graduate = tuple(Graduation(at_s=at, pilot="rig_1") for at in (4.0, 2.0))
    conductor = Conductor(lab(trials=Trials(), graduate=graduate), seed=1)
    conductor.begin(now=0.0)
    assert conductor.next_timer() == 2.0
    assert conductor.handle_timer(now=1.9) == []
    stops = [Say("rig_1", "STOP", {"graduation": True, "session": n}) for n in range(2)]
    assert conductor.handle_timer(now=2.0) == [stops[0], start("rig_1", 1, "b")]
    assert conductor.handle_timer(now=4.0) == [stops[1], start("rig_1", 2, "a")]
    assert not conductor.done


def test_a_session_ends_with_a_stop_to_every_pilot_also_when_the_clock_is_late() -> None:
    conductor = Conductor(lab(trials=Trials(), graduate=(Graduation(at_s=9.0, pilot="rig_1"),)), seed=1)
    conductor.begin(now=0.0)
    acts = conductor.handle_timer(now=100.0)
    assert acts[:2] == [Say("rig_1", "STOP", {"graduation": True, "session": 0}), start("rig_1", 1, "b")]
    assert acts[2:] == [
        Say(pilot, "STOP", {"session": int(pilot == "rig_1")}) for pilot in ("rig_1", "rig_2", "rig_3")
    ]
    assert (conductor.done, conductor.next_timer()) == (True, None)


def test_every_session_of_every_rig_that_makes_trials_is_asked_for_proof() -> None:
    """Not of what the lab's own programs send: nobody knows which of it they count as trials."""
    conductor = Conductor(lab(trials=Trials(), graduate=(Graduation(at_s=2.0, pilot="rig_1"),)), seed=1)
    conductor.begin(now=0.0)
    conductor.handle_timer(now=10.0)
    assert conductor.questions() == [
        Say("rig_1", "COHERE", {"subject": "a", "session": 0}),
        Say("rig_1", "COHERE", {"subject": "b", "session": 1}),
    ]


@pytest.mark.parametrize(
    ("machine", "to", "route"),
    [
        ("rig_1", None, ("T", "CONTINUOUS")),
        ("rig_1", "T", ("T", "CONTINUOUS")),
        ("cam", None, ("rig_1", "CONTINUOUS")),
        ("cam", "T", ("T", "CONTINUOUS")),
        ("cam", "rig_1", ("rig_1", "STREAM_VIDEO")),
    ],
)
def test_a_stream_goes_to_a_program_above_or_by_way_of_the_parent(
    machine: str, to: str | None, route: tuple[str, str]
) -> None:
    rig, cam = Machine("rig_1", parent="T", children=("cam",)), Machine("cam", parent="rig_1")
    topology = Topology(name="x", path="x.yaml", machines=(Machine("T", children=("rig_1",)), rig, cam))
    assert route_of(topology, topology.machine(machine), Stream(bytes=1, rate_hz=1.0, to=to)) == route


# -- items -----------------------------------------------------------------------------------------------------------

KINDS = {
    "video": Stream(shape=(24, 32), dtype="uint8", rate_hz=1.0, content="video"),
    "noise": Stream(shape=(4, 3), dtype="float32", rate_hz=1.0, content="noise"),
    "small": Stream(shape=(1,), dtype="bool", rate_hz=1.0),
    "wheel": Stream(fields=("x", "y"), rate_hz=1.0),
    "text": Stream(bytes=10, rate_hz=1.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_is_the_same_whoever_makes_it_and_unlike_any_other(kind: str) -> None:
    asked = [("rig_1", kind, session, n) for session in range(2) for n in range(20)] + [("rig_2", kind, 0, 0)]

    def prints() -> list[str]:
        return [fingerprint(item_of(3, m, name, KINDS[kind], session, n)) for m, name, session, n in asked]

    assert prints() == prints()
    assert len(set(prints())) == len(asked)


def test_an_array_item_has_the_shape_and_type_of_its_stream_and_content_of_its_seed() -> None:
    one, other = (item_of(seed, "rig_1", "noise", KINDS["noise"], 0, 0)["frame"] for seed in (1, 2))
    assert (one.shape, one.dtype) == ((4, 3), np.float32)
    assert fingerprint(one) != fingerprint(other)


def test_a_field_of_a_lab_may_be_called_as_ours_are() -> None:
    spec = Stream(fields=("n", "stream", "x"), rate_hz=1.0)
    item = item_of(1, "rig_1", "wheel", spec, 2, 5)
    assert (item["stream"], item["n"]) == ("rig_1/wheel/2", 5)
    assert isinstance(item["x"], float)


# -- fingerprints ----------------------------------------------------------------------------------------------------


@given(payloads())
def test_a_payload_built_again_has_the_same_fingerprint(payload: Payload) -> None:
    assert fingerprint(build(payload)) == fingerprint(build(payload)) == fingerprint(copy.deepcopy(build(payload)))


@given(
    st.sampled_from(["?", "u1", "<i2", ">f4", "<c16", "S5", "<U3"]),
    st.lists(st.integers(1, 4), max_size=3).map(tuple),
    st.integers(0, 1000),
    st.data(),
)
def test_one_bit_makes_another_fingerprint(dtype: str, shape: tuple[int, ...], seed: int, data: st.DataObject) -> None:
    array = noise(dtype, shape, seed)
    raw = bytearray(array.tobytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    flipped = np.frombuffer(bytes(raw), array.dtype).reshape(shape)
    assert fingerprint(flipped) != fingerprint(array)
    assert fingerprint({"a": [flipped]}) != fingerprint({"a": [array]})


@given(st.sampled_from(["<f8", ">i2", "S5"]), st.lists(st.integers(0, 4), max_size=3).map(tuple), st.integers(0, 99))
def test_how_an_array_lies_in_memory_makes_no_difference(dtype: str, shape: tuple[int, ...], seed: int) -> None:
    made = [build(Payload(array=ArraySpec(dtype, shape, seed, layout))) for layout in ("C", "F")]
    strided = build(Payload(array=ArraySpec(dtype, shape, seed, "strided")))
    assert fingerprint(made[0]) == fingerprint(made[1])
    assert fingerprint(strided) == fingerprint(np.ascontiguousarray(strided).reshape(shape))


NAN = float("nan")
SAME: list[tuple[Any, Any]] = [
    (NAN, float("nan")),
    ({"a": [NAN, math.inf]}, {"a": (float("nan"), math.inf)}),
    ((1, 2), [1, 2]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    (np.array([NAN]), np.array([NAN])),
    (json.loads(str(2**80)), 2**80),
]
DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (math.inf, -math.inf),
    (2**80, 2**80 + 1),
    (2**64, float(2**64)),
    ("1", 1),
    (None, "null"),
    ([], {}),
    ([[1], 2], [1, [2]]),
    ("é", "e\N{COMBINING ACUTE ACCENT}"),
    (np.zeros(4, "u1"), np.zeros(4, "i1")),
    (np.zeros(4, "u1"), np.zeros((2, 2), "u1")),
    (np.zeros((), "u1"), np.zeros(1, "u1")),
    (np.zeros((0, 2), "u1"), np.zeros((2, 0), "u1")),
    (np.arange(4, dtype=">i4"), np.arange(4, dtype="<i4")),
    (np.zeros(4, ">i4"), np.zeros(4, "<i4")),  # the same bits, and another meaning
    (np.zeros(0, "f4"), np.zeros(0, "f8")),
    (np.arange(4, dtype="<i4").astype(">i4"), np.arange(4, dtype="<i4").view(">i4")),
    (np.array([1.0]), [1.0]),
    (np.array([NAN]), np.array([-NAN])),  # not the same bits
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_values_that_are_equal_bit_for_bit_have_one_fingerprint(one: Any, other: Any) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_values_that_differ_have_two_fingerprints(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_opaque_bytes_are_no_text_no_json_and_unlike_any_other_of_the_run() -> None:
    made = [opaque_bytes(size, 0, example, n) for size in (0, 30) for example in range(3) for n in range(3)]
    assert made == [opaque_bytes(size, 0, example, n) for size in (0, 30) for example in range(3) for n in range(3)]
    assert len(set(made)) == len(made)
    for raw in made:
        with pytest.raises(UnicodeDecodeError):
            raw.decode()


def test_an_order_that_was_given_up_is_given_again_and_what_came_after_it_too() -> None:
    """Else a rig that was cut off would get its START after its STOP, and run for ever."""
    conductor = Conductor(lab(), seed=1)
    [_, *starts] = conductor.begin(now=0.0)
    stops = conductor.handle_timer(now=10.0)
    first = [order for order in (*starts, *stops) if isinstance(order, Say) and order.to == "rig_1"]
    assert [order.key for order in first] == ["START", "STOP"]
    assert conductor.settled(first[0], confirmed=False) == first
    assert conductor.settled(first[1], confirmed=True) == []
    assert conductor.settled(first[0], confirmed=False) == first[:1]
    assert conductor.settled(first[0], confirmed=True) == []
    assert conductor.settled(first[0], confirmed=False) == [], "it is known to have been handled"
