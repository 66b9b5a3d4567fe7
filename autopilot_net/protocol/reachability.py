"""Tells neighbours that there is no path to somebody (GONE), and that there is one again (BACK). Learns no route.

A sender that knows this spends no ttl on what cannot arrive, and sends again at once what may have been lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from msgspec.structs import replace

from autopilot_net.message import Message
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.effects import Dropped, Effect
from autopilot_net.protocol.frames import Packet
from autopilot_net.protocol.inbox import receipt_of
from autopilot_net.protocol.interest import Interest
from autopilot_net.protocol.reasons import refusal
from autopilot_net.protocol.router import UNKNOWN, Router

__all__ = ["Reachability"]


class Reachability:
    """What one endpoint tells its neighbours about the paths through it."""

    def __init__(self, router: Router, control: Control) -> None:
        self.interest = Interest()
        self._router = router
        self._control = control

    def passed_on(self, packet: Packet, peer: str, effects: list[Effect], *, now: float) -> list[Effect]:
        """The notices due after `packet`, which came from `peer`, was forwarded with these `effects`."""
        if peer == self._router.routes.upstream:
            is_unknown = any(isinstance(effect, Dropped) and effect.reason == UNKNOWN for effect in effects)
            return self.gone(packet.target, now=now) if is_unknown else []
        return self.no_way(packet.recipient, [peer], now=now) if self._router.is_cut_off(packet) else []

    def wrong_turn(self, packet: Packet, why: str, *, now: float) -> list[Effect]:
        """Answer the sender of `packet` that its hops lead nowhere, if it waits for an answer; nothing if it does not.

        Otherwise the message would be repeated until its ttl is used up, and what follows it would wait as long.
        """
        try:
            message = Message(packet.payload)
            receipt = receipt_of(message)
        except (AttributeError, ValueError):  # of a message without sender or id, whoever would read it says so
            return []
        if receipt.re is None or "NOREPEAT" in message.flags:
            return []
        passed = tuple(itertools.takewhile(lambda name: name != self._router.id, receipt.via))
        cut = replace(receipt, via=passed)
        said = {"re": list(receipt.re), "failed": True, "why": refusal(why), "at": message.get("to")}
        return self._control.confirm(cut, now=now, **said)

    def gone(self, name: str, *, now: float) -> list[Effect]:
        """Tell whoever is above that `name` is not below, if that is so. They may believe that it is."""
        routes = self._router.routes
        if routes.upstream is None or routes.next_hop(name, from_above=True) is not None:
            return []
        return self._control.notice(routes.upstream, "GONE", name, now=now)

    def no_way(self, name: str, peers: Iterable[str], *, now: float) -> list[Effect]:
        """Tell `peers`, who send up to `name` in vain; each once until it probes, as it may send thousands."""
        untold = [peer for peer in peers if self.interest.tell(name, peer)]
        return [effect for peer in untold for effect in self._control.notice(peer, "GONE", name, now=now)]

    def back(self, name: str, *, now: float, kept: bool = False) -> list[Effect]:
        """Tell those who send through us to `name`, or to what is reached through it, that there is a path again.

        What they sent may be lost. With `kept`, nothing was lost; it was only late.
        """
        extra = {"kept": True} if kept else {}
        effects: list[Effect] = []
        for recipient in self.interest.recipients():
            hop = self._router.next_hop(recipient)
            if hop == name or recipient.removeprefix("_") == name.removeprefix("_"):
                for peer in self.interest.is_back(recipient):
                    effects += self._control.notice(peer, "BACK", recipient, now=now, **extra) if peer != hop else []
        return effects
