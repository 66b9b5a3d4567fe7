"""Signals: every machine answered, and told the terminal what it raised."""

from __future__ import annotations

from sim.checks.result import many, result_of
from sim.checks.signals.answers import Finding, unanswered, untold
from sim.evidence.index import Index
from sim.verdict import Check

__all__ = ["check_signals", "has_signals"]


def has_signals(index: Index) -> bool:
    """Whether the signals were played. They are left out if the lab was not calm by then."""
    return any(True for _ in index.evidence.journal.of("signals"))


def check_signals(index: Index) -> Check:
    """Every machine answered each PING, and what it raised on purpose reached the terminal's program."""
    machines = [machine.id for machine in index.evidence.topology.machines]
    found: list[Finding] = [*unanswered(index), *untold(index)]
    broke = [finding.violation for finding in found if not finding.is_doubt]
    doubts = [finding.violation for finding in found if finding.is_doubt]
    figures = "" if found else "all answered"
    return result_of("signals", many(len(machines), "machine"), len(machines), broke, unknown=doubts, figures=figures)
