"""Files, at the terminal: what it answers to a question, and to one that cannot be served."""

from __future__ import annotations

import base64

import pytest

from autopilot_net.errors import FileRefused
from autopilot_net.roles.file_server import MAX_PART
from tests.autopilot_net.roles.lone_roles import keys, serving


def test_a_part_of_a_file_comes_with_the_size_and_the_digest_of_the_whole() -> None:
    (answer,) = serving(tone=b"0123456789").answers("rig_1", "FILE", {"path": "tone", "offset": 4, "length": 3})
    assert (answer.to, answer.key, answer.repeat) == ("rig_1", "FILE", True)
    assert base64.b64decode(answer.value["data"]) == b"456"
    assert (answer.value["path"], answer.value["offset"], answer.value["size"]) == ("tone", 4, 10)
    assert len(answer.value["digest"]) == 64


def test_no_part_is_larger_than_what_a_slow_link_bears() -> None:
    wanted = {"path": "tone", "offset": 0, "length": 1 << 40}
    (answer,) = serving(tone=bytes(MAX_PART + 1)).answers("rig_1", "FILE", wanted)
    assert len(base64.b64decode(answer.value["data"])) == MAX_PART


def test_a_plain_name_gets_the_whole_file_in_autopilots_form() -> None:
    (answer,) = serving(tone=b"0123").answers("rig_1", "FILE", "tone")
    assert answer.value == {"path": "tone", "file": base64.b64encode(b"0123").decode()}


def test_a_program_that_asks_is_answered_through_its_station() -> None:
    assert keys(serving(tone=b"").answers("_rig_1", "FILE", "tone")) == [("rig_1", "FILE")]


def test_the_program_of_the_terminal_is_told_where_its_files_are() -> None:
    with pytest.raises(FileRefused, match="T sends files to other machines"):
        serving(tone=b"").answers("_T", "FILE", "tone")


@pytest.mark.parametrize(
    "wanted",
    [
        *("/etc/passwd", "../tone", "silence", None, 7, [], {}),
        {"path": "/etc/passwd", "offset": 0, "length": 1},
        {"path": "silence", "offset": 0, "length": 1},
        {"path": "tone", "offset": -1, "length": 1},
        {"path": "tone", "offset": float("inf"), "length": 1},
        {"path": "tone", "offset": float("nan"), "length": 1},
        {"path": "tone", "offset": "first", "length": 1},
        {"path": "tone", "offset": True, "length": 1},
        {"path": "tone", "offset": 1.0, "length": 1},
        {"path": "tone", "offset": 0, "length": True},
        {"path": "tone", "offset": 0, "length": -1},
        {"path": "tone"},
    ],
)
def test_what_cannot_be_served_is_refused_in_an_answer_not_in_silence(wanted: object) -> None:
    (answer,) = serving(tone=b"0123").answers("rig_1", "FILE", wanted)
    assert (answer.to, answer.key, set(answer.value)) == ("rig_1", "FILE", {"path", "error"})
