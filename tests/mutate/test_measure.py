"""What counts as found, told by runs that are made up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests import ROOT
from tests.mutate import __main__ as command
from tests.mutate.bug import Bug
from tests.mutate.bugs import BUGS
from tests.mutate.measure import Bench, Measured, is_enough, runs_for, summary
from tests.mutate.runs import RUNS, Played, Run, result_of

BUG = BUGS[0]
HELD, BROKE = Played("held", 1.0), Played("broke", 1.0, "order: 2 before 1")


@pytest.fixture(autouse=True)
def small_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the tree has one file, since no run of these tests reads the others."""

    def copy(tree: Path) -> None:
        (tree / BUG.file).parent.mkdir(parents=True)
        shutil.copy(ROOT / BUG.file, tree / BUG.file)

    monkeypatch.setattr("tests.mutate.bug.copy_tree", copy)
    monkeypatch.setattr("tests.mutate.measure.copy_tree", copy)


def is_sabotaged(tree: Path) -> bool:
    return BUG.new in (tree / BUG.file).read_text()


def bench(says: dict[str, Played], sound: Played = HELD, why: str = "", budget_s: float = 60.0) -> Bench:
    """A bench on which each run says what it is told to of the bug, or else that all held."""

    def play(run: Run, tree: Path) -> Played:
        return says.get(run.name, HELD) if is_sabotaged(tree) else sound

    return Bench(budget_s=budget_s, play=play, imports=lambda _: why)


def test_the_run_that_should_find_it_is_first_and_then_the_cheapest() -> None:
    bug = Bug("routes", "one", file="a", old="b", new="c", by="lab")
    names = [run.name for run in runs_for(bug)]
    assert names[:2] == ["lab", "pair, virtual"]
    assert sorted(names) == sorted(RUNS)


def test_the_first_run_that_breaks_has_found_it() -> None:
    found = bench({"pair": BROKE, "badday": BROKE}).measure(BUG)
    assert (found.by, found.first, found.others["hunt"]) == ("pair", "order: 2 before 1", "held")
    assert found.seconds == len(found.others) + 1


@pytest.mark.parametrize("verdict", ["held", "unsettled", "interrupted", "crashed", "too long"])
def test_nothing_else_counts(verdict: str) -> None:
    missed = bench(dict.fromkeys(RUNS, Played(verdict, 1.0))).measure(BUG)
    assert (missed.by, {*missed.others.values()}) == ("", {verdict})


def test_a_copy_that_cannot_be_imported_proves_nothing() -> None:
    missed = bench(dict.fromkeys(RUNS, BROKE), why="SyntaxError: invalid syntax").measure(BUG)
    assert (missed.by, missed.others) == ("", {"import": "SyntaxError: invalid syntax"})


def test_a_bug_that_does_not_fit_the_source_any_more_is_missed_and_says_so() -> None:
    missed = bench(dict.fromkeys(RUNS, BROKE)).measure(replace(BUG, old="no such text"))
    assert missed.by == ""
    assert "this stands 0 times" in missed.others["source"]


def test_a_run_that_does_not_hold_without_a_bug_finds_none() -> None:
    bench_ = bench(dict.fromkeys(RUNS, BROKE), sound=BROKE)
    missed = bench_.measure(BUG)
    assert missed.by == ""
    assert {*missed.others.values()} == {"not tried: it does not hold without a bug"}
    assert {*bench_.sound} == {*RUNS}


def test_no_run_is_begun_when_the_time_is_up() -> None:
    missed = bench({"boxroom": BROKE}, budget_s=2.0).measure(BUG)
    assert (missed.by, missed.seconds, missed.others["boxroom"]) == ("", 2.0, "not tried: the time was up")


def test_a_run_broke_only_where_it_says_so_itself() -> None:
    assert result_of(0, '{"verdict": "held", "broke": []}', "") == ("held", "")
    assert result_of(1, '{"verdict": "broke", "broke": ["order: 2 before 1"]}', "") == ("broke", "order: 2 before 1")
    assert result_of(3, '{"verdict": "unsettled"}', "") == ("unsettled", "")
    assert result_of(1, "", "Traceback …\nKeyError: 'a'\n") == ("crashed", "KeyError: 'a'")
    assert result_of(0, '{"verdict": "broke"}', "")[0] == "crashed"
    assert result_of(None, "", "") == ("too long", "")


def test_nine_of_ten_are_enough_and_the_others_are_named() -> None:
    measured = [Measured("files", str(number), by="pair") for number in range(9)]
    one = Measured("clocks", "a clock that stands")
    assert is_enough([*measured, one])
    assert not is_enough([*measured, one, one])
    assert summary([*measured, one]) == "9 of 10 found; missed: clocks/a clock that stands"
    assert summary(measured) == "9 of 9 found"


def test_the_command_prints_a_line_for_each_and_a_clear_last_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "Bench", lambda budget_s: bench({"hunt": BROKE}, budget_s=budget_s))
    assert command.main(["--only", BUG.title]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"found   {BUG.title}")
    assert printed[-1] == "1 of 1 found"
    assert command.main(["--only", "no such"]) == 2
    assert command.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(BUGS)
