"""Where an argument stands, and what the names that are gone say."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import autopilot_net
from autopilot_net import Message, Net_Node, Pilot_Station, Station, Terminal_Station
from tests.harness import Lab, lab, started_by


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    """One station of each kind, and a node on each."""
    with started_by("forkserver"), lab() as made:
        top = made.terminal()
        made.pilot("rig", top)
        made.begin(Station("plain", listen_port=0))
        for name in made.stations:
            made.node(f"ear_{name}", made.stations[name])
        yield made


# -- signatures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "by_place"),
    [
        (Station, "id, push_ip=None, push_port=None, push_id=None, pusher=False, listen_port=None, listens=None"),
        (Terminal_Station, "pilots=()"),
        (Pilot_Station, "id"),
        (Station.prepare_message, "self, to, key, value, repeat=True, flags=None"),
        (Station.send, "self, to=None, key=None, value=None, msg=None, repeat=None, flags=None"),
        (Station.push, "self, to=None, key=None, value=None, msg=None, repeat=None, flags=None"),
        (Station.repeat, "self"),
        (Station.handle_listen, "self, message"),
        (
            Net_Node,
            "id, upstream, port, listens=None, instance=True, upstream_ip='localhost', router_port=None, daemon=True, "
            "expand_on_receive=True",
        ),
        (Net_Node.prepare_message, "self, to, key, value, repeat=False, flags=None, blosc=False"),
        (
            Net_Node.send,
            "self, to=None, key=None, value=None, msg=None, repeat=None, flags=None, force_to=False, blosc=False",
        ),
        (
            Net_Node.get_stream,
            "self, id, key, min_size=5, upstream=None, port=None, ip=None, subject=None, q_size=None",
        ),
        (Net_Node.repeat, "self"),
        (Net_Node.handle_listen, "self, message"),
        (Net_Node.init_networking, "self"),
        (Net_Node.release, "self"),
        (Message, "msg=None, expand_arrays=False"),
        (Message.serialize, "self"),
    ],
)
def test_what_is_given_by_its_place_stands_where_it_stood(call: Callable[..., object], by_place: str) -> None:
    known = inspect.signature(call).parameters.values()
    placed = [one.replace(annotation=one.empty) for one in known if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert ", ".join(str(one) for one in placed) == by_place


# -- gone --------------------------------------------------------------------------------------------------------------

NOWHERE = ("loop", "threaded_loop", "file_block", "timers", "msg_counter")
OF_STATIONS = (*NOWHERE, "listener", "repeat_thread")
GONE = {
    Station: OF_STATIONS,
    Terminal_Station: (*OF_STATIONS, "plot_timer", "data_ifps"),
    Pilot_Station: (*OF_STATIONS, "child", "parent", "parent_id", "pi_id"),
    Net_Node: (*NOWHERE, "expand", "subject"),
    Message: ("serialized", "get_timestamp"),
}


def why_gone(owner: object, name: str) -> str:
    with pytest.raises(AttributeError) as error:
        getattr(owner, name)
    assert not hasattr(owner, name)
    assert getattr(owner, name, "nothing") == "nothing"
    return str(error.value)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in GONE.items() for name in names])
def test_a_name_that_is_gone_says_what_to_use_instead(it: Lab, kind: type, name: str) -> None:
    owner: Any = {
        Station: it.stations["plain"],
        Terminal_Station: it.stations["T"],
        Pilot_Station: it.stations["rig"],
        Net_Node: it.nodes["ear_T"],
        Message: pickle.loads(pickle.dumps(Message(id="m"))),
    }[kind]
    said = why_gone(owner, name)
    what, _, instead = said.partition(f" has no {name!r}: ")
    assert what in (kind.__name__, "message m (no key to nobody)")
    assert len(instead.split()) > 3


@pytest.mark.parametrize("station", ["T", "rig", "plain"])
def test_it_says_so_in_the_stations_process_too(it: Lab, station: str) -> None:
    said = it.inside(station, gone_inside)
    assert [f"{type(it.stations[station]).__name__} has no '{name}': " in one for name, one in said] == [True] * 7


def gone_inside(station: Station) -> Any:
    return [[name, why_gone(station, name)] for name in OF_STATIONS]


@pytest.mark.parametrize(
    ("name", "instead"),
    [("Networking", "Station"), ("Pilot_Networking", "Pilot_Station"), ("Terminal_Networking", "Terminal_Station")],
)
def test_a_class_of_former_autopilots_names_its_successor(name: str, instead: str) -> None:
    with pytest.raises(ImportError, match=f"no {name}: .* is {instead}"):
        exec(f"from autopilot_net import {name}")


def test_a_class_that_never_was_is_missed_as_in_any_module() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nothing' from 'autopilot_net'"):
        exec("from autopilot_net import Nothing")
    assert not hasattr(autopilot_net, "nothing")
