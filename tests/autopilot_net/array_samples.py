"""Arrays as they come over the wire, sound and broken, for the tests of whoever reads them."""

import base64
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import blosc
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autopilot_net.arrays import decode_array
from autopilot_net.errors import BadMessage

Array = np.ndarray[Any, Any]

SMALL = 2**20  # a limit for buffers that lie: whatever they claim must not cost more than some of this
PROTOCOLS = [2, 3, 4, 5]


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


# What is not sent


class Quantity(np.ndarray[Any, Any]):
    """An array with a unit, say."""


# Arrays of objects


def objects(*items: object, shape: tuple[int, ...] | None = None) -> Array:
    """An array of these, one by one, whatever they are."""
    array = np.empty(len(items), object)
    for at, item in enumerate(items):
        array[at] = item
    return array.reshape(array.shape if shape is None else shape)


MIXED = objects("a", 1, 2.5, None, True, 2**70, "a", "λ" * 200, -3, shape=(3, 3))
MANY = objects(*(word for n in range(3_000) for word in (f"row {n}", n, n / 7, n % 2 == 0)), shape=(3_000, 4))

ITEM_SIZE = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t"  # what a number's dtype says of itself: not stated

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
