"""How a process ended, in words, and the last lines of its log."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sim.processes.watch.deaths import death_facts, last_lines, log_of, words_of


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (3, "exit code 3"),
        (0, "exit code 0"),
        (70, "exit code 70, since a thread of the library had ended"),
        (-signal.SIGSEGV, "SIGSEGV"),
        (-signal.SIGKILL, "SIGKILL, which the rehearsal did not send"),
        (-200, "signal 200"),
        (None, "it closed its connection to the rehearsal, and runs on"),
    ],
)
def test_an_exit_code_in_words(exit_code: int | None, words: str) -> None:
    assert words_of(exit_code) == words


def test_the_log_is_named_and_its_end_is_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / log_of("_rig_1")
    path.write_bytes(b"line\n" * 5_000 + b"a" * 1_000 + b"\n\nlast \xff\n")
    facts = death_facts(tmp_path, "_rig_1", 3)
    assert (facts["how"], facts["log"]) == ("exit code 3", "logs/rig_1.program.log")
    *_, long, last = facts["tail"]
    assert (len(facts["tail"]), long, last) == (20, "a" * 400, "last \N{REPLACEMENT CHARACTER}")
    assert log_of("T") == "logs/T.station.log"
    assert last_lines(tmp_path / "nothing.log") == []
