"""What a process has used: its calls are counted in every thread that begins later, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

from sim.bench.usage import usage
from tests import ROOT

COUNTS = """
import threading
from sim.bench.usage import count_calls, usage

def call(times):
    for _ in range(times):
        nothing()

def nothing():
    pass

count_calls()
call(0)
began = usage().calls
call(100)
thread = threading.Thread(target=call, args=(1_000,))
thread.start()
thread.join()
print(usage().calls - began)
"""


def test_the_calls_of_this_thread_and_of_later_ones_are_counted() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 1_100 <= int(done.stdout) < 1_200


def test_time_cpu_and_memory_only_grow() -> None:
    before = usage()
    kept = bytearray(30_000_000)
    after = usage()
    assert (after.t > before.t, after.cpu_s >= before.cpu_s, before.calls) == (True, True, 0)
    assert 1 < before.peak_mb <= after.peak_mb
    assert kept is not None
