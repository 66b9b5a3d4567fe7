"""Autopilot's test of the bandwidth, in both directions and with each of its four settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net import Message
from tests.autopilot_net.interop.autopilot_lab import Mixed
from tests.autopilot_net.interop.bandwidth import ITEMS, KEY, burst
from tests.conftest import eventually

pytestmark = pytest.mark.autopilot

COUNT = 30
SETTINGS = [dict(zip(("confirm", "blosc", "random", "preserialized"), each, strict=True))
            for each in itertools.product((False, True), repeat=4)]  # fmt: skip


@pytest.fixture(scope="module", params=["our terminal, their pilot", "their terminal, our pilot"])
def lab(request: pytest.FixtureRequest, autopilot: str) -> Iterator[Mixed]:
    """A terminal with a node that counts, and a pilot with its program, one of the two Autopilot's own."""
    mixed = Mixed(autopilot)
    top, rig = ("o", "t") if request.param.startswith("our") else ("t", "o")
    try:
        mixed.station(top, "T")
        mixed.station(rig, "rig", "T")
        if top == "o":
            at = mixed.stations["T"]
            mixed.nodes["bandwidth"] = mixed.ours.node("bandwidth", at, KEY)
            mixed.node("t", "n", "rig")
        else:
            mixed.nodes["bandwidth"] = mixed.theirs.node("bandwidth", mixed.stations["T"], KEY, "NOTE")
            mixed._introduce("bandwidth", "T", "send")
            mixed.node("o", "n", "rig")
        yield mixed
    finally:
        mixed.close()


def came(lab: Mixed) -> list[Any]:
    """The values that the node on the terminal was given so far."""
    if "bandwidth" in lab.ours.heard:
        return [message.value for message in lab.ours.heard["bandwidth"].of(KEY)]
    return [event["value"] for event in lab.nodes["bandwidth"].heard(KEY)]


def shape_of(payload: Any) -> list[int]:
    return payload["ARRAY"][1] if isinstance(payload, dict) else list(payload.shape)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: " ".join(n for n, on in one.items() if on) or "none")
def test_every_message_of_a_burst_arrives_once_whatever_the_settings(lab: Mixed, settings: dict[str, bool]) -> None:
    before = len(came(lab))
    sender = lab.nodes["n"]
    if "bandwidth" in lab.ours.heard:
        sender.tell("bandwidth", count=COUNT, **settings)
    else:
        burst(sender, Message, count=COUNT, **settings)
    eventually(lambda: len(came(lab)) >= before + COUNT + 1)
    values = came(lab)[before:]
    messages = [value for value in values if "test_end" not in value]  # theirs hands them on in no order
    assert len(messages) == len(values) - 1 == COUNT
    assert {tuple(shape_of(value["payload"])) for value in messages} == {(ITEMS,)}
    if not settings["preserialized"]:
        assert sorted(value["n_msg"] for value in messages) == list(range(COUNT))
