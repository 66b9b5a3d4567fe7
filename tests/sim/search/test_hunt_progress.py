"""The time that a hunt is given."""

from __future__ import annotations

import pytest

from sim.search.hunt_progress import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("5m", 300.0), ("1h", 3600.0), ("30", 30.0), ("1.5m", 90.0)]
    + [(text, None) for text in ("", "0s", "-5s", "5d", "five", "1e9h", "nan")],
)
def test_the_time_of_a_hunt_is_given_in_seconds_minutes_or_hours(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
