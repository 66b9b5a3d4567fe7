"""Sends messages for the stations and programs of a process, and journals what is sent, settled and received."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from autopilot_net import ClockOffset, Delivery, Message, decode_array
from autopilot_net.delivery import when_settled
from sim.scenario import Crash, Op, Send
from sim.scenario.payloads import build, fingerprint

__all__ = ["ADDED", "ArrivalCounter", "JournalWriter", "Participant", "Sender", "expanded", "facts_of"]

ADDED = ("pilot", "child", "subject", "continuous")  # keys that stations add to stream items as they forward them


class JournalWriter(Protocol):
    """Writes journal entries of one life of a process: to a file, or to a list."""

    life: int

    def now(self) -> int: ...

    def write(self, what: str, **facts: Any) -> None: ...


class Participant(Protocol):
    """A node or a station that can send."""

    id: str
    closing: Any

    @property
    def clock_offset(self) -> ClockOffset | None: ...

    def prepare_message(self, to: Any, key: str, value: Any, repeat: bool = ...) -> Message: ...

    def send(
        self, to: Any = ..., *, msg: Message | None = ..., repeat: bool = ..., expires_after: float | None = ...
    ) -> Delivery: ...


class ArrivalCounter:
    """Counts the messages and items of storms that arrive here. Any thread may call.

    When as many have arrived as were announced, calls `tell("reached", example)`, once for each storm.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._came: Counter[int] = Counter()
        self._expected: dict[int, int] = {}

    def expect(self, example: int, count: int) -> None:
        """Announce how many will arrive of one storm."""
        with self._lock:
            self._expected[example] = count
        self._tell_if_reached(example)

    def came(self, example: int) -> None:
        """Count one arrival."""
        with self._lock:
            self._came[example] += 1
        self._tell_if_reached(example)

    def _tell_if_reached(self, example: int) -> None:
        with self._lock:
            expected = self._expected.get(example)
            if expected is None or self._came[example] < expected:
                return
            del self._expected[example]
        self._tell("reached", example)


class Sender:
    """Sends for one or more participants of a process, and journals it. Any thread may call.

    `tell` reports to whoever runs the rehearsal: `settled` and `reached`, each with the number of a storm. `pause` is
    what a slow handler does for so many seconds. In virtual time it does nothing: there the lab makes the time pass.
    """

    def __init__(
        self,
        journal: JournalWriter,
        tell: Callable[..., None],
        pause: Callable[[float], object] = lambda _: None,
    ) -> None:
        self.journal = journal
        self._pause = pause
        self.arrivals = ArrivalCounter(tell)
        self._tell = tell
        self._participants: dict[str, Participant] = {}
        self._open: set[str] = set()
        self._changed = threading.Condition()

    def add(self, participant: Participant) -> None:
        """Send for this participant too."""
        self._participants[participant.id] = participant

    def send(
        self,
        frm: str,
        to: str,
        key: str,
        value: Any,
        *,
        hops: Sequence[str] = (),
        sought: bool = True,
        example: int = -1,
        expires_s: float = 0.0,
    ) -> Delivery:
        """Send a message: to an id, or along `hops`. It is journalled before it is sent, and when it is settled.

        `sought` asks for a confirmation. `example` is the number of the storm that the message belongs to. With
        `expires_s` it is given up after so many seconds.
        """
        participant = self._participants[frm]
        recipient: Any = list(hops) or to
        begun, known = self.journal.now(), participant.clock_offset
        message = participant.prepare_message(recipient, key, value, repeat=sought)
        # The life makes the id unique in the journal: each life counts from 0 again, and so do the role's own messages.
        message.id = f"{message.id}.{self.journal.life}"
        facts = {"id": message.id, "key": key, "by": frm, "example": example}
        shown = value["payload"] if example >= 0 and isinstance(value, dict) and "payload" in value else value
        told: dict[str, Any] = {"value": value} if key == "CHANGE" else {}  # names the machine that it is for
        told |= {"begun": begun, "known": None if known is None else (known.offset, known.uncertainty)}
        told |= {"expires_s": expires_s} if expires_s else {}
        self.journal.write("made", to=to, hops=list(hops), sought=sought, print=fingerprint(shown), **facts, **told)
        if sought:
            with self._changed:
                self._open.add(message.id)
        bound = {"expires_after": expires_s} if expires_s else {}
        delivery = participant.send(recipient, msg=message, repeat=sought, **bound)
        if sought:
            delivery.then(lambda done: self._settled(done, facts))
        return delivery

    def storm(self, example: int, ops: Sequence[tuple[int, Op]]) -> None:
        """Send this process's part of a storm, and tell `settled` once all of it is settled."""
        deliveries = []
        for number, op in ops:
            if isinstance(op, Crash):
                value: dict[str, Any] = {"example": example, "payload": None}
                deliveries.append(self.send(op.frm, op.to, "CRASH", value, example=example))
            elif isinstance(op, Send):
                payload, slow = build(op.payload), {"takes_ms": op.takes_ms} if op.takes_ms else {}
                how: dict[str, Any] = {"hops": op.hops, "sought": op.sought, "expires_s": op.expires_s}
                for n in range(op.burst):
                    value = {"example": example, "op": number, "n": n, "payload": payload, **slow}
                    delivery = self.send(op.frm, op.to, "STORM", value, example=example, **how)
                    deliveries += [delivery] if op.sought else []
        when_settled(deliveries, lambda: self._tell("settled", example))

    def wait(self, timeout: float) -> list[str]:
        """Wait until every confirmed message is settled, at most `timeout` seconds. Returns the ids that are not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, timeout)
            return sorted(self._open)

    def open(self) -> list[str]:
        """The ids of confirmed messages that are not settled."""
        return sorted(self._open)

    def heard(self, message: Message, what: str = "handled", **facts: Any) -> None:
        """Journal that a handler has done its work. `facts` add to those of the message, or replace them."""
        known = facts_of(message)
        self.journal.write(what, **{**known, **facts})

    def heard_storm(self, by: str, message: Message) -> None:
        """The handler of STORM at the participant `by`."""
        value = expanded(message.value)
        self._pause(value.get("takes_ms", 0) / 1e3)
        self.heard(message, by=by, example=value["example"], print=fingerprint(value["payload"]))
        self.arrivals.came(value["example"])

    def heard_item(self, by: str, message: Message) -> None:
        """The handler of STORM_ITEM at the participant `by`."""
        value = expanded(message.value)
        own = fingerprint(value["payload"])
        self.heard(
            message, "item_got", by=by, example=value["example"], stream=value["stream"], n=value["n"], print=own
        )
        self.arrivals.came(value["example"])

    def _settled(self, done: Delivery, facts: dict[str, Any]) -> None:
        if done.expired and self._participants[facts["by"]].closing.is_set():
            return  # it was given up because this process ends: its outcome is unknown
        how = "confirmed" if done.confirmed else done.reason
        self.journal.write("settled", to=done.to, value=how, **facts)
        with self._changed:
            self._open.discard(done.id)
            self._changed.notify_all()


def facts_of(message: Message) -> dict[str, Any]:
    """What a journal notes of a message that arrived."""
    origin = message.get("origin")
    first = origin if isinstance(origin, dict) else {}
    return {
        "id": str(message.id),
        "key": str(message.key),
        "sender": str(message.sender),
        "to": str(message.to),
        "redelivered": bool(message.get("redelivered")),
        "first": str(first.get("id", "")),
        "first_sender": str(first.get("sender", "")),
        "stamp": str(message.get("timestamp", "")),
    }


def expanded(value: Any) -> Any:
    """`value` with its encoded arrays decoded. Stations forward arrays as they got them.

    Raises ValueError for an array that cannot be written to: programs change the images that they get.
    """
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        raise ValueError(f"an array of shape {value.shape} arrived that cannot be written to")
    if isinstance(value, dict):
        if "NUMPY_ARRAY" in value:
            return expanded(decode_array(value))
        return {key: expanded(item) for key, item in value.items()}
    return [expanded(item) for item in value] if isinstance(value, list) else value
