"""What the script of the terminal does in a session. Time is made up."""

from __future__ import annotations

from typing import Any

from sim.emulator.session import Command, SendMessage
from sim.emulator.session_script import SessionScript
from sim.lab.topology import Graduation, Trials
from tests.sim.emulator.made_up_lab import lab


def start(pilot: str, session: int, subject: str, **more: Any) -> SendMessage:
    return SendMessage(pilot, "START", {"subject": subject, "session": session, "pilot": pilot, **more})


def orders(commands: list[Command]) -> list[Command]:
    """The commands without the changes of parameters."""
    return [c for c in commands if not (isinstance(c, SendMessage) and c.key in ("PARAM", "CHANGE"))]


LOOK = {"task_type": "Look", "sounds": ["L.wav"], "stim": {"sounds": {"L": [{"type": "File", "path": "L.wav"}]}}}


def test_a_session_begins_with_who_is_there_and_a_start_to_every_pilot_with_its_files() -> None:
    script = SessionScript(lab(trials=Trials()), seed=1)
    assert orders(script.begin(now=5.0)) == [
        SendMessage("T", "INIT"),
        start("rig_1", 0, "a"),
        start("rig_2", 0, "rig_2_subject", **LOOK),
        start("rig_3", 0, "rig_3_subject"),
    ]
    assert script.next_timer() == 15.0


def test_right_behind_its_start_a_parameter_of_every_emulated_pilot_is_changed_by_both_ways() -> None:
    script = SessionScript(lab(trials=Trials()), seed=1)
    change = {"pilot": "rig_1", "session": 0, "reward": 5}
    sent = script.begin(now=0.0)
    changes = [SendMessage("rig_1", "PARAM", change), SendMessage("T", "CHANGE", change)]
    assert sent[1:4] == [start("rig_1", 0, "a"), *changes]
    own = [c.value["pilot"] for c in sent if isinstance(c, SendMessage) and c.key == "PARAM"]
    assert own == [pilot.id for pilot in lab().pilots if pilot.program is None]


def test_a_graduation_is_a_stop_and_then_the_start_of_the_next_session_with_the_next_subject() -> None:
    graduate = tuple(Graduation(at_s=at, pilot="rig_1") for at in (4.0, 2.0))
    script = SessionScript(lab(trials=Trials(), graduate=graduate), seed=1)
    script.begin(now=0.0)
    assert script.next_timer() == 2.0
    assert script.handle_timer(now=1.9) == []
    stops = [SendMessage("rig_1", "STOP", {"graduation": True, "session": n}) for n in range(2)]
    assert orders(script.handle_timer(now=2.0)) == [stops[0], start("rig_1", 1, "b")]
    assert orders(script.handle_timer(now=4.0)) == [stops[1], start("rig_1", 2, "a")]
    assert not script.done


def test_a_session_ends_with_a_stop_to_every_pilot_also_when_the_clock_is_late() -> None:
    script = SessionScript(lab(trials=Trials(), graduate=(Graduation(at_s=9.0, pilot="rig_1"),)), seed=1)
    script.begin(now=0.0)
    commands = orders(script.handle_timer(now=100.0))
    assert commands[:2] == [SendMessage("rig_1", "STOP", {"graduation": True, "session": 0}), start("rig_1", 1, "b")]
    assert commands[2] == SendMessage("T", "MACHINES"), "while the rigs still run"
    assert commands[3:] == [
        SendMessage(pilot, "STOP", {"session": int(pilot == "rig_1")}) for pilot in ("rig_1", "rig_2", "rig_3")
    ]
    assert (script.done, script.next_timer()) == (True, None)


def test_every_session_of_every_rig_that_makes_trials_is_asked_for_proof() -> None:
    """Not of what the lab's own programs send: nobody knows which of it they count as trials."""
    script = SessionScript(lab(trials=Trials(), graduate=(Graduation(at_s=2.0, pilot="rig_1"),)), seed=1)
    script.begin(now=0.0)
    script.handle_timer(now=10.0)
    assert script.coherence_questions() == [
        SendMessage("rig_1", "COHERE", {"subject": "a", "session": 0}),
        SendMessage("rig_1", "COHERE", {"subject": "b", "session": 1}),
    ]


def test_only_the_last_copy_of_an_order_is_repeated_when_it_is_given_up() -> None:
    """Else each copy would beget others, and on a slow link none would get through."""
    script = SessionScript(lab(), seed=1)
    order = next(one for one in script.begin(now=0.0) if isinstance(one, SendMessage) and one.key == "START")
    copies = [script.sent(order) for _ in range(2)]
    assert script.settled(order, confirmed=False, copy=copies[0]) == []
    assert script.settled(order, confirmed=False, copy=copies[1]) == [order]
    assert script.settled(order, confirmed=True, copy=copies[0]) == []
    assert script.settled(order, confirmed=False, copy=copies[1]) == [], "an earlier copy was handled"


def test_an_order_that_was_given_up_is_repeated_with_all_later_orders() -> None:
    """Else a rig that was cut off would get its START after its STOP, and run for ever."""
    script = SessionScript(lab(), seed=1)
    [_, *starts] = script.begin(now=0.0)
    stops = script.handle_timer(now=10.0)
    first = [order for order in orders([*starts, *stops]) if isinstance(order, SendMessage) and order.to == "rig_1"]
    assert [order.key for order in first] == ["START", "STOP"]
    assert script.settled(first[0], confirmed=False) == first
    assert script.settled(first[1], confirmed=True) == []
    assert script.settled(first[0], confirmed=False) == first[:1]
    assert script.settled(first[0], confirmed=True) == []
    assert script.settled(first[0], confirmed=False) == [], "it is known to have been handled"
