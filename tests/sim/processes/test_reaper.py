"""The reaper kills its process group when its standard input ends."""

from __future__ import annotations

import signal
import subprocess
import sys

from sim.processes import reaper
from tests.patience import DEADLINE_S


def test_the_group_is_killed_at_end_of_file_and_not_by_ctrl_c() -> None:
    leader = subprocess.Popen([sys.executable, "-I", reaper.__file__], stdin=subprocess.PIPE, process_group=0)
    member = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], process_group=leader.pid, stdout=subprocess.DEVNULL
    )
    assert leader.stdin is not None
    leader.stdin.write(b"still here")
    leader.stdin.flush()
    assert (leader.poll(), member.poll()) == (None, None)
    leader.stdin.close()
    assert leader.wait(DEADLINE_S) == -signal.SIGKILL
    assert member.wait(DEADLINE_S) == -signal.SIGKILL
