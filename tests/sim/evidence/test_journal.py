"""What was written down survives a SIGKILL of who wrote it; what a SIGKILL tore is not believed."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot_net.protocol.effects import Gap
from autopilot_net.trace_writer import TraceWriter
from sim.evidence.journal import Entry, Journal, Reader, Trace, Writer
from tests import ROOT

SIZE = 200_000  # many pages: the system looks for a SIGKILL after each, and breaks off
WRITES_FOR_EVER = f"""
SIZE = {SIZE}
import sys
from pathlib import Path
from sim.evidence.journal import Writer

writer = Writer(Path(sys.argv[1]), "_rig_1", life=3)
n = 0
while True:
    writer.write("item_made", n=n, value="x" * SIZE)
    n += 1
    print(n, flush=True)
"""


def line(n: int, *, t: int = 0) -> bytes:
    return msgspec.json.encode(Entry(t=t or n, by="_rig_1", what="item_made", n=n)) + b"\n"


def append(folder: Path, raw: bytes, *, to: str = "_rig_1.events.jsonl") -> None:
    with (folder / to).open("ab") as file:
        file.write(raw)


def ns(journal: Journal) -> list[int]:
    return [entry.n for entry in journal.entries]


def test_what_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    before = time.monotonic_ns()
    writer = Writer(tmp_path, "rig_1", life=2)
    writer.write("handled", id="T_1", key="STORM", value={"payload": [1, None, "é\n"]}, redelivered=True)
    writer.write("item_made", by="rig_1.probe", n=4)
    first, second = Reader(tmp_path).more().entries
    assert (first.by, first.life, first.what, first.id, first.redelivered) == ("rig_1", 2, "handled", "T_1", True)
    assert first.value == {"payload": [1, None, "é\n"]}
    assert (second.by, second.n) == ("rig_1.probe", 4), "a process writes for several"
    assert before <= first.t <= second.t <= time.monotonic_ns()


def test_a_next_life_writes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for life in range(2):
        Writer(tmp_path, "rig_1", life=life).write("start")
    assert [entry.life for entry in Reader(tmp_path).more().entries] == [0, 1]


def test_the_librarys_traces_are_read_too(tmp_path: Path) -> None:
    tracer = TraceWriter(tmp_path / "T.station.trace.jsonl")
    tracer.write("T", "a1", [Gap("_rig_1_camera.0", 3, 2)])
    tracer.close()
    [trace] = Reader(tmp_path).more().traces
    assert (trace.at, trace.life, trace.do) == ("T", "a1", "Gap")
    assert (trace.sender, trace.first, trace.missing) == ("_rig_1_camera.0", 3, 2)


def test_lines_of_several_processes_are_put_in_the_order_of_time(tmp_path: Path) -> None:
    append(tmp_path, line(0, t=10) + line(3, t=40))
    append(tmp_path, line(1, t=20) + line(2, t=30), to="T.events.jsonl")
    assert ns(Reader(tmp_path).more()) == [0, 1, 2, 3]


def test_a_torn_last_line_is_not_believed_and_is_read_when_it_is_whole(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    append(tmp_path, line(0) + line(1)[:-9])
    assert ns(reader.more()) == [0]
    assert ns(reader.more()) == []
    append(tmp_path, line(1)[-9:-1])
    assert ns(reader.more()) == [], "all but its end is there"
    append(tmp_path, b"\n" + line(2))
    assert ns(reader.more()) == [1, 2]
    assert ns(reader.journal) == [0, 1, 2]


@given(st.lists(st.integers(0, 400), max_size=8))
def test_however_a_file_grows_each_line_is_read_once(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    reader = Reader(folder)
    raw = b"".join(line(n) for n in range(6))
    bounds = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    seen: list[int] = []
    for start, end in pairwise(bounds):
        append(folder, raw[start:end])
        seen += ns(reader.more())
        assert seen == list(range(raw[:end].count(b"\n")))
    assert ns(reader.journal) == seen == list(range(6))


def test_a_file_that_is_new_is_read_from_its_beginning(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    assert reader.more() == Journal()
    append(tmp_path, line(0))
    assert ns(reader.more()) == [0]
    append(tmp_path, line(7), to="T.events.jsonl")
    assert ns(reader.more()) == [7]


def test_a_storms_entries_are_told_from_the_others() -> None:
    entries = [Entry(t=n, by="T", what=what, example=n - 1) for n, what in enumerate(["made", "made", "handled"])]
    journal = Journal(entries=entries)
    assert journal.example(0) == [entries[1]]
    assert list(journal.of("made", "settled")) == entries[:2]


def test_a_line_with_only_what_is_new_in_it_is_a_whole_entry(tmp_path: Path) -> None:
    """Defaults are left out on the way, so that a journal of a million items stays small."""
    Writer(tmp_path, "T").write("start")
    raw = (tmp_path / "T.events.jsonl").read_bytes()
    assert set(msgspec.json.decode(raw)) == {"t", "by", "what"}


def test_a_trace_may_tell_more_than_is_read(tmp_path: Path) -> None:
    told = {"t": 1, "at": "T", "life": "a", "do": "Transmit", "peer": "rig_1", "what a later version adds": [1]}
    append(tmp_path, msgspec.json.encode(told) + b"\n", to="T.station.trace.jsonl")
    assert Reader(tmp_path).more().traces == [Trace(t=1, at="T", life="a", do="Transmit", peer="rig_1")]


@pytest.mark.parametrize("torn", [line(1)[:-1], line(1)[:-9], line(1)[:3], line(1)[:-4] + line(2)[:20]])
def test_a_next_life_that_writes_on_behind_a_torn_line_is_read(tmp_path: Path, torn: bytes) -> None:
    append(tmp_path, line(0) + torn)
    reader = Reader(tmp_path)
    assert ns(reader.more()) == [0]
    append(tmp_path, line(7) + line(8))
    assert ns(reader.more()) == [7, 8]


def test_a_line_that_is_none_of_ours_is_not_passed_over(tmp_path: Path) -> None:
    append(tmp_path, line(0) + b"a note\n" + line(1))
    with pytest.raises(msgspec.DecodeError):
        Reader(tmp_path).more()


def test_a_process_that_is_killed_as_it_writes_leaves_every_line_before_and_its_next_life_goes_on(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITES_FOR_EVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(20)]
        process.kill()
        told += process.stdout.readlines()
    assert process.returncode == -9
    Writer(tmp_path, "_rig_1", life=4).write("start")
    *entries, last = Reader(tmp_path).more().entries
    assert [entry.n for entry in entries] == list(range(len(entries)))
    assert len(entries) >= len(told) >= 20, "what was said to be written is there"
    assert all((entry.by, entry.life, len(entry.value)) == ("_rig_1", 3, SIZE) for entry in entries)
    assert (last.what, last.life) == ("start", 4)
