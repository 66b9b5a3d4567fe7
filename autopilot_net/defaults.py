"""The defaults of settings that more than one class takes."""

from __future__ import annotations

__all__ = ["LIVENESS_S", "LOOPBACK", "PING_INTERVAL_S", "REPEAT_INTERVAL_S", "SLOW_HANDLER_S"]

REPEAT_INTERVAL_S = 5.0  # what is not confirmed is sent again after so long
PING_INTERVAL_S = 5.0  # a pilot says so often, by itself, that it is there
LIVENESS_S = 1.0  # an upstream is probed so often
SLOW_HANDLER_S = 5.0  # a handler that takes longer is named in the log
LOOPBACK = "127.0.0.1"  # where everything listens unless it is told otherwise
