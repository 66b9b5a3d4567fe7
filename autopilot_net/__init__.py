"""Networking for labs of many small computers: Autopilot's names, on Autopilot's wire, and nothing gets lost.

A machine has a station (`Terminal_Station`, `Pilot_Station`) in a process of its own, and a program with a `Net_Node`
that is connected to it. `Net_Node.send` returns a `Delivery`, which says what becomes of a message.
`Net_Node.get_stream` opens a `Stream`. Handlers get a `Message`, or its value.

Times are in seconds, sizes in bytes. What is raised on purpose is an `AutopilotNetError`. Everything listens on
loopback unless it is told otherwise. Nodes and stations have, besides what is listed here, `listens`, `counters` (what
was dropped, expired or missing, counted), `clock_offset` (a `ClockOffset`, or None while it is not known) and `logger`.
"""

from autopilot_net.arrays import decode_array, encode_array, serialize_array
from autopilot_net.delivery import Delivery
from autopilot_net.errors import (
    AutopilotNetError,
    BadMessage,
    DeliveryExpired,
    DurableRefused,
    FileRefused,
    WaitInHandler,
    WindowFull,
)
from autopilot_net.message import Message
from autopilot_net.node import Net_Node
from autopilot_net.pilot_station import Pilot_Station
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.outbox_channel import Window
from autopilot_net.roles.ledger import Ledger
from autopilot_net.station import Station
from autopilot_net.stream import Stream
from autopilot_net.terminal_station import Terminal_Station

__version__ = "0.1.0"

__all__ = [
    "Message",
    "Net_Node",
    "Station",
    "Terminal_Station",
    "Pilot_Station",
    "serialize_array",
    "encode_array",
    "decode_array",
    "Delivery",
    "Stream",
    "Ledger",
    "Window",
    "ClockOffset",
    "AutopilotNetError",
    "BadMessage",
    "DeliveryExpired",
    "DurableRefused",
    "FileRefused",
    "WaitInHandler",
    "WindowFull",
]

_SUCCESSORS = {
    "Networking": "Station",
    "Pilot_Networking": "Pilot_Station",
    "Terminal_Networking": "Terminal_Station",
}


def __getattr__(name: str) -> object:
    # ImportError: of an AttributeError, `from autopilot_net import …` would not say the words.
    if name in _SUCCESSORS:
        raise ImportError(f"autopilot_net has no {name}: what Autopilot called so long ago is {_SUCCESSORS[name]} here")
    raise AttributeError(f"module 'autopilot_net' has no attribute {name!r}")
