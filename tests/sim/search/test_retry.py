"""Storms are drawn until one fails; that one is tried on fresh labs, and made smaller where it fails every time."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from sim.evidence.index import digest
from sim.evidence.journal import Journal, Reader
from sim.lab.topology import Machine, Topology, graph
from sim.scenario import Example, Flow, Op, Opaque, Send, Twice, twice_id
from sim.scenario.payloads import Payload, build, fingerprint, opaque_bytes
from sim.search.draw_storms import draw_storms
from sim.search.retry import RetryResult, _shrink, confirm_and_shrink
from sim.storms import Failure, play_storm
from sim.world import LabError
from tests import ROOT
from tests.sim.checks.test_registry import Story, append_to
from tests.sim.findings import violation

Breaks = Callable[[Op], bool]
LAB = Topology(
    name="three",
    path="three.yaml",
    machines=(
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", children=("cam",)),
        Machine("cam", parent="rig_1"),
    ),
)
SEND = Send(frm="T", to="rig_1", payload=Payload(text="[1, 2]"), burst=3)
FLOW = Flow(frm="_cam", to="T", items=5, batch=2, payload=Payload(text="7"))
TWICE = Twice(at="T", to="cam")
OPAQUE = Opaque(at="cam", to="T", size=9)
OPS = (SEND, FLOW, TWICE, OPAQUE)


class PlayedLab:
    """A lab that plays storms in a journal alone, without a fault but in those ops that it breaks."""

    def __init__(self, topology: Topology, *, seed: int, folder: Path, breaks: Breaks = lambda _: False) -> None:
        self.topology = topology
        self.folder = folder
        self.died: list[str] = []
        self.played: list[Example] = []
        self.settles = True
        self.is_up = True
        self.missing: list[str] = []
        self.breaks = breaks
        self._tree = graph(topology).to_undirected()
        (folder / "journal").mkdir(parents=True)
        self._reader = Reader(folder / "journal")

    def stop(self) -> None:
        self.is_up = False

    def more(self) -> Journal:
        return self._reader.more()

    def start(self) -> None:
        assert self.is_up

    def await_handshakes(self) -> list[str]:
        return self.missing

    def storm(self, example: Example, number: int) -> bool:
        self.played.append(example)
        story = Story()
        for n, op in enumerate(example.ops):
            fate = "lost" if self.breaks(op) else "handled"
            play: dict[type, Any] = {Send: self._send, Flow: self._flow, Twice: self._twice, Opaque: self._opaque}
            play[type(op)](story, op, number, n, fate)
        append_to(self.folder / "journal", story.journal)
        return self.settles

    def _send(self, story: Story, op: Send, number: int, n: int, fate: str) -> None:
        for k in range(op.burst):
            facts: dict[str, Any] = {"id": f"{number}.{n}.{k}", "key": "STORM", "example": number}
            facts["print"] = fingerprint(build(op.payload))
            way = self._way(op.frm, op.to)
            story.note("made", op.frm, to=op.to, sought=op.sought, **facts)
            story.carry(facts["id"], *way)
            if fate == "handled":
                story.note("handled", way[-1], **facts)
            if op.sought:
                story.note("settled", op.frm, value="confirmed", **facts)

    def _flow(self, story: Story, op: Flow, number: int, n: int, fate: str) -> None:
        for k in range(op.items):
            facts: dict[str, Any] = {"stream": f"{op.frm}#{number}.{n}", "n": k, "example": number}
            story.note("item_made", op.frm, to=op.to, print="same", **facts)
            if fate == "handled":
                story.note("item_got", op.to, print="same", **facts)

    def _twice(self, story: Story, op: Twice, number: int, n: int, fate: str) -> None:
        by = f"actor.{op.at}.a"
        facts: dict[str, Any] = {"id": twice_id(by, number, n), "key": "STORM", "example": number}
        story.note("made twice", by, to=op.to, n=n, **facts)
        for _ in range(1 if fate == "handled" else op.times):
            story.note("handled", op.to, **facts)
        story.note("settled", by, value="confirmed", **facts)

    def _opaque(self, story: Story, op: Opaque, number: int, n: int, fate: str) -> None:
        raw = digest(opaque_bytes(op.size, op.seed, number, n))
        for at, peer in itertools.pairwise(self._way(op.at, op.to)):
            story.trace("Transmit", at, peer=peer, digest=raw)
        story.note("opaque", f"actor.{op.to}.b", value=fate == "handled", n=n, example=number)

    def _way(self, frm: str, to: str) -> list[str]:
        here, there = (name.removeprefix("_").removesuffix(".probe") for name in (frm, to))
        stations = [str(name) for name in nx.shortest_path(self._tree, here, there)]
        return [*([frm] if frm != here else []), *stations, *([to] if to.endswith(".probe") else [])]


@pytest.fixture
def lab(tmp_path: Path) -> PlayedLab:
    return PlayedLab(LAB, seed=1, folder=tmp_path / "lab")


@pytest.fixture
def draw(lab: PlayedLab) -> Iterator[Callable[..., tuple[dict[int, Example], Failure | None]]]:
    """Draw storms over the lab."""

    def draw(count: int = 8, *, seed: int = 1) -> tuple[dict[int, Example], Failure | None]:
        told: dict[int, Example] = {}
        before = len(lab.played)

        def play(number: int, example: Example) -> Failure | None:
            told[number] = example
            stormed = play_storm(lab, example, number, seed)  # type: ignore[arg-type]
            if stormed.settled and not stormed.broke:
                return None
            return Failure(number=number, example=example, broke=stormed.broke, settled=stormed.settled)

        try:
            # Hypothesis has its tables at home already; a new place costs it seconds.
            failure = draw_storms(LAB, play, seed=seed, count=count, home=ROOT / ".hypothesis")
        finally:
            assert list(told) == list(range(len(lab.played) - before)), "each is told as it begins"
        return told, failure

    yield draw
    set_hypothesis_home_dir(None)


# -- drawing ---------------------------------------------------------------------------------------------------------


def test_as_many_storms_are_played_as_were_asked_for(lab: PlayedLab, draw: Any) -> None:
    played, failure = draw(8)
    assert failure is None
    assert list(played) == list(range(8))
    assert list(played.values()) == lab.played


def test_storms_differ_and_the_same_seed_draws_them_again(lab: PlayedLab, draw: Any) -> None:
    one, again, other = (list(draw(8, seed=seed)[0].values()) for seed in (1, 1, 2))
    assert one == again != other
    assert len(set(one)) > 5


def test_no_storm_is_drawn_where_none_was_asked_for(lab: PlayedLab, draw: Any) -> None:
    assert draw(0) == ({}, None)
    assert lab.played == []


def test_the_first_storm_that_breaks_something_ends_it_and_is_not_played_again(lab: PlayedLab, draw: Any) -> None:
    """The lab is bent by then: whatever it did on a second try would say nothing."""
    lab.breaks = lambda op: isinstance(op, Flow) and op.items > 2
    played, failure = draw(100)
    assert failure is not None
    assert 0 < len(lab.played) < 100
    assert lab.played == list(played.values())
    assert (failure.number, failure.example, failure.settled) == (len(played) - 1, lab.played[-1], True)
    assert all("items missing at" in broken.text for broken in failure.broke)


def test_a_storm_that_does_not_settle_ends_it(lab: PlayedLab, draw: Any) -> None:
    lab.settles = False
    played, failure = draw()
    assert failure == Failure(number=0, example=played[0], broke=[], settled=False)
    assert len(lab.played) == 1


def test_a_storm_in_which_a_process_died_has_not_settled(lab: PlayedLab, draw: Any) -> None:
    lab.died = ["_rig_1"]
    assert draw()[1].settled is False


def test_a_lab_that_falls_in_a_storm_is_not_stormed_again(lab: PlayedLab, draw: Any) -> None:
    def falls(op: Op) -> bool:
        raise LabError("the station rig_1 does not answer a bare zmq peer")

    lab.breaks = falls
    with pytest.raises(LabError, match="rig_1 does not answer"):
        draw()
    assert len(lab.played) == 1


def test_a_lab_that_falls_once_is_not_stormed_again(lab: PlayedLab, draw: Any) -> None:
    """Hypothesis tries again what raised, and calls it flaky if it then does not."""

    def falls(op: Op) -> bool:
        if len(lab.played) == 3:
            raise LabError("the station rig_1 does not answer a bare zmq peer")
        return False

    lab.breaks = falls
    with pytest.raises(LabError, match="rig_1 does not answer"):
        draw()
    assert len(lab.played) == 3


def test_an_interrupt_ends_it_at_once(lab: PlayedLab, draw: Any) -> None:
    def interrupts(op: Op) -> bool:
        raise KeyboardInterrupt

    lab.breaks = interrupts
    with pytest.raises(KeyboardInterrupt):
        draw()
    assert len(lab.played) == 1


@pytest.mark.parametrize(("op", "check"), [(SEND, "confirm"), (FLOW, "streams"), (TWICE, "confirm"), (OPAQUE, "hops")])
def test_a_storm_is_judged_by_what_is_new_in_the_journal(lab: PlayedLab, op: Op, check: str) -> None:
    storms = [Example(ops=OPS)] * 3
    lab.breaks = lambda broken: broken == op and len(lab.played) == 2
    verdicts = [play_storm(lab, storm, n, seed=1).broke for n, storm in enumerate(storms)]  # type: ignore[arg-type]
    assert list(map(bool, verdicts)) == [False, True, False]
    assert {broken.check for broken in verdicts[1]} == {check}


# -- trying again ----------------------------------------------------------------------------------------------------


class FreshLabs:
    """Makes a lab for each trial, and remembers them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[PlayedLab] = []
        self.is_broken: Callable[[int, Op], bool] = lambda _, op: op == FLOW
        self.prepare: Callable[[PlayedLab], object] = lambda _: None

    def __call__(self, trial: int) -> Any:
        assert trial == len(self.made)
        folder = self.folder / str(trial)
        lab = PlayedLab(LAB, seed=1, folder=folder, breaks=lambda op: self.is_broken(trial, op))
        self.prepare(lab)
        self.made.append(lab)
        return lab


@pytest.fixture
def labs(tmp_path: Path) -> FreshLabs:
    return FreshLabs(tmp_path)


@pytest.fixture
def retry(labs: FreshLabs) -> Callable[..., tuple[RetryResult, list[str]]]:
    """Try a failed storm of one op of each kind again, and say what was told meanwhile."""

    def retry(seconds: float = 60.0) -> tuple[RetryResult, list[str]]:
        told: list[str] = []
        failure = Failure(number=3, example=Example(ops=OPS), broke=[violation("hops: it broke")], settled=True)
        retrial = confirm_and_shrink(failure, labs, seed=1, seconds=seconds, said=told.append)
        return retrial, told

    return retry


def test_what_fails_every_time_is_made_as_small_as_it_goes(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda _, op: isinstance(op, Flow)
    retry, told = retry()
    assert retry.example.ops == (Flow(frm="_cam", to="T", items=5, batch=2),)
    assert retry.sentence == "seen 5 of 5 times again on a fresh lab; shrunk from 4 steps to 1"
    assert told[:5] == [f"a storm failed; trying it again on a fresh lab, {n} of 5" for n in range(1, 6)]
    assert told[5:7] == ["it still fails with 2 steps", "it still fails with 1 step"]


def test_it_is_known_what_came_of_the_smallest_when_it_failed(labs: FreshLabs, retry: Any) -> None:
    """Not of the last that was tried, if that held."""
    labs.is_broken = lambda _, op: isinstance(op, Flow)
    retrial, _ = retry()
    assert [broken.check for broken in retrial.shown.broke] == ["streams"]
    assert {entry.what for entry in retrial.shown.journal.entries} == {"item_made"}


def test_of_what_never_failed_again_nothing_is_shown(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda *_: False
    assert retry()[0].shown is None


def test_what_does_not_fail_every_time_is_reported_as_often_as_it_was_seen(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda trial, op: op == FLOW and trial % 2 == 0
    retry, _ = retry()
    assert (retry.failed, retry.tried, retry.example.ops) == (3, 5, OPS)
    assert retry.sentence == "seen 3 of 5 times again on a fresh lab"
    assert len(labs.made) == 5, "nothing is shrunk that comes and goes"


def test_what_cannot_be_made_smaller_is_reported_as_it_was(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda trial, op: op == TWICE and labs.made[trial].played[0].ops == OPS
    retry, _ = retry()
    assert retry.example.ops == OPS
    assert retry.sentence == "seen 5 of 5 times again on a fresh lab"


def test_no_lab_is_started_where_no_time_is_given(labs: FreshLabs, retry: Any) -> None:
    retry, told = retry(seconds=0.0)
    assert retry.sentence == "not tried again on a fresh lab: storm.shrink_s is 0"
    assert (labs.made, told, retry.example.ops) == ([], [], OPS)


def is_late(lab: PlayedLab) -> None:
    lab.settles = False


def is_silent(lab: PlayedLab) -> None:
    lab.missing = ["cam"]


def is_down(lab: PlayedLab) -> None:
    lab.start = falls  # type: ignore[method-assign]


def falls() -> None:
    raise LabError("not ready within 60 s: _cam")


@pytest.mark.parametrize("what", [is_late, is_silent, is_down])
def test_a_fresh_lab_that_does_not_settle_or_come_up_has_failed(
    labs: FreshLabs, retry: Any, what: Callable[[PlayedLab], object]
) -> None:
    labs.is_broken = lambda *_: False
    labs.prepare = what
    assert retry()[0].failed == 5


def test_each_trial_has_a_lab_of_its_own_and_takes_it_down(labs: FreshLabs, retry: Any) -> None:
    retry()
    assert len(labs.made) > 5
    assert not any(lab.is_up for lab in labs.made)


# -- shrinking -------------------------------------------------------------------------------------------------------

STEPS = [Twice(at="T", to="cam", times=2 + n) for n in range(12)]


def smallest(example: Example, fails: Callable[[Example], bool], *, deadline: float = math.inf) -> Example:
    *_, last = [example, *_shrink(example, fails, deadline)]
    return last


@given(st.integers(1, 12), st.data())
def test_what_is_left_is_what_it_takes_to_fail(size: int, data: st.DataObject) -> None:
    steps = STEPS[:size]
    culprits = data.draw(st.sets(st.sampled_from(steps), min_size=1))
    tried: Counter[Example] = Counter()

    def fails(example: Example) -> bool:
        tried[example] += 1
        return culprits <= set(example.ops)

    left = smallest(Example(ops=tuple(steps)), fails)
    assert left.ops == tuple(step for step in steps if step in culprits), "in the order they had"
    assert all(example.ops for example in tried), "a storm of nothing proves nothing"


@given(st.integers(0, 11))
def test_one_culprit_of_twelve_is_found_in_few_trials(culprit: int) -> None:
    tried = 0

    def fails(example: Example) -> bool:
        nonlocal tried
        tried += 1
        return STEPS[culprit] in example.ops

    assert smallest(Example(ops=tuple(STEPS)), fails).ops == (STEPS[culprit],)
    assert tried <= 12


def test_each_step_is_made_simpler_where_it_still_fails() -> None:
    plain = Send(frm="T", to="rig_1")
    assert smallest(Example(ops=OPS), lambda example: len(example.ops) == 4).ops == (
        plain,
        Flow(frm="_cam", to="T", items=5, batch=2),
        TWICE,
        OPAQUE,
    )
    assert smallest(Example(ops=OPS), lambda example: SEND in example.ops).ops == (SEND,)


def test_shrinking_ends_when_time_is_up() -> None:
    def fails(example: Example) -> bool:
        pytest.fail("there is no time to try anything")

    assert smallest(Example(ops=OPS), fails, deadline=0.0).ops == OPS
