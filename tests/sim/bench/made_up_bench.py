"""Samples and reports of a bench that nobody ran."""

from __future__ import annotations

from sim.bench.results import BenchReport, Sample, rows_of
from sim.bench.works import BARE, OURS


def sample(work: str, side: str, number: int, value: float, **figures: float) -> Sample:
    return Sample(work, side, number, {"value": value, **figures})


def small(*values: tuple[float, float], calls: float = 100.0) -> list[Sample]:
    """The work `small` in several rounds: the values of bare pyzmq and of ours."""
    found = []
    for number, (bare, ours) in enumerate(values):
        found += [sample("small", BARE, number, bare), sample("small", OURS, number, ours, sender_us=20.0, p99_ms=5.0)]
    counted = {"value": 1.0, "sender_us": 99.0, "p99_ms": 99.0, "sender_calls": calls, "recipient_calls": 50.0}
    return [*found, Sample("small", OURS, len(values), counted, counted=True)]


def report(samples: list[Sample], *, rounds: int = 1) -> BenchReport:
    return BenchReport(
        started="2026-01-01 00:00:00",
        machine={},
        rounds=rounds,
        rows=rows_of(samples),
        samples=samples,
    )
