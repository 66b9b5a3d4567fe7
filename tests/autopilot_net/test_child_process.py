"""The process of a station ends when it is told to, and when its parent is gone."""

from __future__ import annotations

import pytest

from autopilot_net import Station
from tests.harness import METHODS, Lab, ended, python
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.usefixtures("by_forkserver")


def test_a_terminated_station_ends_as_if_it_were_released() -> None:
    station = Station("s", listen_port=0)
    station.start()
    station.terminate()
    station.join(DEADLINE_S)
    assert station.exitcode == 0


def test_a_sigterm_that_another_thread_gets_ends_a_station_too(small: Lab) -> None:
    small.nodes["_rig_1"].send("rig_1", "TERMINATE")
    small.stations["rig_1"].join(DEADLINE_S)
    assert small.stations["rig_1"].exitcode == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_station_ends_when_its_parent_is_killed(method: str) -> None:
    with python(f"from tests.harness import two_stations\ntwo_stations({method!r})") as parent:
        assert parent.stdout is not None
        stations = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(stations) == 2
        parent.kill()
        assert all(ended(pid) for pid in stations)


def test_a_station_ends_when_its_parent_is_killed_while_it_begins() -> None:
    with python("from tests.harness import late_station\nlate_station()") as parent:
        assert parent.stdout is not None
        station = int(parent.stdout.readline())
        parent.kill()
        assert ended(station)
