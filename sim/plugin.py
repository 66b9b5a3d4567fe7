"""A pytest plugin for a lab's own tests, with its own programs: the fixtures `lab` and `virtual_lab`, and their mark.

    @pytest.mark.lab("lab.yaml", duration_s=5)
    def test_a_session_holds(lab):
        assert lab.play().held

    @pytest.mark.lab("lab.yaml")
    def test_a_reboot_costs_nothing(virtual_lab):
        played = virtual_lab.play(Fault(at_s=2, kill="rig_1", restart_after_s=1))
        assert played.held, played

Every run of pytest imports this file where the package is installed. So the file imports nothing but pytest.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

__all__ = ["lab", "virtual_lab"]

if TYPE_CHECKING:
    from sim.labtest import LabUnderTest, Played

MARK = (
    "lab(file, *, duration_s=None, seed=0, faults=True, storms=0, own_programs=True): the topology that the fixtures "
    "`lab` and `virtual_lab` play. A relative path is looked up in the test's folder, then in the root folder. "
    "faults=False leaves out the faults of the file, storms=N plays N storms after the session, own_programs=False "
    "plays emulated programs in place of the lab's own."
)
WITHOUT = 'it has no mark that names its lab: write @pytest.mark.lab("lab.yaml") above it'
OPTIONS = {"duration_s": None, "seed": 0, "faults": True, "storms": 0, "own_programs": True}
LABS = pytest.StashKey["list[LabUnderTest]"]()
World = Literal["processes", "virtual"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--lab-report`."""
    group = parser.getgroup("lab", "rehearsals of a lab")
    group.addoption("--lab-report", metavar="DIR", help="keep the reports and scenarios of failed tests in DIR")


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LabUnderTest:
    """The lab of the mark, on processes: see `sim.labtest.LabUnderTest`. Each `play()` starts it and ends it."""
    return _lab(request, tmp_path_factory, "processes")


@pytest.fixture
def virtual_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LabUnderTest:
    """The lab of the mark in virtual time: deterministic, and much faster. It cannot run the lab's own programs."""
    return _lab(request, tmp_path_factory, "virtual")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what its labs say. Of a test that passed, nothing is kept."""
    report = yield
    for lab in item.stash.get(LABS, []) if report.when == "call" else []:
        if report.failed and lab.played:
            shown = next((one for one in reversed(lab.played) if not one.held), lab.played[-1])
            report.sections.append((f"lab {shown.scenario.topology.path}, seed {shown.scenario.seed}", _text_of(shown)))
        elif report.passed and item.config.getoption("lab_report") is not None:
            shutil.rmtree(lab.folder, ignore_errors=True)
    return report


def _lab(request: pytest.FixtureRequest, places: pytest.TempPathFactory, world: World) -> LabUnderTest:
    kept = request.config.getoption("lab_report")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", request.node.nodeid)
    made = _made(request, world, places.mktemp("lab") if kept is None else Path(kept) / f"{name}-{world}")
    request.node.stash.setdefault(LABS, []).append(made)
    return made


def _made(request: pytest.FixtureRequest, world: World, folder: Path) -> LabUnderTest:
    mark = request.node.get_closest_marker("lab")
    if mark is None:
        pytest.fail(f"{request.node.nodeid} uses a lab, and {WITHOUT}", pytrace=False)
    with warnings.catch_warnings():  # warnings at the import of other packages must not fail this test
        warnings.simplefilter("ignore")
        from sim.lab.topology import TopologyError
    try:
        return _of_mark(mark, _found(request, mark), world, folder)
    except (TopologyError, ValueError) as error:
        sentence = str(error)
    pytest.fail(f"{request.node.nodeid}: {sentence}", pytrace=False)


def _found(request: pytest.FixtureRequest, mark: pytest.Mark) -> Path:
    """The path of the file of the lab, relative to the working folder if it is below that."""
    if not mark.args or not isinstance(mark.args[0], str | Path):
        raise ValueError("the first argument of the mark is the file of the lab")
    places = (request.path.parent, request.config.rootpath)
    for place in places:
        if (path := place / mark.args[0]).is_file():
            here = Path.cwd()
            return path.relative_to(here) if path.is_relative_to(here) else path
    raise ValueError(f"there is no {mark.args[0]} in {places[0]}, nor in {places[1]}")


def _of_mark(mark: pytest.Mark, path: Path, world: World, folder: Path) -> LabUnderTest:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from msgspec.structs import replace

        from sim.lab.topology import lasting, load
        from sim.labtest import LabUnderTest, without_programs
        from sim.rehearse import refusal

    options = {**OPTIONS, **mark.kwargs}
    if len(mark.args) > 1 or options.keys() != OPTIONS.keys():
        raise ValueError(f"the mark takes a file, and the keywords {', '.join(OPTIONS)}; not {mark.args, mark.kwargs}")
    topology = load(path)
    if options["duration_s"] is not None:
        topology = lasting(topology, options["duration_s"])
    if not options["faults"]:
        topology = replace(topology, faults=())
    if not options["own_programs"]:
        topology = without_programs(topology)
    if (why := refusal(world, topology)) is not None:
        here = "use the fixture `lab`, or mark with own_programs=False, to have an emulated program in its place"
        raise ValueError(f"{why}; {here}")
    return LabUnderTest(topology, world=world, seed=options["seed"], draw=options["storms"], folder=folder)


def _text_of(played: Played) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = played.keep()
    return "\n".join([str(played), *kept])
