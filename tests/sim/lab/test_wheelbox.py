"""The example of a lab's own program, `topologies/wheelbox.py`."""

import importlib.util
import threading
import time
from types import SimpleNamespace
from typing import Any

from tests.sim.lab.files import SHIPPED


class Turns(list[Any]):
    """A stream that can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self.five = threading.Event()

    def append(self, item: Any) -> None:
        super().append(item)
        if len(self) >= 5:
            self.five.set()


def test_the_wheel_streams_from_start_to_stop_and_says_how_much() -> None:
    spec = importlib.util.spec_from_file_location("wheelbox", SHIPPED / "wheelbox.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    streams: list[Turns] = []
    asked: list[dict[str, Any]] = []

    def get_stream(**options: Any) -> Turns:
        asked.append(options)
        streams.append(Turns())
        opened.set()
        return streams[-1]

    opened = threading.Event()
    wheel = module.WheelBox(
        SimpleNamespace(get_stream=get_stream),
        SimpleNamespace(id="rig_6_wheel", parent="rig_6", params={"rate_hz": 500}),
    )
    wheel.l_start({"subject": "m6a"})
    assert opened.wait(5)
    assert streams[0].five.wait(5)
    before = time.monotonic()
    wheel.l_stop(None)
    wheel.close()
    assert time.monotonic() - before < 2
    *turns, end = streams[0]
    assert end == "END"
    assert all(turn.keys() == {"x", "y", "t"} for turn in turns)
    assert wheel.expected(None) == {"streams": {"wheel": len(turns)}}
    assert asked == [
        {"id": "wheel", "key": "CONTINUOUS", "min_size": 5, "to": "rig_6", "subject": "m6a", "pilot": "rig_6"}
    ]
