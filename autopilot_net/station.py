"""Station: forwards for one machine, in a process of its own.

The object is made in the parent; `run` builds everything that lives in the child.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing import process
from typing import Any, ClassVar

import zmq
from msgspec.structs import replace

from autopilot_net.addressing import Flags, address
from autopilot_net.arguments import check_id, check_listens, port_of, seconds_of
from autopilot_net.child_process import Flag, allow_connections, end_with_owner
from autopilot_net.core import Core, wall_time
from autopilot_net.coroutines import refuse_generators
from autopilot_net.defaults import LIVENESS_S, LOOPBACK, SLOW_HANDLER_S
from autopilot_net.delivery import Delivery
from autopilot_net.errors import AutopilotNetError, DurableRefused
from autopilot_net.listening import (
    Listen,
    gone,
    refuse_closed,
)
from autopilot_net.message import Message
from autopilot_net.participant import own_ip
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.protocol.outbox_channel import Window
from autopilot_net.station_listens import StationListens

__all__ = ["Station"]

logger = logging.getLogger("autopilot_net")

BROKEN = 70  # the exit code of a station that could not go on: an internal error, as in sysexits.h
COMPLAINT_BYTES = 1_000  # of what kept a station from listening, told to its parent
SWITCH_S = 0.0005  # with Python's 5 ms, a handler that computes slowed reading down to 900 messages a second
RELEASE_S = 3.0  # how long a station may take to end before it is killed
INSTEAD = {
    "loop": "there is no tornado loop; the station's threads are its own, and `release()` ends them",
    "threaded_loop": "there is no loop to run or to override; `start()` starts the process and its threads",
    "file_block": "files are pulled in parts by the station, and nothing waits for them",
    "listener": "sockets belong to the I/O thread alone; `send`, `push` and listens are the ways in and out",
    "timers": "the I/O thread repeats what is due; `push_outbox` and `send_outbox` show what awaits its confirmation",
    "repeat_thread": "the I/O thread repeats what is due, every `repeat_interval` seconds",
    "msg_counter": "`prepare_message` numbers messages by itself",
}


class Station(StationListens, multiprocessing.Process):
    """A station: forwards for one machine, in a process of its own.

    It binds a ROUTER at `listen_port` (0: the system chooses; see `port`) and, with `pusher`, connects to `push_id`.
    `start()` returns when it listens, or raises what prevented that; `release()` ends it. `listens` maps a key to a
    handler, which gets the `Message`. Handlers run in the station's process, one at a time; an `async def` is run to
    its end. The process starts by the start method of its maker; with forkserver and spawn, listens must be picklable.

    It listens on loopback unless `listen_ip` says otherwise ('*': every interface). What is not confirmed is sent again
    after `repeat_interval` seconds (None: the class's). The upstream is probed every `liveness_s` seconds. The other
    options are those of a `Net_Node`. Raises `AutopilotNetError` for arguments that make no station.
    """

    def __init__(
        self,
        id: str,
        push_ip: str | None = None,
        push_port: int | None = None,
        push_id: str | None = None,
        pusher: bool = False,
        listen_port: int | None = None,
        listens: Mapping[str, Listen] | None = None,
        *,
        listen_ip: str = LOOPBACK,
        repeat_interval: float | None = None,
        liveness_s: float = LIVENESS_S,
        window: Window | None = None,
        trace: str | os.PathLike[str] | None = None,
        durable: str | os.PathLike[str] | None = None,
        sync: str = "normal",
        slow_handler_s: float = SLOW_HANDLER_S,
    ) -> None:
        check_id(id, "the id of a station")
        super().__init__(name=f"station {id}", daemon=True)
        self.id = id
        self.push_ip, self.push_id, self.pusher = push_ip, push_id, pusher
        self.push_port = None if push_port is None else port_of(push_port, f"the push_port of station {id}")
        self._check_upstream()
        check_listens({} if listens is None else listens, f"station {id}")
        self.listen_ip = listen_ip
        self.listen_port = 0 if listen_port is None else port_of(listen_port, f"the listen_port of station {id}")
        if repeat_interval is not None:
            self.repeat_interval = seconds_of(repeat_interval, f"the repeat_interval of station {id}")
        self.listens = {"CONFIRM": self.l_confirm, "STREAM": self.l_stream, "KILL": self.l_kill, **(listens or {})}
        refuse_generators(self.listens, f"station {id}")
        self._settings = Settings(liveness_s=liveness_s, window=window or Window())
        self._trace = None if trace is None else os.fspath(trace)
        self._durable = None if durable is None else os.fspath(durable)
        self._sync, self._slow_handler_s = sync, slow_handler_s
        self._core: Core | None = None
        self._share()

    def _check_upstream(self) -> None:
        if self.push_id is not None:
            check_id(self.push_id, f"the push_id of station {self.id}")
        if self.pusher and self.push_id == self.id:
            raise AutopilotNetError(f"station {self.id} cannot be below itself: push_id is the station above it")
        if self.pusher and not (self.push_id and self.push_ip and self.push_port):
            raise AutopilotNetError(f"station {self.id} needs push_ip, push_port and push_id for its pusher")

    def _share(self) -> None:
        """Make what this process and the station's process share."""
        # Written by the station alone, without locks: if it were killed while it held one, readers would hang.
        self.msgs_received = multiprocessing.Value("L", 0, lock=False)
        self._bound = multiprocessing.Value("i", 0, lock=False)
        self._reached = multiprocessing.Value("b", 0, lock=False)
        self._complaint = multiprocessing.Array("c", COMPLAINT_BYTES, lock=False)
        self.closing, self.ready = Flag(), Flag()

    def _own_core(self) -> Core:
        return self.core

    _instead: ClassVar[Mapping[str, str]] = INSTEAD

    def __getattr__(self, name: str) -> Any:
        raise gone(self, name, type(self)._instead)

    # -- for the parent ------------------------------------------------------------------------------------------

    def start(self, timeout: float = 30.0) -> None:
        """Start the process and wait until it listens. Raises `AutopilotNetError` if it does not."""
        self.begin()
        deadline = time.monotonic() + timeout
        while not self.ready.wait(0.05):
            if not self.is_alive():
                kind, _, why = self._complaint.value.decode(errors="replace").partition(": ")
                error = DurableRefused if kind == "DurableRefused" else AutopilotNetError
                raise error(f"station {self.id} ended before it listened: {why or 'its process says why'}")
            if time.monotonic() > deadline:
                self.kill()
                self.join(RELEASE_S)
                raise AutopilotNetError(f"station {self.id} did not listen within {timeout} s")

    def begin(self) -> None:
        """Start the process, and do not wait."""
        try:
            super().start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise AutopilotNetError(
                f"station {self.id} cannot be handed to its process: {error}. Listens must be functions of a module "
                "or methods of a station; a lambda or a nested function cannot be pickled"
            ) from error

    @property
    def port(self) -> int:
        """The port it listens at; 0 before it does."""
        return int(self._bound.value)

    @property
    def connected(self) -> bool:
        """Whether its parent is there, and has the id `push_id`; for a terminal, whether it listens. In any process."""
        return bool(self._reached.value) and (self._core is not None or self.is_alive())

    def release(self) -> None:
        """End the station, by its maker or in its own process. In a fork of either, this does nothing."""
        maker: int = self._parent_pid  # as multiprocessing asserts it in `join`
        if not (os.getpid() == maker if self._core is None else self._core.is_here):
            return
        self.closing.set()
        if self._core is None and self.ident:
            self.join(RELEASE_S)
            if self.is_alive():
                self.kill()
                self.join(RELEASE_S)

    # -- the process ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Be the station until it is released, or killed, or its parent is gone."""
        end_with_owner(self.closing)
        allow_connections()
        sys.setswitchinterval(SWITCH_S)
        self._counting = threading.Lock()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._core = self.init_networking(context)
            self.begin_role()
        except Exception as error:
            self._complaint.value = f"{type(error).__name__}: {error}".encode()[: COMPLAINT_BYTES - 1]
            if isinstance(error, AutopilotNetError):
                raise SystemExit(1) from error  # its parent tells
            raise
        self._core.driver.on_broken = self.closing.set
        self._core.driver.on_reached = self._note_reached
        self._reached.value = not self.pusher
        self._core.start()
        logger.info("station %s listens at %s:%d", self.id, self.listen_ip, self.port)
        self.ready.set()
        self.closing.wait()
        self._core.driver.stop()
        self._reached.value = False
        if self._core.driver.broken is not None:
            raise SystemExit(BROKEN)  # what it was is in the log
        context.term()

    def init_networking(self, context: zmq.Context[zmq.Socket[bytes]]) -> Core:
        """Make the sockets; in the station's process. Override it to add to them."""
        core = Core(
            self.id,
            self,
            upstream=self.push_id if self.pusher else None,
            forwards=True,
            context=context,
            settings=replace(self._settings, repeat_interval=self.repeat_interval),
            trace=self._trace,
            durable=self._durable,
            sync=self._sync,
            slow_handler_s=self._slow_handler_s,
        )
        self._bound.value = core.attachment.sockets.bind(self.listen_ip, self.listen_port)
        if self.pusher:
            ip = LOOPBACK if self.push_ip == "localhost" else str(self.push_ip)
            core.attachment.sockets.connect(str(self.push_id), ip, int(self.push_port or 0))
        return core

    def begin_role(self) -> None:
        """Called in its process when it is bound, before it reads. Override it to begin what the station does."""

    def _note_reached(self, reached: bool) -> None:
        self._reached.value = reached

    @property
    def core(self) -> Core:
        """What lives in the station's process. Raises `AutopilotNetError` in any other."""
        if self._core is None or not self._core.is_here:
            raise refuse_closed(self.id)
        return self._core

    @property
    def context(self) -> zmq.Context[zmq.Socket[bytes]]:
        """The zmq context. In the station's process."""
        return self.core.context

    @property
    def ip(self) -> str:
        """See `get_ip`."""
        return self.get_ip()

    def get_ip(self) -> str:
        """The address under which other machines most likely reach this one."""
        return own_ip()

    @property
    def routes(self) -> dict[str, str]:
        """id → the neighbour behind which it lies. In the station's process."""
        return dict(self.core.endpoint.routes.behind)

    @property
    def senders(self) -> dict[str, Any]:
        """The neighbours below that are there. In the station's process."""
        return dict(self.core.endpoint.routes.below)

    @property
    def push_outbox(self) -> dict[str, Message]:
        """What awaits a confirmation from above, by id. In the station's process."""
        return {id: m for id, m in self._waiting() if self._hop(m) == self.push_id}

    @property
    def send_outbox(self) -> dict[str, Message]:
        """What awaits a confirmation from below, by id. In the station's process."""
        return {id: m for id, m in self._waiting() if self._hop(m) != self.push_id}

    def _waiting(self) -> Iterable[tuple[str, Message]]:
        return self.core.endpoint.outbox.messages().items()

    def _hop(self, message: Message) -> str | None:
        return self.core.endpoint.routes.next_hop(message.to)

    # -- sending, in the station's process -----------------------------------------------------------------------

    def prepare_message(
        self, to: str | Sequence[str], key: str, value: Any, repeat: bool = True, flags: Flags = None
    ) -> Message:
        """A message of this station's with an id of its own, to be changed and then sent by `send(msg=…)`."""
        message = self.core.prepare(to, key, value, flags=flags)
        if not repeat:
            message.flags["NOREPEAT"] = True
        return message

    def send(
        self,
        to: str | Sequence[str] | None = None,
        key: str | None = None,
        value: Any = None,
        msg: Message | None = None,
        repeat: bool | None = None,
        flags: Flags = None,
        *,
        expires_after: float | None = None,
    ) -> Delivery:
        """Send `key` with `value`, or a prepared `msg`, to `to` (a list means hops).

        It is repeated until it is handled unless `repeat` is False, or it goes through other stations to one that is
        not known to be ours and could not confirm it; `repeat=True` insists. A `msg` goes where it says itself unless
        `to` is given; `flags` add to those it has. It never waits: what a listen passes on is
        bounded by the windows of those who sent it. Raises `BadMessage`, naming the part, for what JSON cannot carry.
        """
        if msg is None:
            if not key or to is None:
                raise AutopilotNetError(f"station {self.id} was to send key {key!r} to {to!r}: both are needed")
            msg = self.prepare_message(to, key, value, repeat=repeat is not False, flags=flags)
        hops = address(msg, to, flags, at=wall_time(time.monotonic()))
        sent = self.core.send(msg, hops=hops, repeat=repeat, expires_after=expires_after)
        return self._passing_confirmation_on(sent)

    def push(
        self,
        to: str | Sequence[str] | None = None,
        key: str | None = None,
        value: Any = None,
        msg: Message | None = None,
        repeat: bool | None = None,
        flags: Flags = None,
    ) -> Delivery:
        """Send upward: to the parent, unless `to` names somebody else."""
        if not self.pusher:
            raise AutopilotNetError(f"station {self.id} has no pusher, so there is nobody above it to push to")
        return self.send(self.push_id if to is None and msg is None else to, key, value, msg, repeat, flags)


def _disown() -> None:
    """In a fork of the process that made stations, drop them: otherwise the end of the fork would end them."""
    children: set[Any] = process._children  # type: ignore[attr-defined]  # multiprocessing's own forks begin without
    children.difference_update([child for child in children if isinstance(child, Station)])


os.register_at_fork(after_in_child=_disown)
