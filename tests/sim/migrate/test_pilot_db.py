"""What an import takes from a pilot_db and from files of prefs, and which files it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.lab.topology import Trials
from sim.migrate.convert import ImportRefusedError, import_lab
from tests.sim.migrate.import_files import PILOT, Files, edges, line_with, pilot


def test_a_pilot_has_the_address_the_port_and_the_subjects_of_the_file(files: Files) -> None:
    lab = files.lab({"rig_1": pilot("10.0.0.11", ["m1", "m2"], MSGPORT="5566", PUSHPORT="5561", SUBJECT="m3")})
    rig = lab.machine("rig_1")
    assert (rig.host, rig.port, rig.subjects, rig.parent) == ("10.0.0.11", 5566, ("m1", "m2", "m3"), "T")
    assert rig.trials == Trials()
    assert (lab.terminal.port, lab.terminal.host) == (5561, None)
    assert files.told == []


def test_a_missing_pref_has_autopilots_default(files: Files) -> None:
    lab = files.lab({"rig_1": pilot(NAME="rig_1"), "rig_2": {"subjects": [], "ip": ""}, "rig_3": PILOT})
    assert [machine.port for machine in lab.machines] == [5560, 5565, 5565, 5565]
    assert (lab.ping_interval_s, files.told) == (5.0, [])


def test_nothing_but_pilots_without_prefs_is_a_lab_too_and_its_terminal_s_port_a_guess(files: Files) -> None:
    lab = files.lab({"rig_1": {"subjects": [], "ip": "", "state": "IDLE"}})
    assert (edges(lab), lab.terminal.port) == ({"T": ["rig_1"]}, 5560)
    assert "# guess" in line_with(files.text, "port: 5560")


def test_mice_are_subjects(files: Files) -> None:
    lab = files.lab({"rig_1": {"mice": ["m1", "m2"], "ip": ""}, "rig_2": {"subjects": ["m3"], "mice": ["m3", "m4"]}})
    assert [machine.subjects for machine in lab.machines[1:]] == [("m1", "m2"), ("m3", "m4")]
    assert files.told == []


def test_a_file_of_a_machine_completes_what_the_pilot_db_says_and_goes_before_it(files: Files) -> None:
    lab = files.lab(
        {"rig_1": pilot(MSGPORT="5566", CHILDID="cam"), "rig_2": PILOT},
        rig_1={"MSGPORT": "5577", "SUBJECT": "m1"},
        anything={"NAME": "cam", "MSGPORT": "5588"},
        rig_2={"PUSHPORT": 5560},
        rig_3={},
    )
    assert edges(lab) == {"T": ["rig_1", "rig_2", "rig_3"], "rig_1": ["cam"]}
    assert (lab.machine("rig_1").port, lab.machine("rig_1").subjects) == (5577, ("m1",))
    assert lab.machine("cam").port == 5588
    assert files.told == [
        "rig_1.prefs.json: rig_1: MSGPORT is 5577 here and was 5566 before; what is here counts.",
    ]


def test_a_file_of_a_machine_stands_in_for_an_entry_that_cannot_be_read(files: Files) -> None:
    lab = files.lab({"rig_1": 5, "rig_2": PILOT}, rig_1={"MSGPORT": 5577})
    assert lab.machine("rig_1").port == 5577
    assert files.told == ["pilot_db.json: rig_1: its entry must be an object, not 5; rig_1.prefs.json counts."]


def test_a_name_or_a_pref_that_is_there_twice_is_told(files: Files) -> None:
    files.lab(b'{"a": {"ip": ""}, "a": {"ip": "x", "ip": "y", "prefs": {"MSGPORT": 1, "MSGPORT": 2}}}')
    assert files.told == [
        "pilot_db.json: a: it is in the file twice; the last one counts.",
        "pilot_db.json: a: 'ip' is there twice; the last one counts.",
        "pilot_db.json: a: the pref 'MSGPORT' is there twice; the last one counts.",
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the file is empty."),
        (b" \n", "the file is empty."),
        (b"\xff\xfe\x00", "this is not text, so it cannot be JSON."),
        (b"\x89PNG\r\n\x1a\n", "this is not text, so it cannot be JSON."),
        (b"{", "this is not JSON: line 1: Expecting property name enclosed in double quotes."),
        (b"[]", "this must be one JSON object, not a list."),
        (b"null", "this must be one JSON object, not nothing."),
        (b"NaN", "this must be one JSON object, not nan."),
        (b"{}", "there is no pilot in it."),
        (b"[" * 100_000, "this is nested too deep for a file of a lab."),
        (b'{"a": ' + b"1" * 5000 + b"}", "a number in it has too many digits."),
        (b'{"a": 1, "b": []}', "this is no pilot_db, which has an object for each pilot."),
        (
            b'{"NAME": "rig_1", "MSGPORT": 5}',
            "this is no pilot_db, which has an object for each pilot; "
            "prefs of a single machine go after it, or to --prefs.",
        ),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_unusable_file_is_refused_in_a_sentence(files: Files, raw: bytes, said: str) -> None:
    path = files.write("pilot_db.json", raw)
    with pytest.raises(ImportRefusedError) as caught:
        import_lab(path)
    assert caught.value.sentences == [f"{path}: {said}"]


def test_every_file_that_cannot_be_read_is_told_at_once(files: Files) -> None:
    missing, folder = files.folder / "missing.json", files.folder
    other = files.write("other.prefs.json", {"rig_1": PILOT})
    nameless = files.write("prefs.json", {"MSGPORT": 5565})
    with pytest.raises(ImportRefusedError) as caught:
        import_lab(missing, terminal=folder, machines=[other, nameless, Path("/dev/null")])
    said = [sentence.replace(f"{files.folder}/", "") for sentence in caught.value.sentences]
    assert said[0] == "missing.json: there is no such file."
    assert said[1].startswith("other.prefs.json: these are no prefs of a machine: none of NAME, MSGPORT,")
    assert said[2].startswith("prefs.json: it has no NAME, so its machine is unknown;")
    assert said[3] == "/dev/null: this is not a regular file."
    assert said[4] == f"{folder}: this is a folder; name a JSON file in it."
