"""Reliable: what we are to deliver, and what was sent to us to be confirmed. Where anything goes is not decided here.

It composes `outbox`, `inbox` and `pending_relays`. The router carries its messages, and `control` sends its
confirmations. It asks for what outlives a restart to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.durable_records import Record, Saved
from autopilot_net.protocol.effects import Confirmed, Deliver, Dropped, Effect, Expired, Forget, Store, Traffic
from autopilot_net.protocol.inbox import Inbox, Verdict, receipt_of
from autopilot_net.protocol.numbers import as_int
from autopilot_net.protocol.outbox import Outbox
from autopilot_net.protocol.outbox_channel import OutboxEntry
from autopilot_net.protocol.pending_relays import PendingRelays
from autopilot_net.protocol.reasons import Refusal, refusal
from autopilot_net.protocol.router import Router

__all__ = ["Reliable"]


class Reliable:
    """The confirmed half of one endpoint. With `saved` it is durable, and begins with what a former life left there."""

    def __init__(self, router: Router, control: Control, outbox: Outbox, *, saved: Saved | None) -> None:
        self.outbox = outbox
        self._router = router
        self._control = control
        self._inbox = Inbox()
        self._pending_relays = PendingRelays()
        self._keeps = saved is not None
        if saved is not None:
            self._restore(saved)

    # -- what is sent --------------------------------------------------------------------------------------------

    def send(
        self, message: Message, hops: tuple[str, ...], *, pack: bool, expires_after: float | None, now: float
    ) -> list[Effect]:
        """Take `message` to be delivered. Raises `BadMessage` if one of its id already awaits its confirmation."""
        if message.id in self.outbox:
            raise BadMessage(f"message {message.id} awaits its confirmation; what is sent anew needs an id of its own")
        entry = OutboxEntry(message, hops, pack=pack)
        is_open = self._router.is_open(entry.target, message.to)
        until = None if expires_after is None else now + expires_after
        out = self.outbox.put(entry, now=now, is_open=is_open, expires_at=until)
        sent = self._transmit_all(out, now)
        if not self._keeps:
            return sent
        return [Store(entry.record(None if until is None else until + self._control.epoch)), *sent]

    def read_confirm(self, message: Message, *, now: float) -> list[Effect]:
        """A CONFIRM for us came in."""
        if "asks" in message or "here" in message:
            return self._read_question(message, now)
        re, about = message.get("re"), str(message.value)
        if message.get("failed"):
            reason = refusal(message.get("why")) or "its recipient could not pass it on"
            return self._settle(about, message.sender, re, now, failed=reason, at=message.get("at"))
        if not message.get("received"):
            return self._settle(about, message.sender, re, now)
        self.outbox.received(about, message.sender, re)
        gap = message.get("missing")
        numbers = [as_int(number, 1) for number in gap] if isinstance(gap, list) else []
        if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
            return []
        return self._transmit_all(self.outbox.missing(message.sender, re, numbers[0], numbers[1], now=now), now)

    def handle_timer(self, *, now: float, is_stuck: Callable[[str], bool]) -> list[Effect]:
        """Repeat what is due, and end what has expired. See `Outbox.handle_timer` for `is_stuck`."""
        again, expired = self.outbox.handle_timer(now=now, is_stuck=is_stuck)
        spent, late = "no confirmation came, and it may not be sent again", "no confirmation came, and its time is up"
        ends: list[Effect] = []
        for entry in expired:
            is_late = entry.until is not None and now >= entry.until
            ends += self._end(entry, now, failed=late if is_late else spent)
        return [*ends, *self._transmit_all(again, now)]

    def reopen(self, name: str, *, now: float) -> list[Effect]:
        """There is a new path to `name`: send what waits for one, and send again what went by the former one."""
        for recipient, target in self.outbox.recipients(is_open=True):
            if name.removeprefix("_") in (target.removeprefix("_"), recipient.removeprefix("_")):
                self.outbox.close(recipient)
        return self.open_closed(now=now)

    def open_closed(self, *, now: float) -> list[Effect]:
        """Send what waited for a path that is up now."""
        entries = [
            entry
            for recipient, target in self.outbox.recipients(is_open=False)
            if self._router.is_open(target, recipient)
            for entry in self.outbox.open(recipient, now=now)
        ]
        return self._transmit_all(entries, now)

    def resume(self, name: str, *, now: float) -> list[Effect]:
        """The path to `name` is read again, and nothing on it was lost: send only what waits."""
        entries = [
            entry
            for recipient, target in self.outbox.recipients(is_open=False)
            if name.removeprefix("_") in (target.removeprefix("_"), recipient.removeprefix("_"))
            and self._router.is_open(target, recipient)
            for entry in self.outbox.resume(recipient, now=now)
        ]
        return self._transmit_all(entries, now)

    def close_what_has_no_path(self) -> None:
        """Send nothing, and spend no patience, where there is no way."""
        for name, target in self.outbox.recipients(is_open=True):
            if not self._router.is_open(target, name):
                self.outbox.close(name)

    # -- what came in --------------------------------------------------------------------------------------------

    def arrive(self, message: Message, peer: str, *, now: float) -> list[Effect]:
        """A message that seeks a confirmation came in from the neighbour `peer`."""
        receipt = receipt_of(message)
        arrival = self._inbox.arrive(message, receipt)
        effects: list[Effect] = [Deliver(ticket, peer, item) for ticket, item in arrival.deliver]
        if arrival.dropped:
            effects.append(Dropped(arrival.dropped, peer, self._router.id))
        if arrival.tell is not None:
            effects += self._control.tell(receipt, arrival.tell, why=arrival.why, missing=arrival.missing, now=now)
        return effects

    def handled(self, ticket: int, *, failed: bool = False, relays: Iterable[str] = (), now: float) -> list[Effect]:
        """See `Endpoint.handled`."""
        waits = [message_id for message_id in relays if message_id in self.outbox]
        why = self._inbox.why_refused(ticket) if failed else ""
        if ticket and waits:
            self._pending_relays.wait(ticket, waits, failed=failed, why=why)
            return self._store(self._inbox.relayed(ticket, waits, failed=failed, why=why))
        return self._conclude(ticket, why if failed else None, now)

    # -- below ---------------------------------------------------------------------------------------------------

    def _transmit_all(self, entries: Iterable[OutboxEntry], now: float) -> list[Effect]:
        """Send what is due. A recipient that may be Autopilot's own handles each repeat again, so that it gets none.

        Such a recipient gets one `asks` CONFIRM instead, which Autopilot's own ignore. Ours answer it, and then get all
        that waits. What a former life left is sent once in any case: that life may not have sent it.
        """
        effects: list[Effect] = []
        asked: set[str] = set()
        for entry in entries:
            to = str(entry.message.to)
            if entry.is_first or self._router.is_known(to):
                entry.is_first = False
                effects += self._router.send(to, entry.hops, entry.wire(), Traffic.PROMISE)
            elif to not in asked:
                asked.add(to)
                via = {"via": entry.message.via} if "via" in entry.message else {}
                question = self._control.message(to, "CONFIRM", entry.message.id, now=now, asks=True, **via)
                effects += self._router.send(to, entry.hops, question.serialize(), Traffic.CONTROL)
        return effects

    def _conclude(self, ticket: int, failed: str | None, now: float) -> list[Effect]:
        """`ticket` is over: handled, or failed. `failed` is the reason, empty if nobody refused it.

        A refused message from Autopilot's own counts as handled: its repeats would change nothing.
        """
        why = failed or ""
        verdict = Verdict.HANDLED if failed is None else Verdict.FAILED
        if why and self._inbox.is_unnumbered(ticket):
            verdict = Verdict.HANDLED
        outcome = self._inbox.handled(ticket, verdict, why)
        if outcome is None:
            return []
        return self._store(outcome.record) + self._control.tell(outcome.receipt, verdict, why=why, now=now)

    def _read_question(self, message: Message, now: float) -> list[Effect]:
        """Answer whether we are one of ours. Or read such an answer, and send at once what was not repeated."""
        if "asks" in message:
            return self._control.confirm(receipt_of(message), now=now, here=True)
        names = {message.sender, "_" + message.sender, message.sender.removeprefix("_")}
        found = [name for name, _ in self.outbox.recipients(is_open=True) if name in names]
        return self._transmit_all((entry for name in found for entry in self.outbox.open(name, now=now)), now)

    def _settle(
        self, about: str, sender: str, re: Any, now: float, *, failed: str = "", at: Any = None
    ) -> list[Effect]:
        """Settle a message of ours, as `sender` says: the recipient, or a station on the way that cannot reach `at`."""
        recipient = at if isinstance(at, str) else sender
        settled, more = self.outbox.confirm(about, recipient, re, now=now)
        if not settled:
            return []  # a second confirmation of the same message: repeats cause these
        if recipient is at:
            more = [*self.outbox.nudge(settled.message.to), *more]
        return [*self._end(settled, now, recipient, failed=failed), *self._transmit_all(more, now)]

    def _end(self, entry: OutboxEntry, now: float, by: str = "", *, failed: str = "") -> list[Effect]:
        """A message of ours is settled, and with it each ticket that waited for nothing else."""
        about, to = entry.message.id, by or entry.message.to
        effects: list[Effect] = [Forget(entry.message.to, entry.seq)] if self._keeps else []
        effects.append(Expired(about, to, failed) if failed else Confirmed(about, to))
        why = str(failed) if isinstance(failed, Refusal) else ""
        for ticket, left, has_failed in self._pending_relays.settle(about, failed=bool(failed), why=why):
            if not left:
                effects += self._conclude(ticket, has_failed, now)
            elif failed:
                effects += self._store(self._inbox.relayed(ticket, left, failed=True, why=has_failed or ""))
        return effects

    def _restore(self, saved: Saved) -> None:
        self.outbox.restore(saved, epoch=self._control.epoch)
        for ticket, record in self._inbox.restore(saved):
            waits = [message_id for message_id in record.waits if message_id in self.outbox]
            if waits:
                self._pending_relays.wait(ticket, waits, failed=record.failed, why=record.why)
            else:
                self._inbox.handled(ticket, Verdict.FAILED if record.failed else Verdict.HANDLED, record.why)

    def _store(self, record: Record | None) -> list[Effect]:
        return [Store(record)] if self._keeps and record is not None else []
