"""What links did, told with units."""

from __future__ import annotations

import pytest

from sim.report.link_words import amount, fact_words, verb_words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (812, "812 bytes"),
        (31_264, "31.3 kB"),
        (1_051_144, "1.05 MB"),
        (2_500_000_000, "2.5 GB"),
        (2_500_000_000_000, "2,500 GB"),
    ],
)
def test_bytes_have_units(count: int, words: str) -> None:
    assert amount(count) == words


def test_the_facts_of_an_event_are_words_with_units() -> None:
    facts = {
        "fault": 1,
        "way": "both",
        "connections": 1,
        "latency_ms": 80.0,
        "jitter_ms": 0.0,
        "up": 1_051_144,
        "down": 500,
    }
    assert fact_words(facts) == "by fault no. 2 of the file, 1 connection, 80 ms later, 1.05 MB up, 500 bytes down"
    assert fact_words({"way": "up", "rate_mbit": 5.0, "jitter_ms": 3}) == "up only, at most 5 Mbit/s, ± 3 ms"
    assert fact_words({"connection": 2, "refused": 0, "connections": 3}) == "connection no. 2, 3 connections"


def test_what_has_no_words_keeps_its_name_and_its_unit() -> None:
    assert (
        fact_words({"waited_s": 2.5, "held": 1204, "who": "rig_1", "nothing": None})
        == "waited 2.5 s, held 1,204, who rig_1"
    )
    assert [fact_words(value) for value in (None, "as it is")] == ["", "as it is"]


def test_a_verb_has_the_name_of_its_fault() -> None:
    assert [verb_words(verb) for verb in ("shape", "cut", "connected")] == ["slow link", "cut", "connected"]
