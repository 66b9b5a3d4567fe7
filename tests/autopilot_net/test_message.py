"""Messages: their manners, what survives the wire and what is refused, and that no bytes do worse than BadMessage."""

from __future__ import annotations

import contextlib
import copy
import enum
import json
import math
import multiprocessing
import pickle
from collections import OrderedDict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autopilot_net import BadMessage, Message, encode_array
from autopilot_net.codec import encode
from autopilot_net.message import expand, expand_fields, iso_time

ARRAY = np.arange(6, dtype=np.int16).reshape(2, 3)


def message(value: Any = None, **extra: Any) -> Message:
    return Message(id="rig_1_7", to="T", sender="rig_1", key="DATA", value=value, **extra)


def read(raw: bytes | str) -> Message:
    return Message(msg=raw)


def fields(one: Message) -> dict[str, Any]:
    return {name: one[name] for name in one}


def same(one: Any, other: Any) -> bool:
    """Equal as JSON is: NaN is NaN, and True is not 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers() | st.integers(-(10**40), 10**40) | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
OWN = {"id", "to", "sender", "key", "value", "flags", "blosc", "ttl", "msg", "expand_arrays", "self"}


# -- manners -------------------------------------------------------------------------------------------------------


def test_a_message_reads_as_an_object_and_as_a_dict() -> None:
    one = message({"rt": 0.3}, subject="m1")
    assert one.key == one["key"] == "DATA"
    assert one.subject == one["subject"] == one.get("subject") == "m1"
    assert "subject" in one
    assert "pilot" not in one
    assert one.get("pilot") is None
    assert one.get("pilot", "rig_1") == "rig_1"
    assert len(one) == len(list(one)) == 9
    assert fields(one)["value"] == {"rt": 0.3}


def test_a_field_is_set_and_deleted_in_either_manner() -> None:
    one = message()
    one.subject = "m1"
    one["pilot"] = "rig_1"
    assert (one["subject"], one.pilot) == ("m1", "rig_1")
    del one.subject
    del one["pilot"]
    assert "subject" not in one
    assert "pilot" not in one


def test_a_field_that_is_not_there_is_missed_as_it_would_be_in_an_object_and_in_a_dict() -> None:
    with pytest.raises(AttributeError, match=r"rig_1_7.*'subject'"):
        _ = message().subject
    with pytest.raises(AttributeError, match=r"rig_1_7.*'subject'"):
        del message().subject
    with pytest.raises(KeyError, match="subject"):
        _ = message()["subject"]
    with pytest.raises(KeyError, match="subject"):
        del message()["subject"]
    assert not hasattr(message(), "_private")


def test_what_a_message_does_not_say_has_its_usual_value() -> None:
    one = Message()
    assert (one.value, one.flags, one.blosc, one.ttl) == (None, {}, False, 5)


def test_messages_with_equal_fields_are_equal() -> None:
    assert message([1]) == message([1])
    assert message([1]) != message([2])
    assert message() != fields(message())
    with pytest.raises(TypeError, match="unhashable"):
        hash(message())


def test_a_message_shows_its_fields() -> None:
    assert repr(message(3)).startswith("Message(id='rig_1_7', to='T', sender='rig_1', key='DATA', value=3")


@pytest.mark.parametrize("missing", ["id", "to", "sender", "key"])
def test_a_message_without_one_of_its_four_names_is_not_valid_and_not_sent(missing: str) -> None:
    one = message()
    del one[missing]
    assert not one.validate()
    with pytest.raises(BadMessage, match=f"cannot be sent without {missing}"):
        one.serialize()


@pytest.mark.parametrize(
    "odd", [{"id": 3}, {"key": None}, {"sender": b"rig_1"}, {"to": []}, {"to": ["T", 3]}, {"to": 3}]
)
def test_the_four_names_are_text_and_only_to_may_be_a_list_of_hops(odd: dict[str, Any]) -> None:
    one = message()
    assert one.validate()
    one.to = ["rig_1", "T"]
    assert one.validate()
    for name, value in odd.items():
        one[name] = value
    assert not one.validate()
    with pytest.raises(BadMessage, match="as text"):
        one.serialize()


def test_flags_that_are_no_object_are_refused() -> None:
    with pytest.raises(BadMessage, match=r"flags of message rig_1_7 .* are list"):
        message(flags=["NOREPEAT"])
    with pytest.raises(BadMessage, match=r"flags .* are NoneType"):
        read(b'{"flags": null}')


# -- what a name on the wire may not do ----------------------------------------------------------------------------

METHODS = ["serialize", "validate", "get", "came_from"]
PRIVATE = ["_fields", "__class__", "__init__", "__dict__", "_anything"]


@pytest.mark.parametrize("name", METHODS + PRIVATE)
def test_a_name_on_the_wire_shadows_no_method_and_no_private_name(name: str) -> None:
    one = read(json.dumps({"id": "n_1", "to": "T", "sender": "n", "key": "K", name: "evil"}).encode())
    assert one[name] == "evil"
    assert getattr(one, name, None) != "evil"
    assert one.validate()
    assert read(one.serialize())[name] == "evil"
    assert one.came_from is None


@pytest.mark.parametrize("name", [name for name in METHODS if name != "came_from"] + PRIVATE[:1])
def test_a_field_with_a_name_of_the_message_s_own_is_set_as_in_a_dict(name: str) -> None:
    one = message()
    with pytest.raises(AttributeError, match=rf"msg\['{name}'\]"):
        setattr(one, name, "mine")
    one[name] = "mine"
    assert read(one.serialize())[name] == "mine"


def test_by_what_neighbour_a_message_came_is_not_on_the_wire() -> None:
    one = message()
    one.came_from = "rig_1"
    assert one.came_from == "rig_1"
    assert "came_from" not in one
    assert b"came_from" not in one.serialize()


# -- the wire ------------------------------------------------------------------------------------------------------


@given(value=JSON, extra=st.dictionaries(TEXT.filter(lambda name: name not in OWN), JSON, max_size=3))
@example(value=[float("nan"), float("inf"), float("-inf"), -0.0], extra={})
@example(value=[2**64, -(2**63) - 1, 10**400, float("nan"), 2**64], extra={"big": 2**200})
@example(value="\0\u2028\U0001f400", extra={"": {"": []}})
def test_what_is_written_is_read(value: Any, extra: dict[str, Any]) -> None:
    sent = message(value)
    for name, item in extra.items():
        sent[name] = item
    got = read(sent.serialize())
    assert same(fields(got), fields(sent))
    assert same(fields(read(sent.serialize().decode())), fields(sent))


def test_the_wire_is_one_compact_utf_8_object_that_begins_with_the_id() -> None:
    raw = message("Größe", subject="m1").serialize()
    assert raw.startswith(b'{"id":"rig_1_7","to":"T","sender":"rig_1","key":"DATA","value":"Gr\xc3\xb6\xc3\x9fe"')
    assert json.loads(raw)["subject"] == "m1"


def test_not_a_number_is_written_as_python_peers_write_it_and_never_as_null() -> None:
    raw = message([math.nan, math.inf, -math.inf]).serialize()
    assert b"[NaN,Infinity,-Infinity]" in raw
    assert b"null" not in raw


def test_extra_attributes_travel() -> None:
    got = read(message(subject="m1", trial=3, nested={"a": [1, None]}).serialize())
    assert (got.subject, got.trial, got.nested) == ("m1", 3, {"a": [1, None]})


class Side(enum.StrEnum):
    LEFT = "L"


class Level(enum.IntEnum):
    TWO = 2


class Point(NamedTuple):
    x: int
    y: float


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1, 2.5), [1, 2.5]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": {"b": 1}}), {"a": {"b": 1}}),
        ({3: "three", Side.LEFT: "left"}, {"3": "three", "L": "left"}),
        (Side.LEFT, "L"),
        (Level.TWO, 2),
        (np.float64(0.5), 0.5),
        (np.float32("nan"), math.nan),
        (np.int64(-3), -3),
        (np.uint8(255), 255),
        (np.bool_(True), True),
        (np.str_("m1"), "m1"),
    ],
)
def test_what_is_almost_json_arrives_as_what_it_almost_is(value: Any, arrives: Any) -> None:
    assert same(read(message([value]).serialize()).value, [arrives])


def test_the_same_data_give_the_same_bytes() -> None:
    assert encode({"b": (1,), "a": math.nan}) == encode({"b": [1], "a": np.float64("nan")})


# -- what cannot be sent -------------------------------------------------------------------------------------------


class Odd:
    pass


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (b"raw", "bytes"),
        (bytearray(b"raw"), "bytearray"),
        ({1, 2}, "set"),
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime"),
        (Odd(), "Odd"),
        (1j, "complex"),
        (np.complex128(1j), "complex128"),
        (np.datetime64("2026-01-01"), "datetime64"),
        (range(3), "range"),
    ],
)
def test_a_part_that_json_cannot_carry_is_named_with_its_message_and_its_place(part: Any, named: str) -> None:
    with pytest.raises(BadMessage, match=rf"message rig_1_7 \(DATA to T\).* {named} .* value\.trials\[1\]\.when$"):
        message({"trials": [{}, {"when": part}]}).serialize()
    with pytest.raises(BadMessage, match=rf"rig_1_7.* {named} .* extra$"):
        message(extra=part).serialize()


@pytest.mark.parametrize(
    ("key", "named"), [(None, "NoneType"), (True, "bool"), (1.5, "float"), (b"k", "bytes"), ((), "tuple")]
)
def test_a_key_that_is_no_text_is_named(key: Any, named: str) -> None:
    with pytest.raises(BadMessage, match=rf"rig_1_7.* {named} .* value\.a \(a key\)"):
        message({"a": {key: 1}}).serialize()


@pytest.mark.parametrize("beside", [0.5, math.nan])
def test_half_a_character_is_named_by_its_place(beside: float) -> None:
    """Python's text can hold one, of a broken file name say, and UTF-8 cannot."""
    with pytest.raises(BadMessage, match=r"rig_1_7.* value\.names\[1\] .*surrogates"):
        message({"rt": beside, "names": ["m1", "m\ud800"]}).serialize()
    with pytest.raises(BadMessage, match=r"rig_1_7.* value\.m\\ud800 .*surrogates"):
        message({"rt": beside, "m\ud800": 1}).serialize()


def test_an_integer_of_more_digits_than_python_reads_is_named_by_its_place() -> None:
    assert read(message(10**4000).serialize()).value == 10**4000
    with pytest.raises(BadMessage, match=r"rig_1_7.* value\[0\] .*4300 digits"):
        message([10**5000]).serialize()


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_what_is_nested_too_deep_or_in_itself_is_named() -> None:
    assert read(message(nested(150)).serialize()).value == nested(150)
    circle: list[Any] = []
    circle.append(circle)
    for deep in (nested(250), nested(100_000), circle):
        with pytest.raises(BadMessage, match=r"rig_1_7.* nested more than 200 deep at \.value"):
            message(deep).serialize()


def test_arrays_that_are_not_simple_are_refused() -> None:
    with pytest.raises(BadMessage, match="f8"):
        message(np.zeros(2, "f8,f8")).serialize()


# -- arrays --------------------------------------------------------------------------------------------------------

FRAME = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
MASKED = np.ma.masked_equal([1, 2], 2)


@pytest.mark.parametrize("blosc", [False, True])
def test_arrays_in_the_value_and_in_extra_attributes_arrive(blosc: bool) -> None:
    sent = message({"frames": [FRAME, {"inner": FRAME[0]}]}, blosc=blosc, arr=FRAME, empty=np.empty((0, 2)))
    got = Message(msg=sent.serialize(), expand_arrays=True)
    assert got.blosc is blosc
    for array, original in [
        (got.arr, FRAME),
        (got.empty, np.empty((0, 2))),
        (got.value["frames"][0], FRAME),
        (got.value["frames"][1]["inner"], FRAME[0]),
    ]:
        np.testing.assert_array_equal(array, original, strict=True)
    got.arr[0, 0, 0] = 7  # its own memory, and writable


@pytest.mark.parametrize("blosc", [False, True])
def test_arrays_stay_as_they_came_unless_they_are_asked_for(blosc: bool) -> None:
    got = read(message(FRAME, blosc=blosc).serialize())
    assert list(got.value) == ["NUMPY_ARRAY", "DTYPE", "SHAPE"]
    assert got.serialize() == message(FRAME, blosc=blosc).serialize()  # a relay changes nothing
    np.testing.assert_array_equal(expand(got.value), FRAME)


def test_whether_arrays_are_packed_is_the_message_s_word_unless_the_sender_knows_better() -> None:
    big = np.zeros(10_000)
    packed, bare = message(big, blosc=True), message(big)
    assert len(packed.serialize()) < 5_000 < len(bare.serialize())
    assert len(packed.serialize(pack=False)) > 5_000 > len(bare.serialize(pack=True))
    del bare["blosc"]
    assert len(bare.serialize()) > 5_000 > len(bare.serialize(pack=True))


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (MASKED, "value"),
        ({"frames": {"a": FRAME, "b": [FRAME, MASKED]}}, r"value\.frames\.b\[1\]"),
        ([np.zeros(2, dtype=[("x", "f8")])], r"value\[0\]"),
    ],
)
def test_an_array_that_cannot_be_carried_is_named_with_its_message_and_its_place(value: Any, at: str) -> None:
    with pytest.raises(BadMessage, match=rf"message rig_1_7 \(DATA to T\).* stands at {at}: .+"):
        message(value).serialize()


def test_an_array_that_cannot_be_read_is_named_with_its_message_and_its_place() -> None:
    bad = {"NUMPY_ARRAY": "!", "DTYPE": "uint8", "SHAPE": [1]}
    got = read(message({"frames": {"a": 1, "b": [2, bad]}}).serialize())
    with pytest.raises(BadMessage, match=r"message rig_1_7 \(DATA to T\): the array .* at value\.frames\.b\[1\] "):
        expand_fields(got, ["value"])


def test_an_array_that_cannot_be_trusted_is_refused_when_it_is_expanded() -> None:
    raw = b'{"value": {"a": [{"NUMPY_ARRAY": "AAAA", "DTYPE": "float64", "SHAPE": [1]}]}}'
    assert read(raw).value["a"][0]["DTYPE"] == "float64"
    with pytest.raises(BadMessage, match="8"):
        Message(msg=raw, expand_arrays=True)
    with pytest.raises(BadMessage, match="nested"):
        expand(nested(1_000))


# -- hostile bytes -------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"")
@example(b"\xff\xfe{}")
@example(b'{"id":"\xed\xa0\x80"}')
def test_any_bytes_are_a_message_or_a_bad_one(raw: bytes) -> None:
    with contextlib.suppress(BadMessage):
        assert isinstance(read(raw), Message)


@given(JSON, st.data())
def test_a_message_cut_short_is_a_bad_one(value: Any, data: st.DataObject) -> None:
    whole = message(value).serialize()
    with pytest.raises(BadMessage, match="no JSON"):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.text(max_size=60))
@example('{"id": "\ud800"}')
def test_any_text_is_a_message_or_a_bad_one(text: str) -> None:
    with contextlib.suppress(BadMessage):
        assert isinstance(read(text), Message)


@pytest.mark.parametrize("raw", [b"[]", b'"T"', b"3", b"null", b"NaN", b"true"])
def test_json_that_is_no_object_is_a_bad_message(raw: bytes) -> None:
    with pytest.raises(BadMessage, match="is a JSON object, and this is"):
        read(raw)


@pytest.mark.parametrize(
    "raw",
    [b"[" * 100_000, b'{"a":' * 100_000, b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
    ids=["lists", "objects", "whole"],
)
def test_a_message_nested_without_end_is_a_bad_one(raw: bytes) -> None:
    with pytest.raises(BadMessage, match="bytes that are no JSON"):
        read(raw)


def test_an_integer_without_end_is_a_bad_message() -> None:
    with pytest.raises(BadMessage, match="digits"):
        read(b'{"value":' + b"9" * 10_000 + b"}")


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    assert read(b'{"id":"a","id":"b"}').id == "b"
    assert read(b'{"id":"a","value":NaN,"id":"b"}').id == "b"


@pytest.mark.parametrize("raw", [b'{"a":1}{"b":2}', b'{"a":1},', b"{'a':1}", b'{"a":1', b'{"a":01}', b'{"a":nan}'])
def test_almost_json_is_a_bad_message_that_shows_its_beginning(raw: bytes) -> None:
    with pytest.raises(BadMessage, match=r"bytes that are no JSON .*: b[\"']{"):
        read(raw)


# -- other processes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_message_survives_pickling_field_by_field_and_in_order(protocol: int) -> None:
    one = message({"a": [1]}, subject="m1", flags={"NOLOG": True})
    del one["ttl"]
    for twin in (pickle.loads(pickle.dumps(one, protocol)), copy.copy(one), copy.deepcopy(one)):
        assert list(twin) == list(one)
        assert twin == one
        assert twin.serialize() == one.serialize()
        twin["subject"] = "m2"
        assert one.subject == "m1"


def test_a_message_travels_through_a_pipe_between_processes() -> None:
    here, there = multiprocessing.Pipe()
    with here, there:
        here.send(message([1.5], subject="m1"))
        assert there.recv() == message([1.5], subject="m1")


def test_whether_it_may_be_known_already_can_be_asked_of_any_message() -> None:
    message = Message(id="1", to="T", sender="n", key="K")
    assert message.redelivered is False
    assert "redelivered" not in message
    message["redelivered"] = True
    assert message.redelivered is True


# -- arrays of objects -------------------------------------------------------------------------------------------------


def test_an_array_of_what_json_can_carry_is_carried_as_the_lists_that_it_holds() -> None:
    """As the `values` of a table, or the names of its columns, are."""
    values = np.array([["m1", 1, 0.5], ["m2", None, True]], object)
    names = np.array(["subject", "n", "rt"], object)
    sent = message({"values": values, "columns": names, "one": np.array("x", object)})
    for pack in (False, True):
        came = Message(sent.serialize(pack=pack), expand_arrays=True).value
        assert came["values"] == [["m1", 1, 0.5], ["m2", None, True]]
        assert (came["columns"], came["one"]) == (["subject", "n", "rt"], "x")


def test_an_array_in_an_array_of_objects_is_carried_as_an_array() -> None:
    holder = np.empty(2, object)
    holder[:] = [ARRAY, np.float32(0.5)]
    inner, number = Message(message(holder).serialize(), expand_arrays=True).value
    assert np.array_equal(inner, ARRAY)
    assert number == 0.5


def test_what_an_array_holds_that_json_cannot_carry_is_named_by_its_place() -> None:
    values = np.array([["m1", 1], ["m2", {1, 2}]], object)
    with pytest.raises(BadMessage, match=r"JSON cannot carry the set that stands at value\[1\]\[1\]"):
        message(values).serialize()
    with pytest.raises(BadMessage, match="mask"):
        message(np.ma.masked_array(np.array(["a", 1], object), [True, False])).serialize()


def test_an_array_that_holds_itself_is_nested_too_deep() -> None:
    values = np.empty(1, object)
    values[0] = values
    with pytest.raises(BadMessage, match="nested more than 200 deep"):
        message(values).serialize()


# -- as Autopilot's programs use it ------------------------------------------------------------------------------------


def test_a_message_can_be_expanded_after_it_was_read() -> None:
    made = Message(id="m", to="a", sender="b", key="X", value={"it": [ARRAY]}, frame=ARRAY)
    came = Message(made.serialize())
    assert set(came.frame) == {"NUMPY_ARRAY", "DTYPE", "SHAPE"}
    for _ in range(2):
        came.expand()
        assert np.array_equal(came.frame, ARRAY)
        assert np.array_equal(came.value["it"][0], ARRAY)


def test_expanding_what_cannot_be_trusted_changes_nothing() -> None:
    came = message(good=encode_array(ARRAY, pack=False), frame={"NUMPY_ARRAY": "!", "DTYPE": "uint8", "SHAPE": [1]})
    with pytest.raises(BadMessage):
        came.expand()
    assert isinstance(came.good, dict)


@given(st.floats(-1e9, 4e9) | st.integers(0, 4_000_000_000) | st.integers(0, 4_000_000).map(lambda n: n + 0.9999996))
def test_a_time_is_told_as_datetime_tells_it(at: float) -> None:
    assert iso_time(at) == datetime.fromtimestamp(at, UTC).isoformat()
