"""Whatever bytes a stranger calls a pickle cost little, run nothing, and are an array or refused."""

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopilot_net.arrays import decode_array
from tests.autopilot_net.array_samples import (
    ITEM_SIZE,
    PROTOCOLS,
    SMALL,
    Array,
    assert_array_or_refused,
    assert_same,
    edits,
    mutated,
    protocol_3,
    refusal,
    samples,
    wire_of_pickle,
)

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


@settings(deadline=None, max_examples=1000)
@given(samples, st.sampled_from(PROTOCOLS), edits)
def test_a_mutated_pickle_is_an_array_or_refused(
    array: Array, protocol: int, edits: list[tuple[str, int, bytes]]
) -> None:
    assert_array_or_refused(wire_of_pickle(mutated(pickle.dumps(array, protocol), edits)))
