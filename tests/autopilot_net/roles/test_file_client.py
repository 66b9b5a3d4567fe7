"""How files are pulled and given out: what is under way, in what order, and what becomes of answers that do not fit."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from msgspec import to_builtins

from autopilot_net import Pilot_Station
from autopilot_net.roles.file_client import AGAIN_S, AHEAD, PART, files_of
from autopilot_net.roles.file_server import AT_ONCE
from tests.autopilot_net.roles.lone_roles import Fetching, PilotRole, TerminalRole, keys, serving, settled, task
from tests.harness import Drawer, FakeHost, Sent

T = TypeVar("T")
FILM = b"".join(bytes([number]) * PART for number in range(12)) + b"tail"


class LaterHost(FakeHost):
    """A host whose slow work waits until the test has it done; whose drawer opens then and never else."""

    def __init__(self, id: str, parent: str | None = None) -> None:
        super().__init__(id, parent, neighbours=["T", "_" + id])
        self.to_do: list[tuple[str, Callable[[], None]]] = []
        self.is_beside = False

    def beside(self, call: Callable[[], T], then: Callable[[Callable[[], T]], Any], *, about: str) -> None:
        """See `Host`."""

        def during() -> T:
            self.is_beside = True
            try:
                return call()
            finally:
                self.is_beside = False

        work = super().beside
        self.to_do.append((about, lambda: work(during, then, about=about)))

    def do_one(self) -> str:
        """Do what was asked for first."""
        about, do = self.to_do.pop(0)
        do()
        return about


class Guarded(Drawer):
    """A drawer that takes its time, and is opened by nobody who has others waiting."""

    def __init__(self, host: LaterHost, **whole: bytes) -> None:
        super().__init__(**whole)
        self.host = host

    def read(self, path: str, offset: int, length: int) -> bytes:
        """See `Files`."""
        assert self.host.is_beside
        return super().read(path, offset, length)

    def size_and_digest(self, path: str) -> tuple[int, str]:
        """See `Files`."""
        assert self.host.is_beside
        return super().size_and_digest(path)

    def write_part(self, path: str, offset: int, data: bytes) -> None:
        """See `Files`."""
        assert self.host.is_beside
        super().write_part(path, offset, data)

    def finish(self, path: str, digest: str) -> bool:
        """See `Files`."""
        assert self.host.is_beside
        return super().finish(path, digest)


class LaterTerminal(TerminalRole):
    """A terminal whose disk is slow."""

    def __init__(self, **whole: bytes) -> None:
        super().__init__()
        self.later = LaterHost("T")
        self.later.files = Guarded(self.later, **whole)
        self.role.host = self.host = self.later
        self.role._files._host = self.later


class LaterPilot(PilotRole):
    """A rig whose card is slow."""

    def __init__(self) -> None:
        super().__init__()
        self.later = LaterHost("rig_1", "T")
        self.later.files = Guarded(self.later)
        self.pilot.host = self.host = self.later
        self.pilot._fetch._host = self.later

    def asked(self) -> list[int]:
        """The offsets that it has asked for since the last look."""
        return [one.value["offset"] for one in self.host.take() if one.key == "FILE"]

    def told(self, offset: int, **more: Any) -> None:
        """It is told the part of the film at `offset`."""
        size, digest = Drawer(film=FILM).size_and_digest("film")
        part = {"path": "film", "offset": offset, "data": to_builtins(FILM[offset : offset + PART])}
        self.hear("T", "FILE", {**part, "size": size, "digest": digest, **more})


# -- the terminal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["film", {"path": "film", "offset": 0, "length": 4}])
def test_a_file_is_read_and_digested_beside_the_listens(wanted: Any) -> None:
    terminal = LaterTerminal(film=FILM)
    assert terminal.answers("rig_1", "FILE", wanted) == []
    assert keys(terminal.answers("rig_1", "PING")) == [("rig_1", "STATE")]
    assert terminal.later.do_one() == "film"
    assert keys(terminal.host.take()) == [("rig_1", "FILE")]


def test_a_question_is_handled_when_its_answer_is() -> None:
    terminal = LaterTerminal(film=FILM)
    result = terminal.hear("rig_1", "FILE", "film")
    terminal.later.do_one()
    (answer,) = terminal.host.take()
    assert not settled(result)
    answer.handle.settle(confirmed=False, reason="it is off")
    assert settled(result)
    assert (result.expired, result.reason) == (True, "it is off")


def test_who_asks_for_a_hundred_parts_at_once_costs_the_memory_of_a_few() -> None:
    terminal = serving(film=FILM)
    wanted = {"path": "film", "offset": 0, "length": PART}
    results = [terminal.hear("rig_1", "FILE", wanted) for _ in range(100)]
    first = terminal.host.take()
    assert len(first) == AT_ONCE
    assert keys(terminal.answers("rig_2", "FILE", wanted)) == [("rig_2", "FILE")], "and nobody else waits for it"
    answered = 0
    while first:
        for answer in first:
            answer.handle.settle(confirmed=True)
        answered += len(first)
        terminal.host.wait(0)
        first = terminal.host.take()
        assert len(first) <= AT_ONCE
    assert answered == 100
    assert all(settled(result) for result in results)


# -- the pilot ---------------------------------------------------------------------------------------------------------


def test_parts_are_decoded_written_and_digested_beside_the_listens_and_few_are_under_way() -> None:
    rig = LaterPilot()
    rig.hear("T", "START", task("film"))
    assert rig.asked() == [0], "the size is not known"
    rig.told(0)
    assert rig.asked() == [], "it is not written yet"
    assert keys(rig.answers("T", "PING")) == [("T", "STATE")]
    rig.later.do_one()
    under_way = [PART * number for number in range(1, AHEAD + 1)]
    assert rig.asked() == under_way
    while under_way:
        rig.told(under_way.pop(0))
        rig.later.do_one()
        more = [one for one in rig.host.take() if one.key == "FILE"]
        under_way += [one.value["offset"] for one in more]
        assert len(under_way) <= AHEAD
    assert rig.later.drawer.whole == {"film": FILM}


def test_what_comes_while_another_part_is_written_waits_behind_it() -> None:
    rig = LaterPilot()
    rig.hear("T", "START", task("film"))
    rig.told(0)
    rig.host.take()
    rig.later.do_one()
    first, second = rig.asked()
    rig.told(first)
    rig.told(second)
    assert rig.asked() == []
    rig.later.do_one()
    rig.later.do_one()
    assert rig.later.drawer.parts["film"] == FILM[: 3 * PART]
    assert rig.asked() == [3 * PART, 4 * PART]


def test_a_terminal_that_gives_less_than_was_asked_for_is_asked_for_the_rest() -> None:
    rig = Fetching(film=FILM)
    whole = rig.terminal.role._files._part

    def less(wanted: dict[str, Any]) -> dict[str, Any]:
        return whole({**wanted, "length": min(wanted["length"], 3 * PART // 4)})

    rig.terminal.role._files._part = less  # type: ignore[method-assign]
    rig.hear("T", "START", task("film"))
    assert keys(rig.carry()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"film": FILM}


@pytest.mark.parametrize("new", [FILM[::-1], FILM[: 3 * PART + 5], FILM + FILM])
def test_a_file_that_changes_on_its_way_is_fetched_anew(new: bytes) -> None:
    rig = Fetching(film=FILM)
    rig.hear("T", "START", task("film"))
    assert rig.carry(rounds=5) == []
    rig.terminal.host.drawer.whole["film"] = new
    assert keys(rig.carry()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"film": new}


def test_what_comes_for_a_task_that_was_given_up_meddles_with_nothing() -> None:
    rig = LaterPilot()
    rig.hear("T", "START", task("film"))
    rig.told(0)
    rig.host.take()
    rig.later.do_one()
    first, second = [one for one in rig.host.take() if one.key == "FILE"]
    rig.told(first.value["offset"])
    second.handle.settle(confirmed=False, reason="nobody answered")
    rig.host.wait(0)
    assert keys(rig.host.take()) == [("T", "ERROR")]
    rig.later.do_one()
    rig.told(second.value["offset"])
    assert (rig.host.take(), rig.later.to_do) == ([], [])


def test_a_card_that_is_full_ends_the_fetch_once() -> None:
    rig = LaterPilot()
    rig.hear("T", "START", task("film"))
    rig.told(0)
    rig.host.take()
    rig.later.do_one()
    first, second = rig.asked()
    rig.told(first)
    rig.told(second)
    rig.later.drawer.is_full = True
    rig.later.do_one()
    rig.later.do_one()
    sent: list[Sent] = rig.host.take()
    assert keys(sent) == [("T", "ERROR")]
    assert "full" in sent[0].value["exception"]


# -- a terminal that is not known to be ours ---------------------------------------------------------------------------


class Unknown(Fetching):
    """A pilot that has yet to hear how its terminal speaks."""

    def __init__(self, **whole: bytes) -> None:
        super().__init__(**whole)
        self.host.theirs.add("T")


def test_a_terminal_of_theirs_is_asked_by_the_plain_path_and_each_file_once() -> None:
    rig = Unknown()
    rig.hear("T", "START", task("tone", "word"))
    for path, data in (("tone", b"0123"), ("word", b"word")):
        (question,) = rig.host.take()
        assert (question.to, question.key, question.value, question.repeat) == ("T", "FILE", path, None)
        rig.hear("T", "FILE", {"path": path, "file": to_builtins(data)})
    assert keys(rig.host.take()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"tone": b"0123", "word": b"word"}


def test_a_question_that_was_lost_is_asked_again_once_the_terminal_is_known_as_ours() -> None:
    """A child that has just booted asks in their way, unconfirmed, and the way up may be down in that moment."""
    rig = Unknown(tone=b"0123")
    rig.hear("T", "START", task("tone"))
    assert [one.value for one in rig.host.take()] == ["tone"], "and is lost"
    rig.host.wait(5)
    assert rig.host.take() == [], "theirs would answer each question with the whole file"
    rig.host.theirs.clear()
    rig.host.wait(AGAIN_S)
    (again,) = rig.host.sent
    assert (again.value, again.repeat) == ({"path": "tone", "offset": 0, "length": PART}, True)
    assert keys(rig.carry()) == [("_rig_1", "START")]
    rig.host.wait(60)
    assert rig.host.take() == []


def test_what_a_former_life_has_of_a_file_is_no_part_of_what_theirs_sends_whole() -> None:
    rig = Unknown()
    rig.host.drawer.parts["tone"] = b"abcdefgh"
    rig.hear("T", "START", task("tone"))
    rig.hear("T", "FILE", {"path": "tone", "file": to_builtins(b"0123")})
    assert rig.host.drawer.whole == {"tone": b"0123"}


def test_a_terminal_of_ours_that_is_not_known_as_such_answers_by_parts_all_the_same() -> None:
    rig = Unknown(film=FILM)
    rig.hear("T", "START", task("film"))
    (first,) = rig.host.sent
    assert first.value == "film"
    rig.carry(rounds=1)
    assert rig.host.drawer.parts["film"] == FILM[:PART]
    rig.host.theirs.clear()  # for its answer has shown what it is
    assert keys(rig.carry()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"film": FILM}
    assert rig.asked[-1] == {"path": "film", "offset": 12 * PART, "length": PART}


@pytest.mark.parametrize("part", [None, 7, "first", [], {}, {"offset": 1}, {"offset": "first", "length": 1}])
def test_a_part_that_is_none_beside_a_plain_path_breaks_nothing(part: Any) -> None:
    (answer,) = serving(film=b"0123").answers("rig_1", "FILE", "film", part=part)
    assert (answer.to, answer.value["path"]) == ("rig_1", "film")


# -- a file that does not come -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("theirs", [True, False], ids=["theirs", "ours"])
def test_a_file_that_does_not_come_is_told_and_the_task_does_not_begin(theirs: bool) -> None:
    rig = Unknown() if theirs else Fetching()
    result = rig.hear("T", "START", task("tone"))
    rig.hear("T", "PARAM", {})
    rig.host.take()[0].handle.settle(confirmed=True)
    rig.host.wait(29.9)
    assert rig.host.take() == []
    rig.host.wait(0.2)
    error, param = rig.host.take()
    assert (error.to, error.key, param.to, param.key) == ("T", "ERROR", "_rig_1", "PARAM")
    assert "START was not begun on rig_1: tone: nothing of it came from T for 30 s" in error.value["exception"]
    error.handle.settle(confirmed=True)
    assert settled(result)
    assert keys(rig.answers("T", "START", {"subject": "m1"})) == [("_rig_1", "START")]


def test_how_long_nothing_may_come_of_a_file_is_a_setting() -> None:
    rig = PilotRole(file_timeout=2.0)
    rig.hear("T", "START", task("tone"))
    rig.host.take()
    rig.host.wait(2.1)
    assert keys(rig.host.take()) == [("T", "ERROR")]
    assert Pilot_Station("rig").file_timeout == 30.0


def test_a_file_that_comes_slowly_is_waited_for_and_so_is_a_slow_card() -> None:
    rig = LaterPilot()
    rig.hear("T", "START", task("film"))
    for part in range(3):
        rig.host.take()
        rig.host.wait(20)
        rig.told(part * PART)
        rig.later.do_one()
    rig.told(3 * PART)
    rig.host.wait(1_000)
    rig.later.do_one()
    assert [one.key for one in rig.host.take()] == ["FILE"] * 2
    rig.host.wait(29)
    assert rig.host.take() == []
    rig.host.wait(2)
    assert keys(rig.host.take()) == [("T", "ERROR")]


# -- STOP --------------------------------------------------------------------------------------------------------------


class Slow(LaterPilot):
    """A pilot whose film comes, and comes, and is never there."""

    def __init__(self) -> None:
        super().__init__()
        self.part = 0

    def goes_on(self, seconds: float) -> list[Sent]:
        """A part comes at the end of each second; what else is sent meanwhile."""
        other: list[Sent] = []
        for _ in range(int(seconds)):
            self.host.wait(1.0)
            if self.pilot._fetch._pull is not None:
                self.told(self.pilot._fetch._pull.asked[0], size=1 << 40)
                self.later.do_one()
            other += [one for one in self.host.take() if one.key != "FILE"]
        return other


def test_a_stop_waits_for_files_that_come_no_longer_than_for_files_that_do_not() -> None:
    rig = Slow()
    started = rig.hear("T", "START", task("film"))
    assert rig.goes_on(100) == []
    rig.hear("T", "PARAM", {})
    stopped = rig.hear("T", "STOP", {"n": 1})
    assert rig.goes_on(29) == []
    error, param, stop = rig.goes_on(2)
    assert keys([error, param, stop]) == [("T", "ERROR"), ("_rig_1", "PARAM"), ("_rig_1", "STOP")]
    assert "START was not begun on rig_1: a STOP could wait no longer for its files" in error.value["exception"]
    assert (settled(started), settled(stopped), stop.value) == (False, False, {"n": 1})
    error.handle.settle(confirmed=True)
    assert (settled(started), settled(stopped)) == (True, False)
    stop.handle.settle(confirmed=True)
    assert settled(stopped)


def test_a_stop_that_has_waited_gives_up_every_start_before_it_and_none_after_it() -> None:
    rig = Slow()
    rig.later.drawer.whole["here"] = b"3"
    rig.hear("T", "START", task("film", n=1))
    rig.hear("T", "START", task("film", n=2))
    rig.hear("T", "START", task("here", n=3))
    rig.hear("T", "STOP")
    rig.hear("T", "START", task("film", n=4))
    sent = rig.goes_on(40)
    assert [one.key for one in sent] == ["ERROR", "ERROR", "START", "STOP"]
    assert [one.value["n"] for one in sent if one.key == "START"] == [3]
    rig.hear("T", "STOP")
    assert [one.key for one in rig.goes_on(40)] == ["ERROR", "STOP"]


def test_a_stop_that_has_got_through_gives_up_nothing() -> None:
    rig = Fetching(film=FILM, tone=b"1")
    rig.hear("T", "START", task("tone"))
    rig.hear("T", "STOP")
    assert keys(rig.carry()) == [("_rig_1", "START"), ("_rig_1", "STOP")]
    rig.host.wait(20)
    rig.hear("T", "START", task("film"))
    rig.host.wait(20)
    assert keys(rig.carry()) == [("_rig_1", "START")]


def test_what_a_stop_gave_up_is_fetched_by_the_next_start_from_where_it_was() -> None:
    rig = Fetching(film=FILM)
    rig.hear("T", "START", task("film"))
    rig.carry(rounds=3)
    late = [one for one in rig.host.take() if one.key == "FILE"]
    rig.hear("T", "STOP")
    rig.host.wait(30)
    rig.hear("T", "START", task("film"))
    for question in late:  # what was on its way comes all the same
        for answer in rig.terminal.answers("rig_1", "FILE", question.value):
            rig.pilot.file(answer.arrived("T"))
            answer.handle.settle(confirmed=True)
    rig.terminal.host.wait(0)
    sent = rig.carry()
    assert keys(sent) == [("T", "ERROR"), ("_rig_1", "STOP"), ("_rig_1", "START")]
    assert rig.host.drawer.whole == {"film": FILM}


# -- what a transfer comes upon ----------------------------------------------------------------------------------------


def test_an_empty_file_is_a_file() -> None:
    rig = Fetching(tone=b"")
    rig.hear("T", "START", task("tone"))
    assert keys(rig.carry()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"tone": b""}


def test_a_transfer_resumes_where_it_was() -> None:
    rig = Fetching(tone=b"0123456789")
    rig.host.drawer.parts["tone"] = b"0123"
    rig.hear("T", "START", task("tone"))
    assert keys(rig.carry()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"tone": b"0123456789"}
    assert [one["offset"] for one in rig.asked] == [4]


@pytest.mark.parametrize("part", [b"abcd", b"0123456789", b"0123456789ab"])
def test_a_part_of_another_file_is_thrown_away_and_fetched_anew(part: bytes) -> None:
    rig = Fetching(tone=b"9876543210")
    rig.host.drawer.parts["tone"] = part
    rig.hear("T", "START", task("tone"))
    assert keys(rig.carry()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"tone": b"9876543210"}
    assert [one["offset"] for one in rig.asked] == [len(part), 0]


def test_a_file_that_is_wrong_twice_is_an_error_and_the_task_does_not_begin() -> None:
    rig = Fetching()
    rig.hear("T", "START", task("tone"))
    wrong = {"size": 2, "digest": "wrong", "data": base64.b64encode(b"ab").decode()}
    for _ in range(2):
        (question,) = rig.host.take()
        rig.hear("T", "FILE", {**question.value, **wrong})
    (error,) = rig.host.take()
    assert (error.to, error.key, error.repeat) == ("T", "ERROR", True)
    assert "not what the terminal has" in error.value["exception"]
    assert rig.host.drawer.whole == {}


def test_a_file_that_the_terminal_has_not_is_told_and_the_task_does_not_begin() -> None:
    rig = Fetching()
    result = rig.hear("T", "START", task("silence"))
    (error,) = rig.carry()
    assert (error.to, error.key) == ("T", "ERROR")
    assert "START was not begun on rig_1: silence: silence is not here" in error.value["exception"]
    assert not settled(result)
    error.handle.settle(confirmed=True)
    assert settled(result)


def test_a_folder_that_takes_no_more_is_told_and_what_waited_goes_on() -> None:
    rig = Fetching(tone=b"1")
    rig.host.drawer.is_full = True
    rig.hear("T", "START", task("tone"))
    rig.hear("T", "STOP")
    assert keys(rig.carry()) == [("T", "ERROR"), ("_rig_1", "STOP")]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"offset": 0, "size": float("inf"), "digest": "d", "data": ""},
        {"offset": 0, "size": None, "digest": "d", "data": ""},
        {"offset": 0, "size": True, "digest": "d", "data": ""},
        {"offset": 0, "size": -1, "digest": "d", "data": ""},
        {"offset": 0, "size": 1, "digest": "d", "data": "no base64!"},
        {"offset": 0, "size": 1, "digest": "d", "data": 5},
        {"file": "no base64!"},
    ],
)
def test_an_answer_that_makes_no_sense_is_told_and_what_waited_goes_on(odd: dict[str, Any]) -> None:
    rig = PilotRole()
    rig.hear("T", "START", task("tone"))
    rig.hear("T", "STOP")
    rig.host.take()
    rig.hear("T", "FILE", {"path": "tone", **odd})
    assert keys(rig.host.take()) == [("T", "ERROR"), ("_rig_1", "STOP")]


def test_a_terminal_that_never_answers_fails_the_start_and_what_waited_goes_on() -> None:
    rig = PilotRole()
    rig.hear("T", "START", task("tone"))
    rig.hear("T", "STOP")
    (question,) = rig.host.take()
    question.handle.settle(confirmed=False, reason="no confirmation came")
    rig.host.wait(0)
    error, stop = rig.host.take()
    assert "tone: the terminal was asked for it, and no confirmation came" in error.value["exception"]
    assert (stop.to, stop.key) == ("_rig_1", "STOP")


def test_a_question_that_expires_after_its_answer_came_harms_nothing() -> None:
    rig = Fetching(tone=bytes(PART + 1))
    rig.hear("T", "START", task("tone"))
    (first,) = rig.host.sent
    rig.carry(rounds=1)
    first.handle.settle(confirmed=False, reason="too late")
    rig.host.wait(0)
    assert keys(rig.carry()) == [("_rig_1", "START")]


def test_autopilots_own_form_of_a_file_is_taken_whole() -> None:
    rig = PilotRole()
    rig.hear("T", "START", task("tone"))
    rig.host.take()
    rig.hear("T", "FILE", {"path": "tone", "file": base64.b64encode(b"0123").decode()})
    assert keys(rig.host.take()) == [("_rig_1", "START")]
    assert rig.host.drawer.whole == {"tone": b"0123"}


@pytest.mark.parametrize("value", [None, "tone", {"path": "other", "file": ""}, {"file": ""}])
def test_a_file_that_nobody_asked_for_is_not_stored(value: object) -> None:
    rig = PilotRole()
    rig.hear("T", "FILE", {"path": "tone", "file": ""})
    rig.hear("T", "START", task("tone"))
    rig.host.take()
    rig.hear("T", "FILE", value)
    assert rig.host.take() == []
    assert rig.host.drawer.whole == rig.host.drawer.parts == {}


def test_an_answer_to_a_former_life_is_ignored_and_doubles_no_transfer() -> None:
    rig = Fetching(tone=bytes(3 * PART))
    rig.host.drawer.parts["tone"] = bytes(PART)
    rig.hear("T", "START", task("tone"))
    stale = serving(tone=bytes(3 * PART)).answers("rig_1", "FILE", {"path": "tone", "offset": 0, "length": PART})[0]
    rig.pilot.file(stale.arrived("T"))
    rig.carry()
    assert [one["offset"] for one in rig.asked] == [PART, 2 * PART]


def test_the_files_of_a_task_are_those_of_its_sounds_and_of_a_managers_groups() -> None:
    speech, noise = {"type": "Speech", "path": "b"}, {"type": "Noise", "path": "never"}
    groups = [{"sounds": {"L": [speech], "R": [speech, {"type": "File", "path": "c"}]}}, {"name": "no sounds"}]
    assert list(files_of(task("a", "a"))) == ["a"]
    sounds = {"L": [noise, {"type": "File", "path": "a"}]}
    assert list(files_of({"stim": {"groups": groups, "sounds": sounds}})) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"stim": None},
        {"stim": {"sounds": ["a"]}},
        {"stim": {"sounds": {"L": "a"}}},
        {"stim": {"sounds": {"L": ["a", {"type": "File"}, {"type": "File", "path": 4}]}}},
        {"stim": {"groups": {"sounds": 1}}},
    ],
)
def test_a_task_of_another_shape_names_no_files(value: dict[str, Any]) -> None:
    assert list(files_of(value)) == []
