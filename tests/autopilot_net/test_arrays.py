"""Arrays cross the wire whole, in both forms; what a stranger sends is an array or a BadMessage, and nothing is run."""

import base64
import pickle
import struct
import sys
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import blosc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autopilot_net.arrays import MAX_ARRAY_BYTES, decode_array, encode_array, is_array, serialize_array
from autopilot_net.errors import BadMessage

Array = np.ndarray[Any, Any]

SMALL = 2**20  # a limit for buffers that lie: whatever they claim must not cost more than some of this
PROTOCOLS = [2, 3, 4, 5]

# np.arange(10) as blosc2.pack_array of blosc2 2.4 to 4.14 packs it
BY_BLOSC2 = base64.b64decode(
    "BQEVCM8AAADIAAAA3AAAAAAAAAAAAQAAAAAAAAAAAAAoAAAA0QAAAKUAAAAngABwLpRilADgAAAOAG15aZROSpQFAHlujHUo4AAX"
    "EAAAcHA4KE7/YpUALnULZpYA4AAAHwB5ZZRLTv9LxIxfbV9mUAABAgMEBQYHCAmUlJSJA0r/BgoAE2NlZmXgAC8QAACMjJOIjP//"
    "hQBub3JycgDgAAANAAUFlIcB/0uUAHVyaW/gApQOAG5kjJQ8/wCMAG1lY22T4AAwCQAAdXQCUpT/dAEHAAAAQ5R0lFKULg=="
)


def wire(raw: bytes, **declared: object) -> dict[str, object]:
    return {"NUMPY_ARRAY": base64.b64encode(raw).decode(), **declared}


def wire_of_pickle(pickled: bytes, **declared: object) -> dict[str, object]:
    return wire(blosc.compress(pickled, typesize=1), **declared)


def raw_of(message: Any) -> bytes:
    return base64.b64decode(message["NUMPY_ARRAY"])


def assert_same(one: Array, other: Array) -> None:
    """The same down to the last bit, NaNs and byte order too."""
    assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def refusal(message: Any, max_bytes: int = SMALL) -> str:
    """Why `message` is refused; and refusing it costs little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage) as caught:
            decode_array(message, max_bytes=max_bytes)
        assert tracemalloc.get_traced_memory()[1] < 8 * SMALL
    finally:
        tracemalloc.stop()
    return str(caught.value)


def protocol_3(array: Array) -> bytes:
    """A pickle without frames, so that a test may edit it."""
    return pickle.dumps(array, protocol=3)


# What comes back is what was sent

dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.byte_string_dtypes(min_len=1),
    hnp.unicode_string_dtypes(min_len=1),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
layouts: st.SearchStrategy[Callable[[Array], Array]] = st.sampled_from(
    [
        lambda array: array,
        np.asfortranarray,
        lambda array: array.T,
        lambda array: array[..., ::-2] if array.ndim else array,
        lambda array: np.broadcast_to(array, (2, *array.shape)),
    ]
)
arrays = st.builds(lambda layout, array: layout(array), layouts, hnp.arrays(dtypes, shapes))


@settings(deadline=None, max_examples=200)
@given(arrays, st.booleans())
def test_an_array_comes_back_as_it_was_sent_in_both_forms(array: Array, pack: bool) -> None:
    message = encode_array(array, pack=pack)
    assert list(message) == ["NUMPY_ARRAY", "DTYPE", "SHAPE"]
    assert message["DTYPE"] == str(array.dtype)
    assert message["SHAPE"] == list(array.shape)
    assert is_array(message)
    received = decode_array(message)
    assert_same(received, array)
    assert received.flags.writeable
    assert received.flags.owndata
    assert received.flags.c_contiguous


@settings(deadline=None, max_examples=200)
@given(arrays)
def test_a_peer_that_unpickles_gets_what_was_packed(array: Array) -> None:
    unpacked = blosc.unpack_array(raw_of(serialize_array(array)))
    assert unpacked.dtype == array.dtype.newbyteorder("=")  # numpy's own unpickling swaps bytes, of this form
    assert_same(unpacked.astype(array.dtype), array)


@pytest.mark.filterwarnings("ignore:numpy.core.numeric is deprecated")  # numpy 2 reading numpy 1's name
@settings(deadline=None, max_examples=200)
@given(arrays, st.sampled_from(PROTOCOLS), st.booleans())
def test_what_a_peer_pickles_is_read_whatever_its_python_and_numpy(array: Array, protocol: int, numpy_1: bool) -> None:
    pickled = pickle.dumps(array, protocol)
    if numpy_1 and protocol < 4:
        pickled = pickled.replace(b"numpy._core.", b"numpy.core.", 1)
    elif numpy_1:  # one character less, which protocol 4 and 5 count in the text and in the frame around it
        pickled = pickled.replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray", 1)
        pickled = pickled.replace(b"\x13numpy._core.numeric", b"\x12numpy.core.numeric", 1)
        frame = int.from_bytes(pickled[3:11], "little") - 1
        pickled = pickled[:3] + frame.to_bytes(8, "little") + pickled[11:]
    assert_same(pickle.loads(pickled).astype(array.dtype), array)
    assert_same(decode_array(wire_of_pickle(pickled)), array)
    assert_same(decode_array(wire_of_pickle(pickled, DTYPE=str(array.dtype), SHAPE=list(array.shape))), array)


def test_a_datetime_pickled_by_numpy_1_is_read() -> None:
    dates = np.array(["2020-02-20", "NaT"], "M8[D]")
    pickled = protocol_3(dates).replace(b"N(C\1Dq", b"}(C\1Dq")  # numpy 2 writes None for what was an empty dict
    assert b"}" in pickled
    assert_same(decode_array(wire_of_pickle(pickled)), dates)


def test_what_is_packed_here_is_readable_for_any_python_3_and_numpy_1() -> None:
    pickled = blosc.decompress(raw_of(serialize_array(np.arange(3))))
    assert pickled.startswith(b"\x80\x03cnumpy.core.multiarray\n")
    assert b"_core" not in pickled


def test_data_that_look_like_the_head_of_a_pickle_stay_as_they_are() -> None:
    text = np.array([b"\x80\x03cnumpy._core.multiarray\n"])
    assert_same(decode_array(serialize_array(text)), text)


def test_an_array_packed_alone_has_no_other_key() -> None:
    assert list(serialize_array(np.arange(3))) == ["NUMPY_ARRAY"]


@pytest.mark.parametrize("value", [None, 1, "NUMPY_ARRAY", ["NUMPY_ARRAY"], {}, {"DTYPE": "f8"}])
def test_other_values_are_no_array(value: object) -> None:
    assert not is_array(value)


def test_the_remarks_that_a_dtype_can_carry_stay_at_home() -> None:
    remarked = np.zeros(2, np.dtype("f8", metadata={"unit": "mV"}))
    assert decode_array(serialize_array(remarked)).dtype.metadata is None


def test_strings_longer_than_blosc_has_item_sizes_are_packed() -> None:
    long = np.array(["é" * 500, "b"])
    assert_same(blosc.unpack_array(raw_of(encode_array(long, pack=True))), long)


def test_a_camera_frame_survives() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (480, 640), dtype=np.uint8)
    for pack in (False, True):
        assert_same(decode_array(encode_array(frame, pack=pack)), frame)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_and_a_memmap_arrive_as_arrays(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "mapped", np.int16, "w+", shape=(2, 2))
    for array in (np.matrix([[1, 2]]), mapped):
        received = decode_array(encode_array(array, pack=True))
        assert type(received) is np.ndarray
        assert_same(received, np.asarray(array))


# What is not sent


class Quantity(np.ndarray[Any, Any]):
    """An array with a unit, say."""


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.array([{}], object), "object"),
        (np.zeros(2, [("x", "f8")]), r"\[\('x', '<f8'\)\]"),
        (np.zeros(2, "V8"), r"\|V8"),
        (np.zeros(2, np.longdouble), str(np.dtype(np.longdouble))),
        (np.zeros(2, np.clongdouble), str(np.dtype(np.clongdouble))),
        (np.zeros(2, [("s", "S0")])["s"], r"\|S0"),
        (np.ma.masked_array([1, 2], mask=[True, False]), "mask"),
        (np.zeros(2).view(Quantity), "Quantity"),
        (np.zeros((1,) * 33) if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else Quantity(1), "32|Quantity"),
        (np.broadcast_to(np.uint8(1), (MAX_ARRAY_BYTES + 1,)), "over 268435456 bytes"),
    ],
)
def test_what_would_not_arrive_whole_is_refused_by_name(array: Array, named: str) -> None:
    for send in (serialize_array, lambda array: encode_array(array, pack=False)):
        with pytest.raises(BadMessage, match=named):
            send(array)


# Plain or packed


def test_a_buffer_of_just_the_plain_size_is_unpacked_if_that_is_what_it_is() -> None:
    noise = np.random.default_rng(1).integers(0, 256, 1000, dtype=np.uint8)
    for zeros in range(100, 900):
        noise[:zeros] = 0
        raw = blosc.compress(protocol_3(noise), typesize=1, cname="zlib")
        if len(raw) == noise.nbytes:
            break
    assert len(raw) == noise.nbytes
    assert_same(decode_array(wire(raw, DTYPE="uint8", SHAPE=[1000])), noise)


@pytest.mark.parametrize("inside", [np.arange(5.0), np.arange(1000, dtype=np.uint8)])
def test_plain_bytes_that_are_a_packed_array_of_something_else_stay_bytes(inside: Array) -> None:
    packed = np.frombuffer(raw_of(serialize_array(inside)), np.uint8)
    assert_same(decode_array(encode_array(packed, pack=False)), packed)
    assert_same(decode_array(encode_array(packed[:-1], pack=False)), packed[:-1])


def test_a_packed_array_that_is_not_what_it_is_declared_as_is_refused() -> None:
    message = encode_array(np.arange(6.0).reshape(2, 3), pack=True)
    assert "float64 (2, 3)" in refusal({**message, "SHAPE": [3, 2]})
    assert "float64 (2, 3)" in refusal({**message, "DTYPE": "int64"})


# Wires that are none


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"NUMPY_ARRAY": None},
        {"NUMPY_ARRAY": 3, "DTYPE": "u1", "SHAPE": [1]},
        {"NUMPY_ARRAY": b"AAAA"},
        {"NUMPY_ARRAY": ["AAAA"]},
        {"NUMPY_ARRAY": "A"},
        {"NUMPY_ARRAY": "AAA=AAAA"},
        {"NUMPY_ARRAY": "AA AA"},
        {"NUMPY_ARRAY": "ÄÖÜß"},
        {"NUMPY_ARRAY": "\ud800"},
        {"NUMPY_ARRAY": ""},
        {"NUMPY_ARRAY": "AAAA"},
    ],
)
def test_what_is_not_base64_of_an_array_is_refused(message: dict[str, object]) -> None:
    refusal(message)


def test_base64_is_read_strictly_and_not_at_all_when_it_is_too_long() -> None:
    text = serialize_array(np.arange(3))["NUMPY_ARRAY"]
    for junk in (" ", "\n", "-", "="):
        assert "base64" in refusal({"NUMPY_ARRAY": text[:8] + junk + text[8:]})
    assert "characters" in refusal({"NUMPY_ARRAY": "AAAA" * SMALL})


DTYPES_OF_NO_ARRAY = [
    None,
    1,
    True,
    ["u1"],
    "",
    "u3",
    "object",
    "O",
    "V8",
    "f8,f8",
    "(2,)f8",
    "[('a', 'f8')]",
    "float128",
]
DTYPES_OF_NO_ARRAY += [
    "f8[ns]",
    "M8[0s]",
    "M8[ns",
    "S0",
    "U0",
    "U999999999",
    "S" * 10**6,
    "\uff551",
    "u1\n",
    "float",
    "d",
    "a5",
    "T",
]


@pytest.mark.parametrize("dtype", DTYPES_OF_NO_ARRAY)
def test_a_dtype_that_is_not_simple_is_refused(dtype: object) -> None:
    assert len(refusal(wire(b"\1", DTYPE=dtype, SHAPE=[1]))) < 400


SHAPES_OF_NO_ARRAY = [
    None,
    1,
    "1",
    {"0": 1},
    [-1],
    [True],
    [1.0],
    ["1"],
    [None],
    [[1]],
    [2],
    [0],
    [2**63],
    [2**62, 4],
    [10**5000],
]
SHAPES_OF_NO_ARRAY += [[2**40] * 32, [2**61, 0], [1] * 33, [1] * 10**6, [1, 2], [-1, -1]]


@pytest.mark.parametrize("shape", SHAPES_OF_NO_ARRAY)
def test_a_shape_that_does_not_fit_is_refused(shape: object) -> None:
    assert len(refusal(wire(b"\1", DTYPE="u1", SHAPE=shape))) < 2000


def test_dtype_and_shape_come_together() -> None:
    packed = raw_of(serialize_array(np.arange(3)))
    assert "SHAPE" in refusal(wire(packed, DTYPE="int64"))
    assert "DTYPE" in refusal(wire(packed, SHAPE=[3]))


def test_an_array_over_the_limit_is_refused_in_both_forms() -> None:
    big = np.zeros(SMALL + 1, np.uint8)
    for pack in (False, True):
        assert "over" in refusal(encode_array(big, pack=pack))
        assert_same(decode_array(encode_array(big[1:], pack=pack), max_bytes=SMALL), big[1:])
    assert "over" in refusal(serialize_array(big))


def test_values_that_numpy_never_makes_are_refused() -> None:
    assert "bool" in refusal(wire(b"\1\2", DTYPE="bool", SHAPE=[2]))
    assert "Unicode" in refusal(wire(b"\0\0\x11\0", DTYPE="<U1", SHAPE=[1]))
    assert "Unicode" in refusal(wire(b"\0\x11\0\0", DTYPE=">U1", SHAPE=[1]))
    assert "bool" in refusal(wire_of_pickle(protocol_3(np.array([True, False])).replace(b"\1\0q", b"\1\2q")))


def test_a_machine_without_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(blosc, "decompress", no_memory)
    assert "memory" in refusal(serialize_array(np.arange(3)))


# Buffers that lie


def with_header(raw: bytes, **lies: int) -> bytes:
    names = ["version", "codec", "flags", "item", "size", "block", "total"]
    header = dict(zip(names, struct.unpack_from("<BBBBIII", raw), strict=True))
    return struct.pack("<BBBBIII", *(header | lies).values()) + raw[16:]


def test_a_bomb_is_not_decompressed() -> None:
    for size in (SMALL * 2, 2**31 - 1, 2**32 - 1):
        assert "over the limit" in refusal(
            wire(with_header(bytes(20), version=2, item=1, block=16, total=20, size=size))
        )
    assert "over the limit" in refusal(wire(blosc.compress(bytes(64 * SMALL), typesize=1)))


@pytest.mark.parametrize("by", ["blosc", "blosc2"])
@pytest.mark.parametrize(
    "lies",
    [
        {"version": 0},
        {"version": 3},
        {"item": 0},
        {"block": 0},
        {"block": 2**31 - 1},
        {"size": 0},
        {"size": 2**31},
        {"total": 0},
        {"total": 17},
        {"total": 2**31},
        {"flags": 0x17},
    ],
)
def test_a_buffer_whose_header_lies_never_gets_to_a_library(
    by: str, lies: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[bytes] = []
    monkeypatch.setattr(blosc, "decompress", reached.append)
    monkeypatch.setitem(sys.modules, "blosc2", SimpleNamespace(decompress2=reached.append))
    honest = raw_of(serialize_array(np.arange(1000))) if by == "blosc" else BY_BLOSC2
    refusal(wire(with_header(honest, **lies)))
    for end in range(40):
        refusal(wire(honest[:end]))
        refusal(wire(with_header(honest[:end].ljust(16, b"\0"), total=max(end, 16))))
    refusal(wire(with_header(honest + b"\0")))
    assert reached == []


@pytest.mark.parametrize("start", [-1, 0, 15, 10**6, 2**31 - 1, -(2**31)])
def test_a_block_outside_of_the_buffer_never_gets_to_a_library(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytearray(raw_of(serialize_array(np.zeros(1000))))
    struct.pack_into("<i", raw, 16, start)
    monkeypatch.setattr(blosc, "decompress", lambda _: pytest.fail("it did"))
    assert "outside" in refusal(wire(bytes(raw)))


@pytest.mark.parametrize("place", [2, 16, 20, 21, 22, 23, 24, 30, 31])
def test_blosc2_s_plugins_and_lazy_chunks_never_get_to_it(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "blosc2",
        SimpleNamespace(decompress2=lambda *_, **__: pytest.fail("it did")),
    )
    raw = bytearray(BY_BLOSC2)
    raw[place] = 0x40
    assert "features" in refusal(wire(bytes(raw)))


def test_without_blosc2_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blosc2", None)
    assert "install blosc2" in refusal(wire(BY_BLOSC2))
    assert "install blosc2" in refusal(wire(BY_BLOSC2, DTYPE="int64", SHAPE=[10]))
    # Were it read as plain because the size fits, a lab could get noise for data.
    assert "install blosc2" in refusal(wire(BY_BLOSC2, DTYPE="uint8", SHAPE=[len(BY_BLOSC2)]))


def test_what_blosc2_cannot_decompress_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> bytes:
        raise RuntimeError("Cannot decompress")

    for decompress2, why in [(fails, "Cannot decompress"), (lambda *_, **__: b"short", "5 bytes where its header")]:
        monkeypatch.setitem(sys.modules, "blosc2", SimpleNamespace(decompress2=decompress2))
        assert why in refusal(wire(BY_BLOSC2))


def test_what_blosc2_packs_is_read_where_it_is_installed() -> None:
    blosc2 = pytest.importorskip("blosc2")
    assert_same(decode_array(wire(BY_BLOSC2, DTYPE="int64", SHAPE=[10])), np.arange(10))
    for array in (np.arange(10), np.zeros((480, 640), np.uint8), np.random.default_rng(1).random(3000), np.array("x")):
        for level in (0, 1, 9):
            packed = blosc2.pack_array(array, level)
            assert_same(decode_array(wire(packed, DTYPE=str(array.dtype), SHAPE=list(array.shape))), array)


# Pickles that are no plain array's


class Evil:
    """Unpickling it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", [0, 1, *PROTOCOLS])
def test_a_pickle_that_runs_something_does_not(protocol: int, tmp_path: Path) -> None:
    evil, canary = pickle.dumps(Evil(tmp_path / "canary"), protocol), tmp_path / "canary"
    refusal(wire_of_pickle(evil))
    refusal(wire_of_pickle(pickle.dumps([np.arange(3), Evil(canary)], protocol)))
    assert not canary.exists()
    pickle.loads(evil)
    assert canary.exists()


@pytest.mark.parametrize(
    "evil",
    [
        b"\x80\x03cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x03cbuiltins\neval\nX\x01\0\0\x001\x85R.",
        b"\x80\x03cnumpy\nload\nX\x01\0\0\0x\x85R.",
        b"\x80\x03cnumpy.core.multiarray\nscalar\n.",
    ],
)
def test_a_name_that_no_plain_array_needs_is_refused_by_name(evil: bytes) -> None:
    assert "names" in refusal(wire_of_pickle(evil))


def test_no_unpickler_is_ever_started(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [np.arange(3), np.array("x"), np.zeros(0)]
    messages = [wire_of_pickle(pickle.dumps(array, protocol)) for array in arrays for protocol in PROTOCOLS]
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("it was"))
    for number, message in enumerate(messages):
        assert_same(decode_array(message), arrays[number // len(PROTOCOLS)])


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


# Arrays of objects


def objects(*items: object, shape: tuple[int, ...] | None = None) -> Array:
    """An array of these, one by one, whatever they are."""
    array = np.empty(len(items), object)
    for at, item in enumerate(items):
        array[at] = item
    return array.reshape(array.shape if shape is None else shape)


MIXED = objects("a", 1, 2.5, None, True, 2**70, "a", "λ" * 200, -3, shape=(3, 3))
MANY = objects(*(word for n in range(3_000) for word in (f"row {n}", n, n / 7, n % 2 == 0)), shape=(3_000, 4))


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


ITEM_SIZE = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t"  # what a number's dtype says of itself: not stated


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


GOOD = protocol_3(np.arange(3.0))
NEW_DTYPE = b"cnumpy\ndtype\nX\2\0\0\0f8\x89\x88\x87R"
ITS_STATE = b"(K\3X\1\0\0\0<" + ITEM_SIZE
NEW_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85N\x87R"
ENCODED = b"c_codecs\nencode\nq\0X\x00\x00\x04\x00" + b"a" * 2**18 + b"q\1X\6\0\0\0latin1q\2\x86R"
WIDE = b"X\x00\x00\x08\x00" + b"a" * (2**19 - 4) + "😀".encode()
OBJECTS = protocol_3(np.array(["a", 1], object))
BEGUN = OBJECTS[: OBJECTS.index(b"(X\1\0\0\0aq") + 1]  # up to the first of them
END = OBJECTS[OBJECTS.index(b"etq") :]
ENORMOUS = b"\xff" * 7 + b"\x7f"  # 9 EB


@pytest.mark.parametrize(
    ("pickled", "why"),
    [
        pytest.param(b"", "no buffer", id="nothing"),
        pytest.param(b"\x80", "asks for 1", id="half an opcode"),
        pytest.param(b"\x80\x03.", "something else", id="stop with an empty stack"),
        pytest.param(b"\x80\x03N.", "something else", id="stop with something else"),
        pytest.param(b"\x80\x03" + NEW_ARRAY + b".", "something else", id="stop with an array without a state"),
        pytest.param(GOOD[:-1], "asks for 1", id="no stop"),
        pytest.param(GOOD + b".", "1 bytes after its end", id="bytes after stop"),
        pytest.param(b"\x80\x03N" + GOOD[2:], "something else", id="something below the array"),
        pytest.param(GOOD[:-1] + b"(t.", "something else", id="something above the array"),
        pytest.param(b"\x80\x03b.", "IndexError", id="state of nothing"),
        pytest.param(b"\x80\x03NNb.", "state", id="state of something that has none"),
        pytest.param(b"\x80\x03R.", "IndexError", id="call of nothing"),
        pytest.param(b"\x80\x03NNR.", "calls", id="call of something that is no function"),
        pytest.param(b"\x80\x03\x87.", "IndexError", id="a tuple of nothing"),
        pytest.param(b"\x80\x03t.", "IndexError", id="a tuple without a mark"),
        pytest.param(b"\x80\x03q\0.", "IndexError", id="nothing remembered"),
        pytest.param(b"\x80\x03h\7.", "KeyError", id="something recalled that was never remembered"),
        pytest.param(b"\x80\x04K\1K\1\x93.", "name", id="a name of numbers"),
        pytest.param(b"\x80\x03" + NEW_DTYPE + ITS_STATE + b"b" + ITS_STATE + b"b.", "state", id="a dtype set twice"),
        pytest.param(GOOD[:-1] + b"h" + GOOD[-3:-2] + b"b.", "state", id="an array set twice"),
        pytest.param(b"\x80\x03" + NEW_ARRAY + b"(K\1)N\x89Ntb.", "wrong type", id="no data"),
        pytest.param(b"\x80\x03" + NEW_ARRAY + b"(K\1)N\x89C\0tb.", "dtype", id="no dtype"),
        pytest.param(b"\x80\x03" + NEW_ARRAY + b"(K\1)" + NEW_DTYPE + b"\x89C\0tb.", "dtype", id="half a dtype"),
        pytest.param(b"\x80\x03]" + b"]a" * 50 + b".", "opcode b']'", id="lists"),
        pytest.param(b"\x80\x03NNa.", "opcode b'a'", id="something added to nothing"),
        pytest.param(b"\x80\x03N(Ne.", "opcode b'e'", id="things added to nothing"),
        pytest.param(BEGUN + b"N" * 10**6, "over 262144", id="a million objects"),
        pytest.param(BEGUN + b"Nq\0" * 300_000, "over 262144", id="one remembered often"),
        pytest.param(BEGUN + b")" + b"\x85" * 10**5, "over 256 opcodes", id="objects a hundred thousand deep"),
        pytest.param(BEGUN + b"R" * 10**5, "calls", id="calls among objects"),
        pytest.param(BEGUN + (b"X\0\0\2\0" + b"a" * (2**17 - 4) + "😀".encode() + b"0") * 7, "opcode", id="pops"),
        pytest.param(BEGUN + b"X\0\x60\x09\0" + b"a" * 0x96000 + b"q\x63h\x63" + END, "more text", id="a text twice"),
        pytest.param(BEGUN + b"]", "opcode b']'", id="a list among objects"),
        pytest.param(BEGUN + b"ea.", "opcode b'a'", id="a list added to nothing"),
        pytest.param(b"\x80\x03" + b"(" * 10**5, "over 256 opcodes", id="a hundred thousand marks"),
        pytest.param(b"\x80\x03)" + b"\x85" * 10**5 + b".", "over 256 opcodes", id="a hundred thousand tuples deep"),
        pytest.param(b"\x80\x03N)" + b"\x85" * 200 + b"b.", "state", id="a deep tuple for a state"),
        pytest.param(b"\x80\x03N)" + b"q\0h\0\x86" * 50 + b"b.", "state", id="a state of 2**50 leaves"),
        pytest.param(b"\x80\x03" + NEW_DTYPE + b")" + b"q\0h\0\x86" * 50 + b"b.", "state", id="and of a dtype"),
        pytest.param(b"\x80\x03N)" + b"q\0h\0\x86" * 50 + b"R.", "calls", id="arguments of 2**50 leaves"),
        pytest.param(b"\x80\x03" + ENCODED + b"h\0h\1h\2\x86R" * 40, "more bytes", id="a text encoded forty times"),
        pytest.param(b"\x80\x03" + WIDE + b".", "long text", id="a text that takes four times its size"),
        pytest.param(b"\x80\x03X\xff\xff\xff\xffa.", "asks for 4294967295", id="a text of 4 GB"),
        pytest.param(b"\x80\x03B\xff\xff\xff\xffa.", "asks for 4294967295", id="bytes of 4 GB"),
        pytest.param(b"\x80\x05\x96" + ENORMOUS + b"a.", "asks for 9", id="a bytearray of 9 EB"),
        pytest.param(b"\x80\x05\x96" + b"\xff" * 8 + b"a.", "ValueError", id="a bytearray of 18 EB"),
        pytest.param(b"\x80\x04\x8e" + ENORMOUS + b"a.", "opcode", id="bytes of 9 EB"),
        pytest.param(b"\x80\x04\x8d" + ENORMOUS + b"a.", "opcode", id="a text of 9 EB"),
        pytest.param(b"\x80\x03\x8b\xff\xff\xff\x7fa.", "opcode", id="a number of 2 GB"),
        pytest.param(b"\x80\x03I" + b"9" * 10**6 + b"\n.", "opcode b'I'", id="a number of a million digits"),
        pytest.param(b"\x80\x03S'" + b"\\x" * 100 + b"'\n.", "opcode b'S'", id="a text of bad escapes"),
        pytest.param(b"\x80\x03\x8a\xff" + b"\xff" * 255 + b".", "something else", id="a number alone"),
    ],
)
def test_a_pickle_that_is_damaged_or_a_bomb_costs_nothing(pickled: bytes, why: str) -> None:
    assert why in refusal(wire_of_pickle(pickled))


def test_a_memo_number_of_four_billion_costs_nothing() -> None:
    start = GOOD.index(b"q")
    message = wire_of_pickle(GOOD[:start] + b"r\xf0\xff\xff\xff" + GOOD[start + 2 :])
    tracemalloc.start()
    try:
        assert_same(decode_array(message), np.arange(3.0))
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()


# Whatever happens to the bytes on their way

edits = st.lists(
    st.tuples(st.sampled_from(["flip", "insert", "delete"]), st.integers(0, 2**16), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
)
samples = st.sampled_from(
    [
        np.arange(5),
        np.zeros((480, 64)),
        np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        np.array(["ab", "c"]),
        np.array([b"ab", b"c"]),
        np.array(["2020-02-20"], "M8[D]"),
        np.array(True),
        MIXED,
        objects("a", 1),
    ]
)


def mutated(raw: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    changed = bytearray(raw)
    for how, where, what in edits:
        at = where % (len(changed) + 1)
        if how == "insert":
            changed[at:at] = what
        elif how == "delete":
            del changed[at : at + len(what)]
        else:
            changed[at : at + 1] = what[:1]
    return bytes(changed)


def assert_array_or_refused(message: dict[str, object]) -> None:
    try:
        array = decode_array(message, max_bytes=SMALL)
    except BadMessage:
        return
    assert array.nbytes <= SMALL
    assert array.dtype.kind in "biufcSUMmO"
    assert array.dtype.kind != "O" or {type(item) for item in array.flat} <= {str, int, float, bool, type(None)}
    array.tobytes()


@settings(deadline=None, max_examples=500)
@given(samples, edits, st.booleans(), st.booleans())
def test_a_mutated_buffer_is_an_array_or_refused(
    array: Array, edits: list[tuple[str, int, bytes]], repair: bool, declare: bool
) -> None:
    raw = mutated(blosc.compress(protocol_3(array), typesize=1), edits)
    if repair and len(raw) >= 16:  # so that the mutation is not found by the length alone
        raw = with_header(raw, total=len(raw))
    assert_array_or_refused(wire(raw, **{"DTYPE": str(array.dtype), "SHAPE": list(array.shape)} if declare else {}))


@settings(deadline=None, max_examples=1000)
@given(samples, st.sampled_from(PROTOCOLS), edits)
def test_a_mutated_pickle_is_an_array_or_refused(
    array: Array, protocol: int, edits: list[tuple[str, int, bytes]]
) -> None:
    assert_array_or_refused(wire_of_pickle(mutated(pickle.dumps(array, protocol), edits)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["u1", "AQ==", "<U1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(["NUMPY_ARRAY", "DTYPE", "SHAPE", "other"]), json_values))
def test_any_json_is_an_array_or_refused(message: dict[str, object]) -> None:
    assert_array_or_refused(message)
