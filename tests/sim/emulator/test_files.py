"""What a program finds on its machine is written down as it is there."""

from __future__ import annotations

from typing import Any

from sim.emulator.files import FileWitness


class Lines:
    """A journal in memory."""

    life = 0

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def now(self) -> int:
        return 0

    def write(self, what: str, **facts: Any) -> None:
        self.lines.append({"what": what, **facts})


def test_a_file_is_noted_with_its_size_and_its_digest() -> None:
    journal = Lines()
    FileWitness(journal, {"a": b"one", "b": b"two", "c": b"one"}.get).note(["a", "b", "c", "missing"])
    a, b, c, missing = journal.lines
    assert [line["n"] for line in journal.lines] == [3, 3, 3, -1]
    assert a["print"] == c["print"] != b["print"]
    assert missing == {"what": "file", "key": "missing", "n": -1}
