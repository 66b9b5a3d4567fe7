"""The checks of a rehearsal can fail: each of these bugs, put into a copy of the tree, is found and named.

Those that show in virtual time are looked for there, where a busy machine changes nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutate.bug import copy_tree, put_into
from tests.mutate.bugs import named
from tests.patience import patient

RUN_S = 100

# The bug, by its name in tests/mutate/bugs: the lab, and the check that must find it.
SABOTAGES = {
    "the recipient's duplicate check is gone, for what is numbered": ("pair", "confirm"),
    "the recipient's duplicate check is gone, for what is not numbered": ("pair", "confirm"),
    "a forwarder deserializes": ("pair", "hops"),
    "the sender's stream drops its tail": ("pair", "streams"),
    "the receiver hands on two batches in the wrong order": ("pair", "streams"),
    "a station tells the time of a clock that nobody has set": ("pair", "clocks"),
    "a confirmation is never sent": ("pair", "confirm"),
    "a confirmation is sent before the handler ran": ("pair", "confirm"),
    "a pilot passes a child's handshake on without its way": ("chain", "handshake"),
    "a hop is popped twice": ("chain", "hops"),
    "a child's STATE overwrites its parent's": ("chain", "session"),
}


def rehearse(tree: Path, lab: str, *how: str, repeat_interval_s: float = 0.2) -> tuple[int, dict[str, object], str]:
    """Run a copy's own rehearsal, quick: the exit code, the report and what was said."""
    path = tree / "topologies" / f"{lab}.yaml"
    quick = f"\nrepeat_interval_s: {repeat_interval_s}\nstorm: {{examples: 4, load: false, shrink_s: 0}}\n"
    path.write_text(re.sub("^(storm|repeat_interval_s):", r"# \1:", path.read_text(), flags=re.MULTILINE) + quick)
    words = ["--seed", "1", "--duration", "1.5", "--json", "--no-page", *how]
    done = subprocess.run(
        [sys.executable, "-m", "sim", f"topologies/{lab}.yaml", *words],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=patient(RUN_S),
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.mark.parametrize("lab", ["pair", "chain"])
def test_a_tree_with_no_bug_in_it_holds(tmp_path: Path, lab: str) -> None:
    """Else the tests below would prove nothing."""
    copy_tree(tmp_path)
    # Patient, since on a machine that is busy otherwise six tries of 0.2 s can be used up with no bug at all.
    code, report, said = rehearse(tmp_path, lab, repeat_interval_s=2.0)
    assert (code, report.get("verdict")) == (0, "held"), (report.get("broke"), said)


@pytest.mark.parametrize("name", SABOTAGES)
def test_the_rehearsal_finds_that(tmp_path: Path, name: str) -> None:
    lab, check = SABOTAGES[name]
    bug = named(name)
    put_into(tmp_path, bug)
    code, report, said = rehearse(tmp_path, lab, *(["--virtual"] if "virtual" in bug.by else []))
    failed = [one["name"] for one in report.get("checks", []) if one["result"] == "fail"]  # type: ignore[attr-defined]
    assert (code, check in failed) == (1, True), (code, failed, report.get("broke"), said)
