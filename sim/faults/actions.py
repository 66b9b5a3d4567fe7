"""What is done to one machine or to one link at one time, as both worlds carry it out; and what ends it all.

Where actions come from is `compile.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, get_args

import msgspec

from sim.lab.fault import ACTION_VERBS, Verb, Way, What

if TYPE_CHECKING:
    from sim.lab.topology import Topology

__all__ = ["ENDS", "Action", "Verb", "healing"]

ENDS: dict[Verb, Verb] = {
    verb: facts.ended_by
    for verb in get_args(Verb)
    if (facts := ACTION_VERBS[verb]).ended_by
}
"""What lasts, and what ends it."""


class Action(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One thing that is done to one machine, or to the link from it up to its parent, at a time.

    What is done already is done again without harm: who is dead can be killed, and what is whole can be healed.
    """

    at_us: int  # microseconds after the play has begun
    verb: Verb
    target: str  # an id; of what is done to links, never the terminal's
    fault: int = 0  # which of the topology's faults it belongs to
    what: What = "machine"  # of kill, restart, pause, resume
    way: Way = "both"  # of what is done to links
    latency_ms: float = 0.0  # of shape, as the next two: what the link is like now, its own `link:` worked in
    jitter_ms: float = 0.0
    rate_mbit: float | None = None
    probability: float = 1.0  # of drop and duplicate, as the next two: to each message
    key: str | None = None  # of this key alone
    first: int | None = None  # so many of them on this link, and no more


def healing(topology: Topology, actions: Iterable[Action]) -> tuple[Action, ...]:
    """What still lasts after all of `actions`, as the actions that end it: parents first, a link before its machine.

    All are for the moment of the last action.
    """
    lasting: dict[tuple[str, Verb, str], int] = {}
    end_us = 0
    for action in actions:
        end_us = max(end_us, action.at_us)
        for part in _parts(action):
            _happen(lasting, action, part)
    ends: tuple[Verb, ...] = ("heal", "release", "restart", "resume")
    ids = [machine.id for machine in topology.machines]
    return tuple(action for id in ids for verb in ends for action in _ending(lasting, id, verb, end_us))


def _happen(lasting: dict[tuple[str, Verb, str], int], action: Action, part: str) -> None:
    end = ENDS.get(action.verb)
    if end is None:
        lasting.pop((action.target, action.verb, part), None)
        return
    if action.verb == "pause" and (action.target, "restart", part) in lasting:
        return  # the dead do not stand still
    if action.verb == "kill":
        lasting.pop((action.target, "resume", part), None)
    lasting[action.target, end, part] = action.fault


def _ending(lasting: dict[tuple[str, Verb, str], int], target: str, verb: Verb, at_us: int) -> Iterator[Action]:
    of_machine = ACTION_VERBS[verb].on == "machine"
    parts = ("station", "program") if of_machine else ("up", "down")
    faults = {part: lasting[target, verb, part] for part in parts if (target, verb, part) in lasting}
    if len(faults) == len(parts):
        yield Action(at_us=at_us, verb=verb, target=target, fault=max(faults.values()))
        return
    for part, fault in faults.items():
        half = Action(at_us=at_us, verb=verb, target=target, fault=fault)
        yield msgspec.structs.replace(half, **{"what" if of_machine else "way": part})


def _parts(action: Action) -> tuple[str, ...]:
    if ACTION_VERBS[action.verb].on == "machine":
        return ("station", "program") if action.what == "machine" else (action.what,)
    return ("up", "down") if action.way == "both" else (action.way,)
