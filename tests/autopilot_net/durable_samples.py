"""Durable files with something in them, and some that are none, for the tests of both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from autopilot_net.durable import Durable
from autopilot_net.protocol.durable_records import Handled, Kept
from autopilot_net.protocol.effects import Store


def kept_one(seq: int, *, to: str = "T", body: bytes = b'{"id":"n_1"') -> Store:
    return Store(Kept(to, seq, f"n_{seq}", (), body, 5))


def filled(path: Path, count: int = 50) -> Path:
    """A file of the node `n`, closed in good order."""
    durable = Durable(path, "n")
    durable.load("n", "life")
    durable.put("n", [kept_one(seq, body=os.urandom(100)) for seq in range(1, count + 1)])
    durable.put("n", [Store(Handled("T", "n", "x", seq, 1, waits=("n_1",))) for seq in range(1, count + 1)])
    durable.flush()
    next(durable.numbers())
    durable.close()
    return path


def state(path: Path) -> tuple[Any, ...]:
    """All that `n` finds in the file."""
    durable = Durable(path, "n")
    try:
        return durable.load("n", "another"), durable.waiting(), next(durable.numbers())
    finally:
        durable.close()


def text_file(path: Path) -> None:
    path.write_text("subject,trial,rt\n" * 100)
