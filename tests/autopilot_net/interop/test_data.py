"""Arrays and streams between ours and Autopilot's own, both ways."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autopilot_net import Net_Node
from tests.autopilot_net.interop.autopilot_lab import Mixed
from tests.conftest import eventually
from tests.harness import Heard
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.autopilot

ARRAYS = [
    # type, shape
    ("uint8", [240, 320]),  # a frame of a camera
    ("float64", [3]),
    ("int64", []),
    ("bool", [2, 2]),
    ("float32", [0, 3]),
    ("complex128", [2]),
    ("<U3", [2]),
]


@pytest.fixture(scope="module")
def lab(autopilot: str) -> Iterator[Mixed]:
    """A station of ours with two nodes of each kind, and one of theirs below it, with two as well."""
    mixed = Mixed(autopilot)
    try:
        mixed.station("o", "ours")
        mixed.station("t", "theirs", "ours")
        for whose, station in (("o", "ours"), ("t", "ours"), ("o", "theirs"), ("t", "theirs")):
            mixed.node(whose, f"{whose}_on_{station}", station)
        yield mixed
    finally:
        mixed.close()


def counting(dtype: str, shape: list[int]) -> np.ndarray[Any, Any]:
    """What `ARRAY` means to the other side: numbers from 0."""
    return np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)


def digest(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What the other side tells of an array."""
    return {"ARRAY": [str(array.dtype), list(array.shape)], "SHA256": hashlib.sha256(array.tobytes()).hexdigest()}


# -- arrays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize(("dtype", "shape"), ARRAYS)
def test_an_array_of_theirs_is_read(lab: Mixed, dtype: str, shape: list[int], packed: bool) -> None:
    name = f"{dtype} {shape} {packed}"
    lab.nodes["t_on_ours"].tell(
        "send", to="o_on_ours", key="NOTE", value={"name": name, "it": {"ARRAY": [dtype, shape]}}, blosc=packed
    )
    came = lab.ours.heard["o_on_ours"].until("NOTE", lambda m: isinstance(m.value, dict) and m.value["name"] == name)
    assert digest(came.value["it"]) == digest(counting(dtype, shape))


def test_a_station_of_theirs_packs_by_itself(lab: Mixed) -> None:
    value = {"name": "pushed", "it": {"ARRAY": ["uint8", [9]]}}
    lab.stations["theirs"].tell("push", to="ours", key="NOTE", value=value)
    came = lab.ours.heard["_ours"].until("NOTE", lambda m: is_named(m.value, "pushed"))
    assert digest(came.value["it"]) == digest(counting("uint8", [9]))


@pytest.mark.parametrize("recipient", ["t_on_ours", "t_on_theirs"])
@pytest.mark.parametrize(("dtype", "shape"), ARRAYS)
def test_an_array_of_ours_is_read_by_theirs(lab: Mixed, dtype: str, shape: list[int], recipient: str) -> None:
    name = f"{dtype} {shape}"
    sender = recipient.replace("t_", "o_")
    lab.nodes[sender].send(recipient, "NOTE", {"name": name, "it": counting(dtype, shape)})
    came = lab.nodes[recipient].until("NOTE", lambda v: isinstance(v, dict) and v["name"] == name)
    assert came["it"] == digest(counting(dtype, shape))


def test_an_array_of_objects_of_theirs_is_read(lab: Mixed) -> None:
    value = {"name": "objects", "it": {"ARRAY": ["object", [2, 3]]}}
    lab.nodes["t_on_ours"].tell("send", to="o_on_ours", key="NOTE", value=value, blosc=True)
    came = lab.ours.heard["o_on_ours"].until("NOTE", lambda m: is_named(m.value, "objects")).value["it"]
    assert (came.dtype, came.tolist()) == (np.dtype(object), [[0, 1, 2], [3, 4, 5]])


def test_an_array_of_objects_of_ours_is_the_lists_in_it_to_theirs(lab: Mixed) -> None:
    value = {"name": "table", "it": np.array([["m1", 1], ["m2", None]], object)}
    lab.nodes["o_on_ours"].send("t_on_ours", "NOTE", value)
    assert lab.nodes["t_on_ours"].until("NOTE", lambda v: is_named(v, "table"))["it"] == [["m1", 1], ["m2", None]]


def is_named(value: Any, name: str) -> bool:
    return isinstance(value, dict) and value.get("name") == name


def test_without_blosc2_the_error_says_what_to_install(lab: Mixed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blosc2", None)
    value = {"name": "lost", "it": {"ARRAY": ["uint8", [9]]}}
    lab.nodes["t_on_ours"].tell("send", to="o_on_ours", key="NOTE", value=value, blosc=True)
    assert "pip install 'autopilot-net[blosc2]'" in lab.ours.heard["_ours"].until("ERROR").value["exception"]


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("min_size", [1, 5])
def test_a_stream_of_theirs_reaches_our_station_in_order(lab: Mixed, min_size: int) -> None:
    id, node = f"up_{min_size}", lab.nodes["t_on_ours"]
    node.tell("stream", id=id, key="NOTE", min_size=min_size)
    for first in (0, 5):  # what is appended in one go, theirs gathers without an end in sight
        node.tell("append", id=id, items=[{"of": id, "n": first + n} for n in range(5)])
        eventually(lambda: len(streamed(lab, "ours", id)) == first + 5)  # noqa: B023  # it is over before the next
    assert [item["n"] for item in streamed(lab, "ours", id)] == list(range(10))
    node.tell("append", id=id, items=["END"])


@pytest.mark.parametrize("min_size", [1, 5])
def test_a_stream_of_theirs_reaches_our_node_in_order(autopilot: str, lab: Mixed, min_size: int) -> None:
    heard, id, node = Heard(), f"direct_{min_size}", lab.nodes["t_on_ours"]
    with Net_Node("hub", "nobody", 1, heard.listens("NOTE"), router_port=0) as hub:
        node.tell("stream", id=id, key="NOTE", min_size=min_size, upstream="hub", port=hub.router_port)
        node.tell("append", id=id, items=[{"n": n} for n in range(5)])
        heard.until("NOTE", times=5)
        node.tell("append", id=id, items=["END"])
    assert [message.value["n"] for message in heard.of("NOTE")] == list(range(5))


@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "unreliable"])
@pytest.mark.parametrize("min_size", [1, 5])
def test_a_stream_of_ours_reaches_their_station_once(lab: Mixed, min_size: int, reliable: bool) -> None:
    id = f"down_{min_size}_{reliable}"
    queue = lab.nodes["o_on_theirs"].get_stream(id, "NOTE", min_size=min_size, reliable=reliable)
    queue.extend([{"of": id, "n": n} for n in range(13)])
    queue.append("END")
    assert queue.wait(DEADLINE_S)
    eventually(lambda: len(streamed(lab, "theirs", id)) >= 13)
    assert sorted(item["n"] for item in streamed(lab, "theirs", id)) == list(range(13))


def streamed(lab: Mixed, station: str, id: str) -> list[Any]:
    """The items of a stream that have come."""
    return [value for value in lab.values(station) if isinstance(value, dict) and value.get("of") == id]
