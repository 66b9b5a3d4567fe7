"""A finding is about one machine, and says whether it is a doubt."""

from __future__ import annotations

from sim.checks.signals.finding import doubt, wrong


def test_a_finding_names_its_machine() -> None:
    assert (wrong("rig_1", "it broke").violation.machines, wrong("rig_1", "it broke").is_doubt) == (("rig_1",), False)
    assert doubt("rig_1", "whether it broke").is_doubt
