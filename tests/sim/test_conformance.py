"""Both worlds agree: what is played on real processes comes out in virtual time as it does there.

What is compared is how things stand in the end: what was made, handled, confirmed and lost, what excuses it, and every
verdict. Never a time, and no order but that which was promised. Where they differ, one of the worlds is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry
from sim.lab.fault import Fault
from sim.lab.topology import Topology, load
from sim.labtest import LabUnderTest, Played
from sim.rehearse import WorldName
from sim.scenario import Example, Flow, Opaque, Send, Twice
from sim.scenario.payloads import ArraySpec, Payload

LAB = """\
name: conformance
pilots:
  - id: rig_1
    subjects: [mouse_1]
    trials: {every_s: 0.3, stages: 2, bytes: 200}
    children:
      - {id: rig_1_box, streams: {wheel: {fields: [x, t], rate_hz: 20}, cam: {bytes: 50, rate_hz: 20, reliable: false}}}
  - {id: rig_2, subjects: [mouse_2], durable: true, trials: {every_s: 0.5, stages: 2, bytes: 200}}
session: {duration_s: 3}
repeat_interval_s: 1
clocks: shared  # a process waits for up to a second for a clock of its own, and here it counts when it is back
"""


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without faketime, under which a wait may take a little longer: the cases count when things happen."""
    monkeypatch.setattr("sim.processes.clocks.faketime.library", lambda: None)


WORDS = re.compile(r"was killed|was paused|was cut|was held|was slow|lost its connections")
HOW = {"confirmed": "confirmed", "": "never told"}


def sends(at_s: float | None, *, sought: bool = True) -> Example:
    """Up, down and across, from programs and from stations."""
    pairs = [("_T", "rig_1_box"), ("_rig_1_box", "T"), ("rig_1", "rig_2"), ("_rig_2", "rig_1"), ("rig_1_box", "rig_1")]
    return Example(ops=tuple(Send(frm=a, to=b, burst=2, sought=sought) for a, b in pairs), at_s=at_s)


BEFORE, AMID, AFTER = sends(0.4), sends(1.5), sends(2.7)
CALM = Example(
    ops=(
        *sends(None).ops,
        *sends(None, sought=False).ops,
        Send(frm="_T", to="rig_1_box", hops=("T", "rig_1", "rig_1_box"), payload=Payload(text='{"a": [NaN, 1e400]}')),
        Send(frm="_rig_2", to="rig_1_box", payload=Payload(array=ArraySpec(dtype="<u4", shape=(3, 4)))),
        Flow(frm="_rig_1_box", to="rig_2", items=11, batch=4),
        Twice(at="rig_1", to="rig_1_box", times=3),
        Twice(at="rig_2", to="T", numbered=False),
        Opaque(at="rig_1_box", to="rig_2", size=120),
    )
)
STORMS = (BEFORE, AMID, AFTER)
# What was under way when a connection broke or a process died is gone, if nobody repeats it; how much that is differs.
CAMERA = ("streams, rig_1_box.cam", "excuses, streams")
MEMORY = (*CAMERA, "streams, rig_1_box.wheel")


class Case(Struct):
    """What is played, and what is a matter of chance in it."""

    faults: tuple[Fault, ...] = ()
    storms: tuple[Example, ...] = STORMS
    chance: tuple[str, ...] = ()


CASES = {
    "calm": Case(storms=(CALM,)),
    "a program is killed": Case((Fault(at_s=1, kill="rig_1_box", what="program", restart_after_s=1),), chance=MEMORY),
    "a station is killed": Case((Fault(at_s=1, kill="rig_1", what="station", restart_after_s=1),), chance=CAMERA),
    "a durable machine is killed": Case((Fault(at_s=1, kill="rig_2", restart_after_s=1),)),
    "a cable is out": Case((Fault(at_s=1, cut="rig_1", heal_after_s=1),)),
    "a link is held": Case((Fault(at_s=1, hold="rig_1", release_after_s=1),)),
    "connections are reset": Case((Fault(at_s=1, reset="*"),), chance=CAMERA),
    "a machine stands still": Case((Fault(at_s=1, pause="rig_1", resume_after_s=1),)),
    "the terminal stands still": Case((Fault(at_s=1, pause="T", resume_after_s=1),)),
    "the power goes": Case((Fault(at_s=1, power_cut="rig_1", restart_after_s=1),), chance=MEMORY),
    "who sends it dies before it is out": Case(
        (Fault(at_s=1, cut="rig_1", heal_after_s=1.2), Fault(at_s=1.8, kill="rig_1", restart_after_s=0.4)),
        (BEFORE, Example(ops=(Send(frm="rig_1", to="T", burst=3),), at_s=1.4), AFTER),
        (*CAMERA, "trials, rig_1"),  # one more or less may be made in its last moment
    ),
    "who sends it dies before it is out, and is durable": Case(
        (Fault(at_s=1, cut="rig_2", heal_after_s=1.2), Fault(at_s=2, kill="rig_2", restart_after_s=0.2)),
        (BEFORE, Example(ops=(Send(frm="_rig_2", to="T", burst=3),), at_s=1.2), AFTER),
    ),
}


class Outcome(Struct):
    """How things stand in the end."""

    verdict: str
    checks: dict[str, str]  # their results
    messages: dict[str, str]  # of storms: what became of each
    items: dict[str, int]  # of storms' streams
    opaque: list[object]
    trials: dict[str, str]
    streams: dict[str, str]
    orders: dict[str, list[str]]
    states: dict[str, str]  # the last that the terminal heard of each
    excuses: dict[str, list[str]]  # which faults explain something, by check


def outcome(played: Played) -> Outcome:
    """What is the same in every world."""
    journal, scenario = played.journal, played.scenario
    index = Index(Evidence(topology=scenario.topology, seed=scenario.seed, journal=journal))
    return Outcome(
        verdict=played.verdict,
        checks={check.name: check.result for check in played.report.checks},
        messages=_messages(index),
        items=dict(sorted(Counter(entry.stream for entry in journal.of("item_got") if entry.example >= 0).items())),
        opaque=[entry.value for entry in journal.of("opaque")],
        trials={row.rig: f"{len(row.missing)} missing, {row.twice} twice" for row in played.report.trials},
        streams={f"{row.machine}.{row.stream}": _row(row.sent, row.received) for row in played.report.streams},
        orders={name: _kinds(played.handled(name)) for name in ("_rig_1", "_rig_2", "_rig_1_box")},
        states={name: str(heard[-1].value["state"]) for name, heard in sorted(index.heard_states.items())},
        excuses={
            check.name: sorted({found for what in check.explained for found in WORDS.findall(what)})
            for check in played.report.checks
            if check.explained
        },
    )


def _messages(index: Index) -> dict[str, str]:
    numbers: Counter[tuple[str, ...]] = Counter()
    fates = {}
    for made in [entry for entry in index.made if entry.key == "STORM"]:
        about = (str(made.example), made.by, made.to, "sought" if made.sought else "unsought")
        numbers[about] += 1
        told = index.settled.get((made.by, made.id))
        how = HOW.get("" if told is None else str(told.value), "expired")
        fates[" ".join((*about, str(numbers[about])))] = f"{_times(index.handled[made.id])}, {how}"
    return dict(sorted(fates.items()))


def _times(handled: list[Entry]) -> str:
    return f"handled {len(handled)}x{' redelivered' if any(entry.redelivered for entry in handled[1:]) else ''}"


def _row(sent: int, received: int) -> str:
    return "none" if not sent else "all" if received >= sent else "some"


def _kinds(handled: list[Entry]) -> list[str]:
    return [entry.key for entry in handled if entry.key in ("START", "STOP")]


def differences(real: Outcome, virtual: Outcome, chance: tuple[str, ...]) -> str:
    """Where two outcomes are not the same, but for what is a matter of chance; a line each."""
    facts: dict[str, list[object]] = {}
    for place, one in enumerate((real, virtual)):
        for field, what in msgspec.structs.asdict(one).items():
            for key, fact in what.items() if isinstance(what, dict) else [("", what)]:
                facts.setdefault(f"{field}, {key}" if key else field, [None, None])[place] = fact
    unlike = {about: both for about, both in sorted(facts.items()) if both[0] != both[1] and about not in chance}
    return "\n".join(f"{about}: {a} on processes, {b} in virtual time" for about, (a, b) in unlike.items())


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return load(path)


@pytest.mark.parametrize("name", CASES)
def test_what_is_so_on_processes_is_so_in_virtual_time(topology: Topology, name: str, tmp_path: Path) -> None:
    case = CASES[name]
    worlds: tuple[WorldName, WorldName] = ("processes", "virtual")
    labs = [LabUnderTest(topology, world=world, seed=3, draw=0, folder=tmp_path / world) for world in worlds]
    real, virtual = (outcome(lab.play(*case.faults, storms=case.storms)) for lab in labs)
    assert real.messages
    assert real.verdict == "held"
    assert differences(real, virtual, case.chance) == ""
