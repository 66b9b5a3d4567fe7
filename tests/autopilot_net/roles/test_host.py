"""What both roles share: which listen does what, and what a relay keeps of a message."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net import BadMessage, Message, Pilot_Station, Terminal_Station
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from tests.autopilot_net.roles.lone_roles import NO_IDS, PilotRole, TerminalRole
from tests.harness import FakeHost


@pytest.mark.parametrize("station", [Terminal_Station(listen_port=0), Pilot_Station("rig", listen_port=0)])
def test_a_station_does_with_each_key_what_its_role_says(station: Terminal_Station | Pilot_Station) -> None:
    kind = Terminal if isinstance(station, Terminal_Station) else Pilot
    own = {key: listen.__doc__ for key, listen in station.listens.items() if key not in ("CONFIRM", "STREAM", "KILL")}
    assert own == {key: listen.__doc__ for key, listen in kind(FakeHost("x")).listens().items()}


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


def test_what_a_child_sent_keeps_its_first_origin_through_every_relay() -> None:
    origin = {"sender": "_cam", "id": "_cam_4"}
    _, passed = TerminalRole().answers("rig_1", "DATA", {"pilot": "rig_1"}, origin=origin)
    assert passed.extra["origin"] == origin


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


@pytest.mark.parametrize(("key", "value"), [("CONTINUOUS", {"pilot": "rig_1"}), ("STATE", "IDLE")])
@pytest.mark.parametrize("flags", [{}, {"NOREPEAT": True}])
def test_what_comes_often_is_passed_on_as_firmly_as_it_came(key: str, value: object, flags: dict[str, bool]) -> None:
    sent = TerminalRole().answers("rig_1", key, value, flags=flags)
    assert [one.repeat for one in sent if one.to == "_T"] == [not flags]
