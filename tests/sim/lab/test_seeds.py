"""A draw depends on the seed and on its names, and on nothing else."""

from __future__ import annotations

from sim.lab.seeds import NamedDraws, seed_of, share_of


def test_equal_names_give_equal_draws_in_any_order() -> None:
    draws, others = NamedDraws(7, "fault"), NamedDraws(7, "fault")
    first, second = draws.share("time"), draws.share("target")
    assert (others.share("target"), others.share("time")) == (second, first)
    assert first != second


def test_another_seed_gives_other_draws() -> None:
    assert len({seed_of(seed, "a") for seed in range(100)}) == 100
    assert all(0 <= share_of(seed, "a") < 1 for seed in range(100))


def test_a_number_is_within_its_range() -> None:
    draws = NamedDraws(7)
    assert all(2 <= draws.between(2, 3, n) < 3 for n in range(100))


def test_an_item_less_does_not_change_the_order_of_the_others() -> None:
    draws = NamedDraws(7)
    shuffled = draws.shuffled("abcdefgh", "order")
    assert sorted(shuffled) == list("abcdefgh") != shuffled
    assert draws.shuffled("abdefgh", "order") == [item for item in shuffled if item != "c"]
