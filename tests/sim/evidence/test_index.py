"""The index finds messages by the id under which they began, and each exception once."""

from __future__ import annotations

from sim.evidence.index import Index
from tests.sim.journal_builder import Tale, evidence


def test_a_relayed_message_is_found_under_the_id_under_which_it_began() -> None:
    tale = Tale()
    tale.at(1).made("_rig_1_0", "_rig_1", "T", "DATA")
    tale.at(2).handled("_rig_1_0", "_T", "DATA", first="_rig_1_0")
    index = Index(evidence(tale))
    assert [entry.by for entry in index.handled["_rig_1_0"]] == ["_T"]
    assert index.came["_rig_1_0"] == index.handled["_rig_1_0"]
    assert [entry.id for entry in index.made_by["_rig_1"]] == ["_rig_1_0"]


def test_an_exception_that_was_reported_twice_is_one() -> None:
    tale = Tale()
    for by in ("_rig_1", "_T"):
        tale.note("exception", by, value={"machine": "rig_1", "exception": "ValueError: no pin", "traceback": "…"})
    assert [error["machine"] for error in Index(evidence(tale)).exceptions()] == ["rig_1"]


def test_only_durable_machines_keep_their_messages_and_probes_never_do() -> None:
    index = Index(evidence(Tale(), durable=True))
    assert [index.durable(name) for name in ("rig_1", "_rig_1", "rig_1.probe")] == [True, True, False]
    assert not Index(evidence(Tale())).durable("rig_1")


def test_the_links_of_a_path_are_pairs_in_order() -> None:
    assert Index(evidence(Tale())).edges("cam", "T") == [("cam", "rig_1"), ("rig_1", "T")]
