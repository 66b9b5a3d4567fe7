"""The check `files`: what each program found on its machine, beside what the terminal has."""

from __future__ import annotations

from msgspec.structs import replace

from sim.checks.content.files import check_files
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry
from sim.verdict import Check
from tests.sim.checks.healthy_run import broke, check_of


def found(run: Evidence, by: str, n: int, content: str = "right", *, name: str = "L.wav") -> None:
    run.journal.entries.append(Entry(t=9 * 10**9, by=by, what="file", key=name, n=n, print=content))


def checked(run: Evidence) -> Check:
    return check_files(Index(run))


def test_files_that_are_the_terminals_pass(run: Evidence) -> None:
    for by in ("_T", "_rig_1", "_rig_1"):
        found(run, by, 700)
    assert broke(run) == {}
    assert check_of(run, "files").looked_at == "1 file of 1 machine"


def test_a_file_with_another_content_or_size_is_told(run: Evidence) -> None:
    found(run, "_T", 700)
    for _ in range(2):
        found(run, "_rig_1", 700, "damaged")
    found(run, "_rig_1", 70)
    same = "rig_1: its session began with a file L.wav that is not the terminal's"
    assert broke(run) == {"files": [f"{same} (700 bytes)", f"{same} (70 bytes, and the terminal's 700)"]}


def test_a_session_that_begins_without_its_file_is_told(run: Evidence) -> None:
    found(run, "_rig_1", -1, "")
    assert broke(run) == {"files": ["rig_1: its session began without the file L.wav"]}


def test_a_file_that_nobody_knows_at_the_terminal_is_not_compared(run: Evidence) -> None:
    found(run, "_rig_1", 5)
    assert broke(run) == {}


def test_a_lab_without_files_has_no_such_check(run: Evidence) -> None:
    assert checked(run).count == 0
    assert "files" not in broke(run)


def test_what_lay_on_a_rig_before_is_told(run: Evidence) -> None:
    rig = replace(run.topology.machine("rig_1"), task={"sounds": ["L.wav"]})
    run.topology = replace(run.topology, machines=(run.topology.machines[0], rig))
    found(run, "_T", 700)
    found(run, "_rig_1", 700)
    assert checked(run).figures == "rig_1 began with a damaged part of L.wav"
