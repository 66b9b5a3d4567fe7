"""Stations that do what a role decides: a key is a method of the role."""

from __future__ import annotations

from typing import Any

from autopilot_net import Message, Pilot_Station, Terminal_Station
from autopilot_net.roles.host import key
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from tests.harness import lab, started_by


class Weighing(Pilot):
    """A pilot with one more key, and another way to do one that all have."""

    @key("WEIGH")
    def weigh(self, message: Message) -> Any:
        """Answer with the weight."""
        return self.send(message.sender, "WEIGHT", 21.5, repeat=True)

    def child(self, message: Message) -> Any:
        """Answer that there is none."""
        return self.send(message.sender, "NO_CHILD", None, repeat=True)


class Weighing_Station(Pilot_Station):  # noqa: N801  # as its parent
    """Its station."""

    role_class = Weighing


def test_a_new_key_is_a_method_of_the_role_and_nothing_else() -> None:
    with started_by("forkserver"), lab() as it:
        top = it.terminal()
        rig = it.begin(Weighing_Station("rig", push_port=top.port, push_id=top.id, listen_port=0))
        ear = it.node("ear", rig, "WEIGHT", "NO_CHILD")
        ear.send("rig", "WEIGH", repeat=True)
        assert it.heard["ear"].until("WEIGHT").value == 21.5
        ear.send("rig", "CHILD", repeat=True)
        assert it.heard["ear"].until("NO_CHILD").value is None


def test_a_key_has_a_listen_of_its_name_with_the_words_of_the_role() -> None:
    station: Any = Weighing_Station("rig")
    assert station.listens["WEIGH"] == station.l_weigh
    assert station.l_weigh.__doc__ == "Answer with the weight."
    assert not hasattr(Pilot_Station, "l_weigh")


def test_a_listen_may_be_overridden_in_the_station() -> None:
    class Own(Pilot_Station):
        def l_weigh(self, msg: Message) -> None:
            """Nothing."""

        role_class = Weighing

    station: Any = Own("rig")
    assert station.listens["WEIGH"].__doc__ == "Nothing."


def test_what_the_lab_listens_for_goes_before_the_role() -> None:
    assert Pilot_Station("rig", listens={"START": print}).listens["START"] is print


def test_roles_say_their_keys() -> None:
    assert Terminal.keys()["ERROR"] == ("l_to_program", "to_program")
    assert Pilot.keys()["PARAM"] == ("l_change", "to_program")
    assert set(Weighing.keys()) == {*Pilot.keys(), "WEIGH"}
    assert Terminal_Station.role_class is Terminal
