"""The name of a participant tells its machine and the process that runs it."""

from __future__ import annotations

import pytest

from sim.lab.names import in_plain_words, is_node, is_probe, machine_of, probe_of, process_of


@pytest.mark.parametrize(
    ("name", "machine", "process"),
    [
        ("rig_1", "rig_1", ("station", "rig_1")),
        ("_rig_1", "rig_1", ("program", "rig_1")),
        ("rig_1.probe", "rig_1", ("program", "rig_1")),
        ("actor.rig_1.a", "rig_1", ("program", "actor.rig_1.a")),
    ],
)
def test_a_participant_has_a_machine_and_a_process(name: str, machine: str, process: tuple[str, str]) -> None:
    assert machine_of(name) == machine
    assert process_of(name) == process
    assert is_node(name) is (process[0] == "program")


def test_only_the_probe_node_is_a_probe() -> None:
    assert is_probe(probe_of("rig_1"))
    assert not is_probe("_rig_1")


def test_a_probe_is_a_test_client_in_sentences_and_ids_of_messages_stay() -> None:
    sentence = "rig_1.probe_7 from rig_1.probe to T.probe was lost: rig_1.probe → rig_1"
    assert in_plain_words(sentence) == (
        "rig_1.probe_7 from the test client on rig_1 to the test client on T was lost: the test client on rig_1 → rig_1"
    )
