"""What a terminal and a pilot do with each key, row by row, over a host that only notes what it is asked for."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest

from autopilot_net import BadMessage, Delivery, Message, Pilot_Station, Terminal_Station
from autopilot_net.delivery import all_of
from autopilot_net.roles.file_client import PART, files_of
from autopilot_net.roles.file_server import MAX_PART
from autopilot_net.roles.host import RoleHost
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from tests.harness import Drawer, FakeHost, Sent, message

FORWARDED = ["STOP", "PARAM", "CALIBRATE_PORT", "CALIBRATE_RESULT", "BANDWIDTH", "STREAM_VIDEO"]


class TerminalRole:
    """A terminal's role behind the listens of its station, which is never started."""

    def __init__(self, **settings: Any) -> None:
        self.host = FakeHost("T")
        host: RoleHost = self.host
        self.role = Terminal(host, **settings)
        self._station = Terminal_Station(listen_port=0)
        self._station._role = self.role

    def hear(self, sender: str, key: str, value: Any = None, **extra: Any) -> Any:
        return self._station.listens[key](message(sender, key, value, to=self.host.id, **extra))

    def hear_odd(self, key: str, value: Any = None, **fields: Any) -> Any:
        """It hears what JSON can spell, and our own writer would refuse."""
        odd = message("rig_1", key, to=self.host.id)
        for name, field in {"value": value, **fields}.items():
            odd[name] = field
        return self._station.listens[key](odd)

    def answers(self, sender: str, key: str, value: Any = None, **extra: Any) -> list[Sent]:
        """What it sends when it hears that."""
        self.host.take()
        self.hear(sender, key, value, **extra)
        return self.host.take()


class PilotRole(TerminalRole):
    """A pilot's role behind the listens of its station."""

    def __init__(self, id: str = "rig_1", parent: str = "T", **settings: Any) -> None:
        self.host = FakeHost(id, parent, neighbours=[parent, "_" + id])
        host: RoleHost = self.host
        self.pilot = Pilot(host, **settings)
        self.station = Pilot_Station(id)
        self.station._role = self.pilot
        self._station: Any = self.station


def keys(sent: list[Sent]) -> list[tuple[str, str]]:
    return [(one.to, one.key) for one in sent]


def settled(result: Any) -> bool:
    """Whether a message whose listen returned `result` counts as handled."""
    return all(handle.settled for handle in all_of(result))


def task(*paths: str, **more: Any) -> dict[str, Any]:
    return {"subject": "m1", "stim": {"sounds": {"L": [{"type": "File", "path": path} for path in paths]}}, **more}


# -- terminal ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("station", [Terminal_Station(listen_port=0), Pilot_Station("rig", listen_port=0)])
def test_a_station_does_with_each_key_what_its_role_says(station: Terminal_Station | Pilot_Station) -> None:
    kind = Terminal if isinstance(station, Terminal_Station) else Pilot
    own = {key: listen.__doc__ for key, listen in station.listens.items() if key not in ("CONFIRM", "STREAM", "KILL")}
    assert own == {key: listen.__doc__ for key, listen in kind(FakeHost("x")).listens().items()}


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


NO_IDS = ["", "\ud800", "a\0b", "a\x1fb", "x" * 101, "é" * 51, 5, None, ["rig_1"]]


@pytest.mark.parametrize("pilot", NO_IDS, ids=ascii)
def test_a_handshake_of_what_is_no_id_is_refused_and_not_kept(pilot: Any) -> None:
    terminal = TerminalRole(pilots={"rig_1": {}})
    with pytest.raises(BadMessage, match="names no pilot"):
        terminal.hear_odd("HANDSHAKE", {"pilot": pilot})
    assert list(terminal.role.pilots) == ["rig_1"]
    rig = PilotRole()
    with pytest.raises(BadMessage, match="names no pilot"):
        rig.hear_odd("HANDSHAKE", {"pilot": pilot})
    assert not rig.pilot.children


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


class Picky(FakeHost):
    """A host that cannot send to some."""

    refused: tuple[str, ...] = ()

    def send(self, to: str, key: str, value: Any, **how: Any) -> Delivery:
        if to in self.refused:
            raise BadMessage(f"{to} is nobody")
        return super().send(to, key, value, **how)


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


def test_what_a_child_sent_keeps_its_first_origin_through_every_relay() -> None:
    origin = {"sender": "_cam", "id": "_cam_4"}
    _, passed = TerminalRole().answers("rig_1", "DATA", {"pilot": "rig_1"}, origin=origin)
    assert passed.extra["origin"] == origin


def test_a_trial_that_names_no_pilot_is_not_lost_over_its_plot() -> None:
    copy, passed = TerminalRole().answers("_rig_1", "DATA", [1, 2, 3])
    assert (copy.to, passed.to, passed.value) == ("P_rig_1", "_T", [1, 2, 3])


def test_extra_attributes_reach_the_program_and_a_redelivered_message_is_still_marked_there() -> None:
    extra = {"session": 3, "redelivered": True}
    copy, passed = TerminalRole().answers("_rig_1", "DATA", {"pilot": "rig_1"}, **extra)
    assert {name: passed.extra[name] for name in extra} == extra
    assert copy.extra["session"] == 3


def test_no_extra_attribute_can_break_a_relay_or_pose_as_what_the_relay_itself_says() -> None:
    odd = {"self": 1, "msg": "2", "repeat": False, "expand_arrays": True, "seq": 9, "again": True, "via": ["a"]}
    raw = Message(id="a_1", to="T", sender="_rig_1", key="DATA", value={})
    for name, value in odd.items():
        raw[name] = value
    terminal = TerminalRole()
    terminal.role.data(Message(raw.serialize()))
    assert set(terminal.host.sent[-1].extra) == {"origin"}


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


@pytest.mark.parametrize(("key", "value"), [("CONTINUOUS", {"pilot": "rig_1"}), ("STATE", "IDLE")])
@pytest.mark.parametrize("flags", [{}, {"NOREPEAT": True}])
def test_what_comes_often_is_passed_on_as_firmly_as_it_came(key: str, value: object, flags: dict[str, bool]) -> None:
    sent = TerminalRole().answers("rig_1", key, value, flags=flags)
    assert [one.repeat for one in sent if one.to == "_T"] == [not flags]


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


# -- files, at the terminal --------------------------------------------------------------------------------------------


def serving(**whole: bytes) -> TerminalRole:
    terminal = TerminalRole()
    terminal.host.files = Drawer(**whole)
    return terminal


def test_a_part_of_a_file_comes_with_the_size_and_the_digest_of_the_whole() -> None:
    (answer,) = serving(tone=b"0123456789").answers("rig_1", "FILE", {"path": "tone", "offset": 4, "length": 3})
    assert (answer.to, answer.key, answer.repeat) == ("rig_1", "FILE", True)
    assert base64.b64decode(answer.value["data"]) == b"456"
    assert (answer.value["path"], answer.value["offset"], answer.value["size"]) == ("tone", 4, 10)
    assert len(answer.value["digest"]) == 64


def test_no_part_is_larger_than_what_a_slow_link_bears() -> None:
    wanted = {"path": "tone", "offset": 0, "length": 1 << 40}
    (answer,) = serving(tone=bytes(MAX_PART + 1)).answers("rig_1", "FILE", wanted)
    assert len(base64.b64decode(answer.value["data"])) == MAX_PART


def test_a_plain_name_gets_the_whole_file_in_autopilots_form() -> None:
    (answer,) = serving(tone=b"0123").answers("rig_1", "FILE", "tone")
    assert answer.value == {"path": "tone", "file": base64.b64encode(b"0123").decode()}


def test_a_program_that_asks_is_answered_through_its_station() -> None:
    assert keys(serving(tone=b"").answers("_rig_1", "FILE", "tone")) == [("rig_1", "FILE")]


@pytest.mark.parametrize(
    "wanted",
    [
        *("/etc/passwd", "../tone", "silence", None, 7, [], {}),
        {"path": "/etc/passwd", "offset": 0, "length": 1},
        {"path": "silence", "offset": 0, "length": 1},
        {"path": "tone", "offset": -1, "length": 1},
        {"path": "tone", "offset": float("inf"), "length": 1},
        {"path": "tone", "offset": float("nan"), "length": 1},
        {"path": "tone", "offset": "first", "length": 1},
        {"path": "tone", "offset": True, "length": 1},
        {"path": "tone", "offset": 1.0, "length": 1},
        {"path": "tone", "offset": 0, "length": True},
        {"path": "tone", "offset": 0, "length": -1},
        {"path": "tone"},
    ],
)
def test_what_cannot_be_served_is_refused_in_an_answer_not_in_silence(wanted: object) -> None:
    (answer,) = serving(tone=b"0123").answers("rig_1", "FILE", wanted)
    assert (answer.to, answer.key, set(answer.value)) == ("rig_1", "FILE", {"path", "error"})


# -- pilot: neighbours -------------------------------------------------------------------------------------------------


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


# -- pilot: state ------------------------------------------------------------------------------------------------------


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


# -- pilot: tasks ------------------------------------------------------------------------------------------------------


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


class Fetching(PilotRole):
    """A pilot below a terminal that serves files; `carry` takes what the one sends to the other, until it is still."""

    def __init__(self, **whole: bytes) -> None:
        super().__init__()
        self.terminal = serving(**whole)
        self.asked: list[dict[str, Any]] = []

    def carry(self, rounds: int = 1_000) -> list[Sent]:
        """What was not about files."""
        other = []
        for _ in range(rounds):
            sent = self.host.take()
            other += [one for one in sent if one.key != "FILE"]
            questions = [one for one in sent if one.key == "FILE"]
            self.asked += [one.value for one in questions]
            for one in questions:
                assert one.to == "T"
                self.terminal.role.file(one.arrived("rig_1"))
            for answer in self.terminal.host.take():
                self.pilot.file(answer.arrived("T"))
                answer.handle.settle(confirmed=True)
            self.terminal.host.wait(0)
            if not questions:
                break
        return other


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


@pytest.mark.parametrize("path", ["/etc/passwd", "../tone", "a/../../b"])
def test_a_path_that_leaves_the_folder_is_refused_here_and_told(path: str) -> None:
    rig = PilotRole()
    rig.hear("T", "START", task(path))
    (error,) = rig.host.take()
    assert (error.to, error.key) == ("T", "ERROR")
    assert error.value["machine"] == "rig_1"
    assert path in error.value["exception"]


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


def test_a_start_whose_value_is_no_dict_is_the_programs_to_judge() -> None:
    assert keys(PilotRole().answers("T", "START", "Free")) == [("_rig_1", "START")]


def test_a_graduation_is_a_stop_and_a_start_in_that_order() -> None:
    rig = Fetching(tone=b"1")
    rig.hear("T", "STOP", {"graduation": True})
    rig.hear("T", "START", task("tone", level=2))
    stop, start = rig.carry()
    assert (stop.key, stop.value) == ("STOP", {"graduation": True})
    assert (start.key, start.value["level"]) == ("START", 2)


# -- pilot: children ---------------------------------------------------------------------------------------------------


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


# -- pilot: COHERE -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "question"), [({"subject": "m1"}, {"subject": "m1"}), (None, {})])
def test_cohere_has_the_program_answer_whoever_asked_first(value: object, question: dict[str, str]) -> None:
    (passed,) = PilotRole("cam", "rig_1").answers("_T", "COHERE", value, came_from="rig_1")
    assert (passed.to, passed.key, passed.value) == ("_cam", "COHERE", {**question, "answer_to": "T"})


def test_an_answer_to_cohere_is_no_question_anew() -> None:
    answer = {"pilot": "cam", "subject": "m1", "count": 2, "digest": "d"}
    (passed,) = PilotRole().answers("_cam", "COHERE", answer, came_from="cam")
    assert (passed.to, passed.value) == ("_rig_1", answer)


# -- KILL --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "came_from", "obeyed"),
    [
        ("T", "rig_1", True),
        ("_T", "rig_1", True),
        ("rig_1", "rig_1", True),
        ("_cam", "_cam", True),
        ("_rig_2", "rig_1", False),
        ("wheel_0", "rig_1", False),
        ("stranger", "stranger", False),
        ("lamp", "lamp", False),
        ("T", "lamp", False),
        ("_T", "stranger", False),
        ("rig_1", "lamp", False),
        ("_cam", "lamp", False),
        ("_cam", "rig_1", False),
        ("cam", "rig_1", False),
    ],
)
def test_kill_is_obeyed_from_the_terminal_the_parent_and_our_own_program_by_the_way_each_comes(
    sender: str, came_from: str, obeyed: bool
) -> None:
    cam = PilotRole("cam", "rig_1")
    cam.hear(sender, "KILL", came_from=came_from)
    assert cam.station.closing.is_set() is obeyed


@pytest.mark.parametrize(
    ("sender", "came_from", "obeyed"), [("_T", "_T", True), ("_T", "rig_1", False), ("T", "rig_1", False)]
)
def test_a_terminal_is_killed_by_its_own_program_alone(sender: str, came_from: str, obeyed: bool) -> None:
    station = Terminal_Station(listen_port=0)
    station.listens["KILL"](message(sender, "KILL", came_from=came_from))
    assert station.closing.is_set() is obeyed
