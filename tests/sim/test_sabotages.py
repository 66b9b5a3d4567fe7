"""The checks of a rehearsal can fail: each of these bugs, put into a copy of the tree, is found and named."""

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

RUN_S = 100

# name: (the lab, the check that must find it, the file, what stands there, what the bug makes of it)
SABOTAGES = {
    "the recipient's duplicate check is gone, for what is numbered": (
        "pair",
        "confirm",
        "autopilot_net/protocol/inbox.py",
        "        if seq < channel.expected or seq in channel.done:\n",
        "        if seq < channel.expected:\n"
        "            arrival.deliver.append(self._issue(channel, seq, message))\n"
        "            return arrival\n"
        "        if seq < channel.expected or seq in channel.done:\n",
    ),
    "the recipient's duplicate check is gone, for what is not numbered": (
        "pair",
        "confirm",
        "autopilot_net/protocol/inbox.py",
        "        if known is not None:\n",
        "        if known is not None and False:\n",
    ),
    "a forwarder deserializes": (
        "pair",
        "hops",
        "autopilot_net/protocol/endpoint.py",
        "        return effects + self._forward(packet, peer, now)\n",
        "        packet = Packet(packet.hops, packet.recipient, Message(packet.payload).serialize())\n"
        "        return effects + self._forward(packet, peer, now)\n",
    ),
    "the sender's stream drops its tail": (
        "pair",
        "streams",
        "autopilot_net/protocol/streams.py",
        "            self.ended = True\n",
        "            self.ended = True\n            self._items.clear()\n",
    ),
    "the receiver hands on two batches in the wrong order": (
        "pair",
        "streams",
        "autopilot_net/protocol/inbox.py",
        "        arrival.deliver[:0] = flushed\n",
        "        arrival.deliver[:0] = flushed\n"
        "        kept = self.__dict__.setdefault('kept', {})\n"
        "        if message.key == 'STREAM' and seq == 2:\n"
        "            kept[receipt.sender], arrival.deliver = arrival.deliver, []\n"
        "        elif receipt.sender in kept:\n"
        "            arrival.deliver += kept.pop(receipt.sender)\n",
    ),
    "a station tells the time of a clock that nobody has set": (
        "pair",
        "clocks",
        "autopilot_net/protocol/clock_sync.py",
        "        told = [self._control.epoch + now, ",
        "        told = [now, ",
    ),
    "a confirmation is never sent": (
        "pair",
        "confirm",
        "autopilot_net/protocol/reliable.py",
        "        return self._store(outcome.record) + self._control.tell(outcome.receipt, verdict, why=why, now=now)\n",
        "        return []\n",
    ),
    "a confirmation is sent before the handler ran": (
        "pair",
        "confirm",
        "autopilot_net/protocol/reliable.py",
        "        effects: list[Effect] = [Deliver(ticket, peer, item) for ticket, item in arrival.deliver]\n",
        "        effects: list[Effect] = []\n"
        "        for ticket, item in arrival.deliver:\n"
        "            effects += self._control.tell(receipt_of(item), Verdict.HANDLED, now=now)\n"
        "            effects.append(Deliver(ticket, peer, item))\n",
    ),
    "a pilot passes a child's handshake on without its way": (
        "chain",
        "handshake",
        "autopilot_net/roles/pilot.py",
        "        way = [self.host.id, *way]\n",
        "        way = [self.host.id] if not way else None\n",
    ),
    "a hop is popped twice": (
        "chain",
        "hops",
        "autopilot_net/protocol/frames.py",
        "    while names[:1] == [me]:\n        del names[0]\n",
        "    if names[:1] == [me]:\n        del names[:2]\n",
    ),
    "a child's STATE overwrites its parent's": (
        "chain",
        "session",
        "autopilot_net/roles/pilot.py",
        "        if message.sender == self.program:\n            self.state = message.value\n",
        "        if message.sender:\n            self.state = message.value\n",
    ),
}


def sabotaged(tree: Path, name: str) -> tuple[str, str]:
    """A copy of the tree with the bug in it: the lab to rehearse, and the check that must find it."""
    for folder in ("autopilot_net", "sim", "topologies"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    lab, check, file, old, new = SABOTAGES[name]
    source = (tree / file).read_text()
    assert source.count(old) == 1, f"{file} has changed: {old!r} stands there {source.count(old)} times"
    (tree / file).write_text(source.replace(old, new))
    return lab, check


def rehearse(tree: Path, lab: str, repeat_interval_s: float = 0.2) -> tuple[int, dict[str, object], str]:
    """Run a copy's own rehearsal, quick: the exit code, the report and what was said."""
    path = tree / "topologies" / f"{lab}.yaml"
    quick = f"\nrepeat_interval_s: {repeat_interval_s}\nstorm: {{examples: 4, shrink_s: 0}}\n"
    path.write_text(path.read_text().replace("storm:", "# storm:") + quick)
    words = ["--seed", "1", "--duration", "1.5", "--json", "--no-page"]
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
    for folder in ("autopilot_net", "sim", "topologies"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    # Patient, since on a machine that is busy otherwise six tries of 0.2 s can be used up with no bug at all.
    code, report, said = rehearse(tmp_path, lab, repeat_interval_s=2.0)
    assert (code, report.get("verdict")) == (0, "held"), (report.get("broke"), said)


@pytest.mark.parametrize("name", SABOTAGES)
def test_the_rehearsal_finds_that(tmp_path: Path, name: str) -> None:
    lab, check = sabotaged(tmp_path, name)
    code, report, said = rehearse(tmp_path, lab)
    failed = [one["name"] for one in report.get("checks", []) if one["result"] == "fail"]  # type: ignore[attr-defined]
    assert (code, check in failed) == (1, True), (code, failed, report.get("broke"), said)
