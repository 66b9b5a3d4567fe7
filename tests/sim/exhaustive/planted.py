"""Bugs that are planted into the core of this process, and the small labs in which they are found."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import FunctionType

import pytest

from sim.exhaustive import canonical, stations
from sim.exhaustive.small_labs import SmallLab, SmallSend

UP, DOWN = SmallSend("rig", "T"), SmallSend("T", "rig")
PARENTS: dict[str, str | None] = {"T": None, "rig": "T"}
PAIR = SmallLab(name="pair", parents=PARENTS, sends=(UP, UP), faults=1)
ONE = SmallLab(name="one", parents=PARENTS, sends=(UP,), faults=1)
DURABLE = SmallLab(name="durable pair", parents=PARENTS, sends=(UP,), faults=1, durable=("T", "rig"))
IMPATIENT = SmallLab(name="impatient pair", parents=PARENTS, sends=(UP, UP), faults=1, ttl=0)
LABS = (PAIR, ONE, DURABLE, IMPATIENT)

# name: (the module of the core, what stands there, what the bug makes of it, the lab, the promises that may be broken)
BUGS: dict[str, tuple[str, str, str, SmallLab, set[str]]] = {
    "what is held behind a gap is handed on at once": (
        "inbox",
        "        while channel.expected in channel.held or channel.expected in channel.done:\n",
        "        while channel.held or channel.expected in channel.done:\n"
        "            channel.expected = min(channel.held, default=channel.expected)\n",
        PAIR,
        {"confirm", "order"},
    ),
    "what a former life was handed does not say that it comes again": (
        "inbox",
        '            message["redelivered"] = True\n',
        "            pass\n",
        ONE,
        {"redelivered"},
    ),
    "what is held is confirmed before it is handled": (
        "inbox",
        "            arrival.tell = Verdict.RECEIVED\n",
        "            arrival.tell = Verdict.HANDLED\n",
        PAIR,
        {"confirm"},
    ),
    "a message is never sent again": (
        "outbox",
        "            again.append(entry)\n",
        "            pass\n",
        ONE,
        {"patience"},
    ),
    "what goes out when the path is back has its numbers the wrong way round": (
        "outbox",
        "        for entry in again:\n            entry.is_resend = True\n",
        "        numbers = [entry.seq for entry in reversed(again)]\n"
        "        for entry, entry.seq in zip(again, numbers, strict=True):\n            entry.is_resend = True\n",
        PAIR,
        {"order", "twice", "confirm", "told", "raised"},
    ),
    "a second confirmation ends the program": (
        "reliable",
        "        if not settled:\n            return []",
        "        assert settled\n        if not settled:\n            return []",
        ONE,
        {"raised"},
    ),
    "a message may be settled twice": (
        "outbox",
        "        del self._by_id[entry.message.id]\n",
        "",
        ONE,
        {"once", "raised"},
    ),
    "what waits for a path is not sent when it is back": (
        "reliable",
        "        return self.open_closed(now=now)\n",
        "        return []\n",
        ONE,
        {"ends", "told"},
    ),
}


def plant(monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Replace `old` by `new` in a module of the core, for the length of a test."""
    module = importlib.import_module(f"autopilot_net.protocol.{name}")
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{name} has changed: {old!r} stands there {source.count(old)} times"
    there = dict(vars(module))
    exec(compile(source.replace(old, new), name, "exec"), there)
    for kind in [kind for kind in there.values() if isinstance(kind, type) and kind.__module__ == module.__name__]:
        before = vars(module).get(kind.__name__)
        there[kind.__name__] = before  # the planted methods work with the classes that all others know
        for method, function in vars(kind).items():
            if isinstance(function, FunctionType) and before is not None:
                monkeypatch.setattr(before, method, function)


def forget_answers() -> None:
    """What was answered before a bug was planted is not true any more."""
    for kept in (stations.started, stations.ask, stations.connected, stations.send, stations.has_neighbour):
        kept.cache_clear()
    canonical._canonical.cache_clear()


@pytest.fixture
def planting(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For tests that plant a bug: nothing of it is left afterwards."""
    forget_answers()
    yield monkeypatch
    monkeypatch.undo()
    forget_answers()
