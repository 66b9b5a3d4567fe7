"""What faults look like in a diagram, and which lost frames they explain."""

from __future__ import annotations

import pytest

from sim.diagram.model import Bar, Lifeline
from tests.sim.diagram.tape import S, Tape, _name, confirm, made, trial, whats


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
    assert diagram.bars == [Bar(on=Lifeline("T"), link=False, x0=1.0, x1=diagram.width, what="down", note=note)]


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
