"""What is drawn by chance, from one seed: each draw has a name, so that none depends on how many came before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

__all__ = ["NamedDraws", "seed_of", "share_of"]

T = TypeVar("T")


def seed_of(seed: object, *names: object) -> int:
    """A seed of 48 bits, derived from `seed` and these names."""
    return int.from_bytes(hashlib.blake2b(repr((seed, *names)).encode(), digest_size=6).digest(), "big")


def share_of(seed: object, *names: object) -> float:
    """A number from 0 up to 1, derived from `seed` and these names."""
    return seed_of(seed, *names) / 2**48


class NamedDraws:
    """Draws that each have a name, so that none depends on how many were drawn before it."""

    def __init__(self, seed: int, *names: object) -> None:
        self._seed = (seed, *names)

    def share(self, *names: object) -> float:
        """From 0 to 1, without 1: always the same for the same names."""
        return share_of(self._seed, names)

    def between(self, least: float, most: float, *names: object) -> float:
        """A number of that range."""
        return least + (most - least) * self.share(*names)

    def shuffled(self, items: Iterable[T], *names: object) -> list[T]:
        """In an order by chance: that of two items does not depend on which others there are."""
        return sorted(items, key=lambda item: (self.share(*names, item), item))
