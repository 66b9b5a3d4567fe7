"""Checks the session's graduations, and that each expectation is about something that the lab has.

As in `validate.py`, checks take nodes, add mistakes with their lines, and skip broken nodes.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase

from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from sim.lab.expand import WrittenMachine
from sim.lab.validate_types import did_you_mean
from sim.lab.yaml.nodes import Mistakes, YamlNode, show

__all__ = ["check_expect", "check_session"]

# The keys that stations and programs of a rehearsal send: those that the roles listen for, those of every station,
# and those of the rehearsal.
_KEYS = tuple({**Terminal.keys(), **Pilot.keys(), **dict.fromkeys(("STREAM", "KILL", "STORM", "STORM_ITEM", "CRASH"))})


def check_session(machines: list[WrittenMachine], session: YamlNode | None, mistakes: Mistakes) -> None:
    """Add every mistake in `session` that concerns more than one key."""
    graduate = session.mapping.get("graduate") if session is not None else None
    if session is None or graduate is None:
        return
    duration = session.number("duration_s") if "duration_s" in session.mapping else 10.0
    pilots = [machine.id for machine in machines[0].children if machine.id is not None]
    ids = [machine.id for machine in machines]
    for graduation in graduate.items:
        pilot, at_s = graduation.text("pilot"), graduation.number("at_s")
        if pilot is not None and pilot not in pilots:
            why = "is no pilot: only machines right below the terminal are" if pilot in ids else "does not exist"
            mistakes.add(
                graduation.line_of("pilot"), f"{show(pilot)} cannot graduate, it {why}; {did_you_mean(pilot, pilots)}"
            )
        if at_s is not None and duration is not None and at_s >= duration:
            mistakes.add(
                graduation.line_of("at_s"), f"a graduation at {at_s} s is not within the session of {duration} s."
            )


def check_expect(machines: list[WrittenMachine], root: YamlNode, mistakes: Mistakes) -> None:
    """Add every mistake in `expect` that concerns more than one key."""
    expect = root.mapping.get("expect")
    if expect is None:
        return
    faults = root.mapping.get("faults")
    if "recovered_within_s" in expect.mapping and (faults is None or faults.value in (None, [])):
        line = expect.line_of("recovered_within_s")
        mistakes.add(line, "there is nothing to recover from: the lab has no `faults`; add one, or remove the key.")
    _check_during(expect, has_faults=faults is not None and faults.value not in (None, []), tell=mistakes.add)
    if "rigs" in expect.mapping:
        _check_expected_rigs(machines, expect.mapping["rigs"], mistakes)
    if "streams" in expect.mapping:
        _check_expected_streams(machines, expect.mapping["streams"], mistakes)
    if "keys" in expect.mapping and not any("program" in machine.entry.mapping for machine in machines):
        for name, node in expect.mapping["keys"].mapping.items():  # a lab's own program may send any key
            if (key := name.rpartition(".")[2]) not in _KEYS:
                close = did_you_mean(key.upper(), [*_KEYS])
                nobody = f"no station or program sends {show(key)}, so nothing can be expected of it"
                mistakes.add(node.line, f"{nobody}; {close}")


def _check_during(expect: YamlNode, *, has_faults: bool, tell: Callable[[int, str], None]) -> None:
    named = [under for key in ("rigs", "streams", "keys") if key in expect.mapping for under in [expect.mapping[key]]]
    given = [*(expect.mapping[key] for key in ("trials",) if key in expect.mapping)]
    given += [limits for under in named for limits in under.mapping.values()]
    for limits in [one for node in given for one in (node.items or [node])]:
        if limits.text("during") == "faults" and not has_faults:
            tell(limits.line_of("during"), "`during: faults` limits nothing: the lab has no `faults`; add one.")


def _check_expected_rigs(machines: list[WrittenMachine], expected: YamlNode, mistakes: Mistakes) -> None:
    rigs = [machine.id for machine in machines if machine.id is not None and "trials" in machine.entry.mapping]
    for name, node in expected.mapping.items():
        if not any(fnmatchcase(rig, name) for rig in rigs):
            nothing = f"no machine {show(name)} makes trials, so nothing can be expected of them"
            mistakes.add(node.line, f"{nothing}; {did_you_mean(name, rigs)}")


def _check_expected_streams(machines: list[WrittenMachine], expected: YamlNode, mistakes: Mistakes) -> None:
    names: dict[str, None] = {}
    for machine in machines:
        streams = machine.entry.mapping.get("streams")
        for name in streams.mapping if streams is not None else ():
            names |= {name: None, f"{machine.id}.{name}": None}
    for name, node in expected.mapping.items():
        if not any(fnmatchcase(known, name) for known in names):
            close = did_you_mean(name, names)
            mistakes.add(node.line, f"no machine has a stream {show(name)}, so nothing can be expected of it; {close}")
