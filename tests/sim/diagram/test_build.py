"""From a journal to the picture of what went wrong: who is on it, what came, what was lost, and how it is drawn."""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from autopilot_net.protocol.effects import Transmit
from autopilot_net.trace_format import facts
from sim.diagram.build import diagram_of
from sim.diagram.model import Arrow, Bar, Cut, Diagram, Lifeline, MachineLine, MessageRow, Spot
from sim.evidence.journal import Entry, Journal, Trace
from sim.lab.topology import Machine, Topology
from sim.report.lamport_svg import CHAR, MARKS, draw, marks_of
from tests.sim.findings import violation

MS = 1.0
S = 1000.0
LOST = [violation("confirm: never confirmed", messages=("_rig_1_2",))]
LAB = Topology(
    name="five",
    path="five.yaml",
    machines=(
        Machine("T", children=("rig_1", "rig_5")),
        Machine("rig_1", parent="T"),
        Machine("rig_5", parent="T", children=("rig_5_cam",)),
        Machine("rig_5_cam", parent="rig_5"),
        Machine("rig_9", parent="T"),
    ),
)


class Tape:
    """A journal, line by line; times in milliseconds since the run began."""

    def __init__(self) -> None:
        self.journal = Journal(entries=[Entry(t=0, by="T", what="start")])

    def note(self, at_ms: float, what: str, by: str = "parent", **facts: Any) -> None:
        """A program wrote this down."""
        self.journal.entries.append(Entry(t=round(at_ms * 1e6), by=by, what=what, **facts))

    def trace(self, at_ms: float, do: str, at: str, *, life: str = "a", **facts: Any) -> None:
        """An endpoint traced this."""
        self.journal.traces.append(Trace(t=round(at_ms * 1e6), at=at, life=life, do=do, **facts))

    def sent(
        self, at_ms: float, at: str, peer: str, message: dict[str, Any], *, bytes_: str = "", life: str = "a"
    ) -> None:
        """A frame left, with these bytes; by default, those of the first sending."""
        raw = json.dumps(message, separators=(",", ":")).encode()
        traced = facts(Transmit(peer, (b"", raw)))
        self.trace(at_ms, "Transmit", at, life=life, **{**traced, "digest": bytes_ or str(message["id"])})

    def diagram(self, *messages: str) -> Diagram:
        """The picture of what broke with these messages, which there must be."""
        self.journal.entries.sort(key=lambda entry: entry.t)
        self.journal.traces.sort(key=lambda trace: trace.t)
        broke = [violation("confirm: lost", messages=messages)] if messages else LOST
        found = diagram_of(self.journal, LAB, broke)
        assert found is not None
        return found


def trial(id: str = "_rig_1_2", key: str = "DATA", to: str = "T", **more: Any) -> dict[str, Any]:
    """A message as it opens."""
    return {"id": id, "to": to, "sender": id.rpartition("_")[0], "key": key, "value": {"x": 1}, **more}


def confirm(of: str, id: str, to: str) -> dict[str, Any]:
    """The confirmation of a message."""
    return {"id": id, "to": to, "sender": id.rpartition("_")[0], "key": "CONFIRM", "value": of}


def made(tape: Tape, at_ms: float = 1, id: str = "_rig_1_2", **facts: Any) -> None:
    """A program made a message."""
    sender = id.rpartition("_")[0]
    tape.note(at_ms, "made", sender, id=id, sought=True, **{"key": "DATA", "to": "T", **facts})


@pytest.fixture
def tape() -> Tape:
    return Tape()


def hops(diagram: Diagram, end: str | None = None) -> list[tuple[str, str]]:
    """From which machine to which, of the messages' own arrows that ended so."""
    mine = [arrow for arrow in diagram.arrows if not arrow.confirm and end in (None, arrow.end)]
    return [(_name(arrow.frm), _name(arrow.to)) for arrow in mine]


def _name(node: Lifeline) -> str:
    return "_" + node.machine if node.program else node.machine


def whats(diagram: Diagram) -> list[tuple[str, str]]:
    """The marks, from left to right."""
    return [(_name(spot.on), spot.what) for spot in diagram.spots]


# -- the whole of it -------------------------------------------------------------------------------------------------


def test_a_trial_that_arrives_is_drawn_to_the_last_step(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "T", trial())
    tape.trace(4, "Deliver", "T", id="_rig_1_2", key="DATA")
    tape.note(5, "handled", "T", id="_rig_1_2", key="DATA")
    tape.sent(6, "T", "rig_1", confirm("_rig_1_2", "T_c1", "_rig_1"))
    tape.sent(7, "rig_1", "_rig_1", confirm("_rig_1_2", "T_c1", "_rig_1"))
    tape.trace(8, "Confirmed", "_rig_1", id="_rig_1_2", to="T")
    rig, program, terminal = Lifeline("rig_1"), Lifeline("rig_1", True), Lifeline("T")
    what = "DATA _rig_1_2 from _rig_1 to T: "
    back = "CONFIRM of _rig_1_2 from T: "
    assert tape.diagram() == Diagram(
        width=8.5,
        begins_s=0.002,
        lines=[MachineLine(machine="T", parent=None), MachineLine(machine="rig_1", parent="T", programs=True)],
        messages=[MessageRow(id="_rig_1_2", key="DATA", frm="_rig_1", to="T", outcome="handled by T, confirmed")],
        arrows=[
            Arrow(
                frm=program, to=rig, x0=1, x1=2, at_s=0.002, message=1,
                note=what + "_rig_1 → rig_1; seen there after 1.00 ms",
            ),
            Arrow(
                frm=rig, to=terminal, x0=2, x1=3, at_s=0.003, message=1,
                note=what + "rig_1 → T; seen there after 1.00 ms",
            ),
            Arrow(
                frm=terminal, to=rig, x0=5, x1=6, at_s=0.006, message=1, confirm=True,
                note=back + "T → rig_1; seen there after 1.00 ms",
            ),
            Arrow(
                frm=rig, to=program, x0=6, x1=7, at_s=0.007, message=1, confirm=True,
                note=back + "rig_1 → _rig_1; seen there after 1.00 ms",
            ),
        ],
        spots=[
            Spot(on=terminal, x=4, at_s=0.005, what="handled", message=1, note="DATA _rig_1_2 by T"),
            Spot(on=program, x=7, at_s=0.008, what="confirmed", message=1, note="_rig_1_2 to T"),
        ],
    )  # fmt: skip


# -- whose story -----------------------------------------------------------------------------------------------------


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


# -- what came, and what did not -------------------------------------------------------------------------------------


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


# -- marks -----------------------------------------------------------------------------------------------------------


def test_what_happened_is_marked_where_it_did(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.note(3, "began", "T", id="_rig_1_2", key="CRASH")
    tape.note(4, "handled", "T", id="_rig_1_2", key="DATA")
    tape.note(5, "handled", "T", id="_rig_1_2", key="DATA")
    tape.note(6, "handled", "T", life=1, id="_rig_1_2", key="DATA", redelivered=True)
    tape.trace(7, "Dropped", "rig_1", reason="no way to it", recipient="T", peer="T", count=3)
    tape.trace(7.5, "Dropped", "rig_1", reason="of others", recipient="rig_9", peer="T")
    tape.note(8, "exception", "_T", value={"machine": "T", "exception": "ValueError: no pin 7", "traceback": ""})
    tape.note(9, "exception", "T", value={"machine": "T", "exception": "ValueError: no pin 7", "traceback": ""})
    tape.trace(10, "Expired", "_rig_1", id="_rig_1_2", to="T", reason="sent 5 times")
    diagram = tape.diagram()
    assert whats(diagram) == [
        ("T", "began"),
        ("T", "handled"),
        ("T", "handled again"),
        ("T", "redelivered"),
        ("rig_1", "dropped"),
        ("_T", "raised"),
        ("_rig_1", "expired"),
    ]
    assert diagram.spots[4].note == "3 for T, neighbour T: no way to it"
    assert diagram.messages[0].outcome == "handled by T 3 times, given up: _rig_1_2 to T: sent 5 times"


# -- faults ----------------------------------------------------------------------------------------------------------


def test_a_machine_that_is_killed_is_down_until_it_is_restarted_and_what_went_there_is_lost(tape: Tape) -> None:
    """The fault and its carrying out are two entries, and one kill."""
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.note(3, "fault", key="kill", to="T", value={"restart_after_s": 2, "what": None})
    tape.note(3.2, "kill", to="T")
    tape.sent(4, "rig_1", "T", trial())
    tape.note(2003, "fault", key="restart", to="T")
    tape.note(2003.2, "restart", to="T")
    tape.sent(2004, "rig_1", "T", trial(), bytes_="again")
    diagram = tape.diagram()
    assert [(_name(bar.on), bar.link, bar.what, bar.note) for bar in diagram.bars] == [
        ("T", False, "down", "T was killed at 0.0 s, back at 2.0 s")
    ]
    assert whats(diagram) == [("T", "killed"), ("T", "restarted")]
    down = diagram.bars[0]
    assert [spot.x for spot in diagram.spots] == [down.x0, down.x1]
    assert [a.note.partition("; ")[2] for a in diagram.arrows if a.end == "lost"] == [
        "it did not arrive: T was down",
        "no trace of it at T",
    ]


def test_a_machine_that_stays_down_is_down_to_the_end(tape: Tape) -> None:
    made(tape)
    tape.note(1.5, "kill", to="T")
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "T", trial())
    diagram = tape.diagram()
    note = "the station of T was killed at 0.0 s, never back"
    assert diagram.bars == [
        Bar(on=Lifeline("T"), link=False, x0=1.0, x1=diagram.width, what="down", note=note)
    ]


def test_a_link_that_was_cut_is_a_bar_and_explains_what_was_lost_on_it(tape: Tape) -> None:
    made(tape)
    tape.note(1.5, "fault", key="cut", to="rig_1")
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "T", trial())
    tape.note(4, "fault", key="heal", to="rig_1")
    tape.note(5, "fault", key="cut", to="rig_9")
    diagram = tape.diagram()
    assert [(_name(bar.on), bar.link, bar.what) for bar in diagram.bars] == [("rig_1", True, "cut")]
    assert diagram.arrows[1].note.endswith("it did not arrive: the link of rig_1 was cut")
    assert not diagram.spots


def test_a_link_that_was_cut_one_way_explains_that_way_alone(tape: Tape) -> None:
    made(tape)
    tape.note(1.5, "fault", key="cut", to="rig_1", value={"way": "down"})
    tape.sent(2, "rig_1", "T", trial())
    tape.sent(3, "rig_1", "T", trial(), bytes_="again")
    tape.sent(4, "T", "rig_1", confirm("_rig_1_2", "T_c1", "_rig_1"))
    tape.note(5, "healed")
    tape.sent(6, "rig_1", "T", trial(), bytes_="again")
    diagram = tape.diagram()
    assert [bar.what for bar in diagram.bars] == ["cut downward"]
    assert diagram.bars[0].x1 == diagram.arrows[3].x0 - 1
    assert [a.note.partition("; ")[2] for a in diagram.arrows] == [
        "no trace of it at T",
        "seen there after 1.00 ms",
        "it did not arrive: the link of rig_1 was cut downward",
        "no trace of it at T",
    ]


@pytest.mark.parametrize(
    ("what", "down", "lost"),
    [
        ("machine", ["rig_1", "_rig_1"], "rig_1 was killed"),
        ("station", ["rig_1"], "rig_1 was killed"),
        ("program", ["_rig_1"], "_rig_1 was killed as it sent it"),
    ],
)
def test_a_machine_may_be_killed_in_part(tape: Tape, what: str, down: list[str], lost: str) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.note(2.5, "fault", key="kill", to="rig_1", value={"what": what})
    diagram = tape.diagram()
    assert [_name(bar.on) for bar in diagram.bars] == down
    assert whats(diagram) == [(down[0], "killed")]
    assert diagram.arrows[0].note.endswith(f"it did not arrive: {lost}")


def test_a_machine_that_stands_still_does_so_though_its_program_is_killed(tape: Tape) -> None:
    """The pause of the station goes on; that of the program ends with the program."""
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.note(3, "fault", key="pause", to="rig_1", value={"what": "machine"})
    tape.note(4, "fault", key="kill", to="rig_1", value={"what": "program"})
    tape.sent(5, "_rig_1", "rig_1", trial(), bytes_="again")
    tape.note(6, "fault", key="resume", to="rig_1", value={"what": "machine"})
    diagram = tape.diagram()
    assert [(_name(bar.on), bar.what) for bar in diagram.bars] == [
        ("rig_1", "paused"),
        ("_rig_1", "paused"),
        ("_rig_1", "down"),
    ]
    station, program, down = diagram.bars
    assert program.x1 == down.x0 < station.x1
    assert whats(diagram)[:2] == [("rig_1", "paused"), ("_rig_1", "killed")]
    assert diagram.arrows[1].note.endswith("it did not arrive: rig_1 was paused")


def test_a_fault_long_before_or_on_others_is_not_of_the_story(tape: Tape) -> None:
    made(tape)
    tape.note(1, "kill", to="T")
    tape.note(2, "restart", to="T")
    tape.sent(5 * S, "_rig_1", "rig_1", trial())
    tape.sent(5 * S + 1, "rig_1", "T", trial())
    tape.note(5 * S, "kill", to="rig_9")
    tape.note(9 * S, "kill", to="rig_1")
    diagram = tape.diagram()
    assert (diagram.bars, diagram.spots) == ([], [])


def test_a_frame_that_a_fault_dropped_is_lost_though_another_would_have_needed_no_trace(tape: Tape) -> None:
    made(tape)
    tape.sent(2, "_rig_1", "rig_1", trial())
    tape.sent(3, "rig_1", "T", trial())
    tape.note(3, "frame", key="drop", to="rig_1", sender="rig_1", id="_rig_1_2", value={"to": "T"})
    tape.sent(4, "rig_1", "_rig_1", confirm("_rig_1_2", "rig_1_c1", "_rig_1"))
    tape.note(4, "frame", key="drop", to="rig_1", sender="rig_1", id="rig_1_c1", value={"to": "_rig_1"})
    assert [a.note.partition("; ")[2] for a in tape.diagram().arrows if a.end == "lost"] == [
        "it did not arrive: a fault dropped it"
    ] * 2


# -- the axis --------------------------------------------------------------------------------------------------------


def waited(gap_ms: float) -> Diagram:
    """A message that is sent again after `gap_ms`."""
    tape = Tape()
    made(tape)
    for at in (2, 2 + gap_ms):
        tape.sent(at, "_rig_1", "rig_1", trial(), bytes_=f"at {at}")
        tape.sent(at + 1, "rig_1", "T", trial(), bytes_=f"at {at}")
    return tape.diagram()


def test_time_in_which_nothing_happens_is_cut_out_and_labelled() -> None:
    short, long = waited(5 * S), waited(500 * S)
    assert short.cuts == [Cut(x0=2.0, x1=4.4, seconds=4.999, at_s=5.002)]
    assert long.cuts == [Cut(x0=2.0, x1=4.4, seconds=499.999, at_s=500.002)]
    assert short.width == long.width
    assert [arrow.x0 for arrow in short.arrows] == [arrow.x0 for arrow in long.arrows] == [1.0, 2.0, 4.4, 5.4]


def test_a_gap_that_is_short_beside_what_frames_take_is_not_cut_out() -> None:
    tape = Tape()
    made(tape)
    for n, (at, peer) in enumerate(pairwise(["_rig_5_cam", "rig_5_cam", "rig_5", "T", "rig_1"])):
        tape.sent(100 * n, at, peer, trial())
    diagram = tape.diagram()
    assert (len(diagram.arrows), diagram.cuts) == (4, [])
    assert diagram.arrows[1].x0 == 3.0, "100 ms are two steps"


# -- drawn -----------------------------------------------------------------------------------------------------------

EVIL = "</svg><script>document.title='evil'</script>"


@pytest.fixture
def busy(tape: Tape) -> Diagram:
    """Two messages, a machine that is killed, a link that is cut, repeats."""
    for way in (["_rig_5_cam", "rig_5_cam", "rig_5", "T"], ["_rig_1", "rig_1", "T"]):
        sender = way[0]
        made(tape, 1, f"{sender}_2")
        for again in range(3):
            for n, (at, peer) in enumerate(pairwise(way)):
                tape.sent(2 + 200 * again + n, at, peer, trial(f"{sender}_2"), bytes_=f"{sender} {again}")
    tape.note(2.5, "fault", key="kill", to="T")
    tape.note(250, "fault", key="restart", to="T")
    tape.note(260, "fault", key="cut", to="rig_1")
    tape.trace(404.5, "Deliver", "T", id="_rig_5_cam_2")
    tape.note(406, "handled", "T", id="_rig_5_cam_2", key="DATA")
    tape.trace(407, "Expired", "_rig_1", id="_rig_1_2", to="T", reason=EVIL)
    return tape.diagram("_rig_5_cam_2", "_rig_1_2")


def test_the_drawing_is_one_picture_that_says_all_in_words_and_believes_no_text(busy: Diagram) -> None:
    svg = ElementTree.fromstring(draw(busy))
    tags = [element.tag for element in svg.iter()]
    assert "script" not in tags
    assert svg.get("role") == "img"
    named = {str(element.get("id")): element.text or "" for element in svg if element.get("id")}
    assert svg.get("aria-labelledby") == " ".join(named)
    assert "1: DATA _rig_5_cam_2 from _rig_5_cam to T, handled by T, sent 3 times" in named["lamport-desc"]
    titles = [title.text or "" for title in svg.iter("title")]
    for arrow in busy.arrows:
        assert arrow.note in titles
    assert sum(EVIL in title for title in titles) == 1
    shapes = [element.get("d") for element in svg.iter("path")]
    for mark in marks_of(busy):
        assert mark.path in shapes, mark.words


@pytest.fixture
def crowd() -> Diagram:
    """Messages that one program sends so closely that their labels have no room side by side."""
    tape = Tape()
    for n in range(6):
        made(tape, 1, f"_rig_1_{n}")
        for again in range(3):
            tape.sent(2 + n / 2 + 200 * again, "_rig_1", "rig_1", trial(f"_rig_1_{n}"), bytes_=f"{n} {again}")
    return tape.diagram(*(f"_rig_1_{n}" for n in range(6)))


@pytest.mark.parametrize("name", ["busy", "crowd"])
def test_labels_do_not_cover_one_another_and_all_messages_have_one(name: str, request: pytest.FixtureRequest) -> None:
    diagram = request.getfixturevalue(name)
    svg = ElementTree.fromstring(draw(diagram))
    width = float((svg.get("viewBox") or "").split()[2])
    labels = [text for text in svg.iter("text") if text.get("font-weight") == "600" and not text.get("font-size")]
    said = [text.text for text in labels]
    for n, told in enumerate(diagram.messages, 1):
        assert f"{n} DATA {told.id}" in said
        assert said.count(f"{n} again") == 2
    boxes = [(float(t.get("x") or 0), float(t.get("y") or 0), len(t.text or "") * CHAR) for t in labels]
    for (x0, y0, wide0), (x1, y1, wide1) in combinations(boxes, 2):
        assert x0 + wide0 <= x1 or x1 + wide1 <= x0 or abs(y0 - y1) >= 12, said
    assert all(x >= 0 and x + wide <= width for x, _, wide in boxes)


def test_a_small_one_fits_a_screen(busy: Diagram) -> None:
    _, _, width, height = (float(part) for part in (ElementTree.fromstring(draw(busy)).get("viewBox") or "").split())
    assert width <= 900
    assert height <= 560


def test_no_two_marks_look_alike_without_their_colours() -> None:
    assert len({mark.path for mark in MARKS.values()}) == len(MARKS)
