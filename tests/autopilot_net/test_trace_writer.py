"""The trace: every effect is a line, each line is whole, and a full disk ends the trace and not the session."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from autopilot_net.protocol.effects import PeerDown, PeerUp
from autopilot_net.trace_format import digest
from autopilot_net.trace_writer import TraceWriter
from tests.autopilot_net.posts import Lab, nothing, read
from tests.conftest import eventually
from tests.patience import DEADLINE_S


def traced(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_the_trace_holds_every_transmission_and_every_delivery_in_whole_lines(lab: Lab, tmp_path: Path) -> None:
    post = lab.post(trace=tmp_path / "T.jsonl", listens={"K": nothing})
    node = lab.node("n", post, trace=tmp_path / "n.jsonl")
    raw = lab.raw("r", post.port)
    raw.send(b"")
    eventually(lambda: {"n", "r"} <= set(post.below))
    sent = [node.send("r" if value % 2 else "T", "K", "x" * value, repeat=value % 2 == 0) for value in range(300)]
    assert sent[298].wait(DEADLINE_S)
    payloads = [payload for payload in (read(raw)[-1] for _ in range(151)) if payload]
    node.release()
    post.stop()
    at_node, at_post = traced(tmp_path / "n.jsonl"), traced(tmp_path / "T.jsonl")
    assert {line["at"] for line in at_post} == {"T"}
    assert len({line["life"] for line in at_post}) == 1
    assert all(one["t"] <= two["t"] for lines in (at_node, at_post) for one, two in itertools.pairwise(lines))
    sendings = [line for line in at_node if line["do"] == "Transmit" and line["size"]]
    up = [line for line in sendings if '"key":"CLOCK"' not in line["head"]]  # which it sends by itself
    assert len(up) == 300
    delivered = [line["id"] for line in at_post if line["do"] == "Deliver"]
    assert delivered == [message.id for message in post.handled]
    down = [line["digest"] for line in at_post if line["do"] == "Transmit" and line["peer"] == "r" and line["size"]]
    assert down == [digest(payload) for payload in payloads]
    assert [line["digest"] for line in up if line["frames"][-1] == "r"] == down  # nobody on the way changed it
    confirmed = [line["id"] for line in at_node if line["do"] == "Confirmed"]
    assert confirmed == [delivery.id for delivery in sent if delivery.sought]


def test_half_a_character_in_a_message_ends_no_traced_station(lab: Lab, tmp_path: Path) -> None:
    post = lab.post(trace=tmp_path / "T.jsonl")
    raw = lab.raw("r", post.port)
    raw.send_multipart([b"T", b"T", b'{"id": "r_1", "to": "T", "sender": "r", "key": "\\ud800"}'])
    raw.send_multipart([b"T", b"T", b'{"id": "r_2", "to": "T", "sender": "r", "key": "K"}'])
    eventually(lambda: len(post.handled) == 1)
    post.stop()
    assert [line["key"] for line in traced(tmp_path / "T.jsonl") if line["do"] == "Deliver"] == ["K"]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full elsewhere")
def test_a_full_disk_ends_the_trace_and_not_the_session(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    post = lab.post(trace=Path("/dev/full"), listens={"K": nothing})
    assert lab.node("n", post).send(key="K", repeat=True).wait(DEADLINE_S)
    assert post.counters["untraced"] > 0
    assert "the trace lacks" in caplog.text


def test_a_file_is_added_to_a_line_for_each_effect_and_none_for_no_effect(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    for life in ("a", "b"):
        writer = TraceWriter(path)
        writer.write("n", life, [PeerUp("T"), PeerDown("T")])
        writer.write("n", life, [])
        writer.close()
    lines = traced(path)
    assert [(line["at"], line["life"], line["do"], line["peer"]) for line in lines] == [
        ("n", life, do, "T") for life in "ab" for do in ("PeerUp", "PeerDown")
    ]
    assert lines[0]["t"] == lines[1]["t"] <= lines[2]["t"]


def test_a_file_that_cannot_be_written_is_an_error_where_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        TraceWriter(tmp_path)
