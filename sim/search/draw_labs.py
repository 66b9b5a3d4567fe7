"""Hypothesis strategies for labs: new ones, or parts of a given one. `load` would accept each of them.

They are small and quick, since a hunt plays thousands: sessions of a second or two, items of a few bytes. A lab shrinks
towards two machines that do nothing.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from sim.lab.topology import Burst, Files, Graduation, Link, Machine, Session, Storm, Stream, Topology, Trials
from sim.search.draw import chance, pick, some
from sim.search.subset import of_machines, with_machines

__all__ = ["parts", "topologies"]

DURATIONS_S = (0.5, 1.0, 0.5, 2.0)
INTERVALS_S = (0.5, 1.0, 0.2, 0.5, 5.0)
RATES_HZ = (5.0, 10.0)
PATIENT_S = 1.0
MOST_KB = 32  # of a file, mostly
STREAMS = ("wheel", "lick", "camera")
SOUNDS_KB = (600, 4, 300)  # a part of a file has 262 kB
STORM = Storm(examples=1, messages=20)
TRIALS = tuple(
    Trials(every_s=every_s, stages=stages, bytes=size)
    for stages, size in ((1, 0), (3, 300), (2, 0))
    for every_s in ((0.5, 0.5), (0.2, 0.4), (0.05, 1.0))
)
LINKS = (
    Link(latency_ms=1.0),
    Link(latency_ms=10.0, jitter_ms=0.5),
    Link(latency_ms=40.0, jitter_ms=5.0),
    Link(latency_ms=10.0, rate_mbit=5.0),
    Link(rate_mbit=100.0),
)
ITEMS: tuple[dict[str, Any], ...] = (
    {"fields": ("x", "t")},
    {"bytes": 0},
    {"bytes": 500},
    {"dtype": "uint8", "shape": (2, 3), "content": "video"},
    {"dtype": "float32", "shape": (4,)},
    {"dtype": "int16", "shape": (1, 2, 2)},
)


@st.composite
def topologies(draw: st.DrawFn, *, max_machines: int = 6, max_depth: int = 3) -> Topology:
    """A lab of at most `max_machines` machines, with the terminal, and at most `max_depth` levels below it."""
    below = _tree(draw, max_machines, max_depth)
    machines = [Machine("T", durable=chance(draw, 4))]
    sounds_kb = pick(draw, SOUNDS_KB) if chance(draw, 4) else 0
    paths: dict[str, list[str]] = {"T": ["T"]}  # from the terminal to each machine
    for id, parent in below:
        paths[id] = [*paths[parent], id]
        machine = _machine(draw, id, paths[parent])
        has_sounds = sounds_kb and parent == "T"
        machines.append(replace(machine, task={"sounds": ["L.wav"]}) if has_sounds else machine)
    session = _session(draw, [id for id, parent in below if parent == "T"])
    lab = Topology(
        name="drawn",
        path="drawn.yaml",
        machines=tuple(machines),
        files=Files(synthetic_kb={"L.wav": sounds_kb} if sounds_kb else {}),
        session=session,
        storm=STORM,
        repeat_interval_s=pick(draw, INTERVALS_S),
        ping_interval_s=pick(draw, (5.0, 1.0, 0.5)),
    )
    return with_machines(_patient(lab), machines)


@st.composite
def parts(draw: st.DrawFn, topology: Topology, *, max_machines: int = 6) -> Topology:
    """A part of a lab with at most `max_machines` machines, the terminal included; with fewer items and shorter waits.

    It has none of the lab's own programs, and only synthetic files. All of its machines may be made durable.
    """
    ids = [machine.id for machine in topology.machines[1:]]
    part = of_machines(topology, some(draw, ids, max_machines - 1))
    pace = max(topology.session.pace, 1.0)
    duration_s = min(part.session.duration_s, pick(draw, DURATIONS_S))
    graduate = tuple(replace(g, at_s=round(duration_s / 2, 2)) for g in part.session.graduate)
    if not graduate and chance(draw, 3):
        graduate = (Graduation(at_s=round(duration_s / 2, 2), pilot=pick(draw, [one.id for one in part.pilots])),)
    most_kb = max(SOUNDS_KB) if chance(draw, 6) else MOST_KB
    lighter = replace(
        part,
        session=Session(duration_s=duration_s, pace=pace, graduate=graduate),
        files=Files(synthetic_kb={name: min(kb, most_kb) for name, kb in topology.files.synthetic_kb.items()}),
        storm=STORM,
        faults=(),
        repeat_interval_s=min(topology.repeat_interval_s, pick(draw, INTERVALS_S)),
    )
    durable = chance(draw, 3)
    machines = [_lighter(machine, topology.files, pace) for machine in part.machines]
    return with_machines(_patient(lighter), [replace(one, durable=durable or one.durable) for one in machines])


def _patient(lab: Topology) -> Topology:
    """A lab that repeats slowly where a long file fills a slow link for longer than all quick repeats take together."""
    rates = [machine.link.rate_mbit for machine in lab.machines if machine.link is not None and machine.link.rate_mbit]
    kb = max(lab.files.synthetic_kb.values(), default=0)
    hurries = rates and 0.008 * len(lab.machines) * kb / min(rates) > lab.repeat_interval_s
    return replace(lab, repeat_interval_s=max(PATIENT_S, lab.repeat_interval_s)) if hurries else lab


# New labs


def _tree(draw: st.DrawFn, max_machines: int, max_depth: int) -> list[tuple[str, str]]:
    """Ids with those of their parents, in the order of a file: each parent before its children."""
    depth = {"T": 0}
    children: dict[str, list[str]] = {"T": []}
    for _ in range(draw(st.integers(1, max(1, max_machines - 1)))):
        parent = pick(draw, [id for id in depth if depth[id] < max_depth])
        n = len(children[parent]) + 1
        id = f"rig_{n}" if parent == "T" else f"{parent}_{n}"
        children[parent].append(id)
        depth[id], children[id] = depth[parent] + 1, []

    def in_order(parent: str) -> list[tuple[str, str]]:
        return [pair for id in children[parent] for pair in ((id, parent), *in_order(id))]

    return in_order("T")


def _machine(draw: st.DrawFn, id: str, above: list[str]) -> Machine:
    trials = pick(draw, TRIALS) if len(above) == 1 and chance(draw, 2) else None
    names = some(draw, STREAMS, 2) if chance(draw, 2) else []
    return Machine(
        id,
        parent=above[-1],
        subjects=pick(draw, ((), (f"{id}_mouse",), ("one", "other"), ("one", f"{id}_other"))),
        trials=trials,
        streams={name: _stream(draw, above, has_trials=trials is not None) for name in names},
        link=pick(draw, LINKS) if chance(draw, 3) else None,
        durable=chance(draw, 2),
    )


def _stream(draw: st.DrawFn, above: list[str], *, has_trials: bool) -> Stream:
    bursts = has_trials and chance(draw, 3)
    return Stream(
        **pick(draw, ITEMS),
        burst=Burst(n=draw(st.integers(1, 8)), rate_hz=40.0) if bursts else None,
        rate_hz=None if bursts else pick(draw, RATES_HZ),
        batch=draw(st.integers(1, 5)),
        reliable=not chance(draw, 2),
        to=pick(draw, above) if chance(draw, 3) else None,
    )


def _session(draw: st.DrawFn, pilots: list[str]) -> Session:
    duration_s = pick(draw, DURATIONS_S)
    if not chance(draw, 2):
        return Session(duration_s=duration_s)
    return Session(duration_s=duration_s, graduate=(Graduation(at_s=duration_s / 2, pilot=pick(draw, pilots)),))


# Parts of a lab


def _lighter(machine: Machine, files: Files, pace: float) -> Machine:
    """A machine that does the same, but less of it."""
    sounds = [name for name in machine.task.get("sounds", []) if name in files.synthetic_kb]
    task = {**machine.task, "sounds": sounds} if sounds else {k: v for k, v in machine.task.items() if k != "sounds"}
    trials = machine.trials
    if trials is not None:
        low, high = (min(wait, pace * most) for wait, most in zip(trials.every_s, (0.3, 0.8), strict=True))
        trials = replace(trials, every_s=(low, high))
    streams = {name: _slower(stream) for name, stream in machine.streams.items()}
    return replace(machine, task=task, trials=trials, streams=streams, program=None, env={}, params={})


def _slower(stream: Stream) -> Stream:
    if stream.rate_hz is not None:
        stream = replace(stream, rate_hz=min(stream.rate_hz, RATES_HZ[-1]))
    if stream.shape is not None:
        stream = replace(stream, shape=tuple(min(side, 3) for side in stream.shape))
    return stream
