"""The library's own messages: none is confirmed, each has its own id, and a CONFIRM goes back as a message came."""

from typing import Any

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.effects import Effect, Traffic, Transmit
from autopilot_net.protocol.inbox import Receipt, Verdict
from autopilot_net.protocol.router import Router


def station() -> tuple[Router, Control]:
    """The station `s` below `parent`, and above `n`."""
    router = Router("s", upstream="parent", forwards=True, backlog_bytes=1_000)
    for peer in ("parent", "n"):
        router.routes.meet(peer)
    return router, Control(router, incarnation="life", epoch=1_000.0)


def said(effects: list[Effect]) -> Message:
    (effect,) = effects
    assert isinstance(effect, Transmit)
    assert effect.kind is Traffic.CONTROL
    return Message(effect.frames[-1])


def test_each_has_an_id_of_its_own_and_seeks_no_confirmation() -> None:
    _, control = station()
    first, second = (said(control.say("n", "K", 1, now=2.0)) for _ in range(2))
    assert first.id != second.id
    assert (first.sender, first.to, first.key, first.value) == ("s", "n", "K", 1)
    assert first.flags == {"NOREPEAT": True, "NOLOG": True}
    assert first.inc == "life"
    assert first.timestamp.startswith("1970-01-01T00:16:42")


def test_only_a_neighbour_that_is_one_of_ours_is_given_notice() -> None:
    router, control = station()
    assert control.notice("n", "GONE", "X", now=0) == []
    router.is_ours("n")
    assert said(control.notice("n", "GONE", "X", now=0)).value == "X"


@pytest.mark.parametrize(
    ("verdict", "how", "expected"),
    [
        (Verdict.HANDLED, {}, {}),
        (Verdict.HANDLED, {"why": "not told"}, {}),
        (Verdict.RECEIVED, {"missing": (2, 3)}, {"received": True, "missing": [2, 3]}),
        (Verdict.FAILED, {"why": "no such trial"}, {"failed": True, "why": "no such trial"}),
        (Verdict.FAILED, {}, {"failed": True}),
    ],
)
def test_a_sender_of_ours_is_told_what_became_of_its_message(
    verdict: Verdict, how: dict[str, Any], expected: dict[str, Any]
) -> None:
    _, control = station()
    told = said(control.tell(Receipt("n", "n_1", re=("a", 1)), verdict, now=0, **how))
    assert (told.key, told.value, told.to, told.re) == ("CONFIRM", "n_1", "n", ["a", 1])
    assert {name: told[name] for name in ("received", "failed", "why", "missing") if told.get(name)} == expected


@pytest.mark.parametrize("verdict", Verdict)
def test_autopilots_own_are_told_only_that_it_was_handled(verdict: Verdict) -> None:
    _, control = station()
    effects = control.tell(Receipt("n", "n_1"), verdict, now=0)
    assert bool(effects) is (verdict is Verdict.HANDLED)


@pytest.mark.parametrize(
    ("via", "peer", "names"),
    [((), "n", ()), (("n", "s"), "n", (b"X",)), (("n",), "n", (b"X",)), (("far", "parent", "s"), "parent", None)],
)
def test_a_confirmation_goes_back_by_the_way_the_message_came(
    via: tuple[str, ...], peer: str, names: tuple[bytes, ...] | None
) -> None:
    _, control = station()
    sender = "X" if via else "n"
    (effect,) = control.confirm(Receipt(sender, "X_1", via=via), now=0)
    assert isinstance(effect, Transmit)
    assert effect.peer == peer
    assert names is None or effect.frames[:-1] in (names, (b"X", *names))
