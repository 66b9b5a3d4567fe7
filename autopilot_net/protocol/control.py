"""The messages that an endpoint sends by itself: confirmations, and notices to neighbours. None is confirmed."""

from __future__ import annotations

from typing import Any

from autopilot_net.message import Message, iso_time
from autopilot_net.protocol.effects import Effect, Traffic
from autopilot_net.protocol.inbox import Receipt, Verdict
from autopilot_net.protocol.router import Router

__all__ = ["Control"]


class Control:
    """Makes the library's own messages and sends them. `epoch` is the wall-clock time, in seconds, at `now == 0`."""

    def __init__(self, router: Router, *, incarnation: str, epoch: float) -> None:
        self.epoch = epoch
        self._router = router
        self._incarnation = incarnation
        self._count = 0

    def message(self, to: str, key: str, value: Any, *, now: float, **extra: Any) -> Message:
        """A message of our own, yet to be posted."""
        self._count += 1
        return Message(
            id=f"{self._router.id}_c{self._count}",
            to=to,
            sender=self._router.id,
            key=key,
            value=value,
            flags={"NOREPEAT": True, "NOLOG": True},
            timestamp=iso_time(self.epoch + now),
            inc=self._incarnation,
            **extra,
        )

    def say(self, peer: str, key: str, value: Any, *, now: float, **extra: Any) -> list[Effect]:
        """Tell the neighbour `peer`."""
        message = self.message(peer, key, value, now=now, **extra)
        return self._router.send(peer, (), message.serialize(), Traffic.CONTROL)

    def notice(self, peer: str, key: str, name: str, *, now: float, **extra: Any) -> list[Effect]:
        """Tell the neighbour `peer`, if it is one of ours, whether there is a path to `name`."""
        return self.say(peer, key, name, now=now, **extra) if peer in self._router.ours else []

    def tell(
        self,
        receipt: Receipt,
        verdict: Verdict,
        *,
        why: str = "",
        missing: tuple[int, int] | None = None,
        now: float,
    ) -> list[Effect]:
        """Tell the sender of a message what became of it, why it was refused, and which numbers should have come."""
        if receipt.re is None and verdict is not Verdict.HANDLED:
            return []  # Autopilot's own take every CONFIRM to mean that they may stop repeating
        extra: dict[str, Any] = {}
        if receipt.re is not None:
            extra["re"] = list(receipt.re)
        if verdict is not Verdict.HANDLED:
            extra[verdict.value] = True
        if why and verdict is Verdict.FAILED:
            extra["why"] = why
        if missing is not None:
            extra["missing"] = list(missing)
        return self.confirm(receipt, now=now, **extra)

    def confirm(self, receipt: Receipt, *, now: float, **extra: Any) -> list[Effect]:
        """A CONFIRM, by the way on which the message came."""
        confirm = self.message(receipt.sender, "CONFIRM", receipt.id, now=now, **extra)
        back = self._router.from_here(tuple(reversed(receipt.via)))
        hops = (*back, receipt.sender) if back else ()
        return self._router.send(receipt.sender, hops, confirm.serialize(), Traffic.CONTROL)
