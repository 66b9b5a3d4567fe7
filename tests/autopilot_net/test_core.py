"""The core of a node or a station: numbers of its own, who may send what, and files that are opened together."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from autopilot_net import AutopilotNetError, DurableRefused, Message
from autopilot_net.core import timestamp, wall_time
from autopilot_net.node import Net_Node
from tests.autopilot_net.posts import Lab, nothing
from tests.conftest import eventually
from tests.patience import DEADLINE_S


def test_each_message_has_an_id_of_its_own(lab: Lab) -> None:
    core = lab.post().core
    assert [core.prepare("n", "K", None, flags=()).id for _ in range(3)] == ["T_0", "T_1", "T_2"]


def test_what_names_another_sender_is_sent_unconfirmed_and_that_is_said_once(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    post = lab.post()
    node = lab.node("n", post, {"K": nothing})
    eventually(lambda: post.below)
    for number in range(2):
        passed = Message(id=f"a_{number}", to="n", sender="a", key="K")
        assert not post.core.send(passed, repeat=True).sought
        assert passed.flags == {}  # the listen that passes it on may use it further
    assert len([line for line in caplog.messages if "names a as its sender" in line]) == 1
    eventually(lambda: node.msgs_received == 2)


def test_nothing_is_asked_of_a_core_in_another_process(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    core = lab.post().core
    assert core.is_here
    with monkeypatch.context() as patched:
        patched.setattr(core, "_pid", core._pid + 1)
        assert not core.is_here
        for ask in (core.refuse_fork, lambda: core.prepare("n", "K", None, flags=())):
            with pytest.raises(AutopilotNetError, match=r"T lives in process .* a fork of that"):
                ask()


def test_a_confirmation_is_handed_on_to_the_programs_own_listen(lab: Lab) -> None:
    post = lab.post()
    lab.node("n", post, {"K": nothing})
    eventually(lambda: post.below)
    sent = post.send("n", "K")
    post.core.pass_confirmation_on(sent)
    assert sent.wait(DEADLINE_S)
    eventually(lambda: post.values("CONFIRM") == [sent.id])


def test_how_firmly_a_file_is_kept_is_not_said_where_there_is_none() -> None:
    with pytest.raises(DurableRefused, match="name the file too, by durable="):
        Net_Node("n", "nobody", 1, sync="full")


def test_where_the_durable_file_is_refused_the_trace_is_closed(tmp_path: Path, no_thread_stays: None) -> None:
    (tmp_path / "n.db").write_text("subject,trial\n")
    with pytest.raises(DurableRefused):
        Net_Node("n", "nobody", 1, trace=tmp_path / "n.jsonl", durable=tmp_path / "n.db")


def test_what_a_former_life_had_yet_to_deliver_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        with Net_Node("n", "nobody", 1, durable=tmp_path / "n.db") as node:
            node.send("nobody", "K", repeat=True)
    assert "n: 1 messages that a former life had yet to deliver go out now" in caplog.text


def test_a_time_of_this_process_is_told_as_the_wall_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    monkeypatch.setattr("time.monotonic", lambda: 50.0)
    assert wall_time(49.0) == 999_999.0
    assert timestamp(50.0) == "1970-01-12T13:46:40+00:00"
