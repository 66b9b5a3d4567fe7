"""Signals: what a rehearsal does to a calm lab at its end, to see whether every machine answers as it should.

The terminal's program sends each machine two PINGs. Then it has the station and the program of the machine raise, and
each exception must reach it as an ERROR. Then comes a message that the station passes on to its program, which does not
listen for it, and at last a batch of two items, at both of which the station raises.
Meanwhile strangers come: see `strangers.py`. `sim.checks.signals` judges the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from autopilot_net import Message
from sim.emulator.sender import Sender
from sim.emulator.session import Command, SendMessage
from sim.emulator.strangers import Strangers, StrangerWorld
from sim.lab.topology import Topology

__all__ = ["ITEMS", "NOBODY", "PARTS", "PINGS", "RAISE", "OnPurposeError", "SignalWorld"]
__all__ += ["part_told", "play_signals", "raise_on_purpose", "signals"]

RAISE = "RAISE_ON_PURPOSE"  # the key
NOBODY = "NOBODY_LISTENS"  # the key of a message for which no program has a listen
ITEMS = [{"part": "station"}] * 2  # of one batch: that the first of them raises must not cost the second
PINGS = 2  # to each machine: one answer may be mistaken for the state that a station tells by itself now and then
PARTS = ("station", "program")
PURPOSE = "raised on purpose, by the rehearsal, in the "
ANSWER_S = 10.0  # how long the ERRORs may take


class SignalWorld(StrangerWorld, Protocol):
    """What playing the signals asks of its world."""

    def send_signals(self) -> None:
        """Have the terminal's program send `signals`."""


class OnPurposeError(Exception):
    """The exception that a machine raises at `RAISE`. It has nothing to do with the lab."""


def play_signals(world: SignalWorld) -> bool:
    """Play all signals, and wait for the answers. Returns whether all came."""
    world.journal.write("signals")
    home = "_" + world.topology.terminal.id
    due = {("raised", machine.id, part, home) for machine in world.topology.machines for part in PARTS}
    strangers = Strangers(world)
    went_well = strangers.deceive()
    world.send_signals()
    went_well &= strangers.play()
    return world.until(lambda: due <= set(world.reports), ANSWER_S) and went_well


def signals(topology: Topology) -> list[Command]:
    """What the terminal's program sends. A machine raises after it has answered the PINGs.

    Each handler has its messages in order. So the states that answer the PINGs come before the first ERROR.
    """
    found: list[Command] = []
    for machine in topology.machines:
        then: tuple[Command, ...] = tuple(SendMessage(machine.id, RAISE, {"part": part}) for part in PARTS)
        then = (*then, SendMessage(machine.id, NOBODY))
        then = (*then, SendMessage(machine.id, "STREAM", {"inner_key": RAISE, "headers": {}, "payload": ITEMS}))
        for _ in range(PINGS):
            then = (SendMessage(machine.id, "PING", then=then),)
        found += then
    return found


def raise_on_purpose(sender: Sender, by: str, part: str) -> Callable[[Message], Any]:
    """A listen for `RAISE` at the participant `by`, which is that part of its machine. It journals that it raises."""

    def listen(message: Message) -> Any:
        sender.heard(message, "raising", by=by)
        raise OnPurposeError(f"{PURPOSE}{part}")

    return listen


def part_told(error: Any) -> str:
    """Of which part of a machine an ERROR tells that it raised on purpose: '' for any other ERROR."""
    told = error.get("exception") if isinstance(error, dict) else None
    _, purpose, part = str(told).partition(PURPOSE)
    return part if purpose and part in PARTS else ""
