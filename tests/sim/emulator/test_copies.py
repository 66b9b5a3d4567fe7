"""The terminal's copies: a proof fits the copy of its own rig, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net import Ledger
from sim.emulator.copies import Copies


def trial(n: int, rig: str = "rig_1") -> tuple[str, dict[str, Any]]:
    return f"_{rig}_{n}", {"pilot": rig, "subject": "m", "session": 0, "trial_num": n}


def proof_of(rig: str, count: int = 3, *, asked: str = "0", **changed: Any) -> dict[str, Any]:
    """The answer of a rig's own program, which made `count` trials."""
    ledger = Ledger()
    for n in range(count):
        id, value = trial(n, rig)
        ledger.record(id, {**value, **(changed if n == 0 else {})})
    return {"pilot": rig, **ledger.answer({"subject": "m", "session": asked})}


@pytest.fixture
def copies() -> Copies:
    """The terminal's copies of three trials each of two rigs with the same subject, as they arrived."""
    copies = Copies()
    for n in range(3):
        for rig in ("rig_1", "rig_2"):
            copies.add(rig, *trial(n, rig))
    return copies


def test_rigs_with_one_subject_are_judged_each_by_its_own_data(copies: Copies) -> None:
    for rig in ("rig_1", "rig_2"):
        assert copies.judge(rig, proof_of(rig)) == {"agrees": True, "here": 3, "blind": False}


def test_a_message_that_comes_again_is_one(copies: Copies) -> None:
    copies.add("rig_1", *trial(2))
    assert copies.judge("rig_1", proof_of("rig_1"))["here"] == 3


def test_a_copy_that_differs_in_one_value_does_not_agree(copies: Copies) -> None:
    found = copies.judge("rig_1", proof_of("rig_1", trial_num=5))
    assert found == {"agrees": False, "here": 3, "blind": False}


def test_an_empty_session_agrees(copies: Copies) -> None:
    found = copies.judge("rig_1", proof_of("rig_1", asked="1"))
    assert found == {"agrees": True, "here": 0, "blind": False}


@pytest.mark.parametrize("looks_at", ["nothing", "ids", "values"])
def test_a_proof_that_would_fit_another_copy_is_none(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, looks_at: str
) -> None:
    whole = Ledger.record

    def record(ledger: Ledger, id: str, value: Any) -> None:
        plain = {name: value[name] for name in ("subject", "session")}
        whole(ledger, id if looks_at == "ids" else "", value if looks_at == "values" else plain)

    monkeypatch.setattr(Ledger, "record", record)
    found = copies.judge("rig_1", proof_of("rig_1"))
    assert found["blind"]


def test_a_digest_of_the_last_message_alone_proves_nothing(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest_last(ledger: Ledger, id: str, value: Any) -> None:
        ledger._digests.clear()
        whole(ledger, id, value)

    whole = Ledger.record
    monkeypatch.setattr(Ledger, "record", digest_last)
    assert copies.judge("rig_1", proof_of("rig_1"))["blind"]
