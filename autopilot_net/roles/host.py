"""What a role asks of the station it lives in, and what both roles share. A virtual lab has hosts of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from autopilot_net.errors import AutopilotNetError, BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.ids import DERIVED_BYTES, why_no_id
from autopilot_net.protocol.numbers import as_int
from autopilot_net.protocol.reasons import Refusal, refusal

__all__ = ["UNASKED", "Files", "Handle", "RoleHost", "Role"]
__all__ += ["count_of", "key", "follow", "id_in", "is_sought", "machine_of", "origin_of"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_KEYS = "_keys"  # the attribute of a method that says its keys

UNASKED = "unasked"  # marks what a station tells its program unasked, whether or not it listens

NOT_RELAYED = {
    # set anew by a relay
    *("id", "to", "sender", "key", "value", "timestamp", "ttl", "flags", "blosc", "changed", "origin"),
    # valid only for one transmission of one message
    *("inc", "seq", "low", "again", "via", "way", "first", "items", "re", "missing", "received", "failed", "why"),
    UNASKED,
    # names of parameters of `Message`, and so on
    *("self", "msg", "repeat", "expand_arrays"),
}


class Handle(Protocol):
    """What becomes of a message that was sent, or of something that was promised."""

    def then(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback(self)` when it is settled."""

    def settle(self, *, confirmed: bool, reason: str = "") -> None:
        """Say how it ended."""


class Files(Protocol):
    """The folder that task files are read from and written to. Every method raises `FileRefused` in a sentence.

    All but `lacks` and `part_size` take as long as a disk takes: they are for `RoleHost.beside`.
    """

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""

    def size_and_digest(self, path: str) -> tuple[int, str]:
        """The size in bytes and the SHA-256 of the whole file."""

    def lacks(self, path: str) -> bool:
        """Whether there is no whole file of that name."""

    def part_size(self, path: str) -> int:
        """How many bytes of it a transfer has left here."""

    def write_part(self, path: str, offset: int, data: bytes) -> None:
        """Add to the part that is here."""

    def finish(self, path: str, digest: str) -> bool:
        """Name the file if its SHA-256 is `digest`; else delete the part, and return False."""


class RoleHost(Protocol):
    """The station around a role. Called only from listens, and from calls that `after` makes."""

    id: str
    parent: str | None
    files: Files

    def send(self, to: str, key: str, value: Any, *, repeat: bool | None, flags: Iterable[str], **extra: Any) -> Handle:
        """Send a message of this station's own."""

    def promise(self) -> Handle:
        """A handle that the role itself settles; a listen that returns it counts as handled only then."""

    def learn(self, name: str, peer: str) -> None:
        """`name` lies behind the neighbour `peer`."""

    def has(self, peer: str) -> bool:
        """Whether `peer` is a neighbour that is there."""

    def is_ours(self, name: str) -> bool:
        """Whether `name`, near or far, has shown that it is one of ours. One of ours may not have yet."""

    def is_late(self, peer: str) -> bool:
        """Whether what was sent to the neighbour `peer` lately may lie there unread."""

    def now(self) -> float:
        """Seconds, never backwards."""

    def clock(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's; None while that is not known."""

    def after(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call `call` later, between two listens."""

    def beside(self, call: Callable[[], T], then: Callable[[Callable[[], T]], Any], *, about: str) -> None:
        """Run `call`, which may be slow, beside the listens, and then `then(outcome)` between two of them.

        `outcome()` returns what `call` returned, or raises what it raised. Calls about the same thing run one after
        the other, in the order in which they were given, and so do their `then`s.
        """

    def stop(self) -> None:
        """End the station."""


def key(*keys: str, listen: str = "") -> Callable[[F], F]:
    """Mark a method of a role as what is done with messages of these keys. A new key is such a method, and no more.

    `listen` is what the station calls its listen, which a subclass of the station may override; `l_` and the key in
    lower case if it is not given. May be used more than once on one method.
    """

    def mark(method: F) -> F:
        marks = {**getattr(method, _KEYS, {}), **{one: listen or f"l_{one.lower()}" for one in keys}}
        setattr(method, _KEYS, marks)
        return method

    return mark


class Role:
    """What a terminal and a pilot have in common."""

    def __init__(self, host: RoleHost) -> None:
        self.host = host
        self.program = "_" + host.id

    @classmethod
    def keys(cls) -> dict[str, tuple[str, str]]:
        """The keys it acts on: key → (the listen of its station, the method of the role)."""
        found: dict[str, tuple[str, str]] = {}
        for kind in reversed(cls.__mro__):
            for method, what in vars(kind).items():
                found |= {one: (listen, method) for one, listen in getattr(what, _KEYS, {}).items()}
        return found

    def listens(self) -> dict[str, Callable[[Message], Any]]:
        """What is done with each key, beside what every station does."""
        return {one: getattr(self, method) for one, (_, method) in self.keys().items()}

    def send(self, to: str, key: str, value: Any, *, repeat: bool | None = None, flags: Iterable[str] = ()) -> Handle:
        """A message that begins here."""
        return self.host.send(to, key, value, repeat=repeat, flags=flags)

    def may_kill(self, message: Message) -> bool:
        """Whether to obey a KILL: from our own program, by its own path."""
        return bool(message.sender == message.came_from == self.program)

    def attempt(self, send: Callable[..., Handle], *args: Any, **how: Any) -> Handle:
        """Call `send(…)`. If it raises, the handle says why, so that others can still be sent to."""
        try:
            return send(*args, **how)
        except AutopilotNetError as error:
            failed = self.host.promise()
            failed.settle(confirmed=False, reason=refusal(str(error)) or "")
            return failed

    def relay(
        self, message: Message, to: str, *, key: str | None = None, value: Any = None, repeat: bool = True, **more: Any
    ) -> Handle:
        """Pass `message` on as one of our own that remembers where it began, with the extra attributes it has.

        Returned from a listen, it makes the original count as handled when this one is: a trial is confirmed to the
        rig when the program of the terminal has it, not when the terminal has queued it.
        """
        return self.host.send(
            to,
            key or message.key,
            message.value if value is None else value,
            repeat=repeat,
            flags=_kept(message.flags),
            origin=origin_of(message),
            **{**_extra(message), **more},
        )

    def copy(self, message: Message, to: str, value: Any = None) -> None:
        """Send a copy that nobody waits for. If it cannot be sent, that is ignored."""
        passed = message.value if value is None else value
        with suppress(AutopilotNetError):
            self.host.send(to, message.key, passed, repeat=False, flags=_kept(message.flags), **_extra(message))


def follow(promise: Handle, handle: Handle) -> None:
    """Settle `promise` as `handle` is settled."""

    def settle(done: Any) -> None:
        reason = Refusal(done.reason) if done.refused else done.reason
        promise.settle(confirmed=not done.expired, reason=reason)

    handle.then(settle)


def origin_of(message: Message) -> dict[str, str]:
    """Who sent it first, and under which id."""
    origin = message.get("origin")
    if isinstance(origin, dict) and why_no_id(origin.get("sender"), bound=DERIVED_BYTES) is None:
        return {"sender": origin["sender"], "id": str(origin.get("id"))}
    return {"sender": message.sender, "id": message.id}


def machine_of(message: Message) -> str:
    """The machine it came from first: a program's messages are its machine's."""
    return origin_of(message)["sender"].removeprefix("_")


def id_in(message: Message, name: str) -> str:
    """The id that the value of `message` has under `name`. Raises `BadMessage` where there is none."""
    value = message.value
    id = value.get(name) if isinstance(value, dict) else None
    why = why_no_id(id)
    if why is not None:
        told = f"the value of message {message.id} ({message.key} from {message.sender}) names no {name}"
        raise BadMessage(told if id is None else f"{told}: {id!a:.80} is no id, for {why}")
    return str(id)


def count_of(facts: Mapping[str, Any], name: str) -> int:
    """The whole number that `facts` has under `name`. Raises `KeyError` for none, `ValueError` for anything else."""
    count = as_int(facts[name])
    if count is None:
        raise ValueError(f"{name} is {facts[name]!r}, where a whole number from 0 on belongs")
    return count


def is_sought(message: Message) -> bool:
    """Whether its sender waits for a confirmation.

    What came unconfirmed is forwarded unconfirmed: no window bounds it, and what waited for a program that is away for
    a weekend would fill the memory.
    """
    return "NOREPEAT" not in message.flags


def _extra(message: Message) -> dict[str, Any]:
    return {name: message[name] for name in message if name not in NOT_RELAYED}


def _kept(flags: Mapping[str, Any]) -> list[str]:
    return [flag for flag in flags if flag != "NOREPEAT"]
