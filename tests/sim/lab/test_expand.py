"""Kinds are inherited, ranges are written out, and templates are filled in."""

from typing import Any

import pytest

from sim.lab.topology import Stream, Trials, load
from tests.sim.lab.files import cases


def test_own_keys_win_maps_merge_lists_replace_and_null_takes_away(write: Any) -> None:
    rig = load(
        write(
            "kinds:\n"
            "  base: {host: b.local, subjects: [x, y], params: {a: 1, b: 2}, trials: {every_s: [1, 2], stages: 2}}\n"
            "  box:\n    kind: base\n    params: {b: 3, deep: {p: 1, q: 2}}\n"
            "    streams: {s: {fields: [u, v], rate_hz: 9}, gone: {bytes: 1, rate_hz: 1}}\n"
            "pilots:\n  - {id: r, kind: box, subjects: [z], params: {deep: {q: 5}}, trials: {bytes: 7},\n"
            "     streams: {s: {fields: [w]}, gone: null}}\n"
        )
    ).machine("r")
    assert rig.host == "b.local"
    assert rig.kind == "box"
    assert rig.subjects == ("z",)
    assert rig.params == {"a": 1, "b": 3, "deep": {"p": 1, "q": 5}}
    assert rig.trials == Trials(every_s=(1.0, 2.0), stages=2, bytes=7)
    assert rig.streams == {"s": Stream(fields=("w",), rate_hz=9.0)}


def test_a_template_is_filled_in_anywhere_in_an_entry_and_in_its_children(write: Any) -> None:
    topology = load(
        write(
            'kinds: {cam: {streams: {top: {bytes: 1, rate_hz: 1, to: "{parent}"}}, params: {of: "{id}/{n}"}}}\n'
            "pilots:\n"
            '  - {id: "rig_{n}", from: 2, to: 3, host: "rig-{n}.local", subjects: ["m{n}a"],\n'
            '     task: {box: {no: ["b{n}"]}},\n'
            '     children: [{id: "rig_{n}_cam", kind: cam}, {id: "{parent}_w{n}", from: 7, to: 8}]}\n'
        )
    )
    assert [machine.id for machine in topology.machines] == [
        *("T", "rig_2", "rig_2_cam", "rig_2_w7", "rig_2_w8"),
        *("rig_3", "rig_3_cam", "rig_3_w7", "rig_3_w8"),
    ]
    rig, cam = topology.machine("rig_3"), topology.machine("rig_3_cam")
    assert (rig.host, rig.subjects, rig.task) == ("rig-3.local", ("m3a",), {"box": {"no": ["b3"]}})
    assert (cam.streams["top"].to, cam.params) == ("rig_3", {"of": "rig_3_cam/3"})


MISTAKES = cases(
    r"""
# templates

pilots: [{id: "r{n}"}]
=> 1: the id 'r{n}' has a {n} for which there is no number; give the entry `from` and `to`.

pilots: [{id: r, subjects: ["m{n}"]}]
=> 1: 'm{n}' has a {n} for which there is no number; give `from` and `to`.

pilots: [{id: r, from: 1, to: 2}]
=> 1: the id 'r' is taken by a machine on line 1; change one.

pilots: [{id: "r{n}", from: 1}]
=> 1: `from` needs `to` beside it.

pilots: [{id: "r{n}", from: 3, to: 2}]
=> 1: the range ends, with 2, before it begins, with 3.

pilots: [{id: "r{n}", from: 1, to: 999999999}]
=> 1: up to here the ranges make more than 2000 machines, or too large ones; shorten a range.

# kinds

kinds: {a: {kind: b}, b: {kind: a}}
pilots: [{id: r, kind: a}]
=> 1: the kinds go in a circle: a → b → a; take one `kind` away.

kinds: {a: {kind: a}}
pilots: [{id: r}]
=> 1: the kinds go in a circle: a → a; take one `kind` away.

kinds: {a: {kind: c}}
pilots: [{id: r}]
=> 1: there is no kind 'c'; known here: a.

pilots: [{id: r, kind: c}]
=> 1: there is no kind 'c'; none is known here.

kinds: {a: {children: [{id: "{parent}x", kind: a}]}}
pilots: [{id: r, kind: a}]
=> 1: machines are more than 50 deep here; has a kind itself among its children?
"""
)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_alone_with_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert mistakes_in(text) == [MISTAKES[text]]
