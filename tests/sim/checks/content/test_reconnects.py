"""Reconnects and notices: a path that nothing was wrong with is not given up, nor is who is there called gone."""

from __future__ import annotations

from typing import Any

import pytest

from sim.checks.content.reconnects import needless_notices, needless_reconnects, unnoticed_returns
from sim.evidence.index import Index
from tests.sim.journal_builder import Tale, evidence

GAVE_UP = "rig_1 gave its connection to T up for silent, and nothing was wrong with it"
GONE = "rig_1 told cam that T is gone, and nothing was wrong with it"


def told(tale: Tale, **facts: Any) -> list[str]:
    index = Index(evidence(tale, **facts))
    return [wrong.text for wrong in (*needless_reconnects(index), *needless_notices(index))]


def reconnects(*at: float) -> Tale:
    tale = Tale()
    for second in at:
        tale.at(second).trace("Reconnect", "rig_1", peer="T")
    return tale


def gone(at: float, *, shook: float = 1.0, settled: float = 200.0) -> Tale:
    tale = Tale()
    tale.at(shook).shook("rig_1", "rig_1")
    facts = {"id": "rig_1_c1", "to": "cam", "sender": "rig_1", "key": "GONE", "value": "T"}
    tale.at(at).trace("Transmit", "rig_1", peer="cam", digest="x", **facts)
    tale.at(settled).settled("_T_1", "_T")
    return tale


def test_a_connection_that_is_given_up_for_nothing_is_told() -> None:
    assert told(reconnects(100)) == [GAVE_UP]
    assert told(gone(100)) == [GONE]


@pytest.mark.parametrize(
    ("verb", "target", "end"),
    [("cut", "rig_1", "heal"), ("pause", "T", "resume"), ("kill", "T", "restart"), ("mute", "rig_1", "mute")],
)
def test_a_fault_on_the_path_explains_it(verb: str, target: str, end: str) -> None:
    for tale in (reconnects(100), gone(100)):
        assert told(tale.struck(verb, target, since=90, until=95, end=end)) == []


def test_no_fault_explains_that_a_connection_is_given_up_at_once() -> None:
    struck = reconnects(91).struck("hold", "rig_1", since=90, until=95, end="release")
    assert told(struck) == ["rig_1 gave its connection to T up for silent, less than 2.5 s after it began"]


def test_a_fault_elsewhere_or_long_before_explains_nothing() -> None:
    for tale, text in ((reconnects(100), GAVE_UP), (gone(100), GONE)):
        tale.struck("cut", "rig_2", since=90, until=95, end="heal")
        assert told(tale.struck("cut", "rig_1", since=5, until=10, end="heal")) == [text]


def test_who_was_never_there_or_leaves_at_the_end_may_be_called_gone() -> None:
    assert told(gone(100, shook=101)) == []
    assert told(gone(100, settled=99)) == []


def test_who_comes_by_a_new_connection_was_missed_in_between() -> None:
    text = "rig_1 came to T by a new connection, and T had not missed it in between"

    def met(*others: tuple[float, str, str, str]) -> Tale:
        tale = Tale()
        for at, do, who, peer in [(50, "PeerUp", "rig_1", "T"), *others]:
            tale.at(at).trace(do, who, peer=peer)
        tale.at(100).trace("PeerUp", "T", peer="rig_2")
        return tale

    def said(tale: Tale) -> list[str]:
        return [wrong.text for wrong in unnoticed_returns(Index(evidence(tale)))]

    assert said(met()) == said(met((55, "PeerUp", "T", "rig_1"))) == [text]
    assert said(met((50.5, "PeerUp", "T", "rig_1"))) == []
    assert said(met((50.5, "PeerDown", "rig_1", "T"))) == [], "it was gone again"
    assert said(met().struck("pause", "T", since=45, until=60, end="resume")) == []


def test_how_slow_a_link_is_has_to_be_learnt() -> None:
    slow = reconnects(100, 110).struck("shape", "rig_1", since=90, until=300, end="heal")
    assert told(slow) == []
    assert told(reconnects(100, 110, 120).struck("shape", "rig_1", since=90, until=300, end="heal")) == [GAVE_UP]


def test_on_full_cpus_nobody_is_blamed() -> None:
    for tale in (reconnects(100), gone(100)):
        whole = evidence(tale)
        whole.busy = [(int(95e9), int(99e9))]
        index = Index(whole)
        assert [*needless_reconnects(index), *needless_notices(index)] == []
