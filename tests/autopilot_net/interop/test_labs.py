"""A lab that moves one machine at a time: our terminal with a rig of theirs, and their terminal with a rig of ours."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autopilot_net import Net_Node
from tests.autopilot_net.interop.autopilot_lab import Mixed, Their
from tests.conftest import eventually, held_port
from tests.harness import Heard, Lab, shake_hands
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.autopilot

SOUND = b"a sound " * 100
TASK = {"task_type": "Nafc", "subject": "m1"}
WITH_SOUND = {**TASK, "stim": {"sounds": {"L": [{"type": "File", "path": "l.wav"}]}}}


@dataclass
class OurTerminal:
    """Our terminal and its program; the program of a rig of theirs."""

    terminal: Net_Node
    heard: Heard
    rig: Their
    sounds: Path


@dataclass
class TheirTerminal:
    """The program of a terminal of theirs; the program of a rig of ours, and of a child below it."""

    terminal: Their
    rig: Net_Node
    heard: Heard
    station: Their
    ours: Lab
    kept: Path


@pytest.fixture
def ours(autopilot: str, tmp_path: Path) -> Iterator[OurTerminal]:
    """Our terminal, with which a rig of theirs has shaken hands."""
    served, kept = tmp_path / "served", tmp_path / "kept"
    served.mkdir()
    kept.mkdir()
    (served / "l.wav").write_bytes(SOUND)
    lab = Mixed(autopilot)
    try:
        with held_port() as port:
            station = lab.ours.terminal(file_dir=served)
            terminal = lab.ours.node("_T", station, "HANDSHAKE", "STATE", "DATA")
            prefs = {"NAME": "rig", "MSGPORT": port, "PUSHPORT": station.port, "TERMINALIP": "localhost"}
            prefs |= {"LINEAGE": "NONE", "SOUNDDIR": str(kept)}
            rig = lab.theirs.node(
                "_rig", lab.theirs.make("rig", "Pilot_Station", at=port, prefs=prefs), "START", "STOP", "CONFIRM"
            )
            hands = {"pilot": "rig", "ip": "", "state": "IDLE", "prefs": {}}
            rig.tell("send", to="T", key="HANDSHAKE", value=hands)
            assert lab.ours.heard["_T"].until("HANDSHAKE").value == hands
            rig.tell("send", to="rig", key="STATE", value="IDLE")
            lab.ours.heard["_T"].until("STATE", lambda m: bool(m.value == {"state": "IDLE", "pilot": "rig"}))
            yield OurTerminal(terminal, lab.ours.heard["_T"], rig, kept)
    finally:
        lab.close()


@pytest.fixture
def theirs(autopilot: str, tmp_path: Path) -> Iterator[TheirTerminal]:
    """A terminal of theirs, with which a rig of ours has shaken hands."""
    served, kept = tmp_path / "served", tmp_path / "kept"
    served.mkdir()
    (served / "l.wav").write_bytes(SOUND)
    lab = Mixed(autopilot)
    try:
        with held_port() as port:
            prefs = {"MSGPORT": port, "SOUNDDIR": str(served)}
            station = lab.theirs.make("T", "Terminal_Station", at=port, prefs=prefs, pilots={})
            terminal = lab.theirs.node("_T", station, "HANDSHAKE", "STATE", "DATA", "CONFIRM")
            terminal.tell("send", to="T", key="INIT", value=None)
            own = lab.ours.pilot("rig", station, file_dir=kept / "rig", file_timeout=1.0)
            rig = lab.ours.node("_rig", own, "START", "STOP", repeat_interval=0.1)
            shake_hands(rig, "rig")
            child = lab.ours.pilot("cam", own, file_dir=kept / "cam", file_timeout=1.0)
            lab.ours.node("_cam", child, "START", "STOP")
            terminal.until("HANDSHAKE", lambda value: "prefs" in value)
            yield TheirTerminal(terminal, rig, lab.ours.heard["_rig"], station, lab.ours, kept)
    finally:
        lab.close()


# -- our terminal ------------------------------------------------------------------------------------------------------


def test_our_terminal_starts_and_stops_a_rig_of_theirs(ours: OurTerminal) -> None:
    assert ours.terminal.send("rig", "START", TASK, repeat=True).wait(DEADLINE_S)
    assert ours.rig.until("START") == TASK
    assert ours.terminal.send("T", "STOPALL", repeat=True).wait(DEADLINE_S)
    ours.rig.until("STOP")
    assert (len(ours.rig.heard("START")), len(ours.rig.heard("STOP"))) == (1, 1)


def test_a_trial_of_a_rig_of_theirs_is_confirmed(ours: OurTerminal) -> None:
    ours.rig.tell("send", to="T", key="DATA", value={"pilot": "rig", "trial_num": 1}, repeat=True)
    assert ours.heard.until("DATA").value == {"pilot": "rig", "trial_num": 1}
    ours.rig.until("CONFIRM", lambda id: id.startswith("_rig_"))
    assert len(ours.heard.of("DATA")) == 1


def test_our_terminal_serves_a_file_to_a_rig_of_theirs(ours: OurTerminal) -> None:
    ours.terminal.send("rig", "START", WITH_SOUND, repeat=True)
    assert ours.rig.until("START") == WITH_SOUND
    assert (ours.sounds / "l.wav").read_bytes() == SOUND


def test_a_rig_of_theirs_answers_a_ping(ours: OurTerminal) -> None:
    before = len(ours.heard.of("STATE"))
    ours.terminal.send("T", "INIT", repeat=True).wait(DEADLINE_S)
    eventually(lambda: len(ours.heard.of("STATE")) > before)


# -- their terminal ----------------------------------------------------------------------------------------------------


def test_their_terminal_starts_and_stops_a_rig_of_ours(theirs: TheirTerminal) -> None:
    theirs.rig.send("rig", "STATE", "IDLE", repeat=True).wait(DEADLINE_S)
    theirs.terminal.until("STATE", lambda value: bool(value == {"state": "IDLE", "pilot": "rig"}))
    theirs.terminal.tell("send", to="rig", key="START", value=TASK, repeat=True)
    assert theirs.heard.until("START").value == TASK
    theirs.terminal.until("CONFIRM", lambda id: id.startswith("_T_"))
    theirs.terminal.tell("send", to="T", key="STOPALL", value=None)
    theirs.heard.until("STOP")
    assert (len(theirs.heard.of("START")), len(theirs.heard.of("STOP"))) == (1, 1)


def test_a_trial_of_our_rig_reaches_their_terminal(theirs: TheirTerminal) -> None:
    sent = theirs.rig.send("T", "DATA", {"pilot": "rig", "trial_num": 1})
    theirs.terminal.until("DATA")
    assert not sent.sought


def test_their_terminal_cannot_confirm_a_trial_of_our_rig_and_handles_it_once(theirs: TheirTerminal) -> None:
    """It answers `_rig`, and none of its neighbours has that name."""
    sent = theirs.rig.send("T", "DATA", {"pilot": "rig", "trial_num": 1}, repeat=True)
    eventually(lambda: sent.expired)
    assert "no confirmation came" in sent.reason
    theirs.rig.send("T", "DATA", {"pilot": "rig", "trial_num": 2})
    theirs.terminal.until("DATA", lambda value: bool(value["trial_num"] == 2))
    assert [event["value"]["trial_num"] for event in theirs.terminal.heard("DATA")] == [1, 2]


@pytest.mark.parametrize("rig", ["rig", "cam"])
def test_their_terminal_is_asked_for_a_file_by_its_path_and_what_it_sends_is_taken(
    theirs: TheirTerminal, rig: str
) -> None:
    """That of 0.5.1 reads the file, and cannot send it: it puts bytes into JSON. Labs that mended it send text."""
    if rig == "cam":  # it lies behind ours, of which theirs does not know
        theirs.ours.nodes["_rig"].send("cam", "START", WITH_SOUND, repeat=True)
    else:
        theirs.terminal.tell("send", to="rig", key="START", value=WITH_SOUND, repeat=True)
    theirs.station.until("FILE", lambda value: bool(value == "l.wav"))
    sound = {"path": "l.wav", "file": base64.b64encode(SOUND).decode()}
    theirs.station.tell("send", to=["rig", "cam"] if rig == "cam" else rig, key="FILE", value=sound)
    assert theirs.ours.heard["_" + rig].until("START").value == WITH_SOUND
    assert (theirs.kept / rig / "l.wav").read_bytes() == SOUND


def test_a_file_that_their_terminal_does_not_send_holds_up_its_start_and_nothing_else(theirs: TheirTerminal) -> None:
    for n in range(2):
        theirs.terminal.tell("send", to="rig", key="START", value=WITH_SOUND, repeat=True)
        theirs.terminal.tell("send", to="rig", key="STOP", value=n)
        theirs.heard.until("STOP", times=n + 1)
    theirs.terminal.tell("send", to="rig", key="START", value=WITH_SOUND, repeat=True)
    theirs.terminal.tell("send", to="rig", key="START", value=TASK, repeat=True)
    assert theirs.heard.until("START").value == TASK
    assert len(theirs.heard.of("START")) == 1
