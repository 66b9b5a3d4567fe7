"""Runs and judges one scenario, in virtual time or on processes, and says in sentences what it broke."""

from __future__ import annotations

import traceback
from pathlib import Path

from msgspec.structs import replace

from sim.coverage.tally import Tally
from sim.evidence.violation import Violation
from sim.lab.fault import VERBS, verb_of
from sim.phases import Conducted, conduct, judge
from sim.scenario import Scenario

__all__ = ["broken", "only_virtual", "run_on_processes", "run_virtually"]


def run_virtually(scenario: Scenario, tally: Tally | None = None) -> list[Violation]:
    """What a scenario broke in virtual time. What it went through is added to `tally`, if it is given.

    The check is `unsettled` for what did not settle, and `raised` for an exception of the library.
    """
    from sim.virtual.lab import VirtualLab

    try:
        lab = VirtualLab(scenario.topology, seed=scenario.seed, bounds=scenario.bounds)
        return broken(conduct(lab, scenario), tally)
    except Exception as error:  # noqa: BLE001  # any exception of the library is a find
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__} in {Path(last.filename).name}, {last.name}: {error}"
        return [Violation("raised", (), (), text)]


def run_on_processes(scenario: Scenario, folder: Path) -> list[Violation]:
    """What a scenario broke on real processes, which takes as long as the session and its storms."""
    from sim.processes.lab import Lab
    from sim.processes.start_up import preload

    preload()
    folder.mkdir(parents=True)
    with Lab(scenario.topology, seed=scenario.seed, folder=folder) as lab:
        return broken(conduct(lab, scenario))


def broken(conducted: Conducted, tally: Tally | None = None) -> list[Violation]:
    """What the failed checks of a run say, then what did not settle."""
    if conducted.fell:
        return [Violation("up", (), (), conducted.fell)]
    checks = judge(conducted.evidence())
    if tally is not None:
        tally.note(conducted, checks)
    # What did not settle is told once: in virtual time it is a find, also where a run on processes could not tell.
    broke = [violation for check in checks if check.name != "settled" for violation in check.broke]
    open_still = [replace(doubt, text=f"it is not known {doubt.text}") for doubt in conducted.unsettled]
    return [*broke, *open_still]


def only_virtual(scenario: Scenario) -> list[str]:
    """The verbs of a scenario's faults that only virtual time has."""
    return sorted({verb for verb in map(verb_of, scenario.topology.faults) if VERBS[verb].is_of_messages})
