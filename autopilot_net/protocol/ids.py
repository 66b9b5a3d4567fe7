"""What an id is. Ids are checked where they enter, and nowhere behind that."""

from __future__ import annotations

from unicodedata import category

from autopilot_net.protocol.identity import ID_BYTES

__all__ = ["DERIVED_BYTES", "SHAPE", "why_no_id"]

DERIVED_BYTES = 200  # of what is made from ids, as `_rig_1`, `P_rig_1` or a stream's; zmq takes an identity of 255
SHAPE = f"an id is text of 1 to {ID_BYTES} bytes in UTF-8, without control characters"


def why_no_id(id: object, *, bound: int = ID_BYTES) -> str | None:
    """Why `id` is no id of at most `bound` bytes, as the end of a sentence; None if it is one."""
    if not isinstance(id, str):
        return f"it is of type {type(id).__name__}, and no text"
    if 0 < len(id) <= bound and id.isascii() and id.isprintable():
        return None  # nearly all of them
    if not id:
        return "it is empty"
    if any(category(letter) == "Cs" for letter in id):
        return "it holds half a character, which UTF-8 cannot carry"
    if any(category(letter) == "Cc" for letter in id):
        return "it holds a control character"
    size = len(id.encode())
    return f"it has {size} bytes, and {bound} are the most" if size > bound else None
