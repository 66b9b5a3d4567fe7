"""How a message stands on the wire: its head is read without decoding it, and plain values are written at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autopilot_net import BadMessage
from autopilot_net.codec import Head, encode, head

MESSAGE = {"id": "T_1", "to": "rig_1", "sender": "T", "key": "CONFIRM", "value": "rig_1_7", "ttl": 5}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_head_is_read_as_ours_and_autopilots_own_write_it(separators: tuple[str, str]) -> None:
    raw = json.dumps(MESSAGE, separators=separators).encode()
    assert head(raw) == Head("T_1", "rig_1", "T", "CONFIRM", "rig_1_7")


def test_the_key_of_a_batch_comes_behind_what_tells_of_its_items() -> None:
    flags = {"MINPRINT": True, "NOREPEAT": True}
    batch: dict[str, Any] = {"id": "_rig_1_3", "to": "T", "sender": "_rig_1_wheel", "flags": flags}
    batch |= {"timestamp": "2027-01-15", "first": 0, "items": 2, "key": "STREAM", "value": {"key": "no"}}
    for separators in ((",", ":"), (", ", ": ")):
        raw = json.dumps(batch, separators=separators).encode()
        assert head(raw) == Head("_rig_1_3", "T", "_rig_1_wheel", "STREAM")


def test_what_was_relayed_tells_where_it_began_unless_that_comes_late() -> None:
    relayed = MESSAGE | {"key": "DATA", "origin": {"sender": "_rig_1", "id": "_rig_1_2"}}
    assert head(json.dumps(relayed).encode()) == Head("T_1", "rig_1", "T", "DATA", "rig_1_7", "_rig_1_2")
    late = relayed | {"value": {"much": "x" * 5000}}
    assert head(json.dumps(late).encode()) == Head("T_1", "rig_1", "T", "DATA")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"id":"T_1","to":["rig_1","cam"],"sender":"T"}', Head("T_1")),
        (b'{"id":"a \\"b\\"","to":"c"}', Head('a "b"')),
        (b'{"to":"rig_1","id":"T_1"}', None),
        (b'{"id":"\\ud800"}', None),  # half a character
        (b"\xff\x00\0\0", None),
        (b"", None),
    ],
)
def test_of_what_is_written_otherwise_no_more_is_told_than_can_be(raw: bytes, told: Head | None) -> None:
    assert head(raw) == told


@given(st.binary() | st.binary().map(lambda some: b'{"id":"' + some))
def test_no_bytes_do_worse_than_having_no_head(raw: bytes) -> None:
    head(raw)


@given(st.fixed_dictionaries({name: st.text(max_size=40) for name in ("id", "to", "sender", "key", "value")}))
def test_any_texts_come_back(message: dict[str, str]) -> None:
    in_order = {name: message[name] for name in ("id", "to", "sender", "key", "value")}
    assert head(json.dumps(in_order, ensure_ascii=False).encode()) == Head(**message)


class Text(str):
    """Text of a type of its own."""

    __slots__ = ()


class Own(dict[str, Any]):
    """What no writer takes for a plain dict, so that all of it is looked through."""


_leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
_keys = st.text(max_size=5) | st.integers(0, 9)
_values = st.recursive(
    _leaves | st.just(Text("t")) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3) | st.tuples(inner),
)


@given(value=_values)
@example(value=float("nan"))
@example(value={"null": None, "reaction": float("nan")})
@example(value=["\ud800"])
def test_whether_it_is_looked_through_or_not_the_same_is_written(value: object) -> None:
    """What is made of plain types alone goes to the writer as it is."""
    assert written({"value": value}) == written(Own(value=value))


def written(value: object) -> bytes | str:
    try:
        return encode(value)
    except BadMessage as error:
        return str(error)
