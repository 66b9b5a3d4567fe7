"""How a listen is found, how it wants to be called, and what is said of names that are gone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from autopilot_net import DeliveryExpired, Message
from tests.autopilot_net.node_pair import Pair
from tests.patience import DEADLINE_S

# -- hearing -----------------------------------------------------------------------------------------------------------


class Listening:
    """Every way to write a listen."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    def bare(self, value):  # type: ignore[no-untyped-def]  # as Autopilot's programs write them
        self.came.append(value)

    def typed(self, value: dict[str, int]) -> None:
        self.came.append(value)

    def whole(self, message: Message) -> None:
        self.came.append(message)

    def whole_and_more(self, message: Message, more: int = 1) -> None:
        self.came.append(message)


def by_type(came: list[Any]) -> Callable[..., None]:
    """A listen whose annotation is the class itself, as it is without `from __future__ import annotations`."""

    def listen(message: Any) -> None:
        came.append(message)

    listen.__annotations__["message"] = Message
    return listen


@pytest.mark.parametrize("how", ["bare", "typed", "append", "partial"])
def test_a_listen_gets_the_value(pair: Pair, how: str) -> None:
    listening = Listening()
    ways = {"append": listening.came.append, "partial": partial(Listening.typed, listening)}
    pair.both(listens={"Y": ways.get(how) or getattr(listening, how)})
    pair.reaches("Y", {"a": 1})
    assert listening.came == [{"a": 1}]


@pytest.mark.parametrize("how", ["whole", "whole_and_more", "by_type"])
def test_a_listen_that_declares_it_gets_the_message(pair: Pair, how: str) -> None:
    listening = Listening()
    listen = by_type(listening.came) if how == "by_type" else getattr(listening, how)
    pair.both(listens={"Y": listen})
    pair.reaches("Y", {"a": 1})
    (came,) = listening.came
    assert (came.key, came.value, came.sender, came.to, came.came_from) == ("Y", {"a": 1}, "hub", "leaf", "hub")


class Looked:
    """A listen that counts how often somebody looks at how it is written."""

    def __init__(self, parameter: inspect.Parameter) -> None:
        self.came: list[Any] = []
        self.looks = 0
        self._parameter = parameter

    @property
    def __signature__(self) -> inspect.Signature:
        self.looks += 1
        return inspect.Signature([self._parameter])

    def __call__(self, value: Any) -> None:
        self.came.append(value)


def test_how_a_listen_is_written_is_looked_at_once_and_again_for_another_under_its_key(pair: Pair) -> None:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    bare = Looked(inspect.Parameter("value", kind))
    whole = Looked(inspect.Parameter("message", kind, annotation=Message))
    leaf = pair.both(listens={"Y": bare})
    for n in range(3):
        pair.reaches("Y", n)
    leaf.listens["Y"] = whole
    for n in range(3):
        pair.reaches("Y", n)
    assert (bare.came, [one.value for one in whole.came]) == ([0, 1, 2], [0, 1, 2])
    assert (bare.looks, whole.looks) == (1, 1)


def test_what_nobody_listens_for_fails_with_a_warning_and_the_reason(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.both()
    sent = pair.hub.send("leaf", "NEVER", 1, repeat=True)
    with pytest.raises(DeliveryExpired, match="nobody listens for NEVER at leaf"):
        sent.wait(DEADLINE_S)
    assert (sent.expired, sent.refused, sent.reason) == (True, True, "nobody listens for NEVER at leaf")
    assert type(sent.reason) is str
    assert "leaf: nobody listens for NEVER, which hub sent" in caplog.text


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "instead"), [("loop", "release"), ("file_block", "pulled in parts")])
def test_a_name_that_is_gone_says_what_there_is_instead(pair: Pair, name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=f"Net_Node has no '{name}': .*{instead}"):
        getattr(pair.hub, name)
    assert not hasattr(pair.hub, name)


def test_a_name_of_nobodys_is_an_attribute_error_like_any_other(pair: Pair) -> None:
    with pytest.raises(AttributeError, match="'Net_Node' object has no attribute 'lop'"):
        pair.hub.lop  # noqa: B018
