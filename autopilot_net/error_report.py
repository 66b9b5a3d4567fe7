"""The value of an ERROR message, by which the terminal's program is told what went wrong on any machine."""

from __future__ import annotations

__all__ = ["ERROR", "error_report"]

ERROR = "ERROR"  # the key


def error_report(machine: str, error: BaseException | str, trace: str = "") -> dict[str, str]:
    """What an ERROR says of `machine`: the exception (or a sentence), and its traceback as text, if there is one."""
    said = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return {"machine": machine, "exception": said, "traceback": trace}
