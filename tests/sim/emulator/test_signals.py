"""Signals: what is sent to each machine, and how an exception on purpose is told from any other."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net import Message
from sim.emulator.sender import Sender
from sim.emulator.session import SendMessage
from sim.emulator.signals import ITEMS, NOBODY, PARTS, RAISE, OnPurposeError, part_told, raise_on_purpose, signals
from tests.sim.emulator.made_up_lab import Journal, lab


def test_each_machine_is_pinged_twice_and_then_raises_in_its_station_and_in_its_program() -> None:
    chains = signals(lab())
    assert [chain.to for chain in chains if isinstance(chain, SendMessage)] == ["T", "rig_1", "rig_2", "rig_3"]
    first = chains[0]
    assert isinstance(first, SendMessage)
    [second] = first.then
    assert isinstance(second, SendMessage)
    assert (first.key, second.key) == ("PING", "PING")
    *raises, refused, batch = second.then
    assert refused == SendMessage("T", NOBODY)
    assert isinstance(batch, SendMessage)
    assert raises == [SendMessage("T", RAISE, {"part": part}) for part in PARTS]
    assert (batch.key, batch.value["inner_key"], batch.value["payload"]) == ("STREAM", RAISE, ITEMS)


@pytest.mark.parametrize("part", PARTS)
def test_what_raises_on_purpose_journals_it_and_is_known_by_its_text(part: str) -> None:
    journal = Journal()
    listen = raise_on_purpose(Sender(journal, lambda *_: None), "_rig_1", part)
    with pytest.raises(OnPurposeError) as raised:
        listen(Message(id="_T_1", to="_rig_1", sender="rig_1", key=RAISE, value=None))
    assert [(what, facts["by"]) for what, facts in journal.lines] == [("raising", "_rig_1")]
    assert part_told({"exception": f"OnPurposeError: {raised.value}"}) == part


@pytest.mark.parametrize("error", [None, "text", {}, {"exception": "OSError: encoder unplugged"}])
def test_any_other_error_is_none_on_purpose(error: Any) -> None:
    assert part_told(error) == ""
