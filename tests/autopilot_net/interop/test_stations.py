"""One station and what is on it and next to it, of ours and of Autopilot's own: messages and confirmations, both ways.

The table names every pair, and where one is impossible, what theirs does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.autopilot_net.interop.autopilot_lab import WORKS, Mixed, Outcome

pytestmark = pytest.mark.autopilot

NO_PROGRAM = Outcome(
    arrives=False,
    confirmed=False,
    because="a station of theirs takes the program of a station below for a neighbour of its own, and there is none",
)

CELLS = [
    # hub     from       to
    # -- a node and its station
    ("theirs", "o_1", "hub", WORKS),
    ("theirs", "hub", "o_1", WORKS),
    ("ours", "t_1", "hub", WORKS),
    ("ours", "hub", "t_1", WORKS),
    # -- two nodes of one station
    ("theirs", "o_1", "t_1", WORKS),
    ("theirs", "t_1", "o_1", WORKS),
    ("theirs", "o_1", "o_2", WORKS),
    ("ours", "o_1", "t_1", WORKS),
    ("ours", "t_1", "o_1", WORKS),
    ("ours", "t_1", "t_2", WORKS),
    # -- a station and the one above
    ("theirs", "o_child", "hub", WORKS),
    ("theirs", "hub", "o_child", WORKS),
    ("ours", "t_child", "hub", WORKS),
    ("ours", "hub", "t_child", WORKS),
    # -- a node and a station below its own
    ("theirs", "o_1", "o_child", WORKS),
    ("theirs", "o_1", "t_child", WORKS),
    ("theirs", "t_1", "o_child", WORKS),
    ("ours", "o_1", "t_child", WORKS),
    ("ours", "t_1", "o_child", WORKS),
    ("ours", "t_1", "t_child", WORKS),
    # -- the program of a station below
    ("theirs", "o_1", "_o_child", NO_PROGRAM),
    ("theirs", "t_1", "_o_child", NO_PROGRAM),
    ("ours", "o_1", "_t_child", WORKS),
    ("ours", "t_1", "_o_child", WORKS),
]


def build(autopilot: str, whose: str) -> Iterator[Mixed]:
    """A station called hub, two stations below it and two nodes of each kind on it."""
    mixed = Mixed(autopilot)
    try:
        mixed.station(whose, "hub")
        for kind in "ot":
            mixed.station(kind, f"{kind}_child", "hub")
            mixed.node(kind, f"{kind}_1", "hub")
            mixed.node(kind, f"{kind}_2", "hub")
        yield mixed
    finally:
        mixed.close()


@pytest.fixture(scope="module")
def ours(autopilot: str) -> Iterator[Mixed]:
    """The hub is ours."""
    yield from build(autopilot, "o")


@pytest.fixture(scope="module")
def theirs(autopilot: str) -> Iterator[Mixed]:
    """The hub is theirs."""
    yield from build(autopilot, "t")


@pytest.mark.parametrize("repeat", [False, True], ids=["unconfirmed", "confirmed"])
@pytest.mark.parametrize(("hub", "sender", "recipient", "outcome"), CELLS)
def test_a_pair(
    hub: str, sender: str, recipient: str, outcome: Outcome, repeat: bool, request: pytest.FixtureRequest
) -> None:
    mixed: Mixed = request.getfixturevalue(hub)
    station = recipient.removeprefix("_")  # what is for a program from elsewhere is its station's
    sent = mixed.send(sender, recipient, repeat=repeat)
    if outcome.arrives:
        mixed.until(station, sent.value)
    sent.await_outcome(outcome, repeat=repeat)
    after = mixed.send(sender, station)
    mixed.until(station, after.value)
    assert mixed.values(station).count(sent.value) == (1 if outcome.arrives else 0), outcome.because
    assert sent.is_confirmed() is (repeat and outcome.confirmed), outcome.because
