"""How long to wait for the next connection: ever longer while connections do not last, and anew once one has."""

import pytest

from autopilot_net.protocol.backoff import FIRST_S, LASTED_S, LONGEST_S, Backoff


def test_each_wait_is_twice_as_long_up_to_the_longest() -> None:
    backoff = Backoff()
    waits = [backoff.lost(now=0, chance=0) for _ in range(12)]
    assert waits[:4] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert waits == sorted(waits)
    assert waits[-2:] == [LONGEST_S, LONGEST_S]


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_chance_makes_a_wait_up_to_twice_as_long_and_the_next_no_longer(chance: float) -> None:
    backoff = Backoff()
    assert backoff.lost(now=0, chance=chance) == FIRST_S * (1 + chance)
    assert backoff.lost(now=0, chance=0) == 2 * FIRST_S


@pytest.mark.parametrize(("lasted", "wait"), [(LASTED_S, FIRST_S), (LASTED_S - 0.01, 2 * FIRST_S)])
def test_a_connection_that_lasted_makes_the_next_wait_the_first_again(lasted: float, wait: float) -> None:
    backoff = Backoff()
    backoff.lost(now=0, chance=0)
    backoff.connected(now=5)
    assert backoff.lost(now=5 + lasted, chance=0) == wait


def test_a_connection_that_is_lost_twice_has_lasted_once() -> None:
    backoff = Backoff()
    backoff.connected(now=0)
    assert backoff.lost(now=100, chance=0) == FIRST_S
    assert backoff.lost(now=200, chance=0) == 2 * FIRST_S
