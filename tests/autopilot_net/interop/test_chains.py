"""Chains of our stations and Autopilot's own, three long, with nodes of both at both ends.

Along explicit hops everything arrives. By an id alone it does where somebody on the way knows the id. The table tells
what theirs makes impossible, and why; even there nothing is handled twice, and no handle of ours is left open.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.autopilot_net.interop.autopilot_lab import WORKS, Mixed, Outcome
from tests.conftest import eventually

pytestmark = pytest.mark.autopilot

UP, DOWN = ["low", "mid", "top"], ["top", "mid", "low"]


# What theirs makes impossible.
ANSWER_IS_LOST = Outcome(
    arrives=True,
    confirmed=False,
    because="a station of theirs tells nobody who is below it, so that an answer to an id alone finds no way down",
)
ANSWER_STAYS_AT_ROOT = Outcome(
    arrives=True,
    confirmed=False,
    because="a root of theirs sends what names no hops to its own neighbours, or nowhere",
)
ANSWER_TO_NOBODY = Outcome(
    arrives=True,
    confirmed=False,
    because="a station of theirs answers a neighbour of the sender's name, and there is none: it is a station further",
)
NO_WAY_DOWN = Outcome(arrives=False, confirmed=False, because=ANSWER_IS_LOST.because)
STAYS_AT_ROOT = Outcome(arrives=False, confirmed=False, because=ANSWER_STAYS_AT_ROOT.because)

CELLS = [
    # chain  from     to       along hops            by the id alone
    ("oto", "o_low", "o_top", WORKS, ANSWER_IS_LOST),
    ("oto", "o_low", "t_top", ANSWER_IS_LOST, ANSWER_IS_LOST),
    ("oto", "t_low", "o_top", ANSWER_IS_LOST, ANSWER_IS_LOST),
    ("oto", "t_low", "t_top", ANSWER_IS_LOST, ANSWER_IS_LOST),
    ("oto", "o_top", "o_low", WORKS, NO_WAY_DOWN),
    ("oto", "o_top", "t_low", WORKS, NO_WAY_DOWN),
    ("oto", "t_top", "o_low", WORKS, NO_WAY_DOWN),
    ("oto", "t_top", "t_low", WORKS, NO_WAY_DOWN),
    ("tot", "o_low", "o_top", WORKS, ANSWER_STAYS_AT_ROOT),
    ("tot", "o_low", "t_top", ANSWER_STAYS_AT_ROOT, ANSWER_STAYS_AT_ROOT),
    ("tot", "t_low", "o_top", ANSWER_STAYS_AT_ROOT, ANSWER_STAYS_AT_ROOT),
    ("tot", "t_low", "t_top", ANSWER_STAYS_AT_ROOT, ANSWER_STAYS_AT_ROOT),
    ("tot", "o_top", "o_low", WORKS, STAYS_AT_ROOT),
    ("tot", "o_top", "t_low", WORKS, STAYS_AT_ROOT),
    ("tot", "t_top", "o_low", WORKS, STAYS_AT_ROOT),
    ("tot", "t_top", "t_low", WORKS, STAYS_AT_ROOT),
]

TO_STATIONS = [
    # chain  from     to     by the id alone
    ("oto", "o_low", "top", WORKS),  # the message tells the way back, and who reads it remembers
    ("oto", "low", "top", WORKS),
    ("oto", "t_low", "top", ANSWER_IS_LOST),
    ("tot", "o_low", "top", ANSWER_STAYS_AT_ROOT),
    ("tot", "low", "top", ANSWER_STAYS_AT_ROOT),
    ("tot", "t_low", "top", ANSWER_STAYS_AT_ROOT),
    ("oto", "o_low", "mid", ANSWER_TO_NOBODY),
    ("oto", "o_top", "mid", WORKS),
    ("tot", "o_low", "mid", WORKS),
    ("tot", "o_top", "mid", WORKS),
]


def build(autopilot: str, kinds: str) -> Iterator[Mixed]:
    """Stations top, mid and low, whose each is said by its letter; o_top, t_top, o_low and t_low are nodes on them."""
    mixed = Mixed(autopilot)
    try:
        for whose, id, parent in zip(kinds, DOWN, [None, "top", "mid"], strict=True):
            mixed.station(whose, id, parent)
        for end in ("top", "low"):
            mixed.node("o", f"o_{end}", end)
            mixed.node("t", f"t_{end}", end)
        yield mixed
    finally:
        mixed.close()


@pytest.fixture(scope="module")
def oto(autopilot: str) -> Iterator[Mixed]:
    """Theirs between ours."""
    yield from build(autopilot, "oto")


@pytest.fixture(scope="module")
def tot(autopilot: str) -> Iterator[Mixed]:
    """Ours between theirs."""
    yield from build(autopilot, "tot")


@pytest.fixture(scope="module")
def fresh_oto(autopilot: str) -> Iterator[Mixed]:
    """One more, whose stations may learn ways that the table above says they do not know."""
    yield from build(autopilot, "oto")


@pytest.fixture(scope="module")
def fresh_tot(autopilot: str) -> Iterator[Mixed]:
    """Likewise."""
    yield from build(autopilot, "tot")


def hops(sender: str, recipient: str) -> list[str]:
    """All of the way."""
    return [*(UP if sender.endswith("low") else DOWN), recipient]


def settle(mixed: Mixed, sender: str, recipient: str) -> None:
    """Wait until what went before has come, or is lost: what goes along hops always comes, and overtakes nothing."""
    for one, other in ((sender, recipient), (recipient, sender)):
        last = mixed.send(one, hops(one, other))
        mixed.until(other, last.value)


@pytest.mark.parametrize("repeat", [False, True], ids=["unconfirmed", "confirmed"])
@pytest.mark.parametrize("by", ["hops", "id"])
@pytest.mark.parametrize(("chain", "sender", "recipient", "by_hops", "by_id"), CELLS)
def test_through_a_chain(
    chain: str,
    sender: str,
    recipient: str,
    by_hops: Outcome,
    by_id: Outcome,
    by: str,
    repeat: bool,
    request: pytest.FixtureRequest,
) -> None:
    mixed: Mixed = request.getfixturevalue(chain)
    outcome = by_hops if by == "hops" else by_id
    sent = mixed.send(sender, hops(sender, recipient) if by == "hops" else recipient, repeat=repeat)
    if outcome.arrives:
        mixed.until(recipient, sent.value)
    sent.await_outcome(outcome, repeat=repeat)
    settle(mixed, sender, recipient)
    assert mixed.values(recipient).count(sent.value) == (1 if outcome.arrives else 0), outcome.because
    assert sent.is_confirmed() is (repeat and outcome.confirmed), outcome.because


@pytest.mark.parametrize("repeat", [False, True], ids=["unconfirmed", "confirmed"])
@pytest.mark.parametrize(("chain", "sender", "recipient", "outcome"), TO_STATIONS)
def test_to_a_station_of_a_chain(
    chain: str, sender: str, recipient: str, outcome: Outcome, repeat: bool, request: pytest.FixtureRequest
) -> None:
    mixed: Mixed = request.getfixturevalue(f"fresh_{chain}")
    sent = mixed.send(sender, recipient, repeat=repeat)
    mixed.until(recipient, sent.value)
    sent.await_outcome(outcome, repeat=repeat)
    after = mixed.send(sender, recipient)
    mixed.until(recipient, after.value)
    assert mixed.values(recipient).count(sent.value) == 1
    assert sent.is_confirmed() is (repeat and outcome.confirmed), outcome.because


def test_what_a_station_of_theirs_sends_back_does_not_go_to_and_fro(fresh_oto: Mixed) -> None:
    """It sends up what it knows no neighbour for, and we know that the way there is through it."""
    taught = fresh_oto.send("o_low", "top", repeat=True)
    eventually(taught.is_confirmed)
    lost = fresh_oto.send("o_top", "o_low", repeat=True)
    lost.await_outcome(NO_WAY_DOWN, repeat=True)
    settle(fresh_oto, "o_top", "o_low")
    before = fresh_oto.stations["mid"].received()
    for _ in range(5):
        settle(fresh_oto, "o_top", "o_low")
    assert lost.value not in fresh_oto.values("o_low")
    assert fresh_oto.stations["mid"].received() - before < 50  # the ten that were sent, some probes, and no storm
