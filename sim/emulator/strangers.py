"""Strangers: raw peers that test what a station must refuse, and what it must notice. They are part of the signals.

Each is a connection under a name of its own, beside the lab, so that no message of the lab is disturbed:

- A KILL from a stranger, also in the name of one whom the station obeys, must not end the station.
- A twin: two lives under one name come in turn, as two machines with one id do. The terminal's program must be told.
- A reboot: the name comes again by a new connection while the old one is still open, as after a power cut. The new one
  must be served at once.
- A liar speaks in the terminal's name, below a station. What the station sends to the terminal must still go up.
- A thief asks the terminal for a file that lies outside of its folder of files. The terminal must refuse it. The thief
  confirms the answer in the name of another life of the terminal. So the terminal must send it again.
- A double comes under the id of the station that it connects to. The station must not hear it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from sim.emulator.sender import JournalWriter
from sim.lab.topology import Topology

__all__ = ["GAVE", "HELLO", "OUTSIDE", "StrangerLike", "StrangerWorld", "Strangers", "twin_told"]

HELLO = "HELLO_STATION"  # the key of a message that a station confirms, and does nothing about
# The suffixes of the names:
KILL, TWIN, REBOOT, LIAR, DOUBLE, THIEF = "kill", "twin", "reboot", "liar", "double", "thief"
AGAIN = "again"  # the key of the answer that has to come again
OUTSIDE = "../outside.txt"  # a file that is there, beside the terminal's folder of files
GAVE, REFUSED = "gave it", "refused"  # what the terminal answers to a thief
ANSWER_S = 5.0  # how long a station may take to answer
TIMESTAMP = "2020-01-01T00:00:00"


class StrangerLike(Protocol):
    """One connection of a raw peer, of either world. It does not reconnect."""

    name: str
    at: str
    confirmed: set[str]  # the ids of its messages that were confirmed, as far as `StrangerWorld.until` has read
    came: list[tuple[bytes, ...]]  # the frames of all messages that came, as far as that

    def say(self, *frames: bytes) -> None:
        """Send frames as they are."""


class StrangerWorld(Protocol):
    """What strangers ask of their world."""

    @property
    def topology(self) -> Topology: ...

    @property
    def journal(self) -> JournalWriter: ...

    @property
    def reports(self) -> Collection[tuple[Any, ...]]: ...

    def stranger(self, machine: str, name: str) -> StrangerLike:
        """A new connection to the station of a machine, under a name that an earlier one may have too."""

    def is_alive(self, machine: str) -> bool:
        """Whether the station of a machine runs."""

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until `condition` holds, for at most so many seconds. Returns whether it holds."""


def twin_told(error: Any) -> str:
    """The name of the twins that an ERROR tells of, if they are strangers: '' for any other ERROR."""
    machine = error.get("machine") if isinstance(error, dict) else None
    is_stranger = isinstance(machine, str) and machine.startswith("actor.") and machine.endswith(f".{TWIN}")
    return str(machine) if is_stranger and "two that run are both" in str(error.get("exception")) else ""


class Strangers:
    """Plays all strangers of a lab, side by side. Journals what each did, and what the station answered."""

    def __init__(self, world: StrangerWorld) -> None:
        self._world = world
        self._machines = [machine.id for machine in world.topology.machines]
        self._parents = [machine.id for machine in world.topology.machines if machine.children]
        self._home = world.topology.terminal.id
        self._thief: StrangerLike

    def deceive(self) -> bool:
        """Play liars and doubles, who stay until the end, and a thief. Returns whether all were answered."""
        for machine in self._machines:
            self._double(machine)
        liars = [self._lie(machine) for machine in self._machines if machine != self._home]
        went_well = self._await(liars)
        return self._steal() and went_well

    def play(self) -> bool:
        """Play the others, and return whether all went as it should."""
        first = [self._greeting(machine, REBOOT, "a") for machine in self._machines]
        first += [self._greeting(machine, TWIN, "a") for machine in self._parents]
        first += [self._kill(machine) for machine in self._machines]
        went_well = self._await(first)
        second = [self._greeting(machine, REBOOT, "b") for machine in self._machines]
        second += [self._greeting(machine, TWIN, "b") for machine in self._parents]
        went_well &= self._await(second)
        went_well &= self._await([self._greeting(machine, TWIN, "a", again=True) for machine in self._parents])
        return self._await_twins() and self._is_answered_again() and went_well

    def _greeting(self, machine: str, suffix: str, life: str, *, again: bool = False) -> tuple[StrangerLike, str]:
        """A new connection says HELLO. Returns the stranger and the id of its message."""
        stranger = self._world.stranger(machine, _name(machine, suffix))
        id = f"{stranger.name}.{life}{2 if again else 1}"
        self._world.journal.write("stranger", by=stranger.name, to=machine, id=id, key=suffix)
        numbers = {"inc": f"{stranger.name}.{life}", "seq": 2 if again else 1, "low": 2 if again else 1}
        self._say(stranger, id=id, key=HELLO, sender=stranger.name, **numbers)
        return stranger, id

    def _kill(self, machine: str) -> tuple[StrangerLike, str]:
        """A stranger says KILL: in the names of those whom the station obeys, then in its own, which is confirmed."""
        stranger = self._world.stranger(machine, _name(machine, KILL))
        id = f"{stranger.name}.own"
        self._world.journal.write("stranger", by=stranger.name, to=machine, id=id, key=KILL)
        for name in dict.fromkeys(("_" + machine, "_" + self._home)):
            self._say(stranger, id=f"{stranger.name}.as {name}", key="KILL", sender=name, flags={"NOREPEAT": True})
        self._say(stranger, id=id, key="KILL", sender=stranger.name, inc=stranger.name, seq=1, low=1)
        return stranger, id

    def _lie(self, machine: str) -> tuple[StrangerLike, str]:
        """A stranger says HELLO in the terminal's name, and then in its own, which is confirmed."""
        stranger = self._world.stranger(machine, _name(machine, LIAR))
        id = f"{stranger.name}.own"
        self._world.journal.write("stranger", by=stranger.name, to=machine, id=id, key=LIAR)
        lie = f"{stranger.name}.as {self._home}"
        self._say(stranger, id=lie, key=HELLO, sender=self._home, flags={"NOREPEAT": True})
        self._say(stranger, id=id, key=HELLO, sender=stranger.name, inc=stranger.name, seq=1, low=1)
        return stranger, id

    def _double(self, machine: str) -> None:
        """A stranger under the id of the station says HELLO. It is never answered."""
        double = self._world.stranger(machine, machine)
        name = _name(machine, DOUBLE)
        self._world.journal.write("stranger", by=name, to=machine, id=name, key=DOUBLE)
        self._say(double, id=name, key=HELLO, sender=machine, inc=name, seq=1, low=1)

    def _steal(self) -> bool:
        """A stranger asks the terminal for a file. Returns whether it was answered."""
        self._thief = thief = self._world.stranger(self._home, _name(self._home, THIEF))
        id, numbers = f"{thief.name}.own", {"inc": thief.name, "seq": 1, "low": 1}
        self._world.journal.write("stranger", by=thief.name, to=self._home, id=id, key=THIEF)
        wanted = {"path": OUTSIDE, "offset": 0, "length": 1_000}
        self._say(thief, id=id, key="FILE", sender=thief.name, value=wanted, **numbers)
        self._world.until(lambda: any(_files(thief)), ANSWER_S)
        answer = next(_files(thief), None)
        told = False if answer is None else REFUSED if answer["value"].get("error") else GAVE
        self._world.journal.write("stranger answered", by=thief.name, to=self._home, id=id, value=told)
        if answer is not None:
            self._confirm(answer, f"not {answer.get('inc')}")
        return answer is not None

    def _confirm(self, answer: dict[str, Any], life: Any) -> None:
        """The thief confirms the answer, as one of that life of the terminal."""
        name, re = self._thief.name, [life, answer.get("seq")]
        facts = {"sender": name, "inc": name, "value": answer["id"], "re": re, "flags": {"NOREPEAT": True}}
        self._say(self._thief, id=f"{name}.confirms", key="CONFIRM", **facts)

    def _is_answered_again(self) -> bool:
        """Wait until the thief, who has confirmed no message of this life, got its answer again; then confirm that."""
        name, seconds = self._thief.name, self._world.topology.repeat_interval_s + ANSWER_S
        comes = self._world.until(lambda: len(list(_files(self._thief))) > 1, seconds)
        answer = next(_files(self._thief), None)
        if answer is None:
            return False
        self._world.journal.write("stranger", by=name, to=self._home, id=f"{name}.again", key=AGAIN)
        self._world.journal.write("stranger answered", by=name, to=self._home, id=f"{name}.again", value=comes)
        self._confirm(answer, answer.get("inc"))
        return comes

    def _say(self, stranger: StrangerLike, *, id: str, key: str, sender: str, **facts: Any) -> None:
        head = {"id": id, "to": stranger.at, "sender": sender, "key": key, "value": None}
        message = {**head, "timestamp": TIMESTAMP, "ttl": 5, "flags": {}, **facts}
        stranger.say(stranger.at.encode(), stranger.at.encode(), json.dumps(message).encode())

    def _await(self, said: list[tuple[StrangerLike, str]]) -> bool:
        """Wait until each message is confirmed, or its station has ended. Journals whether it was confirmed."""

        def is_over() -> bool:
            return all(id in one.confirmed or not self._world.is_alive(one.at) for one, id in said)

        self._world.until(is_over, ANSWER_S)
        for stranger, id in said:
            is_confirmed = id in stranger.confirmed
            self._world.journal.write("stranger answered", by=stranger.name, to=stranger.at, id=id, value=is_confirmed)
        return all(id in stranger.confirmed for stranger, id in said)

    def _await_twins(self) -> bool:
        """Wait until the terminal's program was told of all twins."""
        home = "_" + self._home
        due = {("twin told", f"actor.{machine}.{TWIN}", home) for machine in self._parents}
        return self._world.until(lambda: due <= set(self._world.reports), ANSWER_S)


def _name(machine: str, suffix: str) -> str:
    """What a stranger at a machine is called."""
    return f"actor.{machine}.{suffix}"


def _files(thief: StrangerLike) -> Iterator[dict[str, Any]]:
    """The messages that came to a thief and bring a file, or say why not."""
    for frames in thief.came:
        message = json.loads(frames[-1] or b"{}")
        if message.get("key") == "FILE":
            yield message
