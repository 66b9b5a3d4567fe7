"""How long tests wait: in proportion to how busy this machine is. Only a test that fails waits to the end."""

from __future__ import annotations

import os

__all__ = ["DEADLINE_S", "patient"]

MOST = 10.0


def patient(seconds: float) -> float:
    """So many seconds of an idle machine, as seconds of this one now: more tasks than cores share the cores."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return seconds * min(MOST, max(1.0, 2 * load / cores))


DEADLINE_S = patient(20.0)  # far beyond what anything takes
