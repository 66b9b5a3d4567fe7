"""Patience: when a message is sent again, what its ttl counts, when it expires, and what it waits for."""

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Confirmed, Expired, Transmit
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.outbox_channel import Window
from tests.autopilot_net.protocol.invariants import message_of
from tests.autopilot_net.protocol.test_frames import node, station
from tests.autopilot_net.protocol.test_reliable import pair
from tests.autopilot_net.protocol.test_router import lab
from tests.autopilot_net.protocol.wire import LOSE, PASS, Copies, Flight, Wire


def deaf(flight: Flight) -> Copies:
    """A policy: no message reaches T, which lives."""
    return LOSE if flight.target == "T" and flight.frames[-1] else PASS


def sent(wire: Wire, source: str = "rig_1", target: str = "T") -> list[Message]:
    return [message for message in wire.carried(source, target) if message.key == "DATA"]


# -- repeats and expiry --------------------------------------------------------------------------------------------


def test_what_is_not_confirmed_is_sent_again_every_repeat_interval_until_its_ttl_is_used_up() -> None:
    wire = pair()
    wire.policy = deaf
    lost = wire.send("rig_1", "T")
    wire.run(29.9)
    assert [message.ttl for message in sent(wire)] == [5, 4, 3, 2, 1, 0]
    assert wire.of("rig_1", Expired) == []
    wire.run(0.1)
    (expired,) = wire.of("rig_1", Expired)
    assert (expired.id, expired.to) == (lost, "T")
    assert len(wire["rig_1"].outbox) == 0


def test_a_ttl_of_the_callers_own_is_kept() -> None:
    wire = pair()
    wire.policy = deaf
    wire.send("rig_1", "T", ttl=1)
    wire.run(10)
    assert [message.ttl for message in sent(wire)] == [1, 0]
    assert len(wire.of("rig_1", Expired)) == 1


def test_a_repeat_says_that_it_is_one() -> None:
    wire = pair()
    wire.policy = deaf
    wire.send("rig_1", "T")
    wire.run(5)
    assert [message.get("again") for message in sent(wire)] == [None, True]


def test_the_repeat_interval_is_a_setting() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(repeat_interval=0.5))
    wire.policy = deaf
    wire.send("rig_1", "T")
    wire.run(0.5)
    assert len(sent(wire)) == 2


def test_nothing_is_repeated_that_is_confirmed_in_time() -> None:
    wire = pair()
    wire.send("rig_1", "T")
    wire.run(60)
    assert len(sent(wire)) == 1


def test_what_expires_makes_room_for_what_waits() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(window=Window(messages=1)))
    wire.policy = deaf
    wire.send("rig_1", "T", "lost")
    wire.send("rig_1", "T", "waits")
    wire.run(29)
    assert {message.value for message in sent(wire)} == {"lost"}
    wire.policy = lambda _flight: PASS
    wire.flights.clear()
    wire.run(1)
    assert wire.got("T") == ["waits"]


def test_received_restores_patience_for_as_long_as_a_handler_takes() -> None:
    wire = pair()
    wire.handles_at_once = False
    slow = wire.send("rig_1", "T")
    wire.run(600)
    assert len(wire.got("T")) == 1
    wire.handle_all()
    wire.run()
    assert wire.of("rig_1", Confirmed) == [Confirmed(slow, "T")]


def test_received_about_something_else_restores_nothing() -> None:
    waiting = node()
    waiting.send(Message(id="n_1", to="s", sender="n", key="K", ttl=0), repeat=True, now=0)
    said = Message(id="c", to="n", sender="s", key="CONFIRM", value="n_9", received=True, re=["1", 9])
    assert waiting.receive("s", [said.serialize()], now=0) == []
    assert [type(e) for e in waiting.handle_timer(now=5) if not isinstance(e, Transmit)] == [Expired]


# -- while the path is down ----------------------------------------------------------------------------------------


def test_while_the_path_is_down_nothing_is_sent_and_the_ttl_stands() -> None:
    wire = pair()
    wire.policy = deaf
    wire.send("rig_1", "T", "patient")
    wire.run(1)
    wire.cut("rig_1")
    wire.run(3_600)
    assert len(sent(wire)) == 1
    wire.policy = lambda _flight: PASS
    wire.connect("rig_1")
    wire.run()
    assert [message.ttl for message in sent(wire)] == [5, 5]
    assert wire.got("T") == ["patient"]


def test_what_was_sent_while_the_path_was_down_goes_out_in_order_when_it_is_up() -> None:
    wire = pair()
    wire.cut("rig_1")
    for n in range(3):
        wire.send("rig_1", "T", n, repeat=None)
        wire.send("T", "rig_1", n, repeat=None)
    wire.run(100)
    wire.connect("rig_1")
    wire.run()
    assert wire.got("T") == wire.got("rig_1") == [0, 1, 2]


def test_before_the_first_meeting_confirmed_messages_wait_and_so_do_others() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, connected=False)
    wire.send("rig_1", "T", "handshake")
    wire.send("rig_1", "T", "unconfirmed", repeat=False)
    wire.run(100)
    wire.connect("rig_1")
    wire.run()
    assert sorted(wire.got("T")) == ["handshake", "unconfirmed"]


def test_when_the_route_returns_what_waits_is_repeated_at_once() -> None:
    wire = lab()
    wire.cut("rig_1")
    waits = wire.send("T", "wheel", "far")
    wire.run(100)
    wire.connect("rig_1")
    wire.run(100)
    assert wire.got("wheel") == []
    wire.send("wheel", "T", "here again")
    wire.run()
    assert wire.got("wheel") == ["far"]
    assert wire.of("T", Confirmed) == [Confirmed(waits, "wheel")]


def test_when_a_child_comes_back_what_went_astray_meanwhile_is_repeated_at_once() -> None:
    wire = lab()
    wire.cut("wheel")
    wire.send("rig_1", "wheel", "START")
    wire.run(1)
    wire.connect("wheel")
    wire.run()
    assert wire.got("wheel") == ["START"]


def test_when_a_machine_is_found_elsewhere_what_went_another_way_is_repeated_at_once() -> None:
    terminal = station("T", upstream=None, below=("rig_1", "rig_2"))
    terminal.learn("wheel", "rig_1", now=0)
    terminal.send(Message(id="1", to="wheel", sender="T", key="K"), repeat=True, now=0)
    (effect,) = terminal.learn("wheel", "rig_2", now=1)
    assert isinstance(effect, Transmit)
    assert effect.peer == "rig_2"


def test_patience_stands_while_a_child_is_away() -> None:
    wire = lab()
    wire.cut("wheel")
    wire.send("rig_1", "wheel", "START")
    wire.run(60)
    wire.connect("wheel")
    wire.run()
    assert wire.got("wheel") == ["START"]


def test_a_child_that_was_away_and_is_heard_from_above_is_found_there() -> None:
    wire = lab()
    wire.cut("wheel")
    wire.send("rig_1", "wheel", "START")
    wire.run(60)
    wire.endpoints["rig_1"].routes.found_above("T")  # of one that was never away nothing changes
    moved = Message(id="wheel_1", to="rig_1", sender="wheel", key="STATE", flags={"NOREPEAT": True}, inc="w")
    effects = wire.endpoints["rig_1"].receive("T", [moved.serialize()], now=wire.now)
    up = [effect for effect in effects if isinstance(effect, Transmit)]
    assert [effect.peer for effect in up] == ["T"]


@pytest.mark.parametrize("comes_back", ["wheel", "rig_1"])
def test_a_program_is_back_when_its_machine_is(comes_back: str) -> None:
    wire = lab()
    sender = "rig_1" if comes_back == "wheel" else "T"
    wire.send("_wheel", sender, "so its way is known", repeat=False)
    wire.run()
    wire.cut(comes_back)
    wire.send(sender, "_wheel", "START")
    wire.run(60)
    wire.connect(comes_back)
    wire.send("wheel", sender, "handshake")
    wire.run()
    assert wire.got("wheel") == ["START"]


def test_who_was_away_and_is_heard_from_above_is_found_there() -> None:
    pilot = station(below=("wheel",))
    pilot.lose("wheel", now=0)
    assert pilot.send(Message(id="1", to="wheel", sender="s", key="K"), repeat=True, now=0) == []
    hello = Message(id="w", to="s", sender="wheel", key="K", flags={"NOREPEAT": True})
    effects = pilot.receive("parent", [hello.serialize()], now=1)
    assert [effect.peer for effect in effects if isinstance(effect, Transmit)] == ["parent"]


def test_a_meeting_costs_no_patience_and_doubles_no_timer() -> None:
    wire = pair()
    wire.policy = deaf
    wire.send("rig_1", "T")
    for _ in range(10):
        wire.cut("rig_1")
        wire.connect("rig_1")
    wire.run(4.9)
    assert [message.ttl for message in sent(wire)] == [5] * 11
    wire.run(0.1)
    assert [message.ttl for message in sent(wire)] == [5] * 11 + [4]


def test_what_is_repeated_at_a_meeting_goes_out_in_order() -> None:
    wire = pair()
    wire.policy = lambda flight: LOSE if message_of(flight.frames[-1]) else PASS
    for n in range(3):
        wire.send("rig_1", "T", n)
    wire.run(1)
    wire["rig_1"].outbox.missing("T", ["rig_1#1", 1], 1, 1, now=wire.now)  # now 0 is the last to fall due
    wire.cut("rig_1")
    wire.connect("rig_1")
    assert [message.value for message in sent(wire)] == [0, 1, 2, 0, 1, 2]


def test_a_path_that_closes_between_two_messages_closes_for_both() -> None:
    terminal = station("T", upstream=None, below=("rig_1",))
    terminal.ours.add("wheel")
    terminal.send(Message(id="1", to="wheel", sender="T", key="K"), hops=("rig_1", "wheel"), repeat=True, now=0)
    assert terminal.send(Message(id="2", to="wheel", sender="T", key="K"), repeat=True, now=0) == []
    assert terminal.handle_timer(now=5) == []
    (first, second) = (e for e in terminal.learn("wheel", "rig_1", now=6) if isinstance(e, Transmit))
    assert [Message(e.frames[-1]).id for e in (first, second)] == ["1", "2"]
    assert first.frames[:-1] == (b"wheel", b"wheel") or first.frames[:-1] == (b"wheel",)


def test_who_goes_away_takes_no_path_along_but_its_own() -> None:
    terminal = station("T", upstream=None, below=("rig_1", "rig_2"))
    for to in ("rig_1", "rig_2"):
        terminal.send(Message(id=to, to=to, sender="T", key="K"), now=0)
    terminal.lose("rig_1", now=1)
    assert [e.peer for e in terminal.handle_timer(now=5) if isinstance(e, Transmit)] == ["rig_2"]


def test_a_message_that_finds_a_path_takes_along_what_waits_for_one() -> None:
    terminal = station("T", upstream=None, below=("rig_1",))
    assert terminal.send(Message(id="1", to="wheel", sender="T", key="K"), repeat=True, now=0) == []
    way = ("rig_1", "wheel")
    effects = terminal.send(Message(id="2", to="wheel", sender="T", key="K"), hops=way, repeat=True, now=0)
    assert [effect.peer for effect in effects if isinstance(effect, Transmit)] == ["rig_1"]


# -- bounds in time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "down"])
def test_expires_after_bounds_a_message_in_time_whether_or_not_its_path_is_up(is_up: bool) -> None:
    wire = pair()
    wire.policy = deaf
    if not is_up:
        wire.cut("rig_1")
    stale = wire.send("rig_1", "T", expires_after=2)
    wire.run(1.9)
    assert wire.of("rig_1", Expired) == []
    wire.run(0.1)
    assert [expired.id for expired in wire.of("rig_1", Expired)] == [stale]


def test_what_is_confirmed_in_time_does_not_expire() -> None:
    wire = pair()
    wire.send("rig_1", "T", expires_after=2)
    wire.run(60)
    assert wire.of("rig_1", Expired) == []


def test_what_expires_while_it_waits_for_the_window_is_never_sent() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(window=Window(messages=1)))
    wire.handles_at_once = False
    wire.send("rig_1", "T", 1)
    wire.send("rig_1", "T", 2, expires_after=2)
    wire.send("rig_1", "T", 3)
    wire.run(10)
    wire.handle_all()
    wire.run(10)
    assert wire.got("T") == [1, 3]


def test_what_falls_due_at_once_is_sent_once() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(window=Window(messages=1)))
    wire.policy = deaf
    wire.send("rig_1", "T", 1, ttl=0, expires_after=5)
    wire.send("rig_1", "T", 2, expires_after=5)
    wire.send("rig_1", "T", 3)
    wire.run(5)
    assert [expired.id for expired in wire.of("rig_1", Expired)] == ["rig_1_1", "rig_1_2"]
    assert [message.value for message in sent(wire)] == [1, 3]


# -- timers --------------------------------------------------------------------------------------------------------


def test_who_awaits_nothing_wants_no_timer() -> None:
    idle = Endpoint("T", forwards=True, incarnation="1")
    assert idle.next_timer() is None
    idle.meet("rig_1", now=0)
    assert idle.next_timer() is None
    assert idle.handle_timer(now=100) == []


def test_the_next_timer_is_the_earliest_of_all() -> None:
    pilot = station()
    assert pilot.next_timer() == 1.0
    pilot.lose("parent", now=0)
    assert pilot.next_timer() is None
    pilot.send(Message(id="1", to="parent", sender="s", key="K"), expires_after=7, now=0)
    assert pilot.next_timer() == 7


def test_what_awaits_confirmation_can_be_asked_for() -> None:
    waiting = node()
    message = Message(id="n_1", to="s", sender="n", key="K")
    waiting.send(message, repeat=True, now=0)
    assert waiting.outbox.messages() == {"n_1": message}
    assert waiting.outbox.room("nobody yet")


def test_what_is_sent_before_the_first_meeting_is_held_back_until_then() -> None:
    endpoint = Endpoint("n", upstream="T", incarnation="one")
    message = Message(id="n_1", to="T", sender="n", key="STATE", flags={"NOREPEAT": True})
    assert endpoint.send(message, now=0) == []
    assert endpoint.router.holds_back()
    met = endpoint.meet("T", now=1)
    assert [effect.peer for effect in met if isinstance(effect, Transmit)] == ["T"]
    assert not endpoint.router.holds_back()


def test_what_waits_in_a_full_pipe_is_neither_repeated_nor_spent() -> None:
    endpoint = Endpoint("n", upstream="T", incarnation="one")
    endpoint.meet("T", now=0)
    message = Message(id="n_1", to="T", sender="n", key="DATA")
    (first,) = endpoint.send(message, repeat=True, now=0)
    assert isinstance(first, Transmit)
    endpoint.full("T", [first])
    endpoint.receive("T", (b"",), now=0)
    for at in range(5, 65, 5):
        assert [e for e in endpoint.handle_timer(now=at) if isinstance(e, Transmit) and not is_probe(e)] == []
    assert message.ttl == 5
    assert [e for e in endpoint.ready("T") if not is_probe(e)] == [first]
    endpoint.receive("T", (b"",), now=64)
    assert [type(e) for e in endpoint.handle_timer(now=65) if not is_probe(e)] == [Transmit]
    assert message.ttl == 4


def is_probe(effect: object) -> bool:
    return isinstance(effect, Transmit) and not effect.frames[-1]


# -- those that may be Autopilot's own -----------------------------------------------------------------------------


def far(wire: Wire) -> Wire:
    """Let the messages of `cam`, which knows of nobody but its station, come to nothing on their first way."""
    wire.policy = lambda flight: LOSE if flight.source == "cam" and wire.now == 0 else PASS
    return wire


def asked(wire: Wire, source: str, target: str) -> list[tuple[str, str]]:
    """The questions and answers that went from one to the other."""
    return [(m.to, m.value) for m in wire.carried(source, target) if "asks" in m or "here" in m]


def test_what_may_be_for_one_of_theirs_is_asked_about_and_not_repeated() -> None:
    sender = node("n")
    for number in range(2):
        sender.send(Message(id=f"n_{number}", to="old", sender="n", key="K"), repeat=True, now=0)
    for turn in range(1, 6):
        (sent,) = (e for e in sender.handle_timer(now=5.0 * turn) if isinstance(e, Transmit) and e.frames[-1])
        question = Message(sent.frames[-1])
        assert sent.frames[:-1] == (b"s", b"old")
        assert (question.key, question.value, "NOREPEAT" in question.flags) == ("CONFIRM", "n_0", True)
    assert [e.id for e in sender.handle_timer(now=30) if isinstance(e, Expired)] == ["n_0", "n_1"]


def test_one_that_is_ours_answers_and_gets_it_all_at_once_and_in_order() -> None:
    wire = far(lab())
    for number in range(3):
        wire.send("cam", "T", number)
    wire.run(5)
    assert asked(wire, "cam", "wheel") == [("T", "cam_1")]
    assert len(asked(wire, "wheel", "cam")) == 1
    assert wire.got("T") == [0, 1, 2]
    assert len(wire["cam"].outbox) == 0


def test_a_program_answers_for_itself() -> None:
    wire = far(lab())
    wire.send("cam", "_T", "for the program")
    wire.run(5)
    assert wire.got("_T") + wire.got("T") == ["for the program"]


def test_a_question_goes_along_the_hops_and_so_does_its_answer() -> None:
    wire = far(lab())
    wire.send("cam", "_rig_2", "sideways", hops=("wheel", "rig_1", "T", "rig_2", "_rig_2"))
    wire.run(5)
    assert wire.got("rig_2") == ["sideways"]


def test_a_neighbour_of_theirs_confirms_and_is_sent_repeats() -> None:
    terminal = station("T", upstream=None, below=("old",))
    terminal.send(Message(id="T_1", to="_old", sender="T", key="START"), now=0)
    (sent,) = terminal.handle_timer(now=5)
    assert isinstance(sent, Transmit)
    assert Message(sent.frames[-1]).id == "T_1"


def test_a_deadline_is_that_of_the_message_it_was_given_to() -> None:
    """Not of another that is sent under the same id once the first is confirmed."""
    wire = pair()
    first = wire.send("rig_1", "T", expires_after=10)
    wire.run()
    assert wire.of("rig_1", Confirmed)
    wire.policy = lambda _flight: LOSE
    endpoint = wire["rig_1"]
    message = Message(id=first, to="T", sender="rig_1", key="DATA", value=None)
    endpoint.send(message, repeat=True, now=wire.now)
    assert not [e for e in endpoint.handle_timer(now=wire.now + 11) if isinstance(e, Expired)]
