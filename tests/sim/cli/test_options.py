"""Each run gets a folder of its own for its report."""

from __future__ import annotations

from pathlib import Path

from sim.cli.console import escaped
from sim.cli.options import new_folder


def test_two_runs_in_one_second_have_two_folders(tmp_path: Path) -> None:
    folders = {new_folder(tmp_path / "reports", "my lab/1") for _ in range(3)}
    assert len(folders) == 3
    assert all(folder is not None and folder.is_dir() and folder.name.startswith("my_lab_1-") for folder in folders)


def test_no_folder_is_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    assert new_folder(tmp_path / "reports", "lab") is None


def test_brackets_in_text_are_no_markup() -> None:
    assert escaped("a [bold]") == "a \\[bold]"
