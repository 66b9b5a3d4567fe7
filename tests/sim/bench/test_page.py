"""The page of a bench: it opens without a network, and has the same figures as the terminal."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sim.bench.page import write_page
from sim.bench.results import BenchReport
from tests.patience import patient
from tests.sim.bench.made_up_bench import report, sample, small

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
FLAGS = "--headless --no-sandbox --disable-gpu --virtual-time-budget=5000 --enable-logging=stderr --dump-dom"


def measured() -> BenchReport:
    return report([*small((100_000.0, 50_000.0), (100_000.0, 60_000.0)), sample("trial", "ours", 0, 2_000.0)], rounds=2)


def test_the_page_has_all_figures_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    write_page(measured(), tmp_path / "bench.html")
    page = (tmp_path / "bench.html").read_text()
    for text in ("small: small messages, node to station handler", "55k/s", "0.55", "≥ 0.8 ✗", "≥ 20k/s ✗", "2 rounds"):
        assert text in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert '<script src=' not in page


def test_a_bench_without_a_bare_side_has_no_chart(tmp_path: Path) -> None:
    write_page(report([sample("trial", "ours", 0, 2_000.0)]), tmp_path / "bench.html")
    page = (tmp_path / "bench.html").read_text()
    assert "Ratio to bare" not in page
    assert "Bokeh" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, to see that the page draws")
def test_a_browser_draws_the_chart(tmp_path: Path) -> None:
    write_page(measured(), tmp_path / "bench.html")
    page = (tmp_path / "bench.html").as_uri()
    command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={tmp_path / 'chromium'}", page]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=patient(60), check=True)
    assert "bk-Figure" in shown.stdout
    said = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in said if "refused" in line.lower() or "error" in line.lower()], said
