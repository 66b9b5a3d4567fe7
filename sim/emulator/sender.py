"""What a station and a program of the rehearsal share: saying things, and writing down what became of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from autopilot_net import Delivery, Message, decode_array
from sim.lab.topology import Machine, Topology
from sim.scenario import Crash, Op, Send
from sim.scenario.payloads import build, fingerprint

__all__ = ["ADDED", "Place", "Speaker", "Tally", "expanded", "facts_of"]

ADDED = ("pilot", "child", "subject", "continuous")  # what stations add to the items of streams on their way


class Place(Struct, frozen=True):
    """What every process of a run is told: the lab, the seed, where to write, and the process group to join."""

    topology: Topology
    seed: int
    folder: Path
    group: int

    @property
    def journal(self) -> Path:
        """Where journals and traces go."""
        return self.folder / "journal"

    def durable(self, machine: Machine, part: str) -> Path | None:
        """Where a machine's station, program or probe keeps its promises; None where they die with it."""
        return self.folder / "durable" / f"{machine.id}.{part}.sqlite" if machine.durable else None


class Notebook(Protocol):
    """Where it is written down what happened: a file, or a list."""

    life: int

    def write(self, what: str, **facts: Any) -> None: ...


class Voice(Protocol):
    """A node or a station."""

    id: str
    closing: Any

    def prepare_message(self, to: Any, key: str, value: Any, repeat: bool = ...) -> Message: ...

    def send(self, to: Any = ..., *, msg: Message | None = ..., repeat: bool = ...) -> Delivery: ...


class Tally:
    """Counts what storms delivered here, and says once when as much came as was announced."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._came: Counter[int] = Counter()
        self._wanted: dict[int, int] = {}

    def expect(self, example: int, count: int) -> None:
        """So many will come."""
        with self._lock:
            self._wanted[example] = count
        self._look(example)

    def came(self, example: int) -> None:
        """One came."""
        with self._lock:
            self._came[example] += 1
        self._look(example)

    def _look(self, example: int) -> None:
        with self._lock:
            wanted = self._wanted.get(example)
            if wanted is None or self._came[example] < wanted:
                return
            del self._wanted[example]
        self._tell("reached", example)


class Speaker:
    """Sends for one or more participants of a process, and journals it."""

    def __init__(self, journal: Notebook, tell: Callable[..., None]) -> None:
        self.journal = journal
        self.tally = Tally(tell)
        self._tell = tell
        self._voices: dict[str, Voice] = {}
        self._open: set[str] = set()
        self._changed = threading.Condition()

    def add(self, voice: Voice) -> None:
        """Speak for `voice` too."""
        self._voices[voice.id] = voice

    def say(
        self,
        frm: str,
        to: str,
        key: str,
        value: Any,
        *,
        hops: Sequence[str] = (),
        sought: bool = True,
        example: int = -1,
    ) -> Delivery:
        """Send; written down before it is sent, and again when it is settled."""
        voice = self._voices[frm]
        route: Any = list(hops) or to
        message = voice.prepare_message(route, key, value, repeat=sought)
        # A life counts from 0 again, and a role's own messages too: what is written down is told apart from all these.
        message.id = f"{message.id}.{self.journal.life}"
        facts = {"id": message.id, "key": key, "by": frm, "example": example}
        shown = value["payload"] if example >= 0 and isinstance(value, dict) and "payload" in value else value
        self.journal.write(
            "made", to=to, hops=list(hops), sought=sought, print=fingerprint(shown), **facts
        )
        if sought:
            with self._changed:
                self._open.add(message.id)
        delivery = voice.send(route, msg=message, repeat=sought)
        if sought:
            delivery.then(lambda done: self._settled(done, facts))
        return delivery

    def storm(self, example: int, ops: Sequence[tuple[int, Op]]) -> None:
        """Play the part of a storm that is ours, then say when all of it is settled."""
        sought = []
        for number, op in ops:
            if isinstance(op, Crash):
                sought.append(
                    self.say(op.frm, op.to, "CRASH", {"example": example, "payload": None}, example=example)
                )
            elif isinstance(op, Send):
                payload = build(op.payload)
                for n in range(op.burst):
                    value = {"example": example, "op": number, "n": n, "payload": payload}
                    handle = self.say(
                        op.frm, op.to, "STORM", value, hops=op.hops, sought=op.sought, example=example
                    )
                    sought += [handle] if op.sought else []
        self.when_settled(sought, lambda: self._tell("settled", example))

    def when_settled(self, handles: Sequence[Delivery], then: Callable[[], None]) -> None:
        """Call `then` once nothing more will be known of any of `handles`."""
        left = [len(handles)]
        lock = threading.Lock()

        def one(_: Delivery) -> None:
            with lock:
                left[0] -= 1
                last = left[0] == 0
            if last:
                then()

        if not handles:
            then()
        for handle in handles:
            handle.then(one)

    def wait(self, timeout: float) -> list[str]:
        """Wait until all that was said is settled; the ids of what is not by then."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, timeout)
            return sorted(self._open)

    def open(self) -> list[str]:
        """The ids of what was said and is not settled."""
        return sorted(self._open)

    def heard(self, message: Message, what: str = "handled", **facts: Any) -> None:
        """Write down that a handler has done what it was for."""
        known = facts_of(message)
        self.journal.write(what, **{**known, **facts})

    def heard_storm(self, by: str, message: Message) -> None:
        """The handler of STORM."""
        value = expanded(message.value)
        self.heard(message, by=by, example=value["example"], print=fingerprint(value["payload"]))
        self.tally.came(value["example"])

    def heard_item(self, by: str, message: Message) -> None:
        """The handler of STORM_ITEM."""
        value = expanded(message.value)
        own = fingerprint(value["payload"])
        self.heard(
            message, "item_got", by=by, example=value["example"], stream=value["stream"], n=value["n"], print=own
        )
        self.tally.came(value["example"])

    def _settled(self, done: Delivery, facts: dict[str, Any]) -> None:
        if done.expired and self._voices[facts["by"]].closing.is_set():
            return  # it was given up because we end, and nothing is known of it
        how = "confirmed" if done.confirmed else done.reason
        self.journal.write("settled", to=done.to, value=how, **facts)
        with self._changed:
            self._open.discard(done.id)
            self._changed.notify_all()


def facts_of(message: Message) -> dict[str, Any]:
    """What a journal notes of a message that came in."""
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
    }


def expanded(value: Any) -> Any:
    """`value` with its arrays as arrays: stations hand on what they got."""
    if isinstance(value, dict):
        if "NUMPY_ARRAY" in value:
            return decode_array(value)
        return {key: expanded(item) for key, item in value.items()}
    return [expanded(item) for item in value] if isinstance(value, list) else value
