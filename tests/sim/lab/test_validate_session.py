"""Mistakes in the session and in expectations, each with its line."""

from typing import Any

import pytest

from sim.lab.topology import load
from tests.sim.lab.files import ONE_RIG, cases


def test_a_lab_s_own_program_may_say_any_key(write: Any) -> None:
    expect = "expect: {keys: {LEVER: {lost: 0}}}\n"
    assert load(write(f'{ONE_RIG}    program: "json:JSONDecoder"\n{expect}')).expect.keys


MISTAKES = cases(
    r"""
# the run

...
session: {graduate: [{at_s: 1, pilot: rig_2}]}
=> 3: 'rig_2' cannot graduate, it does not exist; did you mean 'rig_1'?

...
    children: [{id: cam}]
session: {graduate: [{at_s: 1, pilot: cam}]}
=> 4: 'cam' cannot graduate, it is no pilot: only machines right below the terminal are; known here: rig_1.

...
session: {duration_s: 5, graduate: [{at_s: 5, pilot: rig_1}]}
=> 3: a graduation at 5 s is not within the session of 5 s.

...
session: {graduate: [{at_s: 5}]}
=> 3: `pilot` is missing.

...
expect: {streams: {camra: {missing: 0}}}
=> 3: no machine has a stream 'camra', so nothing can be expected of it; none is known here.

...
    streams: {s: {bytes: 1, rate_hz: 1}}
expect: {streams: {rig_2.s: {}}}
=> 4: no machine has a stream 'rig_2.s', so nothing can be expected of it; did you mean 'rig_1.s'?

...
    streams: {s: {bytes: 1, rate_hz: 1}}
expect: {streams: {s: {missing_pct: 101}}}
=> 4: `expect.streams.s.missing_pct` must be a number from 0 to 100, not 101.

...
expect: {keys: {start: {lost: 0}}}
=> 3: no station or program sends 'start', so nothing can be expected of it; did you mean 'START'?

...
    trials: {}
expect: {rigs: {"rog_*": {lost: 0}}}
=> 4: no machine 'rog_*' makes trials, so nothing can be expected of them; did you mean 'rig_1'?

...
    streams: {s: {bytes: 1, rate_hz: 1}}
expect: {streams: {"*.t": {}}}
=> 4: no machine has a stream '*.t', so nothing can be expected of it; known here: s, rig_1.s.

...
expect: {keys: {"rig_*.start": {lost: 0}}}
=> 3: no station or program sends 'start', so nothing can be expected of it; did you mean 'START'?

...
expect: {trials: [{p99_ms: 5}, {during: faults, p99_ms: 50}]}
=> 3: `during: faults` limits nothing: the lab has no `faults`; add one.

...
expect: {trials: {during: quiet}}
=> 3: `expect.trials.during` must be one of all, calm, faults, not 'quiet'.

...
expect: {recovered_within_s: 10}
=> 3: there is nothing to recover from: the lab has no `faults`; add one, or remove the key.

...
faults: []
expect: {recovered_within_s: 10}
=> 4: there is nothing to recover from: the lab has no `faults`; add one, or remove the key.
"""
)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_alone_with_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert mistakes_in(text) == [MISTAKES[text]]
