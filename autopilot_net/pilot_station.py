"""Pilot_Station: a rig, or a child below one. What it decides is in `roles/pilot.py`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from autopilot_net.arguments import check_id, check_listens, seconds_of
from autopilot_net.coroutines import refuse_generators
from autopilot_net.listening import Listen, refuse_closed
from autopilot_net.message import Message
from autopilot_net.prefs import Source, pilot_settings
from autopilot_net.roles.file_client import TIMEOUT_S
from autopilot_net.roles.pilot import Pilot
from autopilot_net.station import INSTEAD, Station
from autopilot_net.station_host import StationHost, delegate

__all__ = ["Pilot_Station"]


class Pilot_Station(Station):  # noqa: N801  # the name that labs' programs import
    """The station of a pilot, or of a child: `push_id` is the terminal, or the parent whose child this is.

    `terminal_id` is the root's id where it is not the parent's. `children` are the ids expected below, to which what
    CHILD passes on goes even before they shake hands; those that do are added. Task files are kept in `file_dir`;
    one of which nothing comes for `file_timeout` seconds fails, and so does one that a STOP has waited for so long:
    its START is refused with an ERROR.
    `ping_interval` (seconds, None for never) is how often it says by itself that it is there.
    """

    def __init__(
        self,
        id: str,
        *,
        push_ip: str = "localhost",
        push_port: int = 5560,
        push_id: str = "T",
        listen_port: int | None = 5565,
        terminal_id: str = "T",
        children: Iterable[str] = (),
        listens: Mapping[str, Listen] | None = None,
        file_dir: str | os.PathLike[str] | None = None,
        ping_interval: float | None = 5.0,
        file_timeout: float = TIMEOUT_S,
        **settings: Any,
    ) -> None:
        super().__init__(id, push_ip, push_port, push_id, pusher=True, listen_port=listen_port, **settings)
        check_id(terminal_id, f"the terminal_id of station {id}")
        self.terminal_id = terminal_id
        self.children = list(children)
        for name in self.children:
            check_id(name, f"a child of station {id}")
        self.file_dir = None if file_dir is None else os.fspath(file_dir)
        self.ping_interval = None if ping_interval is None else seconds_of(ping_interval, f"the ping_interval of {id}")
        self.file_timeout = file_timeout
        self._role: Pilot | None = None
        by_name = ("STATE", "COHERE", "PING", "START", "STOP", "FILE", "CONTINUOUS", "CHILD", "HANDSHAKE", "ERROR")
        self.listens |= {key: getattr(self, f"l_{key.lower()}") for key in by_name}
        forwarded = ("CALIBRATE_PORT", "CALIBRATE_RESULT", "BANDWIDTH", "STREAM_VIDEO")
        self.listens |= {"PARAM": self.l_change, **dict.fromkeys(forwarded, self.l_forward), **(listens or {})}
        check_listens(self.listens, f"station {id}")
        refuse_generators(self.listens, f"station {id}")

    @classmethod
    def from_prefs(cls, prefs: Source, **settings: Any) -> Self:
        """A station as Autopilot's prefs have it: a mapping, or the path of a prefs.json.

        `settings` are those of the class, and count before what the prefs say. It binds to loopback as any other, until
        `listen_ip` is given. Raises `AutopilotNetError` that names the pref which is missing or wrong.
        """
        return cls(**pilot_settings(prefs, settings))

    _instead: ClassVar[Mapping[str, str]] = {
        **INSTEAD,
        "child": "a pilot is a child where `push_id` is another pilot's id",
        "parent": "the station above is `push_id`",
        "parent_id": "the station above is `push_id`",
        "pi_id": "the program's node is named '_' and the station's id",
    }

    def begin_role(self) -> None:
        """Begin to say that it is there."""
        self._role = Pilot(
            StationHost(self, self.file_dir),
            terminal=self.terminal_id,
            ip=self.ip,
            ping_interval=self.ping_interval,
            expected=self.children,
            file_timeout=self.file_timeout,
        )
        self._role.begin()

    @property
    def role(self) -> Pilot:
        """What it decides. In the station's process."""
        if self._role is None:
            raise refuse_closed(self.id)
        return self._role

    @property
    def state(self) -> Any:
        """What its own program told last with STATE. In the station's process."""
        return self.role.state

    @property
    def subject(self) -> str | None:
        """Whom the last START named. In the station's process."""
        return self.role.subject

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """See `Pilot.neighbour`."""
        self.role.neighbour(peer, is_there)

    def may_kill(self, message: Message) -> bool:
        """See `Pilot.may_kill`."""
        return self.role.may_kill(message)

    def l_noop(self, msg: Message) -> None:
        """Nothing: for a key that is to be taken without a word."""

    def l_ping(self, msg: Message | None = None) -> None:
        """Push our state."""
        self.role.ping(msg)

    l_state = delegate("l_state", Pilot.on_state)
    l_cohere = delegate("l_cohere", Pilot.cohere)
    l_start = delegate("l_start", Pilot.start)
    l_stop = delegate("l_stop", Pilot.stop)
    l_change = delegate("l_change", Pilot.to_program)
    l_forward = delegate("l_forward", Pilot.to_program)
    l_file = delegate("l_file", Pilot.file)
    l_continuous = delegate("l_continuous", Pilot.continuous)
    l_child = delegate("l_child", Pilot.child)
    l_handshake = delegate("l_handshake", Pilot.handshake)
    l_error = delegate("l_error", Pilot.pass_up)
