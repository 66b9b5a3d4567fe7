"""Splits a STREAM message into the messages that its items would have been alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message, refuse, why_refused

__all__ = ["handle_items"]


def handle_items(
    batch: Message,
    handle: Callable[[Message], Any],
    raised: Callable[[Message, BaseException, str], None],
    *,
    update: bool,
) -> list[Any]:
    """Call `handle` with each item of a STREAM batch, in order, as the message it would have been alone.

    With `update`, dict items are updated with the batch's headers. One item whose handler raises costs only itself.
    Returns what the handlers returned, in one list. Raises `BadMessage` for what is no batch.
    """
    value = batch.value
    if not isinstance(value, dict) or not isinstance(value.get("payload"), list) or "inner_key" not in value:
        raise BadMessage(f"STREAM message {batch.id} from {batch.sender} holds no batch of items")
    headers = value.get("headers")
    headers = headers if isinstance(headers, dict) else {}
    results: list[Any] = []
    for number, item in enumerate(value["payload"]):
        is_plain = isinstance(item, dict) and "NUMPY_ARRAY" not in item
        own = {**item, **headers} if update and is_plain else item
        message = _item_message(batch, number, str(value["inner_key"]), own, headers)
        try:
            result = handle(message)
        except Exception as error:  # noqa: BLE001  # one bad item must not cost those that came along with it
            raised(message, error, traceback.format_exc())
            if why_refused(message):
                refuse(batch, why_refused(message))
            continue
        results += result if isinstance(result, list) else [result]
    return results


def _item_message(batch: Message, number: int, key: str, value: Any, headers: Mapping[str, Any]) -> Message:
    fields = {"to": batch.to, "sender": batch.sender, "key": key, "timestamp": batch.get("timestamp")}
    message = Message(**fields, id=f"{batch.id}.{number}", value=value, flags=dict(batch.flags))
    for name, header in headers.items():
        message[name] = header
    message.came_from = batch.came_from
    if batch.redelivered:
        message["redelivered"] = True
    return message
