"""Clocks: the offsets that machines report are right. All processes of a rehearsal share one clock, so each is 0."""

from __future__ import annotations

from collections import defaultdict

from sim.checks.result import about_machine, excused, many, result_of
from sim.evidence.index import Index
from sim.verdict import Check, ClockRow

__all__ = ["check_clocks", "clock_rows"]


def check_clocks(index: Index) -> Check:
    """Every machine reported the offset of the terminal's clock, and 0 is within the uncertainty of each report."""
    reports = _reports(index)
    machines = [machine.id for machine in index.evidence.topology.machines[1:]]
    broke = [
        about_machine(
            machine,
            f"{machine} took its clock to be {1e3 * offset:.2f} ms ± {1e3 * uncertainty:.2f} ms from the terminal's, "
            "and here it is the same clock",
        )
        for machine in machines
        for offset, uncertainty in reports[machine]
        if abs(offset) > uncertainty
    ]
    idle = [id for id in machines if not reports[id]]
    text = "how far the clock of {} is from the terminal's: it never said"
    explained, silent = excused(index, [about_machine(id, text.format(id)) for id in idle])
    widest = max((row.uncertainty_ms for row in clock_rows(index) if row.uncertainty_ms is not None), default=0.0)
    count = len(machines) - len(silent)
    figures = f"± {widest:.2f} ms at most"
    return result_of(
        "clocks", many(count, "machine"), count, broke, unknown=silent, explained=explained, figures=figures
    )


def clock_rows(index: Index) -> list[ClockRow]:
    """A row for each machine but the terminal: what it reported last."""
    reports = _reports(index)
    rows = []
    for machine in index.evidence.topology.machines[1:]:
        row = ClockRow(machine=machine.id, told=len(reports[machine.id]))
        if reports[machine.id]:
            offset, uncertainty = reports[machine.id][-1]
            row.offset_ms, row.uncertainty_ms = round(1e3 * offset, 4), round(1e3 * uncertainty, 4)
        rows.append(row)
    return rows


def _reports(index: Index) -> dict[str, list[tuple[float, float]]]:
    """By machine: offset and uncertainty of each report, in seconds."""
    reports: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for entry in index.evidence.journal.of("clock"):
        reports[str(entry.value["machine"])].append((entry.value["offset"], entry.value["uncertainty"]))
    return reports
