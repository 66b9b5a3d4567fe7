"""Payloads are built from their recipes, and told apart by their fingerprints."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.scenario.payloads import ArraySpec, Payload, build, fingerprint, noise, opaque_bytes
from sim.search.strategies import payloads


@given(payloads())
def test_a_payload_built_again_has_the_same_fingerprint(payload: Payload) -> None:
    assert fingerprint(build(payload)) == fingerprint(build(payload)) == fingerprint(copy.deepcopy(build(payload)))


@given(
    st.sampled_from(["?", "u1", "<i2", ">f4", "<c16", "S5", "<U3"]),
    st.lists(st.integers(1, 4), max_size=3).map(tuple),
    st.integers(0, 1000),
    st.data(),
)
def test_one_bit_makes_another_fingerprint(dtype: str, shape: tuple[int, ...], seed: int, data: st.DataObject) -> None:
    array = noise(dtype, shape, seed)
    raw = bytearray(array.tobytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    flipped = np.frombuffer(bytes(raw), array.dtype).reshape(shape)
    assert fingerprint(flipped) != fingerprint(array)
    assert fingerprint({"a": [flipped]}) != fingerprint({"a": [array]})


@given(st.sampled_from(["<f8", ">i2", "S5"]), st.lists(st.integers(0, 4), max_size=3).map(tuple), st.integers(0, 99))
def test_how_an_array_lies_in_memory_makes_no_difference(dtype: str, shape: tuple[int, ...], seed: int) -> None:
    made = [build(Payload(array=ArraySpec(dtype, shape, seed, layout))) for layout in ("C", "F")]
    strided = build(Payload(array=ArraySpec(dtype, shape, seed, "strided")))
    assert fingerprint(made[0]) == fingerprint(made[1])
    assert fingerprint(strided) == fingerprint(np.ascontiguousarray(strided).reshape(shape))


NAN = float("nan")
SAME: list[tuple[Any, Any]] = [
    (NAN, float("nan")),
    ({"a": [NAN, math.inf]}, {"a": (float("nan"), math.inf)}),
    ((1, 2), [1, 2]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    (np.array([NAN]), np.array([NAN])),
    (json.loads(str(2**80)), 2**80),
]
DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (math.inf, -math.inf),
    (2**80, 2**80 + 1),
    (2**64, float(2**64)),
    ("1", 1),
    (None, "null"),
    ([], {}),
    ([[1], 2], [1, [2]]),
    ("é", "e\N{COMBINING ACUTE ACCENT}"),
    (np.zeros(4, "u1"), np.zeros(4, "i1")),
    (np.zeros(4, "u1"), np.zeros((2, 2), "u1")),
    (np.zeros((), "u1"), np.zeros(1, "u1")),
    (np.zeros((0, 2), "u1"), np.zeros((2, 0), "u1")),
    (np.arange(4, dtype=">i4"), np.arange(4, dtype="<i4")),
    (np.zeros(4, ">i4"), np.zeros(4, "<i4")),  # the same bits, and another meaning
    (np.zeros(0, "f4"), np.zeros(0, "f8")),
    (np.arange(4, dtype="<i4").astype(">i4"), np.arange(4, dtype="<i4").view(">i4")),
    (np.array([1.0]), [1.0]),
    (np.array([NAN]), np.array([-NAN])),  # not the same bits
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_values_that_are_equal_bit_for_bit_have_one_fingerprint(one: Any, other: Any) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_values_that_differ_have_two_fingerprints(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_opaque_bytes_are_no_text_no_json_and_unlike_any_other_of_the_run() -> None:
    made = [opaque_bytes(size, 0, example, n) for size in (0, 30) for example in range(3) for n in range(3)]
    assert made == [opaque_bytes(size, 0, example, n) for size in (0, 30) for example in range(3) for n in range(3)]
    assert len(set(made)) == len(made)
    for raw in made:
        with pytest.raises(UnicodeDecodeError):
            raw.decode()
