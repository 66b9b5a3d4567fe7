"""A packed station answers as its endpoint does, and stays as it was."""

from __future__ import annotations

from autopilot_net.protocol.effects import PeerUp, Transmit
from sim.exhaustive.stations import ask, connected, has_neighbour, send, started


def test_a_station_answers_with_what_it_is_then_and_stays_as_it_was() -> None:
    rig = started(b"", "rig", "T", 1, durable=False)
    assert rig.incarnation == "rig#1"
    met = ask(rig.packed, "meet", "T", now=5.0)
    assert PeerUp("T") in met.effects
    assert has_neighbour(met.packed, "T")
    assert not has_neighbour(rig.packed, "T")
    sent = send(met.packed, "m1", "T", 3, now=5.0)
    assert [type(effect) for effect in sent.effects] == [Transmit]
    assert sent.due == 6.0


def test_a_durable_station_sends_in_its_next_life_what_was_not_confirmed() -> None:
    rig = started(b"", "rig", "T", 1, durable=True)
    sent = send(ask(rig.packed, "meet", "T", now=5.0).packed, "m1", "T", 3, now=5.0)
    again = started(sent.packed, "rig", "T", 2, durable=True)
    assert again.incarnation == rig.incarnation
    told = [
        effect.frames[-1] for effect in ask(again.packed, "meet", "T", now=6.0).effects if isinstance(effect, Transmit)
    ]
    assert any(b'"m1"' in frame and b'"again":true' in frame for frame in told)


def test_a_neighbour_below_is_known_once_it_has_sent_something() -> None:
    terminal = started(b"", "T", None, 1, durable=False)
    came = connected(terminal.packed, "rig", took_over=False)
    heard = ask(came.packed, "receive", "rig", (b"",), now=5.0)
    assert has_neighbour(heard.packed, "rig")
