"""From a journal to the picture of what went wrong: who is on it, what came, what was lost, and how it is drawn."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from sim.diagram.model import Arrow, Diagram, Lifeline, MachineLine, MessageRow, Spot
from sim.report.lamport_svg import CHAR, MARKS, draw, marks_of
from tests.sim.diagram.tape import Tape, confirm, made, trial, whats


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
