"""SIGKILLs at random points of real processes, at full speed: nothing that was promised is lost, or out of order.

`--runs 20` repeats each 20 times, each time with another point.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from autopilot_net import Pilot_Station, Station, Terminal_Station
from tests.kills import Handled, Journal, Scene, Sender, handled, scene

TOTAL = 5_000


@pytest.fixture
def stage() -> Iterator[Scene]:
    """Where stations and senders are started, killed and started again."""
    with scene() as made:
        yield made


class Play:
    """A terminal `T`, a rig's station `rig_1` below it, and on that a sender, which counts at full speed."""

    def __init__(self, stage: Scene, folder: Path, *, durable: bool = False, direct: bool = False) -> None:
        self.stage, self.folder, self.durable = stage, folder, durable
        self.sent, self.got = Journal(folder / "sent"), Journal(folder / "got")
        stage.begin("T", self.terminal)
        if not direct:
            stage.begin("rig_1", self.rig)
        upstream = "T" if direct else "rig_1"
        file = self.file("counter")
        stage.begin(
            "counter", lambda: Sender(self.sent, "counter", upstream, stage.port(upstream), "T", "COUNT", TOTAL, file)
        )

    def file(self, name: str) -> str | None:
        """Where `name` keeps what it promised."""
        return str(self.folder / f"{name}.sqlite") if self.durable else None

    def terminal(self) -> Station:
        """The next life of the terminal's station."""
        listens = {"COUNT": self.got.listen}
        return Terminal_Station(listen_port=self.stage.port("T"), listens=listens, durable=self.file("T"))

    def rig(self) -> Station:
        """The next life of the rig's station."""
        port, file = self.stage.port("rig_1"), self.file("rig_1")
        return Pilot_Station("rig_1", push_port=self.stage.port("T"), listen_port=port, durable=file)

    def kill_once(self, chance: random.Random, *names: str) -> None:
        """Kill `names` once a random number of messages was handled, and start them again."""
        self.got.until(chance.randrange(2 * TOTAL))
        self.stage.kill(*names)
        self.stage.restart(*names)

    def check(self, *, killed: tuple[str, ...]) -> None:
        """Nothing lost, in order, once in a life, marked where it came again."""
        self.stage.join("counter")
        got = handled(self.got)
        sent = [(int(life), int(n)) for word, life, n in (ln for ln in self.sent.lines() if ln[0] == "sent")]
        assert [n for _, n in sent] == list(range(TOTAL))
        lost = set(sent) - {one.number for one in got if one.done}
        assert not lost, f"{len(lost)} lost, the first of them {min(lost)}"
        more = {one.number for one in got} - set(sent)
        assert len(more) <= killed.count("counter"), f"{more} are more than the sends that a kill kept from returning"
        check_order(got)
        again = check_again(got)
        if self.durable:
            assert len(again) <= killed.count("T"), f"handled again, and with them a handler was done: {again}"


def check_order(got: list[Handled]) -> None:
    """In each life once and in order, and what comes for the first time comes after all that came before."""
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
