"""Actions: single steps on one machine or link, which both worlds carry out, and those that end all lasting faults.

`compile.py` makes actions from faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, get_args

import msgspec

from sim.lab.fault import ACTION_VERBS, Verb, Way, What

if TYPE_CHECKING:
    from sim.lab.topology import Topology

__all__ = ["ENDS", "SILENCE_S", "Action", "Verb", "healing"]

SILENCE_S = 6.0  # how long TCP waits for an answer before it gives a connection up, in either world
ENDS: dict[Verb, Verb] = {
    verb: facts.ended_by
    for verb in get_args(Verb)
    if (facts := ACTION_VERBS[verb]).ended_by
}
"""The verbs that last -> the verb that ends each."""


class Action(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One step on one machine, or on the link from it up to its parent, at one time.

    A step that is done already may be done again: to kill a dead machine or to heal a sound link does nothing.
    """

    at_us: int  # microseconds after `World.play` has begun
    verb: Verb
    target: str  # the id of a machine. A link has that of its lower machine, so never the terminal's
    fault: int = 0  # the number of its fault in the topology, from 0
    what: What = "machine"  # for kill, restart, pause and resume
    way: Way = "both"  # for steps on links
    latency_ms: float = 0.0  # for shape, as the next two: the new values, including those of the link's `link:`
    jitter_ms: float = 0.0
    rate_mbit: float | None = None
    probability: float = 1.0  # for drop and duplicate, as the next two: of each message
    key: str | None = None  # only messages of this key
    first: int | None = None  # at most so many messages on this link


def healing(topology: Topology, actions: Iterable[Action]) -> tuple[Action, ...]:
    """The actions that end all faults which still last after `actions`. Parents are first, and links before machines.

    All have the time of the last action.
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
        return  # a dead machine cannot be paused
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
        action = Action(at_us=at_us, verb=verb, target=target, fault=fault)
        yield msgspec.structs.replace(action, **{"what" if of_machine else "way": part})


def _parts(action: Action) -> tuple[str, ...]:
    if ACTION_VERBS[action.verb].on == "machine":
        return ("station", "program") if action.what == "machine" else (action.what,)
    return ("up", "down") if action.way == "both" else (action.way,)
