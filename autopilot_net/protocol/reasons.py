"""Why a recipient did not handle a message: one line of text, made safe where it enters."""

from __future__ import annotations

from typing import Any

__all__ = ["WHY_CHARACTERS", "Refusal", "refusal"]

WHY_CHARACTERS = 200


class Refusal(str):
    """The reason of a message that its recipient refused. Any other reason arose on the way."""

    __slots__ = ()


def refusal(text: Any) -> Refusal | None:
    """`text` as a reason of one line that any log and any store can take; None for no text."""
    if not isinstance(text, str):
        return None
    line = " ".join(text.split()).encode(errors="replace").decode()
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    cut = line if len(line) <= WHY_CHARACTERS else line[: WHY_CHARACTERS - 1] + "…"
    return Refusal(cut) if cut else None
