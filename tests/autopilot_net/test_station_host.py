"""A station as its role sees it: calls that come later, slow work beside, and copies that nobody would see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from autopilot_net import Station
from autopilot_net.station_host import StationHost
from tests.autopilot_net.posts import Lab, Post, nothing
from tests.conftest import Context, eventually
from tests.patience import DEADLINE_S


@pytest.fixture
def post(context: Context) -> Iterator[Post]:
    """A station in this process, of which the threads for slow work stay, as they do until a process ends."""
    made = Post(context, "T")
    yield made
    made.stop()


def host_of(post: Post, **facts: Any) -> StationHost:
    """The host of a role that lives in `post`."""
    station = {"id": post.id, "push_id": "", "pusher": False, "core": post.core, "closing": threading.Event(), **facts}
    return StationHost(cast(Station, SimpleNamespace(**station)), None)


@pytest.mark.parametrize(("pusher", "parent"), [(True, "T"), (False, None)])
def test_who_is_above_is_told_where_there_is_somebody(lab: Lab, pusher: bool, parent: str | None) -> None:
    assert host_of(lab.post("rig_1"), push_id="T", pusher=pusher).parent == parent


def test_calls_come_when_they_are_due_in_the_order_in_which_they_are_due_in_the_handler_thread(lab: Lab) -> None:
    post = lab.post()
    host = host_of(post)
    called: list[tuple[int, int | None]] = []

    def note(number: int) -> Callable[[], None]:
        return lambda: called.append((number, threading.get_ident()))

    for number, seconds in ((3, 0.1), (1, 0.0), (2, 0.0)):
        host.after(seconds, note(number))
    eventually(lambda: len(called) == 3)
    assert called == [(number, post.core.driver.handlers.ident) for number in (1, 2, 3)]
    assert host.next_timer() is None


def test_slow_work_runs_beside_the_listens_and_its_end_between_them(post: Post) -> None:
    host = host_of(post)
    said: list[Any] = []

    def then(outcome: Callable[[], int | None]) -> None:
        said.append((outcome(), threading.get_ident()))

    host.beside(threading.get_ident, then, about="a file")
    eventually(lambda: said)
    worked_in, told_in = said[0]
    assert told_in == post.core.driver.handlers.ident
    assert worked_in not in (told_in, threading.get_ident())


def test_what_slow_work_raises_is_raised_where_its_outcome_is_asked_for(post: Post) -> None:
    host = host_of(post)
    said: list[str] = []

    def then(outcome: Callable[[], float]) -> None:
        try:
            outcome()
        except ZeroDivisionError as error:
            said.append(str(error))

    host.beside(lambda: 1 / 0, then, about="a file")
    eventually(lambda: said == ["division by zero"])


def test_a_copy_for_a_plot_that_is_not_open_is_not_even_made(lab: Lab) -> None:
    post = lab.post()
    host = host_of(post)
    assert not host.send("P_rig_1", "DATA", object(), repeat=False, flags=()).sought
    seen: list[Any] = []
    lab.node("P_rig_1", post, {"DATA": seen.append})
    eventually(lambda: host.has("P_rig_1"))
    host.send("P_rig_1", "DATA", 1, repeat=False, flags=())
    eventually(lambda: seen == [1])


def test_what_a_role_sends_and_learns_is_its_stations(lab: Lab) -> None:
    post = lab.post()
    host = host_of(post)
    lab.node("n", post, {"K": nothing})
    eventually(lambda: host.has("n"))
    assert host.send("n", "K", 1, repeat=True, flags=()).wait(DEADLINE_S)
    host.learn("far", "n")
    assert post.core.endpoint.router.next_hop("far") == "n"
    eventually(lambda: host.is_ours("n"))
    assert not host.is_late("n")
    assert host.clock() is not None  # nobody is above, so that its clock is the lab's


def test_a_promise_is_the_roles_to_settle(lab: Lab) -> None:
    promise = host_of(lab.post()).promise()
    assert not promise.settled
    promise.settle(confirmed=False, reason="it was given up")
    assert (promise.expired, promise.reason) == (True, "it was given up")


def test_a_role_may_end_its_station(lab: Lab) -> None:
    closing = threading.Event()
    host_of(lab.post(), closing=closing).stop()
    assert closing.is_set()
