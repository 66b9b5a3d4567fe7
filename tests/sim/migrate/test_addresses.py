"""Which addresses, ports and intervals an import finds."""

from __future__ import annotations

from tests.sim.migrate.import_files import Files, line_with, pilot


def test_the_terminal_has_the_port_and_the_address_that_most_pilots_push_to_and_the_others_are_named(
    files: Files,
) -> None:
    lab = files.lab(
        {
            "rig_1": pilot(PUSHPORT="5570", TERMINALIP="10.0.0.2"),
            "rig_2": pilot(PUSHPORT=5571, TERMINALIP="10.0.0.1"),
            "rig_3": pilot(PUSHPORT="5571", TERMINALIP="10.0.0.1"),
            "rig_4": pilot(TERMINALIP="10.0.0.1"),
            "rig_5": pilot(),
            "cam": pilot(LINEAGE="CHILD", PARENTID="rig_1", PUSHPORT=1, TERMINALIP="10.9.9.9"),
        }
    )
    assert (lab.terminal.port, lab.terminal.host) == (5571, "10.0.0.1")
    assert line_with(files.text, "port: 5571").endswith("# guess: where 2 of 4 pilots push")
    assert files.told == [
        "pilot_db.json: rig_1: it pushes to port 5570, but the terminal's is 5571.",
        "pilot_db.json: rig_4: it pushes to port 5560, but the terminal's is 5571.",
        "pilot_db.json: rig_1: it pushes to the address 10.0.0.2, but the terminal's is 10.0.0.1.",
    ]


def test_the_terminal_s_own_prefs_say_who_and_where_it_is(files: Files) -> None:
    own = {"NAME": "boss", "MSGPORT": "5599", "TERMINALIP": "10.0.0.1"}
    lab = files.lab({"rig_1": pilot(PUSHPORT="5570")}, prefs=own)
    assert (lab.terminal.id, lab.terminal.port, lab.terminal.host) == ("boss", 5599, "10.0.0.1")
    assert line_with(files.text, "port: 5599").endswith("# MSGPORT of prefs.json")
    assert files.told == ["pilot_db.json: rig_1: it pushes to port 5570, but the terminal's is 5599."]


def test_a_topology_has_one_ping_interval_and_who_has_another_is_a_comment(files: Files) -> None:
    lab = files.lab({"a": pilot(PING_INTERVAL="2.5"), "b": pilot(PING_INTERVAL=2.5), "c": pilot(MSGPORT=5565)})
    assert (lab.ping_interval_s, files.told) == (2.5, [])
    assert line_with(files.text, "PING_INTERVAL").strip().startswith("# PING_INTERVAL is 5 here")
