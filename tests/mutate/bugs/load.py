"""Bugs that a lab shows under load: full pipes, full windows, and one message per round trip."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "window",
        "one message per round trip",
        file="autopilot_net/protocol/outbox_channel.py",
        old="        return not self.in_flight or (len(self.in_flight) < window.messages and",
        new="        return not self.in_flight or (len(self.in_flight) < 1 and",
        by="pair, virtual",
    ),
    Bug(
        "order",
        "what a full pipe refused goes behind what came later",
        file="autopilot_net/protocol/send_queue.py",
        old="self._returned).appendleft(effect)",
        new="self._returned).append(effect)",
    ),
    Bug(
        "window",
        "a full pipe is never tried again",
        file="autopilot_net/backpressure.py",
        old="            elif peer != upstream or not attachment.sockets.blocked:  # otherwise a poll reports it\n",
        new="            elif False:\n",
    ),
    Bug(
        "window",
        "what a full pipe refused is lost when it is tried again",
        file="autopilot_net/backpressure.py",
        old="            if result is not SendResult.YES:\n",
        new="            if result is not SendResult.YES:\n                stuck.effects.popleft()\n",
    ),
    Bug(
        "order",
        "what follows a full pipe overtakes what it refused",
        file="autopilot_net/backpressure.py",
        old="        if stuck is not None:\n            stuck.effects.append(effect)\n",
        new="        if stuck is not None and not effect:\n            stuck.effects.append(effect)\n",
    ),
]
