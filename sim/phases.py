"""The phases of a rehearsal in either world: start, handshakes, session with faults, healing, storms, a crash, stop.

The result is a `Conducted`: the journal and all else that the verdict is based on. Nothing here draws storms, judges a
complete run or shows anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from sim.checks.registry import check_all
from sim.evidence.index import Evidence
from sim.evidence.journal import Entry, Journal
from sim.evidence.spans import Span
from sim.evidence.violation import Violation
from sim.faults.actions import Action
from sim.faults.compile import actions
from sim.lab.topology import Topology
from sim.scenario import Crash, Example, Scenario
from sim.scenario.assignments import size_of
from sim.scenario.load import load_storm
from sim.storms import Failure, Stormed, allow_for, play_storm
from sim.verdict import Check
from sim.world import NO_END, LabError, World

__all__ = ["Conducted", "Draw", "Phase", "Progress", "conduct", "judge"]

Phase = Literal[
    "up", "handshakes", "session", "faults", "recovery", "storms", "crash", "load", "signals", "retrial", "checks"
]


class Progress(Struct):
    """The progress of a phase, for display."""

    phase: Phase
    note: str = ""
    share: float | None = None  # the part of the phase that is done, from 0 to 1
    ended: bool = False
    ok: bool = True


class Conducted(Struct, kw_only=True):
    """The data of a run. It is complete when `conduct` returns, and partial if `conduct` raises."""

    scenario: Scenario
    actions: tuple[Action, ...] = ()
    journal: Journal = field(default_factory=Journal)
    played: dict[int, Example] = field(default_factory=dict)
    unsettled: list[Violation] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)
    died: list[str] = field(default_factory=list)
    failure: Failure | None = None
    up_s: float | None = None  # how long the start took, in real time in both worlds
    drawing_s: float = 0.0  # how long drawing storms took, in real time. The world was idle meanwhile
    fell: str = ""  # why the lab did not start, or stopped

    def evidence(self, busy: Sequence[Span] = ()) -> Evidence:
        """The evidence for `judge`. `busy`: when the CPUs were full. Sorts the journal by time."""
        self.journal.entries.sort(key=lambda entry: entry.t)
        self.journal.traces.sort(key=lambda trace: trace.t)
        return Evidence(
            topology=self.scenario.topology,
            seed=self.scenario.seed,
            journal=self.journal,
            examples=self.played,
            session=self.scenario.session,
            unsettled=self.unsettled,
            expected=self.expected,
            died=self.died,
            bounds=self.scenario.bounds,
            busy=list(busy),
        )

    def add(self, journal: Journal) -> None:
        """Add a part of the journal."""
        self.journal.entries += journal.entries
        self.journal.traces += journal.traces


class Draw(Protocol):
    """Draws storms. It is `sim.search.draw_storms.draw_storms`, which is passed in since it imports hypothesis."""

    def __call__(
        self, topology: Topology, play: Callable[[int, Example], Failure | None], *, seed: int, count: int
    ) -> Failure | None:
        """Draw `count` storms, and `play` each with its number. Returns a failure, or None."""


class MeterLike(Protocol):
    """Measures the processes of a lab. It is `sim.processes.watch.meter.Meter`."""

    def before(self) -> list[Entry]:
        """What each process holds before the load."""

    def after(self) -> list[Entry]:
        """What each process holds after it, and takes while the lab is idle."""


def conduct(
    world: World,
    scenario: Scenario,
    *,
    say: Callable[[Progress], Any] = lambda _: None,
    draw: Draw | None = None,
    crash: bool = False,
    into: Conducted | None = None,
    meter: MeterLike | None = None,
) -> Conducted:
    """Run `scenario` in `world`, and stop the world in any case.

    If the lab does not start or stops, `fell` of the result says why. `draw` draws the storms that the scenario asks
    for. With `crash`, a station is killed in a handler after them. `meter` measures the processes around the load. Pass
    `into` to keep the data of a run that Ctrl-C ends. Raises ValueError if the scenario asks for drawn storms and there
    is no `draw`.
    """
    conducted = Conducted(scenario=scenario) if into is None else into
    conducted.died = world.died
    conducted.actions = conducted.actions or actions(scenario.topology, seed=scenario.seed)
    try:
        _Conduct(world, conducted, say, draw, meter).all(crash=crash)
    except LabError as error:
        conducted.fell = str(error)
    finally:
        world.stop()
        conducted.add(world.more())
    return conducted


def judge(evidence: Evidence) -> list[Check]:
    """The results of all checks of a complete run."""
    return check_all(evidence)


class _Conduct:
    """Runs the phases, and adds their data to `run`."""

    def __init__(
        self,
        world: World,
        conducted: Conducted,
        say: Callable[[Progress], Any],
        draw: Draw | None,
        meter: MeterLike | None,
    ) -> None:
        self.world = world
        self.meter = meter
        self.draw = draw
        self.run = conducted
        self.scenario = conducted.scenario
        self.say = say

    def all(self, *, crash: bool) -> None:
        """Run the phases one after the other. Storms on a calm lab are skipped if the lab has not settled."""
        self._up()
        self._play()
        if self._is_calm():
            self._storms()
        if self._is_calm() and self.scenario.draw:
            self._draw(crash=crash)
        if self._is_calm() and self.scenario.signals:
            self._signal()

    def _is_calm(self) -> bool:
        return not (self.run.unsettled or self.world.died or self.run.failure)

    def _doubt(self, *doubts: Violation) -> None:
        self.run.unsettled += [replace(doubt, check="unsettled") for doubt in doubts]

    def _up(self) -> None:
        begun = time.monotonic()
        self.say(Progress("up"))
        self.world.start()
        self.say(Progress("up", f"{time.monotonic() - begun:.1f} s", ended=True))
        self.say(Progress("handshakes"))
        missing = self.world.await_handshakes()
        self.run.up_s = round(time.monotonic() - begun, 2)
        total = len(self.scenario.topology.machines) - 1
        self._doubt(*(Violation("", (name,), (), f"whether {name} will ever shake hands") for name in missing))
        self.say(Progress("handshakes", f"{total - len(missing)}/{total}", ended=True, ok=not missing))

    # -- the session, the faults and the storms that have a time -------------------------------------------------

    def _play(self) -> None:
        timed = {n: example for n, example in enumerate(self.scenario.examples) if example.at_s is not None}
        actions, session = self.run.actions, self.scenario.session
        faults = self.scenario.topology.faults
        if not (faults or timed or session):
            self._settle("up", {})
            return
        phase: Phase = "session" if session else "faults"
        self.say(Progress(phase, "playing"))
        self.run.played |= timed
        for example in timed.values():
            allow_for(self.world, example)
        if not self.world.play(actions, timed, session=session):
            self._doubt(NO_END)
        if faults:  # even if the draw has left none of them
            self._heal()
        self.say(Progress(phase, "settling"))
        left = self._settle("session", {})
        if session:
            self.world.ask()
            self._settle("proof", left)
            self.run.expected = self.world.expected()
        self.say(Progress(phase, ended=True, ok=not self.run.unsettled))

    def _heal(self) -> None:
        begun = time.monotonic()
        self.say(Progress("recovery"))
        wrong = self.world.heal()
        self._doubt(*(replace(doubt, text=f"whether the lab is ever whole again: {doubt.text}") for doubt in wrong))
        self.say(Progress("recovery", f"{time.monotonic() - begun:.1f} s", ended=True, ok=not wrong))

    def _settle(self, token: str, known: Mapping[str, None]) -> dict[str, None]:
        left = dict.fromkeys(self.world.settle(token))
        open_ids = [id for id in left if id not in known]
        self._doubt(*(Violation("", (), (id,), f"what became of {id}") for id in open_ids))
        return left

    # -- storms on a calm lab ------------------------------------------------------------------------------------

    def _storms(self) -> None:
        """Play the storms of the scenario that have no time."""
        self.run.add(self.world.more())
        calm = {n: example for n, example in enumerate(self.scenario.examples) if example.at_s is None}
        if not calm:
            return
        for done, (number, example) in enumerate(calm.items()):
            self._show_storm(done, len(calm), example)
            stormed = self._storm(number, example)
            if not stormed.settled:
                self._doubt(Violation("", (), (), f"what became of storm {number}"))
            if stormed.broke or not stormed.settled:
                break
        self.say(Progress("storms", str(len(calm)), ended=True, ok=not (self.run.unsettled or stormed.broke)))

    def _draw(self, *, crash: bool) -> None:
        if self.draw is None:
            raise ValueError(f"the scenario asks for {self.scenario.draw} storms to be drawn, and `draw` is missing")
        first, count = len(self.scenario.examples), self.scenario.draw
        self.run.drawing_s -= time.monotonic()

        def play(drawn: int, example: Example) -> Failure | None:
            self._show_storm(drawn, count, example)
            begun = time.monotonic()
            stormed = self._storm(first + drawn, example)
            self.run.drawing_s -= time.monotonic() - begun
            if stormed.settled and not stormed.broke:
                return None
            return Failure(number=first + drawn, example=example, broke=stormed.broke, settled=stormed.settled)

        self._show_storm(0, count, None)
        failure = self.run.failure = self.draw(self.scenario.topology, play, seed=self.scenario.seed, count=count)
        if failure is not None and not (failure.settled or failure.broke):
            self._doubt(Violation("", (), (), f"what became of storm {failure.number}"))
        self.run.drawing_s += time.monotonic()
        self.say(Progress("storms", f"{len(self.run.played) - first}", ended=True, ok=self.run.failure is None))
        if crash and self.run.failure is None:
            self._crash(first + count)
        if self._is_calm() and self.scenario.topology.storm.load:
            self._load(first + count + 1)

    def _show_storm(self, done: int, count: int, example: Example | None) -> None:
        note = f"{done}/{count}" if example is None else f"{done + 1}/{count} · {size_of(example)} messages"
        self.say(Progress("storms", note, done / count))

    def _storm(self, number: int, example: Example) -> Stormed:
        self.run.played[number] = example  # before it is played, since the lab may stop in it
        try:
            stormed = play_storm(self.world, example, number, self.scenario.seed)
        except LabError as error:  # the storm may have caused it, so it has failed, and is played again
            self.run.fell = str(error)
            stormed = Stormed(broke=[], settled=False, journal=self.world.more())
        self.run.add(stormed.journal)
        return stormed

    def _crash(self, number: int) -> None:
        """Kill a station in a handler and restart it. Its next life must handle the message."""
        topology = self.scenario.topology
        if not topology.pilots:
            return
        victim = topology.pilots[0].id
        self.say(Progress("crash", f"{victim} is killed in a handler"))
        stormed = self._storm(number, Example(ops=(Crash(frm=topology.terminal.id, to=victim),)))
        if not stormed.settled:
            text = f"what became of the message that {victim} was killed in"
            self._doubt(Violation("", (victim,), (), text))
        ok = stormed.settled and not stormed.broke
        came = "its next life handled the message" if ok else "did not recover"
        note = f"{victim} was killed in a handler, and {came}"
        self.say(Progress("crash", note, ended=True, ok=ok))

    def _load(self, number: int) -> None:
        """Play more than a window of messages and of bytes, and a slow handler. The checks say what was wrong."""
        example = load_storm(self.scenario.topology)
        if example is None:
            return
        self.say(Progress("load", f"{size_of(example):,} messages"))
        self.run.journal.entries += [] if self.meter is None else self.meter.before()
        stormed = self._storm(number, example)
        if stormed.settled and self.meter is not None:
            self.run.journal.entries += self.meter.after()
        if not stormed.settled:
            self._doubt(Violation("", (), (), "what became of the load, a storm of more than a window"))
        self.say(Progress("load", f"{size_of(example):,} messages", ended=True, ok=stormed.settled))

    def _signal(self) -> None:
        """Have every machine answer, raise, and refuse what it must refuse. The check `signals` says what was wrong."""
        self.say(Progress("signals", "playing"))
        answered = self.world.signal()
        self._settle("signals", {})
        self.say(Progress("signals", ended=True, ok=answered))
