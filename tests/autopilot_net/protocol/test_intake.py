"""Whatever a peer sends is an effect, never an exception: the I/O thread must outlive it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autopilot_net.codec import encode
from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Handled, Saved
from autopilot_net.protocol.effects import Deliver, Dropped, Store, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from tests.autopilot_net.protocol.test_frames import station

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
    return encode(fields)


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


no_counts = (
    st.booleans()
    | st.floats()
    | st.integers(min_value=1 << 53)
    | st.integers(max_value=-1)
    | st.none()
    | st.text(max_size=2)
)
numbered = {"inc": "a", "seq": 1, "low": 1}
told = {"key": "CONFIRM", "value": "T_1", "sender": "n", "flags": {"NOREPEAT": True}}


@settings(max_examples=100, deadline=None)
@given(no_counts)
@example(True)
@example(False)
@example(1.0)
@example(1 << 53)
def test_what_is_no_count_where_one_belongs_raises_nothing_and_is_kept_nowhere(odd: Any) -> None:
    """As `"low": true`, which a store would write down and never read again."""
    saved = Saved("1")
    terminal = Endpoint("T", forwards=True, incarnation="1", saved=saved)
    terminal.meet("n", now=0)
    terminal.send(Message(id="T_1", to="n", sender="T", key="K"), repeat=True, now=0)
    batch = {"key": "STREAM", "inc": "a", "flags": {"NOREPEAT": True}}
    for number, more in enumerate(
        [
            *({**numbered, name: odd} for name in ("seq", "low", "ttl", "again")),
            {**numbered, "seq": odd, "low": odd},
            *({**batch, "first": 0, "items": 1, name: odd} for name in ("first", "items")),
            *({**told, "re": ["1", 1], "received": True, "missing": gap} for gap in ([odd, 1], [1, odd], [odd, odd])),
            *({**told, "re": re, "received": True} for re in ([odd, 1], ["1", odd], odd)),
            {"key": "CLOCK", "inc": "a", "flags": {"NOREPEAT": True}, "value": [odd, odd, odd], "re": odd},
        ]
    ):
        fields = {"id": f"n_{number}", "to": "T", "sender": "n", "key": "K", "timestamp": "", **more}
        effects = terminal.receive("n", [b"T", b"T", encode(fields)], now=0)
        for effect in [*effects]:
            if isinstance(effect, Deliver):
                effects += terminal.handled(effect.ticket, now=0)
        for effect in effects:
            if isinstance(effect, Store):
                kept = msgspec.msgpack.encode(effect.record)
                assert msgspec.msgpack.decode(kept, type=type(effect.record)) == effect.record
    terminal.handle_timer(now=1)


@settings(max_examples=50, deadline=None)
@given(no_counts.filter(lambda odd: odd is not None))
@example(True)
def test_a_low_that_is_no_count_is_dropped_and_counted(low: Any) -> None:
    fields = {"id": "1", "to": "s", "sender": "n", "key": "K", **numbered, "low": low}
    (effect,) = station(below=("n",)).receive("n", [b"s", b"s", encode(fields)], now=0)
    assert isinstance(effect, Dropped)
    assert effect.count == 1


@pytest.mark.parametrize("ttl", [True, False, 1.0, -1, 1 << 53, "5", None])
def test_a_ttl_that_is_no_count_is_refused_where_it_is_sent(ttl: Any) -> None:
    with pytest.raises(BadMessage, match=r"message s_9 .* ttl .* whole number"):
        waiting_station().send(Message(id="s_9", to="n", sender="s", key="K", ttl=ttl), repeat=True, now=0)


@pytest.mark.parametrize(("first", "items"), [(True, 1), (False, 1), (0, True), (1 << 60, 1), (-5, 1), (0, -1)])
def test_a_batch_whose_place_is_no_count_has_no_place(first: Any, items: Any) -> None:
    """It is handed on as a message of a lab's own, which may say `items` of something else."""
    fields = {"id": "1", "to": "s", "sender": "n", "key": "K", "flags": {"NOREPEAT": True}, "inc": "a"}
    raw = encode({**fields, "first": first, "items": items})
    receiver = station(below=("n",))
    assert [type(effect) for effect in receiver.receive("n", [b"s", b"s", raw], now=0)] == [Deliver]
    raw = encode({**fields, "first": 0, "items": 1})
    assert [type(effect) for effect in receiver.receive("n", [b"s", b"s", raw], now=0)] == [Deliver]


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
