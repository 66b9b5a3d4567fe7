"""What the station of a pilot, or of a child below one, does with each key. It acts through its host."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from autopilot_net.defaults import PING_INTERVAL_S
from autopilot_net.error_report import ERROR, error_report
from autopilot_net.errors import FileRefused
from autopilot_net.message import Message
from autopilot_net.roles.file_client import TIMEOUT_S, FileClient, files_of
from autopilot_net.roles.host import Handle, Role, RoleHost, follow, id_in, is_sought, key, machine_of, origin_of
from autopilot_net.roles.terminal import CLOCK, DISCONNECTED, way_of

__all__ = ["Pilot"]

STOPPED = "a STOP could wait no longer for its files"


class Pilot(Role):
    """The role between its own program, its children, and whatever is above."""

    def __init__(
        self,
        host: RoleHost,
        *,
        terminal: str = "T",
        ip: str = "",
        ping_interval: float | None = PING_INTERVAL_S,
        expected: Iterable[str] = (),
        file_timeout: float = TIMEOUT_S,
    ) -> None:
        super().__init__(host)
        self.terminal = terminal
        self.ip = ip
        self.state: Any = None
        self.subject: str | None = None
        self.children: dict[str, tuple[Any, list[str]]] = {}  # what is below: its handshake, and the way to it
        self.expected = list(expected)  # children that get what children are sent, whether they are here or not
        self.ping_interval = ping_interval
        self._file_timeout = file_timeout
        self._fetch = FileClient(host, terminal, timeout=file_timeout)
        self._held: deque[Callable[[], None]] = deque()  # what waits for a START that waits for files
        self._fetching = False
        self._overdue: Callable[[], None] | None = None  # a STOP among them that waits no longer
        self._is_unheard = False  # whether news of who is here never came through

    @property
    def parent(self) -> str:
        """Who is above."""
        return self.host.parent or self.terminal

    def begin(self) -> None:
        """Say by ourselves, every `ping_interval` seconds, that we are there."""
        if self.ping_interval:
            self.host.after(self.ping_interval, self._beat)

    # -- neighbours ----------------------------------------------------------------------------------------------

    def neighbour(self, peer: str, is_there: bool) -> None:
        """A neighbour came or went. When the parent is back, tell it who is here and below: it may have forgotten.

        When children went, tell that above: nobody else can know.
        """
        if not is_there:
            gone = [name for name, (_, way) in self.children.items() if way[0] == peer]
            for name in gone:
                del self.children[name]
                if self.host.has(self.parent):
                    origin = {"sender": name, "id": f"{name} is gone"}
                    self.host.send(self.parent, "STATE", DISCONNECTED, repeat=True, flags=["NOLOG"], origin=origin)
        elif peer == self.parent:
            self._announce_all()
        elif peer == self.program and self.host.has(self.parent):
            self._announce_self()

    @key("HANDSHAKE")
    def handshake(self, message: Message) -> Any:
        """Something below shook hands: remember the path to it, and pass the news up, with our own name before it."""
        value = message.value if isinstance(message.value, dict) else {}
        machine = id_in(message, "pilot") if "pilot" in value else machine_of(message)
        way = way_of(message, machine)
        if machine == self.host.id:
            return self._news(value, [], origin=origin_of(message), **self._clock())
        for name in way:
            self.host.learn(name, message.came_from or way[0])
        self.children[machine] = ({**self.children.get(machine, ({}, []))[0], **value}, way)
        return self._news(value, way, origin=origin_of(message), **_told_clock(message))

    def _announce_all(self) -> None:
        self._is_unheard = False
        if self.host.has(self.program):
            self._announce_self()
        for value, way in self.children.values():
            self.attempt(self._news, value, way)  # if one cannot be announced, the others still are

    def _announce_self(self) -> None:
        self._news({"pilot": self.host.id, "ip": self.ip, "state": self.state}, [], **self._clock())

    def _news(self, value: Any, way: list[str], **extra: Any) -> Handle:
        way = [self.host.id, *way]
        news = self.host.send(self.parent, "HANDSHAKE", value, repeat=True, flags=(), way=way, **extra)
        news.then(self._heard)
        return news

    def _heard(self, news: Any) -> None:
        """If the news expired, it is sent again with the next beat: else the machine would look offline for ever."""
        # Called in the I/O thread. Only the beat sets it to False again.
        if news.expired and not news.refused:
            self._is_unheard = True

    # -- state ---------------------------------------------------------------------------------------------------

    @key("STATE")
    def on_state(self, message: Message) -> Any:
        """Keep our own program's state and push it up. A child's state goes up as the child's."""
        if message.sender == self.program:
            self.state = message.value
            return self.relay(message, self.parent, repeat=is_sought(message), **self._clock())
        if machine_of(message) == self.terminal:
            return None  # the terminal's answer to a PING
        return self.relay(message, self.parent, repeat=is_sought(message))

    @key("PING")
    def ping(self, message: Message | None = None) -> Any:
        """Push our state."""
        del message
        self._tell_state()

    def _beat(self) -> None:
        if self.host.has(self.parent):
            if self._is_unheard:
                self._announce_all()
            if not self.host.is_late(self.parent):  # a late parent is busy, and needs no more messages
                self._tell_state()
        self.begin()

    def _tell_state(self) -> None:
        self.host.send(self.parent, "STATE", self.state, repeat=False, flags=["NOLOG"], **self._clock())

    def _clock(self) -> dict[str, Any]:
        """What is known of this machine's clock, as an extra attribute that Autopilot's own ignore."""
        known = self.host.clock()
        return {} if known is None else {CLOCK: {"offset": known.offset, "uncertainty": known.uncertainty}}

    # -- tasks ---------------------------------------------------------------------------------------------------

    @key("START")
    def start(self, message: Message) -> Any:
        """Fetch the files that the task names and that are missing here, then hand it to the program."""
        value = message.value if isinstance(message.value, dict) else {}
        if self._fetching:
            return self._in_turn(lambda: self.start(message))
        if isinstance(value.get("subject"), str):
            self.subject = value["subject"]
        try:
            lacking = [path for path in files_of(value) if self.host.files.lacks(path)]
        except FileRefused as error:
            return self._refuse(message, str(error))
        if not lacking:
            return self.relay(message, self.program)
        if self._overdue is not None:
            return self._refuse(message, STOPPED)
        self._fetching = True
        promise = self.host.promise()
        self._fetch.all(lacking, lambda error: self._fetched(message, promise, error))
        return promise

    @key("STOP")
    def stop(self, message: Message) -> Any:
        """Pass it to the program, after a START that came before, which does not wait for its files for long."""
        stopped = self.to_program(message)
        if self._fetching:
            held = self._held[-1]
            self.host.after(self._file_timeout, lambda: self._give_up_for(held))
        return stopped

    @key("PARAM", listen="l_change")
    @key("CALIBRATE_PORT", "CALIBRATE_RESULT", "BANDWIDTH", "STREAM_VIDEO", listen="l_forward")
    def to_program(self, message: Message) -> Any:
        """PARAM and the like: to the program, after a START that came before."""
        if self._fetching:
            return self._in_turn(lambda: self.relay(message, self.program))
        return self.relay(message, self.program)

    @key("FILE")
    def file(self, message: Message) -> Any:
        """A file, or a part of one, that was asked for."""
        self._fetch.arrived(message)

    @key("CHILD")
    def child(self, message: Message) -> Any:
        """Pass `value["KEY"]` (START, if it names none) on to our children: those here, and those expected."""
        value = message.value if isinstance(message.value, dict) else {}
        key = str(value.get("KEY", "START"))
        here = [name for name, (_, way) in self.children.items() if len(way) == 1]
        return [self.attempt(self.relay, message, name, key=key) for name in dict.fromkeys([*self.expected, *here])]

    @key("COHERE")
    def cohere(self, message: Message) -> Any:
        """Have the program's node count what it sent. It answers whoever asked first. An answer is only passed on."""
        value = message.value if isinstance(message.value, dict) else {}
        if "digest" in value:
            return self.relay(message, self.program)
        return self.relay(message, self.program, value={**value, "answer_to": machine_of(message)})

    # -- what goes up --------------------------------------------------------------------------------------------

    @key("CONTINUOUS")
    def continuous(self, message: Message) -> Any:
        """A child's data: pass it to the terminal under our name, with the child's name and our subject added.

        The child is `child` in the value. An item that has fields `child` or `subject` keeps them.
        """
        value = message.value if isinstance(message.value, dict) else {"value": message.value}
        subject = value.get("subject") or message.get("subject") or self.subject
        child = self._child_of(message, value.get("pilot"))
        value = {**child, **value, "subject": subject, "continuous": True, "pilot": self.host.id}
        header = {"pilot": self.host.id} if "pilot" in message else {}
        return self.relay(message, self.terminal, key="DATA", value=value, repeat=is_sought(message), **header)

    def _child_of(self, message: Message, named: Any) -> dict[str, str]:
        """Whose data it is: as the item, its stream or the neighbour it came from says. Empty for our own program's."""
        for name in (named, message.get("pilot")):
            if isinstance(name, str) and name != self.host.id:
                return {"child": name}
        return {"child": message.came_from} if message.came_from in self.children else {}

    @key("ERROR")
    def pass_up(self, message: Message) -> Any:
        """To whoever is above."""
        return self.relay(message, self.parent)

    def may_kill(self, message: Message) -> bool:
        """Whether to obey a KILL: from the terminal, the parent or our own program, each by its own path."""
        if super().may_kill(message):
            return True
        is_above = message.sender in (self.terminal, "_" + self.terminal, self.parent)
        return is_above and bool(message.came_from == self.parent)

    # -- below ---------------------------------------------------------------------------------------------------

    def _fetched(self, message: Message, promise: Handle, error: str | None) -> None:
        self._fetching = False
        handle = self._refuse(message, error) if error else self.relay(message, self.program)
        follow(promise, handle)
        while self._held and not self._fetching:
            call = self._held.popleft()
            if call is self._overdue:
                self._overdue = None
            call()

    def _give_up_for(self, stop: Callable[[], None]) -> None:
        """Begin no START that a STOP waits for, if it still does."""
        if stop in self._held:
            self._overdue = stop
            self._fetch.give_up(STOPPED)

    def _refuse(self, message: Message, why: str) -> Handle:
        sentence = f"{message.key} was not begun on {self.host.id}: {why}"
        return self.send(self.parent, ERROR, error_report(self.host.id, sentence), repeat=True)

    def _in_turn(self, call: Callable[[], Handle]) -> Handle:
        promise = self.host.promise()
        self._held.append(lambda: follow(promise, call()))
        return promise


def _told_clock(message: Message) -> dict[str, Any]:
    return {CLOCK: message[CLOCK]} if CLOCK in message else {}
