"""A station and a node that override all that may be overridden, and note it."""

from __future__ import annotations

import multiprocessing
from typing import Any

import zmq

from autopilot_net import Message, Net_Node, Station
from tests.autopilot_net.stations.test_errors import stumble
from tests.patience import DEADLINE_S


class NosyStation(Station):
    """Notes what is asked of it, in its own process."""

    notes: list[Any]

    def __init__(self, id: str, *where: Any, **settings: Any) -> None:
        super().__init__(id, *where, **settings)
        self.listens |= {"BESIDE": self.l_beside, "ITEM": self.l_item, "BATCHED": self.l_item, "RAISE": stumble}

    def init_networking(self, context: zmq.Context[zmq.Socket[bytes]]) -> Any:
        core = super().init_networking(context)
        self.notes = [["init_networking", core.id, multiprocessing.current_process().name]]
        return core

    def begin_role(self) -> None:
        self.notes.append(["begin_role", self.port > 0])

    def handle_listen(self, message: Message) -> Any:
        self.notes.append(["handle_listen", message.key])
        return super().handle_listen(message)

    def on_message(self, message: Message) -> Any:
        self.notes.append(["on_message", message.key])
        return super().on_message(message)

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        self.notes.append(["on_neighbour", peer, is_there])

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        self.notes.append(["on_exception", message.key, str(error)])

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        self.notes.append(["on_callback_exception", str(error)])

    def is_concurrent(self, message: Message) -> bool:
        return bool(message.key == "BESIDE")

    def may_kill(self, message: Message) -> bool:
        self.notes.append(["may_kill", message.sender])
        return False

    def l_confirm(self, message: Message) -> None:
        self.notes.append(["l_confirm", message.key, message.sender, message.value])

    def l_item(self, message: Message) -> None:
        self.notes.append(["item", message.value])

    def l_beside(self, message: Message) -> None:
        sent = self.send(message.sender, "X", "from beside", repeat=True)
        self.notes.append(["beside", sent.wait(DEADLINE_S)])


class NosyNode(Net_Node):
    """Notes what is asked of it."""

    def __init__(self, *where: Any, **settings: Any) -> None:
        self.notes: list[Any] = []
        super().__init__(*where, **settings)

    def init_networking(self) -> None:
        self.notes.append(["init_networking", self.loop_thread.ident])
        super().init_networking()

    def handle_listen(self, message: Message) -> Any:
        self.notes.append(["handle_listen", message.key])
        return super().handle_listen(message)

    def on_message(self, message: Message) -> Any:
        self.notes.append(["on_message", message.key])
        return super().on_message(message)

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        self.notes.append(["on_neighbour", peer, is_there])

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        self.notes.append(["on_exception", message.key, str(error)])

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        self.notes.append(["on_callback_exception", str(error)])

    def is_concurrent(self, message: Message) -> bool:
        return bool(message.key == "BESIDE")

    def l_confirm(self, value: Any) -> None:
        self.notes.append(["l_confirm", value])
