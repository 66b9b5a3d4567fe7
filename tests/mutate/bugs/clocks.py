"""Bugs of clocks: offsets, how sure they are, clocks that are set, times of day, and timers that follow them."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

CLOCK = "autopilot_net/protocol/clock.py"
SYNC = "autopilot_net/protocol/clock_sync.py"

BUGS = [
    Bug(
        "clocks",
        "an offset is as if the answer had taken no time",
        file=CLOCK,
        old="there + offset - (asked_at + now) / 2, error",
        new="there + offset - now, error",
        by="pair, virtual",
    ),
    Bug(
        "clocks",
        "how sure an offset is leaves out who is above",
        file=CLOCK,
        old="        error = (now - asked_at) / 2 + uncertainty + PRECISION_S\n",
        new="        error = (now - asked_at) / 2 + PRECISION_S\n",
        by="chain, virtual",
    ),
    Bug(
        "clocks",
        "that the own clock was set is not noticed",
        file=SYNC,
        old="        self._control.epoch = epoch\n        if self._router",
        new="        self._control.epoch = self._control.epoch or epoch\n        if self._router",
        by="pair, virtual",
    ),
    Bug(
        "clocks",
        "that the terminal's clock was set is told to nobody",
        file=SYNC,
        old="        return [effect for peer in ours for effect",
        new="        return [effect for peer in ours[:0] for effect",
        by="chain, virtual",
    ),
    Bug(
        "clocks",
        "that the terminal's clock was set is not passed on",
        file=SYNC,
        old="        ours = [peer for peer in self._router.routes.below if peer in self._router.ours]\n",
        new="        ours = [*self._router.ours] if self._router.routes.upstream is None else []\n",
        by="chain, virtual",
    ),
    Bug(
        "clocks",
        "timestamps are cut to whole seconds",
        file="autopilot_net/message.py",
        old='    return f"{told}.{millionths:06d}+00:00" if millionths else f"{told}+00:00"\n',
        new='    return f"{told}+00:00"\n',
        by="pair, virtual",
    ),
    Bug(
        "clocks",
        "latencies are computed without the offset",
        file="sim/checks/clocks.py",
        old="    return handled - (sent + offset)\n",
        new="    return handled - sent\n",
        by="pair, virtual",
    ),
]
