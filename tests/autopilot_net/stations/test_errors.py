"""Errors come home: what raises in a program or a handler, on any machine, reaches the terminal's program as ERROR."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from autopilot_net import Delivery, Net_Node, Station
from tests.harness import Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S

NO_ARRAY = {"NUMPY_ARRAY": "!", "DTYPE": "uint8", "SHAPE": [1]}


def stumble(_: Any) -> None:
    raise ZeroDivisionError("over a stone")


def stumble_beside(_: Any) -> None:
    raise ZeroDivisionError("over a stone")


stumble_beside.concurrent = True  # type: ignore[attr-defined]


def leave(_: Any) -> None:
    raise SystemExit("in the middle")


def stumble_later(station: Station) -> None:
    """In a station's process: a callback that raises, when its program is done with what it holds."""
    station.send("_" + station.id, "HELD", repeat=True).then(stumble)


@pytest.fixture(scope="module")
def tree() -> Iterator[Lab]:
    """T, below it rig, below rig cam, below cam lamp; each with its program; and the node wheel on cam."""
    with started_by("forkserver"), lab() as it:
        above: Station = it.terminal(listens={"STUMBLE": stumble})
        it.node("_T", above, "ERROR", "HANDSHAKE", "X", "COHERE", listens={"DATA": stumble})
        for name in ("rig", "cam", "lamp"):
            below = it.pilot(name, above, listens={"STUMBLE": stumble})
            trips = {"BANDWIDTH": stumble, "CALIBRATE_PORT": stumble_beside, "CALIBRATE_RESULT": leave}
            shake_hands(it.node("_" + name, below, "X", listens=trips), above.id)
            above = below
        it.node("wheel", it.stations["cam"], "X", listens={"ITEM": stumble, "STUMBLE": stumble})
        yield it


@dataclass
class Fault:
    """One way for something to go wrong: what brings it about, where it is, and who says so first."""

    what: str
    do: Callable[[Lab], object]
    machine: str
    teller: str
    said: str = "ZeroDivisionError: over a stone"


def asked(asker: str, to: Any, key: str, value: Any = None) -> Callable[[Lab], object]:
    """A message that is confirmed: a handler that raised has handled it."""

    def do(tree: Lab) -> None:
        assert tree.nodes[asker].send(to, key, value, repeat=True).wait(DEADLINE_S)

    return do


def streamed(tree: Lab) -> None:
    stream = tree.nodes["_cam"].get_stream("s", "STUMBLE")
    stream.extend([1, "END"])
    assert stream.wait(DEADLINE_S)


def block_of_a_program(tree: Lab) -> None:
    lamp = tree.stations["lamp"]
    with pytest.raises(ZeroDivisionError), Net_Node("script", "lamp", lamp.port):
        stumble(None)


def called_when_expired(tree: Lab) -> None:
    tree.nodes["wheel"].send("nobody", "X", repeat=True, expires_after=0.3).then(stumble)


def called_in_a_node(tree: Lab) -> None:
    held = hold(tree, "wheel")
    tree.nodes["_lamp"].send(["cam", "wheel"], "HELD", repeat=True).then(stumble)
    held.settle(confirmed=True)


def called_in(station: str) -> Callable[[Lab], object]:
    def do(tree: Lab) -> None:
        held = hold(tree, "_" + station)
        tree.inside(station, stumble_later)
        held.settle(confirmed=True)

    return do


def hold(tree: Lab, id: str) -> Delivery:
    """What a node is told to hold is handled when this is settled: not before its sender has named a callback."""
    held = Delivery("promise", "somebody")
    tree.nodes[id].listens["HELD"] = lambda _: held
    return held


ITEM = {"inner_key": "ITEM", "headers": {}, "payload": [1]}
WHEEL = ["rig", "cam", "wheel"]
FAULTS = [
    Fault("listen of the terminal", asked("_T", "T", "STUMBLE"), "T", "T"),
    Fault("listen of a pilot", asked("_rig", "rig", "STUMBLE"), "rig", "rig"),
    Fault("listen of a child", asked("_T", "cam", "STUMBLE"), "cam", "cam"),
    Fault("listen of a child of a child", asked("_T", "lamp", "STUMBLE"), "lamp", "lamp"),
    Fault("listen of the terminal's program", asked("_rig", "T", "DATA"), "T", "_T"),
    Fault("listen of a pilot's program", asked("_T", "rig", "BANDWIDTH"), "rig", "_rig"),
    Fault("listen of a child's program", asked("_T", "cam", "BANDWIDTH"), "cam", "_cam"),
    Fault("listen of a child's child's program", asked("_T", "lamp", "BANDWIDTH"), "lamp", "_lamp"),
    Fault("listen of a node that is nobody's program", asked("_T", WHEEL, "STUMBLE"), "cam", "wheel"),
    Fault("concurrent listen", asked("_T", "cam", "CALIBRATE_PORT"), "cam", "_cam"),
    Fault("listen that exits", asked("_T", "cam", "CALIBRATE_RESULT"), "cam", "_cam", "SystemExit: in the middle"),
    Fault("array that cannot be trusted", asked("_T", WHEEL, "X", NO_ARRAY), "cam", "wheel", "BadMessage"),
    Fault("handler of a stream's item at a node", asked("_T", WHEEL, "STREAM", ITEM), "cam", "wheel"),
    Fault("batch that is none", asked("_T", WHEEL, "STREAM", 1), "cam", "wheel", "holds no batch"),
    Fault("handler of a stream's item at a station", streamed, "cam", "cam"),
    Fault("callback of a node's delivery", called_in_a_node, "lamp", "_lamp"),
    Fault("callback of a delivery that expires", called_when_expired, "cam", "wheel"),
    Fault("callback of a station's delivery", called_in("lamp"), "lamp", "lamp"),
    Fault("callback of the terminal's delivery", called_in("T"), "T", "T"),
    Fault("block of a program", block_of_a_program, "lamp", "script"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_what_raises_anywhere_is_told_to_the_terminals_program_once(tree: Lab, fault: Fault) -> None:
    heard = tree.heard["_T"]
    before = len(heard.of("ERROR"))
    fault.do(tree)
    error = heard.until("ERROR", times=before + 1)
    assert error.value["machine"] == fault.machine
    assert fault.said in error.value["exception"]
    assert error.value["traceback"].startswith("Traceback")
    assert error.get("origin", {"sender": error.sender})["sender"] == fault.teller
    asked("_" + fault.machine, "T", "COHERE", {"digest": ""})(tree)  # what was sent before it has come before it
    assert len(heard.of("ERROR")) == before + 1
