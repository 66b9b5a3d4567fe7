"""What a station does with what comes in: it finds the listen, and tells whoever is above what went wrong."""

from __future__ import annotations

import logging
import threading
from typing import Any

from autopilot_net.batches import handle_items
from autopilot_net.child_process import Flag
from autopilot_net.core import Core
from autopilot_net.coroutines import finished
from autopilot_net.delivery import Delivery, unheard
from autopilot_net.error_report import ERROR, error_report
from autopilot_net.listening import find_listen, log_exception, log_limit, tell_of_duplicates
from autopilot_net.loglimit import shown
from autopilot_net.message import Message
from autopilot_net.participant import Participant

__all__ = ["StationListens"]


class StationListens(Participant):
    """The receiving half of a station, in its own process. All but `is_concurrent` is called in the handler thread."""

    push_id: str | None
    pusher: bool
    closing: Flag
    msgs_received: Any  # a counter that the process which made the station can read
    _core: Core | None
    _counting: threading.Lock

    def send(self, *args: Any, **how: Any) -> Delivery:
        """See `Station.send`."""
        raise NotImplementedError

    def handle_listen(self, message: Message) -> Any:
        """Find and call the listen for `message`. Override it to see, or to change, all that comes in."""
        listen = find_listen(self.listens, message, self.id)
        if listen is None:
            return unheard(message, self.id)
        finish = finished if self._core is None else self._core.driver.handlers.finished
        return finish(listen(message), message.key)

    def on_message(self, message: Message) -> Any:
        """Count, and handle, what came in."""
        with self._counting:
            self.msgs_received.value += 1
        return self.handle_listen(message)

    def on_twins(self, peer: str, addresses: tuple[str, str]) -> None:
        """Tell whoever is above that two machines run under one id."""
        self._tell_error(tell_of_duplicates(self.id, peer, addresses))

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        """Tell whoever is above why a handler raised."""
        log_exception(f"station {self.id}", message, error, trace)
        if message.key != ERROR:
            self._tell_home(error, trace)

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        """Tell whoever is above what the callback of a delivery raised."""
        self._tell_home(error, trace)

    def _tell_home(self, error: BaseException, trace: str) -> None:
        self._tell_error(error_report(self.id, error, trace))

    def _tell_error(self, facts: dict[str, str]) -> None:
        self.send(self.push_id if self.pusher else "_" + self.id, ERROR, facts)

    def l_confirm(self, msg: Message) -> None:
        """Does nothing: confirmations settle delivery handles by themselves.

        Override it, or listen for CONFIRM: then it is called for each message of `send`'s that is confirmed, when its
        handle is settled; the `value` is its id.
        """

    def _passing_confirmation_on(self, sent: Delivery) -> Delivery:
        """Return `sent`. If the program has a listen for CONFIRM of its own, have it called when that is confirmed."""
        if self.listens.get("CONFIRM") != self.l_confirm or type(self).l_confirm is not StationListens.l_confirm:
            self._own_core().pass_confirmation_on(sent)
        return sent

    def l_stream(self, msg: Message) -> Any:
        """Call the listen for a batch's inner key once per item, in order, each dict updated with the headers."""
        return handle_items(msg, self.handle_listen, self.on_exception, update=True)

    def l_kill(self, msg: Message) -> None:
        """End, if whoever says so may."""
        if self.may_kill(msg):
            self.closing.set()
        else:
            who = f"{shown(msg.sender)} by way of {shown(msg.came_from)}"
            sentence = f"station {self.id} does not obey a KILL from {who}"
            log_limit.log(logging.WARNING, (self.id, "KILL", str(msg.came_from)), sentence)

    def may_kill(self, message: Message) -> bool:
        """Whether a KILL is obeyed: from our own program, and from the parent."""
        if message.sender == "_" + self.id:
            return bool(message.came_from == message.sender)
        return self.pusher and bool(message.sender == self.push_id == message.came_from)
