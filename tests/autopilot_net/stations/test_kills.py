"""SIGKILLs at random points of real processes, at full speed: nothing that was promised is lost, or out of order.

`--runs 20` repeats each 20 times, each time with another point.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from autopilot_net import Net_Node, Pilot_Station, Station, Terminal_Station
from tests.autopilot_net.stations.sigkill import REPEAT_S, SETTLED_S, Handled, Journal, Scene, Sender, handled, scene

TOTAL = 5_000
TRIALS = 1_500
ORDERS = 100


@pytest.fixture
def stage() -> Iterator[Scene]:
    """Where stations and senders are started, killed and started again."""
    with scene() as made:
        yield made


class Play:
    """A terminal `T`, a rig's station `rig_1` below it, and on that a sender, which counts at full speed."""

    def __init__(
        self, stage: Scene, folder: Path, *, durable: bool = False, direct: bool = False, key: str = "COUNT"
    ) -> None:
        self.stage, self.folder, self.durable = stage, folder, durable
        self.sent, self.got = Journal(folder / "sent"), Journal(folder / "got")
        stage.begin("T", self.terminal)
        if not direct:
            stage.begin("rig_1", self.rig)
        upstream = "T" if direct else "rig_1"
        total = TRIALS if key == "DATA" else TOTAL
        self.sender = Sender(
            self.sent, "counter", upstream, stage.port(upstream), "T", key, total, self.file("counter")
        )
        if key == "COUNT":
            stage.begin("counter", lambda: self.sender)

    def file(self, name: str) -> str | None:
        """Where `name` keeps what it promised."""
        return str(self.folder / f"{name}.sqlite") if self.durable else None

    def terminal(self) -> Station:
        """The next life of the terminal's station."""
        listens, file = {"COUNT": self.got.listen}, self.file("T")
        port = self.stage.port("T")
        return Terminal_Station(listen_port=port, listens=listens, durable=file, repeat_interval=REPEAT_S)

    def rig(self) -> Station:
        """The next life of the rig's station."""
        return Pilot_Station(
            "rig_1",
            push_port=self.stage.port("T"),
            listen_port=self.stage.port("rig_1"),
            durable=self.file("rig_1"),
            repeat_interval=REPEAT_S,
        )

    def kill_once(self, chance: random.Random, *names: str) -> None:
        """Kill `names` once a random number of messages was handled, and start them again."""
        self.got.until(chance.randrange(2 * self.sender.total))
        self.stage.kill(*names)
        self.stage.restart(*names)

    def check(self, *, killed: tuple[str, ...]) -> None:
        """Nothing lost, in order, once in a life, marked where it came again."""
        self.stage.join("counter")
        got = handled(self.got)
        sent = self.told("sent")
        assert [n for _, n in sent] == list(range(TOTAL))
        lost = set(sent) - {one.number for one in got if one.done}
        assert not lost, f"{len(lost)} lost, the first of them {min(lost)}"
        more = {one.number for one in got} - set(sent)
        assert len(more) <= killed.count("counter"), f"{more} are more than the sends that a kill kept from returning"
        check_order(got)
        again = check_again(got)
        if self.durable:
            assert len(again) <= killed.count("T"), f"handled again, and with them a handler was done: {again}"


    def told(self, word: str) -> list[tuple[int, int]]:
        """The messages of which the sender wrote `word`."""
        return [(int(line[1]), int(line[2])) for line in self.sent.lines() if line[0] == word]


def check_order(got: list[Handled]) -> None:
    """In each life once and in order, and what comes for the first time comes after all that came before."""
    lives = [life for life, _ in groupby(got, key=lambda one: one.life)]
    assert len(lives) == len(set(lives)), "two lives at once"
    for life, group in groupby(got, key=lambda one: one.life):
        numbers = [one.number for one in group]
        assert numbers == sorted(set(numbers)), f"twice, or out of order, in life {life}"
    new = list(dict.fromkeys(one.number for one in got))
    assert new == sorted(new), "out of order over the lives"


def check_again(got: list[Handled]) -> list[Handled]:
    """What was handled in one life and again in the next is marked, and nothing that was never sent before one is."""
    known: dict[tuple[int, ...], int] = {}
    again = []
    for one in got:
        if known.setdefault(one.number, one.life) != one.life:
            again.append(one)
    unmarked = [one for one in again if not one.again]
    assert not unmarked, f"handled again, and not marked: {unmarked[:5]}"
    return again


@pytest.mark.parametrize("durable", [False, True], ids=["in memory", "durable"])
def test_nothing_is_lost_when_the_recipient_is_killed(
    stage: Scene, tmp_path: Path, seed: int, durable: bool
) -> None:
    play = Play(stage, tmp_path, durable=durable, direct=True)
    play.kill_once(random.Random(seed), "T")
    play.check(killed=("T",))


@pytest.mark.parametrize("durable", [False, True], ids=["in memory", "durable"])
@pytest.mark.parametrize("victim", ["rig_1", "T"])
def test_nothing_is_lost_on_a_way_with_a_forwarder(
    stage: Scene, tmp_path: Path, seed: int, durable: bool, victim: str
) -> None:
    play = Play(stage, tmp_path, durable=durable)
    play.kill_once(random.Random(seed), victim)
    play.check(killed=(victim,))


@pytest.mark.parametrize("victims", [("counter",), ("counter", "rig_1", "T")], ids=["sender", "all three"])
def test_nothing_durable_is_lost_when_its_sender_is_killed(
    stage: Scene, tmp_path: Path, seed: int, victims: tuple[str, ...]
) -> None:
    play = Play(stage, tmp_path, durable=True)
    play.kill_once(random.Random(seed), *victims)
    play.check(killed=victims)


@pytest.mark.parametrize("durable", [False, True], ids=["in memory", "durable"])
def test_a_trial_that_a_rig_was_told_is_confirmed_is_at_the_terminals_program(
    stage: Scene, tmp_path: Path, seed: int, durable: bool
) -> None:
    """The terminal's station, which passes it on, is killed; its program lives on."""
    play = Play(stage, tmp_path, durable=durable, key="DATA")
    with Net_Node("_T", "T", stage.port("T"), {"DATA": play.got.listen}, repeat_interval=REPEAT_S):
        stage.begin("counter", lambda: play.sender)
        play.kill_once(random.Random(seed), "T")
        stage.join("counter")
    got = handled(play.got)
    confirmed = play.told("confirmed")
    assert set(confirmed) == {(0, n) for n in range(TRIALS)}
    lost = set(confirmed) - {one.number for one in got if one.done}
    assert not lost, f"{len(lost)} confirmed, and not at _T, the first of them {min(lost)}"
    again = [one for n, one in enumerate(got) if one.number in {former.number for former in got[:n]}]
    assert all(one.again for one in again), f"handled again, and not marked: {again}"
    assert len(again) <= 1 or not durable, f"handled again, and with them a handler was done: {again}"
    new = list(dict.fromkeys(one.number for one in got))
    assert new == sorted(new)


def test_stop_is_never_handled_before_its_start_whatever_is_killed_between(
    stage: Scene, tmp_path: Path, seed: int
) -> None:
    """The terminal's program tells a rig to start and to stop, again and again; both stations are killed meanwhile."""
    play, chance = Play(stage, tmp_path, key="ORDERS"), random.Random(seed)
    listens = dict.fromkeys(("START", "STOP"), play.got.listen)
    with (
        Net_Node("_rig_1", "rig_1", stage.port("rig_1"), listens, repeat_interval=REPEAT_S),
        Net_Node("_T", "T", stage.port("T"), repeat_interval=REPEAT_S) as program,
    ):
        sent = []
        for kills in range(3):
            for n in range(ORDERS * kills, ORDERS * (kills + 1)):
                sent += [program.send("rig_1", key, {"n": [0, n]}, repeat=True) for key in ("START", "STOP")]
            play.got.until(4 * ORDERS * kills + chance.randrange(4 * ORDERS))
            victim = chance.choice(["rig_1", "T"])
            stage.kill(victim)
            stage.restart(victim)
        for delivery in sent:
            assert delivery.wait(SETTLED_S)
    got = [(one.number, one.key) for one in handled(play.got)]
    first = {order: at for at, order in reversed(list(enumerate(got)))}
    orders = [((0, n), key) for n in range(3 * ORDERS) for key in ("START", "STOP")]
    assert sorted(first, key=first.__getitem__) == orders
    assert got[-1] == orders[-1]
