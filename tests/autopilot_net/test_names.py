"""The names that a program written for Autopilot uses: each works, or works in another way, or says what to use.

The tables below are the list. A row's check is here, or it is a test of another file; a name that has no row fails.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from autopilot_net import (
    AutopilotNetError,
    BadMessage,
    Delivery,
    Message,
    Net_Node,
    Pilot_Station,
    Station,
    Terminal_Station,
)
from tests.autopilot_net import (
    test_diagnosis,
    test_driver,
    test_message,
    test_node,
    test_node_listens,
    test_pilot_station,
    test_prefs,
    test_role_station,
    test_station,
    test_station_listens,
    test_terminal_station,
)
from tests.autopilot_net.overriding_subclasses import NosyNode, NosyStation
from tests.autopilot_net.roles import test_file_client, test_pilot
from tests.autopilot_net.stations import test_clocks, test_duplicate_ids, test_errors, test_online, test_stations
from tests.conftest import Context, eventually, plain
from tests.harness import Heard, Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S

Check = Callable[..., object]  # of the lab; or a test of another file

ARRAY = np.arange(6, dtype=np.int16).reshape(2, 3)
SETTINGS = ("id", "push_ip", "push_port", "push_id", "pusher", "listen_ip", "listen_port", "repeat_interval")


# -- a lab -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    """T; below it rig and nosy; below rig cam. Programs on T, rig and cam; ears on all; a nosy node on rig."""
    with started_by("forkserver"), lab() as made:
        top = made.terminal()
        rig = made.pilot("rig", top, repeat_interval=0.1)
        cam = made.pilot("cam", rig)
        made.begin(NosyStation("nosy", "localhost", top.port, "T", True, 0))
        made.node("_T", top, "HANDSHAKE", "STATE", "CONTINUOUS", "X")
        for name, parent in (("rig", "T"), ("cam", "rig")):
            shake_hands(made.node("_" + name, made.stations[name], "X"), parent)
        for name in ("T", "rig", "cam", "nosy"):
            made.node(f"ear_{name}", made.stations[name], "X")
        heard = made.heard["leaf"] = Heard()
        listens = {**heard.listens("X", "ITEM", "SEEN"), "BESIDE": beside, "RAISE": test_errors.stumble}
        made.nodes["leaf"] = NosyNode("leaf", "rig", rig.port, listens)
        assert made.nodes["leaf"].send("rig", "LOOK", repeat=True).wait(DEADLINE_S)
        made.node("CAM", cam, "X")
        yield made


def beside(message: Message) -> None:
    """A concurrent listen may wait; it runs beside others."""
    assert threading.current_thread().name.startswith("leaf concurrent")


def noted(it: Lab) -> list[Any]:
    return list(it.inside("nosy", notes))


def notes(station: Any) -> Any:
    return station.notes


def confirmed(it: Lab, sender: str, to: Any, key: str, value: Any = None) -> Delivery:
    sent = it.nodes[sender].send(to, key, value, repeat=True)
    assert sent.wait(DEADLINE_S)
    return sent


def came(it: Lab, ear: str, value: Any) -> Message:
    return it.heard[ear].until("X", lambda one: bool(one.value == value))


# -- stations ----------------------------------------------------------------------------------------------------------


def settings(it: Lab) -> None:
    """Known in the parent, where they were given by place, and in the station's process."""
    made = Station("s", "localhost", 5560, "T", True, 5561, {"X": print}, repeat_interval=2.5)
    assert [getattr(made, name) for name in SETTINGS] == ["s", "localhost", 5560, "T", True, "127.0.0.1", 5561, 2.5]
    assert made.listens["X"] is print
    assert it.inside("rig", told_settings) == [getattr(it.stations["rig"], name) for name in SETTINGS]


def told_settings(station: Station) -> Any:
    return [getattr(station, name) for name in SETTINGS]


def listens(it: Lab) -> None:
    """What is added before the start is called, in the station's process, with the message."""
    confirmed(it, "ear_nosy", "nosy", "ITEM", {"given": "a message"})
    assert ["item", {"given": "a message"}] in noted(it)


def ends(it: Lab) -> None:
    """Whoever raises the flag, in whatever process, ends it."""
    for way in ("closing", "release"):
        one = Station("s", listen_port=0)
        assert not one.ready.is_set()
        one.start()
        assert (one.ready.is_set(), one.closing.is_set()) == (True, False)
        one.closing.set() if way == "closing" else one.release()
        one.join(DEADLINE_S)
        assert (one.closing.is_set(), one.exitcode) == (True, 0)


def addresses(it: Lab) -> None:
    rig = it.stations["rig"]
    socket.inet_aton(rig.ip)
    assert rig.ip == rig.get_ip() == it.inside("rig", own_address)


def own_address(station: Station) -> str:
    return station.ip


def own_process(it: Lab) -> None:
    """What lives in the station's process."""
    assert it.inside("rig", inner) == [True, "autopilot_net", "rig", "rig"]
    assert it.stations["rig"].logger is logging.getLogger("autopilot_net")


def inner(station: Station) -> Any:
    is_open = isinstance(station.context, zmq.Context) and not station.context.closed
    return [is_open, station.logger.name, station.core.id, station.core.endpoint.id]


def neighbours(it: Lab) -> None:
    facts = it.look("rig")
    assert {"_rig", "cam", "ear_rig", "leaf"} <= set(facts["senders"])
    routes = it.look("T")["routes"]  # who shook hands, and who wrote to it, of which other checks have more do so
    assert {"cam", "_rig"} <= set(routes)
    assert set(routes.values()) == {"rig"}


def station_counters(it: Lab) -> None:
    """What cannot be delivered is counted where that is known."""
    before = it.inside("T", dropped)
    it.nodes["_T"].send("nobody", "X")
    it.nodes["_T"].send("P_nobody", "X")  # a plot that is not open is nobody's loss
    eventually(lambda: it.inside("T", dropped) > before)
    confirmed(it, "_T", "T", "STATE")
    assert it.inside("T", dropped) == before + 1


def dropped(station: Station) -> int:
    return station.counters.get("dropped", 0)


def station_sends(it: Lab) -> None:
    it.inside("rig", send_in_every_way)
    assert [came(it, "ear_rig", n).flags for n in (1, 2, 3)] == [{}, {"NOREPEAT": True}, {"MINPRINT": True}]
    assert came(it, "ear_cam", "by hops").via == ["cam"]
    assert (came(it, "ear_rig", "prepared").extra, came(it, "ear_rig", "prepared").flags) == ("kept", {"NOLOG": True})
    assert came(it, "ear_rig", "for another").to == "ear_rig"
    assert came(it, "ear_cam", "prepared for hops").to == "ear_cam"
    made = came(it, "ear_rig", "made by hand")
    assert (made.id, made.timestamp[:2]) == ("mine", "20")
    assert came(it, "ear_rig", 1).sender == "rig"


def send_in_every_way(station: Station) -> None:
    station.send("ear_rig", "X", 1)
    station.send("ear_rig", "X", 2, None, False)
    station.send("ear_rig", "X", 3, None, True, ["MINPRINT"])
    station.send(["cam", "ear_cam"], "X", "by hops", repeat=True)
    message = station.prepare_message("ear_rig", "X", None)
    message.value, message["extra"] = "prepared", "kept"
    station.send(msg=message, flags=["NOLOG"])
    station.send("ear_rig", msg=station.prepare_message("nobody", "X", "for another"))
    station.send(msg=station.prepare_message(["cam", "ear_cam"], "X", "prepared for hops"))
    station.send(msg=Message(id="mine", sender="rig", to="ear_rig", key="X", value="made by hand"))


def station_pushes(it: Lab) -> None:
    it.inside("rig", push_in_every_way)
    told = it.heard["_T"].until("STATE", lambda one: bool(one.value["state"] == "PUSHED"))
    assert told.value["pilot"] == "rig"
    assert came(it, "ear_T", "pushed").sender == "rig"
    assert came(it, "ear_T", "pushed as it is").flags == {"NOREPEAT": True}


def push_in_every_way(station: Station) -> None:
    station.push(key="STATE", value="PUSHED")
    station.push("ear_T", "X", "pushed", None, True, ["NOLOG"])
    station.push(msg=station.prepare_message("ear_T", "X", "pushed as it is", repeat=False))


def station_prepares(it: Lab) -> None:
    first, second = it.inside("rig", prepare_two)
    assert first[0] != second[0]
    assert first[1:] == ["ear_rig", "X", 1, {}]
    assert second[1:] == [["cam", "ear_cam"], "X", 2, {"NOLOG": True, "NOREPEAT": True}]


def prepare_two(station: Station) -> Any:
    made = [
        station.prepare_message("ear_rig", "X", 1),
        station.prepare_message(["cam", "ear_cam"], "X", 2, False, {"NOLOG": True}),
    ]
    return [[one.id, one.to, one.key, one.value, one.flags] for one in made]


def station_repeats(it: Lab) -> None:
    """What is not confirmed is in the outbox of its direction, and sent again after `repeat_interval`."""
    with zmq.Context() as context, plain(context, zmq.DEALER, IDENTITY=b"mute") as mute:
        mute.connect(f"tcp://127.0.0.1:{it.stations['rig'].port}")
        mute.setsockopt(zmq.RCVTIMEO, int(DEADLINE_S * 1000))
        mute.send(b"")
        assert mute.recv() == b""  # a probe is sent back by whoever is alive
        above, below = it.inside("rig", send_what_nobody_confirms)
        assert [above[1], below[1]] == [[above[0]], [below[0]]]
        first, again = Message(mute.recv()), Message(mute.recv())
        assert (first.id, first.get("again"), again.id, again.again) == (below[0], None, below[0], True)
        assert again.ttl == first.ttl - 1
        said = Message(id="mute_1", to="rig", sender="mute", key="CONFIRM", value=first.id, flags={"NOREPEAT": True})
        mute.send_multipart([b"rig", b"rig", said.serialize()])
        eventually(lambda: it.inside("rig", outboxes)[1] == [])
    eventually(lambda: it.inside("rig", outboxes) == [[], []])


def send_what_nobody_confirms(station: Station) -> Any:
    up = station.send("nobody", "X", repeat=True, expires_after=1.0)
    down = station.send("mute", "X", repeat=True)
    return [[up.id, list(station.push_outbox)], [down.id, list(station.send_outbox)]]


def outboxes(station: Station) -> Any:
    return [list(station.push_outbox), list(station.send_outbox)]


def station_confirmations(it: Lab) -> None:
    sent = it.inside("nosy", send_to_an_ear)
    came(it, "ear_nosy", "hear, hear")
    eventually(lambda: ["l_confirm", "CONFIRM", "ear_nosy", sent] in noted(it))


def send_to_an_ear(station: Station) -> str:
    return station.send("ear_nosy", "X", "hear, hear", repeat=True).id


def station_beside(it: Lab) -> None:
    confirmed(it, "ear_nosy", "nosy", "BESIDE")
    assert ["beside", True] in noted(it)


def station_overridden(it: Lab) -> None:
    assert noted(it)[:2] == [["init_networking", "nosy", "station nosy"], ["begin_role", True]]
    batch = {"inner_key": "BATCHED", "headers": {"n": 1}, "payload": [{"item": 1}]}
    confirmed(it, "ear_nosy", "nosy", "STREAM", batch)
    confirmed(it, "ear_nosy", "nosy", "RAISE")
    confirmed(it, "ear_nosy", "nosy", "KILL")
    passer = it.node("passer", it.stations["nosy"])
    assert passer.send("nosy", "ITEM", repeat=True).wait(DEADLINE_S)
    it.nodes.pop("passer").release()
    eventually(lambda: ["on_neighbour", "passer", False] in noted(it))
    for note in (
        ["on_neighbour", "passer", True],
        ["on_message", "STREAM"],
        ["handle_listen", "STREAM"],
        ["handle_listen", "BATCHED"],
        ["item", {"item": 1, "n": 1}],
        ["on_exception", "RAISE", "over a stone"],
        ["may_kill", "ear_nosy"],
    ):
        assert note in noted(it)


def station_callbacks(it: Lab) -> None:
    held = Delivery("promise", "somebody")
    it.nodes["ear_nosy"].listens["HELD"] = lambda _: held
    it.inside("nosy", stumble_later)
    held.settle(confirmed=True)
    eventually(lambda: ["on_callback_exception", "over a stone"] in noted(it))


def stumble_later(station: Station) -> None:
    station.send("ear_nosy", "HELD", repeat=True).then(test_errors.stumble)


STATION: dict[str, Check] = {
    **dict.fromkeys(SETTINGS, settings),
    "listens": listens,
    "start": test_station.test_the_system_chooses_a_port_that_the_parent_can_read,
    "begin": test_station.test_a_listen_that_cannot_be_handed_to_the_process_is_an_error_that_says_what_to_do,
    "port": test_station.test_the_system_chooses_a_port_that_the_parent_can_read,
    "release": test_station.test_a_released_station_is_over_and_its_port_is_free,
    "closing": ends,
    "ready": ends,
    "run": test_station.test_a_lab_works_however_its_processes_are_started,
    "msgs_received": test_station.test_the_parent_reads_how_many_messages_a_station_has_handled,
    "core": own_process,
    "clock_offset": test_clocks.test_stations_know_how_far_their_clocks_are_from_the_terminals,
    "connected": test_diagnosis.test_a_node_is_connected_when_its_station_is_there_and_says_so,
    "context": own_process,
    "logger": own_process,
    "ip": addresses,
    "get_ip": addresses,
    "routes": neighbours,
    "senders": neighbours,
    "counters": station_counters,
    "push_outbox": station_repeats,
    "send_outbox": station_repeats,
    "prepare_message": station_prepares,
    "send": station_sends,
    "push": station_pushes,
    "repeat": test_stations.test_repeating_more_often_than_need_be_does_no_harm,
    "init_networking": station_overridden,
    "begin_role": station_overridden,
    "handle_listen": station_overridden,
    "on_message": station_overridden,
    "on_neighbour": station_overridden,
    "on_twins": (
        test_duplicate_ids.test_two_machines_under_one_id_are_told_to_the_terminals_program_once_with_both_addresses
    ),
    "on_exception": station_overridden,
    "may_kill": station_overridden,
    "on_callback_exception": station_callbacks,
    "is_concurrent": station_beside,
    "l_confirm": station_confirmations,
    "l_stream": test_station_listens.test_one_bad_item_does_not_cost_those_that_came_along_with_it,
    "l_kill": test_pilot_station.test_a_stranger_cannot_kill_a_station_whoever_it_says_it_is,
}


# -- the terminal's and the pilot's ------------------------------------------------------------------------------------


def plots(it: Lab) -> None:
    """The first item of a pilot goes to its plot at once; the next when its time has come, or counting begins anew."""
    with lab() as slow:
        top = slow.terminal(data_fps=1e-6)
        program, plot = slow.node("_T", top, "CONTINUOUS"), slow.node("P_rig", top, "CONTINUOUS")
        assert plot.send("T", "STATE", repeat=True).wait(DEADLINE_S)  # the plot is there
        for n in range(3):
            assert program.send("T", "CONTINUOUS", {"pilot": "rig", "n": n}, repeat=True).wait(DEADLINE_S)
        assert slow.inside("T", told_plots) == [["rig"], []]
        assert program.send("T", "CONTINUOUS", {"pilot": "rig", "n": 3}, repeat=True).wait(DEADLINE_S)
        assert plot.send("T", "LOOK", repeat=True).wait(DEADLINE_S)
        slow.heard["P_rig"].until("SEEN")
        assert [one.value["n"] for one in slow.heard["P_rig"].of("CONTINUOUS")] == [0, 3]
        assert [one.value["n"] for one in slow.heard["_T"].of("CONTINUOUS")] == [0, 1, 2, 3]


def told_plots(station: Terminal_Station) -> Any:
    before = list(station.sent_plot)
    station.start_plot_timer()
    return [before, list(station.sent_plot)]


def pilots(it: Lab) -> None:
    """Those who are expected, as a dict or as ids, and those who shake hands."""
    assert Terminal_Station(["a", "b"]).pilots == {"a": {}, "b": {}}
    assert Terminal_Station({"a": {"ip": ""}}).pilots == {"a": {"ip": ""}}
    assert {"cam", "rig"} <= set(it.look("T")["pilots"])


def pilots_own(it: Lab) -> None:
    """What its program told last, and whom START named last."""
    confirmed(it, "_rig", "rig", "STATE", "RUNNING")
    it.nodes["_T"].send("rig", "START", {"subject": "m1"}, repeat=True)
    eventually(lambda: it.inside("rig", told_pilot) == ["RUNNING", "m1", "T", "T"])


def told_pilot(station: Pilot_Station) -> Any:
    return [station.state, station.subject, station.terminal_id, station.role.terminal]


TERMINAL: dict[str, Check] = {
    "role_class": test_role_station.test_a_new_key_is_a_method_of_the_role_and_nothing_else,
    "pilots": pilots,
    "senders": test_stations.test_a_childs_state_does_not_overwrite_its_parents,
    "from_prefs": test_prefs.test_a_terminal_is_made_from_its_prefs_and_is_called_t,
    "file_dir": test_stations.test_a_start_is_handed_on_once_its_file_is_whole_at_whatever_depth,
    "data_fps": plots,
    "sent_plot": plots,
    "start_plot_timer": plots,
    "role": test_station.test_what_lives_in_the_stations_process_says_so_when_it_is_used_elsewhere,
    "begin_role": test_terminal_station.test_a_terminal_on_loopback_with_pilots_elsewhere_says_so_once,
    "on_neighbour": test_online.test_a_machine_that_is_killed_is_told_and_so_is_its_return,
}
PILOT: dict[str, Check] = {
    "role_class": test_role_station.test_a_new_key_is_a_method_of_the_role_and_nothing_else,
    "state": pilots_own,
    "subject": pilots_own,
    "terminal_id": pilots_own,
    "role": pilots_own,
    "children": test_pilot.test_child_reaches_an_expected_child_that_is_yet_to_shake_hands_or_away_for_now,
    "file_dir": test_stations.test_a_start_is_handed_on_once_its_file_is_whole_at_whatever_depth,
    "from_prefs": test_prefs.test_a_pilot_is_made_from_its_prefs,
    "file_timeout": test_file_client.test_how_long_nothing_may_come_of_a_file_is_a_setting,
    "ping_interval": test_pilot.test_a_pilot_says_by_itself_every_ping_interval_that_it_is_there,
    "begin_role": test_pilot.test_a_pilot_says_by_itself_every_ping_interval_that_it_is_there,
    "on_neighbour": test_stations.test_a_terminal_in_its_next_life_is_told_who_is_there_and_by_what_way,
}


# -- nodes -------------------------------------------------------------------------------------------------------------


def node_sends(it: Lab) -> None:
    """Each argument, by its place and by its name."""
    node = it.nodes["ear_cam"]
    assert not node.send("CAM", "X", 1, None).sought
    assert node.send("CAM", "X", 2, None, True, ["NOLOG"]).wait(DEADLINE_S)
    node.send("CAM", "X", ARRAY, None, False, {"MINPRINT": 1}, False, True)
    prepared = node.prepare_message("nobody", "X", 4, False)
    sent = node.send("CAM", msg=prepared, repeat=True, flags=["NOLOG"], blosc=True)
    assert sent.wait(DEADLINE_S)
    seen = it.heard["CAM"].messages
    sought, unsought = {"NOLOG": True}, {"NOREPEAT": True}
    assert [one.flags for one in seen] == [unsought, sought, {"MINPRINT": 1, **unsought}, sought]
    assert (seen[2].blosc, seen[3].blosc, seen[0].blosc) == (True, True, False)
    assert np.array_equal(seen[2].value, ARRAY)
    with pytest.raises(BadMessage, match=r"message ear_cam_\d+ cannot go to \[1, 'CAM'\]: a recipient is an id"):
        node.send([1, "CAM"], msg=node.prepare_message("CAM", "X", 5))  # type: ignore[list-item]


def node_prepares(it: Lab) -> None:
    """Hops are kept until it is sent; what a program makes itself is sent as it is, with the time if it has none."""
    node = it.nodes["ear_T"]
    message = node.prepare_message(["T", "rig", "cam", "ear_cam"], "X", "by prepared hops", True)
    assert message.to == ["T", "rig", "cam", "ear_cam"]
    assert message.validate()
    assert node.send(msg=message).wait(DEADLINE_S)
    assert came(it, "ear_cam", "by prepared hops").to == "ear_cam"
    by_hand = Message(id="by_hand", sender="ear_T", to=["rig", "cam", "ear_cam"], key="X", value="by hand")
    assert node.send(msg=by_hand, repeat=True).wait(DEADLINE_S)
    assert came(it, "ear_cam", "by hand").timestamp[:2] == "20"


def node_repeats(it: Lab) -> None:
    """More often than need be, and it arrives once."""
    node = it.nodes["ear_rig"]
    sent = node.send("rig", "LOOK", repeat=True)
    for _ in range(20):
        node.repeat()
    assert sent.wait(DEADLINE_S)
    assert confirmed(it, "ear_rig", "rig", "STATE").confirmed
    assert len(it.heard["ear_rig"].of("SEEN")) == 1


def node_streams(it: Lab) -> None:
    """To another station than its own, by every argument in its place."""
    top = it.stations["T"]
    stream = it.nodes["ear_cam"].get_stream("far", "CONTINUOUS", 2, "T", top.port, "localhost", "m1", 50)
    stream.extend([{"n": n} for n in range(5)])
    stream.append("END")
    assert stream.wait(DEADLINE_S)
    items = [one.value for one in it.heard["_T"].of("CONTINUOUS") if one.origin["sender"] == "ear_cam_far"]
    assert items == [{"n": n, "subject": "m1", "pilot": "cam", "continuous": True} for n in range(5)]
    assert it.nodes["ear_cam"].streams["far"] is stream


def node_overridden(it: Lab) -> None:
    """What comes in is seen by who overrides; so is each item of a stream, and what is raised."""
    leaf = it.nodes["leaf"]
    assert isinstance(leaf, NosyNode)
    assert leaf.notes[0] == ["init_networking", None]
    batch = {"inner_key": "ITEM", "headers": {}, "payload": [ARRAY, test_errors.NO_ARRAY, 3]}
    for key, value in (("X", 1), ("STREAM", batch), ("RAISE", 1), ("BESIDE", 1)):
        confirmed(it, "ear_rig", "leaf", key, value)
    for note in (
        ["on_neighbour", "rig", True],
        ["on_message", "STREAM"],
        ["handle_listen", "X"],
        ["handle_listen", "ITEM"],
        ["on_exception", "RAISE", "over a stone"],
    ):
        assert note in leaf.notes
    assert [note[1] for note in leaf.notes if note[0] == "on_exception"] == ["ITEM", "RAISE"]
    array, three = [one.value for one in it.heard["leaf"].of("ITEM")]  # the bad item cost only itself
    assert (array.tolist(), three) == (ARRAY.tolist(), 3)


def node_hears_confirmations(it: Lab) -> None:
    """A listen for CONFIRM, or an l_confirm of one's own, gets the id of what was confirmed."""
    leaf = it.nodes["leaf"]
    assert isinstance(leaf, NosyNode)
    sent = confirmed(it, "leaf", "rig", "STATE", "IDLE")
    eventually(lambda: ["l_confirm", sent.id] in leaf.notes)
    heard = Heard()
    with Net_Node("counting", "rig", it.stations["rig"].port, heard.listens("CONFIRM")) as node:
        sent = node.send("rig", "STATE", "IDLE", repeat=True)
        node.send("rig", "STATE", "IDLE")
        expired = node.send("nobody", "X", repeat=True, expires_after=0.1)
        eventually(lambda: expired.expired)
        (confirmation,) = [heard.until("CONFIRM")]
        assert (confirmation.value, confirmation.sender, confirmation.to) == (sent.id, "rig", "counting")
        assert len(heard.messages) == 1


def node_callbacks(it: Lab) -> None:
    leaf = it.nodes["leaf"]
    assert isinstance(leaf, NosyNode)
    leaf.send("nobody", "X", repeat=True, expires_after=0.3).then(test_errors.stumble)
    eventually(lambda: ["on_callback_exception", "over a stone"] in leaf.notes)


def node_told(it: Lab) -> None:
    node = it.nodes["ear_rig"]
    assert node.logger is logging.getLogger("autopilot_net")
    assert (node.upstream_ip, node.listen_ip, node.router_port, node.router) == ("127.0.0.1", "127.0.0.1", None, None)
    socket.inet_aton(node.ip)


def node_between(it: Lab) -> None:
    """A node with a station above and a router of its own talks both ways, and passes nothing on."""
    hub = it.node("hub", it.stations["rig"], "X", router_port=0)
    heard = Heard()
    with Net_Node("spoke", "hub", hub.router_port or 0, heard.listens("X")) as spoke:
        assert spoke.send("hub", "X", "from below", repeat=True).wait(DEADLINE_S)
        assert confirmed(it, "hub", "ear_rig", "X", "to the station's side").confirmed
        assert confirmed(it, "hub", "spoke", "X", "to its own side").confirmed
        assert hub.send("spoke", "X", "forced", None, True, None, True).wait(DEADLINE_S)
        assert list(hub.senders) == ["spoke"]
        with pytest.raises(AutopilotNetError, match="ear_rig is not connected to the router of hub"):
            hub.send("ear_rig", "X", force_to=True)
    assert [one.value for one in heard.messages] == ["to its own side", "forced"]
    eventually(lambda: not hub.senders)


SEEN_THERE = test_node.test_the_names_that_autopilots_programs_use_are_there
NODE: dict[str, Check] = {
    **dict.fromkeys(("id", "upstream", "port", "listens", "daemon", "repeat_interval"), SEEN_THERE),
    **dict.fromkeys(("loop_thread", "closing", "ip"), SEEN_THERE),
    **dict.fromkeys(("upstream_ip", "listen_ip", "logger"), node_told),
    **dict.fromkeys(("router", "router_port", "senders"), node_between),
    "sock": test_node.test_closing_a_nodes_sockets_before_it_is_released_does_no_harm,
    "clock_offset": test_clocks.test_a_program_knows_it_of_its_own_machine,
    "connected": test_diagnosis.test_a_node_is_connected_when_its_station_is_there_and_says_so,
    "context": test_node.test_nodes_of_one_process_share_a_context_that_outlives_each_of_them,
    "msgs_received": test_node_listens.test_every_message_that_was_handled_is_counted,
    "outbox": test_node.test_what_awaits_its_confirmation_is_in_the_outbox,
    "counters": test_node.test_what_is_not_there_in_time_is_not_known_to_be_handled,
    "ledger": test_node.test_beyond_the_window_sending_is_refused_or_waits_by_choice,
    "streams": node_streams,
    "get_stream": node_streams,
    "send": node_sends,
    "prepare_message": node_prepares,
    "repeat": node_repeats,
    "report": test_errors.test_what_raises_anywhere_is_told_to_the_terminals_program_once,
    "release": test_node.test_a_node_is_released_by_its_context_manager_and_once_is_enough,
    "init_networking": node_overridden,
    "handle_listen": node_overridden,
    "on_message": node_overridden,
    "on_neighbour": node_overridden,
    "on_twins": test_driver.test_a_node_that_listens_itself_tells_its_station_of_twins,
    "on_exception": node_overridden,
    "is_concurrent": node_overridden,
    "on_callback_exception": node_callbacks,
    "l_confirm": node_hears_confirmations,
    "l_stream": test_node_listens.test_one_bad_item_does_not_cost_those_that_came_along_with_it,
}


# -- messages ----------------------------------------------------------------------------------------------------------

THE_FOUR = test_message.test_the_four_names_are_text_and_only_to_may_be_a_list_of_hops
MESSAGE: dict[str, Check] = {
    **dict.fromkeys(("id", "to", "sender", "key"), THE_FOUR),
    "value": test_message.test_what_is_written_is_read,
    "redelivered": test_message.test_whether_it_may_be_known_already_can_be_asked_of_any_message,
    "flags": test_message.test_flags_that_are_no_object_are_refused,
    **dict.fromkeys(("__getitem__", "__contains__"), test_message.test_a_message_reads_as_an_object_and_as_a_dict),
    **dict.fromkeys(("__len__", "__iter__", "get"), test_message.test_a_message_reads_as_an_object_and_as_a_dict),
    **dict.fromkeys(("__setitem__", "__delitem__"), test_message.test_a_field_is_set_and_deleted_in_either_manner),
    **dict.fromkeys(("__setattr__", "__delattr__"), test_message.test_a_field_is_set_and_deleted_in_either_manner),
    "__getattr__": test_message.test_a_field_that_is_not_there_is_missed_as_it_would_be_in_an_object_and_in_a_dict,
    "__eq__": test_message.test_messages_with_equal_fields_are_equal,
    "__repr__": test_message.test_a_message_shows_its_fields,
    "__reduce__": test_message.test_a_message_survives_pickling_field_by_field_and_in_order,
    "validate": test_message.test_a_message_without_one_of_its_four_names_is_not_valid_and_not_sent,
    "serialize": test_message.test_extra_attributes_travel,
    "expand": test_message.test_a_message_can_be_expanded_after_it_was_read,
    "is_sought": test_node.test_a_prepared_message_is_repeated_if_its_sending_says_so_or_else_its_preparation,
    "came_from": test_message.test_by_what_neighbour_a_message_came_is_not_on_the_wire,
}


# -- the tables hold ---------------------------------------------------------------------------------------------------

TABLES = {
    "Station": STATION,
    "Terminal_Station": TERMINAL,
    "Pilot_Station": PILOT,
    "Net_Node": NODE,
    "Message": MESSAGE,
}
HERE = {check.__name__: check for table in TABLES.values() for check in table.values() if check.__module__ == __name__}


@pytest.mark.parametrize("check", HERE.values(), ids=HERE)
def test_names_mean_what_they_say(it: Lab, check: Check) -> None:
    check(it)


def is_role_station(kind: type) -> bool:
    return issubclass(kind, Station) and kind is not Station


def names_of(kind: type) -> set[str]:
    """The public names of a class of ours: what it defines itself, and what its instances hold."""
    with Net_Node("s", "nobody", 1) as node:
        made = {Station: Station("s"), Pilot_Station: Pilot_Station("s"), Terminal_Station: Terminal_Station()}
        held = getattr(made.get(kind, node if kind is Net_Node else Message()), "__dict__", {})
    known = names_of(Station) - set(vars(kind)) if is_role_station(kind) else set()
    own = {name for base in kind.__mro__ if base.__module__.startswith("autopilot_net") for name in vars(base)}
    return {name for name in {*own, *held} - known if not name.startswith("_")}


@pytest.mark.parametrize("kind", [Station, Terminal_Station, Pilot_Station, Net_Node, Message])
def test_every_public_name_has_a_row(kind: type) -> None:
    listens = {name for name in vars(kind) if name.startswith("l_")} if is_role_station(kind) else set()
    inherited = {"name", "daemon", "pid"} if issubclass(kind, Station) else set()  # what every process has
    rows = {name for name in TABLES[kind.__name__] if not name.startswith("__")}
    assert names_of(kind) - listens - inherited == rows  # those of the roles' listens are in test_keys


def test_every_manner_of_a_message_has_a_row() -> None:
    python = {"__module__", "__doc__", "__init__", "__slots__", "__annotations__", "__hash__"}
    python |= {"__static_attributes__", "__firstlineno__", "__annotate_func__", "__annotations_cache__"}
    assert {name for name in vars(Message) if name.startswith("__")} - python == {
        name for name in MESSAGE if name.startswith("__")
    }


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [(kind, name, check) for kind, table in TABLES.items() for name, check in table.items() if name not in SETTINGS],
)
def test_a_row_of_another_file_is_a_test_that_is_run(kind: str, name: str, check: Check) -> None:
    assert check.__name__.startswith("test_") or check in HERE.values()
    assert getattr(sys.modules[check.__module__], check.__name__) is check


# -- what is reachable -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_what_listens_everywhere_is_reached_at_another_address_and_what_does_not_is_not() -> None:
    with lab() as here:
        top = here.terminal(listen_ip="*")
        heard = Heard()
        with Net_Node("far", "T", top.port, heard.listens("SEEN"), upstream_ip="127.0.0.2") as far:
            assert far.send("T", "PING", repeat=True).wait(DEADLINE_S)
        rig = here.pilot("rig", top, push_ip="127.0.0.2")
        program = here.node("_rig", rig)
        here.node("_T", top, "HANDSHAKE")
        shake_hands(program, "T")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", rig.port), timeout=DEADLINE_S)
        hub = here.node("hub", rig, "X", router_port=0, listen_ip="*")
        with Net_Node("spoke", "hub", hub.router_port or 0, upstream_ip="127.0.0.2") as spoke:
            assert spoke.send("hub", "X", 1, repeat=True).wait(DEADLINE_S)


def test_a_raw_peer_sees_the_wire_that_autopilots_own_see(it: Lab, context: Context) -> None:
    """A node that knows nothing of ours is heard and confirmed, by the frames of the wire alone."""
    peer = plain(context, zmq.DEALER, IDENTITY=b"theirs")
    peer.connect(f"tcp://127.0.0.1:{it.stations['rig'].port}")
    words = Message(id="theirs_1", to="rig", sender="theirs", key="STATE", value="IDLE", timestamp="2026")
    peer.send_multipart([b"rig", b"rig", words.serialize()])
    assert peer.poll(int(DEADLINE_S * 1000))
    said = Message(peer.recv_multipart()[-1])
    assert (said.key, said.value, said.to, "NOREPEAT" in said.flags) == ("CONFIRM", "theirs_1", "theirs", True)
