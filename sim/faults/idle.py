"""Finds faults that do nothing in a lab. A test that plays such a fault would always pass."""

from __future__ import annotations

from msgspec.structs import replace

from sim.faults.compile import actions
from sim.faults.describe import describe
from sim.lab.fault import Fault, target_of, verb_of
from sim.lab.topology import Topology
from sim.lab.validate_faults import idle_options, is_after_session, options_of

__all__ = ["why_idle"]

_UNSET = Fault()


def why_idle(fault: Fault, topology: Topology) -> str:
    """Why `fault` strikes no machine of this lab, or has an option without effect. Empty if neither is so."""
    verb = verb_of(fault)
    given = [name for name in Fault.__struct_fields__ if getattr(fault, name) != getattr(_UNSET, name)]
    if idle := idle_options(verb, given):
        return f"{idle[0]} means nothing to {verb}, which takes {', '.join(sorted(options_of(verb)))}"
    earliest, latest = fault.between_s or (fault.at_s, fault.at_s)
    if earliest is None or latest is None:
        return "the fault does not say when, by at_s or between_s"
    duration_s = topology.session.duration_s
    if is_after_session(earliest, latest, duration_s):
        return f"the fault at {latest:g} s is not within the session of {duration_s:g} s ({describe(fault)})"
    if not actions(replace(topology, faults=(replace(fault, probability=1.0),)), seed=0):
        return f"no machine of {topology.name} matches {verb}={target_of(fault)!r}"
    return ""
