"""Whoever writes a fault in other words is told the words for it; and unknown machines are told with all else."""

from __future__ import annotations

from typing import Any

import pytest

from sim.lab.fault import VERBS, Fault
from sim.lab.fault_words import FAULT_WORDS
from tests.sim.lab.files import ONE_RIG

TOLD = {
    "{at: 2, kill: rig_1}": "unknown key 'at'; write `at_s: …`, in seconds from START.",
    "{at_s: 2, reboot: rig_1}": "unknown key 'reboot'; write `kill: …` with `restart_after_s: …`.",
    "{at_s: 2, unplug: rig_1}": "unknown key 'unplug'; write `cut: …`, which is a link without its cable, "
    "with `heal_after_s: …`.",
    "{at_s: 2, cut: rig_1, duration: 3}": "unknown key 'duration'; write `for_s: …`, or what ends the fault, such as "
    "`heal_after_s: …`.",
    "{at_s: 2, cut: rig_1, heal_after: 3}": "unknown key 'heal_after'; did you mean 'heal_after_s'?",
}


def test_the_words_are_no_keys_and_stand_for_verbs() -> None:
    assert not {*FAULT_WORDS} & {*Fault.__struct_fields__}
    assert {word.verb for word in FAULT_WORDS.values()} <= {"", *VERBS}


@pytest.mark.parametrize("fault", TOLD)
def test_another_word_is_told_with_what_to_write(fault: str, mistakes_in: Any) -> None:
    assert mistakes_in(f"{ONE_RIG}faults: [{fault}]\n") == [f"3: {TOLD[fault]}"]


def test_the_target_of_another_word_is_checked_too(mistakes_in: Any) -> None:
    told = mistakes_in(f"{ONE_RIG}faults: [{{at_s: 2, reboot: rig_8}}]\n")
    assert told[1:] == ["3: `kill` has no target: there is no machine 'rig_8'; did you mean 'rig_1'?"]


UNKNOWN = "`kill` has no target: there is no machine 'rig_7'; did you mean 'rig_1'?"


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("{id: rig_1}", "the id 'rig_1' is taken by a machine on line 2; change one."),
        ("{id: 5}", "`id` must be text, not 5; put quotes around it."),
        ("{id: a b}", "the id 'a b' has a blank, a slash or a control character in it."),
    ],
)
def test_a_mistake_in_an_id_does_not_hide_unknown_machines(second: str, why: str, mistakes_in: Any) -> None:
    text = f"{ONE_RIG}  - {second}\nfaults: [{{at_s: 2, kill: rig_7}}, {{at_s: 3, kill: '5'}}]\n"
    told = mistakes_in(text.replace(", {at_s: 3, kill: '5'}", "") if "5" not in second else text)
    assert told == [f"3: {why}", f"4: {UNKNOWN}"]


def test_a_machine_without_an_id_may_be_the_one_that_is_meant(mistakes_in: Any) -> None:
    assert mistakes_in(f"{ONE_RIG}  - {{host: h}}\nfaults: [{{at_s: 2, kill: rig_7}}]\n") == ["3: `id` is missing."]
