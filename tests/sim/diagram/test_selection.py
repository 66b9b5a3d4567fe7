"""Which messages and machines a diagram shows, and what is left out."""

from __future__ import annotations

from sim.diagram.build import diagram_of
from tests.sim.diagram.tape import LAB, LOST, Tape, hops, made, trial, whats


def test_where_nothing_was_sent_there_is_no_picture(tape: Tape) -> None:
    assert diagram_of(tape.journal, LAB, LOST) is None
    made(tape)
    assert diagram_of(tape.journal, LAB, LOST) is None, "made, and never seen on the wire"
    tape.sent(2, "_rig_1", "rig_1", trial())
    assert diagram_of(tape.journal, LAB, LOST) is not None


def test_messages_that_a_violation_is_about_are_told_and_no_others(tape: Tape) -> None:
    for n in range(12):
        made(tape, n, f"_rig_1_{n}")
        tape.sent(n, "_rig_1", "rig_1", trial(f"_rig_1_{n}"))
    diagram = tape.diagram("_rig_1_1", "_rig_1_11", "_rig_1_3")
    assert [told.id for told in diagram.messages] == ["_rig_1_1", "_rig_1_3", "_rig_1_11"]


def test_if_none_is_named_those_that_did_not_go_well_are_told_and_no_pings(tape: Tape) -> None:
    for n, key in enumerate(["DATA", "STORM", "PING", "START", "DATA"]):
        made(tape, n, f"_rig_1_{n}", key=key)
        tape.sent(n, "_rig_1", "rig_1", trial(f"_rig_1_{n}", key))
    tape.note(10, "handled", "T", id="_rig_1_0", key="DATA")
    tape.note(10, "settled", "_rig_1", id="_rig_1_0", value="confirmed")
    tape.note(10, "handled", "T", id="_rig_1_1", key="STORM")
    tape.note(10, "settled", "_rig_1", id="_rig_1_1", value="it expired")
    assert [told.key for told in tape.diagram("of_nobody_1").messages] == ["STORM", "START", "DATA"]


def test_if_all_went_well_and_none_is_named_all_are_told(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.note(3, "handled", "T", id="_rig_1_2", key="DATA")
    tape.note(4, "settled", "_rig_1", id="_rig_1_2", value="confirmed")
    assert [told.id for told in tape.diagram("of_nobody_1").messages] == ["_rig_1_2"]


def test_what_a_station_relays_under_an_id_of_its_own_is_the_same_story(tape: Tape) -> None:
    """The trace tells whose it was, where the value is short; else the program that handled it does."""
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "T", trial())
    relay = {"id": "T_7", "to": "_T", "sender": "T", "key": "DATA", "value": 1}
    tape.sent(4, "T", "_T", relay | {"origin": {"sender": "_rig_1", "id": "_rig_1_2"}})
    long = {"id": "T_8", "to": "_T", "sender": "T", "key": "DATA", "value": "x" * 300}
    tape.sent(5, "T", "_T", long)
    tape.note(6, "handled", "_T", id="T_8", first="_rig_1_2", key="DATA")
    diagram = tape.diagram("T_8")
    assert [told.id for told in diagram.messages] == ["_rig_1_2"]
    assert [hop for hop in hops(diagram) if hop == ("T", "_T")] == [("T", "_T")] * 2
    assert ("_T", "handled") in whats(diagram)


def test_an_id_that_a_station_gives_again_in_its_next_life_is_another_message(tape: Tape) -> None:
    made(tape)
    relay = {"id": "rig_1_0", "to": "T", "sender": "rig_1", "key": "STATE", "value": 1}
    for at, life, first in ((2, "a", "_rig_1_0"), (100, "b", "_rig_1_2"), (200, "c", "_rig_1_4")):
        tape.sent(at, "rig_1", "T", relay | {"origin": {"sender": "_rig_1", "id": first}}, bytes_=life, life=life)
        tape.trace(at + 1, "Deliver", "T", id="rig_1_0")
        tape.note(at + 2, "state", "_T", id=f"T_{at}", first=first)
    diagram = tape.diagram()
    assert [arrow.at_s for arrow in diagram.arrows] == [0.1]
    assert [spot.at_s for spot in diagram.spots] == [0.102]


def test_lines_are_those_on_the_way_in_the_order_of_the_tree(tape: Tape) -> None:
    made(tape, 1, "_rig_5_cam_3", to="rig_1")
    tape.sent(2, "_rig_5_cam", "rig_5_cam", trial("_rig_5_cam_3", to="rig_1"))
    diagram = tape.diagram("_rig_5_cam_3")
    assert [(line.machine, line.programs) for line in diagram.lines] == [
        ("T", False),
        ("rig_1", False),
        ("rig_5", False),
        ("rig_5_cam", True),
    ]
    made(tape, 10, "_rig_5_cam_4", to="rig_5")
    tape.sent(11, "_rig_5_cam", "rig_5_cam", trial("_rig_5_cam_4", to="rig_5"))
    diagram = tape.diagram("_rig_5_cam_4")
    assert [line.machine for line in diagram.lines] == ["rig_5", "rig_5_cam"], "above them nothing happened"


def test_those_for_which_there_is_no_room_are_counted(tape: Tape) -> None:
    for n in range(100):
        made(tape, n, f"_rig_1_{n}")
        tape.sent(n, "_rig_1", "rig_1", trial(f"_rig_1_{n}"))
    diagram = tape.diagram(*(f"_rig_1_{n}" for n in reversed(range(100))))
    assert (len(diagram.arrows), len(diagram.messages), diagram.left_out) == (60, 60, 40)
    assert diagram.messages[0].id == "_rig_1_40", "the first that are named, as they were sent"


def test_of_one_message_that_is_repeated_for_ever_the_beginning_is_shown(tape: Tape) -> None:
    made(tape)
    for n in range(100):
        tape.sent(2 + n, "_rig_1", "rig_1", trial())
    diagram = tape.diagram()
    assert (len(diagram.arrows), diagram.left_out, diagram.arrows_left_out) == (60, 0, 40)
