"""The picture of what broke has its marks in order, and text of a lab is escaped in it."""

from __future__ import annotations

from xml.etree import ElementTree

from sim.diagram.model import Diagram, Lifeline, MachineLine, Spot
from sim.report.lamport_svg import _between, draw, marks_of


def diagram(*whats: str) -> Diagram:
    spots = [Spot(on=Lifeline("T"), x=n, what=what, at_s=n, message=0, note="<b>") for n, what in enumerate(whats)]
    return Diagram(width=10, begins_s=0.0, lines=[MachineLine(machine="T", parent=None, programs=False)], spots=spots)


def test_marks_come_in_the_order_of_a_messages_life() -> None:
    assert [mark.words for mark in marks_of(diagram("killed", "handled", "sent"))] == ["handled", "killed"]


def test_the_picture_is_xml_and_its_notes_are_text() -> None:
    svg = ElementTree.fromstring(draw(diagram("killed")))
    titles = [element.text or "" for element in svg.iter() if element.tag.endswith("title")]
    assert any("killed" in title and "<b>" in title for title in titles)


def test_a_line_is_drawn_outside_of_the_gaps() -> None:
    assert list(_between([(2, 4), (3, 5)], 8)) == [(0, 2), (5, 8)]
    assert list(_between([(0, 8)], 8)) == []
