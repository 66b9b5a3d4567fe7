"""The text of an imported topology."""

from __future__ import annotations

from tests.sim.migrate.import_files import PILOT, Files, pilot


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
