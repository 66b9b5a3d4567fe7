"""Each promise that is not kept is told, with the message that it is about."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Confirmed, Expired
from sim.exhaustive import promises
from sim.exhaustive.play import begin
from sim.exhaustive.promises import BrokenPromiseError
from sim.exhaustive.situation import Ledger
from tests.sim.exhaustive.planted import DURABLE, IMPATIENT, PAIR

SENT = Ledger(ends=("", ""), lives=(1, 1))


def message(number: int, **extra: Any) -> Message:
    return Message(id=f"m{number}", to="T", sender="rig", key="DATA", **extra)


def begun(*numbers: int, life: int = 1) -> Ledger:
    ledger = SENT
    for number in numbers:
        ledger = promises.begin(PAIR, ledger, "T", life, message(number))
    return ledger


@pytest.mark.parametrize(("numbers", "check"), [((1, 1), "twice"), ((2, 1), "order")])
def test_a_message_is_handled_once_and_in_order(numbers: tuple[int, ...], check: str) -> None:
    with pytest.raises(BrokenPromiseError) as broken:
        begun(*numbers)
    assert (broken.value.check, broken.value.number) == (check, 1)


def test_in_a_later_life_it_comes_again_only_if_it_says_so() -> None:
    with pytest.raises(BrokenPromiseError, match="is not told so"):
        promises.begin(PAIR, begun(1), "T", 2, message(1))
    promises.begin(PAIR, begun(1), "T", 2, message(1, redelivered=True))


def test_a_durable_station_is_done_with_it_for_good() -> None:
    ledger = promises.done(begun(1), "T", 1)
    with pytest.raises(BrokenPromiseError, match="is durable"):
        promises.begin(DURABLE, ledger, "T", 2, message(1, redelivered=True))


def test_what_is_confirmed_was_handled_and_is_settled_once() -> None:
    at = begin(PAIR)
    with pytest.raises(BrokenPromiseError, match="no handler is done with it"):
        promises.end(PAIR, at, SENT, Confirmed("m1", "T"))
    ended = promises.end(PAIR, at, promises.done(SENT, "T", 1), Confirmed("m1", "T"))
    with pytest.raises(BrokenPromiseError, match="was confirmed before"):
        promises.end(PAIR, at, ended, Expired("m1", "T", "late"))


def test_nothing_is_given_up_before_more_went_wrong_than_it_has_repeats() -> None:
    with pytest.raises(BrokenPromiseError, match="after 0 mishaps, with 3 repeats: late"):
        promises.end(PAIR, begin(PAIR), SENT, Expired("m1", "T", "late"))
    wrong = replace(begin(IMPATIENT), faults=0)
    assert promises.end(IMPATIENT, wrong, SENT, Expired("m1", "T", "late")).ends == ("given up", "")


def test_what_nothing_will_ever_settle_is_told() -> None:
    at = replace(begin(PAIR), ledger=SENT, dues=(None, None))
    with pytest.raises(BrokenPromiseError, match="m1 is neither confirmed nor given up"):
        promises.is_over(PAIR, at)
    assert promises.endless(at).number == 1
