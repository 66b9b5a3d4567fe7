"""What the script of a pilot or a child does in a session. Time is made up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.emulator.machine_script import CATCH_UP, MachineScript
from sim.emulator.session import AppendItem, CloseStream, Command, OpenStream, SendMessage
from sim.lab.topology import Burst, Stream, Topology, Trials
from tests.sim.emulator.made_up_lab import lab

BEGIN = {"task_type": "Nafc", "session": 0, "subject": "a"}
RUNNING = SendMessage("rig_1", "STATE", "RUNNING")
IDLE = SendMessage("rig_1", "PING", then=(SendMessage("rig_1", "STATE", "IDLE"),))


def rig_of(topology: Topology, *, seed: int = 1) -> MachineScript:
    return MachineScript(topology, topology.machine("rig_1"), seed=seed)


def rig_with(*, pace: float = 1.0, **keys: Any) -> MachineScript:
    return rig_of(lab(pace=pace, **keys))


def run_until(rig: MachineScript, end: float) -> list[tuple[float, Command]]:
    """Each act with the time it is done at, when the rig is called whenever it wants to be."""
    commands: list[tuple[float, Command]] = []
    while (due := rig.next_timer()) is not None and due <= end:
        commands += [(due, command) for command in rig.handle_timer(now=due)]
    return commands


def items(commands: Sequence[Command]) -> list[AppendItem]:
    return [command for command in commands if isinstance(command, AppendItem)]


def numbers(commands: Sequence[Command], stream: str) -> list[int]:
    return [item.n for item in items(commands) if item.stream == stream]


def data(commands: Sequence[Command]) -> list[Any]:
    return [command.value for command in commands if isinstance(command, SendMessage) and command.key == "DATA"]


def test_a_start_says_running_and_a_second_one_begins_no_second_task() -> None:
    rig = rig_with(trials=Trials(), streams={"wheel": Stream(fields=("x",), rate_hz=10.0)})
    assert rig.started(BEGIN, now=0.0) == [RUNNING, OpenStream("wheel", 0, "a")]
    due = rig.next_timer()
    assert rig.started({**BEGIN, "session": 1}, now=0.5) == []
    assert (rig.next_timer(), rig.state) == (due, "RUNNING")


@pytest.mark.parametrize("value", [None, "Nafc", 7, []])
def test_a_start_without_facts_begins_a_session(value: Any) -> None:
    assert rig_with().started(value, now=0.0) == [RUNNING]


def test_a_start_is_passed_on_to_the_children_with_what_it_says() -> None:
    rig = rig_with(children=("cam",))
    assert rig.started(BEGIN, now=0.0) == [RUNNING, SendMessage("rig_1", "CHILD", {"KEY": "START", **BEGIN})]


def test_a_stop_ends_the_streams_and_then_the_state_is_idle() -> None:
    rig = rig_with(trials=Trials(), streams={"wheel": Stream(fields=("x",), rate_hz=10.0)})
    rig.started(BEGIN, now=0.0)
    assert rig.stopped(None, now=1.0) == [CloseStream("wheel", 0), IDLE]
    assert (rig.next_timer(), rig.state) == (None, "IDLE")
    assert rig.stopped(None, now=2.0) == [], "it has stopped"


def test_the_stop_of_a_later_session_ends_an_earlier_one_whose_own_stop_never_came() -> None:
    rig = rig_with(streams={"wheel": Stream(fields=("x",), rate_hz=10.0)})
    rig.started({**BEGIN, "session": 1}, now=0.0)
    assert rig.stopped({"session": 0}, now=1.0) == [], "it is late, and this session goes on"
    assert rig.stopped({"session": 2}, now=2.0) == [CloseStream("wheel", 1), IDLE]
    assert (rig.next_timer(), rig.state) == (None, "IDLE")


def test_a_repeated_order_is_passed_on_to_the_children_and_begins_or_ends_nothing_else() -> None:
    rig = rig_with(children=("cam",))
    rig.started(BEGIN, now=0.0)
    assert rig.started(BEGIN, now=1.0) == [SendMessage("rig_1", "CHILD", {"KEY": "START", **BEGIN})]
    rig.stopped({"session": 0}, now=2.0)
    assert rig.stopped({"session": 0}, now=3.0) == [SendMessage("rig_1", "CHILD", {"KEY": "STOP", "session": 0})]
    assert rig.started(BEGIN, now=4.0) == []
    assert rig.stopped(None, now=5.0) == []
    assert rig.stopped({"session": 1}, now=5.0) == []


def test_a_rig_is_idle_only_when_its_children_have_stopped() -> None:
    rig = rig_with(children=("cam",))
    rig.started(BEGIN, now=0.0)
    assert rig.stopped(None, now=1.0) == [
            SendMessage("rig_1", "CHILD", {"KEY": "STOP", "session": 0}, then=(IDLE,))
        ]


def test_trials_come_stage_by_stage_within_the_time_that_the_file_gives_them() -> None:
    rig = rig_with(trials=Trials(every_s=(2.0, 4.0), stages=2, bytes=20))
    rig.started(BEGIN, now=100.0)
    said = [(at, command.value) for at, command in run_until(rig, 200.0) if isinstance(command, SendMessage)]
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
    times = [value["rt"] for value in data([command for _, command in run_until(rig, 99.0)])]
    assert 10 <= sum(map(math.isnan, times)) <= 30


def test_the_pace_shortens_the_waits_between_trials_and_no_streams_rate() -> None:
    keys: dict[str, Any] = {"trials": Trials(every_s=(1.0, 1.0), stages=1)}
    keys["streams"] = {"wheel": Stream(fields=("x",), rate_hz=10.0)}
    rig = rig_with(pace=4.0, **keys)
    rig.started(BEGIN, now=0.0)
    commands = [command for _, command in run_until(rig, 4.95)]
    assert len(data(commands)) == 20
    assert numbers(commands, "wheel") == list(range(50))


def test_the_next_session_has_another_number_and_subject_and_counts_items_from_zero() -> None:
    keys: dict[str, Any] = {"trials": Trials(every_s=(1.0, 1.0), stages=1)}
    keys["streams"] = {"wheel": Stream(fields=("x",), rate_hz=1.0)}
    rig = rig_with(**keys)
    rig.started(BEGIN, now=0.0)
    first = [command for _, command in run_until(rig, 2.5)]
    rig.stopped({"graduation": True}, now=2.6)
    assert rig.started({"session": 1, "subject": "b"}, now=2.7) == [RUNNING, OpenStream("wheel", 1, "b")]
    second = [command for _, command in run_until(rig, 4.0)]
    assert items(first) == [AppendItem("wheel", 0, n) for n in range(3)]
    assert items(second) == [AppendItem("wheel", 1, n) for n in range(2)]
    assert {(value["session"], value["subject"]) for value in data(first)} == {(0, "a")}
    assert {(value["session"], value["subject"]) for value in data(second)} == {(1, "b")}


def test_bursts_that_overlap_are_numbered_as_they_are_sent() -> None:
    lick = Stream(bytes=10, burst=Burst(n=8, rate_hz=4.0))  # two seconds, and a trial a second
    rig = rig_with(trials=Trials(every_s=(1.0, 1.0), stages=1), streams={"lick": lick})
    rig.started(BEGIN, now=0.0)
    timed = [(at, command) for at, command in run_until(rig, 10.0) if isinstance(command, AppendItem)]
    assert [command.n for _, command in timed] == list(range(len(timed)))
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


def test_after_a_pause_streams_take_turns() -> None:
    fast, slow = Stream(fields=("x",), rate_hz=100.0), Stream(fields=("x",), rate_hz=1.0)
    rig = rig_with(streams={"fast": fast, "slow": slow}, trials=Trials(every_s=(5.0, 5.0), stages=1))
    rig.started(BEGIN, now=0.0)
    commands = rig.handle_timer(now=10.0)
    assert numbers(commands, "fast") == list(range(1001))
    assert numbers(commands, "slow") == list(range(11))
    others = [at for at, one in enumerate(commands) if not (isinstance(one, AppendItem) and one.stream == "fast")]
    assert others[0] == CATCH_UP
    assert len(data(commands)) == 3


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


def played(calls: list[tuple[str, float]], *, seed: int = 1) -> list[list[Command]]:
    """The acts of each call. A session's number is that of its START, taken or not."""
    rig = rig_of(lab(**BUSY), seed=seed)
    now, commands = 50.0, []
    for session, (what, wait) in enumerate(calls):
        now = rig.next_timer() or now if what == "on time" else now + wait
        if what == "start":
            commands.append(rig.started({"session": session, "subject": f"s{session}"}, now=now))
        elif what == "stop":
            commands.append(rig.stopped(None, now=now))
        else:
            commands.append(rig.handle_timer(now=now))
        due = rig.next_timer()
        assert what in ("start", "stop") or due is None or due > now, "a timer that went off is still due"
        assert (rig.state == "RUNNING") == (due is not None)
    return commands


@given(CALLS)
def test_whatever_happens_items_are_numbered_from_zero_within_their_open_stream(calls: list[tuple[str, float]]) -> None:
    is_open: set[tuple[str, int]] = set()
    count: Counter[tuple[str, int]] = Counter()
    for command in [command for commands in played(calls) for command in commands]:
        if isinstance(command, OpenStream):
            is_open.add((command.stream, command.session))
        elif isinstance(command, CloseStream):
            is_open.remove((command.stream, command.session))
        elif isinstance(command, AppendItem):
            assert (command.stream, command.session) in is_open
            assert command.n == count[command.stream, command.session]
            count[command.stream, command.session] += 1


@given(CALLS)
def test_whatever_happens_trials_are_made_between_start_and_stop_only(calls: list[tuple[str, float]]) -> None:
    running = None
    trials: list[tuple[int, int]] = []
    for (what, _), (session, commands) in zip(calls, enumerate(played(calls)), strict=True):
        if what == "start" and running is None:
            assert commands[0] == RUNNING
            running = session
        elif what == "stop":
            assert bool(commands) == (running is not None)
            running = None
        assert all(value["session"] == running and value["subject"] == f"s{running}" for value in data(commands))
        trials += [(value["trial_num"], value["stage"]) for value in data(commands)]
    assert len(set(trials)) == len(trials), "no trial is made again in a later session"


@given(CALLS, st.integers(0, 99))
def test_the_same_seed_makes_the_same_commands(calls: list[tuple[str, float]], seed: int) -> None:
    one, two = (repr(played(calls, seed=seed)) for _ in range(2))  # repr, since no NaN is equal to itself
    assert one == two


def test_another_seed_makes_other_trials() -> None:
    calls = [("start", 0.0), ("timer", 3.0)]
    assert repr(played(calls, seed=1)) != repr(played(calls, seed=2))
