"""Two that live under one id are told, once; a reboot, a move and a bad link are not taken for that."""

import json

import pytest

from autopilot_net.protocol.duplicate_ids import DuplicateIdWatch
from autopilot_net.protocol.effects import DuplicateId, Effect
from autopilot_net.protocol.endpoint import Endpoint
from tests.autopilot_net.protocol.test_frames import station

HERE, THERE, ELSEWHERE = "10.0.0.4", "10.0.0.9", "10.0.1.7"


def connected(watch: DuplicateIdWatch, *addresses: str, took_over: bool = True) -> list[tuple[str, str] | None]:
    return [watch.connected("rig_1", address, took_over=took_over) for address in addresses]


def at_first(address: str = HERE) -> DuplicateIdWatch:
    """Who is there, its id taken from nobody."""
    made = DuplicateIdWatch()
    assert connected(made, address, took_over=False) == [None]
    return made


def heard(watch: DuplicateIdWatch, life: str, *, peer: str = "rig_1") -> tuple[str, str] | None:
    """Who says something in that life, by a connection of its own."""
    watch.connected(peer, HERE, took_over=False)
    return watch.hear(peer, life)


# -- connections ---------------------------------------------------------------------------------------------------


def test_two_that_take_the_id_from_one_another_are_told_once() -> None:
    assert connected(at_first(), THERE, HERE, THERE, HERE) == [None, (HERE, THERE), None, None]


def test_a_reboot_whose_ghost_was_still_there_is_none() -> None:
    assert connected(at_first(), HERE, HERE, HERE) == [None] * 3


def test_a_move_whose_ghost_was_still_there_is_none() -> None:
    assert connected(at_first(), THERE, THERE, ELSEWHERE) == [None] * 3


def test_who_comes_back_to_where_it_was_after_it_had_gone_is_none() -> None:
    watch = at_first()
    assert connected(watch, THERE) == [None]
    assert connected(watch, HERE, THERE, HERE, took_over=False) == [None] * 3


def test_of_three_each_pair_is_told_once() -> None:
    told = connected(at_first(), THERE, ELSEWHERE, HERE, THERE, ELSEWHERE, HERE, THERE)
    assert told == [None, None, (HERE, ELSEWHERE), (HERE, THERE), (THERE, ELSEWHERE), None, None]


def test_one_that_is_known_by_no_connection_yet_is_none() -> None:
    assert connected(DuplicateIdWatch(), HERE, THERE) == [None, None]


# -- incarnations --------------------------------------------------------------------------------------------------


def test_a_life_that_is_heard_again_after_another_was_is_a_twins() -> None:
    """Two programs on one machine have the same address."""
    watch = at_first()
    assert [heard(watch, life) for life in "aabbaabb"] == [None] * 4 + [(HERE, HERE)] + [None] * 3


def test_what_is_late_of_a_former_life_comes_by_the_same_connection_and_is_no_twins() -> None:
    watch = at_first()
    assert [watch.hear("rig_1", life) for life in "aabbaabb"] == [None] * 8


def test_lives_that_follow_one_another_are_reboots() -> None:
    watch = at_first()
    assert [heard(watch, str(life)) for life in range(100)] == [None] * 100


def test_the_addresses_of_twins_are_where_each_was_heard_last() -> None:
    watch = at_first()
    watch.hear("rig_1", "a")
    watch.connected("rig_1", THERE, took_over=False)
    watch.hear("rig_1", "b")
    watch.connected("rig_1", ELSEWHERE, took_over=False)
    watch.hear("rig_1", "b")
    watch.connected("rig_1", HERE, took_over=False)
    assert watch.hear("rig_1", "a") == (HERE, ELSEWHERE)


def test_who_is_told_by_its_connections_is_not_told_again_by_what_it_says() -> None:
    watch = at_first()
    watch.hear("rig_1", "a")
    assert connected(watch, THERE) == [None]
    watch.hear("rig_1", "b")
    assert connected(watch, HERE) == [(HERE, THERE)]
    assert watch.hear("rig_1", "a") is None


def test_what_is_remembered_is_bounded() -> None:
    watch = DuplicateIdWatch(limit=2)
    for peer in ("rig_1", "rig_2", "rig_3"):
        heard(watch, "a", peer=peer)
        heard(watch, "b", peer=peer)
    assert heard(watch, "a", peer="rig_3") == (HERE, HERE)
    assert heard(watch, "a", peer="rig_1") is None  # forgotten


def test_a_life_so_long_ago_that_it_is_forgotten_is_new() -> None:
    watch = DuplicateIdWatch()
    for life in range(20):
        heard(watch, str(life))
    assert heard(watch, "0") is None
    assert heard(watch, "19") == (HERE, HERE)


# -- an endpoint ---------------------------------------------------------------------------------------------------


def said(endpoint: Endpoint, peer: str, life: object, *, sender: str = "n") -> list[Effect]:
    """The twins that `endpoint` sees when it hears a message."""
    payload = json.dumps({"id": "1", "to": "s", "sender": sender, "key": "K", "flags": {"NOREPEAT": 1}, "inc": life})
    effects = endpoint.receive(peer, [b"s", b"s", payload.encode()], now=0)
    return [effect for effect in effects if type(effect) is DuplicateId]


def test_a_station_tells_of_twins_among_its_neighbours() -> None:
    one = station(below=("n",))
    for life, address in (("a", HERE), ("b", THERE)):
        assert one.connected("n", address, took_over=False) == []
        assert said(one, "n", life) == []
    assert one.connected("n", ELSEWHERE, took_over=True) == []
    assert said(one, "n", "a") == [DuplicateId("n", (THERE, ELSEWHERE))]


def test_a_station_tells_of_twins_that_say_nothing() -> None:
    one = station(below=("n",))
    one.connected("n", HERE, took_over=False)
    one.connected("n", THERE, took_over=True)
    assert one.connected("n", HERE, took_over=True) == [DuplicateId("n", (HERE, THERE))]


@pytest.mark.parametrize(("peer", "sender"), [("n", "far"), ("parent", "parent")])
def test_whose_message_was_passed_on_and_who_is_above_are_not_watched(peer: str, sender: str) -> None:
    one = station(below=("n",))
    for life in "aba":
        one.connected(peer, HERE, took_over=False)
        assert said(one, peer, life, sender=sender) == []


@pytest.mark.parametrize("life", [None, 3, [], {}])
def test_a_life_that_is_no_name_is_none(life: object) -> None:
    one = station(below=("n",))
    for name in ("a", life, "a", life):
        one.connected("n", HERE, took_over=False)
        assert said(one, "n", name) == []
