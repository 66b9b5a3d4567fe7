"""`schema --text` has every key of a topology once, with its type, its unit and its default."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from sim.cli.schema_text import SECTIONS, schema_text
from sim.lab.schema import schema
from tests import ROOT


def entry(section: str, key: str) -> str:
    """The lines of one key, as one."""
    block = schema_text().partition(f"\n{section}")[2].partition("\n\n")[0]
    lines = block.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith((f"  {key}:", f"  {key}*:")))
    rest = [line.strip() for line in lines[first + 1 :]]
    under = [line.startswith("      ") for line in lines[first + 1 :]] + [False]
    return " ".join([lines[first].strip(), *rest[: under.index(False)]])


def test_a_key_has_its_type_unit_default_and_purpose() -> None:
    assert entry("SESSION", "duration_s") == (
        "duration_s: a number above 0; in seconds; default 10 Seconds from START to STOP."
    )
    assert entry("A STREAM", "rate_hz").startswith(
        "rate_hz: a number above 0; a second (Hz); default none Items a second"
    )
    assert entry("LINK", "latency_ms").startswith("latency_ms: a number of milliseconds from 0 to 60000; default 0 How")
    assert entry("TRIALS", "every_s").startswith(
        "every_s: a number of seconds above 0, or two of them: [least, most]; "
    )
    assert entry("A FAULT", "kill") == "kill: a target; default none Ended at once, as by SIGKILL."
    assert entry("A MACHINE", "durable").startswith("durable: true or false; default false")
    assert entry("A MACHINE", "id").startswith("id*: text Its unique id")
    assert entry("A GRADUATION", "at_s").startswith("at_s*: a number, 0 or more; in seconds ")


def test_every_part_of_the_schema_has_its_section_with_all_of_its_keys() -> None:
    parts = {part.__name__ for part in SECTIONS.values()} | {"KindEntry"}  # a machine has all keys of a kind
    assert {*schema()["$defs"]} == parts
    for title, part in SECTIONS.items():
        for field in msgspec.structs.fields(part):
            assert entry(title.partition(",")[0].upper(), field.encode_name)


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    assert max(map(len, schema_text().splitlines())) <= 88


def printed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_command_prints_it_and_without_a_command_there_is_help() -> None:
    assert printed("schema", "--text").stdout == schema_text()
    bare = printed()
    assert bare.returncode == 0
    assert "Rehearse a lab" in bare.stdout
    assert "schema --text" in bare.stdout
