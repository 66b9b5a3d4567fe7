"""Signals: every machine answered, told what it raised, and refused and noticed strangers as it should."""

from __future__ import annotations

from sim.checks.result import many, result_of
from sim.checks.signals.answers import unanswered, unreached, unrefused, untold
from sim.checks.signals.finding import Finding
from sim.checks.signals.strangers import given_away, heard_doubles, killed, misled, unnoticed_twins, unserved
from sim.evidence.index import Index
from sim.verdict import Check

__all__ = ["check_signals", "has_signals"]


def has_signals(index: Index) -> bool:
    """Whether the signals were played. They are left out if the lab was not calm by then."""
    return any(True for _ in index.evidence.journal.of("signals"))


def check_signals(index: Index) -> Check:
    """Every machine answered each PING; what it raised on purpose was told; strangers were refused and noticed."""
    machines = [machine.id for machine in index.evidence.topology.machines] if has_signals(index) else []
    strangers = (killed, unserved, unnoticed_twins, heard_doubles, given_away, misled)
    parts = (*strangers, unanswered, untold, unreached, unrefused)
    found: list[Finding] = [finding for part in parts for finding in part(index)] if machines else []
    broke = [finding.violation for finding in found if not finding.is_doubt]
    doubts = [finding.violation for finding in found if finding.is_doubt]
    figures = "" if found else "all answered"
    return result_of("signals", many(len(machines), "machine"), len(machines), broke, unknown=doubts, figures=figures)
