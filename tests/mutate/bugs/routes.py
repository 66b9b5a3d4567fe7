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
]
