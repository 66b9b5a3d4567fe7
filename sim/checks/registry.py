"""All checks, in the order in which they are reported. A new check is a module and a row here.

A check tells what it looked at, and how many. Its result is `unknown`, which is no pass, if it could not decide
something or looked at nothing. A check that does not apply to a run is not part of the run's verdict.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sim.checks.clocks import check_clocks
from sim.checks.content.files import check_files
from sim.checks.delivery import check_confirm, check_order
from sim.checks.expect.limits import check_expect
from sim.checks.handshake import check_handshake
from sim.checks.hops import check_hops
from sim.checks.load.flow import check_flow
from sim.checks.load.resources import check_resources, has_resources
from sim.checks.processes import check_processes
from sim.checks.recovery import check_recovery, check_whole, has_healing
from sim.checks.result import folded
from sim.checks.session import check_session, check_trials
from sim.checks.settled import check_settled, is_unsettled
from sim.checks.signals.judged import check_signals, has_signals
from sim.checks.streams import check_streams, has_streams
from sim.evidence.index import Evidence, Index
from sim.evidence.violation import Violation
from sim.scenario import Opaque, Send
from sim.verdict import Check

__all__ = ["CHECKS", "check_all", "check_storm"]


def _always(_: Index) -> bool:
    return True


def _never(_: Index) -> bool:
    return False


class Row(Struct, frozen=True):
    """A check, and the runs to which it applies."""

    check: Callable[[Index], Check]
    applies: Callable[[Index], bool] = _always
    to_storm: Callable[[Index], bool] = _never  # whether it applies to a single storm
    if_empty: Callable[[Index], bool] = _always  # whether it is reported if it looked at nothing
    called: str = ""  # the name of the check, if its function has another

    @property
    def name(self) -> str:
        """The name of the check, which its results have."""
        return self.called or str(getattr(self.check, "__name__", "")).removeprefix("check_")


def _has_trials(index: Index) -> bool:
    machines = index.evidence.topology.machines
    return index.evidence.session and any(m.trials is not None and m.program is None for m in machines)


def _has_session(index: Index) -> bool:
    return index.evidence.session


def _has_storm_messages(index: Index) -> bool:
    """False if all storms were streams."""
    storms = [example.ops for example in index.evidence.examples.values()]
    return any(not ops or any(isinstance(op, Send | Opaque) for op in ops) for ops in storms)


def _has_streams(index: Index) -> bool:
    return has_streams(index.evidence)


def _has_items(index: Index) -> bool:
    return any(True for _ in index.evidence.journal.of("item_made"))


def _has_faults(index: Index) -> bool:
    return has_healing(index) and bool(index.outages)


CHECKS = (
    Row(check_processes, called="programs"),
    Row(check_handshake),
    Row(check_trials, _has_trials),
    Row(check_session, _has_session),
    Row(check_files, _has_session, if_empty=_never),
    Row(check_clocks, _has_session),
    Row(check_hops, _has_storm_messages, to_storm=_always),
    Row(check_confirm, to_storm=_always),
    Row(check_order, to_storm=_always, if_empty=_has_session),
    Row(check_flow, to_storm=_always, if_empty=_never),
    Row(check_streams, _has_streams, to_storm=_has_items),
    Row(check_recovery, _has_faults),
    Row(check_whole, has_healing),
    Row(check_signals, has_signals),
    Row(check_resources, has_resources),
    Row(check_expect, if_empty=_never),
    Row(check_settled, is_unsettled),
)


def check_all(evidence: Evidence) -> list[Check]:
    """The checks that apply to a complete run."""
    index = Index(evidence)
    checks = [(row, row.check(index)) for row in CHECKS if row.applies(index)]
    return folded([check for row, check in checks if check.count or row.if_empty(index)])


def check_storm(evidence: Evidence) -> list[Violation]:
    """The violations of one storm. `evidence` must hold that storm only."""
    index = Index(evidence)
    checks = [row.check(index) for row in CHECKS if row.to_storm(index)]
    return [violation for check in checks for violation in check.broke]
