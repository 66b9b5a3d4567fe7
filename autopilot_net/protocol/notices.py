"""Who is told that there is no way to somebody (GONE), and that there is one again (BACK). No route is learnt here.

A sender that knows spends no patience on what cannot arrive, and sends at once what may have been lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from msgspec.structs import replace

from autopilot_net.message import Message
from autopilot_net.protocol.askers import Askers
from autopilot_net.protocol.effects import Dropped, Effect
from autopilot_net.protocol.frames import Packet
from autopilot_net.protocol.inbox import receipt_of
from autopilot_net.protocol.post import UNKNOWN, Post
from autopilot_net.protocol.reasons import refusal
from autopilot_net.protocol.voice import Voice

__all__ = ["Notices"]


class Notices:
    """What one endpoint tells its neighbours of the ways through it."""

    def __init__(self, post: Post, voice: Voice) -> None:
        self.askers = Askers()
        self._post = post
        self._voice = voice

    def passed_on(self, packet: Packet, peer: str, effects: list[Effect], *, now: float) -> list[Effect]:
        """`packet`, which came from `peer`, was passed on with these `effects`: what is to be said of it."""
        if peer == self._post.routes.upstream:
            is_unknown = any(isinstance(effect, Dropped) and effect.reason == UNKNOWN for effect in effects)
            return self.gone(packet.target, now=now) if is_unknown else []
        return self.no_way(packet.recipient, [peer], now=now) if self._post.is_cut_off(packet) else []

    def wrong_turn(self, packet: Packet, why: str, *, now: float) -> list[Effect]:
        """Tell whoever sent `packet` that its hops lead nowhere, if it waits to be told; nothing where it does not.

        Were it sent on, it would be repeated until its patience is spent, and what follows it would wait as long.
        """
        try:
            message = Message(packet.payload)
            receipt = receipt_of(message)
        except (AttributeError, ValueError):  # of a message without sender or id, whoever would read it says so
            return []
        if receipt.re is None or "NOREPEAT" in message.flags:
            return []
        passed = tuple(itertools.takewhile(lambda name: name != self._post.id, receipt.via))
        cut = replace(receipt, via=passed)
        said = {"re": list(receipt.re), "failed": True, "why": refusal(why), "at": message.get("to")}
        return self._voice.confirm(cut, now=now, **said)

    def gone(self, name: str, *, now: float) -> list[Effect]:
        """Tell whoever is above that `name` is not below, as long as it is not: they all believe the same."""
        routes = self._post.routes
        if routes.upstream is None or routes.next_hop(name, from_above=True) is not None:
            return []
        return self._voice.notice(routes.upstream, "GONE", name, now=now)

    def no_way(self, name: str, peers: Iterable[str], *, now: float) -> list[Effect]:
        """Tell those who send up to `name` in vain; each once until it probes, for it may send thousands."""
        untold = [peer for peer in peers if self.askers.tell(name, peer)]
        return [effect for peer in untold for effect in self._voice.notice(peer, "GONE", name, now=now)]

    def back(self, name: str, *, now: float, kept: bool = False) -> list[Effect]:
        """Tell those who send by way of us to `name`, or to what is reached by it: what they sent may be lost.

        `kept`: nothing is; it was late.
        """
        extra = {"kept": True} if kept else {}
        effects: list[Effect] = []
        for recipient in self.askers.recipients():
            hop = self._post.next_hop(recipient)
            if hop == name or recipient.removeprefix("_") == name.removeprefix("_"):
                for peer in self.askers.is_back(recipient):
                    effects += self._voice.notice(peer, "BACK", recipient, now=now, **extra) if peer != hop else []
        return effects
