"""Stations that are made from the prefs of an Autopilot machine."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, Message, Net_Node, Pilot_Station, Station, Terminal_Station
from tests.harness import lab, started_by
from tests.patience import DEADLINE_S

PILOT = {
    "NAME": "rig",
    "MSGPORT": "5571",
    "PUSHPORT": 5561,
    "TERMINALIP": "10.0.0.2",
    "LINEAGE": "PARENT",
    "CHILDID": ["cam", "wheel"],
    "PING_INTERVAL": "2.5",
    "SOUNDDIR": "/lab/sounds",
}
CHILD = {"NAME": "cam", "LINEAGE": "CHILD", "PARENTID": "rig", "PARENTIP": "10.0.0.3", "PARENTPORT": "5571"}


def facts(station: Pilot_Station) -> list[Any]:
    """What it was made from."""
    return [
        *(station.id, station.listen_port, station.push_id, station.push_ip, station.push_port),
        *(station.children, station.ping_interval, station.file_dir),
    ]


def stored(prefs: dict[str, Any]) -> dict[str, Any]:
    """Each with its description, as some files have it."""
    return {name: {"value": value, "type": "str"} for name, value in prefs.items()}


@pytest.mark.parametrize("form", ["mapping", "described", "file", "path"])
def test_a_pilot_is_made_from_its_prefs(form: str, tmp_path: Path) -> None:
    path = tmp_path / "prefs.json"
    path.write_text(json.dumps(PILOT))
    source: Any = {"mapping": PILOT, "described": stored(PILOT), "file": str(path), "path": path}[form]
    station = Pilot_Station.from_prefs(source)
    assert facts(station) == ["rig", 5571, "T", "10.0.0.2", 5561, ["cam", "wheel"], 2.5, "/lab/sounds"]
    assert (station.listen_ip, station.terminal_id, station.pusher) == ("127.0.0.1", "T", True)


def test_what_its_prefs_leave_out_is_as_there() -> None:
    station = Pilot_Station.from_prefs({"NAME": "rig", "TERMINALIP": "10.0.0.2", "BASEDIR": "/lab"})
    assert facts(station) == ["rig", 5565, "T", "10.0.0.2", 5560, [], 5.0, "/lab/sounds"]
    assert Pilot_Station.from_prefs({"NAME": "rig", "TERMINALIP": "10.0.0.2"}).file_dir is None


def test_a_child_pushes_to_its_parent_whatever_it_knows_of_the_terminal() -> None:
    station = Pilot_Station.from_prefs({**PILOT, **CHILD})
    assert facts(station)[:5] == ["cam", 5571, "rig", "10.0.0.3", 5571]


def test_who_says_where_to_push_pushes_there() -> None:
    station = Pilot_Station.from_prefs({**PILOT, "PUSHIP": "10.0.0.9", "PUSHID": "hub"})
    assert facts(station)[2:4] == ["hub", "10.0.0.9"]


@pytest.mark.parametrize("nobody", ["NONE", "none", "", None, [], [""], ["NONE"], [None]])
def test_a_child_that_is_called_nobody_is_nobody(nobody: Any) -> None:
    assert Pilot_Station.from_prefs({**PILOT, "CHILDID": nobody}).children == []
    assert Pilot_Station.from_prefs({**PILOT, "CHILDID": "cam"}).children == ["cam"]


def test_what_is_given_counts_before_what_the_prefs_say_and_may_stand_for_it() -> None:
    station = Pilot_Station.from_prefs({"NAME": "rig"}, push_ip="localhost", listen_ip="*", listens={"MINE": print})
    assert (station.push_ip, station.listen_ip, station.listens["MINE"]) == ("localhost", "*", print)
    assert Pilot_Station.from_prefs(PILOT, id="other").id == "other"


def test_a_terminal_is_made_from_its_prefs_and_is_called_t(tmp_path: Path) -> None:
    prefs = {"NAME": "my_terminal", "MSGPORT": 5560, "DRAWFPS": "10", "SOUNDDIR": str(tmp_path)}
    station = Terminal_Station.from_prefs(prefs, ["rig"])
    assert (station.id, station.listen_port, station.data_fps, station.file_dir) == ("T", 5560, 10.0, str(tmp_path))
    assert station.pilots == {"rig": {}}
    assert Terminal_Station.from_prefs(prefs, pilots={"cam": {}}, id="U").id == "U"


@pytest.mark.parametrize(
    ("kind", "prefs", "words"),
    [
        (Pilot_Station, {"TERMINALIP": "10.0.0.2"}, "prefs: NAME must be set .* give id to from_prefs"),
        (Pilot_Station, {"NAME": "", "LINEAGE": "NONE"}, "prefs: NAME, TERMINALIP must be set"),
        (Pilot_Station, {"NAME": "rig", "LINEAGE": "CHILD"}, "PARENTID, PARENTIP, PARENTPORT must be set"),
        (Pilot_Station, {**CHILD, "PARENTID": "NONE"}, "PARENTID must be set"),
        (Pilot_Station, {**PILOT, "PUSHPORT": "high"}, "PUSHPORT is 'high', and must be a whole number from 0"),
        (Pilot_Station, {**PILOT, "MSGPORT": 70_000}, "MSGPORT is 70000, and must be"),
        (Pilot_Station, {**PILOT, "MSGPORT": True}, "MSGPORT is True, and must be"),
        (Pilot_Station, {**PILOT, "NAME": 4}, "NAME is 4, and must be text"),
        (Pilot_Station, {**PILOT, "LINEAGE": "UNCLE"}, "LINEAGE is 'UNCLE', and must be NONE, PARENT or CHILD"),
        (Pilot_Station, {**PILOT, "PING_INTERVAL": "nan"}, "PING_INTERVAL is 'nan', and must be a number above 0"),
        (Pilot_Station, {**PILOT, "CHILDID": [4]}, r"CHILDID is \[4\], and must be an id, or a list of ids"),
        (Terminal_Station, {"NAME": "T"}, "prefs: MSGPORT must be set"),
    ],
)
def test_a_pref_that_is_missing_or_wrong_is_named(kind: Any, prefs: dict[str, Any], words: str) -> None:
    with pytest.raises(AutopilotNetError, match=words):
        kind.from_prefs(prefs)


@pytest.mark.parametrize(("text", "words"), [(None, "cannot be read"), ("{", "cannot be read"), ("[]", "is a list")])
def test_a_file_that_holds_no_prefs_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "prefs.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AutopilotNetError, match=f"prefs.json: .*{words}"):
        Pilot_Station.from_prefs(path)


def test_what_no_station_reads_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "autopilot_net"):
        Pilot_Station.from_prefs({**PILOT, "DATADIR": "/lab/data", "AUDIOSERVER": False})
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == "prefs: its station makes nothing of AUDIOSERVER, DATADIR"


class Mine(Pilot_Station):
    """A lab's own, as it would be for Autopilot."""

    repeat_interval = 2.0


class MyNode(Net_Node):
    """Likewise."""

    repeat_interval = 2.0


def test_stations_from_prefs_work_together(tmp_path: Path) -> None:
    with started_by("forkserver"), lab() as it:
        top = it.begin(Terminal_Station.from_prefs({"MSGPORT": 0}))
        prefs = {"NAME": "rig", "MSGPORT": 0, "PUSHPORT": top.port, "TERMINALIP": "localhost"}
        rig = it.begin(Mine.from_prefs(prefs))
        it.node("_T", top, "DATA", "HANDSHAKE", "STATE")
        assert it.node("_rig", rig).send("T", "DATA", {"pilot": "rig"}, repeat=True).wait(DEADLINE_S)
        assert it.inside("rig", interval) == [2.0, 2.0]


def interval(station: Station) -> list[float]:
    return [station.repeat_interval, station.core.settings.repeat_interval]


def test_the_repeat_interval_of_a_class_counts_where_none_is_given() -> None:
    assert (Pilot_Station("a").repeat_interval, Mine("a").repeat_interval) == (5.0, 2.0)
    assert Mine("a", repeat_interval=1.0).repeat_interval == 1.0
    with MyNode("a", "nobody", 1) as node, MyNode("b", "nobody", 1, repeat_interval=1.0) as other:
        assert [one._core.settings.repeat_interval for one in (node, other)] == [2.0, 1.0]
        assert [one.repeat_interval for one in (node, other)] == [2.0, 1.0]


def test_the_repeat_interval_that_a_station_is_given_before_it_starts_counts() -> None:
    with started_by("forkserver"), lab() as it:
        station = Station("s", listen_port=0)
        station.repeat_interval = 0.5
        it.begin(station)
        it.node("ear", station)
        assert it.inside("s", interval) == [0.5, 0.5]


def named(station: Any) -> Any:
    """Listens are called as Autopilot's own code calls them."""
    for key in ("STATE", "PARAM", "CHILD"):
        message = Message(id=f"m_{key}", to=station.id, sender="cam", key=key, value={"n": key})
        station.listens[key](msg=message)
    station.l_confirm(msg=message)
    station.l_ping()
    station.l_noop(msg=message)
    return True


def test_listens_are_called_by_the_name_of_their_argument_and_a_pilot_pings_by_itself() -> None:
    with started_by("forkserver"), lab() as it:
        top = it.terminal()
        rig = it.pilot("rig", top)
        it.node("_T", top, "STATE", "HANDSHAKE")
        it.node("_rig", rig, "PARAM").send("rig", "STATE", "RUNNING", repeat=True).wait(DEADLINE_S)
        before = len(it.heard["_T"].of("STATE"))
        assert it.inside("rig", named)
        it.heard["_T"].until("STATE", lambda one: bool(one.value == {"state": {"n": "STATE"}, "pilot": "cam"}))
        it.heard["_T"].until("STATE", lambda one: "NOLOG" in one.flags)
        assert len(it.heard["_T"].of("STATE")) == before + 2
        assert it.heard["_rig"].until("PARAM").value == {"n": "PARAM"}
