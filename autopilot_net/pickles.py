"""Reads the pickle of a plain array without running it.

What peers pack is a pickle, and unpickling what a network sent runs whatever the sender likes. Here the opcodes that a
plain array needs are interpreted to inert values, and everything else is refused: no name is imported, nothing is
called, and what the pickle can cost is bounded by its own length. What the values mean as numbers is for `arrays`.

An array of objects is read if each of them is text, a number, a truth or None. Its dtype comes first, and only then a
list may begin, one, which takes as many objects as the limit allows.
"""

from collections.abc import Callable
from io import BytesIO
from pickletools import genops, opcodes
from typing import Any

from autopilot_net.errors import BadMessage
from autopilot_net.pickled_array import (
    NAMES,
    OBJECT,
    ArrayBuild,
    Dtype,
    Name,
    PickledArray,
    content,
    dtype_name,
    new_dtype,
)

__all__ = ["read_pickle"]

_MAX_OBJECT_OPCODES = 2**18  # text takes two, anything else one: tens of MB at most, and a second
_MAX_WIDE_TEXT = 2**22  # bytes of text that may take four times its encoded size
_OBJECT_KINDS = frozenset((str, int, float, bool, type(None)))  # exactly these, and nothing that holds others
_MAX_OPCODES = 256  # protocol 2 takes 60 for a plain array, and one more for each dimension
_LONGEST_NAME = 64  # bytes of a module or a name in it
_LATIN1_IN_UTF8 = bytes(range(0xC4))  # lead bytes above these would make a text of up to four times its encoded size


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
            case [ArrayBuild(content=PickledArray(data=list(objects)) as content)]:
                odd = next((kind for kind in map(type, objects) if kind not in _OBJECT_KINDS), None)
                if odd is not None:
                    raise BadMessage("A packed array of objects holds something else than text, numbers and truths.")
                return content
            case [ArrayBuild(content=PickledArray() as content)]:
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
        if (module, name) not in NAMES:
            raise BadMessage(f"A packed array's pickle names {module[:64]!r} {name[:64]!r}; no plain array does.")
        self.stack.append(NAMES[module, name])

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case Name.ENCODE, (str(text), "latin1" | "latin-1"):
                self.stack.append(self._encode(text))
            case Name.BYTES, ():
                self.stack.append(b"")
            case Name.DTYPE, (str(code), False, True):
                self.stack.append(new_dtype(code))
            case Name.RECONSTRUCT, (Name.NDARRAY, (0,), _):
                self.stack.append(ArrayBuild())
            case Name.FROMBUFFER, (data, dtype, shape, "C" | "F" as order):
                array = ArrayBuild()
                array.content = content(shape, dtype, order, data)
                self.stack.append(array)
            case _:
                raise BadMessage("A packed array's pickle calls something in a way that no plain array needs.")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        match target, state:
            case Dtype(name=None), _:
                target.name = dtype_name(target.code, state)
                self._begins_objects = self._begins_objects or target.name == OBJECT
            case ArrayBuild(content=None), (1, shape, dtype, bool(fortran), data):
                target.content = content(shape, dtype, "F" if fortran else "C", data)
            case _:
                raise BadMessage("A packed array's pickle sets a state that no plain array has.")

    def _encode(self, text: str) -> bytes:
        self._budget -= len(text)
        if self._budget < 0:
            raise BadMessage("A packed array's pickle makes more bytes than it has.")
        return text.encode("latin-1")


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
