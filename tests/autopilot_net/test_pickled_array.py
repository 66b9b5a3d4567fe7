"""What a pickle may hold: one plain array, or an array of plain objects, in just the words numpy uses for it."""

import pickle
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest

from autopilot_net.arrays import decode_array, encode_array, serialize_array
from autopilot_net.errors import BadMessage
from tests.autopilot_net.array_samples import (
    ITEM_SIZE,
    MANY,
    MIXED,
    PROTOCOLS,
    SMALL,
    Array,
    Quantity,
    objects,
    protocol_3,
    refusal,
    wire,
    wire_of_pickle,
)
from tests.autopilot_net.test_pickles import BEGUN, END, WIDE


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_structured_arrays_are_refused_by_name_on_arrival_too(protocol: int) -> None:
    assert "'V16'" in refusal(wire_of_pickle(pickle.dumps(np.zeros(2, "f8,f8"), protocol)))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_objects_than_plain_arrays_are_refused(protocol: int) -> None:
    others: list[object] = [1, None, "x", b"x", (), [], {}, np.float64(1), np.dtype("f8"), np.ndarray, OrderedDict(a=1)]
    odd: list[object] = [(), [], {}, b"x", np.float64(1), np.arange(2), OrderedDict(a=1), 10**999]
    others += [objects(one) for one in odd]
    others += [np.zeros(2, [("x", "f8")]), np.ma.masked_array([1], [True]), np.zeros(2, "V3")]
    others += [np.matrix([[1]]), np.zeros(2, np.longdouble), (np.arange(3),), np.arange(3).view(Quantity), 10**400]
    others += [np.zeros(2, np.dtype("f8", metadata={"a": 1}))]
    for value in others:
        refusal(wire_of_pickle(pickle.dumps(value, protocol)))


def assert_same_objects(one: Array, other: Array) -> None:
    assert (one.dtype, one.shape) == (np.dtype(object), other.shape)
    assert [(type(a), a) for a in one.flat] == [(type(b), b) for b in other.flat]
    assert all(one.flags[flag] for flag in ("WRITEABLE", "C_CONTIGUOUS", "OWNDATA"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        *(MIXED, MANY, np.asfortranarray(MIXED), objects(), objects("one"), objects(None, shape=())),
        *(objects("ж" * 70_000), objects(*["same" * 50] * 5_000), objects(shape=(0, 3))),
    ],
)
def test_an_array_of_text_numbers_and_truths_is_read_as_what_it_is(array: Array, protocol: int) -> None:
    pickled = pickle.dumps(array, protocol)
    assert_same_objects(decode_array(wire_of_pickle(pickled)), array)
    declared = wire_of_pickle(pickled, DTYPE="object", SHAPE=list(array.shape))
    assert_same_objects(decode_array(declared), array)


def test_no_unpickler_is_started_for_objects_either(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [wire_of_pickle(pickle.dumps(MIXED, protocol)) for protocol in PROTOCOLS]
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("it was"))
    for message in messages:
        assert_same_objects(decode_array(message), MIXED)


def test_objects_that_remember_everything_cost_what_their_number_allows() -> None:
    message = wire_of_pickle(b"\x80\x04" + BEGUN[2:] + b"\x94" * 10**6)
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage, match="over 262144"):
            decode_array(message)
        assert tracemalloc.get_traced_memory()[1] < 32 * SMALL
    finally:
        tracemalloc.stop()


def test_objects_of_much_text_that_takes_four_times_its_size_are_refused() -> None:
    pickled = BEGUN + WIDE * 9 + END
    with pytest.raises(BadMessage, match="more text beyond Latin-1"):
        decode_array(wire_of_pickle(pickled), max_bytes=8 * SMALL)


def test_objects_that_were_not_packed_are_addresses_and_refused() -> None:
    assert "addresses" in refusal(wire(objects("a", "b").tobytes(), DTYPE="object", SHAPE=[2]))


def test_objects_of_another_shape_than_is_declared_are_refused() -> None:
    pickled = pickle.dumps(MIXED)
    assert "declared" in refusal(wire_of_pickle(pickled, DTYPE="object", SHAPE=[9]))
    assert "declared" in refusal(wire_of_pickle(pickled, DTYPE="float64", SHAPE=[3, 3]))
    assert "declared" in refusal(wire_of_pickle(pickle.dumps(np.arange(9)), DTYPE="object", SHAPE=[9]))


@pytest.mark.parametrize("send", [serialize_array, lambda array: encode_array(array, pack=True)])
def test_an_array_of_objects_is_sent_as_lists_and_by_nothing_else(send: Callable[[Array], object]) -> None:
    with pytest.raises(BadMessage, match=r"array.tolist\(\)"):
        send(MIXED)


def edited(array: Array, *edits: tuple[bytes, bytes]) -> dict[str, object]:
    """The pickle of an array with some of its bytes replaced."""
    pickled = protocol_3(array)
    for old, new in edits:
        assert pickled.count(old) == 1, pickled
        pickled = pickled.replace(old, new)
    return wire_of_pickle(pickled)


@pytest.mark.parametrize(
    ("array", "old", "new"),
    [
        (np.arange(3.0), ITEM_SIZE, b"NNNM\xff\x7fJ\xff\xff\xff\xffK\0t"),  # items of 32767 bytes
        (np.arange(3.0), ITEM_SIZE, ITEM_SIZE.replace(b"K\0", b"K\x3f")),  # flags of objects
        (np.arange(3.0), ITEM_SIZE, b"NX\1\0\0\0a\x85}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t"),  # fields
        (np.arange(3.0), ITEM_SIZE, b"f8NN" + ITEM_SIZE[3:]),  # opcodes 'f8', which are none
        (np.array([b"ab"]), b"NNNK\2K\1", b"NNNM\xff\x7fK\1"),  # a string of 32767 bytes
        (np.array([b"ab"]), b"NNNK\2K\1", b"NNNK\2K\2"),  # another alignment
        (np.array(["ab"]), b"NNNK\x08K\4", b"NNNK\x02K\4"),
        (np.array([1], "M8[s]"), b"C\1sq", b"C\1Oq"),  # a unit that is none
        (np.array([1], "M8[s]"), b"X\2\0\0\0M8", b"X\2\0\0\0f8"),  # a number that has one
        (np.array([1], "M8[s]"), b"K\1K\1K\1t", b"K\0K\1K\1t"),  # and one of no seconds
        (np.arange(3.0), b"X\2\0\0\0f8", b"X\2\0\0\0O8"),
        (np.arange(3.0), b"X\2\0\0\0f8", b"X\3\0\0\0f16"),
        (np.arange(3.0), b"X\2\0\0\0f8", b"X\2\0\0\0f4"),  # another dtype than the data are for
        (np.arange(3.0), b"X\1\0\0\0<", b"X\1\0\0\0="),
        (np.arange(3.0), b"X\1\0\0\0<", b"X\2\0\0\0\xff\xfe"),  # no UTF-8
        (np.arange(3.0), b"K\3\x85", b"K\4\x85"),  # a shape beyond the data
        (np.arange(3.0), b"K\3\x85", b"K\2\x85"),
        (np.arange(3.0), b"K\3\x85", b"\x88\x85"),
        (np.arange(3.0), b"K\3\x85", b"N\x85"),
        (np.arange(3.0), b"K\3\x85", b"K\3"),
        (np.arange(3.0), b"K\3\x85", b"J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86"),  # -1 times -3
        (np.arange(3.0), b"K\3\x85", b"\x8a\x09\0\0\0\0\0\0\0\0\1\x85"),  # 2**64
        (np.arange(3.0), b"K\3\x85", b"\x8a\xff" + b"\x7f" * 255 + b"\x85"),
        (np.arange(3.0), b"\x89C\x18", b"K\2C\x18"),  # a Fortran flag that is no truth
        (np.arange(3.0), b"K\0\x85", b"K\1\x85"),
        (np.arange(3.0), b"cnumpy\nndarray\n", b"cnumpy\nmatrix\n"),
        (np.arange(3.0), b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"),
        (np.arange(3.0), b"cnumpy\nndarray\n", b"ccollections\nOrderedDict\n"),
        (np.arange(3.0), b"cnumpy\nndarray\n", b"cnumpy\n\\H\n"),  # genops would warn of the escape
        (np.arange(3.0), b"cnumpy\nndarray\n", b"c" + b"a" * 70 + b"\n"),
        (np.array(["a", 1], object), b"K\x02\x85", b"K\x03\x85"),  # more than there are
        (np.array(["a", 1], object), b"K\x3ft", b"K\x00t"),
        (np.array(["a", 1], object), b"X\2\0\0\0O8", b"X\2\0\0\0O2"),
        (np.array(["a", 1], object), b"X\2\0\0\0O8", b"X\2\0\0\0f8"),
        (np.array(["a", 1], object), b"]q\x0d(X\1\0\0\0aq\x0eK\1e", b"C\x10" + b"a" * 16),  # bytes for objects
        (np.array(["a", 1], object), b"K\1e", b"h\x0de"),  # itself among them
        (np.array(["a", 1], object), b"K\1e", b")e"),
        (np.array(["a", 1], object), b"K\1e", b"K\1e]"),  # another list
        (np.array(["a", 1], object), b"K\1e", b"K\1eNa" + b"N" * 5),
        (np.array(["a", 1], object), b"(X\1\0\0\0a", b"X\1\0\0\0a"),  # no mark
        (np.array(["a", 1], object), b"\x89]", b"\x89N]"),
        (np.arange(3.0), b"\x80\x03", b"\x80\x01"),
        (np.arange(3.0), b"\x80\x03", b"\x80\x06"),
    ],
)
def test_a_pickle_with_one_thing_wrong_is_refused(array: Array, old: bytes, new: bytes) -> None:
    refusal(edited(array, (old, new)))
