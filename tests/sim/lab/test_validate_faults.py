"""Mistakes in links and faults, each with its line; and faults that are right."""

from typing import Any

import msgspec
import pytest
import yaml

from sim.faults.compile import actions
from sim.lab.fault import Fault
from sim.lab.topology import load
from tests.sim.lab.files import ONE_RIG, cases

FINE = """
[{at_s: 0, kill: cam, what: program}, {at_s: 1, restart: "*"}]
[{at_s: 1, power_cut: rig_1}, {at_s: 2, heal: cam}, {at_s: 2, restart: [cam]}, {at_s: 3, restart: rig_1}]
[{between_s: [2, 4], swizzle: {depth: 1}, for_s: 2}, {between_s: [1, 2], heal: rig_1}]
[{at_s: 1, pause: T, resume_after_s: 2}, {at_s: 9.9, rolling_reboot: {random: 2}, for_s: 3, probability: 0.5}]
[{at_s: 1, stall: "rig_?", heal_after_s: 1, way: up}, {at_s: 1.5, release: rig_1}]
[{at_s: 1, drop: cam, key: DATA, first: 3}, {at_s: 1, duplicate: cam, way: down, heal_after_s: 3}]
[{at_s: 1, slow: cam, jitter_ms: 1}, {at_s: 1, switch_dies: [cam, rig_1], heal_after_s: 1}, {at_s: 2, reset: rig_1}]
"""


@pytest.mark.parametrize("faults", FINE.strip().splitlines())
def test_faults_are_read_as_they_stand(faults: str, write: Any) -> None:
    topology = load(write(f"{ONE_RIG}    children: [{{id: cam}}]\nfaults: {faults}\n"))
    plain = yaml.safe_load(faults)
    assert topology.faults == tuple(msgspec.convert(fault, Fault) for fault in plain)
    assert actions(topology, seed=3)


MISTAKES = cases(
    r"""
# links and faults

...
    link: {latency_ms: -8}
=> 3: `link.latency_ms` must be a number of milliseconds from 0 to 60000, not -8.

...
    link: {rate_mbit: 0}
=> 3: `link.rate_mbit` must be a number above 0, not 0.

...
    durable: 1
=> 3: `durable` must be true or false, not 1.

...
faults: [rig_1]
=> 3: what stands here must be a mapping of keys to values, not 'rig_1'.

...
faults: [{at_s: 1, kil: rig_1}]
=> 3: unknown key 'kil'; did you mean 'kill'?

...
faults: [{at_s: 1}]
=> 3: the fault does not say what goes wrong; give one of kill, restart, pause, resume, cut, heal, hold, release,
   stall, reset, mute, slow, drop, duplicate, power_cut, switch_dies, wifi_bad, swizzle, rolling_reboot.

...
faults: [{at_s: 1, kill: rig_1, cut: rig_1}]
=> 3: the fault has `kill` and `cut`; give each an entry of its own.

...
faults: [{kill: rig_1}]
=> 3: the fault does not say when; give `at_s`, or `between_s` to have it drawn.

...
faults: [{at_s: 1, between_s: [1, 2], kill: rig_1}]
=> 3: the fault has both `at_s` and `between_s`; give one of them.

...
faults: [{between_s: 1, kill: rig_1}]
=> 3: `between_s` must be two numbers of seconds, 0 or more: [earliest, latest], not 1.

...
faults: [{between_s: [1, 2, 3], kill: rig_1}]
=> 3: `between_s` must be two numbers of seconds, 0 or more: [earliest, latest], not a list.

...
faults: [{between_s: [2, 1], kill: rig_1}]
=> 3: `between_s` is [earliest, latest], and 2 is more than 1.

...
session: {duration_s: 12}
faults: [{at_s: 30, kill: rig_1}]
=> 4: a fault at 30 s is not within the session of 12 s.

...
session: {duration_s: 12}
faults: [{at_s: 12, kill: rig_1}]
=> 4: a fault at 12 s is not within the session of 12 s.

...
faults: [{between_s: [9, 10.5], kill: rig_1}]
=> 3: a fault at 10.5 s is not within the session of 10 s.

...
faults: [{at_s: 1, kill: rig_1, heal_after_s: 2}]
=> 3: `heal_after_s` means nothing to `kill`; it takes what, restart_after_s.

...
faults: [{at_s: 1, reset: rig_1, way: up}]
=> 3: `way` means nothing to `reset`; it takes none but a time and a probability.

...
faults: [{at_s: 1, cut: rig_1, way: sideways}]
=> 3: `way` must be one of both, up, down, not 'sideways'.

...
faults: [{at_s: 1, kill: rig_1, what: cable}]
=> 3: `what` must be one of machine, station, program, not 'cable'.

...
faults: [{at_s: 1, drop: rig_1, first: 0}]
=> 3: `first` must be a whole number, 1 or more, not 0.

...
faults: [{at_s: 1, kill: rig_1, probability: 30}]
=> 3: `probability` must be a number from 0 to 1, not 30.

...
faults: [{at_s: 1, slow: rig_1}]
=> 3: `slow` does not say how slow; give at least one of latency_ms, jitter_ms, rate_mbit.

...
faults: [{at_s: 1, stall: rig_1}]
=> 3: `stall` needs `heal_after_s`; what does not end by itself is a `hold`.

...
faults: [{at_s: 1, kill: rig_2}]
=> 3: `kill` has no target: there is no machine 'rig_2'; did you mean 'rig_1'?

...
faults: [{at_s: 1, kill: "box_*"}]
=> 3: `kill` has no target: no machine's id matches 'box_*'; known here: T, rig_1.

...
faults:
  - at_s: 1
    kill: [rig_1,
           rg_1]
=> 6: `kill` has no target: there is no machine 'rg_1'; did you mean 'rig_1'?

...
faults: [{at_s: 1, kill: []}]
=> 3: `kill` names no machine; give at least one id.

...
faults: [{at_s: 1, kill: {}}]
=> 3: `kill` names no machine; give `depth`, `random` or `of`.

...
faults: [{at_s: 1, kill: 5}]
=> 3: `kill` must be an id, a pattern such as rig_*, a list of these, or {depth: …, random: …, of: …}, not 5.

...
faults: [{at_s: 1, kill: [5]}]
=> 3: `kill[0]` must be text, not 5; put quotes around it.

...
faults: [{at_s: 1, kill: {randon: 1}}]
=> 3: unknown key 'randon' in `kill`; did you mean 'random'?

...
faults: [{at_s: 1, kill: {random: 0}}]
=> 3: `kill.random` must be a whole number, 1 or more, not 0.

...
faults: [{at_s: 1, kill: {random: 2, of: "rig_*"}}]
=> 3: `kill` cannot draw 2 out of 1 machine; ask for fewer.

...
faults: [{at_s: 1, kill: {depth: 2}}]
=> 3: `kill` has no target: none of these is 2 below the terminal; the deepest is 1.

...
faults: [{at_s: 1, cut: T}]
=> 3: 'T' is the terminal, and has no link up that `cut` could strike; name machines below it.

...
faults: [{at_s: 1, wifi_bad: {of: T}}]
=> 3: 'T' is the terminal, and has no link up that `wifi_bad` could strike; name machines below it.

...
faults: [{at_s: 1, kill: rig_1}, {at_s: 2, heal: rig_1}]
=> 3: there is nothing to heal at 2 s: no fault cuts or slows the link of 'rig_1' before that.

...
faults: [{at_s: 3, kill: rig_1}, {between_s: [1, 2], restart: rig_1}]
=> 3: there is nothing to restart at up to 2 s: no fault kills 'rig_1' before that.

...
  - id: rig_2
faults:
  - {at_s: 1, pause: rig_2}
  - {at_s: 2, resume: rig_1}
=> 6: there is nothing to resume at 2 s: no fault pauses 'rig_1' before that.

...
faults: [{at_s: 2, release: "*"}]
=> 3: there is nothing to release at 2 s: no fault holds the link of 'rig_1' before that.
"""
)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_alone_with_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert mistakes_in(text) == [MISTAKES[text]]
