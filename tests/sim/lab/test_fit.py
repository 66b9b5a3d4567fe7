"""A value that does not have the type of its key is told with its line, and with what it must be."""

from typing import Any

import pytest

from tests.sim.lab.files import cases

MISTAKES = cases(
    r"""
pilots: [{id: 5}]
=> 1: `id` must be text, not 5; put quotes around it.

pilots: [{id: r, subjects: m1}]
=> 1: `subjects` must be a list, not 'm1'.

pilots: [{id: r, subjects: [null]}]
=> 1: `subjects[0]` must be text, not nothing.

pilots: [{id: r, port: 70000}]
=> 1: `port` must be a whole number from 1 to 65535, not 70000.

pilots: [{id: r, env: {DEBUG: 1}}]
=> 1: `env.DEBUG` must be text, not 1; put quotes around it.

pilots: [{id: r, trials: {every_s: 1, stages: yes}}]
=> 1: `trials.stages` must be a whole number, 1 or more, not yes.

pilots: [{id: r, trials: {every_s: true}}]
=> 1: `trials.every_s` must be a number of seconds above 0, or two of them: [least, most], not true.

pilots: [{id: r, trials: {every_s: [0, 2]}}]
=> 1: `trials.every_s` must be above 0, not [0, 2].

pilots: [{id: r, trials: {every_s: [3, 2]}}]
=> 1: `trials.every_s` is [least, most], and 3 is more than 2.

pilots: [rig_1]
=> 1: what stands here must be a mapping of keys to values, not 'rig_1'.

pilots: {id: r}
=> 1: `pilots` must be a list, not a mapping.

pilots: []
=> 1: `pilots` is empty; a lab needs at least one.

name: x
=> 1: `pilots` is missing.

pilots: [{host: h}]
=> 1: `id` is missing.

- a
- b
=> 1: what stands here must be a mapping of keys to values, not a list.

...
session: {pace: .nan}
=> 3: '.nan' is no number for a lab; give a finite one below 2**63.

...
session: {pace: .inf}
=> 3: '.inf' is no number for a lab; give a finite one below 2**63.

...
    params: {a: 99999999999999999999}
=> 3: '99999999999999999999' is no number for a lab; give a finite one below 2**63.

...
session: {pace: 0}
=> 3: `session.pace` must be a number above 0, not 0.

...
storm: {examples: -1}
=> 3: `storm.examples` must be a whole number, 0 or more, not -1.

...
storm: {messages: 1.5}
=> 3: `storm.messages` must be a whole number, 0 or more, not 1.5.

...
repeat_interval_s: soon
=> 3: `repeat_interval_s` must be a number above 0, not 'soon'.

...
terminal: {streams: {}}
=> 3: unknown key 'streams' in `terminal`; known here: id, host, port, env, durable.

...
terminal: {link: {latency_ms: 1}}
=> 3: unknown key 'link' in `terminal`; known here: id, host, port, env, durable.

...
kinds: {a: {id: x}}
=> 3: unknown key 'id' in `kinds.a`; did you mean 'kind'?
"""
)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_alone_with_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert mistakes_in(text) == [MISTAKES[text]]
