"""The check `clocks`: offsets that machines tell, latencies by two clocks, and their rows."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net.message import iso_time
from sim.checks.clocks import check_clocks, clock_rows
from sim.evidence.index import Evidence, Index
from sim.lab.fault import Fault
from sim.verdict import Check
from tests.sim.checks.healthy_run import broke, check_of, forget, found, lab, violations_by_check
from tests.sim.journal_builder import EPOCH, Tale

AHEAD = {"T": 5.0, "rig_1": -3.5}  # so the terminal's clock is 8.5 s ahead of that of rig_1
TWO = lab(faults=(Fault(at_s=9, cut="rig_1"),))


class Clocks(Tale):
    """A terminal and a rig, whose clocks differ."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = dict(AHEAD)
        self.journal.entries.clear()
        for machine in AHEAD:
            self.note("start", machine)
        self.numbers = 0

    def sends(self, offset: float, *, at: float, took: float = 0.02, key: str = "STORM", **facts: Any) -> None:
        """The program of rig_1 sends a message to the terminal's station, and takes the offset to be this, ± 1 ms."""
        self.numbers += 1
        id = f"_rig_1_{self.numbers}"
        stamp = facts.pop("stamp", iso_time(EPOCH + at + self.ahead["rig_1"]))
        self.at(at).made(id, "_rig_1", "T", key, known=(offset, 0.001))
        self.at(at + took).handled(id, "T", key, stamp=stamp, **facts)

    def tells(self, offset: float, *, at: float, sent: float, **facts: Any) -> None:
        """The station of rig_1 sends its state, with the offset as it knows it, ± 1 ms. It arrives at `at`."""
        self.at(sent).trace("Transmit", "rig_1", peer="T", id=f"rig_1_{at}", key="STATE", **facts)
        told = {"machine": "rig_1", "offset": offset, "uncertainty": 0.001}
        self.at(at).note("clock", "_T", first=f"rig_1_{at}", value=told)

    def sets(self, machine: str, ahead: float, *, at: float) -> None:
        """The clock of a machine was set, which its processes show soon."""
        self.at(at).note("heard", "_" + machine)
        self.ahead[machine] = ahead
        self.at(at + 0.001).note("heard", "_" + machine)

    def index(self) -> Index:
        self.journal.entries.sort(key=lambda entry: entry.t)
        return Index(Evidence(topology=TWO, seed=1, journal=self.journal))

    def check(self) -> Check:
        return check_clocks(self.index())


def wrong(tale: Clocks) -> list[str]:
    return [violation.text for violation in tale.check().broke]


# -- offsets -----------------------------------------------------------------------------------------------------------


def test_offsets_that_are_true_pass_however_far_the_clocks_are_apart() -> None:
    tale = Clocks()
    tale.sends(8.4995, at=5)
    tale.tells(8.5005, at=7, sent=6.9)
    assert (tale.check().result, tale.check().broke) == ("pass", [])


@pytest.mark.parametrize(
    ("told", "why"),
    [(-8.5, "the wrong sign"), (0.0, "no offset at all"), (8.503, "the time that the answer took is left out")],
)
def test_an_offset_beyond_its_uncertainty_breaks_a_rehearsal(told: float, why: str) -> None:
    tale = Clocks()
    tale.tells(told, at=7, sent=6.9)
    sentence = "took the terminal's clock to be {:,.2f} ms ahead of its own, ± 1.00 ms; it was 8,500.00 ms"
    assert wrong(tale) == ["rig_1 " + sentence.format(1e3 * told)], why
    tale = Clocks()
    tale.sends(told, at=5)
    assert wrong(tale)[0] == "_rig_1 " + sentence.format(1e3 * told), why


def test_a_clock_that_was_set_is_noticed_or_the_rehearsal_breaks() -> None:
    tale = Clocks()
    tale.sets("rig_1", 1.5, at=4)
    tale.sends(3.5, at=5)
    assert wrong(tale) == []
    tale.sends(8.5, at=6)
    assert "_rig_1 took the terminal's clock to be 8,500.00 ms ahead of its own" in wrong(tale)[0]
    assert tale.check().figures.endswith("; 1 clock set")


def test_what_is_told_while_a_clock_is_set_may_be_of_before_or_after() -> None:
    tale = Clocks()
    tale.sets("rig_1", 1.5, at=4)
    tale.tells(8.5, at=4.5, sent=4.2)
    tale.tells(3.5, at=4.6, sent=4.3)
    assert wrong(tale) == []
    tale.tells(8.5, at=6, sent=5.5)
    assert len(wrong(tale)) == 1


def test_that_the_terminals_clock_was_set_is_known_below_within_seconds() -> None:
    tale = Clocks()
    tale.sets("T", 25.0, at=10)
    tale.at(12).trace("Deliver", "T")  # its station slept until then
    tale.sends(8.5, at=14)
    tale.sends(28.5, at=14.5)
    assert wrong(tale) == []
    tale.sends(8.5, at=15.5)
    assert "8,500.00 ms ahead of its own, ± 1.00 ms; it was 28,500.00 ms" in wrong(tale)[0]


def test_who_was_cut_off_does_not_know_that_the_terminals_clock_was_set() -> None:
    tale = Clocks()
    tale.sets("T", 25.0, at=10)
    tale.struck("cut", "rig_1", since=9, until=30, end="heal")
    tale.sends(8.5, at=31)
    tale.tells(8.5, at=31, sent=30.9)
    assert wrong(tale) == []


def test_what_waited_for_a_link_tells_of_the_time_before() -> None:
    tale = Clocks()
    tale.struck("cut", "rig_1", since=3, until=11, end="heal")
    tale.sets("rig_1", 1.5, at=6)
    tale.tells(8.5, at=12, sent=11.5)
    assert wrong(tale) == []


def test_a_state_of_a_former_life_is_not_taken_for_one_of_this_life_with_the_same_id() -> None:
    tale = Clocks()
    tale.sets("rig_1", 1.5, at=6)
    tale.at(2).trace("Transmit", "rig_1", peer="T", id="rig_1_9", key="STATE")
    tale.journal.traces[-1].life = "former"
    tale.tells(3.5, at=9, sent=8.5)
    assert wrong(tale) == []


# -- latencies ---------------------------------------------------------------------------------------------------------


def test_the_time_that_a_message_took_comes_out_right_by_two_clocks() -> None:
    tale = Clocks()
    tale.sends(8.5005, at=5, took=0.25)
    assert wrong(tale) == []
    (row,) = rows(tale)
    assert row.latency_ms == pytest.approx(250, abs=2)


def test_a_long_time_is_read_from_a_quartz_that_gains() -> None:
    tale = Clocks()
    tale.ahead["T"] += 40e-6 * 100
    tale.sends(8.5, at=5, took=100)
    assert wrong(tale) == []
    tale.ahead["T"] += 0.01
    tale.sends(8.5, at=200, took=100)
    assert len(wrong(tale)) == 1


@pytest.mark.parametrize("off", [0.05, -0.05])
def test_a_timestamp_that_is_not_the_time_at_which_it_was_made_breaks_a_rehearsal(off: float) -> None:
    tale = Clocks()
    tale.sends(8.5, at=5, stamp=iso_time(EPOCH + 5 - 3.5 + off))
    took = 20 - 1e3 * off
    sentence = f"took {took:,.2f} ms by the clocks of both ends, ± 1.01 ms; it took 20.00 ms"
    assert wrong(tale) == [f"STORM _rig_1_1 from _rig_1 {sentence}"]


@pytest.mark.parametrize("stamp", ["", "yesterday"])
def test_a_message_without_a_time_has_no_latency_by_clocks(stamp: str) -> None:
    tale = Clocks()
    tale.sends(8.5, at=5, stamp=stamp)
    assert wrong(tale) == []
    assert rows(tale)[0].latency_ms is None


def test_while_a_clock_is_set_there_is_no_latency_by_clocks() -> None:
    tale = Clocks()
    tale.sets("T", 25.0, at=5.1)
    tale.sends(8.5, at=5, took=0.2)
    assert (wrong(tale), rows(tale)[0].latency_ms) == ([], None)


# -- what is not known, and rows ---------------------------------------------------------------------------------------


def rows(tale: Clocks) -> list[Any]:
    return clock_rows(tale.index())


def test_a_machine_that_never_told_of_its_clock_is_unknown(run: Evidence) -> None:
    forget(run, "clock")
    forget(run, "clock")
    assert violations_by_check(run, "unknown") == {
        "clocks": [
            "not known: how far the clock of rig_1 is from the terminal's: it never said",
            "there was nothing to look at",
        ]
    }
    assert [(row.machine, row.offset_ms, row.told) for row in clock_rows(Index(run))] == [("rig_1", None, 0)]


def test_where_nobody_read_the_clocks_nothing_is_known(run: Evidence) -> None:
    for entry in run.journal.entries:
        entry.wall = 0.0
    assert violations_by_check(run, "unknown")["clocks"][0] == (
        "not known: how far the clock of rig_1 is from the terminal's: the clocks were never read"
    )


def test_a_clock_that_cannot_be_the_terminals_breaks_a_whole_rehearsal(run: Evidence) -> None:
    found(run, "clock").value["offset"] = -0.0125
    sentence = "rig_1 took the terminal's clock to be -12.50 ms ahead of its own, ± 0.50 ms; it was 0.00 ms"
    assert broke(run) == {"clocks": [sentence]}


def test_of_each_machine_the_clock_that_it_told_last_is_shown(run: Evidence) -> None:
    (row,) = clock_rows(Index(run))
    assert (row.machine, row.offset_ms, row.uncertainty_ms, row.told) == ("rig_1", -0.1, 0.3, 2)
    assert row.true_ms == pytest.approx(0, abs=0.01)
    assert check_of(run, "clocks").figures == "± 0.30 ms at most"
