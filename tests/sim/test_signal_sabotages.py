"""A station that breaks what a signal asks of it is found by a rehearsal, which says so.

Each bug is put into a copy of the tree, and `pair` is played there: in virtual time, where the bug shows in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.patience import patient

RUN_S = 60

# name: (the check, what it says, the file, what stands there, what the bug makes of it)
SIGNAL_SABOTAGES = {
    "a pilot answers no PING": (
        "signals",
        "rig_1 answered 0 of 2 PINGs",
        "autopilot_net/roles/pilot.py",
        "        del message\n        self._tell_state()\n",
        "        del message\n",
    ),
    "the terminal answers no PING": (
        "signals",
        "T answered 0 of 2 PINGs",
        "autopilot_net/roles/terminal.py",
        '        self.host.send(message.sender, "STATE", None, repeat=False, flags=["NOLOG"])\n',
        "        del message\n",
    ),
    "a pilot keeps an ERROR to itself": (
        "signals",
        "the program of rig_1 raised, and the ERROR never reached the program of T",
        "autopilot_net/roles/pilot.py",
        "        return self.relay(message, self.parent)\n\n    def may_kill",
        "        return None\n\n    def may_kill",
    ),
    "the terminal keeps an ERROR to itself": (
        "signals",
        "the station of rig_1 raised, and the ERROR never reached the program of T",
        "autopilot_net/roles/terminal.py",
        '    @key("ERROR", "COHERE", listen="l_to_program")\n',
        '    @key("ERROR")\n    def keep(self, message: Message) -> None:\n        """Keep it."""\n\n'
        '    @key("COHERE", listen="l_to_program")\n',
    ),
    "a KILL is obeyed from whoever says it": (
        "signals",
        "the station of T obeyed a KILL from a stranger",
        "autopilot_net/roles/host.py",
        "        return bool(message.sender == message.came_from == self.program)\n",
        "        return True\n",
    ),
    "a KILL is obeyed from whoever says that he is the terminal": (
        "signals",
        "the station of rig_1 obeyed a KILL from a stranger",
        "autopilot_net/roles/pilot.py",
        "        return is_above and bool(message.came_from == self.parent)\n",
        "        return is_above\n",
    ),
    "a twin is not told": (
        "signals",
        "two machines of one id took turns at T, and the program of T was not told",
        "autopilot_net/protocol/duplicate_ids.py",
        "        if pair in seen.told:\n",
        "        if True:\n",
    ),
    "the connection of a life before keeps its id": (
        "signals",
        "rig_1 does not serve a machine that reboots, as long as its old connection is open",
        "autopilot_net/socket_options.py",
        "    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)",
        "    socket.setsockopt(zmq.ROUTER_HANDOVER, 0)",
    ),
}
ON_PROCESSES = {"the connection of a life before keeps its id"}


def played(tree: Path, file: str, old: str, new: str, *, virtual: bool) -> dict[str, list[str]]:
    """What each failed check says in a copy of the tree with the bug in it."""
    for folder in ("autopilot_net", "sim", "topologies"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    source = (tree / file).read_text()
    assert source.count(old) == 1, f"{file} has changed: {old!r} stands there {source.count(old)} times"
    (tree / file).write_text(source.replace(old, new))
    world = ["--virtual"] if virtual else []
    done = subprocess.run(
        [sys.executable, "-m", "sim", "topologies/pair.yaml", *world, "--duration", "1", "--no-storm", "--json"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=patient(RUN_S),
        check=False,
    )
    checks = json.loads(done.stdout)["checks"]
    return {one["name"]: [wrong["text"] for wrong in one["broke"]] for one in checks if one["result"] == "fail"}


@pytest.mark.parametrize("name", SIGNAL_SABOTAGES)
def test_a_rehearsal_says_that(tmp_path: Path, name: str) -> None:
    check, text, *bug = SIGNAL_SABOTAGES[name]
    broke = played(tmp_path, *bug, virtual=name not in ON_PROCESSES)
    assert text in broke.get(check, []), broke
