"""The contents of storms and streams: specified as data, built when sent, and compared by fingerprints.

A fingerprint is computed from a value with the standard library and numpy only. It must not share code with the library
under test.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import numpy as np
from msgspec import Struct

__all__ = ["ArraySpec", "Payload", "bare_message", "build", "fingerprint", "frame", "noise", "opaque_bytes"]

Array = np.ndarray[Any, np.dtype[Any]]


class ArraySpec(Struct, frozen=True):
    """The recipe of an array: `noise` of a seed."""

    dtype: str
    shape: tuple[int, ...]
    seed: int = 0
    layout: Literal["C", "F", "strided"] = "C"


class Payload(Struct, frozen=True):
    """A JSON value as text (NaN and the infinities are literals), or an array: alone, or in a dict with that value."""

    text: str = "null"
    array: ArraySpec | None = None
    alone: bool = True


def build(payload: Payload) -> Any:
    """Build the value that a payload specifies."""
    if payload.array is None:
        return json.loads(payload.text)
    made = _array(payload.array)
    return made if payload.alone else {"array": made, "beside": json.loads(payload.text)}


def fingerprint(value: Any) -> str:
    """A hash in hex, equal for values with equal bits, including NaN. Tuples count as lists, and keys have no order."""
    return hashlib.blake2b(json.dumps(_tree(value), sort_keys=True).encode(), digest_size=8).hexdigest()


def frame(dtype: str, shape: tuple[int, ...], *, seed: int, n: int, content: str) -> Array:
    """Item `n` of an array stream. `content` is noise, which hardly compresses, or video: a moving gradient."""
    base = noise(dtype, shape, seed) if content == "noise" else _gradient(dtype, shape)
    moved = np.roll(base.reshape(-1), n * 7)
    stamp = np.frombuffer(n.to_bytes(8, "little"), np.uint8)
    raw = moved.view(np.uint8)
    if raw.size >= 8 and base.dtype.kind in "iu":
        raw[:8] = stamp
    return moved.reshape(shape)


def noise(dtype: str, shape: tuple[int, ...], seed: int) -> Array:
    """An array of random bits that `dtype` allows, the same for the same seed."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64))
    rng = np.random.default_rng(seed)
    if kind.kind in "US":
        return rng.integers(0, 10**4, size).astype(kind).reshape(shape)
    if kind.kind == "b":
        return rng.integers(0, 2, size).astype(kind).reshape(shape)
    return rng.integers(0, 256, size * kind.itemsize, np.uint8).view(kind).reshape(shape)


def opaque_bytes(size: int, seed: int, example: int, n: int) -> bytes:
    """The bytes of operation `n` of a storm that are no message: no JSON, no UTF-8, and unique in the run."""
    stamp = b"\xff\x00" + example.to_bytes(4, "big") + n.to_bytes(4, "big")
    return stamp + noise("uint8", (size,), seed).tobytes()


def bare_message(sender: str, at: str, to: str, *, id: str, example: int, op: int, numbered: bool) -> bytes:
    """A storm message of a raw peer on machine `at`: as this library sends it (`numbered`), or as Autopilot does."""
    message: dict[str, Any] = {
        "id": id,
        "to": to,
        "sender": sender,
        "key": "STORM",
        "value": {"example": example, "op": op, "n": 0, "payload": None},
        "timestamp": "2020-01-01T00:00:00",
        "ttl": 5,
        "flags": {},
    }
    if numbered:
        message |= {"inc": f"actor{example}.{op}", "seq": 1, "low": 1}
    return json.dumps(message | {"via": [at]}).encode()


def _gradient(dtype: str, shape: tuple[int, ...]) -> Array:
    size = int(np.prod(shape, dtype=np.int64))
    return (np.arange(size) % 251).astype(dtype).reshape(shape)


def _array(spec: ArraySpec) -> Array:
    if spec.layout == "strided" and spec.shape:
        doubled = (*spec.shape[:-1], spec.shape[-1] * 2)
        return noise(spec.dtype, doubled, spec.seed)[..., ::2]
    made = noise(spec.dtype, spec.shape, spec.seed)
    return made.copy(order="F") if spec.layout == "F" else made  # asfortranarray would make 0-d arrays 1-d


def _tree(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raw = np.ascontiguousarray(value).tobytes()
        return ["array", str(value.dtype), list(value.shape), hashlib.blake2b(raw, digest_size=8).hexdigest()]
    if isinstance(value, dict):
        return {str(key): _tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    return value
