"""Each operation of a storm is sent by one process, and counted for the process that handles it."""

from __future__ import annotations

from sim.scenario import Crash, Example, Flow, Opaque, Send, Twice
from sim.scenario.assignments import assign, recipient_process, sender_process

STORM = Example(
    ops=(
        Send(frm="rig_1.probe", to="T.probe", burst=3),
        Flow(frm="_rig_1", to="T", items=4, batch=2),
        Twice(at="T", to="rig_1"),
        Opaque(at="rig_1", to="T", size=20),
        Crash(frm="T", to="rig_1"),
    )
)


def test_raw_peers_send_by_themselves_and_a_probe_runs_in_the_program() -> None:
    senders, due = assign(STORM)
    assert {process: [n for n, _ in ops] for process, ops in senders.items()} == {"_rig_1": [0, 1], "T": [4]}
    assert due == {"_T": 3, "T": 4, "rig_1": 1}


def test_a_skipped_operation_is_neither_sent_nor_expected() -> None:
    senders, due = assign(STORM, skipped={0, 4})
    assert {process: [n for n, _ in ops] for process, ops in senders.items()} == {"_rig_1": [1]}
    assert due == {"T": 4, "rig_1": 1}


def test_a_message_for_a_program_is_handled_by_its_station() -> None:
    assert [recipient_process(name) for name in ("rig_1", "_rig_1", "rig_1.probe")] == ["rig_1", "rig_1", "_rig_1"]
    assert [sender_process(name) for name in ("rig_1", "_rig_1", "rig_1.probe")] == ["rig_1", "_rig_1", "_rig_1"]
