"""Who sends what nobody can handle is told so, with the reason, however far away that is: processes, and roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net import DeliveryExpired
from tests.autopilot_net.stations.test_errors import stumble
from tests.harness import Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    """T; below it rig; each with its program, of which _rig knows START alone."""
    with started_by("forkserver"), lab() as made:
        top = made.terminal()
        rig = made.pilot("rig", top)
        made.node("_T", top, "ERROR", "X")
        made.node("_rig", rig, "START", listens={"BANDWIDTH": stumble})
        made.node("leaf", rig, "X")
        shake_hands(made.nodes["_rig"], "T")
        yield made


def why(it: Lab, sender: str, to: str, key: str, value: Any = None) -> str:
    """Why a message was refused."""
    sent = it.nodes[sender].send(to, key, value, repeat=True)
    with pytest.raises(DeliveryExpired, match="is not known to have been handled: "):
        sent.wait(DEADLINE_S)
    assert sent.refused
    return sent.reason


def test_a_node_and_a_station_refuse_a_key_that_nobody_listens_for(it: Lab) -> None:
    assert why(it, "_rig", "T", "TYPO") == "nobody listens for TYPO at T"
    assert why(it, "_T", "rig", "TYPO") == "nobody listens for TYPO at rig"
    assert why(it, "_rig", "leaf", "TYPO") == "nobody listens for TYPO at leaf"


def test_so_is_what_a_station_passes_on_to_a_program_that_does_not_listen_for_it(it: Lab) -> None:
    assert why(it, "_T", "rig", "STOP") == "nobody listens for STOP at _rig"
    assert why(it, "_rig", "T", "DATA", {"pilot": "rig"}) == "nobody listens for DATA at _T"
    assert why(it, "_T", "T", "STOPALL") == "nobody listens for STOP at _rig"


def test_so_are_the_items_of_a_stream(it: Lab) -> None:
    batch = {"inner_key": "TYPO", "headers": {}, "payload": [1, 2]}
    assert why(it, "_rig", "leaf", "STREAM", batch) == "nobody listens for TYPO at leaf"
    assert why(it, "_T", "rig", "STREAM", batch) == "nobody listens for TYPO at rig"


def test_what_a_station_tells_its_program_unasked_need_not_be_listened_for(it: Lab) -> None:
    assert it.nodes["_rig"].send("rig", "STATE", "RUNNING", repeat=True).wait(DEADLINE_S)
    assert it.nodes["_rig"].send("T", "HANDSHAKE", {"pilot": "rig"}, repeat=True).wait(DEADLINE_S)


def test_a_handler_of_a_role_that_raises_has_not_handled_and_is_told_at_home(it: Lab) -> None:
    heard = it.heard["_T"]
    before = len(heard.of("ERROR"))
    assert why(it, "_T", "T", "CHANGE", {}).startswith("BadMessage: the value of message _T_")
    assert "names no pilot" in heard.until("ERROR", times=before + 1).value["exception"]
    batch = {"inner_key": "CHANGE", "headers": {}, "payload": [{}]}
    assert "names no pilot" in why(it, "leaf", "T", "STREAM", batch)


def test_a_handshake_of_nobody_costs_no_machine_its_stop(it: Lab) -> None:
    it.nodes["_rig"].listens |= it.heard["_rig"].listens("STOP")
    for odd in ("", "\x1b", "x" * 101):
        assert "names no pilot" in why(it, "_rig", "T", "HANDSHAKE", {"pilot": odd})
    assert it.nodes["_T"].send("T", "STOPALL", repeat=True).wait(DEADLINE_S)
    it.heard["_rig"].until("STOP")
    del it.nodes["_rig"].listens["STOP"]


def test_a_handler_of_a_program_that_raises_has_handled(it: Lab) -> None:
    assert it.nodes["_T"].send("rig", "BANDWIDTH", repeat=True).wait(DEADLINE_S)


def test_a_list_of_siblings_is_no_way_and_the_next_message_waits_for_nothing(it: Lab) -> None:
    siblings = it.nodes["_T"].send(["rig", "_T"], "X", repeat=True)
    after = it.nodes["_T"].send("_T", "X", repeat=True)
    with pytest.raises(DeliveryExpired, match="rig does not lead to _T, which is a neighbour here"):
        siblings.wait(DEADLINE_S)
    assert after.wait(DEADLINE_S)
