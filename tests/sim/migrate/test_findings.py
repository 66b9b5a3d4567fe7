"""What does not fit is a finding, with its file and its machine, and the rest is imported."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.sim.migrate.import_files import CHILD, PILOT, Files, pilot

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
        ["a: its NAME is 'b'; the name in the pilot_db counts."],
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
def test_a_misfit_is_a_finding_with_its_file_and_machine_and_the_rest_is_imported(
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
