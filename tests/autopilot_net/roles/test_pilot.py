"""What a pilot does with each key, row by row, over a host that only notes what it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net.delivery import all_of
from autopilot_net.roles.file_client import PART
from tests.autopilot_net.roles.lone_roles import Fetching, Picky, PilotRole, TerminalRole, keys, settled, task
from tests.harness import Drawer

FORWARDED = ["STOP", "PARAM", "CALIBRATE_PORT", "CALIBRATE_RESULT", "BANDWIDTH", "STREAM_VIDEO"]


# -- who cannot be sent to ---------------------------------------------------------------------------------------------


def test_one_bad_child_costs_no_other_what_children_are_told_or_its_announcement() -> None:
    rig = PilotRole(expected=["bad", "cam"])
    rig.host = rig.pilot.host = host = Picky("rig_1", "T", neighbours=["T"])
    rig.hear("wheel", "HANDSHAKE", {"pilot": "wheel"})
    host.take()
    host.refused = ("bad",)
    result = all_of(rig.hear("T", "CHILD", {"KEY": "START"}))
    assert keys(host.take()) == [("cam", "START"), ("wheel", "START")]
    assert [one.reason for one in result if one.expired] == ["bad is nobody"]
    host.refused = ("T",)
    rig.pilot.neighbour("T", True)
    assert host.take() == []


# -- neighbours --------------------------------------------------------------------------------------------------------


def test_a_childs_handshake_is_passed_up_with_our_name_before_its_own() -> None:
    rig = PilotRole()
    (news,) = rig.answers("_cam", "HANDSHAKE", {"pilot": "cam", "state": "IDLE"}, came_from="cam")
    assert (news.to, news.key, news.value, news.repeat) == ("T", "HANDSHAKE", {"pilot": "cam", "state": "IDLE"}, True)
    assert (news.extra["way"], news.extra["origin"]["sender"]) == (["rig_1", "cam"], "_cam")
    assert rig.host.learned == {"cam": "cam"}


def test_a_grandchilds_handshake_goes_up_with_the_whole_way_and_each_station_learns_its_part() -> None:
    rig, cam, terminal = PilotRole(), PilotRole("cam", "rig_1"), TerminalRole()
    (first,) = cam.answers("_lamp", "HANDSHAKE", {"pilot": "lamp"}, came_from="lamp")
    rig.host.take()
    rig.pilot.handshake(first.arrived("cam"))
    (second,) = rig.host.take()
    terminal.role.handshake(second.arrived("rig_1"))
    assert cam.host.learned == {"lamp": "lamp"}
    assert rig.host.learned == {"cam": "cam", "lamp": "cam"}
    assert terminal.host.learned == dict.fromkeys(["rig_1", "cam", "lamp"], "rig_1")
    (news,) = terminal.host.take()
    assert news.extra["way"] == ["rig_1", "cam", "lamp"]
    assert news.extra["origin"] == {"sender": "_lamp", "id": "_lamp_HANDSHAKE"}


def test_a_handshake_is_handled_when_the_terminal_has_it() -> None:
    rig = PilotRole()
    result = rig.hear("_cam", "HANDSHAKE", {"pilot": "cam"})
    assert not settled(result)
    rig.host.sent[-1].handle.settle(confirmed=True)
    assert settled(result)


def test_our_own_programs_handshake_with_us_is_passed_up_as_ours() -> None:
    rig = PilotRole()
    (news,) = rig.answers("_rig_1", "HANDSHAKE", {"pilot": "rig_1"})
    assert (news.to, news.extra["way"]) == ("T", ["rig_1"])
    assert rig.pilot.children == {}


def test_when_the_parent_comes_back_it_is_told_who_is_here_and_who_is_below() -> None:
    rig = PilotRole(ip="10.0.0.4")
    rig.hear("_rig_1", "STATE", "RUNNING")
    rig.hear("_cam", "HANDSHAKE", {"pilot": "cam", "prefs": {"a": 1}})
    rig.hear("cam", "HANDSHAKE", {"pilot": "lamp"}, way=["cam", "lamp"])
    rig.host.take()
    rig.pilot.neighbour("T", True)
    sent = rig.host.take()
    assert [(one.to, one.key, one.extra["way"]) for one in sent] == [
        ("T", "HANDSHAKE", ["rig_1"]),
        ("T", "HANDSHAKE", ["rig_1", "cam"]),
        ("T", "HANDSHAKE", ["rig_1", "cam", "lamp"]),
    ]
    assert sent[0].value == {"pilot": "rig_1", "ip": "10.0.0.4", "state": "RUNNING"}
    assert sent[1].value == {"pilot": "cam", "prefs": {"a": 1}}


def test_a_station_without_its_program_says_nothing_of_itself_until_it_comes() -> None:
    rig = PilotRole()
    rig.host.neighbours = {"T"}
    rig.pilot.neighbour("T", True)
    assert rig.host.take() == []
    rig.host.neighbours.add("_rig_1")
    rig.pilot.neighbour("_rig_1", True)
    assert keys(rig.host.take()) == [("T", "HANDSHAKE")]


def test_a_program_that_comes_while_the_parent_is_away_is_announced_when_it_is_back() -> None:
    rig = PilotRole()
    rig.host.neighbours = {"_rig_1"}
    rig.pilot.neighbour("_rig_1", True)
    assert rig.host.take() == []


def test_children_are_forgotten_when_their_neighbour_goes_with_all_that_lay_behind_it() -> None:
    rig = PilotRole()
    rig.hear("_cam", "HANDSHAKE", {"pilot": "cam"})
    rig.hear("cam", "HANDSHAKE", {"pilot": "lamp"}, way=["cam", "lamp"])
    rig.hear("_box", "HANDSHAKE", {"pilot": "box"})
    rig.pilot.neighbour("cam", False)
    assert list(rig.pilot.children) == ["box"]
    rig.host.take()
    rig.pilot.neighbour("T", True)
    assert [one.value["pilot"] for one in rig.host.take()] == ["rig_1", "box"]


def test_a_child_that_moved_is_kept_when_the_neighbour_it_left_goes() -> None:
    rig = PilotRole()
    rig.hear("cam", "HANDSHAKE", {"pilot": "lamp"}, way=["cam", "lamp"])
    rig.hear("box", "HANDSHAKE", {"pilot": "lamp"}, way=["box", "lamp"])
    rig.pilot.neighbour("cam", False)
    assert rig.host.learned["lamp"] == "box"
    assert "lamp" in rig.pilot.children


# -- state -------------------------------------------------------------------------------------------------------------


def test_our_programs_state_is_kept_and_pushed_up() -> None:
    rig = PilotRole()
    (passed,) = rig.answers("_rig_1", "STATE", "RUNNING")
    assert (passed.to, passed.key, passed.value) == ("T", "STATE", "RUNNING")
    assert rig.pilot.state == "RUNNING"


def test_a_childs_state_goes_up_as_the_childs_and_never_becomes_ours() -> None:
    rig = PilotRole()
    rig.hear("_rig_1", "STATE", "RUNNING")
    (passed,) = rig.answers("cam", "STATE", "IDLE")
    assert (passed.to, passed.value, passed.extra["origin"]["sender"]) == ("T", "IDLE", "cam")
    assert rig.pilot.state == "RUNNING"


def test_the_terminals_answer_to_a_ping_goes_no_further() -> None:
    rig = PilotRole()
    assert rig.answers("T", "STATE", None) == []
    assert rig.pilot.state is None


def test_a_ping_is_answered_with_our_state_not_logged() -> None:
    rig = PilotRole()
    rig.hear("_rig_1", "STATE", "RUNNING")
    (answer,) = rig.answers("T", "PING")
    assert (answer.to, answer.key, answer.value) == ("T", "STATE", "RUNNING")
    assert (answer.repeat, answer.flags) == (False, ["NOLOG"])


def test_a_pilot_says_by_itself_every_ping_interval_that_it_is_there() -> None:
    rig = PilotRole(ping_interval=5.0)
    rig.pilot.begin()
    rig.host.wait(4.9)
    assert rig.host.take() == []
    rig.host.wait(10.2)
    assert keys(rig.host.take()) == [("T", "STATE")] * 3


def test_a_pilot_says_nothing_to_a_parent_that_is_away_and_goes_on_when_it_is_back() -> None:
    rig = PilotRole(ping_interval=5.0)
    rig.pilot.begin()
    rig.host.neighbours.discard("T")
    rig.host.wait(30.0)
    assert rig.host.take() == []
    rig.host.neighbours.add("T")
    rig.host.wait(5.0)
    assert keys(rig.host.take()) == [("T", "STATE")]


def test_a_handshake_that_never_came_through_is_said_again_with_the_next_beat() -> None:
    """Else a rig whose link let nothing through for a while would look offline until somebody resets it."""
    rig = PilotRole(ping_interval=5.0)
    rig.pilot.begin()
    rig.hear("cam", "HANDSHAKE", {"pilot": "cam"})
    for sent in rig.host.take():
        sent.handle.settle(confirmed=False, reason="no confirmation came")
    rig.host.wait(5.0)
    assert keys(rig.host.take()) == [("T", "HANDSHAKE"), ("T", "HANDSHAKE"), ("T", "STATE")]
    rig.host.wait(5.0)
    assert keys(rig.host.take()) == [("T", "STATE")]


def test_without_a_ping_interval_a_pilot_speaks_when_it_is_asked() -> None:
    rig = PilotRole(ping_interval=None)
    rig.pilot.begin()
    rig.host.wait(1e6)
    assert rig.host.take() == []


def test_a_beat_of_a_childs_is_passed_up_no_more_firmly_than_it_came() -> None:
    (passed,) = PilotRole().answers("cam", "STATE", "IDLE", flags={"NOREPEAT": True, "NOLOG": True})
    assert (passed.repeat, passed.flags) == (False, ["NOLOG"])


# -- tasks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", FORWARDED)
def test_what_only_the_program_understands_is_handed_to_it(key: str) -> None:
    (passed,) = PilotRole().answers("T", key, {"a": 1})
    assert (passed.to, passed.key, passed.value, passed.repeat) == ("_rig_1", key, {"a": 1}, True)
    assert passed.extra["origin"] == {"sender": "T", "id": f"T_{key}"}


def test_a_start_that_names_no_files_is_handed_on_at_once() -> None:
    rig = PilotRole()
    result = rig.hear("T", "START", {"subject": "m1", "task_type": "Free"})
    (passed,) = rig.host.take()
    assert (passed.to, passed.key, passed.value) == ("_rig_1", "START", {"subject": "m1", "task_type": "Free"})
    assert not settled(result)
    passed.handle.settle(confirmed=True)
    assert settled(result)


def test_a_start_whose_files_are_all_here_fetches_nothing() -> None:
    rig = PilotRole()
    rig.host.files = Drawer(tone=b"1")
    assert keys(rig.answers("T", "START", task("tone"))) == [("_rig_1", "START")]


def test_a_start_fetches_what_it_lacks_and_is_then_handed_on() -> None:
    tone = bytes(range(256)) * 3_000
    rig = Fetching(tone=tone, word=b"word")
    result = rig.hear("T", "START", task("tone", "word"))
    assert not settled(result)
    (start,) = rig.carry()
    assert (start.to, start.key, start.value) == ("_rig_1", "START", task("tone", "word"))
    assert rig.host.drawer.whole == {"tone": tone, "word": b"word"}
    assert [one["offset"] for one in rig.asked if one["path"] == "tone"] == [0, PART, 2 * PART]
    start.handle.settle(confirmed=True)
    assert settled(result)
    assert rig.host.promises[0].confirmed


def test_a_start_that_the_program_never_took_fails_for_who_sent_it() -> None:
    rig = Fetching(tone=b"1")
    rig.hear("T", "START", task("tone"))
    (start,) = rig.carry()
    start.handle.settle(confirmed=False, reason="nobody came")
    assert (rig.host.promises[0].expired, rig.host.promises[0].reason) == (True, "nobody came")


@pytest.mark.parametrize("path", ["/etc/passwd", "../tone", "a/../../b"])
def test_a_path_that_leaves_the_folder_is_refused_here_and_told(path: str) -> None:
    rig = PilotRole()
    rig.hear("T", "START", task(path))
    (error,) = rig.host.take()
    assert (error.to, error.key) == ("T", "ERROR")
    assert error.value["machine"] == "rig_1"
    assert path in error.value["exception"]


@pytest.mark.parametrize("key", FORWARDED)
def test_what_follows_a_start_waits_its_turn_and_then_goes_in_order(key: str) -> None:
    rig = Fetching(tone=b"1")
    rig.hear("T", "START", task("tone"))
    result = rig.hear("T", key, {"n": 1})
    rig.hear("T", "STOP", {"n": 2})
    assert keys(rig.host.sent) == [("T", "FILE")]
    sent = rig.carry()
    assert keys(sent) == [("_rig_1", "START"), ("_rig_1", key), ("_rig_1", "STOP")]
    assert not settled(result)
    sent[1].handle.settle(confirmed=True)
    assert settled(result)


def test_a_second_start_waits_for_the_first_and_fetches_then() -> None:
    rig = Fetching(tone=b"1", word=b"2")
    rig.hear("T", "START", task("tone", subject="m1"))
    rig.hear("T", "STOP")
    rig.hear("T", "START", task("word", subject="m2"))
    rig.hear("T", "PARAM", {})
    assert rig.pilot.subject == "m1"
    sent = rig.carry()
    assert [one.key for one in sent] == ["START", "STOP", "START", "PARAM"]
    assert [one.value["subject"] for one in sent if one.key == "START"] == ["m1", "m2"]
    assert rig.pilot.subject == "m2"


def test_a_start_that_is_refused_does_not_hold_up_the_next() -> None:
    rig = Fetching(tone=b"1")
    rig.hear("T", "START", task("silence"))
    rig.hear("T", "START", task("tone"))
    assert keys(rig.carry()) == [("T", "ERROR"), ("_rig_1", "START")]


def test_nothing_but_the_task_waits_for_files() -> None:
    rig = PilotRole()
    rig.hear("T", "START", task("tone"))
    rig.host.take()
    assert keys(rig.answers("T", "PING")) == [("T", "STATE")]
    assert keys(rig.answers("cam", "CONTINUOUS", {"x": 1})) == [("T", "DATA")]
    assert keys(rig.answers("T", "COHERE", {})) == [("_rig_1", "COHERE")]


def test_a_start_whose_value_is_no_dict_is_the_programs_to_judge() -> None:
    assert keys(PilotRole().answers("T", "START", "Free")) == [("_rig_1", "START")]


def test_a_graduation_is_a_stop_and_a_start_in_that_order() -> None:
    rig = Fetching(tone=b"1")
    rig.hear("T", "STOP", {"graduation": True})
    rig.hear("T", "START", task("tone", level=2))
    stop, start = rig.carry()
    assert (stop.key, stop.value) == ("STOP", {"graduation": True})
    assert (start.key, start.value["level"]) == ("START", 2)


# -- children ----------------------------------------------------------------------------------------------------------


def with_children(**settings: Any) -> PilotRole:
    rig = PilotRole(**settings)
    for name in ("cam", "box"):
        rig.hear("_" + name, "HANDSHAKE", {"pilot": name})
    rig.hear("cam", "HANDSHAKE", {"pilot": "lamp"}, way=["cam", "lamp"])
    rig.host.take()
    return rig


@pytest.mark.parametrize(("value", "key"), [({"a": 1}, "START"), ({"KEY": "STOP"}, "STOP"), (None, "START")])
def test_child_passes_its_key_on_to_our_children_and_to_theirs_not(value: object, key: str) -> None:
    rig = with_children()
    result = rig.hear("_rig_1", "CHILD", value)
    sent = rig.host.take()
    assert [(one.to, one.key, one.value) for one in sent] == [("cam", key, value), ("box", key, value)]
    sent[0].handle.settle(confirmed=True)
    assert not settled(result)
    sent[1].handle.settle(confirmed=True)
    assert settled(result)


def test_child_reaches_an_expected_child_that_is_yet_to_shake_hands_or_away_for_now() -> None:
    rig = with_children(expected=["cam", "wheel"])
    rig.pilot.neighbour("cam", False)
    told = keys(rig.answers("_rig_1", "CHILD", {"KEY": "STOP"}))
    assert told == [("cam", "STOP"), ("wheel", "STOP"), ("box", "STOP")]


def test_a_childs_stream_goes_to_the_terminal_as_data_under_our_name_and_subject() -> None:
    rig = with_children()
    rig.hear("T", "START", {"subject": "m1"})
    (data,) = rig.answers("_cam_frames", "CONTINUOUS", {"x": 1, "rt": None, "subject": None, "pilot": "cam"})
    assert (data.to, data.key, data.repeat) == ("T", "DATA", True)
    own = {"x": 1, "rt": None, "subject": "m1"}
    assert data.value == {**own, "pilot": "rig_1", "child": "cam", "continuous": True}
    assert data.extra["origin"]["sender"] == "_cam_frames"


def test_a_childs_own_subject_stays_and_an_item_that_is_no_dict_becomes_one() -> None:
    rig = with_children()
    rig.hear("T", "START", {"subject": "m1"})
    assert rig.answers("cam", "CONTINUOUS", {"subject": "m7"})[0].value["subject"] == "m7"
    value = rig.answers("cam", "CONTINUOUS", 3, subject="m7")[0].value
    assert value == {"value": 3, "subject": "m7", "pilot": "rig_1", "child": "cam", "continuous": True}


@pytest.mark.parametrize(
    ("value", "headers", "child"),
    [
        ({"x": 1}, {"pilot": "cam"}, "cam"),  # as a stream of ours says
        ({"x": 1}, {"pilot": "rig_1"}, "cam"),  # as one of Autopilot's does
        ({"x": 1}, {}, "cam"),
        ({"x": 1, "pilot": "lamp"}, {"pilot": "cam"}, "lamp"),
        ({"x": 1, "pilot": "rig_1"}, {"pilot": "rig_1"}, "cam"),
        ({"x": 1, "pilot": None}, {"pilot": 4}, "cam"),
        ({"x": 1, "child": 3}, {"pilot": "cam"}, 3),  # a field of its own
    ],
)
def test_a_childs_data_names_our_pilot_everywhere_and_the_child_beside_it(
    value: dict[str, Any], headers: dict[str, Any], child: object
) -> None:
    rig = with_children()
    (data,) = rig.answers("_cam_frames", "CONTINUOUS", value, came_from="cam", **headers)
    assert (data.value["pilot"], data.value["child"]) == ("rig_1", child)
    assert data.extra.get("pilot") == ("rig_1" if headers else None)


def test_what_our_own_program_streams_by_way_of_us_is_no_childs() -> None:
    (data,) = with_children().answers("_rig_1_wheel", "CONTINUOUS", {"x": 1}, came_from="_rig_1_wheel", pilot="rig_1")
    assert data.value == {"x": 1, "subject": None, "pilot": "rig_1", "continuous": True}


def test_an_error_from_below_is_passed_up_to_the_parent() -> None:
    cam = PilotRole("cam", "rig_1")
    facts = {"machine": "lamp", "exception": "e", "traceback": "t"}
    (passed,) = cam.answers("lamp", "ERROR", facts)
    assert (passed.to, passed.key, passed.value, passed.extra["origin"]["sender"]) == ("rig_1", "ERROR", facts, "lamp")


# -- COHERE ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "question"), [({"subject": "m1"}, {"subject": "m1"}), (None, {})])
def test_cohere_has_the_program_answer_whoever_asked_first(value: object, question: dict[str, str]) -> None:
    (passed,) = PilotRole("cam", "rig_1").answers("_T", "COHERE", value, came_from="rig_1")
    assert (passed.to, passed.key, passed.value) == ("_cam", "COHERE", {**question, "answer_to": "T"})


def test_an_answer_to_cohere_is_no_question_anew() -> None:
    answer = {"pilot": "cam", "subject": "m1", "count": 2, "digest": "d"}
    (passed,) = PilotRole().answers("_cam", "COHERE", answer, came_from="cam")
    assert (passed.to, passed.value) == ("_rig_1", answer)
