"""The role of a terminal and of a pilot behind the listens of a station that is never started, for their tests."""

from __future__ import annotations

from typing import Any

from autopilot_net import BadMessage, Delivery, Pilot_Station, Terminal_Station
from autopilot_net.delivery import all_of
from autopilot_net.roles.host import RoleHost
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from tests.harness import Drawer, FakeHost, Sent, message


class TerminalRole:
    """A terminal's role behind the listens of its station, which is never started."""

    def __init__(self, **settings: Any) -> None:
        self.host = FakeHost("T")
        host: RoleHost = self.host
        self.role = Terminal(host, **settings)
        self.station: Any = Terminal_Station(listen_port=0)
        self.station._role = self.role

    def hear(self, sender: str, key: str, value: Any = None, **extra: Any) -> Any:
        return self.station.listens[key](message(sender, key, value, to=self.host.id, **extra))

    def hear_odd(self, key: str, value: Any = None, **fields: Any) -> Any:
        """It hears what JSON can spell, and our own writer would refuse."""
        odd = message("rig_1", key, to=self.host.id)
        for name, field in {"value": value, **fields}.items():
            odd[name] = field
        return self.station.listens[key](odd)

    def answers(self, sender: str, key: str, value: Any = None, **extra: Any) -> list[Sent]:
        """What it sends when it hears that."""
        self.host.take()
        self.hear(sender, key, value, **extra)
        return self.host.take()


class PilotRole(TerminalRole):
    """A pilot's role behind the listens of its station."""

    def __init__(self, id: str = "rig_1", parent: str = "T", **settings: Any) -> None:
        self.host = FakeHost(id, parent, neighbours=[parent, "_" + id])
        host: RoleHost = self.host
        self.pilot = Pilot(host, **settings)
        self.station = Pilot_Station(id)
        self.station._role = self.pilot


def keys(sent: list[Sent]) -> list[tuple[str, str]]:
    return [(one.to, one.key) for one in sent]


def settled(result: Any) -> bool:
    """Whether a message whose listen returned `result` counts as handled."""
    return all(handle.settled for handle in all_of(result))


def task(*paths: str, **more: Any) -> dict[str, Any]:
    return {"subject": "m1", "stim": {"sounds": {"L": [{"type": "File", "path": path} for path in paths]}}, **more}


# -- terminal ----------------------------------------------------------------------------------------------------------


NO_IDS = ["", "\ud800", "a\0b", "a\x1fb", "x" * 101, "é" * 51, 5, None, ["rig_1"]]


class Picky(FakeHost):
    """A host that cannot send to some."""

    refused: tuple[str, ...] = ()

    def send(self, to: str, key: str, value: Any, **how: Any) -> Delivery:
        if to in self.refused:
            raise BadMessage(f"{to} is nobody")
        return super().send(to, key, value, **how)


# -- files, at the terminal --------------------------------------------------------------------------------------------


def serving(**whole: bytes) -> TerminalRole:
    terminal = TerminalRole()
    terminal.host.files = Drawer(**whole)
    return terminal


# -- pilot: tasks ------------------------------------------------------------------------------------------------------


class Fetching(PilotRole):
    """A pilot below a terminal that serves files; `carry` takes what the one sends to the other, until it is still."""

    def __init__(self, **whole: bytes) -> None:
        super().__init__()
        self.terminal = serving(**whole)
        self.asked: list[dict[str, Any]] = []

    def carry(self, rounds: int = 1_000) -> list[Sent]:
        """What was not about files."""
        other = []
        for _ in range(rounds):
            sent = self.host.take()
            other += [one for one in sent if one.key != "FILE"]
            questions = [one for one in sent if one.key == "FILE"]
            self.asked += [one.value for one in questions]
            for one in questions:
                assert one.to == "T"
                self.terminal.role.file(one.arrived("rig_1"))
            for answer in self.terminal.host.take():
                self.pilot.file(answer.arrived("T"))
                answer.handle.settle(confirmed=True)
            self.terminal.host.wait(0)
            if not questions:
                break
        return other
