"""Makes the steps of a find fewer, as long as they break the same promise, and takes them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.exhaustive import promises
from sim.exhaustive.canonical import key_of
from sim.exhaustive.explore import SmallFind
from sim.exhaustive.play import after, begin, fair_step
from sim.exhaustive.promises import BrokenPromiseError
from sim.exhaustive.situation import Situation, SmallStep, steps_from
from sim.exhaustive.small_labs import SmallLab

__all__ = ["again", "shorten"]

PATIENCE = 150  # steps in which nothing more goes wrong


def again(lab: SmallLab, steps: Sequence[SmallStep]) -> SmallFind | None:
    """Take these steps, without those that cannot be taken, and go on until all is settled. What breaks, if anything.

    The steps of the result are those that were taken.
    """
    taken: list[SmallStep] = []
    at, chosen = begin(lab), 0
    try:
        for step in steps:
            if step in steps_from(lab, at):
                taken.append(step)
                at = after(lab, at, step)
        chosen = len(taken)
        for step, then in _to_the_end(lab, at):
            taken.append(step)
            at = after(lab, then, step)
    except BrokenPromiseError as broken:
        shown = taken[:chosen] if broken.check == "ends" else taken  # what goes on for ever is not told to its end
        return SmallFind(broken.check, str(broken), broken.number, shown)
    return None


def _to_the_end(lab: SmallLab, at: Situation) -> Iterator[tuple[SmallStep, Situation]]:
    """The steps of a run in which nothing more goes wrong, each with the situation before it."""
    seen = set[bytes]()
    for _ in range(PATIENCE):
        if promises.is_over(lab, at):
            return
        key = key_of(at)
        if key in seen:
            break
        seen.add(key)
        step = fair_step(lab, at)
        if step is None:
            return
        yield step, at
        at = after(lab, at, step)
    raise promises.endless(at)


def shorten(lab: SmallLab, found: SmallFind) -> SmallFind:
    """The fewest steps that were found to break the same promise. The search is greedy and deterministic."""
    best = again(lab, found.steps) or found
    if best.check != found.check:
        return found
    size = max(1, len(best.steps) // 2)
    while size:
        start = 0
        while start < len(best.steps):
            fewer = again(lab, best.steps[:start] + best.steps[start + size :])
            if fewer is not None and fewer.check == best.check and len(fewer.steps) < len(best.steps):
                best = fewer
            else:
                start += size
        size //= 2
    return best
