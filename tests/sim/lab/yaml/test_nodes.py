"""YAML becomes nodes with lines, or a sentence about what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from sim.lab.topology import TopologyError, Trials, load
from tests.sim.lab.files import ONE_RIG, cases


def test_aliases_and_merge_keys_are_yaml_as_usual(write: Any) -> None:
    topology = load(
        write(
            "pilots:\n  - &one {id: a, trials: &t {every_s: 1, stages: 2}, subjects: [s]}\n"
            "  - {<<: *one, id: b, trials: {<<: *t, stages: 4}}\n"
        )
    )
    b = topology.machine("b")
    assert (b.subjects, b.trials) == (("s",), Trials(every_s=(1.0, 1.0), stages=4))


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


MISTAKES = cases(
    r"""
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
) | {
    "pilots: [{id: a}]\nx: \u0001": "2: there is a character here that YAML does not allow.",
    f"{ONE_RIG}    params: {{a: {'1' * 500}}}": f"3: '{'1' * 60}…' cannot be read as a number; "
    "if it is text, quote it.",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_alone_with_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert mistakes_in(text) == [MISTAKES[text]]
