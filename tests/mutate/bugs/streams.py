"""Bugs of what is carried: streams, arrays, files, and the proof that data are whole."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "streams",
        "the sender's stream drops its tail",
        file="autopilot_net/protocol/streams.py",
        old="            self.ended = True\n",
        new="            self.ended = True\n            self._items.clear()\n",
        by="pair, virtual",
    ),
    Bug(
        "streams",
        "the receiver hands on two batches in the wrong order",
        file="autopilot_net/protocol/inbox.py",
        old="        arrival.deliver[:0] = flushed\n",
        new="        arrival.deliver[:0] = flushed\n"
        "        kept = self.__dict__.setdefault('kept', {})\n"
        "        if message.key == 'STREAM' and seq == 2:\n"
        "            kept[receipt.sender], arrival.deliver = arrival.deliver, []\n"
        "        elif receipt.sender in kept:\n"
        "            arrival.deliver += kept.pop(receipt.sender)\n",
        by="pair, virtual",
    ),
    Bug(
        "streams",
        "a gap is never reported",
        file="autopilot_net/protocol/intake.py",
        old="        gap = [Gap(message.sender, first - missing, missing)] if missing else []\n",
        new="        gap: list[Effect] = []\n",
    ),
]
