"""What a node does with what comes in: it finds the listen, and tells the terminal what went wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from autopilot_net.batches import handle_items
from autopilot_net.core import Core
from autopilot_net.delivery import Delivery, unheard
from autopilot_net.error_report import ERROR, error_report
from autopilot_net.listening import Listen, SignatureCache, find_listen, log_exception, log_limit, tell_of_duplicates
from autopilot_net.message import Message, expand_fields
from autopilot_net.participant import Participant
from autopilot_net.roles.ledger import Ledger

__all__ = ["NodeListens"]


class NodeListens(Participant):
    """The receiving half of a node. All but `is_concurrent` is called in the handler thread."""

    _core: Core

    def __init__(self, id: str, upstream: str, listens: Mapping[str, Listen], *, expand: bool) -> None:
        self.id = id
        self.upstream = upstream
        own: dict[str, Listen] = {"CONFIRM": self.l_confirm, "STREAM": self.l_stream, "COHERE": self._l_cohere}
        self.listens = {**own, **listens}
        self.msgs_received = 0
        self.closing = threading.Event()
        self.ledger = Ledger()
        self._counting = threading.Lock()
        self._ledger_lock = threading.Lock()
        self._expand = expand
        self._signatures = SignatureCache()

    def _own_core(self) -> Core:
        return self._core

    def send(self, *args: Any, **how: Any) -> Delivery:
        """See `Net_Node.send`."""
        raise NotImplementedError

    def on_message(self, message: Message) -> Any:
        """Count, and handle, what came in."""
        with self._counting:  # concurrent listens have threads of their own
            self.msgs_received += 1
        return self.handle_listen(message)

    def handle_listen(self, message: Message) -> Any:
        """Find and call the listen for `message`, or for an item of a stream. Override it to see all that comes in."""
        listen = find_listen(self.listens, message, self.id)
        if listen is None:
            return unheard(message, self.id)
        wants = self._signatures.message(message.key, listen)
        if self._expand and listen != self.l_stream:  # what is in a batch is expanded item by item
            expand_fields(message, list(message) if wants else ("value",))
        result = listen(message if wants else message.value)
        return self._core.driver.handlers.finished(result, message.key)

    def on_twins(self, peer: str, addresses: tuple[str, str]) -> None:
        """If this node listens itself: tell the terminal that two machines run under one id."""
        facts = tell_of_duplicates(self.id, peer, addresses)
        if self.upstream:
            self.send(self.upstream, ERROR, facts, repeat=True)

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        """Tell the terminal what a handler raised, so that nobody has to log in to a Pi for it."""
        log_exception(self.id, message, error, trace)
        if message.key != ERROR and not self.closing.is_set():
            self.report(error, trace)

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        """Tell the terminal what the callback of a delivery raised."""
        if not self.closing.is_set():
            self.report(error, trace)

    def report(self, error: BaseException | str, trace: str = "") -> Delivery:
        """Send an exception, or a sentence, to the terminal, as an ERROR message. It never waits for room.

        Any thread may call. One of your own tells what it raised by this: nobody else would. `trace` is the traceback
        as text.
        """
        facts = error_report(self.upstream, error, trace)
        if not self.upstream or not self._core.endpoint.outbox.room(self.upstream):
            untold = Delivery(f"{self.id} ERROR", self.upstream)
            untold.settle(confirmed=False, reason="there is nobody to tell it to, or too much waits to be told")
            return untold
        return self._core.send(self._core.prepare(self.upstream, ERROR, facts, flags=()), repeat=True)

    def l_confirm(self, value: Any) -> None:
        """Does nothing: confirmations settle delivery handles by themselves.

        Override it, or listen for CONFIRM: then it is called with the id of each message of `send`'s that is confirmed,
        when its handle is settled.
        """

    def _passing_confirmation_on(self, sent: Delivery) -> Delivery:
        """Return `sent`. If the program has a listen for CONFIRM of its own, have it called when that is confirmed."""
        if self.listens.get("CONFIRM") != self.l_confirm or type(self).l_confirm is not NodeListens.l_confirm:
            self._own_core().pass_confirmation_on(sent)
        return sent

    def l_stream(self, msg: Message) -> Any:
        """Call the listen for a batch's inner key with each item, in order."""
        return handle_items(msg, self.handle_listen, self.on_exception, update=False)

    def _l_cohere(self, message: Message) -> Delivery | None:
        question = message.value if isinstance(message.value, dict) else {}
        if "digest" in question:
            sentence = f"{self.id}: an answer to COHERE came, and no listen of this program's takes it"
            log_limit.log(logging.WARNING, (self.id, "COHERE"), sentence)
            return None
        with self._ledger_lock:
            answer = {"pilot": self.upstream, **self.ledger.answer(question)}
        return self.send(str(question.get("answer_to", self.upstream)), "COHERE", answer, repeat=True)
