"""What a run is made from: a topology, a seed and storms, as values that can be saved as JSON.

A `Scenario` has storms (`Example`). A storm has operations (`Op`): `Send`, `Flow`, `Twice`, `Opaque` and `Crash`.
`sim.labtest.LabUnderTest.replay` plays a scenario, and so does `python -m sim replay FILE`.
"""

from sim.scenario.scenario import (
    Bounds,
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
    "Bounds",
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
