"""Signals on processes: a sound lab answers all of them, and nothing of it counts as an exception of the lab."""

from __future__ import annotations

import pytest

from sim.labtest import LabUnderTest


@pytest.mark.lab("topologies/pair.yaml", duration_s=0.5, storms=0)
def test_a_sound_lab_answers_all_signals(lab: LabUnderTest) -> None:
    played = lab.play()
    assert played.held, played.broke
    assert played.check("signals").figures == "all answered"
    assert played.exceptions == []
