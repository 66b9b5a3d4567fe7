"""Arrays cross the wire whole, in both forms; what a stranger sends is an array or a BadMessage, and nothing is run."""

import base64
import pickle
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import blosc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopilot_net.arrays import MAX_ARRAY_BYTES, decode_array, encode_array, is_array, serialize_array
from autopilot_net.errors import BadMessage
from tests.autopilot_net.array_samples import (
    PROTOCOLS,
    SMALL,
    Array,
    Quantity,
    arrays,
    assert_array_or_refused,
    assert_same,
    edits,
    mutated,
    protocol_3,
    raw_of,
    refusal,
    samples,
    wire,
    wire_of_pickle,
)

# np.arange(10) as blosc2.pack_array of blosc2 2.4 to 4.14 packs it
BY_BLOSC2 = base64.b64decode(
    "BQEVCM8AAADIAAAA3AAAAAAAAAAAAQAAAAAAAAAAAAAoAAAA0QAAAKUAAAAngABwLpRilADgAAAOAG15aZROSpQFAHlujHUo4AAX"
    "EAAAcHA4KE7/YpUALnULZpYA4AAAHwB5ZZRLTv9LxIxfbV9mUAABAgMEBQYHCAmUlJSJA0r/BgoAE2NlZmXgAC8QAACMjJOIjP//"
    "hQBub3JycgDgAAANAAUFlIcB/0uUAHVyaW/gApQOAG5kjJQ8/wCMAG1lY22T4AAwCQAAdXQCUpT/dAEHAAAAQ5R0lFKULg=="
)


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


@settings(deadline=None, max_examples=500)
@given(samples, edits, st.booleans(), st.booleans())
def test_a_mutated_buffer_is_an_array_or_refused(
    array: Array, edits: list[tuple[str, int, bytes]], repair: bool, declare: bool
) -> None:
    raw = mutated(blosc.compress(protocol_3(array), typesize=1), edits)
    if repair and len(raw) >= 16:  # so that the mutation is not found by the length alone
        raw = with_header(raw, total=len(raw))
    assert_array_or_refused(wire(raw, **{"DTYPE": str(array.dtype), "SHAPE": list(array.shape)} if declare else {}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["u1", "AQ==", "<U1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(["NUMPY_ARRAY", "DTYPE", "SHAPE", "other"]), json_values))
def test_any_json_is_an_array_or_refused(message: dict[str, object]) -> None:
    assert_array_or_refused(message)
