"""What a trace says of an effect can be written as JSON, whatever the effect holds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from autopilot_net import Message
from autopilot_net.protocol.durable_records import Kept
from autopilot_net.protocol.effects import Deliver, Effect, Expired, Forget, Gap, PeerUp, Store, Transmit
from autopilot_net.protocol.reasons import refusal
from autopilot_net.trace_format import HEAD, digest, facts

TRIAL = Message(id="n_1", to="T", sender="n", key="DATA", value={"x": 1})


def test_a_payload_is_told_by_its_length_its_digest_and_its_head() -> None:
    payload = TRIAL.serialize() + b" " * 1_000
    told = facts(Transmit("s", (b"s", b"T", payload)))
    assert (told["peer"], told["frames"], told["size"]) == ("s", ["s", "T"], len(payload))
    assert told["digest"] == digest(payload)
    assert told["head"] == payload[:HEAD].decode()
    assert (told["id"], told["to"], told["sender"], told["key"]) == ("n_1", "T", "n", "DATA")


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"no json", b"[]"])
def test_of_a_payload_that_is_no_message_no_fields_are_told(payload: bytes) -> None:
    assert set(facts(Transmit("s", (payload,)))) == {"peer", "frames", "size", "digest", "head"}


def test_a_digest_tells_payloads_apart_and_is_the_same_everywhere() -> None:
    assert digest(b"") == "6fa1d8fcfd719046d762"
    assert digest(b"a") != digest(b"b")


@pytest.mark.parametrize("again", [True, False])
def test_of_a_delivery_its_message_is_named_and_not_told(again: bool) -> None:
    message = Message(id="n_1", to="T", sender="n", key="DATA", value="much", redelivered=again)
    told = facts(Deliver(3, "s", message))
    named = {"ticket": 3, "peer": "s", "id": "n_1", "to": "T", "sender": "n", "key": "DATA"}
    assert told == named | ({"redelivered": True} if again else {})


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        (PeerUp("T"), {"peer": "T"}),
        (Expired("n_1", "T", "too late"), {"id": "n_1", "to": "T", "reason": "too late"}),
        (Forget("T", 4), {"to": "T", "seq": 4}),
        (Store(Kept("T", 4, "n_1", (), b"secret", 5)), {"what": "Kept", "seq": 4}),
        (Gap("n_s", 1, 4), {"sender": "n_s", "first": 1, "missing": 4}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_of_other_effects_all_is_told_but_what_is_kept(effect: Effect, told: dict[str, Any]) -> None:
    assert facts(effect) == told


def test_a_refusal_is_told_as_its_text() -> None:
    reason = refusal("no such trial")
    assert reason is not None
    told = facts(Expired("n_1", "T", reason))
    assert type(told["reason"]) is str
    assert msgspec.json.decode(msgspec.json.encode(told)) == told
