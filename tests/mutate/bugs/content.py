"""Bugs of what a message says: whose it is, what it holds, and for how long it may take."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "streams",
        "a station keeps the subject of the first session",
        file="autopilot_net/roles/pilot.py",
        old='        if isinstance(value.get("subject"), str):\n',
        new='        if self.subject is None and isinstance(value.get("subject"), str):\n',
        by="lab, virtual",
    ),
    Bug(
        "streams",
        "a child's item is passed on under the child's name",
        file="autopilot_net/roles/pilot.py",
        old='"continuous": True, "pilot": self.host.id}\n',
        new='"continuous": True, "pilot": value.get("pilot")}\n',
        by="lab, virtual",
    ),
    Bug(
        "streams",
        "an item that goes alone does not say whose it is",
        file="autopilot_net/stream.py",
        old="            return Message(**common, key=self.key, value=items[0], **self._options.headers)\n",
        new="            return Message(**common, key=self.key, value=items[0])\n",
        by="lab, virtual",
    ),
    Bug(
        "streams",
        "every batch is handled twice",
        file="autopilot_net/batches.py",
        old='    for number, item in enumerate(value["payload"]):\n',
        new='    for number, item in enumerate(value["payload"] * 2):\n',
        by="pair, virtual",
    ),
    Bug(
        "streams",
        "the last item of a full batch is lost",
        file="autopilot_net/batches.py",
        old='    for number, item in enumerate(value["payload"]):\n',
        new='    for number, item in enumerate(value["payload"][:4]):\n',
        by="pair, virtual",
    ),
    Bug(
        "files",
        "a damaged part stays where it is",
        file="autopilot_net/files.py",
        old="                    part.unlink()\n",
        new="",
        by="lab",
    ),
    Bug(
        "files",
        "a part is written behind its place",
        file="autopilot_net/files.py",
        old="                file.seek(offset)\n                file.write(data)\n",
        new="                file.seek(offset and offset + 1)\n                file.write(data)\n",
        by="lab",
    ),
    Bug(
        "patience",
        "a message with a time of its own is never given up",
        file="autopilot_net/protocol/outbox.py",
        old="            heapq.heappush(self._bounded, (expires_at, entry.message.id))\n",
        new="            entry.until = None\n",
    ),
    Bug(
        "patience",
        "a message with a time of its own is given up at once",
        file="autopilot_net/protocol/outbox.py",
        old="            heapq.heappush(self._bounded, (expires_at, entry.message.id))\n",
        new="            entry.until = expires_at - 5.0\n"
        "            heapq.heappush(self._bounded, (expires_at - 5.0, entry.message.id))\n",
    ),
    Bug(
        "incarnations",
        "what is opened again counts on under the name of its former life",
        file="autopilot_net/core.py",
        old="        incarnation = os.urandom(6).hex()\n",
        new="        incarnation = id.encode().hex()[-12:]\n",
        by="pair",
    ),
]
