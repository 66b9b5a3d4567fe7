"""Reads the pickle of a plain array without running it.

What peers pack is a pickle, and unpickling what a network sent runs whatever the sender likes. Here the opcodes that a
plain array needs are interpreted to inert values, and everything else is refused: no name is imported, nothing is
called, and what the pickle can cost is bounded by its own length. What the values mean as numbers is for `arrays`.

An array of objects is read if each of them is text, a number, a truth or None. Its dtype comes first, and only then a
list may begin, one, which takes as many objects as the limit allows.
"""

import re
from collections.abc import Callable
from enum import Enum, auto
from io import BytesIO
from pickletools import genops, opcodes
from typing import Any, Literal, NamedTuple

from autopilot_net.errors import BadMessage

__all__ = ["OBJECT", "PickledArray", "read_pickle", "DTYPE_CODES", "refused_dtype"]

OBJECT = "object"  # what numpy calls the dtype of an array of objects

# What a plain dtype is called inside a pickle and, with a byte order before it, outside. 80- and 128-bit floats are
# not among them: numpy gives them one name on PCs and Pis, but their bytes differ.
DTYPE_CODES = r"b1|[iu][1248]|f[248]|c8|c16|[Mm]8|[SU][1-9]\d{0,8}"

_MAX_OBJECT_OPCODES = 2**18  # text takes two, anything else one: tens of MB at most, and a second
_MAX_WIDE_TEXT = 2**22  # bytes of text that may take four times its encoded size
_OBJECT_KINDS = frozenset((str, int, float, bool, type(None)))  # exactly these, and nothing that holds others
_MAX_OPCODES = 256  # protocol 2 takes 60 for a plain array, and one more for each dimension
_LONGEST_NAME = 64  # bytes of a module or a name in it
_LATIN1_IN_UTF8 = bytes(range(0xC4))  # lead bytes above these would make a text of up to four times its encoded size


class PickledArray(NamedTuple):
    """What the pickle says, in plain values; that shape, dtype and data fit together is not checked yet."""

    dtype: str  # "object" for one of objects, whose data is the list of them
    shape: tuple[object, ...]
    order: Literal["C", "F"]
    data: bytes | bytearray | list[Any]


def read_pickle(pickled: bytes) -> PickledArray:
    """Read what `pickle.dumps(array, protocol=2..5)` makes of a plain array, or one of objects, under numpy 1 or 2.

    Raises BadMessage for anything else. Costs at most a few times `len(pickled)`, and for objects tens of MB more.
    """
    source = _Source(pickled)
    machine = _Machine(len(pickled))
    try:
        for opcode, argument, _ in genops(source):
            machine.count(opcode.name)
            _OPCODES[opcode.name](machine, argument)
            source.at_opcode, source.takes_text = True, machine.objects is not None
    except BadMessage:
        raise
    except (ValueError, IndexError, KeyError) as why:  # bad UTF-8, an empty stack, a memo never written
        raise BadMessage(f"A packed array's pickle is damaged: {type(why).__name__} {why}.") from why
    if source.left():
        raise BadMessage(f"A packed array's pickle has {source.left()} bytes after its end.")
    return machine.result()


def refused_dtype(name: str) -> BadMessage:
    """The error for a dtype that is not carried, by its name."""
    return BadMessage(
        f"Arrays of dtype {name[:80]!r} are not carried, only bool, int, uint, float to 64 bits, complex to 128 bits, "
        "bytes (S), str (U), datetime64 and timedelta64: convert the array, or send its fields one by one."
    )


class _Source(BytesIO):
    """The file genops reads from: refuses an opcode before its argument is read, a length before it is believed."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__(pickled)
        self._size = len(pickled)
        self._opcode = b""
        self._wide_left = _MAX_WIDE_TEXT
        self.at_opcode = True
        self.takes_text = False

    def left(self) -> int:
        return self._size - self.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self.left():
            raise BadMessage(f"A packed array's pickle asks for {size} bytes where {self.left()} are left.")
        piece = super().read(size)
        if self.at_opcode:
            self._allow(piece)
        elif self._opcode == b"X" and size > 255 and piece.translate(None, _LATIN1_IN_UTF8):
            self._allow_wide(size)
        return piece

    def _allow_wide(self, size: int) -> None:
        if not self.takes_text:
            raise BadMessage("A packed array's pickle holds a long text that is no encoded bytes.")
        self._wide_left -= size
        if self._wide_left < 0:
            raise BadMessage(f"A packed array of objects has more text beyond Latin-1 than {_MAX_WIDE_TEXT} bytes.")

    def readline(self, _: int | None = -1, /) -> bytes:
        line = super().readline(_LONGEST_NAME)
        if not line.endswith(b"\n") or b"\\" in line:  # genops warns of bad escapes, and array builders need none
            raise BadMessage("A packed array's pickle has a name that no array builder has.")
        return line

    def _allow(self, opcode: bytes) -> None:
        if opcode not in _ALLOWED:
            at = self.tell() - 1
            raise BadMessage(f"A packed array's pickle has opcode {opcode!r} at byte {at}, which no plain array needs.")
        self._opcode = opcode
        self.at_opcode = False


class _Name(Enum):
    """What a pickle may name. These stand for the things; the things themselves are never touched."""

    RECONSTRUCT = auto()
    FROMBUFFER = auto()
    NDARRAY = auto()
    DTYPE = auto()
    ENCODE = auto()
    BYTES = auto()


_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _Name.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _Name.FROMBUFFER,
    ("numpy._core.numeric", "_frombuffer"): _Name.FROMBUFFER,
    ("numpy", "ndarray"): _Name.NDARRAY,
    ("numpy", "dtype"): _Name.DTYPE,
    ("_codecs", "encode"): _Name.ENCODE,  # how protocol 2 writes bytes
    ("__builtin__", "bytes"): _Name.BYTES,  # and empty ones
}


class _Dtype:
    """A dtype under construction: pickle memoizes it before it sets its state."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.name: str | None = None


class _Array:
    """An array under construction, likewise."""

    def __init__(self) -> None:
        self.content: PickledArray | None = None


_MARK = object()


class _Machine:
    """The pickle machine, for inert values only. Never print what is on its stack: shared tuples can be deep."""

    def __init__(self, budget: int) -> None:
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.objects: list[Any] | None = None  # of an array of objects, once they begin
        self._begins_objects = False  # whether its dtype is there
        self._budget = budget  # what may yet be encoded: one long text can be named again and again
        self._opcodes = 0
        self._object_opcodes = 0

    def count(self, name: str) -> None:
        """Count an opcode: of objects there may be many, of all else few."""
        if self.objects is not None and name in _OF_OBJECTS:
            self._object_opcodes += 1
            if self._object_opcodes > _MAX_OBJECT_OPCODES:
                raise BadMessage(f"A packed array of objects has over {_MAX_OBJECT_OPCODES} opcodes: send it in parts.")
            return
        self._opcodes += 1
        if self._opcodes > _MAX_OPCODES:
            raise BadMessage(f"A packed array's pickle has over {_MAX_OPCODES} opcodes; no plain array needs them.")

    def result(self) -> PickledArray:
        """What STOP leaves."""
        match self.stack:
            case [_Array(content=PickledArray(data=list(objects)) as content)]:
                odd = next((kind for kind in map(type, objects) if kind not in _OBJECT_KINDS), None)
                if odd is not None:
                    raise BadMessage("A packed array of objects holds something else than text, numbers and truths.")
                return content
            case [_Array(content=PickledArray() as content)]:
                return content
        raise BadMessage("A packed array's pickle holds something else than one whole array.")

    def memoize(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def tuple_of(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError("stack too short")
        at = len(self.stack) - size
        self.stack[at:] = [tuple(self.stack[at:])]

    def tuple_to_mark(self) -> None:
        self.stack.append(tuple(self._to_mark()))

    def begin_objects(self) -> None:
        if not self._begins_objects or self.objects is not None:
            raise BadMessage("A packed array's pickle has opcode b']' where no array of objects begins.")
        self.objects = []
        self.stack.append(self.objects)

    def add_object(self) -> None:
        self._add([self.stack.pop()], "b'a'")

    def add_objects(self) -> None:
        self._add(self._to_mark(), "b'e'")

    def _add(self, objects: list[object], opcode: str) -> None:
        if self.objects is None or self.stack[-1] is not self.objects:
            raise BadMessage(f"A packed array's pickle has opcode {opcode} where no array of objects begins.")
        self.objects += objects

    def _to_mark(self) -> list[object]:
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise BadMessage("A packed array's pickle builds a name from something else than text.")
        if (module, name) not in _NAMES:
            raise BadMessage(f"A packed array's pickle names {module[:64]!r} {name[:64]!r}; no plain array does.")
        self.stack.append(_NAMES[module, name])

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case _Name.ENCODE, (str(text), "latin1" | "latin-1"):
                self.stack.append(self._encode(text))
            case _Name.BYTES, ():
                self.stack.append(b"")
            case _Name.DTYPE, (str(code), False, True):
                self.stack.append(_new_dtype(code))
            case _Name.RECONSTRUCT, (_Name.NDARRAY, (0,), _):
                self.stack.append(_Array())
            case _Name.FROMBUFFER, (data, dtype, shape, "C" | "F" as order):
                array = _Array()
                array.content = _content(shape, dtype, order, data)
                self.stack.append(array)
            case _:
                raise BadMessage("A packed array's pickle calls something in a way that no plain array needs.")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        match target, state:
            case _Dtype(name=None), _:
                target.name = _dtype_name(target.code, state)
                self._begins_objects = self._begins_objects or target.name == OBJECT
            case _Array(content=None), (1, shape, dtype, bool(fortran), data):
                target.content = _content(shape, dtype, "F" if fortran else "C", data)
            case _:
                raise BadMessage("A packed array's pickle sets a state that no plain array has.")

    def _encode(self, text: str) -> bytes:
        self._budget -= len(text)
        if self._budget < 0:
            raise BadMessage("A packed array's pickle makes more bytes than it has.")
        return text.encode("latin-1")


def _new_dtype(code: str) -> _Dtype:
    if not re.fullmatch(f"{DTYPE_CODES}|O[48]", code, re.ASCII):
        raise refused_dtype(code)
    return _Dtype(code)


def _dtype_name(code: str, state: object) -> str:
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


def _content(shape: object, dtype: object, order: Literal["C", "F"], data: object) -> PickledArray:
    if not isinstance(shape, tuple) or not isinstance(data, bytes | bytearray | list):
        raise BadMessage("A packed array's pickle holds a shape or data of the wrong type.")
    if not isinstance(dtype, _Dtype) or dtype.name is None:
        raise BadMessage("A packed array's pickle holds no whole dtype.")
    if isinstance(data, list) != (dtype.name == OBJECT):
        raise BadMessage("A packed array's pickle holds objects that are none, or addresses of some.")
    return PickledArray(dtype.name, shape, order, data)


def _protocol(_: _Machine, number: int) -> None:
    if not 2 <= number <= 5:
        raise BadMessage(f"A packed array is a pickle of protocol {number}; only 2 to 5 are read.")


def _global(machine: _Machine, names: str) -> None:
    module, _, name = names.partition(" ")
    machine.name(module, name)


def _stack_global(machine: _Machine, _: None) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name(module, name)


def _push(machine: _Machine, value: object) -> None:
    machine.stack.append(value)


def _nothing(_: _Machine, __: object) -> None:
    """FRAME only says how far to read ahead, and STOP is where genops ends."""


_OPCODES: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _protocol,
    "FRAME": _nothing,
    "STOP": _nothing,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "MARK": lambda machine, _: _push(machine, _MARK),
    "NONE": lambda machine, _: _push(machine, None),
    "NEWTRUE": lambda machine, _: _push(machine, True),
    "NEWFALSE": lambda machine, _: _push(machine, False),
    "EMPTY_DICT": lambda machine, _: _push(machine, {}),  # numpy 1 writes one into datetime64's state
    "EMPTY_TUPLE": lambda machine, _: machine.tuple_of(0),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.tuple_to_mark(),
    "MEMOIZE": lambda machine, _: machine.memoize(len(machine.memo)),
    "BINPUT": lambda machine, number: machine.memoize(number),
    "LONG_BINPUT": lambda machine, number: machine.memoize(number),
    "BINGET": lambda machine, number: _push(machine, machine.memo[number]),
    "LONG_BINGET": lambda machine, number: _push(machine, machine.memo[number]),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
    "BININT": _push,
    "BININT1": _push,
    "BININT2": _push,
    "LONG1": _push,
    "SHORT_BINUNICODE": _push,
    "BINUNICODE": _push,
    "SHORT_BINBYTES": _push,
    "BINBYTES": _push,
    "BYTEARRAY8": _push,
    "BINFLOAT": _push,
    "EMPTY_LIST": lambda machine, _: machine.begin_objects(),
    "APPEND": lambda machine, _: machine.add_object(),
    "APPENDS": lambda machine, _: machine.add_objects(),
}

# What objects are written with, once their list has begun; a mark and its APPENDS for each thousand.
_OF_OBJECTS = frozenset(
    (
        *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("SHORT_BINUNICODE", "BINUNICODE", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
        *("MARK", "APPEND", "APPENDS", "FRAME"),
    )
)

_ALLOWED = frozenset(opcode.code.encode("latin-1") for opcode in opcodes if opcode.name in _OPCODES)
