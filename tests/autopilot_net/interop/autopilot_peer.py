"""Stations and nodes of the real Autopilot, started and told what to do by lines of JSON. Its own Python runs this.

It imports nothing of ours. On stdin: `make`, `tell` and `kill`, one JSON object a line. On stdout: one line for
whatever a listen was called with, and for what it raised. Each station and node is a process, forked before this one
has threads or sockets, and ends with this one, which ends with its stdin.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import traceback
from multiprocessing import connection
from typing import Any

HOME = tempfile.mkdtemp(prefix="autopilot-")
os.environ.update(HOME=HOME, AUTOPILOT_NO_PREFS_MANAGER="1")  # no settings but ours, and no process that keeps them
TOLD = os.dup(1)
os.dup2(2, 1)  # its loggers write to stdout, which here is for JSON

import numpy as np  # noqa: E402
from autopilot import prefs  # noqa: E402
from autopilot.networking import Message, Net_Node, Pilot_Station, Station, Terminal_Station  # noqa: E402
from bandwidth import burst  # type: ignore[import-not-found]  # noqa: E402  # beside this file


def say(who: str, event: str, **facts: Any) -> None:
    """One line, in one write that is too short to be torn: whoever is killed in it holds no lock."""
    line = json.dumps({"who": who, "event": event, **facts}).encode() + b"\n"
    if len(line) > 4096:
        line = json.dumps({"who": who, "event": "unsayable", "bytes": len(line)}).encode() + b"\n"
    os.write(TOLD, line)


def built(value: Any) -> Any:
    """`value` with its arrays: {"ARRAY": [dtype, shape]} counts from 0."""
    if isinstance(value, dict) and set(value) == {"ARRAY"}:
        dtype, shape = value["ARRAY"]
        return np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)
    if isinstance(value, dict):
        return {name: built(part) for name, part in value.items()}
    return [built(part) for part in value] if isinstance(value, list) else value


def told(value: Any) -> Any:
    """`value` as JSON, and of an array its type, its shape and a digest."""
    if isinstance(value, np.ndarray):
        return {"ARRAY": [str(value.dtype), list(value.shape)], "SHA256": hashlib.sha256(value.tobytes()).hexdigest()}
    if isinstance(value, dict):
        return {name: told(part) for name, part in value.items()}
    return [told(part) for part in value] if isinstance(value, list) else value


def tells_ids(actor: Any) -> None:
    """Have it say under which id each message of its own goes out."""
    prepare = actor.prepare_message

    def prepare_message(*args: Any, **how: Any) -> Any:
        message = prepare(*args, **how)
        if message.key != "CONFIRM":
            say(actor.id, "made", key=message.key, value=told(message.value), id=message.id)
        return message

    actor.prepare_message = prepare_message


class Listen:
    """Says what came under one key, and calls what listened there before."""

    def __init__(self, who: str, key: str, then: Any = None) -> None:
        self.who, self.key, self.then = who, key, then

    def __call__(self, got: Any) -> None:
        """Be called by a station with a message, by a node with its value."""
        facts: dict[str, Any] = {"value": got}
        if isinstance(got, Message):
            facts = {name: got[name] for name in ("value", "sender", "to", "id", "flags")}
        say(self.who, "heard", key=self.key, **{name: told(fact) for name, fact in facts.items()})
        if self.then is not None:
            self.then(got)


def obey(actor: Any, orders: connection.Connection) -> None:
    """Do what is ordered, in the thread of the actor's loop; end when whoever orders is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    queues: dict[str, Any] = {}
    say(actor.id, "up")
    while connection.wait([orders, parent.sentinel]) == [orders]:
        try:
            order = orders.recv()
        except EOFError:
            break
        actor.loop.add_callback(carry_out, actor, queues, *order)
    os._exit(0)


def carry_out(actor: Any, queues: dict[str, Any], method: str, how: dict[str, Any]) -> None:
    """One order: a call of one of its methods, or what takes several."""
    how = built(how)
    try:
        if method == "outbox":
            names = ("outbox", "send_outbox", "push_outbox")
            say(actor.id, "outbox", ids=sorted(id for name in names for id in getattr(actor, name, ())))
        elif method == "received":
            say(actor.id, "received", count=actor.msgs_received.value)
        elif method == "stream":
            queues[how["id"]] = actor.get_stream(**how)
        elif method == "bandwidth":
            burst(actor, Message, **how)
        elif method == "append":
            queues[how["id"]].extend(how["items"])
        else:
            getattr(actor, method)(**how)
    except Exception:  # noqa: BLE001  # whoever ordered it is told
        say(actor.id, "raised", trace=traceback.format_exc()[-2000:])


def heard_by(kind: type) -> type:
    """The station class `kind`, which obeys once it runs."""

    class Told(kind):  # type: ignore[misc]
        orders: connection.Connection

        def run(self) -> None:
            mind(self.id)
            tells_ids(self)
            super().run()

        def repeat(self) -> None:  # the last that it begins before its loop
            threading.Thread(target=obey, args=(self, self.orders), daemon=True).start()
            super().repeat()

    Told.__name__, Told.__module__ = kind.__name__, kind.__module__  # which its logger is named after
    return Told


def mind(who: str) -> None:
    """Say what raises in a thread: that is where listens are called."""
    threading.excepthook = lambda args: say(who, "raised", trace=f"{args.exc_type.__name__}: {args.exc_value}")


def be_node(id: str, keys: list[str], orders: connection.Connection, settings: dict[str, Any]) -> None:
    """A node, in a process of its own."""
    mind(id)
    node = Net_Node(id=id, listens={key: Listen(id, key) for key in keys}, **settings)
    node.listens["CONFIRM"] = Listen(id, "CONFIRM", node.l_confirm)
    tells_ids(node)
    obey(node, orders)


class Makers:
    """What was made, by its id."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Any, Any]] = {}

    def make(self, id: str, kind: str, keys: list[str], prefs: dict[str, Any], **settings: Any) -> None:
        """A station or a node that hears `keys`, with a setting or a preference for each thing it wants to know."""
        orders, told_by = multiprocessing.Pipe(duplex=False)
        set_prefs(**prefs)
        if kind == "Net_Node":
            process = multiprocessing.Process(target=be_node, args=(id, keys, orders, settings), daemon=True)
        else:
            process = self._station(id, kind, keys, settings)
            process.orders = orders
        process.start()
        self.made[id] = (process, told_by)

    def _station(self, id: str, kind: str, keys: list[str], settings: dict[str, Any]) -> Any:
        repeat_interval = settings.pop("repeat_interval", None)
        if kind == "Station":
            station = heard_by(Station)(id=id, **settings)
        else:
            station = heard_by({"Terminal_Station": Terminal_Station, "Pilot_Station": Pilot_Station}[kind])(**settings)
        station.daemon = True
        if repeat_interval is not None:
            station.repeat_interval = repeat_interval
        station.listens.update({key: Listen(id, key, then) for key, then in station.listens.items()})
        station.listens.update({key: Listen(id, key) for key in keys if key not in station.listens})
        return station

    def tell(self, id: str, method: str, how: dict[str, Any]) -> None:
        """Have it do something."""
        self.made[id][1].send((method, how))

    def kill(self, id: str) -> None:
        """End it at once, and say so."""
        process, told_by = self.made.pop(id)
        process.kill()
        process.join()
        told_by.close()
        if isinstance(process, Station):
            process.closing.set()  # else a pilot's timer goes on in here
        say(id, "killed")


def set_prefs(**values: Any) -> None:
    """What stations and nodes of Autopilot ask their settings for."""
    for name, value in values.items():
        prefs.set(name, value)


def main() -> None:
    """Obey stdin until it ends."""
    prefs.set("LOGDIR", HOME)
    prefs.set("LOGLEVEL", "CRITICAL")
    makers = Makers()
    say("", "ready")
    for line in sys.stdin:
        order = json.loads(line)
        try:
            getattr(makers, order.pop("do"))(**order)
        except Exception:  # noqa: BLE001  # likewise
            say(str(order.get("id")), "raised", trace=traceback.format_exc()[-2000:])
    for id in list(makers.made):
        makers.kill(id)
    shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    main()
