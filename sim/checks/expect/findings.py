"""Compares figures with limits, and words what came of it.

Too slow is not broken: a limit of time that failed while the CPUs of this computer were full is `unknown`, unless it
would have failed even if everything that they delayed had taken no time at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

from msgspec import Struct, field

from sim.checks.expect.traffic import Transit, rate
from sim.evidence.quantile import quantile
from sim.evidence.spans import Span, overlap
from sim.evidence.violation import Violation

__all__ = ["LimitFindings", "digits"]

LEAST_S = 1.0  # a rate that is measured over a shorter time shows nothing


class LimitFindings(Struct, kw_only=True):
    """The outcome of comparing limits with figures. A figure of None makes a limit `unknown`."""

    busy: Sequence[Span] = ()  # when the CPUs of this computer were full, without overlaps
    count: int = 0
    broke: list[Violation] = field(default_factory=list)
    unknown: list[Violation] = field(default_factory=list)

    def most(
        self,
        what: str,
        figure: float | None,
        limit: float | None,
        *,
        calm: float | None = None,
        unit: str = "",
        machine: str = "",
    ) -> None:
        """Compare a figure with an upper limit. Does nothing without a limit. `calm`: without what full CPUs cost."""
        if limit is not None and self._is_there(figure, limit, what, unit, machine) and figure > limit:
            found = _about(machine, f"{what}: {digits(figure)}{unit} > {digits(limit)}{unit}")
            self._too_slow(found, is_excused=calm is not None and calm <= limit)

    def share(
        self,
        what: str,
        transits: Sequence[Transit],
        share: float,
        limit: float | None,
        *,
        machine: str,
        slowest: Callable[[Sequence[Transit]], str],
    ) -> None:
        """Compare a quantile of the times (ms) of messages with an upper limit. `slowest` words the worst of them."""
        took = sorted(transit.ms for transit in transits)
        figure = quantile(took, share) if took else None
        if limit is None or not self._is_there(figure, limit, what, "", machine) or figure <= limit:
            return
        excused = quantile(sorted(0.0 if transit.is_busy else transit.ms for transit in transits), share)
        worst = sorted((transit for transit in transits if transit.ms > limit), key=lambda transit: -transit.ms)[:3]
        text = f"{what}: {digits(figure)} > {digits(limit)}{slowest(worst)}"
        self._too_slow(_about(machine, text, *(transit.id for transit in worst)), is_excused=excused <= limit)

    def seconds(self, what: str, span: Span | None, limit: float | None, *, note: str = "", machine: str = "") -> None:
        """Compare the length of a span of time with an upper limit in seconds."""
        took = None if span is None else (span[1] - span[0]) / 1e9
        there = limit is not None and self._is_there(took, limit, what.removesuffix(":"), " s", machine)
        if not there or limit is None or span is None or took is None or took <= limit:
            return
        text = f"{what} {digits(took)} s > {digits(limit)} s{note}"
        self._too_slow(_about(machine, text), is_excused=took - overlap(self.busy, *span) / 1e9 <= limit)

    def rate(self, what: str, came: Sequence[int], limit: float | None, *, idle: Sequence[Span], machine: str) -> None:
        """Compare the number of arrivals a second with a lower limit. The time in `idle` does not count."""
        figure = rate(came, idle)
        if limit is None or not self._is_there(figure, limit, what, "", machine) or figure >= limit:
            return
        text = f"{what}: {digits(figure)} < {digits(limit)}"
        calm = rate(came, [*idle, *self.busy], least_s=LEAST_S) if self.busy else figure
        self._too_slow(_about(machine, text), is_excused=calm is None or calm >= limit)

    def _is_there(self, figure: float | None, limit: float, what: str, unit: str, machine: str) -> TypeGuard[float]:
        """Count a limit. Whether there is a figure to compare it with; if not, the limit is `unknown`."""
        self.count += 1
        if figure is None:
            text = f"{what}: there was nothing to hold against {digits(limit)}{unit}"
            self.unknown.append(_about(machine, text))
        return figure is not None

    def _too_slow(self, found: Violation, *, is_excused: bool) -> None:
        if not (is_excused and self.busy):
            self.broke.append(found)
            return
        full_s = sum(until - since for since, until in self.busy) / 1e9
        why = f"the CPUs of this computer were full for {full_s:.1f} s of the run, so this says nothing about the lab"
        text = f"{found.text}; but {why}. Run it again where nothing else runs"
        self.unknown.append(Violation(found.check, found.machines, found.messages, text))


def _about(machine: str, text: str, *messages: str) -> Violation:
    return Violation("", (machine,) if machine else (), tuple(id for id in messages if id), text)


def digits(figure: float) -> str:
    """A figure in plain digits, at most two after the point."""
    return f"{round(figure, 2 if abs(figure) >= 0.01 else 6):,.10g}"
