"""Storms on a live lab, drawn by hypothesis: each settled and checked, until one fails.

Process runs are not deterministic. So hypothesis only draws here: its own shrinking would run on a lab that a failure
has already bent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.configuration import set_hypothesis_home_dir

from sim.lab.topology import Topology
from sim.scenario import Example
from sim.search.strategies import examples
from sim.storms import Failure

__all__ = ["draw_storms"]


class _StormBroke(Exception):
    """Ends hypothesis' run."""


def draw_storms(
    topology: Topology,
    play: Callable[[int, Example], Failure | None],
    *,
    seed: int,
    count: int,
    home: Path | None = None,
) -> Failure | None:
    """Draw `count` storms, and `play` each with its number until one fails, which is returned.

    `home` is where hypothesis may keep its tables; without it, where it always does.
    What one raises, such as `LabError`, is raised after hypothesis has let go: it would try the same storm again.
    """
    if home is not None:
        set_hypothesis_home_dir(home)
    played = 0
    ended: list[Failure | Exception] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=max(1, count),
        phases=[Phase.generate],
        database=None,  # what is kept is kept as a scenario, which outlives a version of hypothesis
        deadline=None,  # a storm takes as long as the lab takes
        suppress_health_check=list(HealthCheck),  # real processes are slow to draw for, and that is the point
        verbosity=Verbosity.quiet,
    )
    @given(examples(topology))
    def storm(example: Example) -> None:
        nonlocal played
        if not ended and played < count:
            played += 1
            try:
                if (failure := play(played - 1, example)) is not None:
                    ended.append(failure)
            except Exception as error:  # noqa: BLE001  # it is raised below
                ended.append(error)
        if ended:
            raise _StormBroke  # also when hypothesis runs it once more to see whether it is flaky: it is not asked

    with contextlib.suppress(_StormBroke):
        storm()
    end = ended[0] if ended else None
    if isinstance(end, Exception):
        raise end
    return end
