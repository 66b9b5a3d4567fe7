"""Where a frame goes: hops, neighbours, what lies behind them, and never back up."""

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Deliver, Dropped, PeerDown, PeerUp, Transmit
from tests.autopilot_net.protocol.test_frames import M, node, station
from tests.autopilot_net.protocol.wire import Wire


def lab() -> Wire:
    """T with two pilots, of which the first has a child, and a program or node on each."""
    return Wire(
        {"T": None, "rig_1": "T", "rig_2": "T", "wheel": "rig_1"},
        {"_T": "T", "_rig_1": "rig_1", "_rig_2": "rig_2", "_wheel": "wheel", "cam": "wheel"},
    )


def transmits(effects: object) -> list[Transmit]:
    assert isinstance(effects, list)
    return [effect for effect in effects if isinstance(effect, Transmit)]


def test_any_machine_is_reached_by_its_id_alone() -> None:
    wire = lab()
    for sender, to in [("T", "wheel"), ("wheel", "T"), ("rig_2", "wheel"), ("wheel", "rig_2"), ("cam", "rig_2")]:
        wire.send(sender, to, f"{sender} to {to}", repeat=False)
    wire.run()
    assert wire.got("wheel") == ["T to wheel", "rig_2 to wheel"]
    assert wire.got("rig_2") == ["wheel to rig_2", "cam to rig_2"]
    assert wire.got("T") == ["wheel to T"]


def test_forwarders_hand_nothing_to_their_own_handlers() -> None:
    wire = lab()
    wire.send("cam", "rig_2", "passes three stations")
    wire.run()
    assert {handling.at for handling in wire.handlings} == {"rig_2"}


def test_explicit_hops_reach_a_node_anywhere() -> None:
    wire = lab()
    wire.send("T", "cam", 1, hops=("rig_1", "wheel", "cam"))
    wire.send("rig_2", "cam", 2, hops=("T", "rig_1", "wheel", "cam"))
    wire.send("_rig_2", "cam", 3, hops=("rig_2", "T", "rig_1", "wheel", "cam"))
    wire.run()
    assert sorted(wire.got("cam")) == [1, 2, 3]


def test_what_is_no_message_crosses_the_tree_untouched() -> None:
    wire = lab()
    wire.inject("cam", "wheel", b"wheel", b"rig_2", b"\x00 no message at all")
    wire.run()
    assert [e.peer for e in wire.of("T", Transmit) if e.frames == (b"\x00 no message at all",)] == ["rig_2"]
    (refused,) = wire.of("rig_2", Dropped)
    assert "no JSON" in refused.reason


# -- a station and its program -----------------------------------------------------------------------------------


def test_what_is_for_a_program_is_handled_by_its_station() -> None:
    wire = lab()
    wire.send("T", "_rig_1", "from above")
    wire.send("wheel", "_rig_1", "from below")
    wire.send("_rig_2", "_rig_1", "from another program")
    wire.run()
    assert sorted(wire.got("rig_1")) == ["from above", "from another program", "from below"]
    assert wire.got("_rig_1") == []


def test_a_station_reaches_its_own_program() -> None:
    wire = lab()
    wire.send("rig_1", "_rig_1", "START")
    wire.run()
    assert wire.got("_rig_1") == ["START"]


def test_a_program_may_speak_to_itself() -> None:
    wire = lab()
    wire.send("_rig_1", "_rig_1", "a note")
    wire.run()
    assert wire.got("_rig_1") == ["a note"]
    assert wire.got("rig_1") == []


def test_a_program_is_reached_through_its_stations_listens_even_along_hops() -> None:
    wire = lab()
    wire.send("T", "_rig_1", "START", hops=("rig_1", "_rig_1"))
    wire.run()
    assert wire.got("rig_1") == ["START"]
    assert wire.got("_rig_1") == []


def test_what_a_station_sends_to_its_absent_program_never_leaves_the_machine() -> None:
    wire = lab()
    wire.cut("_rig_1")
    wire.send("rig_1", "_rig_1", "unconfirmed", repeat=False)
    wire.send("rig_1", "_rig_1", "START")
    wire.run(10)
    assert wire.got("rig_1") == []
    wire.connect("_rig_1")
    wire.run()
    assert wire.got("_rig_1") == ["START"]


def test_a_machine_and_its_program_are_two_recipients_with_numbers_of_their_own() -> None:
    wire = lab()
    for n in range(3):
        wire.send("T", "rig_1", f"station {n}")
        wire.send("T", "_rig_1", f"program {n}")
    wire.run()
    assert sorted(wire.got("rig_1")) == [f"{who} {n}" for who in ("program", "station") for n in range(3)]


# -- plots -------------------------------------------------------------------------------------------------------


def test_what_goes_to_a_plot_that_is_not_open_is_skipped_without_a_word() -> None:
    wire = lab()
    wire.send("T", "P_rig_1", repeat=False)
    wire.send("rig_1", "P_rig_1", repeat=False)
    wire.run()
    assert wire.of("T", Dropped) == []
    assert wire.carried("rig_1", "T")


def test_an_open_plot_gets_its_copy() -> None:
    wire = Wire({"T": None}, {"P_rig_1": "T"})
    wire.send("T", "P_rig_1", [1, 2], repeat=False)
    wire.run()
    assert wire.got("P_rig_1") == [[1, 2]]


# -- never back up -----------------------------------------------------------------------------------------------


def test_what_nobody_knows_is_dropped_at_the_root_and_said() -> None:
    wire = lab()
    wire.send("cam", "nobody", repeat=False)
    wire.run()
    (dropped,) = wire.of("T", Dropped)
    assert (dropped.peer, dropped.recipient) == ("rig_1", "nobody")


def test_what_came_from_above_and_is_unknown_goes_no_further_and_the_sender_is_told() -> None:
    wire = lab()
    wire["T"].learn("ghost", "rig_1", now=0)
    wire.send("T", "ghost", repeat=False)
    wire.run()
    assert [d.recipient for d in wire.of("rig_1", Dropped)] == ["ghost"]
    assert [(m.key, m.value) for m in wire.carried("rig_1", "T")] == [("GONE", "ghost")]
    assert wire["T"].routes.next_hop("ghost") is None


def test_what_a_neighbour_below_sends_back_does_not_go_to_and_fro_for_ever() -> None:
    terminal = station("T", upstream=None, below=("old",))
    terminal.learn("wheel", "old", now=0)
    (dropped,) = terminal.receive("old", [b"T", b"wheel", M], now=0)
    assert isinstance(dropped, Dropped)
    assert (dropped.peer, dropped.recipient) == ("old", "wheel")


@pytest.mark.parametrize("me", [b"old", b"_old"])
def test_a_neighbour_may_send_to_itself(me: bytes) -> None:
    (effect,) = station("T", upstream=None, below=("old",)).receive("old", [b"T", me, M], now=0)
    assert effect == Transmit("old", (M,))


def test_a_repeat_of_theirs_names_the_parent_alone_and_is_still_for_whom_the_message_says() -> None:
    between = station("s", below=("old", "X"))
    between.ours |= {"parent", "X"}
    for to, peer, frames in (("parent", "parent", (b"parent", b"parent")), ("X", "X", ()), ("_X", "X", ())):
        repeat = Message(id="old_1", to=to, sender="old", key="DATA").serialize()
        (effect,) = between.receive("old", [b"s", repeat], now=0)
        assert effect == Transmit(peer, (*frames, repeat))


def test_a_repeat_of_theirs_for_one_of_theirs_goes_no_further() -> None:
    repeat = Message(id="old_1", to="parent", sender="old", key="DATA").serialize()
    (effect,) = station("s", below=("old",)).receive("old", [b"s", repeat], now=0)
    assert isinstance(effect, Dropped)
    assert (effect.peer, effect.recipient) == ("old", "parent")


def test_a_message_alone_is_a_nodes_own_whomever_it_names() -> None:
    """Theirs hands its program what came for itself."""
    copy = Message(id="old_1", to="T", sender="old", key="DATA", flags={"NOREPEAT": True})
    (effect,) = node("_T", upstream="T").receive("T", [copy.serialize()], now=0)
    assert isinstance(effect, Deliver)
    assert effect.message == copy


def test_gone_forgets_only_a_route_through_who_says_it() -> None:
    wire = lab()
    gone = Message(id="x", to="T", sender="rig_2", key="GONE", value="wheel", flags={"NOREPEAT": True}, inc="1")
    wire.inject("rig_2", "T", b"T", b"T", gone.serialize())
    assert wire["T"].routes.next_hop("wheel") == "rig_1"


def test_gone_of_a_program_forgets_its_machine_too() -> None:
    wire = lab()
    wire["T"].learn("_wheel", "rig_1", now=0)
    wire.cut("wheel")
    wire.send("T", "_wheel", repeat=False)
    wire.run()
    assert wire["T"].routes.next_hop("_wheel") is None
    assert wire["T"].routes.next_hop("wheel") is None


def test_gone_is_passed_on_to_whoever_believes_the_same_so_that_one_message_is_enough_at_any_depth() -> None:
    wire = Wire({"T": None, "a": "T", "b": "a", "c": "b", "d": "c"})
    wire.cut("d")
    wire.send("T", "d", "patient")
    wire.run(1)
    assert [wire[name].routes.next_hop("d", from_above=True) for name in "Tabc"] == [None] * 4
    assert [wire[name].routes.next_hop("c", from_above=True) for name in "Tab"] == ["a", "b", "c"]
    wire.run(100)
    wire.connect("d")
    wire.announce()
    wire.run()
    assert wire.got("d") == ["patient"]


def test_gone_is_not_passed_on_by_who_knows_another_way() -> None:
    wire = Wire({"T": None, "a": "T", "b": "a", "c": "a", "d": "b"})
    wire.cut("d")
    wire["a"].learn("d", "c", now=0)
    gone = Message(id="x", to="a", sender="b", key="GONE", value="d", flags={"NOREPEAT": True}, inc="1")
    wire.inject("b", "a", b"a", b"a", gone.serialize())
    wire.run()
    assert wire["a"].routes.next_hop("d") == "c"
    assert wire["T"].routes.next_hop("d") == "a"


def test_gone_that_names_nothing_is_ignored() -> None:
    gone = Message(id="x", to="s", sender="Y", key="GONE", value={"no": "id"}, flags={"NOREPEAT": True}, inc="1")
    assert station(below=("Y",)).receive("Y", [b"s", b"s", gone.serialize()], now=0) == []


def test_a_station_of_theirs_above_is_not_told_what_is_gone() -> None:
    effects = station().receive("parent", [b"ghost", M], now=0)
    assert isinstance(effects[0], Dropped)
    assert len(effects) == 1


def test_a_route_that_is_gone_is_down_so_what_waits_is_kept_and_not_repeated() -> None:
    wire = lab()
    wire.cut("wheel")
    wire.send("T", "wheel", "patient")
    wire.run(100)
    wire.connect("wheel")
    wire.announce()
    wire.run()
    assert wire.got("wheel") == ["patient"]


# -- what is learned and forgotten -------------------------------------------------------------------------------


def test_a_station_learns_who_is_behind_whom_from_what_is_addressed_to_it() -> None:
    wire = lab()
    wire.send("cam", "T", "here I am")
    wire.send("T", "cam", "by its id alone")
    wire.run()
    wire.send("T", "cam", "now it is known")
    wire.run()
    assert "now it is known" in wire.got("cam")


def test_a_station_learns_who_is_between_from_the_way_that_a_message_came() -> None:
    terminal = station("T", upstream=None, below=("rig_1",))
    way = ["wheel", "rig_1", "T", "beyond"]
    came = Message(id="1", to="_T", sender="cam", key="K", flags={"NOREPEAT": True}, inc="1", via=way)
    terminal.receive("rig_1", [b"T", b"_T", came.serialize()], now=0)
    assert terminal.routes.behind == {"wheel": "rig_1", "cam": "rig_1"}


def test_nobody_below_takes_the_place_of_the_parent_by_its_name() -> None:
    below = station(below=("Y",))
    forged = Message(id="1", to="s", sender="parent", key="K", flags={"NOREPEAT": True})
    below.receive("Y", [b"s", b"s", forged.serialize()], now=0)
    assert below.routes.next_hop("parent") == "parent"


def test_losing_a_neighbour_forgets_what_lay_behind_it_and_nothing_else() -> None:
    wire = lab()
    wire.cut("rig_1")
    assert wire["T"].routes.next_hop("wheel") is None
    assert wire["T"].routes.next_hop("rig_2") == "rig_2"


def test_a_machine_that_comes_back_elsewhere_is_found_there() -> None:
    terminal = station("T", upstream=None, below=("rig_1", "rig_2"))
    terminal.learn("wheel", "rig_1", now=0)
    terminal.learn("wheel", "rig_2", now=1)
    assert terminal.routes.next_hop("wheel") == "rig_2"
    terminal.meet("wheel", now=2)
    assert terminal.routes.next_hop("wheel") == "wheel"


def test_meeting_and_losing_are_told_once() -> None:
    terminal = station("T", upstream=None)
    assert terminal.meet("rig_1", now=0) == [PeerUp("rig_1")]
    assert terminal.meet("rig_1", now=0) == []
    assert terminal.lose("rig_1", now=0) == [PeerDown("rig_1")]
    assert terminal.lose("rig_1", now=0) == []
    assert terminal.learn("wheel", "rig_1", now=0) == []


def test_who_speaks_is_there() -> None:
    terminal = station("T", upstream=None)
    hello = Message(id="1", to="T", sender="rig_1", key="K", flags={"NOREPEAT": True})
    raw = hello.serialize()
    effects = terminal.receive("rig_1", [b"T", b"T", raw], now=0)
    assert effects == [PeerUp("rig_1"), Deliver(0, "rig_1", hello, len(raw))]


# -- nodes -------------------------------------------------------------------------------------------------------


def test_a_node_passes_nothing_on_that_its_station_sent_it() -> None:
    (effect,) = node().receive("s", [b"X", M], now=0)
    assert isinstance(effect, Dropped)


def test_nodes_with_a_router_of_their_own_speak_with_no_station_between() -> None:
    wire = Wire({}, {"b": None, "a": "b"})
    wire.send("a", "b", "hello")
    wire.send("b", "a", "and back")
    wire.run()
    assert (wire.got("b"), wire.got("a")) == (["hello"], ["and back"])


def test_a_node_with_a_station_and_a_router_answers_below_without_the_station() -> None:
    wire = Wire({"s": None}, {"b": "s", "a": "b"})
    wire.cut("b")
    wire.send("b", "a", "the station is not needed")
    wire.run()
    assert wire.got("a") == ["the station is not needed"]
    assert None not in wire.sought.values()
