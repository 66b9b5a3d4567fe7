"""The page of a hunt: what came of it, and what it tried and never did."""

from __future__ import annotations

from pathlib import Path

from sim.coverage.kinds import Kind
from sim.coverage.table import coverage_of
from sim.coverage.tally import Tally
from sim.report.hunt_page import HuntPage, write_hunt


def test_a_quiet_hunt_says_what_it_did_not_try(tmp_path: Path) -> None:
    tally = Tally()
    tally.add({Kind("fault", "kill"), Kind("effect", "Gap")})
    page = HuntPage(title="hunt in lab", verdict="held", sentence="nothing found", coverage=coverage_of(tally))
    text = write_hunt(page, tmp_path / "new").read_text()
    assert "1 of 19" in text
    assert "DuplicateId" in text
    assert text.count('<td class="id">swizzle</td><td class="n">0</td>') == 1
    assert "What was found" not in text


def test_a_find_is_told_with_its_page_and_its_command_and_nothing_is_html(tmp_path: Path) -> None:
    page = HuntPage(
        title="hunt in <lab>",
        verdict="broke",
        sentence="lost",
        broke=["confirm: <b>lost</b>"],
        found="smallest/report.html",
        replay="python -m sim replay x.json",
    )
    text = write_hunt(page, tmp_path).read_text()
    assert "<b>lost" not in text
    assert "hunt in &lt;lab&gt;" in text
    assert 'href="smallest/report.html"' in text
    assert "python -m sim replay x.json" in text
