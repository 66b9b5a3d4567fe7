"""What the pickle of a plain array may hold: names that stand for numpy's, dtypes, and the array itself. All inert."""

import re
from enum import Enum, auto
from typing import Any, Literal, NamedTuple

from autopilot_net.errors import BadMessage

__all__ = ["DTYPE_CODES", "NAMES", "OBJECT", "ArrayBuild", "Dtype", "Name", "PickledArray"]
__all__ += ["content", "dtype_name", "new_dtype", "refused_dtype"]

OBJECT = "object"  # what numpy calls the dtype of an array of objects

# What a plain dtype is called inside a pickle and, with a byte order before it, outside. 80- and 128-bit floats are
# not among them: numpy gives them one name on PCs and Pis, but their bytes differ.
DTYPE_CODES = r"b1|[iu][1248]|f[248]|c8|c16|[Mm]8|[SU][1-9]\d{0,8}"


class PickledArray(NamedTuple):
    """What the pickle says, in plain values; that shape, dtype and data fit together is not checked yet."""

    dtype: str  # "object" for one of objects, whose data is the list of them
    shape: tuple[object, ...]
    order: Literal["C", "F"]
    data: bytes | bytearray | list[Any]


class Name(Enum):
    """What a pickle may name. These stand for the things; the things themselves are never touched."""

    RECONSTRUCT = auto()
    FROMBUFFER = auto()
    NDARRAY = auto()
    DTYPE = auto()
    ENCODE = auto()
    BYTES = auto()


NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): Name.FROMBUFFER,
    ("numpy._core.numeric", "_frombuffer"): Name.FROMBUFFER,
    ("numpy", "ndarray"): Name.NDARRAY,
    ("numpy", "dtype"): Name.DTYPE,
    ("_codecs", "encode"): Name.ENCODE,  # how protocol 2 writes bytes
    ("__builtin__", "bytes"): Name.BYTES,  # and empty ones
}


class Dtype:
    """A dtype under construction: pickle memoizes it before it sets its state."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.name: str | None = None


class ArrayBuild:
    """An array under construction, likewise."""

    def __init__(self) -> None:
        self.content: PickledArray | None = None


def new_dtype(code: str) -> Dtype:
    if not re.fullmatch(f"{DTYPE_CODES}|O[48]", code, re.ASCII):
        raise refused_dtype(code)
    return Dtype(code)


def dtype_name(code: str, state: object) -> str:
    """What numpy calls the dtype. Its state must be the one that numpy gives every dtype of this code.

    Numpy itself would believe a state with another item size, and read past the data.
    """
    size, alignment = -1, -1
    if code[0] in "SU":
        alignment = 1 if code[0] == "S" else 4
        size = int(code[1:]) * alignment
    match state:
        case (3, "|", None, None, None, -1, -1, 63) if code[0] == "O":
            return OBJECT
        case _ if code[0] == "O":
            pass
        case (3, "<" | ">" | "|" as order, None, None, None, a, b, 0 | 8) if (a, b) == (size, alignment):
            return f"{order}{code}"
        case (4, "<" | ">" as order, None, None, None, -1, -1, 0, (None | dict(), (bytes(unit), int(count), 1, 1))):
            if code[0] in "Mm" and len(unit) <= 7:
                return f"{order}{code}" if unit == b"generic" else f"{order}{code}[{count}{unit.decode('latin-1')}]"
    raise BadMessage(f"A packed array's dtype {code} has a state that numpy does not give it.")


def content(shape: object, dtype: object, order: Literal["C", "F"], data: object) -> PickledArray:
    if not isinstance(shape, tuple) or not isinstance(data, bytes | bytearray | list):
        raise BadMessage("A packed array's pickle holds a shape or data of the wrong type.")
    if not isinstance(dtype, Dtype) or dtype.name is None:
        raise BadMessage("A packed array's pickle holds no whole dtype.")
    if isinstance(data, list) != (dtype.name == OBJECT):
        raise BadMessage("A packed array's pickle holds objects that are none, or addresses of some.")
    return PickledArray(dtype.name, shape, order, data)


def refused_dtype(name: str) -> BadMessage:
    """The error for a dtype that is not carried, by its name."""
    return BadMessage(
        f"Arrays of dtype {name[:80]!r} are not carried, only bool, int, uint, float to 64 bits, complex to 128 bits, "
        "bytes (S), str (U), datetime64 and timedelta64: convert the array, or send its fields one by one."
    )
