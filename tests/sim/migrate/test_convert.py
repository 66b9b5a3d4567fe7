"""Whatever the files of a lab say, an import ends in a topology that loads, or in sentences."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sim.migrate.convert import ImportRefusedError, import_lab
from sim.migrate.findings import one_line
from tests.sim.migrate.import_files import CHILD, PILOT, Files, pilot


def test_the_terminal_s_prefs_among_those_of_the_machines_are_no_machine(files: Files) -> None:
    db, own = files.write("pilot_db.json", {"rig_1": PILOT}), files.write("x.prefs.json", {"MSGPORT": 5561})
    assert import_lab(db, terminal=own, machines=[own, own, db]).placed == ("rig_1",)


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
        ({f"r{n}": {} for n in range(2000)}, "it has 2000 machines, and a topology at most 1999."),
        ({"a": pilot(subjects=["x" * 150 + str(n) for n in range(3000)])}, "the topology made from it cannot be"),
    ],
    ids=["machines", "bytes"],
)
def test_a_lab_too_large_for_a_topology_is_refused(files: Files, db: Any, said: str) -> None:
    with pytest.raises(ImportRefusedError, match=said):
        import_lab(files.write("pilot_db.json", db))


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
