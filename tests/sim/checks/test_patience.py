"""How often a message is sent before it is given up: as often as its ttl says, no more and no less."""

from __future__ import annotations

import pytest

from tests.sim.journal_builder import Tale, checked


@pytest.mark.parametrize(
    ("times", "word", "is_broken"),
    [(6, None, False), (7, None, True), (7, "cam.probe_0", False), (7, "cam.probe_1", True)],
    ids=["as often as its ttl", "more often", "its recipient has it, and is not done", "it has another"],
)
def test_nothing_is_repeated_more_often_than_its_ttl_while_there_is_no_word_of_it(
    times: int, word: str | None, is_broken: bool
) -> None:
    tale = Tale().struck("cut", "rig_1", since=19, until=90, end="heal")
    tale.at(20).made("cam.probe_0", "cam.probe", "T")
    for n in range(times):
        tale.at(20 + 5 * n).carry("cam.probe_0", "cam.probe", "cam", "rig_1", sending=str(n))
    if word is not None:
        facts = {"id": "x", "to": "cam.probe", "sender": "T", "key": "CONFIRM", "value": word}
        tale.at(33).trace("Transmit", "cam", peer="cam.probe", digest="x", **facts)
    tale.at(80).settled("cam.probe_0", "cam.probe", "no confirmation came")
    sentence = f"STORM cam.probe_0 from cam.probe to T was sent {times} times with no word of it, and its ttl is 5"
    assert checked("confirm", tale).violations == ([sentence] if is_broken else [])


@pytest.mark.parametrize("times", [5, 6])
def test_who_gives_a_message_up_has_sent_it_as_often_as_its_ttl_allows(times: int) -> None:
    tale = Tale().struck("cut", "rig_1", since=19, until=90, end="heal")
    tale.at(20).made("cam.probe_0", "cam.probe", "T")
    for n in range(times):
        tale.at(20 + 5 * n).carry("cam.probe_0", "cam.probe", "cam", "rig_1", sending=str(n))
    tale.at(80).settled("cam.probe_0", "cam.probe", "no confirmation came, and it may not be sent again")
    sentence = "STORM cam.probe_0 from cam.probe to T was given up after it was sent 5 times, and its ttl is 5"
    assert checked("confirm", tale).violations == ([sentence] if times == 5 else [])
    question = {"id": "x", "to": "T", "sender": "cam.probe", "key": "CONFIRM", "value": "cam.probe_0"}
    tale.at(70).trace("Transmit", "cam.probe", peer="cam", digest="x", **question)
    assert checked("confirm", tale).violations == [], "it asks one that may be Autopilot's own, and repeats nothing"


def test_what_goes_out_when_a_neighbour_is_met_is_no_repeat_by_the_clock() -> None:
    tale = Tale().struck("cut", "rig_1", since=19, until=90, end="heal")
    tale.at(20).made("cam.probe_0", "cam.probe", "T")
    for n in range(7):
        if n == 1:
            tale.at(25).trace("PeerUp", "cam.probe", peer="cam")
        tale.at(20 + 5 * n).carry("cam.probe_0", "cam.probe", "cam", "rig_1", sending=str(n))
    tale.at(80).settled("cam.probe_0", "cam.probe", "no confirmation came")
    assert checked("confirm", tale).violations == []
