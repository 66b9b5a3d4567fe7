"""Terminal_Station: the root of the tree. What it decides is in `roles/terminal.py`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from autopilot_net.arguments import check_id
from autopilot_net.defaults import LIVENESS_S, LOOPBACK, SLOW_HANDLER_S
from autopilot_net.listening import Listen
from autopilot_net.prefs import Source, terminal_settings
from autopilot_net.protocol.outbox_channel import Window
from autopilot_net.role_station import RoleStation
from autopilot_net.roles.terminal import Terminal
from autopilot_net.station import INSTEAD
from autopilot_net.station_host import StationHost

__all__ = ["Terminal_Station"]

logger = logging.getLogger("autopilot_net")


class Terminal_Station(RoleStation[Terminal]):  # noqa: N801  # the name that labs' programs import
    """The station of the terminal: the root, above everything else.

    `pilots` is a dict by id (or a list of ids) of the pilots that are expected; others that shake hands are added. A
    stream's items are copied to a plot at most `data_fps` times a second. Task files are served from `file_dir`. The
    other options are those of `Station`.
    """

    role_class = Terminal

    def __init__(
        self,
        pilots: Mapping[str, Any] | Iterable[str] = (),
        *,
        id: str = "T",
        listen_port: int | None = 5560,
        listens: Mapping[str, Listen] | None = None,
        file_dir: str | os.PathLike[str] | None = None,
        data_fps: float = 20.0,
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
            id,
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
        self.pilots: dict[str, Any] = dict(pilots) if isinstance(pilots, Mapping) else {name: {} for name in pilots}
        for name in self.pilots:
            check_id(name, f"a pilot of station {id}")
        self.file_dir = None if file_dir is None else os.fspath(file_dir)
        self.data_fps = data_fps
        self._listen_for_role(listens)

    @classmethod
    def from_prefs(cls, prefs: Source, pilots: Mapping[str, Any] | Iterable[str] = (), **settings: Any) -> Self:
        """A terminal as Autopilot's prefs have it; see `Pilot_Station.from_prefs`. The prefs do not name its pilots."""
        return cls(pilots, **terminal_settings(prefs, settings))

    _instead: ClassVar[Mapping[str, str]] = {
        **INSTEAD,
        "plot_timer": "no thread times the plots; `data_fps` bounds what each of them gets",
        "data_ifps": "say `data_fps`, in copies a second",
    }

    def begin_role(self) -> None:
        """Make the role. Warn once if pilots elsewhere could not reach this station."""
        self._role = self.role_class(StationHost(self, self.file_dir), pilots=self.pilots, data_fps=self.data_fps)
        self.pilots = self._role.pilots
        elsewhere = [n for n, facts in self.pilots.items() if not _is_here(facts)]
        if self.listen_ip == LOOPBACK and elsewhere:
            logger.warning(
                "terminal %s listens on loopback alone, so %s cannot reach it; give it listen_ip='*'",
                self.id,
                ", ".join(elsewhere),
            )

    @property
    def senders(self) -> dict[str, Any]:
        """The neighbours that are there, each with the state its machine has told. In the station's process."""
        known = self.role.pilots
        return {name: known.get(name.removeprefix("_"), {}).get("state") for name in super().senders}

    @property
    def sent_plot(self) -> dict[str, float]:
        """Of each pilot, when (`time.monotonic`) an item of its streams last went to its plot. In its process."""
        return dict(self.role.plotted)

    def start_plot_timer(self) -> None:
        """Forget `sent_plot`: the next item of each pilot goes to its plot at once. There is no need to call it."""
        self.role.plotted.clear()

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """See `Terminal.neighbour`."""
        self.role.neighbour(peer, is_there)


def _is_here(facts: Any) -> bool:
    ip = facts.get("ip", "") if isinstance(facts, dict) else ""
    return ip in ("", "localhost", "127.0.0.1")
