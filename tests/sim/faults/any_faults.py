"""Hypothesis strategies: any faults that a topology may have."""

from typing import Any

from hypothesis import strategies as st

from sim.lab.fault import VERBS, Fault, Several
from tests.sim.faults.small_lab import TREE

MACHINES = st.sampled_from([*TREE, "rig_*", "*", "nobody"])
TARGETS = (
    MACHINES
    | st.lists(MACHINES, max_size=3).map(tuple)
    | st.builds(
        Several, depth=st.none() | st.integers(1, 4), random=st.none() | st.integers(1, 5), of=st.sampled_from("*r")
    )
)
SECONDS = st.none() | st.floats(0, 20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "what": st.sampled_from(["machine", "station", "program"]),
    "way": st.sampled_from(["both", "up", "down"]),
    "for_s": st.none() | st.floats(0.01, 12),
    "key": st.none() | st.just("DATA"),
    "first": st.none() | st.integers(1, 3),
    "rate_mbit": st.none() | st.floats(0.1, 50),
    **dict.fromkeys(["latency_ms", "jitter_ms"], st.none() | st.floats(0, 300)),
    **dict.fromkeys(["restart_after_s", "resume_after_s", "heal_after_s", "release_after_s"], SECONDS),
}


@st.composite
def any_fault(draw: st.DrawFn) -> Fault:
    verb = draw(st.sampled_from(sorted(VERBS)))
    at = draw(st.floats(0, 30) | st.tuples(st.floats(0, 9), st.floats(9, 30)))
    keys: dict[str, Any] = {verb: draw(TARGETS), ("between_s" if isinstance(at, tuple) else "at_s"): at}
    options = {option: draw(VALUES[option]) for option in VERBS[verb].options}
    return Fault(**keys, **options, probability=draw(st.sampled_from([1.0, 0.5])))


FAULTS = st.lists(any_fault(), max_size=6)
SEEDS = st.integers(0, 2**40)
