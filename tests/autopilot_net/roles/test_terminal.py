"""What a terminal does with each key, over a host that only notes what it is asked for."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from autopilot_net import BadMessage
from autopilot_net.delivery import all_of
from tests.autopilot_net.roles.lone_roles import NO_IDS, Picky, TerminalRole, keys, settled


def test_a_terminal_answers_a_ping_with_an_empty_state_that_is_not_logged() -> None:
    (answer,) = TerminalRole().answers("rig_1", "PING")
    assert (answer.to, answer.key, answer.value) == ("rig_1", "STATE", None)
    assert (answer.repeat, answer.flags) == (False, ["NOLOG"])


def test_a_terminal_told_to_init_pings_every_known_pilot_and_waits_for_none_of_them() -> None:
    terminal = TerminalRole(pilots={"rig_1": {}, "rig_2": {}})
    assert settled(terminal.hear("_T", "INIT"))
    sent = terminal.host.take()
    assert keys(sent) == [("rig_1", "PING"), ("rig_2", "PING")]
    assert all(one.repeat is False and one.flags == ["NOLOG"] for one in sent)


def test_a_change_goes_to_the_pilot_it_names_as_a_param() -> None:
    change = {"pilot": "rig_2", "level": 3}
    (passed,) = TerminalRole().answers("_T", "CHANGE", change)
    assert (passed.to, passed.key, passed.value, passed.repeat) == ("rig_2", "PARAM", change, True)


@pytest.mark.parametrize("value", [None, "rig_1", {"level": 3}, {"pilot": 4}])
def test_a_change_for_nobody_is_an_error_that_names_the_message(value: object) -> None:
    with pytest.raises(BadMessage, match=r"_T_CHANGE .* names no pilot"):
        TerminalRole().hear("_T", "CHANGE", value)


def test_stopall_stops_every_machine_and_its_plot_and_is_handled_when_every_machine_has_stopped() -> None:
    terminal = TerminalRole(pilots={"rig_1": {}, "rig_2": {}})
    result = terminal.hear("_T", "STOPALL")
    stops = {one.to: one for one in terminal.host.take() if one.key == "STOP"}
    assert set(stops) == {"rig_1", "rig_2", "P_rig_1", "P_rig_2"}
    assert not stops["P_rig_1"].repeat
    stops["rig_1"].handle.settle(confirmed=True)
    assert not settled(result)
    stops["rig_2"].handle.settle(confirmed=True)
    assert settled(result)


@pytest.mark.parametrize("name", NO_IDS, ids=ascii)
def test_a_way_through_what_is_no_id_counts_as_none(name: Any) -> None:
    terminal = TerminalRole()
    terminal.hear_odd("HANDSHAKE", {"pilot": "cam"}, way=["rig_1", name, "cam"])
    assert terminal.host.learned == {"cam": "rig_1"}


@pytest.mark.parametrize("sender", ["", "\ud800", "_", "x" * 101], ids=ascii)
def test_the_state_of_what_is_no_id_is_not_kept(sender: str) -> None:
    terminal = TerminalRole()
    with pytest.raises(BadMessage, match="no id"):
        terminal.hear_odd("STATE", "IDLE", sender=sender)
    with contextlib.suppress(BadMessage):
        terminal.hear_odd("STATE", "IDLE", origin={"sender": sender, "id": "1"}, sender="rig_1")
    assert set(terminal.role.pilots) <= {"rig_1"}


def test_one_bad_entry_costs_no_other_its_stop_or_ping_and_stopall_does_not_succeed() -> None:
    terminal = TerminalRole(pilots={"rig_1": {}, "bad": {}, "rig_2": {}})
    terminal.host = terminal.role.host = host = Picky("T")
    host.refused = ("bad", "P_bad", "P_rig_1")
    assert keys(terminal.answers("_T", "INIT")) == [("rig_1", "PING"), ("rig_2", "PING")]
    result = all_of(terminal.hear("_T", "STOPALL"))
    assert keys(host.take()) == [("P_rig_2", "STOP"), ("rig_1", "STOP"), ("rig_2", "STOP")]
    assert [one.reason for one in result if one.expired] == ["bad is nobody"]


def test_a_trial_whose_plot_cannot_be_told_reaches_the_program() -> None:
    terminal = TerminalRole()
    terminal.host = terminal.role.host = host = Picky("T")
    host.refused = ("P_x",)
    assert keys(terminal.answers("_rig_1", "DATA", {"pilot": "x"})) == [("_T", "DATA")]


def test_stopall_reaches_a_child_that_shook_hands() -> None:
    terminal = TerminalRole()
    terminal.hear("rig_1", "HANDSHAKE", {"pilot": "cam"}, way=["rig_1", "cam"])
    assert ("cam", "STOP") in keys(terminal.answers("_T", "STOPALL"))


def test_a_trial_goes_to_the_program_with_its_origin_and_a_copy_to_the_plot() -> None:
    trial = {"pilot": "rig_1", "subject": "m1", "trial_num": 7}
    copy, passed = TerminalRole().answers("_rig_1", "DATA", trial, flags={"MINPRINT": True})
    assert (copy.to, copy.value, copy.repeat, copy.flags) == ("P_rig_1", trial, False, ["MINPRINT"])
    assert (passed.to, passed.key, passed.value, passed.repeat) == ("_T", "DATA", trial, True)
    assert passed.flags == ["MINPRINT"]
    assert passed.extra["origin"] == {"sender": "_rig_1", "id": "_rig_1_DATA"}


def test_a_trial_counts_as_handled_when_the_program_has_it() -> None:
    terminal = TerminalRole()
    result = terminal.hear("_rig_1", "DATA", {"pilot": "rig_1"})
    assert not settled(result)
    terminal.host.sent[-1].handle.settle(confirmed=True)
    assert settled(result)


def test_a_trial_that_names_no_pilot_is_not_lost_over_its_plot() -> None:
    copy, passed = TerminalRole().answers("_rig_1", "DATA", [1, 2, 3])
    assert (copy.to, passed.to, passed.value) == ("P_rig_1", "_T", [1, 2, 3])


def test_a_plot_sees_a_stream_no_oftener_than_data_fps_and_the_program_sees_all_of_it() -> None:
    terminal = TerminalRole(data_fps=10.0)
    for number in range(11):
        terminal.hear("_rig_1", "CONTINUOUS", {"pilot": "rig_1", "x": number})
        terminal.hear("_rig_2", "CONTINUOUS", {"pilot": "rig_2", "x": number})
        terminal.host.wait(0.0625)  # a sum of such is exact
    sent = terminal.host.take()
    assert [one.value["x"] for one in sent if one.to == "_T"] == [n for n in range(11) for _ in "12"]
    for plot in ("P_rig_1", "P_rig_2"):
        assert [one.value["x"] for one in sent if one.to == plot] == [0, 2, 4, 6, 8, 10]


def test_with_a_data_fps_of_nought_plots_see_no_streams() -> None:
    assert keys(TerminalRole(data_fps=0).answers("_rig_1", "CONTINUOUS", {"pilot": "rig_1"})) == [("_T", "CONTINUOUS")]


def test_an_item_that_is_no_dict_belongs_to_the_pilot_that_its_stream_names() -> None:
    headers = {"pilot": "rig_1", "subject": "m1", "continuous": True}
    copy, passed = TerminalRole().answers("_rig_1_wheel", "CONTINUOUS", 3.5, **headers)
    assert (copy.to, passed.value) == ("P_rig_1", 3.5)
    assert {name: passed.extra[name] for name in headers} == headers


def test_a_state_is_kept_and_told_to_the_program_and_the_plot() -> None:
    terminal = TerminalRole(pilots={"rig_1": {"ip": "10.0.0.4"}})
    copy, passed = terminal.answers("rig_1", "STATE", "RUNNING")
    assert terminal.role.pilots["rig_1"] == {"ip": "10.0.0.4", "state": "RUNNING"}
    news = {"state": "RUNNING", "pilot": "rig_1"}
    assert (passed.to, passed.key, passed.value) == ("_T", "STATE", news)
    assert (copy.to, copy.key, copy.repeat) == ("P_rig_1", "STATE", False)


def test_a_childs_state_is_the_childs_though_its_parent_passed_it_on() -> None:
    terminal = TerminalRole(pilots={"rig_1": {"state": "IDLE"}})
    terminal.hear("rig_1", "STATE", "RUNNING", origin={"sender": "_cam", "id": "_cam_1"})
    assert {name: facts["state"] for name, facts in terminal.role.pilots.items()} == {"rig_1": "IDLE", "cam": "RUNNING"}


def test_a_terminal_is_no_pilot_of_its_own() -> None:
    terminal = TerminalRole()
    assert terminal.answers("_T", "STATE", "IDLE") == []
    assert terminal.role.pilots == {}


def test_a_handshake_records_the_route_and_tells_the_program_the_way() -> None:
    terminal = TerminalRole()
    facts = {"pilot": "rig_1", "ip": "10.0.0.4", "state": "IDLE", "prefs": {"a": 1}}
    (news,) = terminal.answers("_rig_1", "HANDSHAKE", facts, came_from="rig_1")
    assert terminal.host.learned == {"rig_1": "rig_1"}
    assert (news.to, news.key, news.value, news.repeat) == ("_T", "HANDSHAKE", facts, True)
    assert (news.extra["way"], news.extra["origin"]["sender"]) == (["rig_1"], "_rig_1")
    assert terminal.role.pilots["rig_1"] == {**facts, "way": ["rig_1"]}


def test_a_handshake_from_three_levels_down_makes_every_station_on_the_way_known() -> None:
    terminal = TerminalRole()
    way = ["rig_1", "cam", "lamp"]
    (news,) = terminal.answers("rig_1", "HANDSHAKE", {"pilot": "lamp"}, way=way)
    assert terminal.host.learned == dict.fromkeys(way, "rig_1")
    assert news.extra["way"] == way


def test_a_machine_that_comes_back_keeps_what_was_known_of_it() -> None:
    terminal = TerminalRole()
    terminal.hear("_rig_1", "HANDSHAKE", {"pilot": "rig_1", "prefs": {"a": 1}, "state": "IDLE"})
    (news,) = terminal.answers("rig_1", "HANDSHAKE", {"pilot": "rig_1", "state": "RUNNING"}, way=["rig_1"])
    assert news.value == {"pilot": "rig_1", "prefs": {"a": 1}, "state": "RUNNING"}


def test_a_machine_that_comes_back_elsewhere_is_found_there() -> None:
    terminal = TerminalRole()
    terminal.hear("rig_1", "HANDSHAKE", {"pilot": "cam"}, way=["rig_1", "cam"])
    terminal.hear("rig_2", "HANDSHAKE", {"pilot": "cam"}, way=["rig_2", "cam"])
    assert terminal.host.learned["cam"] == "rig_2"
    assert terminal.role.pilots["cam"]["way"] == ["rig_2", "cam"]


@pytest.mark.parametrize("way", ["rig_1", [], ["rig_1", 4], 7, None])
def test_a_way_that_is_none_counts_as_unsaid(way: object) -> None:
    (news,) = TerminalRole().answers("rig_1", "HANDSHAKE", {"pilot": "rig_1"}, way=way)
    assert news.extra["way"] == ["rig_1"]


@pytest.mark.parametrize("value", [None, [], {"ip": "10.0.0.4"}, {"pilot": None}])
def test_a_handshake_of_nobody_is_an_error(value: object) -> None:
    with pytest.raises(BadMessage, match="names no pilot"):
        TerminalRole().hear("_rig_1", "HANDSHAKE", value)


def test_an_error_and_an_answer_to_cohere_go_to_the_program() -> None:
    terminal = TerminalRole()
    for key in ("ERROR", "COHERE"):
        (passed,) = terminal.answers("rig_1", key, {"machine": "rig_1"})
        assert (passed.to, passed.key, passed.value, passed.repeat) == ("_T", key, {"machine": "rig_1"}, True)
