"""Bugs of routes: hops, forwarding, and who is behind whom."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "routes",
        "a forwarder deserializes",
        file="autopilot_net/protocol/endpoint.py",
        old="        return effects + self._forward(packet, peer, now)\n",
        new="        packet = Packet(packet.hops, packet.recipient, Message(packet.payload).serialize())\n"
        "        return effects + self._forward(packet, peer, now)\n",
        by="pair, virtual",
    ),
    Bug(
        "routes",
        "a pilot passes a child's handshake on without its way",
        file="autopilot_net/roles/pilot.py",
        old="        way = [self.host.id, *way]\n",
        new="        way = [self.host.id] if not way else None\n",
        by="chain, virtual",
    ),
    Bug(
        "routes",
        "a hop is popped twice",
        file="autopilot_net/protocol/frames.py",
        old="    while names[:1] == [me]:\n        del names[0]\n",
        new="    if names[:1] == [me]:\n        del names[:2]\n",
        by="chain, virtual",
    ),
    Bug(
        "routes",
        "a repeat forgets its hops",
        file="autopilot_net/protocol/reliable.py",
        old="                effects += self._router.send(to, entry.hops, entry.wire(), Traffic.PROMISE)\n",
        new="                hops = () if entry.is_resend else entry.hops\n"
        "                effects += self._router.send(to, hops, entry.wire(), Traffic.PROMISE)\n",
    ),
    Bug(
        "routes",
        "a route survives its neighbour's death",
        file="autopilot_net/protocol/routes.py",
        old="        was_below = self.below.pop(peer, peer) is None\n",
        new="        was_below = peer in self.below\n",
    ),
    Bug(
        "routes",
        "what came from above goes back up",
        file="autopilot_net/protocol/routes.py",
        old="        return None if from_above else self.upstream\n",
        new="        return self.upstream\n",
    ),
    Bug(
        "routes",
        "what a station says to its program goes up while that is away",
        file="autopilot_net/protocol/router.py",
        old="        return self.routes.next_hop(name, from_above=from_above or own)\n",
        new="        return self.routes.next_hop(name, from_above=from_above)\n",
    ),
    Bug(
        "routes",
        "a confirmation takes the stations in the order in which the message did",
        file="autopilot_net/protocol/control.py",
        old="        back = self._router.from_here(tuple(reversed(receipt.via)))\n",
        new="        back = self._router.from_here(receipt.via)\n",
        by="chain, virtual",
    ),
    Bug(
        "routes",
        "nobody is told that there is a path again",
        file="autopilot_net/protocol/reachability.py",
        old="now=now, **extra) if peer != hop else []\n",
        new="now=now, **extra) if peer == hop else []\n",
    ),
    Bug(
        "routes",
        "a path that is up again is not opened",
        file="autopilot_net/protocol/paths.py",
        old="        return [*self._reliable.reopen(name, now=now), *self._reachability.back(name, now=now)]\n",
        new="        return self._reachability.back(name, now=now)\n",
    ),
]
