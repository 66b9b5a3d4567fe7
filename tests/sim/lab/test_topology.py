"""A topology file is read whole or refused with every mistake in it; the shipped ones are what they say they are."""

import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import networkx as nx
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sim.lab.fault import VERBS, Fault, Link
from sim.lab.topology import Limits, Stream, Topology, TopologyError, Trials, graph, load, schema
from tests.sim.lab.files import LABS, ONE_RIG, SHIPPED


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
