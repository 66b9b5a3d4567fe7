"""The checks `confirm` and `order`: messages sent twice, and the order of handling."""

from __future__ import annotations

import pytest

from sim.evidence.index import Evidence
from sim.evidence.journal import Trace
from tests.sim.checks.healthy_run import again, broke, forget, found
from tests.sim.journal_builder import Tale, checked


def test_what_a_bare_peer_sent_twice_is_handled_once(run: Evidence) -> None:
    name = "actor.T.a_0.1, which a bare peer sent to rig_1 twice,"
    again(run, "handled", id="actor.T.a_0.1")
    assert broke(run) == {"confirm": [f"{name} was handled 2 times by rig_1 in one life"]}


def test_what_a_bare_peer_sent_twice_is_handled_and_confirmed(run: Evidence) -> None:
    name = "actor.T.a_0.1, which a bare peer sent to rig_1 twice,"
    forget(run, "handled", id="actor.T.a_0.1")
    found(run, "settled", id="actor.T.a_0.1").value = "no confirmation came"
    assert broke(run) == {"confirm": [f"{name} was never handled", f"{name} was never confirmed"]}
    forget(run, "settled", id="actor.T.a_0.1")
    assert broke(run) == {"confirm": [f"{name} was never handled", f"{name} was never confirmed"]}


def test_two_messages_that_changed_places_are_named(run: Evidence) -> None:
    first, second = (found(run, "handled", id=f"rig_1.probe_{n}") for n in range(2))
    found(run, "settled", id="rig_1.probe_0").t = second.t + 1
    first.t, second.t = second.t, first.t
    found(run, "settled", id="rig_1.probe_0").t = first.t + 1
    sentence = "STORM from rig_1.probe to T.probe: rig_1.probe_0 was handled after rig_1.probe_1"
    assert broke(run) == {"order": [sentence]}


def test_a_stop_before_its_start_is_named(run: Evidence) -> None:
    start, stop = found(run, "handled", first="_T_0"), found(run, "handled", first="_T_1")
    stop.t = start.t - 1
    assert broke(run) == {"order": ["START and STOP from _T to rig_1: _T_0 was handled after _T_1"]}


@pytest.mark.parametrize("durable", [True, False])
def test_the_lives_of_a_durable_sender_are_one_order(durable: bool) -> None:
    """The message of its first life is handled after that of its second."""
    tale = Tale().struck("kill", "cam", since=21, until=25, end="restart", what="program")
    tale.at(20).made("_cam_0", "_cam", "T", "DATA")
    tale.at(26).made("_cam_1.1", "_cam", "T", "DATA", life=1)
    tale.at(27).handled("_cam_1.1", "_T", "DATA", first="_cam_1.1")
    tale.at(28).handled("_cam_0", "_T", "DATA", first="_cam_0")
    tale.at(29).settled("_cam_1.1", "_cam", key="DATA", life=1)
    late = ["DATA from _cam to T: _cam_0 was handled after _cam_1.1"]
    assert checked("order", tale, durable=durable).violations == (late if durable else [])


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_sender_gives_no_id_twice(durable: bool) -> None:
    tale = Tale()
    for life, handled in ((0, 1.0), (1, 2.0)):
        made = tale.at(handled - 0.1).made(f"_rig_1_7.{life}", "_rig_1", "T", life=life)
        tale.at(handled).handled(made.id, "T")
        tale.settled(made.id, "_rig_1", life=life)
    said = checked("confirm", tale, durable=durable).violations
    text = "_rig_1 is durable, and gave the id _rig_1_7 to a message in a former life and in a later one"
    assert said == ([text] if durable else [])


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("settled_s", [2.0, 4.6])
def test_what_was_settled_before_a_restart_is_not_sent_after_it(durable: bool, settled_s: float) -> None:
    tale = Tale().struck("kill", "rig_1", since=4, until=4.5, end="restart", what="program")
    tale.at(1).made("_rig_1_0", "_rig_1", "T")
    tale.carry("_rig_1_0", "_rig_1", "rig_1", "T")
    tale.handled("_rig_1_0", "T")
    tale.at(4.5).begin_life("_rig_1")
    tale.at(settled_s).settled("_rig_1_0", "_rig_1")
    tale.at(5).carry("_rig_1_0", "_rig_1", "rig_1", "T", sending="second")
    said = checked("confirm", tale, durable=durable).violations
    text = "_rig_1 sent _rig_1_0 to T again after a restart, though it was settled before"
    assert said == ([text] if durable and settled_s < 4.5 else []), "a repeat that waited in a full pipe is none"


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_participant_has_one_incarnation_in_all_of_its_lives(durable: bool) -> None:
    tale = Tale()
    for life in ("a", "b"):
        tale.journal.traces.append(Trace(t=1, at="_rig_1", life=life, do="PeerUp", peer="rig_1"))
    tale.message("_rig_1_0", ["_rig_1", "rig_1", "T"])
    said = checked("confirm", tale, durable=durable).violations
    assert said == (["_rig_1 is durable, and goes by 2 incarnations: a, b"] if durable else [])
