"""Bugs of a session: states, clocks, errors, who may order what, and what a lab's own programs do wrong."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "states",
        "a child's STATE overwrites its parent's",
        file="autopilot_net/roles/pilot.py",
        old="        if message.sender == self.program:\n            self.state = message.value\n",
        new="        if message.sender:\n            self.state = message.value\n",
        by="chain, virtual",
    ),
    Bug(
        "clocks",
        "a station tells the time of a clock that nobody has set",
        file="autopilot_net/protocol/clock_sync.py",
        old="        told = [self._control.epoch + now, ",
        new="        told = [now, ",
        by="pair, virtual",
    ),
]
