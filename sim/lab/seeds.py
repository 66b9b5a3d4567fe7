"""Random draws from one seed. Each draw has names, so it does not depend on how many were made before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

__all__ = ["NamedDraws", "seed_of", "share_of"]

T = TypeVar("T")


def seed_of(seed: object, *names: object) -> int:
    """A seed of 48 bits, derived from `seed` and `names` by their `repr`."""
    return int.from_bytes(hashlib.blake2b(repr((seed, *names)).encode(), digest_size=6).digest(), "big")


def share_of(seed: object, *names: object) -> float:
    """A number in [0, 1), derived from `seed` and `names`."""
    return seed_of(seed, *names) / 2**48


class NamedDraws:
    """Draws with names. Equal names give equal results, in any order of calls."""

    def __init__(self, seed: int, *names: object) -> None:
        self._seed = (seed, *names)

    def share(self, *names: object) -> float:
        """A number in [0, 1)."""
        return share_of(self._seed, names)

    def between(self, least: float, most: float, *names: object) -> float:
        """A number in [least, most)."""
        return least + (most - least) * self.share(*names)

    def shuffled(self, items: Iterable[T], *names: object) -> list[T]:
        """The items in a random order. The order of two items does not depend on the other items."""
        return sorted(items, key=lambda item: (self.share(*names, item), item))
