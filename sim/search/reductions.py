"""Simpler variants of a scenario: fewer machines that do less, plainer messages, plainer faults, rounder times.

Each function offers candidates, the largest steps first. `shrink.py` tries whether one still fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from sim.faults.actions import ENDS, Action
from sim.faults.compile import actions
from sim.lab.fault import VERBS, Fault, Several, target_of, verb_of
from sim.lab.names import machine_of
from sim.lab.topology import Machine, Session, Topology
from sim.lab.tree import Tree
from sim.scenario import Example, Flow, Op, Opaque, Scenario, Send, Twice
from sim.scenario.payloads import Payload
from sim.search.subset import of_machines, with_machines

__all__ = [
    "calmer",
    "fewer_machines",
    "names_several",
    "plain_faults",
    "simpler_faults",
    "simpler_ops",
    "simpler_times",
]

LASTS = tuple(dict.fromkeys(kind.until for kind in VERBS.values() if kind.until))
ROUND_S = (0.1, 0.5, 1.0, 2.0)


# -- labs ----------------------------------------------------------------------------------------------------------


def fewer_machines(scenario: Scenario) -> Iterator[Scenario]:
    """Without all machines that nothing names, then without single ones. The children of one move up to its parent."""
    topology = scenario.topology
    named = {id for example in scenario.examples for op in example.ops for id in _homes(op)}
    named |= {id for fault in topology.faults for id in _ids(fault)}
    below = [machine.id for machine in topology.machines[1:]]
    spare = [id for id in below if id not in named]
    for gone in ([spare] if len(spare) > 1 else []) + [[id] for id in reversed(spare)]:
        kept = [id for id in below if id not in gone] or below[:1]
        if len(kept) < len(below):
            yield _of_machines(scenario, kept)


def _of_machines(scenario: Scenario, kept: list[str]) -> Scenario:
    topology = of_machines(scenario.topology, kept)

    def op_along(op: Op) -> Op:
        along = isinstance(op, Send) and op.hops
        return replace(op, hops=Tree(topology).hops(op.frm, op.to)) if along else op  # type: ignore[union-attr]

    examples = tuple(replace(example, ops=tuple(map(op_along, example.ops))) for example in scenario.examples)
    return replace(scenario, topology=topology, examples=examples)


def calmer(scenario: Scenario) -> Iterator[Scenario]:
    """Machines that do less, first all of them, then single ones. Then a shorter session without graduations."""
    topology = scenario.topology
    for plain in _PLAIN:
        machines = [plain(machine) for machine in topology.machines]
        yield _with_machines(scenario, machines)
        for n, machine in enumerate(machines):
            yield _with_machines(scenario, [*topology.machines[:n], machine, *topology.machines[n + 1 :]])
    for n, machine in enumerate(topology.machines):
        for name in machine.streams:
            streams = {other: stream for other, stream in machine.streams.items() if other != name}
            fewer = replace(machine, streams=streams)
            yield _with_machines(scenario, [*topology.machines[:n], fewer, *topology.machines[n + 1 :]])
    yield from (replace(scenario, topology=simpler) for simpler in _simpler_sessions(scenario))


_PLAIN = (
    lambda machine: Machine(machine.id, parent=machine.parent),
    lambda machine: replace(machine, streams={}),
    lambda machine: replace(machine, trials=None, streams=_steady(machine)),
    lambda machine: replace(machine, durable=False),
    lambda machine: replace(machine, link=None),
    lambda machine: replace(machine, subjects=(), task={}, kind=None, host=None, port=None),
)


def _steady(machine: Machine) -> dict[str, Any]:
    """The streams that do not depend on trials."""
    return {name: stream for name, stream in machine.streams.items() if not stream.burst}


def _with_machines(scenario: Scenario, machines: list[Machine]) -> Scenario:
    return replace(scenario, topology=with_machines(scenario.topology, machines))


def _simpler_sessions(scenario: Scenario) -> Iterator[Topology]:
    topology = scenario.topology
    session = topology.session
    if session.graduate:
        yield replace(topology, session=replace(session, graduate=()))
    last_s = max([0.0, *_times(scenario), *(g.at_s for g in session.graduate)])
    for duration_s in (0.5, 1.0, 2.0):
        if last_s < duration_s < session.duration_s:
            yield replace(topology, session=replace(session, duration_s=duration_s))
    if session.pace != 1.0:
        yield replace(topology, session=Session(duration_s=session.duration_s, graduate=session.graduate))


# -- messages ------------------------------------------------------------------------------------------------------


def simpler_ops(op: Op) -> Iterator[Op]:
    """Operations to send instead: fewer messages, and plainer ones."""
    if isinstance(op, Send):
        hops = () if _is_found(op) else op.hops
        yield from _changed(op, payload=Payload(), burst=1, takes_ms=0, expires_s=0.0, hops=hops, sought=True)
        yield from (replace(op, burst=burst) for burst in _fewer(op.burst))
    elif isinstance(op, Flow):
        yield Send(frm=op.frm, to=op.to)
        yield from _changed(op, payload=Payload(), batch=1)
        yield from (replace(op, items=items) for items in _fewer(op.items))
    elif isinstance(op, Twice):
        yield from _changed(op, times=2, numbered=True)
    elif isinstance(op, Opaque):
        yield from _changed(op, size=0, seed=0)


def _is_found(op: Send) -> bool:
    """Whether the id alone finds the recipient: it does for a station, a program, and a node on the same machine."""
    return not op.to.endswith(".probe") or machine_of(op.frm) == machine_of(op.to)


def _fewer(count: int) -> list[int]:
    return [fewer for fewer in (1, 2, count // 2, count - 1) if 0 < fewer < count]


def _changed(op: Any, **values: Any) -> Iterator[Any]:
    """The operation or fault with all of these changes, then with each alone."""
    yield replace(op, **values)
    for name, value in values.items():
        yield replace(op, **{name: value})


def _homes(op: Op) -> list[str]:
    """The machines of an operation's sender and recipient, without those on the path between."""
    frm = op.at if isinstance(op, Twice | Opaque) else machine_of(op.frm)
    return [frm, machine_of(op.to)]


# -- faults --------------------------------------------------------------------------------------------------------


def names_several(fault: Fault) -> bool:
    """Whether it stands for several: a storm of faults, or more machines than one."""
    target = target_of(fault)
    several = isinstance(target, Several) or (len(target) > 1 if isinstance(target, tuple) else "*" in target)
    return several or VERBS[verb_of(fault)].is_storm


def plain_faults(scenario: Scenario, number: int) -> tuple[Fault, ...]:
    """The plain faults that the fault of that number amounts to. The end of each is an option of it."""
    whole = [a for a in actions(scenario.topology, seed=scenario.seed) if a.fault == number]
    ended: set[int] = set()
    found = []
    for n, action in enumerate(whole):
        if n not in ended:
            fault = _plain(action)
            end = next((k for k in range(n + 1, len(whole)) if k not in ended and _ends(whole[k], action)), None)
            if end is not None:
                ended.add(end)
                lasts = round((whole[end].at_us - action.at_us) / 1e6, 3)
                fault = replace(fault, **{VERBS[verb_of(fault)].until: lasts})
            found.append(fault)
    return tuple(found)


def _ends(end: Action, begun: Action) -> bool:
    same = (end.target, end.what, end.way) == (begun.target, begun.what, begun.way)
    return same and ENDS.get(begun.verb) == end.verb


def _plain(action: Action) -> Fault:
    verb = next(verb for verb, kind in VERBS.items() if kind.acts == (action.verb,))
    names = (*VERBS[verb].options, "probability")
    takes: dict[str, Any] = {name: getattr(action, name) for name in names if hasattr(action, name)}
    return Fault(at_s=round(action.at_us / 1e6, 6), **{**takes, verb: action.target})


def simpler_faults(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario with one fault simpler: certain, of one machine, of the whole machine, with no end or a rounder one.
    """
    for number, fault in enumerate(scenario.topology.faults):
        for simpler in _simpler(scenario, number, fault):
            faults = list(scenario.topology.faults)
            faults[number] = simpler
            yield replace(scenario, topology=replace(scenario.topology, faults=tuple(faults)))


def _simpler(scenario: Scenario, number: int, fault: Fault) -> Iterator[Fault]:
    verb = verb_of(fault)
    if fault.between_s is not None:
        for at_s in fault.between_s:
            yield replace(fault, between_s=None, at_s=at_s)
    if names_several(fault):
        struck = dict.fromkeys(a.target for a in actions(scenario.topology, seed=scenario.seed) if a.fault == number)
        yield from (replace(fault, **{verb: id}) for id in struck)
    values = {"probability": 1.0, "what": "machine", "way": "both", "key": None, "jitter_ms": None, "rate_mbit": None}
    yield from _changed(fault, **{name: value for name, value in values.items() if name != verb})
    yield from (replace(fault, first=first) for first in (None, 1, 2) if VERBS[verb].is_of_messages)
    for lasts in LASTS:
        if (now_s := getattr(fault, lasts)) is not None:
            if lasts not in VERBS[verb].needs:
                yield replace(fault, **{lasts: None})
            yield from (replace(fault, **{lasts: at_s}) for at_s in ROUND_S if at_s != now_s)


def _ids(fault: Fault) -> tuple[str, ...]:
    """The machines that a fault names. A pattern names none."""
    target = target_of(fault)
    words = () if isinstance(target, Several) else (target,) if isinstance(target, str) else target
    return tuple(word for word in words if "*" not in word)


# -- times ---------------------------------------------------------------------------------------------------------


def simpler_times(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario with all times earlier, then with a single time rounder and earlier."""
    times = _times(scenario)
    if times and min(times) > 0:
        yield _shifted(scenario, min(times))
    for number, fault in enumerate(scenario.topology.faults):
        for at_s in _rounder(fault.at_s):
            faults = list(scenario.topology.faults)
            faults[number] = replace(fault, at_s=at_s)
            yield replace(scenario, topology=replace(scenario.topology, faults=tuple(faults)))
    for number, example in enumerate(scenario.examples):
        for at_s in _rounder(example.at_s):
            examples = list(scenario.examples)
            examples[number] = Example(ops=example.ops, at_s=at_s)
            yield replace(scenario, examples=tuple(examples))


def _rounder(at_s: float | None) -> Iterator[float]:
    if at_s:
        yield from dict.fromkeys([0.0, float(int(at_s)), round(at_s, 1), round(at_s, 2), round(at_s / 2, 2)])


def _times(scenario: Scenario) -> list[float]:
    faults = scenario.topology.faults
    found = [time for fault in faults for time in (fault.between_s or ()) + (fault.at_s,) if time is not None]
    return [*found, *(example.at_s for example in scenario.examples if example.at_s is not None)]


def _shifted(scenario: Scenario, by_s: float) -> Scenario:
    """The scenario with all times earlier by `by_s`."""

    def sooner(at_s: float | None) -> float | None:
        return None if at_s is None else round(at_s - by_s, 6)

    faults = tuple(
        replace(
            fault,
            at_s=sooner(fault.at_s),
            between_s=None if fault.between_s is None else tuple(map(sooner, fault.between_s)),
        )
        for fault in scenario.topology.faults
    )
    examples = tuple(replace(example, at_s=sooner(example.at_s)) for example in scenario.examples)
    return replace(scenario, topology=replace(scenario.topology, faults=faults), examples=examples)
