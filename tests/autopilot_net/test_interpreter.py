"""The interpreter: what each effect makes a world do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autopilot_net import Delivery, Message
from autopilot_net.interpreter import Outcome, carry_out, handled, new_delivery
from autopilot_net.protocol.effects import (
    Confirmed,
    Deliver,
    Dropped,
    DuplicateId,
    Effect,
    Expired,
    Forget,
    Gap,
    PeerDown,
    PeerUp,
    Reconnect,
    Traffic,
    Transmit,
)
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.router import AWAY


class Line:
    """An endpoint, and what it promised."""

    def __init__(self) -> None:
        self.endpoint = Endpoint("n", upstream="T", incarnation="i")
        self.deliveries: dict[str, Delivery] = {}


class Notes:
    """A world that notes what it is asked to do."""

    def __init__(self, outcome: Outcome = Outcome.SENT) -> None:
        self.outcome = outcome
        self.asked: list[tuple[object, ...]] = []

    def transmit(self, carrier: Line, effect: Transmit) -> Outcome:
        self.asked.append(("transmit", effect.peer))
        return self.outcome

    def lose(self, carrier: Line, peer: str) -> None:
        self.asked.append(("lose", peer))

    def put(self, carrier: Line, effects: list[Effect]) -> None:
        self.asked.append(("put", *effects))

    def run(self, carrier: Line, act: Callable[[float], list[Effect]]) -> None:
        self.asked.append(("run", *act(0.0)))

    def deliver(self, carrier: Line, effect: Deliver) -> None:
        self.asked.append(("deliver", effect.ticket))

    def tell_of_peer(self, carrier: Line, effect: PeerUp | PeerDown | DuplicateId) -> None:
        self.asked.append(("tell", effect))

    def reconnect(self, carrier: Line, effect: Reconnect) -> None:
        self.asked.append(("reconnect", effect.peer))

    def note(self, carrier: Line, effect: Effect) -> None:
        self.asked.append(("note", effect))

    def keep(self) -> None:
        self.asked.append(("keep",))


def test_what_is_sent_to_a_neighbour_that_is_gone_is_counted_where_nobody_repeats_it() -> None:
    for kind, lost in ((Traffic.DATA, [("put", Dropped(AWAY, "T", ""))]), (Traffic.PROMISE, []), (Traffic.CONTROL, [])):
        world = Notes(Outcome.GONE)
        carry_out(world, Line(), Transmit("T", (b"T", b"x"), kind))
        assert world.asked == [("transmit", "T"), ("lose", "T"), *lost]


def test_a_probe_that_is_not_sent_is_no_loss() -> None:
    world = Notes(Outcome.GONE)
    carry_out(world, Line(), Transmit("T", (b"",)))
    assert world.asked == [("transmit", "T"), ("lose", "T")]


@pytest.mark.parametrize("outcome", [Outcome.SENT, Outcome.WAITS])
def test_what_is_sent_or_waits_asks_for_nothing_more(outcome: Outcome) -> None:
    world = Notes(outcome)
    carry_out(world, Line(), Transmit("T", (b"T", b"x")))
    assert world.asked == [("transmit", "T")]


@pytest.mark.parametrize("effect", [Confirmed("m", "T"), Expired("m", "T", "too late")])
def test_an_end_settles_the_handle_and_is_noted(effect: Confirmed | Expired) -> None:
    world, line = Notes(), Line()
    handle = new_delivery(line, Message(id="m", to="T", sender="n", key="K"))
    carry_out(world, line, effect)
    assert world.asked == [("note", effect)]
    assert (handle.confirmed, handle.expired) == (isinstance(effect, Confirmed), isinstance(effect, Expired))
    assert line.deliveries == {}


@pytest.mark.parametrize(
    ("effect", "asked"),
    [
        (Deliver(3, "T", Message(id="m", to="n", sender="T", key="K")), ("deliver", 3)),
        (PeerUp("T"), ("tell", PeerUp("T"))),
        (PeerDown("T"), ("tell", PeerDown("T"))),
        (DuplicateId("r", ("a", "b")), ("tell", DuplicateId("r", ("a", "b")))),
        (Reconnect("T"), ("reconnect", "T")),
        (Gap("s", 1, 2), ("note", Gap("s", 1, 2))),
        (Forget("T", 1), ("note", Forget("T", 1))),
    ],
)
def test_each_other_effect_has_its_method(effect: Effect, asked: tuple[object, ...]) -> None:
    world = Notes()
    carry_out(world, Line(), effect)
    assert world.asked == [asked]


def test_a_message_without_confirmation_has_a_handle_that_nobody_keeps() -> None:
    line = Line()
    handle = new_delivery(line, Message(id="m", to="T", sender="n", key="K", flags={"NOREPEAT": True}))
    assert handle.settled
    assert line.deliveries == {}


def test_a_handler_is_done_once_what_another_endpoint_sends_for_it_is_settled() -> None:
    world, line = Notes(), Line()
    elsewhere = Delivery("other", "T")
    handled(world, line, 1, [elsewhere])
    assert world.asked == [("run",)]
    elsewhere.settle(confirmed=True)
    assert world.asked == [("run",), ("run",), ("keep",)]
