"""All kinds of things that a run can go through, from the tables of the code, and those of one run.

A kind is a group and a name: `fault kill`, `effect Gap`, `verdict confirm explained`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

from autopilot_net.protocol.effects import Effect
from sim.checks.registry import CHECKS
from sim.evidence.journal import Journal
from sim.lab.fault import VERBS, Fault, verb_of
from sim.lab.topology import Files, Link, Machine, Session, Stream, Topology, Trials
from sim.scenario import Op, Scenario
from sim.verdict import Check

__all__ = ["GROUPS", "PATHS", "Kind", "kinds", "kinds_of_checks", "kinds_of_scenario"]

GROUPS = ("fault", "option", "step", "lab", "effect", "verdict")
PATHS = ("held", "explained", "unknown", "broke")  # of each check
PARTS = {"machine": Machine, "trials": Trials, "stream": Stream, "link": Link, "files": Files, "session": Session}
# What names a machine or says where it is, and decides nothing in a run that is not on the lab's own network; and what
# holds the other parts.
NO_SETTINGS = {f"machine.{name}" for name in ("id", "parent", "children", "kind", "host", "port", "stands_in_for")}
NO_SETTINGS |= {f"machine.{name}" for name in ("trials", "streams", "link")} | {"files.dir"}


class Kind(Struct, frozen=True, order=True):
    """One kind of thing that a run can go through."""

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.group} {self.name}"


@cache
def _kind(group: str, name: str) -> Kind:
    """The one value of that kind: a tally names it a thousand times, and is sent from process to process."""
    return Kind(group, name)


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds there are, group by group."""
    names: dict[str, Iterable[str]] = {
        "fault": VERBS,
        "option": (f"{verb}.{option}" for verb, facts in VERBS.items() for option in facts.options),
        "step": (_step(op) for op in get_args(Op)),
        "lab": _settings(),
        "effect": (effect.__name__ for effect in get_args(Effect)),
        "verdict": (f"{row.name} {path}" for row in CHECKS for path in PATHS),
    }
    return tuple(_kind(group, name) for group in GROUPS for name in names[group])


def kinds_of_scenario(scenario: Scenario, happened: Iterable[int]) -> Iterator[Kind]:
    """What a scenario has. Of its faults, those of these numbers happened."""
    for number in sorted(set(happened)):
        fault = scenario.topology.faults[number]
        verb = verb_of(fault)
        yield _kind("fault", verb)
        yield from (_kind("option", f"{verb}.{name}") for name in VERBS[verb].options if _is_set(fault, name))
    yield from (_kind("step", _step(type(op))) for example in scenario.examples for op in example.ops)
    yield from (_kind("lab", name) for name in _settings_of(scenario.topology))


def kinds_of_checks(journal: Journal, checks: Iterable[Check]) -> Iterator[Kind]:
    """The effects that a run had, and what its checks said."""
    yield from (_kind("effect", name) for name in {trace.do for trace in journal.traces})
    result = {"pass": "held", "fail": "broke", "unknown": "unknown"}
    for check in checks:
        yield _kind("verdict", f"{check.name} {result[check.result]}")
        if check.explained:
            yield _kind("verdict", f"{check.name} explained")


def _step(op: Any) -> str:
    return str(op.__struct_config__.tag)


# -- what a lab has ----------------------------------------------------------------------------------------------------


def _settings() -> list[str]:
    """The keys of a topology file that a lab may have or not."""
    named = [f"{part}.{name}" for part, kind in PARTS.items() for name in kind.__struct_fields__]
    return [name for name in named if name not in NO_SETTINGS]


def _settings_of(topology: Topology) -> Iterator[str]:
    """Those that differ from their defaults somewhere in this lab."""
    for part in _parts(topology):
        kind = next(name for name, struct in PARTS.items() if type(part) is struct)
        names = (f"{kind}.{name}" for name in part.__struct_fields__ if _is_set(part, name))
        yield from (name for name in names if name not in NO_SETTINGS)


def _parts(topology: Topology) -> Iterator[Struct]:
    yield topology.files
    yield topology.session
    for machine in topology.machines:
        yield machine
        yield from machine.streams.values()
        yield from (part for part in (machine.trials, machine.link) if part is not None)


def _is_set(part: Struct | Fault, name: str) -> bool:
    return bool(getattr(part, name) != _defaults(type(part)).get(name, msgspec.UNSET))


@cache
def _defaults(kind: type[Struct]) -> dict[str, Any]:
    fields = msgspec.structs.fields(kind)
    made = {f.name: f.default_factory() for f in fields if f.default_factory is not msgspec.NODEFAULT}
    return made | {f.name: f.default for f in fields if f.default is not msgspec.NODEFAULT}
