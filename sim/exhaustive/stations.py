"""One station of a small lab, packed into bytes, and what it does when something is done to it.

The same happens to the same station a thousand times on different ways, so that each answer is kept. An endpoint has no
clock and no chance: what it does depends on itself and on its arguments alone.
"""

from __future__ import annotations

import pickle
from copy import deepcopy
from functools import lru_cache

from msgspec import Struct

from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import Effect, Forget, Store
from autopilot_net.protocol.endpoint import Endpoint, Settings

__all__ = ["Answer", "ask", "connected", "has_neighbour", "send", "started"]

# Liveness is out of the way: a connection that ends is noticed here, and none stays silent for ever.
SETTINGS = Settings(repeat_interval=1.0, liveness_s=100.0, clock_s=None)


class PackedStation(Struct):
    """An endpoint, and what it has on disk if it is durable."""

    endpoint: Endpoint
    saved: Saved | None


class Answer(Struct, frozen=True):
    """What came of it: the station, when its next timer is due, its incarnation, and its effects in order."""

    packed: bytes
    due: float | None
    incarnation: str
    effects: tuple[Effect, ...]


@lru_cache(maxsize=100_000)
def started(former: bytes, name: str, upstream: str | None, life: int, *, durable: bool) -> Answer:
    """A station in a new life. `former` is the one that died; empty in the first life."""
    saved = _opened(former).saved if former else Saved(f"{name}#kept") if durable else None
    if saved is not None:
        saved.prune()
    endpoint = Endpoint(
        name,
        upstream=upstream,
        forwards=True,
        incarnation=f"{name}#{life}" if saved is None else saved.incarnation,
        settings=SETTINGS,
        saved=deepcopy(saved),
        life=f"{name}#{life}",
    )
    return _answer(PackedStation(endpoint, saved), [])


@lru_cache(maxsize=500_000)
def ask(packed: bytes, method: str, *arguments: object, now: float) -> Answer:
    """Call a method of its endpoint."""
    station = _opened(packed)
    return _answer(station, getattr(station.endpoint, method)(*arguments, now=now))


@lru_cache(maxsize=100_000)
def connected(packed: bytes, peer: str, *, took_over: bool) -> Answer:
    """A neighbour below came by a new connection."""
    station = _opened(packed)
    return _answer(station, station.endpoint.connected(peer, peer, took_over=took_over))


@lru_cache(maxsize=100_000)
def send(packed: bytes, id: str, to: str, ttl: int, *, now: float) -> Answer:
    """Send a message that seeks its confirmation."""
    station = _opened(packed)
    message = Message(id=id, to=to, sender=station.endpoint.id, key="DATA", value=id, ttl=ttl)
    return _answer(station, station.endpoint.send(message, repeat=True, now=now))


@lru_cache(maxsize=100_000)
def has_neighbour(packed: bytes, peer: str) -> bool:
    """Whether it takes `peer` to be there."""
    return _opened(packed).endpoint.routes.has(peer)


def _opened(packed: bytes) -> PackedStation:
    station: PackedStation = pickle.loads(packed)  # noqa: S301  # we packed it
    return station


def _answer(station: PackedStation, effects: list[Effect]) -> Answer:
    if station.saved is not None:
        for effect in effects:
            if isinstance(effect, Store):
                station.saved.store(effect.record)
            elif isinstance(effect, Forget):
                station.saved.forget(effect.to, effect.seq)
    endpoint = station.endpoint
    packed = pickle.dumps(station, pickle.HIGHEST_PROTOCOL)
    return Answer(packed, endpoint.next_timer(), endpoint.incarnation, tuple(effects))
