"""A received message is settled when all that was passed on for it is, and fails if any of that did."""

from autopilot_net.protocol.pending_relays import PendingRelays


def test_a_ticket_waits_for_every_message_that_was_passed_on_for_it() -> None:
    relays = PendingRelays()
    relays.wait(1, ["a", "b"])
    assert relays.settle("a", failed=False) == [(1, {"b"}, None)]
    assert relays.settle("b", failed=False) == [(1, set(), None)]
    assert relays.settle("b", failed=False) == []


def test_one_message_may_settle_many_tickets() -> None:
    relays = PendingRelays()
    relays.wait(1, ["a"])
    relays.wait(2, ["a", "b"])
    assert relays.settle("a", failed=False) == [(1, set(), None), (2, {"b"}, None)]


def test_what_nobody_waits_for_settles_nothing() -> None:
    assert PendingRelays().settle("a", failed=True, why="gone") == []


def test_a_failure_is_told_with_its_reason_to_the_end() -> None:
    relays = PendingRelays()
    relays.wait(1, ["a", "b"])
    assert relays.settle("a", failed=True, why="refused") == [(1, {"b"}, "refused")]
    assert relays.settle("b", failed=False) == [(1, set(), "refused")]


def test_of_several_failures_the_first_that_says_why_counts() -> None:
    relays = PendingRelays()
    relays.wait(1, ["a", "b", "c"])
    assert relays.settle("a", failed=True) == [(1, {"b", "c"}, "")]
    relays.settle("b", failed=True, why="refused")
    assert relays.settle("c", failed=True, why="expired") == [(1, set(), "refused")]


def test_what_had_failed_before_counts_and_is_forgotten_with_its_ticket() -> None:
    relays = PendingRelays()
    relays.wait(1, ["a"], failed=True, why="in a former life")
    assert relays.settle("a", failed=False) == [(1, set(), "in a former life")]
    relays.wait(1, ["b"])
    assert relays.settle("b", failed=False) == [(1, set(), None)]
