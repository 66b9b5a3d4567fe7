"""A journal of signals that were all answered, and ways to change one thing in it."""

from __future__ import annotations

from sim.emulator.signals import NOBODY, PARTS, RAISE
from sim.evidence.index import Evidence
from sim.verdict import Check
from tests.sim.checks.healthy_run import check_of, lab
from tests.sim.journal_builder import SEED, Story


def answered() -> Evidence:
    """Signals to a terminal and a rig, all answered."""
    story = Story()
    for name in ("T", "_T", "rig_1", "_rig_1"):
        story.note("start", name)
    story.shook("rig_1", "rig_1")
    story.note("signals", "parent")
    for machine in ("T", "rig_1"):
        _pings(story, machine)
    for machine in ("T", "rig_1"):
        for part in PARTS:
            _raises(story, machine, part)
        refused = story.note("made", "_T", id=f"_T_nobody_{machine}", key=NOBODY, to=machine, sought=True)
        why = f"nobody listens for {NOBODY} at _{machine}"
        story.note("settled", "_T", id=refused.id, key=NOBODY, to=machine, value=why)
        batch = story.note("made", "_T", id=f"_T_batch_{machine}", key="STREAM", to=machine, sought=True)
        for number in range(2):
            story.note("raising", machine, id=f"{batch.id}.{number}", key=RAISE)
        story.note("settled", "_T", id=batch.id, key="STREAM", to=machine, value="confirmed")
    _strangers(story)
    return Evidence(topology=lab(), seed=SEED, journal=story.journal, session=False)


def _pings(story: Story, machine: str) -> None:
    for n in range(2):
        id = f"_T_ping_{machine}_{n}"
        story.note("made", "_T", id=id, key="PING", to=machine, sought=True)
        story.note("settled", "_T", id=id, key="PING", to=machine, value="confirmed")
        if machine == "T":
            story.note("pong", "_T", id=f"T_{n}", key="STATE", sender="T")
        else:
            story.heard(machine, None, sender=machine)


def _raises(story: Story, machine: str, part: str) -> None:
    by = machine if part == "station" else "_" + machine
    id, error = f"_T_raise_{machine}_{part}", f"{by}_error"
    story.note("made", "_T", id=id, key=RAISE, to=machine, sought=True)
    story.note("raising", by, id=id, key=RAISE)
    story.note("settled", "_T", id=id, key=RAISE, to=machine, value="confirmed")
    story.trace("Transmit", by, peer="T", id=error, key="ERROR", to="T")
    value = {"machine": machine, "exception": "OnPurposeError: …", "traceback": "OnPurposeError: …", "part": part}
    story.note("raised", "_T", key="ERROR", sender="T", first=error, value=value)
    story.trace("Confirmed", by, id=error)


def _strangers(story: Story) -> None:
    said = {"kill": ("own",), "reboot": ("a1", "b1"), "twin": ("a1", "b1", "a2")}
    for machine in ("T", "rig_1"):
        for key, ends in said.items() if machine == "T" else list(said.items())[:2]:
            name = f"actor.{machine}.{key}"
            for end in ends:
                story.note("stranger", name, to=machine, id=f"{name}.{end}", key=key)
                story.note("stranger answered", name, to=machine, id=f"{name}.{end}", value=True)
    for machine in ("T", "rig_1"):
        double = f"actor.{machine}.double"
        story.note("stranger", double, to=machine, id=double, key="double")
    story.note("stranger", "actor.T.thief", to="T", id="actor.T.thief.own", key="thief")
    story.note("stranger answered", "actor.T.thief", to="T", id="actor.T.thief.own", value="refused")
    story.note("stranger", "actor.T.thief", to="T", id="actor.T.thief.again", key="again")
    story.note("stranger answered", "actor.T.thief", to="T", id="actor.T.thief.again", value=True)
    told = {"machine": "actor.T.twin", "exception": "two that run are both actor.T.twin, …", "traceback": ""}
    story.note("twin told", "_T", key="ERROR", value=told)


def signals_of(run: Evidence) -> Check:
    return check_of(run, "signals")
