"""How a node or a station finds the listen for a message, and what it logs of it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from autopilot_net.error_report import error_report
from autopilot_net.errors import AutopilotNetError
from autopilot_net.loglimit import LogLimit, shown
from autopilot_net.message import Message

__all__ = [
    "Listen",
    "SignatureCache",
    "duplicates_report",
    "find_listen",
    "gone",
    "log_exception",
    "log_limit",
    "refuse_closed",
    "tell_of_duplicates",
    "wants_message",
]

logger = logging.getLogger("autopilot_net")
log_limit = LogLimit(logger)

TRACE_LINES = 60

Listen = Callable[..., Any]


def find_listen(listens: Mapping[str, Listen], message: Message, who: str) -> Listen | None:
    """The listen for the key of `message`. If there is none, logs a warning and returns None."""
    listen = listens.get(message.key)
    if listen is None:
        key, sender = shown(message.key), shown(message.sender)
        sentence = f"{who}: nobody listens for {key}, which {sender} sent (message {shown(message.id)})"
        log_limit.log(logging.WARNING, (who, "unheard", message.key[:100], message.sender[:100]), sentence)
    return listen


def log_exception(who: str, message: Message, error: BaseException, trace: str) -> None:
    """Log what the handler of `message` raised. The same error again and again is logged only now and then."""
    lines = "\n".join(shown(line, at_most=300) for line in trace.splitlines()[-TRACE_LINES:])
    thing = (who, "raised", message.key[:100], type(error).__name__)
    log_limit.log(logging.ERROR, thing, f"{who}: the handler of {shown(message.key)} raised\n{lines}")


class SignatureCache:
    """Which listens declare that they take the `Message`. Each is inspected once, since that takes long."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Listen, bool]] = {}

    def message(self, key: str, listen: Listen) -> bool:
        """Whether `listen`, the present one for `key`, takes the `Message`."""
        known = self._known.get(key)
        if known is None or known[0] is not listen:
            known = self._known[key] = (listen, wants_message(listen))
        return known[1]


def wants_message(listen: Listen) -> bool:
    """Whether a listen declares that it takes the `Message`: its first parameter is annotated so."""
    try:
        parameters = list(inspect.signature(listen).parameters.values())
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0].annotation in (Message, "Message", "autopilot_net.Message")


def duplicates_report(who: str, peer: str, addresses: tuple[str, str]) -> dict[str, str]:
    """The value of the ERROR for the terminal that two machines both have the id `peer`."""
    one, other = addresses
    where = f"one at {one}, one at {other}" if one != other else f"both at {one}"
    sentence = (
        f"two that run are both {peer}, {where}: {who} hears now one and now the other, and what is sent to {peer} "
        "reaches either. Stop one of them, or give it an id of its own"
    )
    return error_report(peer.removeprefix("_"), sentence)


def tell_of_duplicates(who: str, peer: str, addresses: tuple[str, str]) -> dict[str, str]:
    """Log that two machines both have the id `peer`. Returns the value of the ERROR for the terminal."""
    report = duplicates_report(who, peer, addresses)
    logger.warning("%s: %s", who, report["exception"])
    return report


def gone(owner: object, name: str, instead: Mapping[str, str]) -> AttributeError:
    """The error for a name that Autopilot has and that would have no meaning here."""
    kind = type(owner).__name__
    if name in instead:
        return AttributeError(f"{kind} has no {name!r}: {instead[name]}")
    return AttributeError(f"{kind!r} object has no attribute {name!r}")


def refuse_closed(who: str) -> AutopilotNetError:
    """The error for calls to a station outside its own process."""
    return AutopilotNetError(
        f"station {who} sends from its own process alone, in its listens; other processes take part by a Net_Node"
    )
