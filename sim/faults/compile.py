"""Makes actions from faults: draws the targets and times by the seed, and writes each fault out in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sim.faults.actions import ENDS, Action, Verb
from sim.lab.fault import VERBS, Fault, Several, named, target_of, verb_of
from sim.lab.seeds import NamedDraws
from sim.lab.topology import Machine, Topology
from sim.lab.tree import Tree

__all__ = ["REBOOT_S", "STORM_S", "actions"]

SECOND = 1_000_000
STORM_S = 10.0  # how long a storm of faults lasts by default
REBOOT_S = 1.0  # how long each machine of a rolling reboot is down by default
GAP_S = 0.5  # from one machine's restart to the next one's kill

# Bad wifi, like that of a laptop far from its access point: the phases with their probabilities, and their ranges.
WEATHER = (("stall", 0.5), ("slow", 0.4), ("reset", 0.1))
STALL_S = (0.05, 1.5)
SLOW_S = (0.3, 2.0)
CALM_S = (0.1, 0.8)
SLOW_MS = (20.0, 200.0)
SLOW_MBIT = (1.0, 5.0)


class Case(Struct, frozen=True):
    """A fault that happens, with its targets."""

    fault: Fault
    verb: str  # a key of `VERBS`
    targets: tuple[Machine, ...]  # in the order of the file, every parent before its children
    topology: Topology
    draws: NamedDraws


_UNSET = Fault()


def actions(topology: Topology, *, seed: int) -> tuple[Action, ...]:
    """The actions of all faults of a topology, in the order of time. They depend on the topology and the seed only.

    The draws of a fault depend on the fault and the seed, and not on other faults: without one of them, the others
    strike as before. A fault whose target matches no machine does nothing. Actions may be later than the end of the
    session.
    """
    found: list[Action] = []
    twins: dict[Fault, int] = {}
    for index, fault in enumerate(topology.faults):
        twins[fault] = twins.get(fault, -1) + 1
        draws = NamedDraws(seed, _canonical(fault), twins[fault])
        found += _actions_of(topology, fault, index, draws)
    return tuple(sorted(found, key=lambda action: (action.at_us, action.fault)))


def _canonical(fault: Fault) -> bytes:
    """Bytes that are the same for equal faults.

    The plain encoding is not: msgspec recognizes a default by identity, which pickling does not keep, and an integer 1
    becomes 1.0 in a file.
    """
    given = {name: getattr(fault, name) for name in Fault.__struct_fields__}
    changed = {name: value for name, value in given.items() if value != getattr(_UNSET, name)}
    return msgspec.json.encode(msgspec.convert(msgspec.to_builtins(changed), Fault))


def _actions_of(topology: Topology, fault: Fault, index: int, draws: NamedDraws) -> Iterator[Action]:
    verb = verb_of(fault)
    if not VERBS[verb].is_of_messages and draws.share("happens") >= fault.probability:
        return
    begin_s = fault.at_s or 0.0
    if fault.between_s is not None:
        begin_s = draws.between(*fault.between_s, "time")
    targets = _targets(topology, target_of(fault), draws, links=VERBS[verb].on == "link")
    case = Case(fault=fault, verb=verb, targets=targets, topology=topology, draws=draws)
    for action in _steps(case) if targets else ():
        yield replace(action, at_us=action.at_us + round(begin_s * 1_000_000), fault=index)


def _targets(
    topology: Topology, target: str | tuple[str, ...] | Several, draws: NamedDraws, *, links: bool
) -> tuple[Machine, ...]:
    """The machines of a target, in the order of the file. A draw of more machines than there are takes all."""
    of = target.of if isinstance(target, Several) else target
    words = (of,) if isinstance(of, str) else of
    terminal = topology.terminal.id
    machines = [machine for machine in topology.machines if named(words, machine.id, terminal=terminal)]
    if links:
        machines = [machine for machine in machines if machine.parent is not None]
    if isinstance(target, Several) and target.depth is not None:
        tree = Tree(topology)
        machines = [machine for machine in machines if tree.depth(machine.id) == target.depth]
    if isinstance(target, Several) and target.random is not None:
        drawn = draws.shuffled((machine.id for machine in machines), "target")[: target.random]
        machines = [machine for machine in machines if machine.id in drawn]
    return tuple(machines)


def _steps(case: Case) -> list[Action]:
    """The actions of a fault, in the order of time. `at_us` counts from the beginning of the fault."""
    storm = _STORMS.get(case.verb)
    found = storm(case) if storm is not None else _plain(case)
    return sorted(found, key=lambda action: action.at_us)  # stable: actions of one time keep their order


# Faults of one verb, and their ends

def _plain(case: Case) -> Iterator[Action]:
    fault, kind = case.fault, VERBS[case.verb]
    verb = kind.acts[0]
    for machine in case.targets:
        yield _begun(case, verb, machine)
    end_s = getattr(fault, kind.until) if kind.until else None
    if end_s is None:
        return
    for machine in case.targets:
        yield Action(at_us=_us(end_s), verb=ENDS[verb], target=machine.id, what=fault.what, way=fault.way)


def _begun(case: Case, verb: Verb, machine: Machine) -> Action:
    fault = case.fault
    if verb == "shape":
        shape = _shape(machine, 0, latency_ms=fault.latency_ms, jitter_ms=fault.jitter_ms, rate_mbit=fault.rate_mbit)
        return replace(shape, way=fault.way)
    if not VERBS[case.verb].is_of_messages:
        return Action(at_us=0, verb=verb, target=machine.id, what=fault.what, way=fault.way)
    return Action(
        at_us=0,
        verb=verb,
        target=machine.id,
        way=fault.way,
        probability=fault.probability,
        key=fault.key,
        first=fault.first,
    )


def _shape(
    machine: Machine, at_us: int, *, latency_ms: float | None, jitter_ms: float | None, rate_mbit: float | None
) -> Action:
    """A shape action. What is None has the value of the machine's `link:`."""
    own = machine.link
    return Action(
        at_us=at_us,
        verb="shape",
        target=machine.id,
        latency_ms=latency_ms if latency_ms is not None else own.latency_ms if own else 0.0,
        jitter_ms=jitter_ms if jitter_ms is not None else own.jitter_ms if own else 0.0,
        rate_mbit=rate_mbit if rate_mbit is not None else own.rate_mbit if own else None,
    )


# Storms of faults


def _power_cut(case: Case) -> Iterator[Action]:
    """Cut the links first, so that no neighbour notices how a dying machine closes its connections."""
    tree = Tree(case.topology)
    dark = tree.subtree(*(machine.id for machine in case.targets))
    links = [id for id in dark if tree.parent(id) is not None]
    yield from (Action(at_us=0, verb="cut", target=id) for id in links)
    yield from (Action(at_us=0, verb="kill", target=id) for id in dark)
    if case.fault.restart_after_s is None:
        return
    back_us = _us(case.fault.restart_after_s)
    for id in dark:
        if id in links:
            yield Action(at_us=back_us, verb="heal", target=id)
        yield Action(at_us=back_us, verb="restart", target=id)


def _wifi_bad(case: Case) -> Iterator[Action]:
    for machine in case.targets:
        yield from _weather(case, machine)


def _weather(case: Case, machine: Machine) -> Iterator[Action]:
    """The bad wifi of one link. It is drawn independently of other links."""
    end_s = case.fault.for_s or STORM_S
    at_s, n = 0.0, 0
    while at_s < end_s:

        def draw(least: float, most: float, what: str, n: int = n) -> float:
            return case.draws.between(least, most, machine.id, n, what)

        what = _choose(WEATHER, draw(0, 1, "what"))
        if what == "reset":
            yield Action(at_us=_us(at_s), verb="reset", target=machine.id)
        elif what == "stall":
            yield Action(at_us=_us(at_s), verb="hold", target=machine.id)
            at_s = min(end_s, at_s + draw(*STALL_S, "stall"))
            yield Action(at_us=_us(at_s), verb="release", target=machine.id)
        else:
            yield _slow_phase(machine, _us(at_s), draw)
            at_s = min(end_s, at_s + draw(*SLOW_S, "slow"))
            yield Action(at_us=_us(at_s), verb="heal", target=machine.id)
        at_s += draw(*CALM_S, "calm")
        n += 1


def _slow_phase(machine: Machine, at_us: int, draw: Callable[[float, float, str], float]) -> Action:
    """A shape that is never better than the link's own."""
    own = machine.link
    latency = draw(*SLOW_MS, "latency") + (own.latency_ms if own else 0.0)
    rate = min(draw(*SLOW_MBIT, "rate"), own.rate_mbit or SLOW_MBIT[1] if own else SLOW_MBIT[1])
    jitter = latency * draw(0.1, 0.5, "jitter")
    return _shape(machine, at_us, latency_ms=round(latency, 1), jitter_ms=round(jitter, 1), rate_mbit=round(rate, 3))


def _choose(chances: tuple[tuple[str, float], ...], share: float) -> str:
    for what, chance in chances:
        if share < chance:
            return what
        share -= chance
    return chances[-1][0]


def _swizzle(case: Case) -> Iterator[Action]:
    """Cut links over the first half of the time, and heal them over the second."""
    links = [machine.id for machine in case.targets]
    struck = [link for link in links if case.draws.share("struck", link) < 0.5]
    struck = struck or case.draws.shuffled(links, "one")[:1]
    half_us = _us(case.fault.for_s or STORM_S) // 2
    for n, link in enumerate(case.draws.shuffled(struck, "cut")):
        yield Action(at_us=half_us * n // len(struck), verb="cut", target=link)
    for n, link in enumerate(case.draws.shuffled(struck, "healed"), 1):
        yield Action(at_us=half_us + half_us * n // len(struck), verb="heal", target=link)


def _rolling_reboot(case: Case) -> Iterator[Action]:
    down_us = _us(REBOOT_S if case.fault.restart_after_s is None else case.fault.restart_after_s)
    turn_us = down_us + _us(GAP_S)
    if case.fault.for_s is not None:
        turn_us = min(turn_us, _us(case.fault.for_s) // max(1, len(case.targets)))
    for n, machine in enumerate(case.targets):
        yield Action(at_us=turn_us * n, verb="kill", target=machine.id)
        yield Action(at_us=turn_us * n + min(down_us, turn_us), verb="restart", target=machine.id)


_STORMS: dict[str, Callable[[Case], Iterator[Action]]] = {
    "power_cut": _power_cut,
    "wifi_bad": _wifi_bad,
    "swizzle": _swizzle,
    "rolling_reboot": _rolling_reboot,
}


def _us(seconds: float) -> int:
    return round(seconds * SECOND)
