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
        "a sender is not told of some confirmations, and waits for ever",
        file="autopilot_net/protocol/reliable.py",
        old="        effects.append(Expired(about, to, failed) if failed else Confirmed(about, to))\n",
        new='        if failed or not about.partition(".")[0].endswith("7"):\n'
        "            effects.append(Expired(about, to, failed) if failed else Confirmed(about, to))\n",
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
    Bug(
        "order",
        "what was held is handed on as it came, once nothing before it will come",
        file="autopilot_net/protocol/inbox.py",
        old="        for seq in sorted(seq for seq in channel.held if seq < low):\n",
        new="        for seq in [seq for seq in channel.held if seq < low]:\n",
    ),
    Bug(
        "order",
        "after a message that has expired nothing is handed on",
        file="autopilot_net/protocol/inbox.py",
        old="        channel.expected = max(channel.expected, low)\n",
        new="",
    ),
    Bug(
        "order",
        "each message says that nothing before it will come again",
        file="autopilot_net/protocol/outbox_channel.py",
        old="low=self.channel.low(), again=self.is_resend)\n",
        new="low=self.seq, again=self.is_resend)\n",
    ),
    Bug(
        "order",
        "a listen is concurrent unless it says that it is not",
        file="autopilot_net/participant.py",
        old='        return bool(getattr(self.listens.get(message.key), "concurrent", False))\n',
        new='        return bool(getattr(self.listens.get(message.key), "concurrent", True))\n',
        by="pair",
    ),
    Bug(
        "window",
        "a window counts messages, and no bytes",
        file="autopilot_net/protocol/outbox_channel.py",
        old="(len(self.in_flight) < window.messages and self.size < window.size_bytes)\n",
        new="(len(self.in_flight) < window.messages)\n",
    ),
    Bug(
        "window",
        "the bytes of what is confirmed stay in the window",
        file="autopilot_net/protocol/outbox.py",
        old="        if channel.in_flight.pop(entry.seq, None):\n            channel.size -= entry.size\n",
        new="        if channel.in_flight.pop(entry.seq, None):\n            pass\n",
    ),
    Bug(
        "window",
        "the bytes of what was sent go on waiting",
        file="autopilot_net/protocol/outbox.py",
        old="            channel.waiting_size -= entry.size\n            entry.sent_at = now\n",
        new="            entry.sent_at = now\n",
        by="pair",
    ),
    Bug(
        "window",
        "nothing follows when the window has room again",
        file="autopilot_net/protocol/outbox.py",
        old="            channel.waiting_size -= entry.size\n        return self._fill(channel, now)\n",
        new="            channel.waiting_size -= entry.size\n        return []\n",
    ),
    Bug(
        "window",
        "a message larger than the window is never sent",
        file="autopilot_net/protocol/outbox_channel.py",
        old="        return not self.in_flight or (len(self.in_flight) < window.messages and",
        new="        size = self.size + sum(entry.size for entry in list(self.waiting)[:1])\n"
        "        return size <= window.size_bytes and (len(self.in_flight) < window.messages and",
    ),
    Bug(
        "patience",
        "what is received, and yet to be handled, loses patience all the same",
        file="autopilot_net/protocol/outbox.py",
        old="            entry.ttl = entry.patience\n",
        new="            pass\n",
    ),
    Bug(
        "patience",
        "patience is spent where there is no path",
        file="autopilot_net/protocol/outbox.py",
        old="            elif channel.open:\n",
        new="            else:\n",
    ),
    Bug(
        "patience",
        "what waits in a full pipe is repeated",
        file="autopilot_net/protocol/outbox.py",
        old="            if channel.open and is_stuck(channel.target):\n",
        new="            if not channel.open and is_stuck(channel.target):\n",
    ),
    Bug(
        "patience",
        "a relay is confirmed though what it passed on has expired",
        file="autopilot_net/protocol/reliable.py",
        old="                effects += self._conclude(ticket, has_failed, now)\n",
        new="                effects += self._conclude(ticket, why or None, now)\n",
    ),
    Bug(
        "patience",
        "a time limit is forgotten once a message is sent",
        file="autopilot_net/protocol/outbox.py",
        old="            if entry and entry.until == until:  # else another message of that id, sent since\n",
        new="            if entry and entry in entry.channel.waiting:\n",
    ),
    Bug(
        "patience",
        "a relay does not wait for what it has passed on",
        file="autopilot_net/protocol/reliable.py",
        old="        waits = [message_id for message_id in relays if message_id in self.outbox]\n        why = ",
        new="        waits = [message_id for message_id in relays if message_id not in self.outbox]\n        why = ",
    ),
]
