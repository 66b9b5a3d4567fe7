"""The files of an Autopilot lab become a topology that loads, or sentences; nobody in them is forgotten."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sim import cli
from sim.lab.topology import Stream, Topology, Trials, load
from sim.migrate.convert import Imported, ImportRefusedError, import_lab
from sim.migrate.findings import one_line

PILOT: dict[str, Any] = {"subjects": [], "ip": "", "prefs": {}}


class Files:
    """A folder of files to import, and what comes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result: Imported | None = None

    def write(self, name: str, what: Any) -> Path:
        path = self.folder / name
        path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
        return path

    def lab(self, db: Any, *, prefs: Any = None, **machines: Any) -> Topology:
        """The topology of a pilot_db, the terminal's prefs, and `rig_1={…}` for rig_1.prefs.json."""
        self.result = import_lab(
            self.write("pilot_db.json", db),
            terminal=None if prefs is None else self.write("prefs.json", prefs),
            machines=[self.write(f"{name}.prefs.json", what) for name, what in machines.items()],
        )
        path = self.folder / "imported.yaml"
        path.write_text(self.result.text)
        return load(path)

    @property
    def text(self) -> str:
        assert self.result is not None
        return self.result.text

    @property
    def told(self) -> list[str]:
        """What a person must look at, with the names of the files alone."""
        assert self.result is not None
        return [finding.removeprefix(f"{self.folder}/") for finding in self.result.findings]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def pilot(ip: str = "", subjects: list[Any] | None = None, **prefs: Any) -> dict[str, Any]:
    return {"ip": ip, "subjects": subjects or [], "prefs": prefs}


def edges(topology: Topology) -> dict[str, list[str]]:
    return {machine.id: list(machine.children) for machine in topology.machines if machine.children}


def line_with(text: str, part: str) -> str:
    [line] = [line for line in text.splitlines() if part in line]
    return line


# What is in the files


def test_a_pilot_has_the_address_the_port_and_the_subjects_of_the_file(files: Files) -> None:
    lab = files.lab({"rig_1": pilot("10.0.0.11", ["m1", "m2"], MSGPORT="5566", PUSHPORT="5561", SUBJECT="m3")})
    rig = lab.machine("rig_1")
    assert (rig.host, rig.port, rig.subjects, rig.parent) == ("10.0.0.11", 5566, ("m1", "m2", "m3"), "T")
    assert rig.trials == Trials()
    assert (lab.terminal.port, lab.terminal.host) == (5561, None)
    assert files.told == []


def test_what_was_not_set_is_at_autopilots_default(files: Files) -> None:
    lab = files.lab({"rig_1": pilot(NAME="rig_1"), "rig_2": {"subjects": [], "ip": ""}, "rig_3": PILOT})
    assert [machine.port for machine in lab.machines] == [5560, 5565, 5565, 5565]
    assert (lab.ping_interval_s, files.told) == (5.0, [])


def test_nothing_but_pilots_without_prefs_is_a_lab_too_and_its_terminal_s_port_a_guess(files: Files) -> None:
    lab = files.lab({"rig_1": {"subjects": [], "ip": "", "state": "IDLE"}})
    assert (edges(lab), lab.terminal.port) == ({"T": ["rig_1"]}, 5560)
    assert "# guess" in line_with(files.text, "port: 5560")


def test_children_are_made_from_the_childid_of_their_parents(files: Files) -> None:
    lab = files.lab(
        {
            "rig_1": pilot(LINEAGE="PARENT", CHILDID="cam", CHILDIP="10.0.0.2"),
            "rig_2": pilot(LINEAGE="PARENT", CHILDID=["a", "b"], CHILDIP=["10.0.0.3", ""]),
            "rig_3": pilot(CHILDID=""),
        }
    )
    assert edges(lab) == {"T": ["rig_1", "rig_2", "rig_3"], "rig_1": ["cam"], "rig_2": ["a", "b"]}
    assert [lab.machine(id).host for id in ("cam", "a", "b")] == ["10.0.0.2", "10.0.0.3", None]
    assert lab.machine("cam").trials is None
    assert files.told == []


def test_mice_are_subjects(files: Files) -> None:
    lab = files.lab({"rig_1": {"mice": ["m1", "m2"], "ip": ""}, "rig_2": {"subjects": ["m3"], "mice": ["m3", "m4"]}})
    assert [machine.subjects for machine in lab.machines[1:]] == [("m1", "m2"), ("m3", "m4")]
    assert files.told == []


@pytest.mark.parametrize("nobody", ["NONE", "none", "None ", "", None, [], ["NONE"], [""], [None]])
def test_a_child_that_is_called_none_is_nobody(files: Files, nobody: Any) -> None:
    lab = files.lab({"rig_1": pilot(CHILDID=nobody, CHILDIP=nobody, PARENTID="NONE", PARENTIP="NONE", LINEAGE="NONE")})
    assert [machine.id for machine in lab.machines] == ["T", "rig_1"]
    assert (lab.machine("rig_1").host, files.told) == (None, [])


def test_a_parent_that_is_called_none_is_nobody(files: Files) -> None:
    lab = files.lab({"rig_1": pilot(CHILDID="cam"), "cam": pilot(LINEAGE="CHILD", PARENTID="NONE")})
    assert edges(lab) == {"T": ["rig_1"], "rig_1": ["cam"]}


def test_children_that_have_entries_are_nested_under_their_parentid(files: Files) -> None:
    child: dict[str, Any] = {"LINEAGE": "CHILD", "PARENTIP": "10.0.0.9", "PARENTPORT": "5599"}
    lab = files.lab(
        {
            "wheel": pilot(**child, PARENTID="cam"),
            "cam": pilot("10.0.0.9", MSGPORT=5599, **(child | {"PARENTID": "rig_1", "PARENTPORT": 5570})),
            "rig_1": {"subjects": ["m"], "ip": "", "prefs": {}},
        }
    )
    assert edges(lab) == {"T": ["rig_1"], "rig_1": ["cam"], "cam": ["wheel"]}
    rig = lab.machine("rig_1")
    assert (rig.host, rig.port) == ("10.0.0.9", 5570), "its child knows where to find it"
    assert "# guess: PARENTPORT of cam" in line_with(files.text, "port: 5570")
    assert files.told == []


def test_a_camera_is_a_stream_and_a_guess(files: Files) -> None:
    lab = files.lab(
        {
            "rig_1": pilot(
                HARDWARE={
                    "Cams": {"top": {"fps": "12.5", "resolution": ["640", 480]}, "side": 0, "none": ""},
                    "camera": {"typed": {"fps": 5.0, "resolution": "(320, 240)"}},
                    "USB": {
                        "eye": {"type": "hardware.cameras.Camera_Spinnaker", "fps": 60},
                        "top": {"type": "CAMERAS"},
                    },
                    "POKES": {"L": 24, "R": "", "C": {"type": "Beambreak"}},
                    "LEDS": "",
                }
            )
        }
    )
    video = {"dtype": "uint8", "content": "video", "batch": 1, "reliable": False}
    assert lab.machine("rig_1").streams == {
        "top": Stream(shape=(480, 640), rate_hz=12.5, **video),  # type: ignore[arg-type]
        "side": Stream(shape=(480, 640), rate_hz=30.0, **video),  # type: ignore[arg-type]
        "typed": Stream(shape=(240, 320), rate_hz=5.0, **video),  # type: ignore[arg-type]
        "eye": Stream(shape=(480, 640), rate_hz=60.0, **video),  # type: ignore[arg-type]
        "USB_top": Stream(shape=(480, 640), rate_hz=30.0, **video),  # type: ignore[arg-type]
    }
    assert line_with(files.text, " top: {").endswith("# guess: from HARDWARE.Cams.top")
    assert line_with(files.text, "eye: {").endswith("# guess: from HARDWARE.USB.eye, which does not say resolution")
    assert line_with(files.text, "side: {").endswith("which does not say fps and resolution")
    assert files.told == [
        "pilot_db.json: rig_1: the camera 'HARDWARE.Cams.none' is left out: its entry is empty.",
    ]


def test_the_terminal_has_the_port_and_the_address_that_most_pilots_push_to_and_the_others_are_named(
    files: Files,
) -> None:
    lab = files.lab(
        {
            "rig_1": pilot(PUSHPORT="5570", TERMINALIP="10.0.0.2"),
            "rig_2": pilot(PUSHPORT=5571, TERMINALIP="10.0.0.1"),
            "rig_3": pilot(PUSHPORT="5571", TERMINALIP="10.0.0.1"),
            "rig_4": pilot(TERMINALIP="10.0.0.1"),
            "rig_5": pilot(),
            "cam": pilot(LINEAGE="CHILD", PARENTID="rig_1", PUSHPORT=1, TERMINALIP="10.9.9.9"),
        }
    )
    assert (lab.terminal.port, lab.terminal.host) == (5571, "10.0.0.1")
    assert line_with(files.text, "port: 5571").endswith("# guess: where 2 of 4 pilots push")
    assert files.told == [
        "pilot_db.json: rig_1: it pushes to port 5570, but the terminal's is 5571.",
        "pilot_db.json: rig_4: it pushes to port 5560, but the terminal's is 5571.",
        "pilot_db.json: rig_1: it pushes to the address 10.0.0.2, but the terminal's is 10.0.0.1.",
    ]


def test_the_terminal_s_own_prefs_say_who_and_where_it_is(files: Files) -> None:
    own = {"NAME": "boss", "MSGPORT": "5599", "TERMINALIP": "10.0.0.1"}
    lab = files.lab({"rig_1": pilot(PUSHPORT="5570")}, prefs=own)
    assert (lab.terminal.id, lab.terminal.port, lab.terminal.host) == ("boss", 5599, "10.0.0.1")
    assert line_with(files.text, "port: 5599").endswith("# MSGPORT of prefs.json")
    assert files.told == ["pilot_db.json: rig_1: it pushes to port 5570, but the terminal's is 5599."]


def test_a_topology_has_one_ping_interval_and_who_has_another_is_a_comment(files: Files) -> None:
    lab = files.lab({"a": pilot(PING_INTERVAL="2.5"), "b": pilot(PING_INTERVAL=2.5), "c": pilot(MSGPORT=5565)})
    assert (lab.ping_interval_s, files.told) == (2.5, [])
    assert line_with(files.text, "PING_INTERVAL").strip().startswith("# PING_INTERVAL is 5 here")


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


def test_the_terminal_s_prefs_among_those_of_the_machines_are_no_machine(files: Files) -> None:
    db, own = files.write("pilot_db.json", {"rig_1": PILOT}), files.write("x.prefs.json", {"MSGPORT": 5561})
    assert import_lab(db, terminal=own, machines=[own, own, db]).placed == ("rig_1",)


def test_the_file_opens_with_what_it_was_made_from_and_names_no_folder(files: Files) -> None:
    files.lab({"rig_1": pilot(LINEAGE="CHILD"), "b": PILOT}, prefs={"MSGPORT": 0}, b={"MSGPORT": "no"})
    assert files.text.startswith("# Imported from pilot_db.json, prefs.json and b.prefs.json by")
    assert str(files.folder) not in files.text
    assert "# look: b.prefs.json: `MSGPORT` must be" in files.text


def test_names_that_mean_something_in_yaml_stay_names(files: Files) -> None:
    ids = ["no", "1", "1e3", "null", "=", "<<", "a,b", "a:b", "#", "{}", "[", "'", '"', "ü", "2020-01-01", "0x1", "~"]
    ids += ["*a", "&a", "!a", "%a", "@a", "`a", "-", "?", "|", ">", "true", "🐁", "a#b", "}", "1_000", "1:30"]
    lab = files.lab({id: pilot(subjects=[f"{id}\n{id}", id, f" {id}: x # y"]) for id in ids})
    assert [machine.id for machine in lab.machines] == ["T", *ids]
    lines = [line for line in files.text.splitlines() if "subjects:" in line]
    assert [line.endswith("]") for line in lines] == [True] * len(ids), "each on one line"
    assert [machine.subjects for machine in lab.machines[1:]] == [(f"{id}\n{id}", id, f" {id}: x # y") for id in ids]


# What does not fit

CHILD: dict[str, Any] = {"LINEAGE": "CHILD"}
MISFITS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "two machines are each other's parents": (
        {"ok": PILOT, "a": pilot(**CHILD, PARENTID="b"), "b": pilot(**CHILD, PARENTID="a"), "c": pilot(CHILDID=[])},
        ["a", "b"],
        [
            "a: not placed: its parents go in a circle: a → b → a.",
            "b: not placed: its parents go in a circle: a → b → a.",
        ],
    ),
    "a circle of CHILDIDs, and what hangs below it": (
        {"ok": PILOT, "a": pilot(CHILDID="b"), "b": pilot(CHILDID=["a", "c"])},
        ["a", "b", "c"],
        [
            "a: not placed: its parents go in a circle: a → b → a.",
            "b: not placed: its parents go in a circle: a → b → a.",
            "c: not placed: its parent 'b' has no place.",
        ],
    ),
    "its own parent": (
        {"ok": PILOT, "a": pilot(**CHILD, PARENTID="a")},
        ["a"],
        ["a: not placed: it is its own parent."],
    ),
    "its own child": (
        {"a": pilot(CHILDID="a")},
        [],
        ["a: CHILDID names the machine itself, which is left out."],
    ),
    "a child of the terminal's, and the terminal as a child": (
        {"a": pilot(**CHILD, PARENTID="T", PARENTPORT=5560), "b": pilot(CHILDID="T")},
        [],
        ["b: CHILDID names the terminal, 'T', which is left out."],
    ),
    "an unknown parent": (
        {"ok": PILOT, "a": pilot(**CHILD, PARENTID="who"), "b": pilot(**CHILD, PARENTID="a"), "c": pilot(**CHILD)},
        ["a", "b", "c"],
        [
            "a: not placed: its PARENTID is 'who', and there is no such machine.",
            "b: not placed: its parent 'a' has no place.",
            "c: not placed: LINEAGE is CHILD, but there is no PARENTID, and no CHILDID names it.",
        ],
    ),
    "two parents name a child that says nothing": (
        {"a": pilot(CHILDID="c"), "b": pilot(CHILDID=["c"])},
        [],
        ["c: it is CHILDID of 'a' and 'b'; the first of them counts."],
    ),
    "two parents name a child that says more": (
        {"a": pilot(CHILDID="c"), "b": pilot(CHILDID=["c"]), "c": pilot(**CHILD, PARENTID="b")},
        [],
        ["c: its PARENTID is 'b', but it is CHILDID of 'a' and 'b'; PARENTID counts."],
    ),
    "a parent names a child that has another parent": (
        {"a": pilot(CHILDID="c"), "b": PILOT, "c": pilot(PARENTID="b")},
        [],
        ["c: its PARENTID is 'b', but it is CHILDID of 'a'; PARENTID counts."],
    ),
    "a parent names other children": (
        {"a": pilot(CHILDID="x"), "c": pilot(**CHILD, PARENTID="a")},
        [],
        ["c: its PARENTID is 'a', whose CHILDID does not name it; PARENTID counts."],
    ),
    "a parent names a pilot": (
        {"a": pilot(CHILDID="c"), "c": pilot(LINEAGE="none")},
        [],
        ["c: LINEAGE is NONE, but it is CHILDID of 'a'; LINEAGE counts."],
    ),
    "a parent without a child, and a child that does not say it is one": (
        {"a": pilot(LINEAGE="PARENT"), "b": pilot(PARENTID="a")},
        [],
        [
            "b: PARENTID is 'a', but LINEAGE is not CHILD; it is put below the terminal.",
            "a: LINEAGE is PARENT, but no file says who its child is.",
        ],
    ),
    "addresses that contradict each other": (
        {
            "a": pilot("10.0.0.1", CHILDID="c", CHILDIP="10.0.0.3"),
            "c": pilot("10.0.0.4", **CHILD, PARENTID="a", PARENTIP="10.0.0.5", PARENTPORT="5560"),
            "d": pilot(CHILDID=["x", "y"], CHILDIP="10.0.0.6"),
            "e": {"ip": "10.0.0.1"},
        },
        [],
        [
            "c: its address is 10.0.0.4, but CHILDIP of 'a' says 10.0.0.3; the former counts.",
            "c: its PARENTIP is 10.0.0.5, but 'a' is at 10.0.0.1; the latter counts.",
            "c: its PARENTPORT is 5560, but 'a' listens at 5565.",
            "d: CHILDIP has 1 addresses for 2 ids in CHILDID, so it is left out.",
            "e: it has the address of 'a', 10.0.0.1, and its port, 5565.",
        ],
    ),
    "a subject at two rigs, and twice at one": (
        {"a": pilot(subjects=["m", "m"]), "b": pilot(SUBJECT="m")},
        [],
        ["a: the subject 'm' is listed 2 times.", "b: the subject 'm' is listed at 'a' too."],
    ),
    "another name than the terminal's for it": (
        {"a": pilot(NAME="b")},
        [],
        ["a: its NAME is 'b'; the name under which the terminal has it counts."],
    ),
    "ids that no machine can have": (
        {"ok": pilot(CHILDID=["a b", "_x"]), "": PILOT, "T": PILOT, "{parent}": PILOT, "\ud800": 5, "x" * 201: PILOT},
        ["", "T", "{parent}", "\ud800", "x" * 201, "a b", "_x"],
        [
            "'': not placed: the id '' is empty.",
            "T: not placed: the terminal has this id.",
            "{parent}: not placed: the id '{parent}' has {n}, {id} or {parent} in it, which a topology fills in.",
            "'\\ud800': not placed: the id '\\ud800' has a blank, a slash or a control character in it.",
            f"'{'x' * 60}…': not placed: the id '{'x' * 60}…' has more than 200 bytes, "
            "and zmq takes no longer identities.",
            "a b: not placed: the id 'a b' has a blank, a slash or a control character in it.",
            "_x: not placed: the id '_x' begins with `_`, which marks the programs' own nodes.",
        ],
    ),
    "entries that are no objects": (
        {"ok": PILOT, "a": 5, "b": [], "c": None},
        ["a", "b", "c"],
        [
            "a: not placed: its entry must be an object, not 5.",
            "b: not placed: its entry must be an object, not a list.",
            "c: not placed: its entry must be an object, not nothing.",
        ],
    ),
    "keys that nothing is read from": (
        {"a": {**PILOT, "mouse": "m1", "cage\n": 4}, "b": {**PILOT, "state": "IDLE"}, "c": {"mice": "m1"}},
        [],
        [
            "a: nothing is read from its keys 'mouse' and 'cage\\n'.",
            "c: `mice` must be a list, not 'm1'; it is left out.",
        ],
    ),
    "values of wrong types": (
        {
            "a": {"subjects": "m", "ip": 5, "prefs": []},
            "b": {"subjects": [None, True, "", 7, "{n}", "\udc00"], "ip": "a b", "prefs": "x"},
            "c": pilot(NAME=[], MSGPORT="70000", PUSHPORT=10**400, TERMINALIP={}, PING_INTERVAL=float("nan")),
            "d": pilot(LINEAGE="AUNT", CHILDID=[{}], CHILDIP=[5], PARENTID={}, PARENTPORT=5565.5, SUBJECT=[]),
            "e": pilot(HARDWARE=[], PING_INTERVAL=0, MSGPORT=True, PUSHPORT="5e3x", PARENTIP="{id}"),
            "f": pilot(HARDWARE={"CAMS": {"a": {"fps": "fast", "resolution": [1]}, "b c": {}, "d": []}, "CAM": 5}),
            "g": pilot(HARDWARE={"CAMS": {"a": {"fps": -1, "resolution": [100_000, 100_000]}}}),
        },
        [],
        [
            "a: `ip` must be a name or an address, not 5; it is left out.",
            "a: `subjects` must be a list, not 'm'; it is left out.",
            "a: `prefs` must be an object, not a list; it is left out.",
            "b: `ip` must be a name or an address, not 'a b'; it is left out.",
            "b: `subjects[1]` must be text, not true; it is left out.",
            "b: `subjects[4]` must be text without {n}, {id} and {parent}, which a topology fills in, not '{n}'; "
            "it is left out.",
            "b: `subjects[5]` must be text without half a character in it (a lone surrogate), not '\\udc00'; "
            "it is left out.",
            "b: `prefs` must be an object, not 'x'; it is left out.",
            "c: `NAME` must be text, not a list; it is left out.",
            "c: `MSGPORT` must be a whole number from 1 to 65535, not '70000'; it is left out.",
            f"c: `PUSHPORT` must be a whole number from 1 to 65535, not 1{'0' * 59}…; it is left out.",
            "c: `TERMINALIP` must be a name or an address, not an object; it is left out.",
            "c: `PING_INTERVAL` must be a number above 0, not nan; it is left out.",
            "d: `LINEAGE` must be one of NONE, PARENT, CHILD, not 'AUNT'; it is left out.",
            "d: `CHILDID` must be text, or a list of texts, not a list; it is left out.",
            "d: `CHILDIP` must be an address, or a list of them, not a list; it is left out.",
            "d: `PARENTID` must be text, not an object; it is left out.",
            "d: `PARENTPORT` must be a whole number from 1 to 65535, not 5565.5; it is left out.",
            "d: `SUBJECT` must be text, not a list; it is left out.",
            "e: `MSGPORT` must be a whole number from 1 to 65535, not true; it is left out.",
            "e: `PUSHPORT` must be a whole number from 1 to 65535, not '5e3x'; it is left out.",
            "e: `PING_INTERVAL` must be a number above 0, not 0; it is left out.",
            "e: `PARENTIP` must be text without {n}, {id} and {parent}, which a topology fills in, not '{id}'; "
            "it is left out.",
            "e: `HARDWARE` must be an object, not a list; it is left out.",
            "f: `HARDWARE.CAMS.a.fps` must be a number above 0, not 'fast'; it is left out.",
            "f: `HARDWARE.CAMS.a.resolution` must be two whole numbers, width and height in pixels, not a list; "
            "it is left out.",
            "f: the camera 'HARDWARE.CAMS.b c' is left out: "
            "its name has a blank, a slash or a control character in it.",
            "f: `HARDWARE.CAMS.d` must be an object, not a list; it is left out.",
            "f: `HARDWARE.CAM` must be an object, not 5; it is left out.",
            "g: `HARDWARE.CAMS.a.fps` must be a number above 0, not -1; it is left out.",
            "g: `HARDWARE.CAMS.a.resolution` must be 100000000 pixels at most, not a list; it is left out.",
        ],
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_is_told_with_its_file_and_its_machine_and_the_rest_imported(
    files: Files, misfit: str
) -> None:
    db, unplaced, told = MISFITS[misfit]
    lab = files.lab(db)
    assert files.told == [f"pilot_db.json: {sentence}" for sentence in told]
    assert files.result is not None
    assert list(files.result.unplaced) == unplaced
    assert not {machine.id for machine in lab.machines[1:]} & set(unplaced)
    looks = [line.partition("pilot_db.json: ")[2] for line in files.text.splitlines() if "pilot_db.json: " in line]
    assert sorted(looks) == sorted(re.sub(r"^.*?: ", "", sentence, count=1) for sentence in told), "it stands there too"


def test_who_is_placed_where_it_is_in_doubt(files: Files) -> None:
    lab = files.lab({"a": pilot(CHILDID="c"), "b": pilot(CHILDID=["c", "d"]), "d": pilot(**CHILD, PARENTID="a")})
    assert edges(lab) == {"T": ["a", "b"], "a": ["d", "c"]}
    assert "# guess: a child of a, as of 'a' and 'b'" in line_with(files.text, "- id: c")


def test_a_name_or_a_pref_that_is_there_twice_is_told(files: Files) -> None:
    files.lab(b'{"a": {"ip": ""}, "a": {"ip": "x", "ip": "y", "prefs": {"MSGPORT": 1, "MSGPORT": 2}}}')
    assert files.told == [
        "pilot_db.json: a: it is in the file twice; the last one counts.",
        "pilot_db.json: a: 'ip' is there twice; the last one counts.",
        "pilot_db.json: a: the pref 'MSGPORT' is there twice; the last one counts.",
    ]


def test_cameras_that_differ_between_files_are_told(files: Files) -> None:
    files.lab({"a": pilot(HARDWARE={"CAM": {"t": 0}})}, a={"HARDWARE": {"CAM": {"t": {"fps": 9}}}})
    assert files.told == [
        "a.prefs.json: a: HARDWARE is HARDWARE.CAM.t (9 fps, resolution not said) here and was HARDWARE.CAM.t "
        "(fps not said, resolution not said) before; what is here counts.",
    ]


def test_a_chain_that_yaml_cannot_nest_is_cut_where_it_gets_too_deep(files: Files) -> None:
    lab = files.lab({f"r{n}": pilot(CHILDID=f"r{n + 1}") for n in range(1900)})
    assert files.result is not None
    assert (len(lab.machines), len(files.result.unplaced)) == (41, 1861)


# What cannot be imported


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
        (b"[" * 100_000, "this is nested deeper than any file of a lab is."),
        (b'{"a": ' + b"1" * 5000 + b"}", "there is a number in it that is too long to be read."),
        (b'{"a": 1, "b": []}', "no pilot_db, which has an object for each pilot."),
        (
            b'{"NAME": "rig_1", "MSGPORT": 5}',
            "no pilot_db, which has an object for each pilot; prefs of a single machine go after it, or to --prefs.",
        ),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(files: Files, raw: bytes, said: str) -> None:
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
    assert said[2].startswith("prefs.json: without NAME nobody knows whose prefs these are;")
    assert said[3] == "/dev/null: this is not a regular file."
    assert said[4] == f"{folder}: this is a folder; name a JSON file in it."


def test_a_lab_in_which_nobody_has_a_place_is_refused_with_all_that_was_found(files: Files) -> None:
    path = files.write("pilot_db.json", {"a": pilot(**CHILD, PARENTID="b", MSGPORT=0)})
    with pytest.raises(ImportRefusedError) as caught:
        import_lab(path)
    assert [sentence.removeprefix(f"{path}: ") for sentence in caught.value.sentences] == [
        "a: `MSGPORT` must be a whole number from 1 to 65535, not 0; it is left out.",
        "a: not placed: its PARENTID is 'b', and there is no such machine.",
        "no machine in it has a place below the terminal.",
    ]


@pytest.mark.parametrize(
    ("db", "said"),
    [
        ({f"r{n}": {} for n in range(2000)}, "these are 2000 machines; 1999 are the most."),
        ({"a": pilot(subjects=["x" * 150 + str(n) for n in range(3000)])}, "this would be no topology that can be"),
    ],
    ids=["machines", "bytes"],
)
def test_a_lab_too_large_for_a_topology_is_refused(files: Files, db: Any, said: str) -> None:
    with pytest.raises(ImportRefusedError, match=said):
        import_lab(files.write("pilot_db.json", db))


# The command


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `python -m sim import …`; gives the exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = cli.app(["import", *map(str, words)], result_action="return_value", exit_on_error=False)
        said = capsys.readouterr()
        return int(code or 0), said.out, said.err

    return run


def test_without_output_the_topology_goes_to_the_screen(files: Files, run: Run) -> None:
    code, out, err = run(files.write("pilot_db.json", {"rig_ü": PILOT}))
    assert (code, err) == (0, "")
    path = files.folder / "piped.yaml"
    path.write_text(out)
    assert edges(load(path)) == {"T": ["rig_ü"]}


def test_what_must_be_looked_at_goes_to_stderr_and_makes_the_exit_code_one(files: Files, run: Run) -> None:
    db, output = files.write("pilot_db.json", {"a": pilot(MSGPORT=0), "b": 1}), files.folder / "my.yaml"
    code, out, err = run(db, "--output", output)
    assert (code, out) == (1, f"{output}: 1 placed, 1 not placed, 2 to look at\n")
    assert err.splitlines() == [
        f"{db}: a: `MSGPORT` must be a whole number from 1 to 65535, not 0; it is left out.",
        f"{db}: b: not placed: its entry must be an object, not 1.",
    ]
    assert edges(load(output)) == {"T": ["a"]}


def test_the_files_of_machines_may_stand_anywhere(files: Files, run: Run) -> None:
    db = files.write("pilot_db.json", {"a": pilot(CHILDID="c", PUSHPORT=5599)})
    own = files.write("prefs.json", {"MSGPORT": 5599})
    children = [files.write(f"{id}.prefs.json", {**CHILD, "PARENTID": "a"}) for id in "bcd"]
    code, out, err = run(db, children[0], "--prefs", own, *children[1:])
    said = "its PARENTID is 'a', whose CHILDID does not name it; PARENTID counts."
    assert (code, err) == (1, f"{children[0]}: b: {said}\n{children[2]}: d: {said}\n")
    assert [part in out for part in ("id: b", "id: c", "id: d", "port: 5599")] == [True] * 4


def test_a_file_is_never_written_over_without_force(files: Files, run: Run) -> None:
    db, output = files.write("pilot_db.json", {"a": PILOT}), files.write("my.yaml", b"mine")
    assert run(db, "--output", output) == (2, "", f"{output}: the file is there already; --force writes over it.\n")
    assert output.read_bytes() == b"mine"
    assert run(db, "--output", output, "--force")[0] == 0
    assert edges(load(output)) == {"T": ["a"]}


def test_a_file_that_the_lab_is_imported_from_is_not_written_over_even_with_force(files: Files, run: Run) -> None:
    db = files.write("pilot_db.json", {"a": PILOT})
    before = db.read_bytes()
    code, out, err = run(db, "--output", db, "--force")
    assert (code, out, db.read_bytes()) == (2, "", before)
    assert err == f"{db}: the lab is imported from this file; name another with --output.\n"


@pytest.mark.parametrize("where", ["", "no/such/folder.yaml"])
def test_where_nothing_can_be_written_is_said(files: Files, run: Run, where: str) -> None:
    db = files.write("pilot_db.json", {"a": PILOT})
    code, out, err = run(db, "--output", files.folder / where, "--force")
    assert (code, out) == (2, "")
    assert "it cannot be written: " in err


def test_a_refused_import_writes_nothing(files: Files, run: Run) -> None:
    db, output = files.write("pilot_db.json", b"[]"), files.folder / "my.yaml"
    assert run(db, "--output", output) == (2, "", f"{db}: this must be one JSON object, not a list.\n")
    assert not output.exists()


def test_the_help_says_what_the_exit_codes_mean(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "0 imported" in out
    assert "--force" in out


# Whatever is in the files

ODD = st.text(st.characters(), max_size=6)
ODD_ID = st.sampled_from(["T", "{n}", "", "_x", "a b", "no", "1", "ü", "x" * 201]) | ODD
ANY_ID = st.one_of(*[st.sampled_from("abcdef")] * 7, ODD_ID)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD | st.sampled_from([10**30, "5565", "1e999", -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=4,
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*[usual] * 9, JUNK)


PORTS = mostly(st.sampled_from([5560, 5565, "5565", "5570", "", "x", 0]))
HOSTS = mostly(st.sampled_from(["10.0.0.1", "10.0.0.2", "rig.local", "", "a b"]))
CAMERA = mostly(
    st.fixed_dictionaries(
        {},
        optional={
            "type": mostly(st.sampled_from(["cameras.PiCamera", "gpio.Digital_In"])),
            "fps": mostly(st.sampled_from([30, "60", 1e-7, 0.1, 0])),
            "resolution": mostly(st.tuples(st.integers(0, 2000), st.integers(0, 2000)).map(list)),
        },
    )
)
PREFS = st.fixed_dictionaries(
    {},
    optional={
        "NAME": mostly(ANY_ID),
        "MSGPORT": PORTS,
        "PUSHPORT": PORTS,
        "PARENTPORT": PORTS,
        "TERMINALIP": HOSTS,
        "PARENTIP": HOSTS,
        "CHILDIP": HOSTS | st.lists(HOSTS, max_size=3),
        "PING_INTERVAL": mostly(st.sampled_from([5, "2", 0.5, 1e-7, ""])),
        "LINEAGE": mostly(st.sampled_from(["NONE", "PARENT", "parent", "CHILD", ""])),
        "CHILDID": mostly(ANY_ID | st.lists(ANY_ID, max_size=3)),
        "PARENTID": mostly(ANY_ID),
        "SUBJECT": mostly(ODD),
        "HARDWARE": mostly(
            st.dictionaries(
                st.sampled_from(["CAMERAS", "cam", "POKES"]) | ODD,
                mostly(st.dictionaries(st.sampled_from(["top", "eye", "on"]) | ODD, CAMERA, max_size=3)),
                max_size=3,
            )
        ),
    },
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "subjects": mostly(st.lists(mostly(ODD), max_size=4)),
        "ip": HOSTS,
        "prefs": mostly(PREFS),
        "state": JUNK,
    },
)
DB = st.one_of(
    *[st.dictionaries(ANY_ID, mostly(ENTRY), min_size=3, max_size=8)] * 4, st.dictionaries(ANY_ID, JUNK | ENTRY)
)


def children_in(prefs: Any) -> list[str]:
    """Whom a CHILDID names, if it can be read."""
    said = prefs.get("CHILDID") if isinstance(prefs, dict) else None
    every = said if isinstance(said, list) else [said]
    every = [one for one in every if one is not None and one != ""]
    if not all(isinstance(one, str | int) and not isinstance(one, bool) for one in every):
        return []
    return [str(one) for one in every]


def everybody_in(db: dict[str, Any], machines: dict[str, Any], terminal: str) -> set[str]:
    """The ids of all machines that the files speak of, counted without the code under test."""
    found = set(db)
    said = [(id, entry.get("prefs")) for id, entry in db.items() if isinstance(entry, dict)]
    overridden: dict[str, list[str]] = {id: children_in(prefs) for id, prefs in said}
    for id, prefs in machines.items():
        found.add(id)
        if children_in(prefs) or prefs.get("CHILDID") == []:
            overridden[id] = children_in(prefs)
    return found | {child for id, children in overridden.items() for child in children if child not in {id, terminal}}


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(db=DB, machines=st.dictionaries(st.sampled_from(["a", "b", "x"]), PREFS, max_size=2), own=st.none() | PREFS)
@example(db={"a": pilot(CHILDID="b"), "b": pilot(CHILDID="a")}, machines={}, own=None)
def test_every_machine_is_placed_or_in_a_comment_and_the_topology_loads(
    db: dict[str, Any], machines: dict[str, Any], own: Any
) -> None:
    for id, prefs in machines.items():
        prefs["NAME"] = id
    with TemporaryDirectory() as folder:
        files, refused = Files(Path(folder)), None
        try:
            lab = files.lab(db, prefs=own, **machines)
        except ImportRefusedError as error:
            refused = error.sentences
        if refused is not None:
            assert refused
            assert all(one.startswith(folder) and one.endswith(".") and one.isprintable() for one in refused)
            return
        assert files.result is not None
        placed, unplaced = files.result.placed, files.result.unplaced
        terminal = lab.terminal.id
        assert Counter([*placed, *unplaced]) == Counter(everybody_in(db, machines, terminal))
        assert Counter(machine.id for machine in lab.machines) == Counter([terminal, *placed])
        block = files.text.partition("\n# Not placed:\n")[2].splitlines()
        assert [line[4:] for line in block if line.startswith("# - ")] == [one_line(id) or "''" for id in unplaced]
        assert all(told.endswith(".") and told.isprintable() for told in files.told)
        assert (unplaced == ()) or files.told


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    raw=st.binary(max_size=40) | DB.map(lambda db: json.dumps(db).encode()), cut=st.integers(0, 400), put=st.binary()
)
def test_whatever_the_bytes_of_its_files_an_import_ends_in_a_topology_or_in_sentences(
    raw: bytes, cut: int, put: bytes
) -> None:
    broken = raw[:cut] + put[:3] + raw[cut:]
    with TemporaryDirectory() as folder:
        files = Files(Path(folder))
        db, own = files.write("pilot_db.json", broken), files.write("x.prefs.json", raw)
        for words in ({}, {"terminal": own}, {"machines": [own]}):
            with suppress(ImportRefusedError):
                assert import_lab(db, **words).placed
