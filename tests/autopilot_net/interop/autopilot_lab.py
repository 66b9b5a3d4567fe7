"""Labs in which some stations and nodes are the real Autopilot's, and the others ours."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopilot_net import Delivery, Message, Station
from tests.conftest import eventually, held_port
from tests.harness import Lab
from tests.patience import DEADLINE_S

Event = dict[str, Any]


# -- what runs there ---------------------------------------------------------------------------------------------------


@dataclass
class Their:
    """A station or a node of theirs."""

    id: str
    port: int  # where a station listens
    of: Theirs

    def tell(self, method: str, **how: Any) -> None:
        """Have it call a method of its own; see `autopilot_peer.py` for what else there is."""
        self.of.order("tell", id=self.id, method=method, how=how)

    def heard(self, key: str) -> list[Any]:
        """The values that came under `key`, with all else that a listen of theirs is told."""
        return [e for e in self.of.events if e["who"] == self.id and e["event"] == "heard" and e["key"] == key]

    def until(self, key: str, is_it: Callable[[Any], bool] = lambda _: True, *, times: int = 1) -> Any:
        """Wait until so many values that are it came under `key`; the last."""
        return self.of.until(lambda e: e.get("key") == key and is_it(e["value"]), self.id, "heard", times)["value"]

    def outbox(self) -> list[str]:
        """The ids of what awaits its confirmation."""
        return list(self._next("outbox", lambda: self.tell("outbox"))["ids"])

    def received(self) -> int:
        """How many messages a station has got so far, whomever they were for."""
        return int(self._next("received", lambda: self.tell("received"))["count"])

    def kill(self) -> None:
        """End it at once."""
        self._next("killed", lambda: self.of.order("kill", id=self.id))

    def _next(self, event: str, order: Callable[[], None]) -> Event:
        before = sum(e["who"] == self.id and e["event"] == event for e in self.of.events)
        order()
        return self.of.until(lambda _: True, self.id, event, before + 1)


class Theirs:
    """A Python with Autopilot, and what it has said."""

    def __init__(self, python: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("autopilot_peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.events: list[Event] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.until(lambda _: True, "", "ready")

    def order(self, do: str, **how: Any) -> None:
        """One line for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **how}) + "\n")
        self._process.stdin.flush()

    def until(self, is_it: Callable[[Event], bool], who: str, event: str, times: int = 1) -> Event:
        """Wait until `who` has said `event` so often, being it; the last."""

        def matches() -> list[Event]:
            return [e for e in self.events if e["who"] == who and e["event"] == event and is_it(e)]

        with self._news:
            came = self._news.wait_for(lambda: len(matches()) >= times, DEADLINE_S)
        assert came, f"no {event} of {who} that was waited for among {self.events}"
        return matches()[-1]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()

    def make(self, id: str, kind: str, *keys: str, at: int = 0, prefs: Event | None = None, **settings: Any) -> Their:
        """A station or node, up. A station listens `at` a port that its settings name too."""
        up = sum(e["who"] == id and e["event"] == "up" for e in self.events)
        self.order("make", id=id, kind=kind, keys=keys, prefs=prefs or {}, **settings)
        self.until(lambda _: True, id, "up", up + 1)
        return Their(id, at, self)

    def station(self, id: str, *keys: str, port: int, parent: Any = None, **settings: Any) -> Their:
        """A `Station` of theirs at `port`, below `parent` if there is one."""
        up = {"pusher": True, "push_ip": "localhost", "push_port": parent.port, "push_id": parent.id} if parent else {}
        return self.make(id, "Station", *keys, at=port, listen_port=port, **up, **settings)

    def node(self, id: str, station: Any, *keys: str, **settings: Any) -> Their:
        """A `Net_Node` of theirs on `station`."""
        return self.make(id, "Net_Node", *keys, upstream=station.id, **{"port": station.port, **settings})

    def close(self) -> None:
        """End all of it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(DEADLINE_S)
        finally:
            self._process.kill()
            self._reader.join(DEADLINE_S)
            assert self._process.stdout is not None
            self._process.stdout.close()


# -- what becomes of a message -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What becomes of a message, and of its confirmation, where one is sought."""

    arrives: bool
    confirmed: bool
    because: str = ""  # what theirs does


WORKS = Outcome(arrives=True, confirmed=True)


# -- both in one lab ---------------------------------------------------------------------------------------------------


@dataclass
class HandOn:
    """A listen of a station of ours: what comes is its program's to note."""

    station: Station

    def __call__(self, message: Message) -> Delivery:
        """Send it on to the program: it is handled when that has handled it."""
        return self.station.send("_" + self.station.id, message.key, message.value)


@dataclass
class Say:
    """The listen for SAY of a station of ours: its program has it send a NOTE, and hears what becomes of that."""

    station: Station

    def __call__(self, message: Message) -> Delivery:
        """Send it."""
        return self.station.send(key="NOTE", **message.value)


class Mixed:
    """A tree of stations with nodes on them, each of them ours (`o`) or theirs (`t`), which all hear NOTE."""

    def __init__(self, python: str, *, repeat_interval: float = 0.2) -> None:
        self.ours = Lab()
        self.theirs = Theirs(python)
        self.repeat_interval = repeat_interval
        self.stations: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.parents: dict[str, str | None] = {}
        self._sent = 0
        self._ports = contextlib.ExitStack()

    def station(self, whose: str, id: str, parent: str | None = None) -> None:
        """A station below `parent`, and, where it is ours, its program."""
        above = self.stations.get(str(parent))
        self.parents[id] = parent
        if whose == "t":
            port = self._ports.enter_context(held_port())
            made: Any = self.theirs.station(id, "NOTE", port=port, parent=above, repeat_interval=self.repeat_interval)
        else:
            up = (
                {"pusher": True, "push_ip": "localhost", "push_port": above.port, "push_id": above.id} if above else {}
            )
            made = Station(id, listen_port=0, repeat_interval=self.repeat_interval, **up)
            made.listens |= {"NOTE": HandOn(made), "ERROR": HandOn(made), "SAY": Say(made)}
            made = self.ours.begin(made)
        self.stations[id] = made
        if whose == "o":
            self.node("o", "_" + id, id)
        elif parent is not None:
            self._introduce(id, parent, "push")

    def restart(self, id: str) -> None:
        """Kill a station of theirs, which has a parent, and start it again."""
        self.stations[id].kill()
        self.start_again(id)

    def start_again(self, id: str) -> None:
        """Start a station of theirs that was killed."""
        station, parent = self.stations[id], self.parents[id]
        assert parent is not None
        above = self.stations[parent]
        self.theirs.station(id, "NOTE", port=station.port, parent=above, repeat_interval=self.repeat_interval)
        self._introduce(id, parent, "push")

    def _introduce(self, id: str, station: str, method: str) -> None:
        """Have one of theirs say something to its station, which does not know it before."""
        value, who = f"{id} is here", self.nodes.get(id) or self.stations[id]
        said = self.values(station).count(value)
        who.tell(method, to=station, key="NOTE", value=value, repeat=False)
        eventually(lambda: self.values(station).count(value) > said)

    def node(self, whose: str, id: str, station: str) -> None:
        """A node on `station`."""
        at = self.stations[station]
        if whose == "t":
            self.nodes[id] = self.theirs.node(id, at, "NOTE")
            self._introduce(id, station, "send")
        else:
            self.nodes[id] = self.ours.node(id, at, "NOTE", "ERROR", repeat_interval=self.repeat_interval)

    def send(self, sender: str, to: str | list[str], *, repeat: bool = False, value: Any = None, **how: Any) -> Sent:
        """Have a node, or a station, send a NOTE with a value of its own."""
        self._sent += 1
        value = f"note {self._sent}" if value is None else value
        who = self.nodes.get(sender) or self.stations[sender]
        if isinstance(who, Their):
            goes_up = self.parents.get(sender) and self.parents.get(str(to)) != sender
            method, before = "push" if goes_up else "send", len(who.heard("CONFIRM"))
            who.tell(method, to=to, key="NOTE", value=value, repeat=repeat, **how)
            id = self.theirs.until(lambda e: bool(e["value"] == value), sender, "made")["id"]
            outbox = who.outbox if sender in self.stations else list  # a node of theirs neither repeats nor gives up
            return Sent(value, id, None, outbox, lambda: any(e["value"] == id for e in who.heard("CONFIRM")[before:]))
        if isinstance(who, Station):
            order = {"to": to, "value": value, "repeat": repeat, **how}
            handle: Delivery = self.nodes["_" + sender].send(sender, "SAY", order, repeat=True)
        else:
            handle = who.send(to, "NOTE", value, repeat=repeat, **how)
        return Sent(value, handle.id, handle, list, lambda: repeat and handle.confirmed)

    def values(self, who: str) -> list[Any]:
        """The values of the NOTEs that a station or a node has handled so far."""
        if isinstance(self.stations.get(who), Station):
            who = "_" + who
        if who in self.ours.heard:
            return [message.value for message in self.ours.heard[who].of("NOTE")]
        return [event["value"] for event in (self.nodes.get(who) or self.stations[who]).heard("NOTE")]

    def until(self, who: str, value: Any) -> None:
        """Wait until a station or a node has handled that NOTE."""
        eventually(lambda: value in self.values(who))

    def close(self) -> None:
        """End all of it."""
        self.ours.close()
        self.theirs.close()
        self._ports.close()


@dataclass
class Sent:
    """A NOTE that was sent: by one of ours with its handle, or by one of theirs under an id of its own."""

    value: Any
    id: str
    handle: Delivery | None
    outbox: Callable[[], list[str]]  # the ids of what a station of theirs repeats, if one of theirs sent it
    is_confirmed: Callable[[], bool]  # whether its sender has heard, so far, that it was handled

    def await_outcome(self, outcome: Outcome, *, repeat: bool) -> None:
        """Wait for the confirmation, or, where it is ours to know, until it is certain that there will be none."""
        handle = self.handle
        if repeat and outcome.confirmed:
            eventually(self.is_confirmed)
        elif handle is not None:
            eventually(lambda: handle.settled)
            assert not repeat or handle.reason
        else:
            eventually(lambda: self.id not in self.outbox())
