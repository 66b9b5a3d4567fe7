"""Pilot_Station: a rig, or a child below one. What it decides is in `roles/pilot.py`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from autopilot_net.arguments import check_id, seconds_of
from autopilot_net.defaults import LIVENESS_S, LOOPBACK, PING_INTERVAL_S, SLOW_HANDLER_S
from autopilot_net.listening import Listen
from autopilot_net.message import Message
from autopilot_net.prefs import Source, pilot_settings
from autopilot_net.protocol.outbox_channel import Window
from autopilot_net.role_station import RoleStation
from autopilot_net.roles.file_client import TIMEOUT_S
from autopilot_net.roles.pilot import Pilot
from autopilot_net.station import INSTEAD
from autopilot_net.station_host import StationHost

__all__ = ["Pilot_Station"]


class Pilot_Station(RoleStation[Pilot]):  # noqa: N801  # the name that labs' programs import
    """The station of a pilot, or of a child: `push_id` is the terminal, or the parent whose child this is.

    `terminal_id` is the root's id, if that is not the parent. `children` are the ids expected below: CHILD is passed on
    to them even before they shake hands, and to others that do. Task files are kept in `file_dir`. A file of which
    nothing comes for `file_timeout` seconds fails, and so does one that a STOP has waited for so long: its START is
    refused with an ERROR. Every `ping_interval` seconds (None: never) it says by itself that it is there. The other
    options are those of `Station`.
    """

    role_class = Pilot

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
        ping_interval: float | None = PING_INTERVAL_S,
        file_timeout: float = TIMEOUT_S,
        listen_ip: str = LOOPBACK,
        repeat_interval: float | None = None,
        liveness_s: float = LIVENESS_S,
        window: Window | None = None,
        trace: str | os.PathLike[str] | None = None,
        durable: str | os.PathLike[str] | None = None,
        sync: str = "normal",
        slow_handler_s: float = SLOW_HANDLER_S,
    ) -> None:
        super().__init__(
            *(id, push_ip, push_port, push_id),
            pusher=True,
            listen_port=listen_port,
            listen_ip=listen_ip,
            repeat_interval=repeat_interval,
            liveness_s=liveness_s,
            window=window,
            trace=trace,
            durable=durable,
            sync=sync,
            slow_handler_s=slow_handler_s,
        )
        self._take_options(terminal_id, children, file_dir, ping_interval, file_timeout)
        self._listen_for_role(listens)

    def _take_options(
        self,
        terminal_id: str,
        children: Iterable[str],
        file_dir: str | os.PathLike[str] | None,
        ping_interval: float | None,
        file_timeout: float,
    ) -> None:
        check_id(terminal_id, f"the terminal_id of station {self.id}")
        self.terminal_id = terminal_id
        self.children = list(children)
        for name in self.children:
            check_id(name, f"a child of station {self.id}")
        self.file_dir = None if file_dir is None else os.fspath(file_dir)
        what = f"the ping_interval of {self.id}"
        self.ping_interval = None if ping_interval is None else seconds_of(ping_interval, what)
        self.file_timeout = file_timeout

    @classmethod
    def from_prefs(cls, prefs: Source, **settings: Any) -> Self:
        """A station as Autopilot's prefs have it: a mapping, or the path of a prefs.json.

        `settings` are options of the class, which override the prefs. It listens on loopback as any other, unless
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
        """Make the role, which begins to say that it is there."""
        self._role = self.role_class(
            StationHost(self, self.file_dir),
            terminal=self.terminal_id,
            ip=self.ip,
            ping_interval=self.ping_interval,
            expected=self.children,
            file_timeout=self.file_timeout,
        )
        self._role.begin()

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

    def l_noop(self, msg: Message) -> None:
        """Nothing: for a key that is to be taken without a word."""

    def l_ping(self, msg: Message | None = None) -> None:
        """Push our state."""
        self.role.ping(msg)
