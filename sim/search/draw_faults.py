"""Hypothesis strategies for faults in a given lab. `load` would accept each in the file of that lab.

A fault shrinks towards a kill of one machine that lasts until everything is healed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from sim.lab.fault import ACTION_VERBS, VERBS, Fault, Several, What, target_of, verb_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.search.draw import chance, pick, some

__all__ = ["aimed", "cuts", "ends", "faults"]

KEYS = (
    *("STORM", "CONFIRM", "STREAM", "STORM_ITEM", "DATA", "HANDSHAKE"),
    *("START", "STOP", "STATE", "CONTINUOUS", "GONE", "BACK"),
)
OFFSETS_S = (0.0, 0.001, 0.003, 0.01, -0.01, 0.03, 0.1, -0.1, 0.3, -0.5, 1.0)

_AFTER_S = (0.5, 0.05, 0.2, 1.0, 2.0)  # short enough that a sender with repeats every half second does not give up
_END_S = (None, *_AFTER_S)
_WAY = ("both", "up", "down")
_WHAT: tuple[What, ...] = ("machine", "station", "program")
_FOR_S = (1.0, 0.5, 2.0, 3.0)
_VALUES: dict[str, tuple[Any, ...]] = {
    "what": _WHAT,
    "way": _WAY,
    "probability": (1.0, 0.5, 0.1),
    "key": (None, None, None, *KEYS),
    "first": (None, 1, 2, 3),
    "latency_ms": (1.0, 20.0, 200.0),
    "jitter_ms": (None, 1.0, 50.0),
    "rate_mbit": (None, 10.0, 1.0),
    "for_s": _FOR_S,
    **dict.fromkeys(("restart_after_s", "resume_after_s", "heal_after_s", "release_after_s"), _END_S),
}
_BEGIN = [verb for verb, kind in VERBS.items() if not ACTION_VERBS[kind.acts[0]].undoes]
_VIRTUAL_VERBS = tuple(verb for verb in _BEGIN for _ in range(1 if VERBS[verb].is_storm else VERBS[verb].weight))
_VERBS = tuple(verb for verb in _VIRTUAL_VERBS if not VERBS[verb].is_of_messages)


def _values(verb: str) -> dict[str, tuple[Any, ...]]:
    """What to draw each option of a verb from. A fault that must end by itself does: the rest of the run waits."""
    kind = VERBS[verb]
    drawn = {name: _VALUES[name] for name in (*kind.options, *(("probability",) if kind.is_of_messages else ()))}
    if kind.until in kind.needs:
        drawn[kind.until] = _AFTER_S
    if verb == "rolling_reboot":
        drawn |= {"restart_after_s": _AFTER_S, "for_s": (None, *_FOR_S)}
    return drawn


@st.composite
def faults(draw: st.DrawFn, topology: Topology, *, virtual: bool = True, around_s: float | None = None) -> Fault:
    """One fault, of any verb that begins something. `drop` and `duplicate` are drawn only if `virtual`: TCP hides them.

    It comes about `around_s` seconds into the session, or at any time of it. `ends` draws the verbs that end a fault.
    """
    verb = pick(draw, _VIRTUAL_VERBS if virtual else _VERBS)
    keys = {name: pick(draw, values) for name, values in _values(verb).items()}
    if "probability" not in keys and chance(draw, 10):
        keys["probability"] = 0.5
    one_alone = not VERBS[verb].is_storm and not chance(draw, 5)
    with_terminal = VERBS[verb].on == "machine" and not VERBS[verb].is_storm
    target = pick(draw, _TARGETS[:1] if one_alone else _TARGETS)(draw, topology, with_terminal)
    return Fault(**{verb: target}, **_time(draw, topology, around_s), **keys)


@st.composite
def ends(draw: st.DrawFn, topology: Topology, fault: Fault) -> Fault | None:
    """A fault that ends `fault`, some time after it; None if it ends by itself, or no time is left."""
    kind = VERBS[verb_of(fault)]
    end = None if kind.is_storm or kind.until in kind.needs else next(iter(kind.ended_by), None)
    begun_s = fault.at_s or 0.0
    at_s = round(begun_s + pick(draw, _AFTER_S), 3)
    if end is None or fault.between_s or at_s >= topology.session.duration_s:
        return None
    if getattr(fault, kind.until) is not None:
        return None
    keys: dict[str, Any] = {"what": fault.what} if kind.on == "machine" else {"way": fault.way}
    keys |= {end: target_of(fault), "at_s": at_s}
    return Fault(**keys)


@st.composite
def aimed(
    draw: st.DrawFn, topology: Topology, path: Sequence[str], *, at_s: float, virtual: bool = True
) -> list[Fault]:
    """One or two faults for a message that crosses the machines of `path` at `at_s`.

    The message or its confirmation is lost, or a machine of the path dies. A random fault would seldom hit the
    millisecond in which a message is under way.
    """
    end_s = round(topology.session.duration_s * 0.9, 3)
    at_s = min(at_s, end_s)
    lower = [machine.id for machine in topology.machines if {machine.id, machine.parent} <= set(path)]
    if lower and virtual and chance(draw, 3):
        return _unconfirmed(draw, path, lower, at_s, end_s)
    lost = [_loss(draw, lower, at_s, virtual=virtual)] if lower and not chance(draw, 4) else []
    if lost and chance(draw, 2):
        return lost
    dies_s = min(end_s, round(at_s + pick(draw, (0.1, 0.3, 0.003, 0.001, 0.01, 0.03)), 3))
    what: What = pick(draw, _WHAT)
    back_s = pick(draw, (0.2, 0.05, 1.0, 4.0))
    return [*lost, Fault(kill=pick(draw, [path[-1], *path]), what=what, at_s=dies_s, restart_after_s=back_s)]


@st.composite
def cuts(draw: st.DrawFn, topology: Topology, path: Sequence[str], *, at_s: float, for_s: float) -> list[Fault]:
    """A cut of one link between the machines of `path`, if there is one, from `at_s` on."""
    lower = [machine.id for machine in topology.machines if {machine.id, machine.parent} <= set(path)]
    at_s = min(at_s, round(topology.session.duration_s * 0.9, 3))
    return [Fault(cut=pick(draw, lower), at_s=at_s, heal_after_s=for_s)] if lower else []


def _unconfirmed(draw: st.DrawFn, path: Sequence[str], links: Sequence[str], at_s: float, end_s: float) -> list[Fault]:
    """Confirmations are lost until the recipient has died. So a handled message is sent to its next life again."""
    lost = Fault(drop=tuple(links), key="CONFIRM", at_s=at_s, heal_after_s=pick(draw, (1.0, 2.0)))
    what: What = pick(draw, _WHAT)
    dies_s = min(end_s, round(at_s + 0.6, 3))
    return [lost, Fault(kill=path[-1], what=what, at_s=dies_s, restart_after_s=0.2)]


def _loss(draw: st.DrawFn, links: Sequence[str], at_s: float, *, virtual: bool) -> Fault:
    link = pick(draw, links)
    if not virtual or chance(draw, 4):
        keys: dict[str, Any] = {pick(draw, ("reset", "cut", "hold")): link}
        return Fault(at_s=at_s, **keys)
    key = pick(draw, ("CONFIRM", None, "STORM", "STREAM"))
    return Fault(
        drop=link, key=key, first=pick(draw, (None, 1, 2)), at_s=at_s, heal_after_s=pick(draw, (0.5, 1.0, 2.0))
    )


def _time(draw: st.DrawFn, topology: Topology, around_s: float | None) -> dict[str, Any]:
    """The time of a fault, within the session."""
    end_s = topology.session.duration_s
    if around_s is None:
        at_s = draw(st.integers(0, int(min(end_s, 3600) * 10))) / 10
    else:
        at_s = round(max(0.0, around_s + pick(draw, OFFSETS_S)), 3)
    at_s = min(at_s, round(end_s * 0.9, 3))
    if not chance(draw, 6):
        return {"at_s": at_s}
    return {"between_s": (at_s, min(end_s, round(at_s + pick(draw, (0.1, 0.5)), 3)))}


# The target of a fault. A link is named by the machine at its lower end, so the terminal has no link.


def _one(draw: st.DrawFn, topology: Topology, with_terminal: bool) -> str:
    return pick(draw, _ids(topology, with_terminal=with_terminal))


def _list(draw: st.DrawFn, topology: Topology, with_terminal: bool) -> tuple[str, ...]:
    return tuple(some(draw, _ids(topology, with_terminal=with_terminal), 3))


def _pattern(draw: st.DrawFn, topology: Topology, with_terminal: bool) -> str:
    del with_terminal  # no pattern matches the terminal
    below = _ids(topology, with_terminal=False)
    return pick(draw, sorted({"*", *(id[:-1] + "*" for id in below if len(id) > 1)}))


def _several(draw: st.DrawFn, topology: Topology, with_terminal: bool) -> Several:
    del with_terminal
    depths = _depths(topology)
    depth = pick(draw, (None, None, *sorted(set(depths))))
    count = len(depths) if depth is None else depths.count(depth)
    random = pick(draw, (None, *range(1, count + 1)))
    return Several(depth=depth, random=random)


_TARGETS: tuple[Callable[[st.DrawFn, Topology, bool], Any], ...] = (_one, _list, _pattern, _several)


def _ids(topology: Topology, *, with_terminal: bool) -> list[str]:
    below = [machine.id for machine in topology.machines[1:]]
    return [*below, topology.terminal.id] if with_terminal else below


def _depths(topology: Topology) -> list[int]:
    """The depth of each machine below the terminal."""
    tree = Tree(topology)
    return [tree.depth(machine.id) for machine in topology.machines[1:]]
