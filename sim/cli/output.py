"""The streams that commands print to. What a reader cannot take must not become the exit code of the run."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any, TextIO

__all__ = ["forgiving", "forgiving_output", "spelled_out"]

_HANDLER = "sim.spelled-out"
_PLAIN = {"✓": "ok", "✗": "FAILED", "…": "...", "→": "->", "←": "<-", "±": "+-", "≤": "<=", "≥": ">="}
_PLAIN |= {"·": "-", "•": "*", "µ": "u", "─": "-", "━": "-", "│": "|", "├": "|", "└": "`"}


class _Outlet(io.FileIO):
    """A file that is open already, such as a pipe. Once it cannot be written to, what is written is dropped."""

    _gone = False

    def write(self, data: Any, /) -> int:
        if not self._gone:
            try:
                return super().write(data) or 0
            except BlockingIOError:
                return 0
            except OSError:  # `| head -1` has read enough, a disk is full, or a terminal was closed
                self._gone = True
        return len(data)


def forgiving_output() -> None:
    """Let stdout and stderr spell out what their encoding lacks, and survive the end of their reader."""
    codecs.register_error(_HANDLER, spelled_out)
    sys.stdout = forgiving(sys.stdout)
    sys.stderr = forgiving(sys.stderr)


def forgiving(stream: TextIO | None) -> TextIO:
    """The stream, or one in its place that raises neither for its encoding nor for a closed pipe."""
    if stream is None:  # it was closed before Python began
        return open(os.devnull, "w", encoding="utf-8")
    is_replaced = stream is not sys.__stdout__ and stream is not sys.__stderr__
    if is_replaced:  # such as by a test
        return stream
    stream.flush()
    raw = _Outlet(stream.fileno(), "wb", closefd=False)
    lines = stream.isatty() or stream is sys.__stderr__
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, _HANDLER, line_buffering=lines)


def spelled_out(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded: marks and lines by plain letters, and all else by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in letters), error.end
