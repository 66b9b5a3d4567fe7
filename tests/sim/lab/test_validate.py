"""Mistakes in ids, streams, programs and files, each with its line."""

from pathlib import Path
from typing import Any

import pytest

from sim.lab.topology import load
from tests.sim.lab.files import cases


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


MISTAKES = cases(
    r"""
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
"""
) | {
    f"pilots: [{{id: {'ä' * 101}}}]": f"1: the id '{'ä' * 60}…' has more than 200 bytes, "
    "and zmq takes no longer identities.",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_alone_with_its_line_in_a_sentence(text: str, mistakes_in: Any) -> None:
    """What follows from a mistake is no second one."""
    assert mistakes_in(text) == [MISTAKES[text]]
