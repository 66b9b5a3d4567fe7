"""The I/O thread: it sleeps while there is nothing to do, and nothing that comes or is raised ends it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from autopilot_net.core import Core
from tests.autopilot_net.posts import Lab, nothing, one
from tests.conftest import eventually
from tests.patience import DEADLINE_S

# -- the bell, and idling ----------------------------------------------------------------------------------------------


def cpu(*cores: Core) -> float:
    """The seconds that the threads of these have used; where the system does not tell, those of the process."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time()
    threads = [ident for core in cores for ident in (core.driver.io_thread.ident, core.driver.handlers.ident)]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in threads if ident)


class Turns:
    """Counts how often I/O threads go round."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        turn = core.driver.io._turn

        def counted(ready: Any) -> None:
            self.count += 1
            turn(ready)

        monkeypatch.setattr(core.driver.io, "_turn", counted)


def test_an_idle_lab_with_an_open_stream_sleeps(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    post = lab.post(listens={"STREAM": nothing})
    node = lab.node("n", post)
    stream = node.get_stream("lick", "ITEM")
    stream.append(1)
    assert stream.wait(DEADLINE_S)
    cores = (post.core, node._core)
    for core in cores:
        turns.watch(core, monkeypatch)
    used = cpu(*cores)
    threading.Event().wait(1.0)  # not for anything: this is the second that is looked at
    assert 1 <= turns.count <= 16  # the node and its stream each ask the station for a sign of life once a second
    assert cpu(*cores) - used < 0.01 * len(cores)


def test_with_nobody_to_probe_the_io_thread_does_not_wake_at_all(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    post = lab.post(listens={"K": nothing})
    with lab.raw("r", post.port) as raw:
        raw.send_multipart([b"T", b"T", one("K")])
        eventually(lambda: post.handled)
    eventually(lambda: not post.below)
    turns.watch(post.core, monkeypatch)
    threading.Event().wait(0.3)
    assert turns.count <= 1


# -- what does not break the thread ------------------------------------------------------------------------------------


def test_a_message_that_breaks_the_core_is_told_and_the_next_is_handled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post = lab.post(listens={"K": nothing})
    raw = lab.raw("r", post.port)
    raw.send(b"")
    eventually(lambda: post.below)
    with monkeypatch.context() as patched:
        patched.setattr(post.core.endpoint, "receive", lambda *_, **__: 1 / 0)
        raw.send(b"boom")
        eventually(lambda: "while handling a message from r" in caplog.text)  # it is counted just before
    assert post.counters["broken"] == 1
    raw.send_multipart([b"T", b"T", one("K")])
    eventually(lambda: post.handled)


def test_what_is_no_message_is_dropped_and_counted(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    raw = lab.raw("r", post.port)
    for junk in ([b"junk"], [b"T", b"\xff", b"{}"], [b"T", b"T", b"[" * 10_000], [b"T", b"T", b"{}"], [b"", b"x"]):
        raw.send_multipart(junk)
    raw.send_multipart([b"T", b"T", one("K")])
    eventually(lambda: post.handled)
    assert [message.key for message in post.handled] == ["K"]
    eventually(lambda: post.counters["dropped"] == 5)
    assert post.counters["broken"] == 0
