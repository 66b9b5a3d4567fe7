"""A tally counts runs, not occurrences, and pairs each fault with what came with it."""

from __future__ import annotations

from sim.coverage.kinds import Kind
from sim.coverage.tally import Tally, pair_of

CUT, KILL, GAP, SEND = (
    Kind("fault", "cut"),
    Kind("fault", "kill"),
    Kind("effect", "Gap"),
    Kind("step", "send"),
)


def test_each_kind_counts_once_a_run_and_pairs_only_with_a_fault() -> None:
    tally = Tally()
    tally.add({CUT, KILL, GAP})
    tally.add({CUT, SEND})
    tally.add({GAP, SEND})
    assert tally.kinds == {CUT: 2, KILL: 1, GAP: 2, SEND: 2}
    assert tally.pairs == {(CUT, KILL): 1, (CUT, GAP): 1, (KILL, GAP): 1, (CUT, SEND): 1}


def test_two_faults_are_one_pair_whichever_comes_first() -> None:
    assert pair_of(KILL, CUT) == pair_of(CUT, KILL)
    assert pair_of(KILL, GAP) == (KILL, GAP)


def test_tallies_of_several_workers_are_added_up() -> None:
    one, other = Tally(), Tally()
    one.add({CUT, GAP})
    other.add({CUT, GAP})
    one.merge(other)
    assert (one.kinds, one.pairs) == ({CUT: 2, GAP: 2}, {(CUT, GAP): 2})
