"""Which frames arrived, and when: the traces of the receiver tell."""

from __future__ import annotations

from itertools import pairwise

from sim.diagram.model import Lifeline
from tests.sim.diagram.tape import Tape, _name, confirm, hops, made, trial, whats


def test_a_frame_of_which_there_is_no_trace_is_lost(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "T", trial())
    tape.trace(3.5, "PeerUp", "T", peer="rig_1")
    diagram = tape.diagram()
    assert (hops(diagram, "arrived"), hops(diagram, "lost")) == ([("_rig_1", "rig_1")], [("rig_1", "T")])
    assert diagram.arrows[1].note.endswith("rig_1 → T; no trace of it at T")
    assert diagram.messages[0].outcome == "never handled, not confirmed"


def test_of_two_sendings_the_one_that_is_delivered_after_the_second_was_the_second(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "rig_1", "T", trial())
    tape.sent(202, "rig_1", "T", trial(), bytes_="with again")
    tape.trace(203, "Deliver", "T", id="_rig_1_2")
    tape.sent(204, "T", "rig_1", confirm("_rig_1_2", "T_c1", "_rig_1"))
    assert [arrow.end for arrow in tape.diagram().arrows if not arrow.confirm] == ["lost", "arrived"]


def test_a_repeat_that_is_only_answered_has_arrived(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "rig_1", "T", trial())
    tape.trace(3, "Deliver", "T", id="_rig_1_2")
    tape.sent(202, "rig_1", "T", trial(), bytes_="with again")
    tape.sent(203, "T", "rig_1", confirm("_rig_1_2", "T_c1", "_rig_1"))
    diagram = tape.diagram()
    assert [arrow.end for arrow in diagram.arrows if not arrow.confirm] == ["arrived", "arrived"]
    assert [arrow.again for arrow in diagram.arrows if not arrow.confirm] == [0, 1]


def test_those_that_were_held_come_late_and_in_order(tape: Tape) -> None:
    made(tape)
    for at in (2, 202, 402):
        tape.sent(at, "_rig_1", "rig_1", trial(), bytes_=f"sent at {at}")
        tape.sent(at + 1, "rig_1", "T", trial(), bytes_=f"sent at {at}")
    tape.trace(1000, "Deliver", "T", id="_rig_1_2")
    for n in range(3):
        tape.sent(1001 + n, "T", "rig_1", confirm("_rig_1_2", f"T_c{n}", "_rig_1"))
    diagram = tape.diagram()
    up = [arrow for arrow in diagram.arrows if arrow.to == Lifeline("T")]
    assert [(arrow.end, arrow.again) for arrow in up] == [("arrived", 0), ("arrived", 1), ("arrived", 2)]
    assert all(a.x1 < b.x1 for a, b in pairwise(up))


def test_a_repeat_is_marked_where_it_begins_and_its_hops_have_its_number(tape: Tape) -> None:
    made(tape)
    for n, at in enumerate((2, 202)):
        tape.sent(at, "_rig_1", "rig_1", trial(), bytes_=f"time {n}")
        tape.sent(at + 1, "rig_1", "T", trial(), bytes_=f"time {n}")
    diagram = tape.diagram()
    assert [arrow.again for arrow in diagram.arrows] == [0, 0, 1, 1]
    assert whats(diagram) == [("_rig_1", "repeated")]
    assert diagram.messages[0].outcome == "never handled, sent 2 times, not confirmed"


def test_a_confirmation_that_says_received_changes_nothing_and_is_not_called_lost(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "_rig_1", confirm("_rig_1_2", "rig_1_c1", "_rig_1"))
    tape.sent(4, "rig_1", "_rig_1", confirm("_rig_1_2", "rig_1_c2", "_rig_1"))
    tape.trace(5, "Confirmed", "_rig_1", id="_rig_1_2", to="T")
    assert [arrow.end for arrow in tape.diagram().arrows] == ["arrived", "quiet", "arrived"]


BARE = "actor.rig_1.a_0.1"


def bare(tape: Tape) -> None:
    """A bare peer sent this twice; its station passed on what came."""
    tape.note(1, "made twice", "actor.rig_1.a", id=BARE, key="STORM", to="T")
    for at in (2, 2.1):
        tape.sent(at, "rig_1", "T", {"id": BARE, "to": "T", "sender": "actor.rig_1.a", "key": "STORM"})


def test_what_a_bare_peer_sends_is_known_from_what_it_wrote_down(tape: Tape) -> None:
    bare(tape)
    tape.trace(3, "Deliver", "T", id=BARE)
    for at, id in ((3.1, "T_c1"), (4, "T_c2")):
        tape.sent(at, "T", "rig_1", confirm(BARE, id, "actor.rig_1.a"))
        tape.sent(at + 1, "rig_1", "actor.rig_1.a", confirm(BARE, id, "actor.rig_1.a"))
    tape.note(6, "settled", "actor.rig_1.a", id=BARE, value="confirmed")
    diagram = tape.diagram(BARE)
    assert [(_name(a.frm), _name(a.to), a.end, a.again) for a in diagram.arrows] == [
        ("_rig_1", "rig_1", "arrived", 0),
        ("_rig_1", "rig_1", "arrived", 1),
        ("rig_1", "T", "arrived", 0),
        ("rig_1", "T", "arrived", 1),
        ("T", "rig_1", "arrived", 0),
        ("T", "rig_1", "arrived", 0),
        ("rig_1", "_rig_1", "quiet", 0),
        ("rig_1", "_rig_1", "quiet", 0),
    ]
    assert whats(diagram) == [("_rig_1", "repeated"), ("_rig_1", "confirmed")]


def test_of_two_that_were_sent_at_once_the_second_is_the_one_that_is_lost(tape: Tape) -> None:
    tape.note(1, "made twice", "actor.rig_1.a", id=BARE, key="STORM", to="rig_1")
    tape.trace(2, "Deliver", "rig_1", id=BARE)
    assert [(a.end, a.again) for a in tape.diagram(BARE).arrows] == [("arrived", 0), ("lost", 1)]


def test_what_is_delivered_twice_has_come_twice(tape: Tape) -> None:
    """However late the second is told of, and though its answer is no further one."""
    bare(tape)
    for at in (3, 4):
        tape.trace(at, "Deliver", "T", id=BARE)
    tape.sent(5, "T", "rig_1", confirm(BARE, "T_c1", "actor.rig_1.a"))
    diagram = tape.diagram(BARE)
    assert [(arrow.end, arrow.x1) for arrow in diagram.arrows if arrow.to == Lifeline("T")] == [
        ("arrived", 4.0),
        ("arrived", 5.0),
    ]
