"""Addressing: how a message is made, and where it goes."""

from __future__ import annotations

from itertools import count

import pytest

from autopilot_net import BadMessage, Message
from autopilot_net.addressing import address, make_message


def made(to: str | list[str] = "T", key: str = "K", **how: object) -> Message:
    return make_message("n", count(7), to, key, 1, at=0.0, **how)  # type: ignore[arg-type]


def test_a_message_has_the_next_number_and_the_time_at_which_it_was_made() -> None:
    message = made()
    assert (message.id, message.sender, message.timestamp) == ("n_7", "n", "1970-01-01T00:00:00+00:00")


@pytest.mark.parametrize("flags", ["NOLOG", ["NOLOG"], {"NOLOG": True}])
def test_a_flag_may_be_given_alone_in_a_list_or_by_name(flags: object) -> None:
    assert made(flags=flags).flags == {"NOLOG": True}
    message = made()
    address(message, None, flags, at=0.0)  # type: ignore[arg-type]
    assert message.flags == {"NOLOG": True}


def test_a_list_is_the_way_and_its_last_the_recipient() -> None:
    message = made(["mid", "rig"])
    assert message.to == ["mid", "rig"]
    assert address(message, None, at=0.0) == ["mid", "rig"]
    assert message.to == "rig"


@pytest.mark.parametrize("key", ["GONE", "BACK", "CLOCK"])
def test_what_stations_say_to_each_other_is_refused_and_takes_no_number(key: str) -> None:
    numbers = count()
    with pytest.raises(BadMessage, match="take another key"):
        make_message("n", numbers, "T", key, None, at=0.0)
    assert next(numbers) == 0
