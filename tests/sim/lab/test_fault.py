"""A fault has one verb and one target, and what the verbs mean fits together."""

from __future__ import annotations

import pytest

from sim.lab.fault import ACTION_VERBS, VERBS, Fault, named, target_of, verb_of


def test_a_fault_has_exactly_one_verb() -> None:
    fault = Fault(at_s=1, kill="rig_1")
    assert (verb_of(fault), target_of(fault)) == ("kill", "rig_1")
    for wrong in (Fault(at_s=1), Fault(at_s=1, kill="rig_1", cut="rig_1")):
        with pytest.raises(ValueError, match="exactly one verb"):
            verb_of(wrong)


def test_a_pattern_never_matches_the_terminal() -> None:
    assert named(["rig_?"], "rig_1", terminal="T")
    assert not named(["*"], "T", terminal="T")
    assert named(["T"], "T", terminal="T")


@pytest.mark.parametrize("verb", VERBS)
def test_the_options_and_actions_of_a_verb_exist(verb: str) -> None:
    row = VERBS[verb]
    assert {verb, *row.options, *row.needs, *([row.until] if row.until else [])} <= set(Fault.__struct_fields__)
    assert set(row.acts) | row.ended_by <= ACTION_VERBS.keys()


@pytest.mark.parametrize("verb", ACTION_VERBS)
def test_what_ends_an_action_strikes_the_same_thing(verb: str) -> None:
    row = ACTION_VERBS[verb]
    for end in filter(None, (row.ended_by, row.gives_way_to)):
        assert ACTION_VERBS[end].on == row.on
    assert bool(row.state) is bool(row.phrases[0])
