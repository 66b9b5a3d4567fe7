"""Bugs of confirmed delivery: the window, the order, and for how long a sender is patient."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "order",
        "the recipient's duplicate check is gone, for what is numbered",
        file="autopilot_net/protocol/inbox.py",
        old="        if seq < channel.expected or seq in channel.done:\n",
        new="        if seq < channel.expected:\n"
        "            arrival.deliver.append(self._issue(channel, seq, message))\n"
        "            return arrival\n"
        "        if seq < channel.expected or seq in channel.done:\n",
    ),
    Bug(
        "order",
        "the recipient's duplicate check is gone, for what is not numbered",
        file="autopilot_net/protocol/inbox.py",
        old="        if known is not None:\n",
        new="        if known is not None and False:\n",
    ),
    Bug(
        "order",
        "an outbox loses order when its path comes back",
        file="autopilot_net/protocol/outbox.py",
        old="        for entry in again:\n            entry.is_resend = True\n",
        new="        numbers = [entry.seq for entry in reversed(again)]\n"
        "        for entry, entry.seq in zip(again, numbers, strict=True):\n            entry.is_resend = True\n",
    ),
    Bug(
        "patience",
        "a confirmation is never sent",
        file="autopilot_net/protocol/reliable.py",
        old="return self._store(outcome.record) + self._control.tell(outcome.receipt, verdict, why=why, now=now)",
        new="return []",
        by="pair, virtual",
    ),
    Bug(
        "patience",
        "a confirmation is sent before the handler ran",
        file="autopilot_net/protocol/reliable.py",
        old="        effects: list[Effect] = [Deliver(ticket, peer, item) for ticket, item in arrival.deliver]\n",
        new="        effects: list[Effect] = []\n"
        "        for ticket, item in arrival.deliver:\n"
        "            effects += self._control.tell(receipt_of(item), Verdict.HANDLED, now=now)\n"
        "            effects.append(Deliver(ticket, peer, item))\n",
        by="pair, virtual",
    ),
    Bug(
        "patience",
        "ttl never falls",
        file="autopilot_net/protocol/outbox.py",
        old="            entry.ttl -= 1\n",
        new="",
    ),
]
