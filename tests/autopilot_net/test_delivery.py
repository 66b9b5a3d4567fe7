"""The handle of a message: how it is settled, waited for, and what it says of itself."""

from __future__ import annotations

import threading

import pytest

from autopilot_net import AutopilotNetError, Delivery, DeliveryExpired, Message, WaitInHandler
from autopilot_net.delivery import all_of, settles
from autopilot_net.message import refuse
from autopilot_net.protocol.reasons import Refusal
from autopilot_net.roles.host import follow
from tests.harness import FakeHost
from tests.patience import DEADLINE_S


def under_way(*, sought: bool = True, handler_thread: int | None = None) -> Delivery:
    return Delivery("rig_1_7", "T", sought=sought, handler_thread=handler_thread)


def test_a_delivery_is_under_way_until_it_is_confirmed() -> None:
    one = under_way()
    assert not one.settled
    assert repr(one) == "<Delivery rig_1_7 to T: under way>"
    assert not one.wait(0)
    one.settle(confirmed=True)
    assert (one.settled, one.confirmed, one.expired) == (True, True, False)
    assert repr(one) == "<Delivery rig_1_7 to T: confirmed>"
    assert one.wait()
    assert one.wait(0)


def test_a_delivery_that_expires_says_why_to_all_who_wait() -> None:
    one = under_way()
    one.settle(confirmed=False, reason="its time is up")
    assert (one.settled, one.confirmed, one.expired) == (True, False, True)
    assert repr(one) == "<Delivery rig_1_7 to T: expired: its time is up>"
    for _ in range(2):
        with pytest.raises(DeliveryExpired, match="rig_1_7 to T is not known to have been handled: its time is up"):
            one.wait()


def test_only_the_first_word_counts() -> None:
    one = under_way()
    told: list[Delivery] = []
    one.then(told.append)
    one.settle(confirmed=True)
    one.settle(confirmed=False, reason="too late")
    assert one.confirmed
    assert not one.expired
    assert one.reason == ""
    assert told == [one]


def test_who_calls_when_it_is_settled_is_called_once_at_once_or_later(caplog: pytest.LogCaptureFixture) -> None:
    one = under_way()
    told: list[str] = []

    def raises(_: Delivery) -> None:
        raise ValueError("in a callback")

    one.then(lambda _: told.append("first"))
    one.then(raises)
    one.then(lambda _: told.append("second"))
    assert told == []
    one.settle(confirmed=True)
    assert told == ["first", "second"]
    assert "a callback of the delivery of rig_1_7 raised" in caplog.text
    one.then(lambda delivery: told.append(delivery.id))
    assert told == ["first", "second", "rig_1_7"]


def test_of_what_seeks_no_confirmation_nothing_more_will_be_known() -> None:
    one = under_way(sought=False)
    assert one.settled
    assert repr(one) == "<Delivery rig_1_7 to T: no confirmation sought>"
    told: list[Delivery] = []
    one.then(told.append)
    assert told == [one]
    one.settle(confirmed=True)
    assert not one.confirmed
    with pytest.raises(AutopilotNetError, match=r"rig_1_7 sought no confirmation; .* send with repeat=True"):
        one.wait()


def test_all_threads_that_wait_are_woken() -> None:
    """However the settling falls between their looking and their waiting."""
    for _ in range(200):
        one = under_way()
        said: list[bool] = []
        threads = [
            threading.Thread(target=lambda one=one, said=said: said.append(one.wait(DEADLINE_S))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        one.settle(confirmed=True)
        for thread in threads:
            thread.join(DEADLINE_S)
        assert said == [True] * 3


def test_a_handler_may_look_and_may_not_wait_unless_it_is_settled() -> None:
    one = under_way(handler_thread=threading.get_ident())
    with pytest.raises(WaitInHandler, match=r"a handler waits for rig_1_7 .* or mark the listen as concurrent"):
        one.wait(0)
    assert not one.settled
    one.settle(confirmed=True)
    assert one.wait()


def test_a_handler_s_result_holds_the_deliveries_it_returned() -> None:
    one, other = under_way(), under_way()
    assert all_of(one) == [one]
    assert all_of([one, None, "text", other]) == [one, other]
    assert all_of((one, [other])) == [one]
    assert all_of(None) == all_of("text") == all_of({one.id: one}) == []


def test_a_callback_may_not_wait_either_for_it_runs_where_confirmations_are_read() -> None:
    one = Delivery("rig_1_7", "T", io_thread=threading.get_ident())
    with pytest.raises(WaitInHandler, match=r"callback of a delivery waits for rig_1_7 .* give that handle a callback"):
        one.wait(0)
    one.settle(confirmed=True)
    assert one.wait()


def test_what_a_callback_raises_is_told_once_settled_and_others_are_still_called() -> None:
    told: list[object] = []
    one = Delivery("rig_1_7", "T", raised=told.append)
    trouble = ValueError("in a callback")

    def raises(_: Delivery) -> None:
        raise trouble

    one.then(raises)
    one.then(told.append)
    one.settle(confirmed=True)
    assert told == [trouble, one]


# -- what follows another ----------------------------------------------------------------------------------------------


def message() -> Message:
    return Message(id="1", to="n", sender="s", key="K")


def test_a_promise_that_follows_what_was_refused_is_refused() -> None:
    host = FakeHost("T")
    promise, one = host.promise(), Delivery("2", "n")
    follow(promise, one)
    one.settle(confirmed=False, reason=Refusal("no"))
    assert (promise.expired, promise.refused, promise.reason) == (True, True, "no")


def test_a_promise_that_follows_what_expired_is_not_refused() -> None:
    host = FakeHost("T")
    promise, one = host.promise(), Delivery("2", "n")
    follow(promise, one)
    one.settle(confirmed=False, reason="late")
    assert (promise.expired, promise.refused, promise.reason) == (True, False, "late")


def test_a_message_that_was_refused_before_its_handler_returned_says_so_once() -> None:
    odd = message()
    refuse(odd, "no")
    handles = settles(odd, None)
    assert [(one.refused, one.reason) for one in handles] == [(True, "no")]
    assert settles(odd, handles) == handles
