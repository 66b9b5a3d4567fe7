"""A running wheel on a child Pi: what a lab's own program looks like. `lab.yaml` puts it on rig_6_wheel.

Here the wheel is made up. On the real Pi, read the encoder in `_turn`, and the rest stays as it is.
"""

import math
import threading
import time
import traceback
from typing import Any


class WheelBox:
    """Streams {x, y, t} to its parent, `params: {rate_hz: 100}` times a second, from START to STOP.

    `node` is this machine's Net_Node, `machine` its settings from the topology. Methods named l_… are listens: they get
    the value of the message, and must return soon, so the wheel turns in a thread of its own.
    """

    def __init__(self, node: Any, machine: Any) -> None:
        self._node = node
        self._machine = machine
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._sent = 0

    def l_start(self, value: Any) -> None:
        self.l_stop(None)  # a second START, as after a graduation, begins anew
        subject = value.get("subject") if isinstance(value, dict) else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(subject, self._stop), name="wheel", daemon=True)
        self._thread.start()

    def l_stop(self, value: Any) -> None:  # noqa: ARG002 - a listen takes its value
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def close(self) -> None:
        self.l_stop(None)

    def expected(self, journal: Any) -> dict[str, dict[str, int]]:  # noqa: ARG002 - it has counted by itself
        """What the session should have produced: so many items of each stream."""
        return {"streams": {"wheel": self._sent}}

    def _run(self, subject: str | None, stop: threading.Event) -> None:
        parent = self._machine.parent
        stream = self._node.get_stream(
            id="wheel", key="CONTINUOUS", min_size=5, to=parent, subject=subject, pilot=parent
        )
        period = 1 / self._machine.params["rate_hz"]
        began = due = time.monotonic()
        try:
            # Each turn is due at its own time, so that a late one does not delay all that follow.
            while not stop.wait(max(0.0, due - time.monotonic())):
                stream.append(self._turn(time.monotonic() - began))
                self._sent += 1
                due += period
        except Exception as error:  # noqa: BLE001 - an encoder is unplugged: nobody else would tell the terminal
            self._node.report(error, traceback.format_exc())
        finally:
            stream.append("END")

    def _turn(self, t: float) -> dict[str, float]:
        return {"x": math.cos(t), "y": math.sin(t), "t": t}
