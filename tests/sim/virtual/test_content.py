"""What arrives is judged: each bug here changes what a message carries, and a run in virtual time says so."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autopilot_net import Message
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from sim.lab.topology import load
from sim.labtest import LabUnderTest
from sim.phases import conduct, judge
from sim.scenario import Example, Flow, Scenario, Send
from sim.virtual.lab import VirtualLab
from sim.virtual.machines import MemoryFiles

LAB = """\
pilots:
  - id: rig_1
    subjects: [a, b]
    trials: {every_s: 0.5, stages: 2, bytes: 50}
    streams: {lick: {bytes: 20, rate_hz: 10}}
    children: [{id: cam, streams: {wheel: {fields: [x], rate_hz: 20}, top: {bytes: 9, rate_hz: 5, to: rig_1}}}]
session: {duration_s: 3, graduate: [{at_s: 1.5, pilot: rig_1}]}
"""


def broke(tmp_path: Path, text: str = LAB) -> dict[str, list[str]]:
    """What each check says that did not pass."""
    path = tmp_path / "small.yaml"
    path.write_text(text)
    lab = VirtualLab(load(path), seed=1)
    conducted = conduct(lab, Scenario(topology=lab.topology, seed=1))
    return {check.name: check.violations for check in judge(conducted.evidence()) if check.result != "pass"}


def test_a_lab_with_no_bug_in_it_holds(tmp_path: Path) -> None:
    assert broke(tmp_path) == {}


def changed(role: Any, method: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Message], None]) -> None:
    """Have `change` do something to a role and a message before its method does its work."""
    whole = getattr(role, method)

    def act(self: Any, message: Message) -> Any:
        change(self, message)
        return whole(self, message)

    for name, value in vars(whole).items():
        setattr(act, name, value)
    monkeypatch.setattr(role, method, act)


def test_a_subject_that_a_station_keeps_from_the_last_session_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_the_first(role: Pilot, message: Message) -> None:
        if role.subject is not None and isinstance(message.value, dict):
            message.value = {name: value for name, value in message.value.items() if name != "subject"}

    changed(Pilot, "start", monkeypatch, keep_the_first)
    found = " ".join(broke(tmp_path)["streams"])
    assert "with subject a, and not subject b" in found


def test_a_terminal_that_takes_the_sender_for_the_rig_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(role: Terminal, message: Message) -> None:
        del role
        message.value["pilot"] = message.sender

    changed(Terminal, "continuous", monkeypatch, rename)
    [sentence, *_] = broke(tmp_path)["streams"]
    assert "with pilot _rig_1_lick.0, and not pilot rig_1" in sentence


def test_a_value_that_is_altered_on_the_way_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def round_it(role: Terminal, message: Message) -> None:
        del role
        if message.value.get("trial_num") == 1:
            message.value["note"] = "y"

    changed(Terminal, "data", monkeypatch, round_it)
    found = broke(tmp_path)
    assert "arrived with another content than it was sent with" in " ".join(found["confirm"])
    assert "are not the same at rig_1 and at the terminal" in " ".join(found["session"])


FILES = """\
pilots: [{id: "rig_{n}", from: 1, to: 2, task: {sounds: [L.wav]}, streams: {lick: {bytes: 20, rate_hz: 10}}}]
files: {synthetic_kb: {L.wav: 600}}
session: {duration_s: 1}
"""


def test_a_damaged_part_of_a_file_is_fetched_again(tmp_path: Path) -> None:
    assert broke(tmp_path, FILES) == {}


def test_a_damaged_file_with_which_a_session_begins_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MemoryFiles.finish
    right = hashlib.sha256

    def finish(files: MemoryFiles, path: str, digest: str) -> bool:
        del digest
        return whole(files, path, right(files._parts[path]).hexdigest())

    monkeypatch.setattr(MemoryFiles, "finish", finish)
    sentence = "rig_1: its session began with a file L.wav that is not the terminal's (600,000 bytes)"
    assert broke(tmp_path, FILES)["files"] == [sentence]


def test_a_session_that_does_not_wait_for_its_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autopilot_net.roles.pilot.files_of", lambda _: iter(()))
    sentences = [f"{rig}: its session began without the file L.wav" for rig in ("rig_1", "rig_2")]
    assert broke(tmp_path, FILES)["files"] == sentences


def test_a_stream_has_the_name_that_the_file_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(LAB)
    lab = LabUnderTest(load(path), world="virtual", seed=1, draw=0, folder=tmp_path)
    played = lab.play()
    wheel = played.stream("cam", "wheel")
    assert wheel.received == wheel.sent == sum(played.stream("cam", "wheel", session=n).sent for n in (0, 1))
    assert wheel.sent > 50
    with pytest.raises(KeyError, match=r"there is no stream cam.wheel/0; there are cam.top, cam.wheel, rig_1.lick"):
        played.stream("cam", "wheel/0")


def test_a_stream_that_is_opened_again_with_the_numbers_of_its_former_life_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batches are taken for those that were handled before, and are confirmed and not handled."""
    flow = Flow(frm="rig_1.probe", to="T", items=6, batch=2)
    storms = tuple(Example(ops=(op,)) for op in (flow, Send(frm="T", to="cam"), flow))

    def found(number: int) -> list[str]:
        path = tmp_path / f"{number}.yaml"
        path.write_text(LAB)
        lab = VirtualLab(load(path), seed=1)
        conducted = conduct(lab, Scenario(topology=lab.topology, seed=1, examples=storms, session=False))
        return [text for check in judge(conducted.evidence()) for text in check.violations if check.result == "fail"]

    assert found(1) == []
    whole = Endpoint.__init__

    def begin(self: Endpoint, id: str, **how: Any) -> None:
        life, count = how["incarnation"].split(".")[-2:]
        del count
        whole(self, id, **{**how, "incarnation": f"{id}.{life}.1"})

    monkeypatch.setattr(Endpoint, "__init__", begin)
    assert any("6 of 6 items missing" in text for text in found(2)), found(3)
