"""Every effect of an endpoint as a JSON line, whole after a SIGKILL. Payloads as length, digest and their first bytes.

One line: `t` (ns, CLOCK_MONOTONIC, the same clock in all processes of one machine), `at` (the endpoint's id), `life`
(its incarnation), `do` (the effect's name), and what the effect holds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from autopilot_net.protocol.effects import Effect
from autopilot_net.trace_format import facts

__all__ = ["TraceWriter"]


class TraceWriter:
    """Appends to `path`. Each call is one write, which the system completes even if the process is killed in it."""

    def __init__(self, path: str | Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._encoder = msgspec.json.Encoder()

    def write(self, at: str, life: str, effects: Iterable[Effect]) -> None:
        """Write down `effects` of the endpoint `at`, before they are carried out."""
        now = time.monotonic_ns()
        lines = [
            self._encoder.encode({"t": now, "at": at, "life": life, "do": type(effect).__name__, **facts(effect)})
            for effect in effects
        ]
        if lines:
            os.write(self._fd, b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
