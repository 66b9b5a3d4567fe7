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


def wheelbox() -> Any:
    spec = importlib.util.spec_from_file_location("wheelbox", SHIPPED / "wheelbox.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_wheel_whose_encoder_is_unplugged_tells_the_terminal_and_ends_its_stream() -> None:
    told: list[tuple[str, str]] = []
    stream = Turns()
    node = SimpleNamespace(get_stream=lambda **_: stream, report=lambda error, trace: told.append((str(error), trace)))
    wheel = wheelbox().WheelBox(node, SimpleNamespace(id="w", parent="rig_6", params={"rate_hz": 500}))

    def unplugged(t: float) -> None:
        raise OSError("encoder unplugged")

    wheel._turn = unplugged
    wheel._run(None, threading.Event())
    ((error, trace),) = told
    assert (error, "in unplugged" in trace, stream) == ("encoder unplugged", True, ["END"])


def test_the_wheel_streams_from_start_to_stop_and_says_how_much() -> None:
    module = wheelbox()
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
