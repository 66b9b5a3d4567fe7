"""The guide for contributors is true: its files exist, its commands parse or run, and its walk-throughs hold."""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from autopilot_net.defaults import REPEAT_INTERVAL_S
from autopilot_net.participant import Participant
from autopilot_net.protocol.endpoint import Settings
from sim.checks import registry
from sim.checks.result import result_of
from sim.cli import app
from sim.evidence.index import Index
from sim.faults import VERBS, actions, describe
from sim.lab.fault import FaultVerb
from sim.lab.topology import Topology, TopologyError, load
from sim.labtest import LabUnderTest
from sim.report.render import write
from sim.verdict import Check, TrialRow
from tests import ROOT
from tests.test_imports import SOURCES, imports

GUIDE = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
LISTED = re.findall(r"\| `([^`]+)` \|$", GUIDE, flags=re.MULTILINE)  # the commands in its table
FOLDERS = r"(?:autopilot_net|sim|tests|topologies|\.ci|\.github)"
PUBLIC = ("autopilot_net", "sim.faults", "sim.labtest", "sim.plugin", "sim.scenario", "sim.strategies")
PYTHON = ".venv/bin/python"


# -- what it names -----------------------------------------------------------------------------------------------------


def test_every_path_it_names_exists() -> None:
    paths = set(re.findall(rf"(?<![\w/.-]){FOLDERS}/[\w./-]*[\w/]", GUIDE)) | set(re.findall(r"`(\w+\.md)`", GUIDE))
    assert len(paths) > 40
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_name_it_gives_of_a_file_is_in_that_file() -> None:
    named = re.findall(rf"`({FOLDERS}/[\w/]+\.py)`: (?:a |the |an )?[\w ]*?`(\w+)`", GUIDE)
    assert len(named) >= 8
    assert [(path, name) for path, name in named if name not in (ROOT / path).read_text()] == []


@pytest.mark.parametrize("command", [*COMMANDS, *LISTED])
def test_every_command_parses(command: str) -> None:
    done = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", re.findall(rf"{re.escape(PYTHON)} -m sim (.*)", GUIDE))
def test_every_command_of_the_rehearsal_has_the_options_it_names(line: str) -> None:
    words = shlex.split(re.split(r" [>&]", line)[0])
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_every_test_it_names_is_collected() -> None:
    for command in [*LISTED, *COMMANDS]:
        for words in (shlex.split(line) for line in command.splitlines() if "-k " in line):
            path, name = words[-3], words[-1]
            assert re.search(rf"def test_\w*{name}", (ROOT / path).read_text()), command


def test_no_package_registry_is_named() -> None:
    assert not re.search(r"https?://", GUIDE)


def test_the_journal_it_reads_has_the_lines_it_shows(tmp_path: Path) -> None:
    ran = re.search(r"<!-- run by tests -->\n```sh\n(.*?)```.*?<!-- printed by it -->\n```\n(.*?)```", GUIDE, re.DOTALL)
    assert ran is not None
    script, shown = ran.groups()
    (tmp_path / "topologies").symlink_to(ROOT / "topologies")
    script = script.replace(PYTHON, shlex.quote(sys.executable))
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [_without_figures(line) for line in done.stdout.splitlines()] == [
        _without_figures(line) for line in shown.splitlines()
    ]


def _without_figures(line: str) -> str:
    line = re.sub(r"\d+ messages|_rig_1_\d+\.\d+", "…", line.strip())
    return re.sub(r"^[\d.]+ ms", "ms", line)


# -- its walk-throughs -------------------------------------------------------------------------------------------------


def test_a_row_of_the_table_of_verbs_drives_what_is_made_of_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = tmp_path / "lab.yaml"
    lab.write_text("pilots: [{id: rig_1}]\nfaults: [{at_s: 1, stall: rig_1}]\n")
    with pytest.raises(TopologyError, match="needs `heal_after_s`"):
        load(lab)
    monkeypatch.setitem(VERBS, "stall", FaultVerb(acts=("reset",), done="bounced"))
    topology = load(lab)
    assert describe(topology.faults[0]) == "the link of rig_1 is bounced at 1 s"
    assert [(action.verb, action.target) for action in actions(topology, seed=0)] == [("reset", "rig_1")]


def test_a_new_verb_is_listed_where_a_fault_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(VERBS, "bounce", FaultVerb(acts=("reset",), done="bounced"))
    lab = tmp_path / "lab.yaml"
    lab.write_text("pilots: [{id: rig_1}]\nfaults: [{at_s: 1}]\n")
    with pytest.raises(TopologyError, match=r"give one of kill, .*, bounce\."):
        load(lab)


@pytest.mark.lab("topologies/pair.yaml", duration_s=1)
def test_a_row_of_the_registry_is_a_check_of_the_report_and_a_field_of_trials_a_column(
    virtual_lab: LabUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def check_flags(index: Index) -> Check:
        return result_of("flags", f"{len(index.made)} messages", len(index.made), [])

    monkeypatch.setattr(registry, "CHECKS", (*registry.CHECKS, registry.Row(check_flags)))
    played = virtual_lab.play()
    assert played.check("flags").result == "pass"
    page = write(played.report, tmp_path).read_text()
    assert "flags" in page
    for field in TrialRow.__struct_fields__:
        assert re.search(rf"<th[^>]*>{field.replace('_', ' ').capitalize()}</th>", page), field


def test_the_interval_of_repeats_is_one_constant() -> None:
    [of_a_lab] = [field.default for field in msgspec.structs.fields(Topology) if field.name == "repeat_interval_s"]
    assert {Participant.repeat_interval, Settings().repeat_interval, of_a_lab} == {REPEAT_INTERVAL_S}
    assignments = [name for name, text in SOURCES.items() if re.search(r"REPEAT_INTERVAL_S = ", text)]
    assert assignments == ["autopilot_net.defaults"]


def test_one_module_of_the_library_writes_and_reads_messages_as_json() -> None:
    readers = [
        name
        for name, text in SOURCES.items()
        if name.startswith("autopilot_net") and ("json" in imports(text) or "msgspec.json" in text)
    ]
    others = {f"autopilot_net.{name}" for name in ("prefs", "protocol.probes", "trace_writer")}  # they are no messages
    assert set(readers) == {"autopilot_net.codec", *others}


# -- the API reference -------------------------------------------------------------------------------------------------


def public(module: ModuleType) -> Iterator[tuple[str, str, ModuleType]]:
    """Every public docstring of `module`: whose it is, its text, and the module whose names it may use."""
    yield module.__name__, module.__doc__ or "", module
    for name in module.__all__:
        thing = getattr(module, name)
        home = importlib.import_module(getattr(thing, "__module__", None) or module.__name__)
        if inspect.isclass(thing):
            for part, member in inspect.getmembers(thing):
                code = getattr(member, "fget", member)  # that of a property
                is_ours = (getattr(code, "__module__", None) or "").startswith(("autopilot_net.", "sim."))
                if not part.startswith("_") and inspect.isroutine(code) and is_ours:
                    yield f"{module.__name__}.{name}.{part}", inspect.getdoc(member) or "", home
        if inspect.isclass(thing) or inspect.isroutine(thing):
            yield f"{module.__name__}.{name}", inspect.getdoc(thing) or "", home


def is_found(name: str, home: ModuleType) -> bool:
    """Whether a dotted name is that of something in `home`, in a public module, or in any module by its full name."""
    first, *rest = name.split(".")
    modules = (*PUBLIC, "autopilot_net.roles.terminal", "autopilot_net.roles.pilot")
    places = [home, builtins, *map(importlib.import_module, modules)]
    things = [getattr(place, first) for place in places if hasattr(place, first)]
    if first in ("autopilot_net", "sim"):
        things = [importlib.import_module(first)]
    for part in rest:
        things = [found for thing in things if (found := _part(thing, part)) is not None]
    return bool(things)


def _part(thing: object, name: str) -> object | None:
    fields = getattr(thing, "__annotations__", {})
    found = getattr(thing, name, None) if hasattr(thing, name) else fields.get(name)
    if found is None and isinstance(thing, ModuleType):
        try:
            return importlib.import_module(f"{thing.__name__}.{name}")
        except ImportError:
            return None
    return found


def looks_like_ours(name: str) -> bool:
    """A path into one of the packages, or a class: a capital with a small letter behind it."""
    return name.partition(".")[0] in ("autopilot_net", "sim") or bool(re.match(r"[A-Z][a-z]", name))


DOCSTRINGS = [one for module in PUBLIC for one in public(importlib.import_module(module))]


def test_every_name_of_ours_in_a_public_docstring_exists() -> None:
    ours = [
        (whose, name, home)
        for whose, text, home in DOCSTRINGS
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", text)
        if looks_like_ours(name)
    ]
    assert len(ours) > 20
    assert [(whose, name) for whose, name, home in ours if not is_found(name, home)] == []


def test_a_name_that_does_not_exist_is_seen() -> None:
    home = importlib.import_module("autopilot_net.node")
    assert is_found("Net_Node.get_stream", home)
    assert not any(is_found(name, home) for name in ("Net_Node.get_river", "Nobody", "sim.nothing", "sim.faults.no"))


def test_every_public_name_has_a_docstring() -> None:
    assert len(DOCSTRINGS) > 150
    assert [whose for whose, text, _ in DOCSTRINGS if not text] == []
