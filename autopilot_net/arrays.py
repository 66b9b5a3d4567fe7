"""Arrays on the wire: numpy arrays to JSON objects and back, and the blosc buffers that carry packed ones.

What comes from the network is not believed before it is checked: no size, no dtype, no pickle. The pickle inside a
packed array is read, never run, by `pickles`.
"""

import base64
import binascii
import math
import pickle
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from autopilot_net.errors import BadMessage
from autopilot_net.pickled_array import DTYPE_CODES, OBJECT, PickledArray, refused_dtype
from autopilot_net.pickles import read_pickle

__all__ = ["MAX_ARRAY_BYTES", "encode_array", "serialize_array", "holds_objects", "is_array", "decode_array"]

MAX_ARRAY_BYTES = 256 * 2**20  # what one array may decompress to, and so the most that is sent as one

_MAX_DIMENSIONS = 32  # what numpy 1 can hold, which older peers run
_PICKLE_OVERHEAD = 4096  # what a pickle may add to an array's bytes; it adds some 200
_BLOSC_OVERHEAD = 64  # likewise what a blosc buffer may add to incompressible bytes; it adds 16 or 32
_BLOSC, _BLOSC2 = 2, 5  # the first byte of their buffers, a version
_HEADERS = {_BLOSC: 16, _BLOSC2: 32}
_MAX_BLOCK = 64 * 2**20  # neither makes blocks over 4 MiB, and both take memory for several in advance

# Subclasses that add nothing to their numbers. A Quantity would lose its unit on the wire, a masked array its mask.
_PLAIN_CLASSES = (np.ndarray, np.matrix, np.memmap)

_UNIT = r"(?:\[(?:[1-9]\d{0,8})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
_DTYPE = re.compile(
    rf"[<>|=]?(?:{DTYPE_CODES}){_UNIT}|bool|u?int(?:8|16|32|64)|float(?:16|32|64)|complex(?:64|128)"
    rf"|(?:datetime|timedelta)64{_UNIT}",
    re.ASCII,
)

# How numpy 2 and numpy 1 name the builder that a pickle of protocol 3 starts with. Numpy 2 reads both, numpy before
# 1.26 its own only.
_NUMPY_2 = b"\x80\x03cnumpy._core.multiarray\n"
_NUMPY_1 = b"\x80\x03cnumpy.core.multiarray\n"

_Array = np.ndarray[Any, Any]
_Order = Literal["C", "F"]


class _Blosc2Missing(BadMessage):
    """The buffer is one of blosc2's, and could be read if that were installed."""


def encode_array(array: _Array, *, pack: bool) -> dict[str, object]:
    """What stands for an array in JSON: NUMPY_ARRAY (base64), DTYPE (numpy's name) and SHAPE, in this order.

    Packed, the bytes are a blosc buffer around a pickle, for `blosc.unpack_array`; plain, they are the array's own in C
    order. A matrix or memmap arrives as an ndarray. Raises BadMessage for other subclasses (masked arrays too), for
    structured and other dtypes that are not simple, and beyond MAX_ARRAY_BYTES. One of objects travels in a message, as
    the lists that it holds, and raises here.
    """
    plain = _plain(array)
    raw = _pack(plain) if pack else plain.tobytes()
    return {
        "NUMPY_ARRAY": base64.b64encode(raw).decode("ascii"),
        "DTYPE": str(plain.dtype),
        "SHAPE": list(plain.shape),
    }


def serialize_array(array: _Array) -> dict[str, str]:
    """`array`, compressed, as an object with the key NUMPY_ARRAY alone. Raises as `encode_array` does."""
    return {"NUMPY_ARRAY": base64.b64encode(_pack(_plain(array))).decode("ascii")}


def holds_objects(array: _Array) -> bool:
    """Whether an array is one of objects, which are for their own kinds to be carried or not."""
    return array.dtype.kind == "O" and type(array) in _PLAIN_CLASSES


def is_array(value: object) -> bool:
    """Whether a JSON value stands for an array; whether it is a good one, `decode_array` says."""
    return isinstance(value, dict) and "NUMPY_ARRAY" in value


def decode_array(wire: Mapping[str, object], *, max_bytes: int = MAX_ARRAY_BYTES) -> _Array:
    """The array that `wire` stands for: writable, its own, C-contiguous, of the byte order that was sent.

    One of objects, as Autopilot's own pack it, is read if it holds text, numbers, truths and None, and nothing else.

    Reads packed ones (of blosc, and of blosc2 where that is installed) and plain ones. The wire does not say which it
    is: bytes that unpack to the declared DTYPE and SHAPE are packed; others are plain if they have just the size.
    Raises BadMessage, and nothing else, for whatever cannot be trusted, and for arrays of over `max_bytes`.
    """
    try:
        return _decode(wire, max_bytes)
    except MemoryError as why:
        raise BadMessage("An array is within the limit, but this machine has no memory for it.") from why


def _decode(wire: Mapping[str, object], max_bytes: int) -> _Array:
    raw = _from_base64(wire.get("NUMPY_ARRAY"), max_bytes)
    if "DTYPE" not in wire and "SHAPE" not in wire:
        return _unpack(raw, max_bytes)
    if wire.get("DTYPE") == OBJECT:
        return _declared_objects(raw, _shape(wire.get("SHAPE")), max_bytes)
    dtype, shape = _dtype(wire.get("DTYPE")), _shape(wire.get("SHAPE"))
    size = _size(dtype, shape, max_bytes)
    try:
        array = _unpack(raw, max_bytes)
    except BadMessage as why:
        if len(raw) == size and not isinstance(why, _Blosc2Missing):
            return _array(dtype, shape, raw)
        raise BadMessage(f"{why} (Plain, {dtype} {shape} would have {size} bytes; these are {len(raw)}.)") from why
    if array.dtype == dtype and array.shape == shape:
        return array
    if len(raw) == size:  # an array of bytes that happen to be a blosc buffer
        return _array(dtype, shape, raw)
    raise BadMessage(f"An array is declared as {dtype} {shape}, but {array.dtype} {array.shape} is packed in it.")


def _declared_objects(raw: bytes, shape: tuple[int, ...], max_bytes: int) -> _Array:
    try:
        array = _unpack(raw, max_bytes)
    except BadMessage as why:
        instead = "Plain, objects are addresses in the sender's memory: it must pack them, blosc=True"
        raise BadMessage(f"{why} ({instead}.)") from why
    if array.dtype.kind == "O" and array.shape == shape:
        return array
    raise BadMessage(f"An array is declared as object {shape}, but {array.dtype} {array.shape} is packed in it.")


def _plain(array: _Array) -> _Array:
    if holds_objects(array):
        raise BadMessage("An array of objects travels as the lists in it: put it into a message, or array.tolist().")
    if isinstance(array, np.ma.MaskedArray):
        raise BadMessage("A masked array would lose its mask: send its data and its mask, or array.filled().")
    if type(array) not in _PLAIN_CLASSES:
        raise BadMessage(f"A {type(array).__name__} may be more than its numbers: send np.asarray() of it.")
    dtype = _dtype(str(array.dtype))
    _size(dtype, _shape(array.shape), MAX_ARRAY_BYTES)
    return np.asarray(array).view(dtype)  # without the metadata that a dtype can have


def _pack(array: _Array) -> bytes:
    import blosc  # a third of what importing numpy costs, and only those who pack need pay it

    # Not blosc.pack_array itself: it refuses long strings, and pickles so that numpy before 1.26 cannot read it.
    pickled = pickle.dumps(array, protocol=3)
    if pickled.startswith(_NUMPY_2):
        pickled = _NUMPY_1 + pickled[len(_NUMPY_2) :]
    packed: bytes = blosc.compress(pickled, typesize=array.itemsize if array.itemsize <= blosc.MAX_TYPESIZE else 4)
    return packed


def _from_base64(text: object, max_bytes: int) -> bytes:
    if not isinstance(text, str):
        raise BadMessage(f"An array's NUMPY_ARRAY must be base64 text, not {type(text).__name__}.")
    if len(text) > 4 * (max_bytes + _PICKLE_OVERHEAD + _BLOSC_OVERHEAD) // 3 + 4:
        raise BadMessage(f"An array of {len(text)} characters of base64 is over the limit of {max_bytes} bytes.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as why:
        raise BadMessage(f"An array's NUMPY_ARRAY is no base64: {why}.") from why


def _dtype(name: object) -> np.dtype[Any]:
    if not isinstance(name, str):
        raise BadMessage(f"An array's DTYPE must be text such as 'float64', not {type(name).__name__}.")
    if not _DTYPE.fullmatch(name):
        raise refused_dtype(name)
    try:
        return np.dtype(name)
    except (TypeError, ValueError, OverflowError) as why:
        raise BadMessage(f"An array's dtype {name!r} is none of numpy's: {why}.") from why


def _shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, list | tuple) or len(shape) > _MAX_DIMENSIONS:
        raise BadMessage(f"An array's SHAPE must be a list of at most {_MAX_DIMENSIONS} numbers.")
    for number in shape:
        if type(number) is not int or not 0 <= number < 2**62:
            raise BadMessage("An array's SHAPE must hold whole numbers, none of them negative or too big to count.")
    return tuple(shape)


def _size(dtype: np.dtype[Any], shape: Sequence[int], max_bytes: int) -> int:
    """How many bytes the array has. The limit leaves its zeros out: numpy is particular about huge empty arrays."""
    if math.prod(number or 1 for number in shape) * dtype.itemsize > max_bytes:
        raise BadMessage(f"An array of {dtype} {tuple(shape)} is over {max_bytes} bytes: send it in parts.")
    return math.prod(shape) * dtype.itemsize


def _array(dtype: np.dtype[Any], shape: tuple[int, ...], data: bytes | bytearray, order: _Order = "C") -> _Array:
    size = math.prod(shape) * dtype.itemsize
    if len(data) != size:
        raise BadMessage(f"An array of {dtype} {shape} has {size} bytes, but {len(data)} came.")
    if not size:
        return np.empty(shape, dtype)
    _refuse_impossible(dtype, data)
    return np.frombuffer(data, dtype).reshape(shape, order=order).copy()


def _refuse_impossible(dtype: np.dtype[Any], data: bytes | bytearray) -> None:
    """Refuse what numpy never makes and does not expect: it counts and prints such values wrongly, or fails later."""
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max() > 1:
        raise BadMessage("An array of bool has bytes that are neither 0 nor 1.")
    if dtype.kind == "U" and np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder)).max() > 0x10FFFF:
        raise BadMessage("An array of str has characters beyond the last one of Unicode.")


def _unpack(raw: bytes, max_bytes: int) -> _Array:
    content = read_pickle(_decompress(raw, max_bytes))
    if isinstance(content.data, list):
        return _objects(content, content.data, max_bytes)
    dtype, shape = _dtype(content.dtype), _shape(content.shape)
    _size(dtype, shape, max_bytes)
    return _array(dtype, shape, content.data, content.order)


def _objects(content: PickledArray, items: list[Any], max_bytes: int) -> _Array:
    shape = _shape(content.shape)
    _size(np.dtype(object), shape, max_bytes)
    if math.prod(shape) != len(items):
        raise BadMessage(f"An array of objects {shape} has {math.prod(shape)} of them, but {len(items)} came.")
    if sum(len(item) for item in items if isinstance(item, str)) > max_bytes:  # one text may be there many times
        raise BadMessage(f"An array of objects holds more text than {max_bytes} bytes: send it in parts.")
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape).copy()  # they are pickled in C order, whatever order the array has


def _decompress(raw: bytes, max_bytes: int) -> bytes:
    size = _check_buffer(raw, max_bytes)
    pickled = _from_blosc(raw) if raw[0] == _BLOSC else _from_blosc2(raw)
    if len(pickled) != size:
        raise BadMessage(f"A packed array decompressed to {len(pickled)} bytes where its header says {size}.")
    return pickled


def _from_blosc(raw: bytes) -> bytes:
    import blosc

    try:
        pickled: bytes = blosc.decompress(raw)
    except blosc.blosc_extension.error as why:
        raise BadMessage(f"A packed array cannot be decompressed: {why}.") from why
    return pickled


def _from_blosc2(raw: bytes) -> bytes:
    try:
        import blosc2
    except ImportError as why:
        install = "install blosc2 (pip install 'autopilot-net[blosc2]')"
        raise _Blosc2Missing(f"An array was packed with blosc2, which is not installed here: {install}.") from why
    try:
        # Not its `decompress`, which does not tell the library where the buffer ends.
        pickled: bytes = blosc2.decompress2(raw, nthreads=1)
    except (RuntimeError, ValueError) as why:
        raise BadMessage(f"A packed array cannot be decompressed: {why}.") from why
    return pickled


def _check_buffer(raw: bytes, max_bytes: int) -> int:
    """How many bytes the buffer decompresses to, if what it says about itself can be believed.

    A header: version, codec's version, flags, item size, then three sizes: decompressed, block, buffer. After it, where
    each block starts, unless the bytes are merely copied. Blosc refuses most lies itself; blosc2 crashes on some.
    """
    header = _HEADERS.get(raw[0], 0) if raw else 0
    if not header or len(raw) <= header:
        raise BadMessage(f"An array's {len(raw)} bytes (first: {raw[:4].hex(' ')}) are no buffer of blosc or blosc2.")
    _, _, flags, item, size, block, total = struct.unpack_from("<BBBBIII", raw)
    if total != len(raw):
        raise BadMessage(f"A packed array's header says that it has {total} bytes, but {len(raw)} came.")
    if size > max_bytes + _PICKLE_OVERHEAD:
        raise BadMessage(f"A packed array would decompress to {size} bytes, over the limit of {max_bytes}.")
    if not item or not 0 < block <= min(size, _MAX_BLOCK):
        raise BadMessage(f"A packed array's header has impossible sizes: items of {item} bytes, blocks of {block}.")
    if raw[0] == _BLOSC2 and not _is_simple_blosc2(raw):
        raise BadMessage("A packed array uses features of blosc2 that packing an array does not need.")
    copied = flags & 2
    if (total != header + size) if copied else not _blocks_are_inside(raw, header, -(-size // block)):
        raise BadMessage("A packed array's header says that its data lie outside of it.")
    return int(size)


def _is_simple_blosc2(raw: bytes) -> bool:
    """A long header, no filter but (bit) shuffle, a codec that is built in, nothing lazy or special or of a plugin."""
    *filters, last_filter, codec = raw[16:23]
    builtin = last_filter <= 2 and codec in {0, 1, 2, 4, 5}
    return raw[2] & 5 == 5 and builtin and not any(filters) and not any(raw[23:32])


def _blocks_are_inside(raw: bytes, header: int, blocks: int) -> bool:
    after = header + 4 * blocks  # each block starts with its length, four bytes
    if after > len(raw):
        return False
    starts = np.frombuffer(raw, "<i4", count=blocks, offset=header)
    return bool(starts.min() >= after and starts.max() <= len(raw) - 4)
