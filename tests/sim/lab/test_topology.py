"""A topology file is read whole or refused with every mistake in it; the shipped ones are what they say they are."""

import importlib.util
import json
import random
import re
import threading
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import networkx as nx
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sim.faults.compile import actions
from sim.lab.fault import VERBS, Fault, Link
from sim.lab.topology import Limits, Stream, Topology, TopologyError, Trials, graph, load, schema
from tests import ROOT

SHIPPED = ROOT / "topologies"
LABS = ["pair", "lab", "boxroom", "chain", "campus", "badday"]
ONE_RIG = "pilots:\n  - id: rig_1\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "lab.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def mistakes_in(write: Any) -> Any:
    """The mistakes of a text, each as `line: sentence`."""

    def mistakes_in(text: str | bytes) -> list[str]:
        path = write(text)
        with pytest.raises(TopologyError) as caught:
            load(path)
        assert str(caught.value) == "\n".join(caught.value.mistakes)
        return [mistake.removeprefix(f"{path}:") for mistake in caught.value.mistakes]

    return mistakes_in


# The shipped labs


@pytest.mark.parametrize("name", LABS)
def test_a_shipped_lab_is_right_and_says_first_what_it_is(name: str) -> None:
    path = SHIPPED / f"{name}.yaml"
    assert load(path).name == name
    first, *rest = path.read_text().splitlines()
    assert first.startswith("# ")
    assert any(line.startswith("# yaml-language-server: $schema=./lab.schema.json") for line in rest[:8])


def tree_of(name: str) -> tuple[dict[str, list[str]], "nx.DiGraph[str]"]:
    tree = graph(load(SHIPPED / f"{name}.yaml"))
    return {id: list(tree.successors(id)) for id in tree if tree.out_degree(id)}, tree


def test_the_graph_of_pair_is_one_edge() -> None:
    assert tree_of("pair")[0] == {"T": ["rig_1"]}


def test_the_graph_of_lab_has_two_rigs_with_two_children() -> None:
    assert tree_of("lab")[0] == {
        "T": ["rig_1", "rig_2", "rig_3", "rig_4", "rig_5", "rig_6"],
        "rig_5": ["rig_5_cam", "rig_5_wheel"],
        "rig_6": ["rig_6_cam", "rig_6_wheel"],
    }


def test_the_graph_of_boxroom_is_ten_rigs_of_which_one_has_children() -> None:
    assert tree_of("boxroom")[0] == {
        "T": [f"rig_{n}" for n in range(1, 11)],
        "rig_9": ["rig_9_wheel", "rig_9_cam2"],
    }


def test_the_graph_of_chain_is_five_deep() -> None:
    ids = ["T", "rig_1", "rig_2", "rig_3", "rig_4", "rig_5"]
    edges, tree = tree_of("chain")
    assert edges == {above: [below] for above, below in pairwise(ids)}
    assert [tree.nodes[name]["depth"] for name in tree] == [0, 1, 2, 3, 4, 5]


def test_the_graph_of_campus_is_forty_machines_with_the_numbers_of_their_rigs() -> None:
    edges, tree = tree_of("campus")
    assert len(tree) == 40
    assert edges == {"T": [f"rig_{n}" for n in range(1, 14)]} | {
        f"rig_{n}": [f"rig_{n}_cam", f"rig_{n}_wheel"] for n in range(1, 14)
    }


@pytest.mark.parametrize("name", LABS)
def test_a_graph_is_a_tree_from_the_terminal_and_holds_the_machines(name: str) -> None:
    topology = load(SHIPPED / f"{name}.yaml")
    tree = graph(topology)
    assert nx.is_arborescence(tree)
    assert next(iter(nx.topological_sort(tree))) == topology.terminal.id == "T"
    for machine in topology.machines:
        assert tree.nodes[machine.id]["machine"] is machine
        assert tree.nodes[machine.id]["depth"] == nx.shortest_path_length(tree, "T", machine.id)
        assert tuple(tree.successors(machine.id)) == machine.children
    assert list(tree) == list(nx.dfs_preorder_nodes(tree, "T"))
    assert [pilot.id for pilot in topology.pilots] == list(tree.successors("T"))


@pytest.mark.parametrize("name", LABS)
def test_a_topology_survives_json(name: str) -> None:
    topology = load(SHIPPED / f"{name}.yaml")
    assert msgspec.json.decode(msgspec.json.encode(topology), type=Topology) == topology


@pytest.mark.parametrize("name", LABS)
def test_two_cores_can_carry_the_cameras_of_a_shipped_lab(name: str) -> None:
    streams = [stream for machine in load(SHIPPED / f"{name}.yaml").machines for stream in machine.streams.values()]
    pixels = sum((stream.rate_hz or 0) * stream.shape[0] * stream.shape[1] for stream in streams if stream.shape)
    assert pixels <= 60 * 240 * 320


def test_the_schema_beside_the_labs_is_the_schema() -> None:
    assert json.loads((SHIPPED / "lab.schema.json").read_text()) == schema(), "python -m sim schema > …"


def test_the_schema_describes_every_key() -> None:
    for part in schema()["$defs"].values():
        assert part["description"]
        assert part["additionalProperties"] is False
        assert all("description" in key for key in part["properties"].values())


# What a right file means


def test_a_machine_is_what_its_file_says(write: Any) -> None:
    topology = load(
        write(
            "name: small\nterminal: {id: boss, host: 10.0.0.1, port: 5560}\nping_interval_s: 1\npilots:\n"
            "  - {id: rig_1, port: 5561, subjects: [a, b], env: {GPIO: fake}, params: {pin: [1, null]},"
            " trials: {every_s: 2},\n"
            "     children: [{id: cam, streams: {top: {shape: [2, 3], dtype: int16, rate_hz: 5, to: rig_1}}}]}\n"
        )
    )
    assert (topology.name, topology.terminal.id, topology.terminal.host, topology.terminal.parent) == (
        *("small", "boss", "10.0.0.1"),
        None,
    )
    rig, cam = topology.machine("rig_1"), topology.machine("cam")
    assert (rig.parent, rig.port, rig.subjects, rig.env) == ("boss", 5561, ("a", "b"), {"GPIO": "fake"})
    assert rig.params == {"pin": [1, None]}
    assert rig.trials == Trials(every_s=(2.0, 2.0), stages=3, bytes=300)
    assert cam.streams == {"top": Stream(shape=(2, 3), dtype="int16", rate_hz=5.0, to="rig_1")}
    assert (cam.streams["top"].batch, cam.streams["top"].content, cam.streams["top"].reliable) == (5, "noise", True)
    assert (topology.ping_interval_s, topology.repeat_interval_s, topology.storm.shrink_s) == (1.0, 5.0, 60.0)
    with pytest.raises(KeyError, match="small has no machine 'rig_2'"):
        topology.machine("rig_2")


def test_a_file_that_names_no_lab_and_no_terminal_gets_its_own_name_and_t(write: Any) -> None:
    topology = load(write(ONE_RIG))
    assert (topology.name, topology.terminal.id) == ("lab", "T")


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


def test_aliases_and_merge_keys_are_yaml_as_usual(write: Any) -> None:
    topology = load(
        write(
            "pilots:\n  - &one {id: a, trials: &t {every_s: 1, stages: 2}, subjects: [s]}\n"
            "  - {<<: *one, id: b, trials: {<<: *t, stages: 4}}\n"
        )
    )
    b = topology.machine("b")
    assert (b.subjects, b.trials) == (("s",), Trials(every_s=(1.0, 1.0), stages=4))


def test_the_limits_of_one_machine_s_stream_go_before_those_of_the_name(write: Any) -> None:
    expect = load(
        write(
            'pilots: [{id: "r{n}", from: 1, to: 2, streams: {s: {bytes: 1, rate_hz: 1}}}]\n'
            "expect: {streams: {s: {missing: 0}, r2.s: {missing_pct: 1}}}\n"
        )
    ).expect
    assert expect.stream("r1", "s") == Limits(missing=0)
    assert expect.stream("r2", "s") == Limits(missing_pct=1.0)
    assert expect.stream("r2", "other") is None


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


def test_links_and_durability_are_kept_and_a_kind_may_have_them(write: Any) -> None:
    topology = load(
        write(
            "terminal: {durable: true}\nkinds: {wifi: {link: {latency_ms: 8, rate_mbit: 20}}}\n"
            "pilots: [{id: a, kind: wifi, durable: true, link: {latency_ms: 2}}, {id: b}]\n"
            "expect: {keys: {START: {lost: 0}}, start_within_s: 2, handshake_within_s: 9}\n"
        )
    )
    assert [machine.durable for machine in topology.machines] == [True, True, False]
    assert topology.machine("a").link == Link(latency_ms=2, rate_mbit=20)
    assert topology.machine("b").link is None
    assert topology.expect.keys == {"START": Limits(lost=0)}


def test_a_lab_s_own_program_may_say_any_key(write: Any) -> None:
    expect = "expect: {keys: {LEVER: {lost: 0}}}\n"
    assert load(write(f'{ONE_RIG}    program: "json:JSONDecoder"\n{expect}')).expect.keys


def test_sounds_may_be_files_that_are_there(write: Any, tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "L.wav").touch()
    path = write("files: {dir: sounds, synthetic_kb: {R.wav: 3}}\npilots: [{id: r, task: {sounds: [L.wav, R.wav]}}]\n")
    assert load(path).file_dir == tmp_path / "sounds"


def test_a_program_is_found_beside_the_file_or_among_what_is_installed_without_importing_it(
    write: Any, tmp_path: Path
) -> None:
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "box.py").write_text("raise SystemExit('imported')")
    load(write('pilots: [{id: a, program: "mylab.box:Box"}, {id: b, program: "json:JSONDecoder"}]\n'))


# What is wrong with a file


def test_five_mistakes_are_told_with_their_five_lines(mistakes_in: Any) -> None:
    assert mistakes_in(
        "terminal: {id: T}\n"
        "pilots:\n"
        "  - id: rig_1\n"
        "    strems: {}\n"
        "    trials: {every_s: [3, 12], stages: 0}\n"
        "    streams:\n"
        "      camera: {shape: [2, 2], dtype: uint8, rate_hz: -30}\n"
        "  - id: rig_1\n"
        "    kind: bx\n"
        "kinds: {box: {}}\n"
    ) == [
        "4: unknown key 'strems'; did you mean 'streams'?",
        "5: `trials.stages` must be a whole number, 1 or more, not 0.",
        "7: `streams.camera.rate_hz` must be a number above 0, not -30.",
        "8: the id 'rig_1' is taken by a machine on line 3; change one.",
        "9: there is no kind 'bx'; did you mean 'box'?",
    ]


# Each is a file, and below the arrow what is said about it. Three dots are `ONE_RIG`.
SENTENCES = r"""
# types and ranges

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
=> 1: `trials.stages` must be a whole number, 1 or more, not true.

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

# ids

pilots: [{id: ''}]
=> 1: the id '' is empty.

pilots: [{id: _r}]
=> 1: the id '_r' begins with `_`, which marks the programs' own nodes.

pilots: [{id: P_r}]
=> 1: the id 'P_r' begins with `P_`, which marks the plots.

pilots: [{id: r.probe}]
=> 1: the id 'r.probe' ends in `.probe`, which the rehearsal uses itself.

pilots: [{id: a b}]
=> 1: the id 'a b' has a blank, a slash or a control character in it.

pilots: [{id: a/b}]
=> 1: the id 'a/b' has a blank, a slash or a control character in it.

pilots: [{id: "a\u0007"}]
=> 1: the id 'a\x07' has a blank, a slash or a control character in it.

pilots: [{id: ..}]
=> 1: the id '..' begins with a dot.

pilots: [{id: T}]
=> 1: the id 'T' is taken by a machine on line 1; change one.

terminal: {id: _T}
pilots: [{id: r}]
=> 1: the id '_T' begins with `_`, which marks the programs' own nodes.

terminal: {id: ''}
pilots: [{id: r}]
=> 1: the id '' is empty.

name: a/b
pilots: [{id: r}]
=> 1: the name 'a/b' has a blank, a slash or a control character in it; reports are filed under it.

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

# streams

...
    streams: {s: {rate_hz: 1}}
=> 3: the stream 's' does not say what it sends; give exactly one of `shape`, `fields` and `bytes`.

...
    streams: {s: {bytes: 1, fields: [a], rate_hz: 1}}
=> 3: the stream 's' has `fields` and `bytes`; give exactly one of `shape`, `fields` and `bytes`.

...
    streams: {s: {bytes: 1}}
=> 3: the stream 's' has neither `rate_hz` nor `burst`; give one of them.

...
    trials: {}
    streams: {s: {bytes: 1, rate_hz: 1, burst: {n: 1}}}
=> 4: the stream 's' has both `rate_hz` and `burst`; give one of them.

...
    streams: {s: {bytes: 1, burst: {}}}
=> 3: the stream 's' bursts once a trial, but its machine makes no trials.

...
    streams: {s: {shape: [1], rate_hz: 1}}
=> 3: the stream 's' has a `shape` without a `dtype`; add one, such as uint8.

...
    streams: {s: {shape: [1], dtype: u8, rate_hz: 1}}
=> 3: `streams.s.dtype` must be one of bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float16,
   float32, float64, not 'u8'.

...
    streams: {s: {shape: [99999, 9999], dtype: uint8, rate_hz: 1}}
=> 3: each item of the stream 's' would be 999890001 bytes; 100000000 is the most.

...
    streams: {s: {bytes: 1, rate_hz: 1, content: video}}
=> 3: the stream 's' has `content`, which only arrays have, but no `shape`.

...
    streams: {s: {shape: [1], dtype: bool, rate_hz: 1, content: film}}
=> 3: `streams.s.content` must be one of video, noise, not 'film'.

...
    streams: {s: {fields: [], rate_hz: 1}}
=> 3: the stream 's' has no name in `fields`.

...
    streams: {s: {fields: [a, a], rate_hz: 1}}
=> 3: the stream 's' has a name twice in `fields`.

...
    streams: {s: {fields: [pilot], rate_hz: 1}}
=> 3: a field cannot be called 'pilot': stations add one of that name themselves.

...
    streams: {a b: {bytes: 1, rate_hz: 1}}
=> 3: the stream name 'a b' has a blank, a slash or a control character in it.

...
    streams: {s: {bytes: 1, rate_hz: 1, reliable: 1}}
=> 3: `streams.s.reliable` must be true or false, not 1.

...
    streams: {s: {bytes: 1, rate_hz: 1, to: rig_2}}
  - id: rig_2
=> 3: the stream 's' cannot go there: 'rig_2' is not above 'rig_1'; above it: 'T'.

# programs and files

...
    program: mylab
=> 3: the program 'mylab' must read module:Class, such as mylab.box:Box.

...
    program: my-lab:Box
=> 3: the program 'my-lab:Box' must read module:Class, such as mylab.box:Box.

...
    program: mylab.box:Box
=> 3: the program's module 'mylab.box' is neither beside lab.yaml nor installed.

...
    task: {sounds: [L.wav]}
=> 3: the sound 'L.wav' is neither in . nor in `files.synthetic_kb`; add it to one.

...
    task: {sounds: L.wav}
=> 3: `task.sounds` must be a list of file names.

...
    task: {sounds: [../L.wav]}
=> 3: '../L.wav' must be the name of a file inside the folder of files, without `..`.

...
files: {synthetic_kb: {/etc/x: 1}}
=> 3: '/etc/x' must be the name of a file inside the folder of files, without `..`.

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
=> 3: nobody has a stream 'camra', so nothing can be expected of it; none is known here.

...
    streams: {s: {bytes: 1, rate_hz: 1}}
expect: {streams: {rig_2.s: {}}}
=> 4: nobody has a stream 'rig_2.s', so nothing can be expected of it; did you mean 'rig_1.s'?

...
    streams: {s: {bytes: 1, rate_hz: 1}}
expect: {streams: {s: {missing_pct: 101}}}
=> 4: `expect.streams.s.missing_pct` must be a number from 0 to 100, not 101.

...
expect: {keys: {start: {lost: 0}}}
=> 3: nobody sends 'start', so nothing can be expected of it; did you mean 'START'?

...
expect: {recovered_within_s: 10}
=> 3: there is nothing to recover from: the lab has no `faults`; add one, or remove the key.

...
faults: []
expect: {recovered_within_s: 10}
=> 4: there is nothing to recover from: the lab has no `faults`; add one, or remove the key.

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
   stall, reset, slow, drop, duplicate, power_cut, switch_dies, wifi_bad, swizzle, rolling_reboot.

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
=> 3: `kill` strikes nobody: there is no machine 'rig_2'; did you mean 'rig_1'?

...
faults: [{at_s: 1, kill: "box_*"}]
=> 3: `kill` strikes nobody: no id is like 'box_*'; known here: T, rig_1.

...
faults:
  - at_s: 1
    kill: [rig_1,
           rg_1]
=> 6: `kill` strikes nobody: there is no machine 'rg_1'; did you mean 'rig_1'?

...
faults: [{at_s: 1, kill: []}]
=> 3: `kill` names nobody; give at least one id.

...
faults: [{at_s: 1, kill: {}}]
=> 3: `kill` names nobody; give `depth`, `random` or `of`.

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
=> 3: `kill` strikes nobody: none of these is 2 below the terminal; the deepest is 1.

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

# YAML itself

...
    id: rig_2
=> 3: the key 'id' is here twice, first on line 2; keep one.

...
    host: 'x
    port: 1
=> 4: this is not YAML: while scanning a quoted scalar, from line 3, found unexpected end of stream.

pilots: [{id: rig_{n}, from: 1}]
=> 1: this is not YAML: while parsing a flow mapping, expected ',' or '}', but got '{'. Between { and }, a text
   with {n} in it needs quotes: {id: "rig_{n}"}.

a: 1
---
b: 1
=> 2: this is not YAML: expected a single document in the stream, from line 1, but found another document.

pilots: !!python/object:os.system [a]
=> 1: the tag 'tag:yaml.org,2002:python/object:os.system' means nothing here; leave it out.

...
    ? [a, b]
    : 1
=> 3: a key must be a plain word.

...
    <<: 3
=> 3: `<<` takes a mapping, or a list of mappings.

...
    params: {a: !!int x}
=> 3: 'x' cannot be read as a number; if it is text, quote it.

...
    host: "\ud800"
=> 3: the text '\ud800' has half a character in it (a lone surrogate).
"""


def cases() -> dict[str, str]:
    found = {}
    for block in re.sub(r"^# .*\n", "", SENTENCES, flags=re.MULTILINE).strip().split("\n\n"):
        text, sentence = block.strip().split("\n=> ")
        found[text.replace("...\n", ONE_RIG)] = " ".join(sentence.split())
    return found | {
        "pilots: [{id: a}]\nx: \u0001": "2: there is a character here that YAML does not allow.",
        f"pilots: [{{id: {'ä' * 101}}}]": f"1: the id '{'ä' * 60}…' has more than 200 bytes, "
        "and zmq takes no longer identities.",
        f"{ONE_RIG}    params: {{a: {'1:' * 500}1}}": f"3: '{'1:' * 30}…' cannot be read as a number; "
        "if it is text, quote it.",
    }


CASES = cases()


@pytest.mark.parametrize("text", CASES)
def test_a_mistake_is_told_by_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    assert CASES[text] in mistakes_in(text)


@pytest.mark.parametrize("text", CASES)
def test_a_mistake_is_told_alone(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert len(mistakes_in(text)) == 1


def test_a_mistake_in_a_kind_is_told_once_however_many_are_of_it(mistakes_in: Any) -> None:
    box = "box: {trials: {stages: 0}, streams: {s: {bytes: 1}}}"
    text = f'kinds:\n  {box}\npilots: [{{id: "r{{n}}", from: 1, to: 9, kind: box}}]\n'
    assert mistakes_in(text) == [
        "2: `kinds.box.trials.stages` must be a whole number, 1 or more, not 0.",
        "2: the stream 's' has neither `rate_hz` nor `burst`; give one of them.",
    ]


def test_a_mistake_of_a_whole_range_is_told_once(mistakes_in: Any) -> None:
    text = 'pilots:\n  - {id: "r{n}", from: 1, to: 9, streams: {s: {bytes: 1, rate_hz: 1, to: "x{n}"}}}\n'
    assert mistakes_in(text) == ["2: the stream 's' cannot go there: 'x1' is not above 'r1'; above it: 'T'."]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty; it should say what machines the lab has, under `pilots`."),
        (b"# nothing\n", "the file is empty; it should say what machines the lab has, under `pilots`."),
        (b"\x7fELF\x02\x01\x00\xff\xfe", "this is not a text file in UTF-8, so it cannot be YAML."),
        (b"x" * 500_000, "this file has more than 400000 bytes, which no topology needs; is it the right one?"),
        (b'a: "\\U99999999"', "this is not YAML that can be read: "),
    ],
    ids=["empty", "only comments", "binary", "huge", "impossible character"],
)
def test_a_file_that_is_no_topology_at_all_gets_one_sentence(content: bytes, sentence: str, mistakes_in: Any) -> None:
    (mistake,) = mistakes_in(content)
    assert mistake.lstrip().startswith(sentence)


def test_a_folder_and_a_missing_file_get_one_sentence_each(tmp_path: Path) -> None:
    with pytest.raises(TopologyError) as caught:
        load(tmp_path)
    assert caught.value.mistakes == [f"{tmp_path}: this is a folder; name a YAML file in it."]
    with pytest.raises(TopologyError) as caught:
        load(tmp_path / "none.yaml")
    assert caught.value.mistakes == [f"{tmp_path / 'none.yaml'}: there is no such file."]
    with pytest.raises(TopologyError):
        load("a\0b")


BOMBS = {
    "aliases": "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnopq")),
    "wide aliases": f"a: &a [{', '.join('x' * 9)}]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefgh")),
    "itself": "a: &a [*a, *a]\n",
    "deep": "[" * 100_000,
    "many": "[" + "x," * 100_000 + "]",
    "kinds in kinds": 'kinds: {a: {children: [{id: "{parent}a", kind: a}, {id: "{parent}b", kind: a}]}}\n'
    "pilots: [{id: r, kind: a}]\n",
    "ranges in ranges": 'pilots: [{id: "a{n}", from: 1, to: 99, children: [{id: "b{n}", from: 1, to: 999}]}]\n',
    "large machines": "pilots: [{id: 'r{n}', from: 1, to: 1999, params: {p: [" + "x, " * 20_000 + "]}}]\n",
    "a long inheritance": "kinds:\n"
    + "".join(f"  k{i}: {{kind: k{i + 1}, params: {{p{i}: 1}}}}\n" for i in range(4000))
    + "  k4000: {}\npilots: [{id: r, kind: k}]\n",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(name: str, mistakes_in: Any) -> None:
    assert mistakes_in(BOMBS[name])


# Whatever stands in a file


def only_sentences(path: Path) -> None:
    """It is a topology that survives JSON, or there is a sentence for every mistake."""
    try:
        topology = load(path)
    except TopologyError as error:
        assert_sentences(path, error.mistakes)
        return
    assert msgspec.json.decode(msgspec.json.encode(topology), type=Topology) == topology
    assert nx.is_arborescence(graph(topology))


def assert_sentences(path: Path, mistakes: list[str]) -> None:
    assert mistakes
    for mistake in mistakes:
        assert re.fullmatch(rf"{re.escape(str(path))}:(\d+:)? .+[.?]", mistake), mistake
        assert mistake.isprintable()


# Every word that the format knows, and what else is looked at.
WORDS = {key for part in schema()["$defs"].values() for key in part["properties"]}
KEYS = st.sampled_from(sorted(WORDS | {"link", "faults", "sounds", "box", "<<"}))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-2, 20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["T", "rig_1", "rig_{n}", "{id}", "{parent}", "box", "json:loads", "uint8", "video", "trial", ".inf"]
    ),
    st.dates(),
    st.binary(max_size=4),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=5),
    max_leaves=30,
)
slow_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@slow_disk
@given(thing=st.dictionaries(KEYS, ANYTHING, max_size=6) | ANYTHING)
def test_any_structure_is_a_topology_or_gets_sentences(thing: Any, write: Any) -> None:
    only_sentences(write(yaml.safe_dump(thing, allow_unicode=True)))


@slow_disk
@given(text=st.text(max_size=60) | st.text("{}[]&*!|>'\"%@`:-?, \n\tab1<", max_size=60))
@example(text="%YAML 1.99999999999999999999999\n---\na")
@example(text="!<")
@example(text='"\\UFFFFFFFF"')
@example(text="? ")
@example(text="- !!float .")
@example(text="- !!bool x")
@example(text="- 0b_")
@example(text="- 0x_")
def test_any_text_is_a_topology_or_gets_sentences(text: str, write: Any) -> None:
    only_sentences(write(text.encode(errors="surrogatepass")))


@slow_disk
@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_topology_or_get_sentences(content: bytes, write: Any) -> None:
    only_sentences(write(content))


def places(thing: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a structure."""
    pairs = (
        list(thing.items()) if isinstance(thing, dict) else list(enumerate(thing)) if isinstance(thing, list) else []
    )
    return [(thing, key) for key, _ in pairs] + [place for _, under in pairs for place in places(under)]


@slow_disk
@given(lab=st.sampled_from(LABS), seed=st.integers(0, 2**32), values=st.lists(ANYTHING, min_size=1, max_size=3))
def test_a_shipped_lab_with_some_of_it_replaced_is_a_topology_or_gets_sentences(
    lab: str, seed: int, values: list[Any], write: Any
) -> None:
    chance = random.Random(seed)
    thing = yaml.safe_load((SHIPPED / f"{lab}.yaml").read_text())
    for value in values:
        container, key = chance.choice(places(thing))
        container[key] = value
    only_sentences(write(yaml.safe_dump(thing)))


@slow_disk
@given(lab=st.sampled_from(LABS), seed=st.integers(0, 2**32), put=st.text(" \n{}[],:&*-#'\"n1", max_size=3))
def test_a_shipped_lab_with_slips_of_the_finger_is_a_topology_or_gets_sentences(
    lab: str, seed: int, put: str, write: Any
) -> None:
    text = (SHIPPED / f"{lab}.yaml").read_text()
    at = random.Random(seed).randrange(len(text))
    only_sentences(write(text[:at] + put + text[at + len(put) % 2 :]))


WHOM = st.sampled_from(["rig_1", "cam", "rig_*", "*", "T", "nobody"])
FAULT_VALUES = (
    SCALARS
    | st.sampled_from([0, 1, 2.5, 9, 10, "up", "station"])
    | st.lists(st.integers(0, 11), max_size=3)
    | st.lists(WHOM, max_size=2)
    | st.dictionaries(st.sampled_from(["depth", "random", "of", "off"]), st.integers(-1, 3) | WHOM, max_size=2)
)


@slow_disk
@given(
    faults=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from([*VERBS]), WHOM | WHOM | FAULT_VALUES, min_size=1, max_size=1),
            st.sampled_from([("at_s", 1), ("at_s", 2.5), ("between_s", [1, 2])]),
            st.just({}) | st.dictionaries(st.sampled_from(Fault.__struct_fields__), FAULT_VALUES, max_size=2),
        ).map(lambda parts: {**parts[0], **dict([parts[1]]), **parts[2]}),
        min_size=1,
        max_size=2,
    )
)
def test_faults_of_any_kind_are_read_or_get_sentences(faults: list[Any], write: Any) -> None:
    only_sentences(write(f"{ONE_RIG}    children: [{{id: cam}}]\n" + yaml.safe_dump({"faults": faults})))


# The example of a lab's own program


class Turns(list[Any]):
    """A stream that can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self.five = threading.Event()

    def append(self, item: Any) -> None:
        super().append(item)
        if len(self) >= 5:
            self.five.set()


def test_the_wheel_streams_from_start_to_stop_and_says_how_much() -> None:
    spec = importlib.util.spec_from_file_location("wheelbox", SHIPPED / "wheelbox.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    streams: list[Turns] = []
    asked: list[dict[str, Any]] = []

    def get_stream(**options: Any) -> Turns:
        asked.append(options)
        streams.append(Turns())
        opened.set()
        return streams[-1]

    opened = threading.Event()
    wheel = module.WheelBox(
        SimpleNamespace(get_stream=get_stream),
        SimpleNamespace(id="rig_6_wheel", parent="rig_6", params={"rate_hz": 500}),
    )
    wheel.l_start({"subject": "m6a"})
    assert opened.wait(5)
    assert streams[0].five.wait(5)
    before = time.monotonic()
    wheel.l_stop(None)
    wheel.close()
    assert time.monotonic() - before < 2
    *turns, end = streams[0]
    assert end == "END"
    assert all(turn.keys() == {"x", "y", "t"} for turn in turns)
    assert wheel.expected(None) == {"streams": {"wheel": len(turns)}}
    assert asked == [
        {"id": "wheel", "key": "CONTINUOUS", "min_size": 5, "to": "rig_6", "subject": "m6a", "pilot": "rig_6"}
    ]
