"""A reason is one line of text that any log and any store can take, whatever a peer has said."""

from typing import Any

import pytest

from autopilot_net.protocol.reasons import WHY_CHARACTERS, Refusal, refusal


@pytest.mark.parametrize("said", [None, 5, b"no", ["no"], "", "  \n"])
def test_what_is_no_text_is_no_reason(said: Any) -> None:
    assert refusal(said) is None


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("no  such\n trial\t", "no such trial"),
        ("half \ud800 a character", "half ? a character"),
        ("a\x07bell", "a?bell"),
        ("Größe", "Größe"),
    ],
    ids=ascii,
)
def test_a_reason_is_one_line_that_can_be_written_down(said: str, line: str) -> None:
    reason = refusal(said)
    assert reason == line
    assert isinstance(reason, Refusal)


def test_a_long_reason_is_cut_and_says_so() -> None:
    assert refusal("x" * WHY_CHARACTERS) == "x" * WHY_CHARACTERS
    assert refusal("x" * (WHY_CHARACTERS + 1)) == "x" * (WHY_CHARACTERS - 1) + "…"
