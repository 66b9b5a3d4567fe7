"""Small labs are explored one after the other, and what is found is kept in a file that replays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.exhaustive.shorten import again
from sim.exhaustive.small_hunt import hunt_small, is_kept_find, load_find, save_find
from tests.sim.exhaustive.planted import BUGS, ONE, PAIR, plant, planting

__all__ = ["planting"]


def test_what_holds_says_how_many_states_there_were() -> None:
    hunted = hunt_small([ONE, PAIR], seconds=60)
    assert (hunted.verdict, len(hunted.labs)) == ("held", 2)
    assert hunted.sentence.startswith(f"{sum(row.states for row in hunted.labs):,} states; all of it")


def test_what_is_not_done_in_time_is_not_held() -> None:
    hunted = hunt_small([PAIR], seconds=0)
    assert (hunted.verdict, hunted.labs[0].is_whole) == ("unsettled", False)


def test_ctrl_c_ends_it() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    assert hunt_small([PAIR], seconds=60, say=interrupt).verdict == "interrupted"


def test_a_find_is_kept_and_its_file_takes_the_steps_again(planting: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(planting, *BUGS["a message is never sent again"][:3])
    hunted = hunt_small([ONE, PAIR], seconds=60)
    assert (hunted.verdict, len(hunted.labs)) == ("broke", 1)
    assert hunted.found is not None
    path = tmp_path / "new" / "regression.json"
    save_find(hunted.found, path)
    kept = load_find(path)
    assert is_kept_find(path)
    assert not is_kept_find(tmp_path / "none.json")
    found = again(kept.small_lab, kept.steps)
    assert found is not None
    assert found.check == kept.check == "patience"
