"""What a run is made from: a topology, a seed and storms, as values that travel as JSON."""

from sim.scenario.scenario import (
    Crash,
    Example,
    Flow,
    Op,
    Opaque,
    Scenario,
    Send,
    Twice,
    load_scenario,
    save_scenario,
    twice_id,
)

__all__ = [
    "Crash",
    "Example",
    "Flow",
    "Op",
    "Opaque",
    "Scenario",
    "Send",
    "Twice",
    "load_scenario",
    "save_scenario",
    "twice_id",
]
