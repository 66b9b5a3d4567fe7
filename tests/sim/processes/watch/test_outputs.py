"""The last lines of logs, and tracebacks with the lab's own frames first."""

from __future__ import annotations

import threading
import traceback
from pathlib import Path

from sim.processes.watch.outputs import output_rows, own_frames_first

LIBRARY = f'  File "{threading.__file__}", line 9, in run\n    go()\n'
OWN = '  File "/lab/box.py", line 4, in l_start\n    raise OSError("no pin 4")\n    ^^^^^^\n'
HEAD, TAIL = "Traceback (most recent call last):\n", "OSError: no pin 4\n"


def test_the_labs_own_frames_stand_first_and_the_exception_last() -> None:
    told = own_frames_first(HEAD + LIBRARY + OWN + LIBRARY + TAIL)
    assert told.startswith(HEAD + OWN)
    assert told.endswith(LIBRARY + LIBRARY + TAIL)


def test_what_has_no_frame_of_one_kind_or_is_a_chain_stays_as_it_is() -> None:
    chain = HEAD + LIBRARY + OWN + TAIL
    for trace in ("", "no traceback", HEAD + OWN + TAIL, HEAD + LIBRARY + TAIL, chain + "\nDuring …\n\n" + chain):
        assert own_frames_first(trace) == trace
    assert "test_outputs" in own_frames_first("".join(traceback.format_stack()))


def test_each_log_of_a_program_that_says_something_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "rig_1.program.log").write_text("one\ntwo\n")
    (tmp_path / "logs" / "rig_2.program.log").write_text("")
    (tmp_path / "logs" / "rig_1.station.log").write_text("a station\n")
    (row,) = output_rows(tmp_path)
    assert (row.machine, row.log, row.lines) == ("rig_1", "logs/rig_1.program.log", ["one", "two"])
