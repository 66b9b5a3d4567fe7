"""Draws storms with hypothesis and plays each on a live lab, until one fails.

Runs on processes are not deterministic, so hypothesis only draws here. Its own shrinking would play on a lab that the
failure has already damaged.
"""

from __future__ import annotations

import contextlib
import os
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

Play = Callable[[int, Example], Failure | None]


def draw_storms(
    topology: Topology, play: Play, *, seed: int, count: int, home: Path | None = None
) -> Failure | None:
    """Draw `count` storms, and `play` each with its number until one fails. Returns that failure.

    `home` is the folder of hypothesis' own files, if HYPOTHESIS_STORAGE_DIRECTORY does not name one. An exception of
    `play`, such as `LabError`, ends the drawing and is raised.
    """
    if home is not None and "HYPOTHESIS_STORAGE_DIRECTORY" not in os.environ:
        set_hypothesis_home_dir(home)
    player = _Player(play, count)

    @hypothesis.seed(seed)
    @settings(
        max_examples=max(1, count),
        phases=[Phase.generate],
        database=None,  # a failure is kept as a scenario, which does not depend on the version of hypothesis
        deadline=None,  # a storm takes as long as the lab takes
        suppress_health_check=list(HealthCheck),  # playing on processes is slow, and hypothesis would complain
        verbosity=Verbosity.quiet,
    )
    @given(examples(topology))
    def storm(example: Example) -> None:
        player.play_next(example)

    with contextlib.suppress(_EndOfDrawing):
        storm()
    if player.error is not None:
        raise player.error
    return player.failure


class _EndOfDrawing(Exception):
    """Ends hypothesis' run."""


class _Player:
    """Plays at most `count` storms, and remembers what ended that: a failure or an exception."""

    def __init__(self, play: Play, count: int) -> None:
        self.failure: Failure | None = None
        self.error: Exception | None = None
        self._play = play
        self._count = count
        self._played = 0

    def play_next(self, example: Example) -> None:
        """Play one storm. Raises `_EndOfDrawing` once one has failed.

        hypothesis calls it again with the same storm after that, to see whether it is flaky. That plays nothing.
        """
        if not self._has_ended and self._played < self._count:
            self._played += 1
            try:
                self.failure = self._play(self._played - 1, example)
            except Exception as error:  # noqa: BLE001  # `draw_storms` raises it
                self.error = error
        if self._has_ended:
            raise _EndOfDrawing

    @property
    def _has_ended(self) -> bool:
        return self.failure is not None or self.error is not None
