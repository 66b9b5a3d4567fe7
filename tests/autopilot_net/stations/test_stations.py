"""Stations in processes of their own: what a lab of them does from end to end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autopilot_net import Ledger, Message, Pilot_Station, Station, Terminal_Station
from tests.harness import Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S

SOUND = os.urandom(700_000)


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """T, below it rig_1 and rig_2, below rig_1 cam, below cam lamp; a program on each, and other nodes."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "T").mkdir()
    (folder / "T" / "tone").write_bytes(SOUND)
    with lab() as it:
        top = it.terminal(file_dir=folder / "T", data_fps=1_000.0)
        rig = it.pilot("rig_1", top, file_dir=folder / "rig_1")
        it.pilot("rig_2", top, file_dir=folder / "rig_2")
        cam = it.pilot("cam", rig, file_dir=folder / "cam")
        it.pilot("lamp", cam, file_dir=folder / "lamp")
        it.node("_T", top, "HANDSHAKE", "STATE", "DATA", "CONTINUOUS", "ERROR", "COHERE")
        it.node("P_rig_1", top, "DATA", "CONTINUOUS", "STATE", "STOP", "ASK")
        for name, parent in (("rig_1", "T"), ("rig_2", "T"), ("cam", "rig_1"), ("lamp", "cam")):
            program = it.node("_" + name, it.stations[name], "START", "STOP", "PARAM", listens={"BANDWIDTH": trip})
            shake_hands(program, parent)
        it.node("wheel_0", cam, "ASK")
        it.node("scale_0", it.stations["rig_2"], "ASK")
        yield it


def trip(value: Any) -> None:
    raise ZeroDivisionError(value)


def sounds(path: str, **more: Any) -> dict[str, Any]:
    return {"stim": {"sounds": {"L": [{"type": "File", "path": path}]}}, **more}


# -- lives -------------------------------------------------------------------------------------------------------------


def test_what_a_station_was_killed_over_is_handled_in_its_next_life_and_marked(small: Lab, tmp_path: Path) -> None:
    rig, node, heard = small.stations["rig_1"], small.nodes["_rig_1"], small.heard["_rig_1"]
    delivery = node.send("rig_1", "HOLD", {"marker": str(tmp_path / "held")}, repeat=True)
    heard.until("SEEN", lambda one: bool(one.value.get("held")))
    rig.kill()
    rig.join()
    small.pilot("rig_1", small.stations["T"], listen_port=rig.port)
    assert delivery.wait(DEADLINE_S)
    again = heard.until("SEEN", lambda one: "redelivered" in one.value)
    assert again.value == {"redelivered": True, "id": delivery.id}


def test_what_was_sent_while_the_terminal_was_away_waits_and_is_handled_when_it_is_back(small: Lab) -> None:
    top = small.stations["T"]
    top.kill()
    top.join()
    small.look_until("rig_1", lambda facts: "T" not in facts["routes"])
    delivery = small.nodes["_rig_1"].send("rig_1", "STATE", "RUNNING", repeat=True)
    waiting = small.look_until("rig_1", lambda facts: bool(facts["push_outbox"]))
    assert waiting["state"] == "RUNNING"
    assert not delivery.settled
    small.terminal(listen_port=top.port)
    assert delivery.wait(DEADLINE_S)
    told = small.heard["_T"].until("STATE", lambda one: bool(one.value["state"] == "RUNNING"))
    assert told.value["pilot"] == "rig_1"


def test_a_terminal_in_its_next_life_is_told_who_is_there_and_by_what_way() -> None:
    with lab() as it:
        top = it.terminal()
        cam = it.pilot("cam", it.pilot("rig_1", top))
        it.node("_T", top, "HANDSHAKE")
        shake_hands(it.node("_rig_1", it.stations["rig_1"]), "T")
        shake_hands(it.node("_cam", cam, "STOP"), "rig_1")
        top.kill()
        top.join()
        it.heard["_T"].messages.clear()
        it.terminal(listen_port=top.port)
        news = it.heard["_T"].until("HANDSHAKE", lambda one: bool(one.value["pilot"] == "cam"))
        assert news.way == ["rig_1", "cam"]
        assert it.nodes["_T"].send("cam", "STOP", repeat=True).wait(DEADLINE_S)


def test_a_machine_that_comes_back_elsewhere_gets_there_what_waited_for_it() -> None:
    with lab() as it:
        top = it.terminal()
        lamp = it.pilot("lamp", it.pilot("rig_1", top))
        it.pilot("rig_2", top)
        it.node("_T", top, "HANDSHAKE")
        shake_hands(it.node("_lamp", lamp), "rig_1")
        assert it.look("T")["routes"]["lamp"] == "rig_1"
        it.nodes.pop("_lamp").release()
        lamp.release()
        change = {"pilot": "lamp", "level": 2}
        delivery = it.nodes["_T"].send("T", "CHANGE", change, repeat=True)
        it.look_until("T", lambda facts: "lamp" not in facts["routes"])  # rig_1 has said that it is gone
        shake_hands(it.node("_lamp", it.pilot("lamp", it.stations["rig_2"]), "PARAM"), "rig_2")
        assert delivery.wait(DEADLINE_S)
        assert it.heard["_lamp"].until("PARAM").value == change
        assert it.look("T")["routes"]["lamp"] == "rig_2"


def test_repeating_more_often_than_need_be_does_no_harm(small: Lab) -> None:
    for _ in range(3):
        assert small.nodes["_rig_1"].send("rig_1", "REPEAT", repeat=True).wait(DEADLINE_S)
    assert len(small.heard["_rig_1"].of("SEEN")) == 3


# -- a lab of three levels ---------------------------------------------------------------------------------------------


def test_the_terminal_knows_the_way_to_every_machine(deep: Lab) -> None:
    facts = deep.look("T")
    ways = {name: known["way"] for name, known in facts["pilots"].items()}
    assert ways == {
        "rig_1": ["rig_1"],
        "rig_2": ["rig_2"],
        "cam": ["rig_1", "cam"],
        "lamp": ["rig_1", "cam", "lamp"],
    }
    assert facts["routes"]["lamp"] == facts["routes"]["cam"] == "rig_1"
    assert deep.look("rig_1")["routes"]["lamp"] == "cam"
    told = deep.heard["_T"].until("HANDSHAKE", lambda one: bool(one.value["pilot"] == "lamp"))
    assert told.way == ["rig_1", "cam", "lamp"]


@pytest.mark.parametrize(
    ("source", "target"), [("_T", "lamp"), ("_rig_1", "lamp"), ("_rig_2", "lamp"), ("_lamp", "rig_2")]
)
def test_any_machine_is_reached_by_its_id_alone_and_confirms(deep: Lab, source: str, target: str) -> None:
    asked = {"from": source}
    assert deep.nodes[source].send(target, "PARAM", asked, repeat=True).wait(DEADLINE_S)
    assert deep.heard["_" + target].until("PARAM", lambda one: bool(one.value == asked)).origin["sender"] == source


@pytest.mark.parametrize(
    ("source", "hops"),
    [
        ("_T", ["T", "rig_1", "cam", "wheel_0"]),
        ("_T", ["rig_1", "cam", "wheel_0"]),
        ("_rig_1", ["rig_1", "cam", "wheel_0"]),
        ("wheel_0", ["cam", "rig_1", "T", "P_rig_1"]),
        ("wheel_0", ["cam", "rig_1", "T", "rig_2", "scale_0"]),
        ("scale_0", ["T", "rig_1", "cam", "wheel_0"]),
        ("_lamp", ["cam", "wheel_0"]),
    ],
)
def test_a_node_anywhere_is_reached_by_hops_and_confirms(deep: Lab, source: str, hops: list[str]) -> None:
    asked = {"from": source, "by": len(hops)}
    assert deep.nodes[source].send(hops, "ASK", asked, repeat=True).wait(DEADLINE_S)
    assert deep.heard[hops[-1]].until("ASK", lambda one: bool(one.value == asked)).sender == source


def test_a_childs_state_does_not_overwrite_its_parents(deep: Lab) -> None:
    assert deep.nodes["_rig_1"].send("rig_1", "STATE", "RUNNING", repeat=True).wait(DEADLINE_S)
    assert deep.nodes["_lamp"].send("lamp", "STATE", "SHINING", repeat=True).wait(DEADLINE_S)
    told = deep.heard["_T"].until("STATE", lambda one: bool(one.value["state"] == "SHINING"))
    assert told.value["pilot"] == "lamp"
    facts = deep.look("T")
    assert (facts["pilots"]["rig_1"]["state"], facts["pilots"]["lamp"]["state"]) == ("RUNNING", "SHINING")
    assert facts["senders"]["rig_1"] == "RUNNING"
    assert (deep.look("rig_1")["state"], deep.look("cam")["state"]) == ("RUNNING", None)


@pytest.mark.parametrize("rig", ["rig_1", "lamp"])
def test_a_start_is_handed_on_once_its_file_is_whole_at_whatever_depth(deep: Lab, rig: str) -> None:
    folder = Path(str(deep.stations[rig].file_dir))
    start = deep.nodes["_T"].send(rig, "START", sounds("tone", files=rig), repeat=True)
    stop = deep.nodes["_T"].send(rig, "STOP", {"files": rig}, repeat=True)
    assert start.wait(DEADLINE_S)
    assert (folder / "tone").read_bytes() == SOUND
    assert [path.name for path in folder.iterdir()] == ["tone"]
    assert stop.wait(DEADLINE_S)
    handled = [one.key for one in deep.heard["_" + rig].messages if (one.value or {}).get("files") == rig]
    assert handled == ["START", "STOP"]


def test_a_start_whose_file_leaves_the_folder_is_told_to_the_terminal_and_not_begun(deep: Lab) -> None:
    deep.nodes["_T"].send("cam", "START", sounds("../../T/tone", n=1), repeat=True)
    error = deep.heard["_T"].until("ERROR", lambda one: "leads out of the file folder" in one.value["exception"])
    assert error.value["machine"] == "cam"
    assert deep.nodes["_T"].send("cam", "STOP", repeat=True).wait(DEADLINE_S)
    assert not [one for one in deep.heard["_cam"].of("START") if one.value.get("n") == 1]


def test_an_exception_in_a_station_three_levels_down_is_told_to_the_terminals_program(deep: Lab) -> None:
    assert deep.nodes["_lamp"].send("lamp", "FAIL", repeat=True).wait(DEADLINE_S)
    error = deep.heard["_T"].until("ERROR", lambda one: "asked to by _lamp" in one.value["exception"])
    assert (error.value["machine"], error.origin["sender"]) == ("lamp", "lamp")
    assert "ZeroDivisionError" in error.value["traceback"]


def test_an_exception_in_a_program_is_told_to_the_terminals_program(deep: Lab) -> None:
    assert deep.nodes["_T"].send("lamp", "BANDWIDTH", "over a stone", repeat=True).wait(DEADLINE_S)
    error = deep.heard["_T"].until("ERROR", lambda one: "over a stone" in one.value["exception"])
    assert (error.value["machine"], error.origin["sender"]) == ("lamp", "_lamp")
    assert "in trip" in error.value["traceback"]


# -- a session ---------------------------------------------------------------------------------------------------------


def test_a_trial_is_confirmed_when_the_terminals_program_has_it_and_the_plot_gets_a_copy(deep: Lab) -> None:
    trial = {"pilot": "rig_1", "subject": "m1", "rt": float("nan"), "of": "a trial"}
    assert deep.nodes["_rig_1"].send("T", "DATA", trial, repeat=True).wait(DEADLINE_S)
    (came,) = [one for one in deep.heard["_T"].of("DATA") if one.value.get("of") == "a trial"]
    copy = deep.heard["P_rig_1"].until("DATA", lambda one: one.value.get("of") == "a trial")
    assert str(came.value) == str(copy.value) == str(trial)  # NaN is not equal to itself
    assert came.origin["sender"] == "_rig_1"


def test_child_reaches_the_program_of_a_child(deep: Lab) -> None:
    task = {"KEY": "START", "subject": "m1"}
    assert deep.nodes["_rig_1"].send("rig_1", "CHILD", task, repeat=True).wait(DEADLINE_S)
    assert [one.value for one in deep.heard["_cam"].of("START") if one.value.get("KEY")] == [task]


def test_a_change_reaches_the_program_it_is_for(deep: Lab) -> None:
    change = {"pilot": "rig_2", "level": 2}
    assert deep.nodes["_T"].send("T", "CHANGE", change, repeat=True).wait(DEADLINE_S)
    assert change in [one.value for one in deep.heard["_rig_2"].of("PARAM")]


@pytest.mark.parametrize("min_size", [1, 5])
def test_a_stream_reaches_the_terminals_program_item_by_item_whatever_its_items_are(deep: Lab, min_size: int) -> None:
    items = [{"n": 0}, {"n": 1}, [2], 3.5, None, "six", {"n": 7}]
    name = f"wheel{min_size}"
    stream = deep.nodes["_rig_1"].get_stream(name, "CONTINUOUS", min_size=min_size, to="T", subject="m1")
    stream.extend([*items, "END"])
    assert stream.wait(DEADLINE_S)
    came = [one for one in deep.heard["_T"].of("CONTINUOUS") if one.origin["sender"] == stream.id]
    assert [{"n": one.value["n"]} if isinstance(one.value, dict) else one.value for one in came] == items
    assert {(one.subject, one.pilot) for one in came} == {("m1", "rig_1")}
    deep.heard["P_rig_1"].until("CONTINUOUS")


def test_a_childs_stream_arrives_at_the_terminal_as_data_of_its_parents(deep: Lab) -> None:
    assert deep.nodes["_T"].send("rig_1", "START", {"subject": "m7"}, repeat=True).wait(DEADLINE_S)
    stream = deep.nodes["_cam"].get_stream("frames", "CONTINUOUS", to="rig_1")
    stream.extend([*({"frame": n} for n in range(12)), "END"])
    assert stream.wait(DEADLINE_S)
    came = [one.value for one in deep.heard["_T"].of("DATA") if "frame" in one.value]
    facts = {"pilot": "rig_1", "child": "cam", "subject": "m7", "continuous": True}
    assert came == [{"frame": n, **facts} for n in range(12)]
    assert {one.pilot for one in deep.heard["_T"].of("DATA") if "frame" in one.value} == {"rig_1"}


@pytest.mark.parametrize("node", ["wheel_0", "_cam"])
def test_what_a_node_streams_is_its_machines_whatever_the_node_is_called(deep: Lab, node: str) -> None:
    stream = deep.nodes[node].get_stream("own", "CONTINUOUS", to="T")
    stream.extend([1, "END"])
    assert stream.wait(DEADLINE_S)
    (came,) = [one for one in deep.heard["_T"].of("CONTINUOUS") if one.origin["sender"] == stream.id]
    assert came.pilot == "cam"


def test_init_brings_in_the_state_of_every_pilot(deep: Lab) -> None:
    assert deep.nodes["_rig_2"].send("rig_2", "STATE", "RESTING", repeat=True).wait(DEADLINE_S)
    before = len([one for one in deep.heard["_T"].of("STATE") if one.value["pilot"] == "rig_2"])
    assert deep.nodes["_T"].send("T", "INIT", repeat=True).wait(DEADLINE_S)
    told = deep.heard["_T"].until("STATE", lambda one: bool(one.value["pilot"] == "rig_2"), times=before + 1)
    assert told.value["state"] == "RESTING"


def test_stopall_stops_every_machine_and_tells_the_plots(deep: Lab) -> None:
    assert deep.nodes["_T"].send("T", "STOPALL", repeat=True).wait(DEADLINE_S)
    for name in ("_rig_1", "_rig_2", "_cam", "_lamp"):
        assert None in [one.value for one in deep.heard[name].of("STOP")]
    deep.heard["P_rig_1"].until("STOP")


def test_cohere_asked_for_a_machine_at_any_depth_is_answered_to_the_terminals_program_once(deep: Lab) -> None:
    for n in range(3):
        deep.nodes["_lamp"].send("T", "DATA", {"pilot": "lamp", "subject": "cohere", "n": n}, repeat=True)
    assert deep.nodes["_T"].send("lamp", "COHERE", {"subject": "cohere", "range": [1, 3]}, repeat=True).wait(DEADLINE_S)
    answer = deep.heard["_T"].until("COHERE")
    came = [one for one in deep.heard["_T"].of("DATA") if one.value["subject"] == "cohere"]
    ledger = Ledger()
    for one in came:
        ledger.record(one.origin["id"], one.value)
    assert answer.value == {"pilot": "lamp", **ledger.answer({"subject": "cohere", "range": [1, 3]})}
    assert (answer.value["count"], answer.value["ids"]) == (3, [one.origin["id"] for one in came[1:]])


def test_cohere_asked_by_a_program_of_its_own_station_does_not_go_round_for_ever(small: Lab) -> None:
    assert small.nodes["_rig_1"].send("rig_1", "COHERE", {}, repeat=True).wait(DEADLINE_S)
    handled = small.stations["rig_1"].msgs_received.value
    small.look("rig_1")
    assert small.stations["rig_1"].msgs_received.value <= handled + 3


def test_what_a_station_passes_on_as_it_came_awaits_no_confirmation_that_goes_to_who_sent_it(deep: Lab) -> None:
    """As listens of labs do it: `self.send(to, msg=message)`."""
    assert deep.inside("rig_1", pass_on) == [False, False, []]
    assert deep.nodes["_rig_1"].send("rig_1", "STATE", "IDLE", repeat=True).wait(DEADLINE_S)
    assert len(deep.heard["_rig_1"].of("PARAM")) == 2


def pass_on(station: Station) -> Any:
    message = Message(id="_T_passed", to="rig_1", sender="_T", key="PARAM", value={"passed": "on"})
    sent = [station.send("_rig_1", msg=message).sought, station.send("_rig_1", msg=message, repeat=True).sought]
    return [*sent, list(station.send_outbox)]


# -- keys of a lab's own -----------------------------------------------------------------------------------------------


def test_a_key_of_a_labs_own_reaches_the_programs_through_their_stations() -> None:
    """As the README has it: l_to_program on a terminal, l_forward on a pilot, and both confirm when that is done."""
    with started_by("forkserver"), lab() as it:
        top = Terminal_Station(listen_port=0)
        top.listens["MYKEY"] = top.l_to_program
        rig = Pilot_Station("rig", push_port=it.begin(top).port, listen_port=0)
        rig.listens["MYKEY"] = rig.l_forward
        it.begin(rig)
        it.node("_T", top, "MYKEY", "HANDSHAKE", "STATE")
        shake_hands(it.node("_rig", rig, "MYKEY"), "T")
        for sender, to in (("_T", "rig"), ("_rig", "T")):
            assert it.nodes[sender].send(to, "MYKEY", {"from": sender}, repeat=True).wait(DEADLINE_S)
            (came,) = it.heard["_" + to].of("MYKEY")
            assert (came.value, came.origin["sender"]) == ({"from": sender}, sender)
