"""What each key does at each station, row by row, in processes: the check is here, or it is a test of another file."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest

from autopilot_net import Message, Pilot_Station, Station, Terminal_Station
from tests.autopilot_net import test_names, test_pilot_station, test_station
from tests.autopilot_net.stations import test_errors, test_online, test_stations
from tests.conftest import eventually
from tests.harness import Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S

Check = Callable[..., object]  # of the lab; or a test of another file

TONE = bytes(range(256)) * 100
FORWARDED = ("CALIBRATE_PORT", "CALIBRATE_RESULT", "BANDWIDTH", "STREAM_VIDEO")


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """T and rig, with their programs; below rig cam, which says by itself that it is there; an ear on T and on rig."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "tone").write_bytes(TONE)
    with started_by("forkserver"), lab() as made:
        top = made.terminal(file_dir=folder)
        rig = made.pilot("rig", top)
        cam = made.pilot("cam", rig, ping_interval=0.05)
        made.node("_T", top, "HANDSHAKE", "STATE", "DATA", "ERROR")
        shake_hands(made.node("_rig", rig, "START", "STOP", "PARAM", *FORWARDED), "T")
        shake_hands(made.node("_cam", cam), "rig")
        made.node("ear_T", top, "STATE", "FILE", "CHANGE")
        made.node("ear_rig", rig, "STATE")
        yield made


def handled(it: Lab, sender: str, to: str, key: str, value: Any = None) -> None:
    assert it.nodes[sender].send(to, key, value, repeat=True).wait(DEADLINE_S)


def answered(it: Lab, key: str, value: Any) -> Message:
    """What the ear on T is answered by T."""
    heard = it.heard["ear_T"]
    before = len(heard.of(key if key == "FILE" else "STATE"))
    handled(it, "ear_T", "T", key, value)
    return heard.until(key if key == "FILE" else "STATE", times=before + 1)


# -- the terminal ------------------------------------------------------------------------------------------------------


def is_pinged(it: Lab) -> None:
    """Whoever asks hears from the terminal, without a confirmation, and nothing is logged of it."""
    state = answered(it, "PING", None)
    assert (state.sender, state.value, sorted(state.flags)) == ("T", None, ["NOLOG", "NOREPEAT"])


def serves_files(it: Lab) -> None:
    """A plain name: the whole file in one message. A part: with the size and digest of the whole. Or a refusal."""
    whole = answered(it, "FILE", "tone").value
    assert (whole["path"], base64.b64decode(whole["file"])) == ("tone", TONE)
    part = answered(it, "FILE", {"path": "tone", "offset": 1_000, "length": 10}).value
    assert base64.b64decode(part.pop("data")) == TONE[1_000:1_010]
    assert part == {"path": "tone", "offset": 1_000, "size": len(TONE), "digest": sha256(TONE).hexdigest()}
    for path in ("../tone", "/etc/passwd", "nothing"):
        refused = answered(it, "FILE", path).value
        assert refused["path"] == path
        assert "file" not in refused
        assert len(refused["error"].split()) > 3


def keeps_states(it: Lab) -> None:
    """In `pilots` and `senders`; `_T` is told whose it is."""
    handled(it, "_rig", "rig", "STATE", "RUNNING")
    told = it.heard["_T"].until("STATE", lambda one: bool(one.value == {"state": "RUNNING", "pilot": "rig"}))
    assert told.origin["sender"] == "_rig"
    facts = it.look("T")
    assert (facts["pilots"]["rig"]["state"], facts["senders"]["rig"]) == ("RUNNING", "RUNNING")


def bounds_plots(it: Lab) -> None:
    """The plot of a pilot gets an item at most `data_fps` times a second, `_T` gets each."""
    test_names.plots(it)


# -- a pilot -----------------------------------------------------------------------------------------------------------


def pushes_its_state(it: Lab) -> None:
    """Asked, or by itself: unconfirmed, and not logged."""
    handled(it, "_rig", "rig", "STATE", "RESTING")
    heard = it.heard["_T"]

    def is_it(one: Message) -> bool:
        return bool(one.value == {"state": "RESTING", "pilot": "rig"} and "NOLOG" in one.flags)

    handled(it, "ear_rig", "rig", "PING")
    assert "NOREPEAT" in heard.until("STATE", is_it).flags
    by_itself = len([one for one in heard.of("STATE") if one.value["pilot"] == "cam"])
    heard.until("STATE", lambda one: bool(one.value["pilot"] == "cam"), times=by_itself + 3)


def forwards(it: Lab) -> None:
    """To its program, which confirms it to whoever sent it."""
    for key in FORWARDED:
        handled(it, "_T", "rig", key, {"n": key})
        (came,) = it.heard["_rig"].of(key)
        assert (came.value, came.sender, came.origin["sender"]) == ({"n": key}, "rig", "_T")


# -- the tables --------------------------------------------------------------------------------------------------------

EVERY: dict[str, tuple[str, Check]] = {
    "CONFIRM": ("l_confirm", test_stations.test_any_machine_is_reached_by_its_id_alone_and_confirms),
    "STREAM": (
        "l_stream",
        test_stations.test_a_stream_reaches_the_terminals_program_item_by_item_whatever_its_items_are,
    ),
    "KILL": (
        "l_kill",
        test_pilot_station.test_a_pilot_is_killed_by_its_own_program_and_by_the_terminals_and_confirms_it,
    ),
}
TERMINAL: dict[str, tuple[str, Check]] = {
    "PING": ("l_ping", is_pinged),
    "INIT": ("l_init", test_stations.test_init_brings_in_the_state_of_every_pilot),
    "CHANGE": ("l_change", test_stations.test_a_change_reaches_the_program_it_is_for),
    "STOPALL": ("l_stopall", test_stations.test_stopall_stops_every_machine_and_tells_the_plots),
    "DATA": (
        "l_data",
        test_stations.test_a_trial_is_confirmed_when_the_terminals_program_has_it_and_the_plot_gets_a_copy,
    ),
    "CONTINUOUS": ("l_continuous", bounds_plots),
    "STATE": ("l_state", keeps_states),
    "HANDSHAKE": ("l_handshake", test_stations.test_the_terminal_knows_the_way_to_every_machine),
    "FILE": ("l_file", serves_files),
    "MACHINES": ("l_machines", test_online.test_a_machine_that_is_killed_is_told_and_so_is_its_return),
    "ERROR": ("l_to_program", test_errors.test_what_raises_anywhere_is_told_to_the_terminals_program_once),
    "COHERE": (
        "l_to_program",
        test_stations.test_cohere_asked_for_a_machine_at_any_depth_is_answered_to_the_terminals_program_once,
    ),
}
PILOT: dict[str, tuple[str, Check]] = {
    "STATE": ("l_state", test_stations.test_a_childs_state_does_not_overwrite_its_parents),
    "COHERE": (
        "l_cohere",
        test_stations.test_cohere_asked_for_a_machine_at_any_depth_is_answered_to_the_terminals_program_once,
    ),
    "PING": ("l_ping", pushes_its_state),
    "START": ("l_start", test_stations.test_a_start_is_handed_on_once_its_file_is_whole_at_whatever_depth),
    "STOP": ("l_stop", test_stations.test_a_start_is_handed_on_once_its_file_is_whole_at_whatever_depth),
    "PARAM": ("l_change", test_stations.test_a_change_reaches_the_program_it_is_for),
    "FILE": ("l_file", test_stations.test_a_start_is_handed_on_once_its_file_is_whole_at_whatever_depth),
    "CONTINUOUS": (
        "l_continuous",
        test_stations.test_a_childs_stream_arrives_at_the_terminal_as_data_of_its_parents,
    ),
    "CHILD": ("l_child", test_stations.test_child_reaches_the_program_of_a_child),
    "HANDSHAKE": ("l_handshake", test_stations.test_the_terminal_knows_the_way_to_every_machine),
    **dict.fromkeys(FORWARDED, ("l_forward", forwards)),
    "ERROR": ("l_error", test_errors.test_what_raises_anywhere_is_told_to_the_terminals_program_once),
}
NO_LISTEN: dict[str, Check] = {  # handled before any listen is looked for
    "GONE": test_stations.test_a_machine_that_comes_back_elsewhere_gets_there_what_waited_for_it,
    "CLOSING": test_station.test_closing_from_the_network_is_ignored,
}
ROWS = [row for table in (EVERY, TERMINAL, PILOT) for row in table.values()]
HERE = {check.__name__: check for _, check in ROWS if check.__module__ == __name__}


@pytest.mark.parametrize("check", HERE.values(), ids=HERE)
def test_what_a_key_does(it: Lab, check: Check) -> None:
    check(it)


@pytest.mark.parametrize(
    ("station", "rows"),
    [
        (Station("s"), EVERY),
        (Terminal_Station(), EVERY | TERMINAL),
        (Pilot_Station("s"), EVERY | PILOT),
    ],
    ids=["Station", "Terminal_Station", "Pilot_Station"],
)
def test_every_key_has_a_row_and_its_method(station: Station, rows: dict[str, tuple[str, Check]]) -> None:
    assert {key: listen.__name__ for key, listen in station.listens.items()} == {
        key: method for key, (method, _) in rows.items()
    }
    methods = {name for name in dir(type(station)) if name.startswith("l_")}
    assert methods - {method for method, _ in rows.values()} <= {"l_noop"}


NAMED = {check.__name__: check for check in (*(check for _, check in ROWS), *NO_LISTEN.values())}


@pytest.mark.parametrize("check", NAMED.values(), ids=NAMED)
def test_a_row_of_another_file_is_a_test_that_is_run(check: Check) -> None:
    assert check.__name__.startswith("test_") or check in HERE.values()


# -- routes ------------------------------------------------------------------------------------------------------------


def test_a_tree_of_any_depth_is_learned_and_used_and_what_goes_is_forgotten() -> None:
    """Five machines deep: found by their ids alone from anywhere, by hops up, down and across, and forgotten."""
    with lab() as it:
        above: Station = it.terminal()
        it.node("_T", above, "HANDSHAKE")
        deep = ["a", "b", "c", "d", "e"]
        for name in deep:
            below = it.pilot(name, above)
            shake_hands(it.node("_" + name, below, "PARAM"), above.id)
            above = below
        side = it.pilot("side", it.stations["T"])
        shake_hands(it.node("_side", side, "PARAM"), "T")
        it.node("ear_e", it.stations["e"], "X")
        it.node("ear_side", side, "X")
        assert it.look("T")["pilots"]["e"]["way"] == deep
        for source, target in (("_T", "e"), ("_side", "e"), ("_e", "side"), ("_a", "e"), ("_e", "a")):
            handled(it, source, target, "PARAM", {"from": source})
            assert {"from": source} in [one.value for one in it.heard["_" + target].of("PARAM")]
        for source, hops in (
            ("_T", [*deep, "ear_e"]),
            ("ear_e", ["e", "d", "c", "b", "a", "T", "side", "ear_side"]),
            ("ear_side", ["side", "T", *deep, "ear_e"]),
        ):
            assert it.nodes[source].send(hops, "X", source, repeat=True).wait(DEADLINE_S)
            assert it.heard[hops[-1]].of("X")[-1].value == source
        for node in ("ear_e", "_e"):
            it.nodes.pop(node).release()
        it.stations["e"].release()
        lost = it.nodes["_T"].send("e", "PARAM", repeat=True, expires_after=2.0)
        it.look_until("T", lambda facts: "e" not in facts["routes"])
        assert "d" in it.look("T")["routes"]
        eventually(lambda: lost.settled)
        assert lost.expired


# -- a key of nobody's -------------------------------------------------------------------------------------------------


def test_what_nobody_listens_for_is_handled_and_said_unless_it_is_taken_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet = Pilot_Station("quiet")
    quiet.listens["QUIET"] = quiet.l_noop
    with caplog.at_level(logging.WARNING):
        for key in ("QUIET", "LOUD"):
            quiet.handle_listen(Message(id="m", to="quiet", sender="rig", key=key))
    assert [record.getMessage() for record in caplog.records] == [
        "quiet: nobody listens for LOUD, which rig sent (message m)"
    ]
