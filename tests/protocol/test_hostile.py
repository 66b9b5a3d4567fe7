"""Whatever a peer sends is an effect, never an exception: the I/O thread must outlive it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopilot_net.message import Message, plain_json
from autopilot_net.protocol.effects import Deliver, Dropped, Store, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.records import Handled, Saved
from tests.protocol.test_frames import station

FIELDS = ["inc", "seq", "low", "again", "via", "re", "received", "failed", "missing", "first", "items", "redelivered"]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ids = st.sampled_from(["s", "_s", "n", "parent", "X", "P_x", ""])
seldom_odd = st.integers(0, 5) | anything


def waiting_station() -> Endpoint:
    """A station that awaits confirmations from above, from below and from behind its neighbour."""
    made = station(below=("n",))
    made.learn("X", "n", now=0)
    for to in ("parent", "n", "X", "_s"):
        made.send(Message(id=f"s_{to}", to=to, sender="s", key="K"), repeat=True, now=0)
    return made


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    fields: dict[str, Any] = {
        "id": draw(st.sampled_from(["1", "s_parent", "s_n"])),
        "to": draw(st.sampled_from(["s", "_s", "X"]) | st.lists(ids, min_size=1, max_size=2)),
        "sender": draw(ids),
        "key": draw(st.sampled_from(["CONFIRM", "GONE", "DATA", "STREAM", "CLOCK"])),
        "value": draw(st.sampled_from(["s_parent", "s_n", "X"]) | anything),
        "flags": draw(st.sampled_from([{}, {"NOREPEAT": True}])),
        "inc": draw(st.just("a") | anything),
        "timestamp": draw(anything),
        **draw(st.dictionaries(st.sampled_from(FIELDS), seldom_odd | st.lists(ids, max_size=3))),
    }
    return plain_json(fields)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["n", "parent", "new", "_s"]),
            st.lists(ids.map(str.encode) | st.binary(max_size=2), max_size=4),
            messages() | st.binary(max_size=20),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_no_frames_break_an_endpoint(arrivals: list[tuple[str, list[bytes], bytes, bool]]) -> None:
    endpoint = waiting_station()
    for now, (peer, frames, last, is_mine) in enumerate(arrivals):
        effects = endpoint.receive(peer, [b"s", b"s", last] if is_mine else [*frames, last], now=now)
        for effect in effects:
            if isinstance(effect, Deliver):
                endpoint.handled(effect.ticket, failed=now % 2 == 0, now=now)
        endpoint.handle_timer(now=now)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b'"text"',
        b"{",
        b"\xff",
        b"{}",
        b'{"id":1,"to":"s","sender":"n","key":"K"}',
        b'{"id":"1","to":"s","sender":"n","key":"K","flags":[]}',
        b'{"id":"1","to":"s","sender":"\\ud800","key":"K"}',
        b'{"id":"\\ud800","to":"s","sender":"n","key":"K"}',
    ],
    ids=repr,
)
def test_what_is_no_message_is_dropped_and_said(payload: bytes) -> None:
    (effect,) = station(below=("n",)).receive("n", [b"s", b"s", payload], now=0)
    assert isinstance(effect, Dropped)


@pytest.mark.parametrize("via", [["\ud800"], [1], "s", {}, None], ids=repr)
def test_a_way_back_that_no_frame_can_name_counts_as_none(via: Any) -> None:
    payload = json.dumps({"id": "1", "to": "s", "sender": "n", "key": "K", "via": via, "inc": "a", "seq": 2, "low": 1})
    (told,) = station(below=("n",)).receive("n", [b"s", b"s", payload.encode()], now=0)
    assert isinstance(told, Transmit)
    assert (told.peer, len(told.frames)) == ("n", 1)


@pytest.mark.parametrize(
    ("inc", "seq"), [("\ud800", 2), (None, 2), (3, 2), ("a", "2"), ("a", True), ("a", 0), ("a", None)]
)
def test_a_number_that_is_none_counts_as_absent(inc: Any, seq: Any) -> None:
    payload = json.dumps({"id": "1", "to": "s", "sender": "n", "key": "K", "inc": inc, "seq": seq, "low": 1})
    (effect,) = station(below=("n",)).receive("n", [b"s", b"s", payload.encode()], now=0)
    assert isinstance(effect, Deliver)


def test_depth_breaks_nothing() -> None:
    receiver = station(below=("n",))
    for depth in (100, 900, 100_000):
        nested = b"[" * depth + b"]" * depth
        for key in (b"CONFIRM", b"GONE", b"DATA", b"CLOCK"):
            payload = b'{"id":"1","to":"s","sender":"n","key":"%b","timestamp":%b,"value":%b}' % (key, nested, nested)
            receiver.receive("n", [b"s", b"s", payload], now=0)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "\ud800", "flags": 1},
        {"timestamp": "\ud800"},
        {"id": "\ud800"},
        {"seq": 1 << 70, "low": 1, "inc": "a"},
        {"seq": 1 << 70, "low": 1 << 70, "inc": "a"},
    ],
    ids=str,
)
def test_what_is_told_of_an_odd_message_can_be_written_down(odd: dict[str, Any]) -> None:
    """To a trace, which is UTF-8, and to a store, whose integers end somewhere."""
    fields = {"id": "x", "to": "T", "sender": "n", "key": "K", "value": None, "timestamp": "", **odd}
    terminal = Endpoint("T", forwards=True, incarnation="1", saved=Saved("1"))
    effects = terminal.receive("n", [b"T", b"T", json.dumps(fields).encode()], now=0)
    for effect in [*effects]:
        if isinstance(effect, Deliver):
            effects += terminal.handled(effect.ticket, now=0)
    for effect in effects:
        if isinstance(effect, Dropped):
            effect.reason.encode()
        if isinstance(effect, Store):
            kept = msgspec.msgpack.decode(msgspec.msgpack.encode(effect.record), type=type(effect.record))
            assert kept == effect.record
            assert not isinstance(kept, Handled) or kept.seq < 1 << 63
