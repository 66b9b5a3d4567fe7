"""The storm of load has more than a window of messages and of bytes, and a slow handler."""

from __future__ import annotations

from msgspec.structs import replace

from sim.lab.fault import Link
from sim.lab.topology import load
from sim.scenario import Bounds, Send
from sim.scenario.load import load_storm
from tests import ROOT

PAIR = load(ROOT / "topologies" / "pair.yaml")


def test_it_fills_a_window_of_messages_and_one_of_bytes() -> None:
    storm = load_storm(PAIR)
    assert storm is not None
    sends = [op for op in storm.ops if isinstance(op, Send)]
    assert max(op.burst for op in sends) > Bounds().window_messages
    assert max(op.burst * len(op.payload.text) for op in sends) > Bounds().window_bytes
    assert any(op.takes_ms for op in sends)


def test_it_goes_as_far_as_the_lab_reaches() -> None:
    storm = load_storm(load(ROOT / "topologies" / "chain.yaml"))
    assert storm is not None
    assert any(op.frm == "rig_5.probe" for op in storm.ops if isinstance(op, Send))


def test_it_spares_slow_links() -> None:
    slow = [replace(machine, link=Link(rate_mbit=1.0)) for machine in PAIR.machines[1:]]
    assert load_storm(replace(PAIR, machines=(PAIR.machines[0], *slow))) is None
