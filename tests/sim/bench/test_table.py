"""What a bench prints."""

from __future__ import annotations

import pytest

from sim.bench.compare import changes
from sim.bench.table import change_lines, figure, result_lines
from tests.sim.bench.made_up_bench import report, sample, small


def test_each_work_says_what_it_is_and_each_side_has_a_line() -> None:
    lines = list(result_lines(report(small((100_000.0, 50_000.0)))))
    assert [line.split() for line in lines[1:]] == [
        ["small:", "small", "messages,", "node", "to", "station", "handler"],
        ["bare", "100k/s"],
        ["ours", "50k/s", "0.5", "0.5–0.5", "≥", "0.8", "✗", "20", "100+50", "5"],  # noqa: RUF001
    ]


def test_lines_fit_into_80_columns() -> None:
    both = {"sender_us": 1234.0, "recipient_us": 1234.0, "sender_calls": 1234.0, "recipient_calls": 1234.0}
    wide = report([sample("chain 3", "bundled", 0, 1.23e9, p99_ms=1234.0, peak_mb=1234.0, **both)])
    assert max(map(len, result_lines(wide))) <= 80
    then, now = report(small((100.0, 50.0), calls=12345.0)), report(small((100.0, 50.0), calls=23456.0))
    assert max(map(len, change_lines(changes(now, then)))) <= 80


def test_what_is_worse_is_marked() -> None:
    then, now = report(small((100.0, 50.0))), report(small((100.0, 50.0), calls=200.0))
    assert [line[0] for line in change_lines(changes(now, then))] == ["✗", " ", " "]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(157_316, "/s", "157k/s"), (1.889e9, "B/s", "1.89GB/s"), (0.0435, "ms", "0.0435ms"), (0.0, "%", "0%")],
)
def test_figures_have_three_digits_and_their_unit(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text
