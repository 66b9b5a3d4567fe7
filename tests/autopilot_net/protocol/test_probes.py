"""The state in a probe: what was written is read, and whatever else stands there counts as none."""

from typing import Any

import msgspec
import pytest

from autopilot_net.protocol.probes import NUMBER_MAX, PROBE, STATE_BYTES, ProbeState, read_state


@pytest.mark.parametrize(
    "state",
    [
        ProbeState("rig_1", "a"),
        ProbeState("rig_1", "a", number=3, re=2, connection="1", read=9, closed={"": 4}, above=("T",)),
        ProbeState("rig_1", "a", number=NUMBER_MAX - 1),
    ],
)
def test_a_state_is_read_as_it_was_written(state: ProbeState) -> None:
    frames = state.frames()
    assert frames[-1:] == PROBE
    assert read_state(frames) == state


def written(**fields: Any) -> bytes:
    return msgspec.json.encode({"id": "rig_1", "life": "a", **fields})


@pytest.mark.parametrize(
    "frames",
    [
        (),
        PROBE,
        (b"a", b"", b""),
        (b"{}", b""),
        (b"\xff", b""),
        (b"[" * 10_000, b""),
        (written(number=-1), b""),
        (written(number=NUMBER_MAX), b""),
        (written(read=-1), b""),
        (written(re="1"), b""),
        (written(closed={"1": -1}), b""),
        (written(connection="x" * STATE_BYTES), b""),
    ],
    ids=lambda frames: repr(frames)[:40],
)
def test_what_cannot_be_believed_is_no_state(frames: tuple[bytes, ...]) -> None:
    assert read_state(frames) is None
