"""Returns: who was told that there is no way up sends again as soon as there is one."""

from __future__ import annotations

from sim.checks.content.returns import late_returns
from sim.evidence.index import Index
from sim.evidence.spans import Span
from tests.sim.journal_builder import Tale, evidence

LATE = "_cam had been told that there is no way to T, and sent none of 1 message within 1 s of when there was one again"


def told(tale: Tale, busy: list[Span] | None = None) -> list[str]:
    found = evidence(tale)
    found.busy = busy or []
    return [wrong.text for wrong in late_returns(Index(found))]


def away(*, gone: bool = True, until: float = 30.0) -> Tale:
    """The link of rig_1 is cut; its child is told so, if `gone`; and the link is there again after `until`."""
    tale = Tale()
    tale.struck("cut", "rig_1", since=10, until=until - 0.5, end="heal")
    tale.at(10).trace("PeerDown", "rig_1", peer="T")
    tale.at(20).made("_cam_1", "_cam", "T")
    if gone:
        says(tale, 20.1, "GONE")
    tale.at(until).trace("PeerUp", "rig_1", peer="T")
    return tale


def says(tale: Tale, at: float, key: str) -> Tale:
    facts = {"id": f"cam_{at}", "to": "_cam", "sender": "cam", "key": key, "value": "T"}
    tale.at(at).trace("Transmit", "cam", peer="_cam", digest="x", **facts)
    return tale


def sends(tale: Tale, at: float) -> Tale:
    tale.at(at).trace("Transmit", "_cam", peer="cam", digest="y", id="_cam_1", to="T", sender="_cam", key="STORM")
    return tale


def test_who_was_told_and_sends_nothing_is_told() -> None:
    assert told(away()) == [LATE]
    assert told(sends(away(), 35)) == [LATE]


def test_who_sends_soon_is_well() -> None:
    assert told(sends(away(), 30.2)) == []


def test_what_was_settled_soon_needs_no_sending() -> None:
    tale = away()
    tale.at(30.5).settled("_cam_1", "_cam")
    assert told(tale) == []


def test_who_was_never_told_or_was_told_again_waits_for_nothing() -> None:
    assert told(away(gone=False)) == []
    tale = Tale()
    tale.at(20).made("_cam_1", "_cam", "T")
    says(tale, 20.1, "GONE")
    says(tale, 20.2, "BACK")
    tale.at(30).trace("PeerUp", "rig_1", peer="T")
    assert told(tale) == []


def test_a_path_that_is_still_interrupted_elsewhere_is_not_there_again() -> None:
    tale = Tale()
    tale.at(9).trace("PeerDown", "cam", peer="rig_1")
    tale.at(10).trace("PeerDown", "rig_1", peer="T")
    tale.at(20).made("_cam_1", "_cam", "T")
    says(tale, 20.1, "GONE")
    tale.at(30).trace("PeerUp", "rig_1", peer="T")
    assert told(tale) == []


def test_nor_is_one_with_a_mute_connection_on_it() -> None:
    tale = away()
    assert told(tale.struck("mute", "cam", since=15, until=15, end="mute")) == []
    tale.at(16).trace("PeerUp", "cam", peer="rig_1")
    assert told(tale) == [LATE], "it has another one"


def test_what_died_with_its_sender_is_not_waited_for() -> None:
    tale = Tale()
    tale.at(10).trace("PeerDown", "rig_1", peer="T")
    tale.at(20).made("_cam_1", "_cam", "T")
    says(tale, 20.1, "GONE")
    tale.struck("kill", "cam", since=25, until=28, end="restart")
    tale.at(30).trace("PeerUp", "rig_1", peer="T")
    assert told(tale) == []


def test_another_outage_or_full_cpus_may_hold_it_up() -> None:
    assert told(away().struck("hold", "cam", since=29, until=33, end="release")) == []
    assert told(away(), busy=[(29 * 10**9, 40 * 10**9)]) == []
