"""What the station of a terminal does with each key. It acts through its host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autopilot_net.errors import BadMessage, FileRefused
from autopilot_net.message import Message
from autopilot_net.protocol.ids import why_no_id
from autopilot_net.protocol.numbers import is_number
from autopilot_net.roles.file_server import FileServer
from autopilot_net.roles.host import Role, RoleHost, id_in, is_sought, key, machine_of, origin_of

__all__ = ["CLOCK", "DISCONNECTED", "Terminal"]

DISCONNECTED = "DISCONNECTED"  # the state of a machine that is not there
CLOCK = "clock"  # the attribute that tells of a machine's clock


class Terminal(Role):
    """Knows the pilots. It hands what they send to its program, `_T`, and sends copies to the plots."""

    def __init__(self, host: RoleHost, *, pilots: Mapping[str, Any] | None = None, data_fps: float = 20.0) -> None:
        super().__init__(host)
        self.pilots: dict[str, dict[str, Any]] = {name: dict(facts or {}) for name, facts in (pilots or {}).items()}
        self.data_fps = data_fps
        self.online: dict[str, bool] = {}  # whether a machine that was ever heard of is there
        self.plotted: dict[str, float] = {}  # when each pilot's plot last got an item of a stream
        self._files = FileServer(host)

    # -- who is there --------------------------------------------------------------------------------------------

    def neighbour(self, peer: str, is_there: bool) -> None:
        """A neighbour went, and with it all machines that are reached through it. The program is told at once.

        A machine that is back says so itself, by a HANDSHAKE. Until then it is online, and nobody knows its state.
        """
        if is_there and peer in self.online and not self.online[peer]:
            self.online[peer], self.pilots[peer]["state"] = True, None
        for name, known in self.pilots.items() if not is_there else ():
            if self.online.get(name) and known.get("way", [name])[0] == peer:
                self._disconnected(name)

    def _disconnected(self, machine: str) -> Any:
        """A machine is gone, or its parent says so. Autopilot's own terminal has the same word for it."""
        self.online[machine] = False
        self.pilots[machine]["state"] = DISCONNECTED
        news = {"state": DISCONNECTED, "pilot": machine}
        self.attempt(self.send, "P_" + machine, "STATE", news, repeat=False)
        return self.host.send(self.program, "STATE", news, repeat=True, flags=["NOLOG"], unasked=True)

    @key("MACHINES")
    def machines(self, message: Message) -> Any:
        """Answer with what is known of each machine: `online`, `state`, `ip`, `way`, and what it told of itself."""
        table = {name: {**known, "online": self.online.get(name, False)} for name, known in self.pilots.items()}
        return self.send(message.sender, "MACHINES", table, repeat=True)

    # -- what comes in -------------------------------------------------------------------------------------------

    @key("PING")
    def ping(self, message: Message) -> Any:
        """Answer that we are there."""
        self.host.send(message.sender, "STATE", None, repeat=False, flags=["NOLOG"])

    @key("INIT")
    def init(self, message: Message) -> None:
        """Ask every known machine for its state. It is not waited for: a machine may be off."""
        del message
        for name in self.pilots:
            self.attempt(self.send, name, "PING", None, repeat=False, flags=["NOLOG"])

    @key("CHANGE")
    def change(self, message: Message) -> Any:
        """Pass a parameter change to the pilot it names."""
        return self.relay(message, id_in(message, "pilot"), key="PARAM")

    @key("STOPALL")
    def stopall(self, message: Message) -> Any:
        """Stop every machine, and tell its plot. If one cannot be told, the others still are."""
        del message
        for name in self.pilots:
            self.attempt(self.send, "P_" + name, "STOP", None, repeat=False)
        return [self.attempt(self.send, name, "STOP", None, repeat=True) for name in self.pilots]

    @key("DATA")
    def data(self, message: Message) -> Any:
        """A trial: pass it to the program, whose confirmation counts, and a copy to the plot."""
        self.copy(message, "P_" + _pilot_of(message))
        return self.relay(message, self.program)

    @key("CONTINUOUS")
    def continuous(self, message: Message) -> Any:
        """A stream's item: pass it to the program, and to the plot no more often than `data_fps` allows."""
        pilot = _pilot_of(message)
        now = self.host.now()
        if (now - self.plotted.get(pilot, -1e9)) * self.data_fps >= 1.0:
            self.plotted[pilot] = now
            self.copy(message, "P_" + pilot)
        return self.relay(message, self.program, repeat=is_sought(message))

    @key("STATE")
    def state(self, message: Message) -> Any:
        """Keep a machine's state, and tell the program and the plot."""
        machine = machine_of(message)
        if machine == self.host.id:
            return None
        why = why_no_id(machine)
        if why is not None:
            raise BadMessage(f"message {message.id} tells the state of {machine!a:.80}, which is no id: {why}")
        known = self.pilots.setdefault(machine, {})
        if message.value == DISCONNECTED:
            return self._disconnected(machine)
        known["state"], self.online[machine] = message.value, True
        known.update(_clock_of(message))
        news = {"state": message.value, "pilot": machine}
        self.copy(message, "P_" + machine, news)
        return self.relay(message, self.program, value=news, repeat=is_sought(message), unasked=True)

    @key("HANDSHAKE")
    def handshake(self, message: Message) -> Any:
        """A machine is there, or there again, on the path that the message tells. Former facts about it are kept."""
        machine = id_in(message, "pilot")
        way = way_of(message, machine)
        for name in way:
            self.host.learn(name, message.came_from or way[0])
        known = self.pilots.setdefault(machine, {})
        known.update(message.value)
        known.update(_clock_of(message))
        known["way"], self.online[machine] = way, True
        return self.host.send(
            self.program,
            "HANDSHAKE",
            {name: known[name] for name in known if name != "way"},
            repeat=True,
            flags=(),
            origin=origin_of(message),
            way=way,
            unasked=True,
        )

    @key("FILE")
    def file(self, message: Message) -> Any:
        """Answer with the part that was asked for, or, to the plain name that Autopilot's own send, with all of it."""
        machine = machine_of(message)
        if machine == self.host.id:  # an answer to itself would never arrive
            raise FileRefused(f"{machine} sends files to other machines: a program on it finds them in its file folder")
        return self._files.answer(_wanted(message), machine)

    @key("ERROR", "COHERE", listen="l_to_program")
    def to_program(self, message: Message) -> Any:
        """Pass it to the program."""
        return self.relay(message, self.program)


def way_of(message: Message, machine: str) -> list[str]:
    """The machines from our neighbour down to the one that shook hands: it alone, if nothing else is said."""
    way = message.get("way")
    if isinstance(way, list) and way and all(why_no_id(name) is None for name in way):
        return way
    return [machine]


def _clock_of(message: Message) -> dict[str, Any]:
    """How far the terminal's clock is ahead of the machine's that told it, in seconds: offset and uncertainty."""
    clock = message.get(CLOCK)
    numbers = [clock.get(name) for name in ("offset", "uncertainty")] if isinstance(clock, dict) else [None]
    return {CLOCK: clock} if all(map(is_number, numbers)) else {}


def _pilot_of(message: Message) -> str:
    """The machine whose data it is, as the item says; else its headers; else its sender."""
    named = message.value.get("pilot") if isinstance(message.value, dict) else None
    named = named or message.get("pilot")
    return named if isinstance(named, str) else machine_of(message)


def _wanted(message: Message) -> Any:
    """The file, or part of one, that is asked for. A pilot that does not know us yet names the part beside the path."""
    part = message.get("part")
    is_part = isinstance(message.value, str) and isinstance(part, dict)
    return {**part, "path": message.value} if is_part else message.value
