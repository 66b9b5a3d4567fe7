"""The command `import`: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim import cli
from sim.lab.topology import load
from tests.sim.migrate.import_files import CHILD, PILOT, Files, edges, pilot


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


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


def test_findings_go_to_stderr_and_make_the_exit_code_one(files: Files, run: Run) -> None:
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


def test_a_file_is_never_overwritten_without_force(files: Files, run: Run) -> None:
    db, output = files.write("pilot_db.json", {"a": PILOT}), files.write("my.yaml", b"mine")
    assert run(db, "--output", output) == (2, "", f"{output}: the file exists already; --force overwrites it.\n")
    assert output.read_bytes() == b"mine"
    assert run(db, "--output", output, "--force")[0] == 0
    assert edges(load(output)) == {"T": ["a"]}


def test_a_source_of_the_import_is_not_overwritten_even_with_force(files: Files, run: Run) -> None:
    db = files.write("pilot_db.json", {"a": PILOT})
    before = db.read_bytes()
    code, out, err = run(db, "--output", db, "--force")
    assert (code, out, db.read_bytes()) == (2, "", before)
    assert err == f"{db}: the lab is imported from this file; give another one to --output.\n"


@pytest.mark.parametrize("where", ["", "no/such/folder.yaml"])
def test_an_output_that_cannot_be_written_is_refused(files: Files, run: Run, where: str) -> None:
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
