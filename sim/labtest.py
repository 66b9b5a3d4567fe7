"""What the fixtures of the pytest plugin give to a test: a lab to play, as often as wanted, and the outcome of each
play.

Every play starts a new lab, so nothing of one play is left in the next.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from sim.evidence.journal import Entry, Journal
from sim.faults.idle import why_idle
from sim.lab.fault import Fault, verb_of
from sim.lab.own_programs import without_programs
from sim.lab.topology import Topology
from sim.phases import Conducted
from sim.processes.faults import IMPOSSIBLE
from sim.rehearse import WorldName, rehearse
from sim.scenario import Example, Scenario, load_scenario, save_scenario
from sim.verdict import Check, Report, StreamRow, TrialRow, over_sessions

__all__ = ["LabUnderTest", "Played", "without_programs"]

Row = TypeVar("Row")


SHOWN = 12  # sentences in the text of a failed test; the report has all


class Played:
    """The outcome of one play. In a failed `assert`, its text is the verdict. `str()` of it says what broke.

    `report` has what the report of the command line shows. `journal` has all entries of the programs and stations, in
    the order of time (ns). `scenario` is what was played; `python -m sim replay` runs it again.
    """

    def __init__(self, conducted: Conducted, report: Report, world: WorldName, folder: Path) -> None:
        self.scenario: Scenario = conducted.scenario
        self.journal: Journal = conducted.journal  # `entries` and `traces`, both in the order of time (ns)
        self.report = report
        self.world = world
        self.folder = folder  # where `keep` writes; made only then
        self.unsettled: list[str] = [doubt.text for doubt in conducted.unsettled]  # what had not come to its end

    @property
    def held(self) -> bool:
        """Whether every check passed, and everything settled."""
        return self.report.verdict == "held"

    @property
    def verdict(self) -> str:
        """`held`, `broke` or `unsettled`."""
        return self.report.verdict

    @property
    def broke(self) -> list[str]:
        """All sentences of the checks that failed, each with the name of its check before it."""
        return [str(violation) for check in self.report.checks for violation in check.broke]

    @property
    def explained(self) -> list[str]:
        """What is missing because of a fault, each with the fault. These are no violations."""
        return [f"{check.name}: {what}" for check in self.report.checks for what in check.explained]

    @property
    def exceptions(self) -> list[str]:
        """The tracebacks of programs, each with the id of its machine before it."""
        return self.report.exceptions

    def check(self, name: str) -> Check:
        """One check by its name. Raises KeyError with the names there are, if there is none of this name."""
        return _one({check.name: check for check in self.report.checks}, name, "check")

    def stream(self, machine: str, name: str, *, session: int | None = None) -> StreamRow:
        """How one stream fared: `sent`, `received`, `missing` … `name` is the name that the file gives it, or that an
        own program does. If its rig graduates: over all sessions, or in the session of that number. Raises KeyError
        with the streams there are, if it is none.
        """
        found: dict[str, list[StreamRow]] = {}
        for row in self.report.streams:
            if session is None or row.session in (None, session):
                found.setdefault(f"{row.machine}.{row.stream}", []).append(row)
        return over_sessions(_one(found, f"{machine}.{name}", "stream"))

    def trials(self, rig: str) -> TrialRow:
        """How the trials of one rig fared, in messages. Raises KeyError with the rigs there are, if it makes no trials.
        """
        return _one({row.rig: row for row in self.report.trials}, rig, "rig with trials")

    def handled(self, by: str, key: str | None = None) -> list[Entry]:
        """The messages that a participant handled, in order. `by` is its id: the program of rig_1 is `_rig_1`."""
        return self._entries("handled", by, key)

    def made(self, by: str, key: str | None = None) -> list[Entry]:
        """The messages that an emulated participant made, in order. It may have been killed before it sent them."""
        return self._entries("made", by, key)

    def _entries(self, what: str, by: str, key: str | None) -> list[Entry]:
        return [entry for entry in self.journal.of(what) if entry.by == by and key in (None, entry.key)]

    def keep(self) -> list[str]:
        """Write the report and the scenario into `folder`. Returns two lines: where the report is, and how to run it
        again.
        """
        from sim.report.render import write

        page = write(self.report, self.folder)
        command = self.report.replay
        if command is None:
            path = self.folder / "scenario.json"
            save_scenario(self.scenario, path)
            command = f"python -m sim replay {path}" + (" --virtual" if self.world == "virtual" else "")
        return [f"report  {page}", f"replay  {command}"]

    def __str__(self) -> str:
        sentences = [self.report.sentence, *self.broke, *([] if self.held else self.unsettled)]
        more = [f"… and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else []
        return "\n  ".join([*sentences[:SHOWN], *more, *self.exceptions])

    def __repr__(self) -> str:
        return f"<{self.scenario.topology.name}: {self.report.sentence}>"


class LabUnderTest:
    """The lab of a test. `topology` is that of the file, with the changes of the mark.

    On processes, a play takes as long as its session, and some time to start. In virtual time it takes only the time to
    compute it. Under hypothesis' `@given`, suppress the health check of function-scoped fixtures: plays are
    independent.
    """

    def __init__(self, topology: Topology, *, world: WorldName, seed: int, draw: int, folder: Path) -> None:
        self.topology = topology
        self.seed = seed  # of each play that is given none
        self.played: list[Played] = []  # for the report of a failed test: not all, the newest is the last
        self.folder = folder  # where the files of plays are kept
        self._world: WorldName = world
        self._draw = draw
        self._count = 0

    def __repr__(self) -> str:
        return f"<{self.topology.path}, {len(self.topology.machines)} machines>"

    def play(
        self,
        *faults: Fault,
        storms: Sequence[Example] = (),
        session: bool = True,
        seed: int | None = None,
    ) -> Played:
        """Play the session with the faults of the file and these faults, and judge it.

        A storm comes at its `at_s`; one without comes after the session, on a calm lab. Raises ValueError for a fault
        that could strike nothing, since such a test would always pass.
        """
        __tracebackhide__ = True
        topology = replace(self.topology, faults=(*self.topology.faults, *faults))
        for fault in faults:
            _refuse_idle(fault, topology, self._world)
        drawn = self.seed if seed is None else seed
        return self.replay(
            Scenario(topology=topology, seed=drawn, examples=tuple(storms), draw=self._draw, session=session)
        )

    def replay(self, scenario: Scenario | str | Path) -> Played:
        """Play a scenario as it is: one that was drawn, or a file of one. It may be of another lab."""
        if not isinstance(scenario, Scenario):
            scenario = load_scenario(Path(scenario))
        self._count += 1
        folder = self.folder / f"play-{self._count}"
        conducted = Conducted(scenario=scenario)
        with _settings_kept():
            report = rehearse(scenario, folder, world=self._world, say=lambda _: None, into=conducted)
        if report.verdict == "interrupted":
            raise KeyboardInterrupt
        played = Played(conducted, report, self._world, folder)
        broken = [one for one in self.played if not one.held]
        self.played = [*broken[-1:], played]  # a search plays thousands, and the last that broke is told
        with contextlib.suppress(OSError):
            folder.rmdir()  # nothing was written
        return played


def _refuse_idle(fault: Fault, topology: Topology, world: WorldName) -> None:
    __tracebackhide__ = True  # pytest shows the line of the test
    verb, wrong = verb_of(fault), why_idle(fault, topology)
    if world == "processes" and verb in IMPOSSIBLE:
        wrong = f"TCP neither loses nor repeats a single message, so {verb} is only for virtual_lab"
    if wrong:
        raise ValueError(f"{wrong}: {fault}")


def _one(rows: Mapping[str, Row], name: str, what: str) -> Row:
    if name not in rows:
        raise KeyError(f"there is no {what} {name}; there are {', '.join(rows) or 'none'}")
    return rows[name]


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """Restore the start method of processes and the environment: a rehearsal sets both, and other tests need theirs."""
    method, environment = multiprocessing.get_start_method(allow_none=True), dict(os.environ)
    try:
        yield
    finally:
        multiprocessing.set_start_method(method, force=True)
        os.environ.clear()
        os.environ.update(environment)
