"""The outages of a tale, for the tests of this room."""

from __future__ import annotations

from sim.evidence.outages import Outages
from tests.sim.journal_builder import Tale, small_lab


def outages(tale: Tale) -> Outages:
    tale.journal.entries.sort(key=lambda entry: entry.t)
    return Outages(tale.journal.entries, small_lab())


def words(tale: Tale) -> list[str]:
    return list(dict.fromkeys(outage.words for outage in outages(tale).all))
