"""A journal with nothing wrong in it passes every check; with one thing changed in it, one check says who and what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sim.checks.clocks import clock_rows
from sim.checks.registry import check_all, check_storm
from sim.checks.session import trial_rows
from sim.checks.streams import stream_rows
from sim.emulator.session import item_of, stream_name
from sim.evidence.index import Evidence, Index, digest
from sim.evidence.journal import Entry, Journal, Trace
from sim.lab.topology import Expect, Limits, Machine, Stream, Topology, Trials
from sim.scenario import Crash, Example, Flow, Opaque, Send, Twice, twice_id
from sim.scenario.payloads import fingerprint, opaque_bytes
from sim.verdict import Check, StreamRow
from tests.sim.findings import violation

MS = 10**6
SEED = 7
WHEEL = Stream(fields=("x", "y"), rate_hz=10.0)
CAMERA = Stream(shape=(2, 3), dtype="uint16", rate_hz=5.0, reliable=False)
TRIP = ["rig_1.probe", "rig_1", "T", "T.probe"]
TWICE = Twice(at="T", to="rig_1")
OPAQUE = Opaque(at="rig_1", to="T", size=20, seed=1)
STORMS = {
    0: Example(
        ops=(
            Send(frm="rig_1.probe", to="T.probe", hops=("rig_1", "T", "T.probe"), burst=2),
            TWICE,
            OPAQUE,
            Flow(frm="rig_1.probe", to="T", items=4, batch=2),
            Send(frm="T", to="rig_1", sought=False),
        )
    ),
    1: Example(ops=(Crash(frm="T", to="rig_1"),)),
}


class Story:
    """A journal as programs and tracers write it, a millisecond between two lines."""

    def __init__(self) -> None:
        self.journal = Journal()
        self._now = 10**9

    def note(self, what: str, by: str, **facts: Any) -> Entry:
        """A program wrote this down."""
        self._now += MS
        self.journal.entries.append(Entry(t=self._now, by=by, what=what, **facts))
        return self.journal.entries[-1]

    def carry(self, id: str, *way: str, sending: str = "first") -> None:
        """A message crossed these links, and nobody touched it."""
        for at, peer in pairwise(way):
            self.trace("Transmit", at, peer=peer, digest=f"{id} {sending}", id=id, to=way[-1])

    def trace(self, do: str, at: str, **facts: Any) -> None:
        """The library traced this effect."""
        self._now += MS
        self.journal.traces.append(Trace(t=self._now, at=at, life="a", do=do, **facts))

    def message(self, id: str, way: list[str], *, sought: bool = True, **facts: Any) -> None:
        """Made, carried, handled under its own id, and confirmed."""
        self.note("made", way[0], id=id, to=way[-1], sought=sought, print=f"of {id}", **facts)
        self.carry(id, *way)
        self.note("handled", way[-1], id=id, sender=way[0], print=f"of {id}", **facts)
        if sought:
            self.note("settled", way[0], id=id, to=way[-1], value="confirmed", **facts)

    def relayed(self, id: str, way: list[str], *, by: str, key: str, value: Any = None, then: Any = None) -> None:
        """Made by a program for a station, which hands it to its own program `by` under an id of its own."""
        self.note("made", way[0], id=id, key=key, to=way[-1], sought=True, print=f"of {id}")
        self.carry(id, *way)
        own = {"id": f"{way[-1]} for {id}", "sender": way[-1], "first": id, "first_sender": way[0]}
        self.note("handled", by, key=key, print=f"of {id}", value=value, **own)
        for telling in then or []:
            telling()
        self.note("settled", way[0], id=id, key=key, to=way[-1], value="confirmed")

    def shook(self, machine: str, *way: str) -> None:
        """A machine's station and its program shook hands with the terminal."""
        for sender in (machine, "_" + machine):
            self.note("shook", "_T", first_sender=sender, value={"machine": machine, "way": list(way)})

    def heard(self, machine: str, state: str | None, *, sender: str) -> None:
        """The terminal's program was told a state."""
        told = {"state": state, "pilot": machine}
        self.note("state", "_T", sender="T", first_sender=sender, value=told)

    def clock(self, machine: str, offset: float, uncertainty: float) -> None:
        """The terminal's program was told of a machine's clock."""
        told = {"machine": machine, "offset": offset, "uncertainty": uncertainty}
        self.note("clock", "_T", sender="T", first_sender="_" + machine, value=told)

    def says(self, machine: str, state: str) -> None:
        """A program said its state, and the terminal heard it."""
        self.note("state", "_" + machine, value=state)
        self.heard(machine, state, sender="_" + machine)

    def item(self, stream: str, n: int, *, by: str, to: str, at: str, shown: str, **facts: Any) -> None:
        """An item was made for `to`, and got by `at`."""
        made = shown if "#" in stream else ""  # a session's item is known from the plan
        self.note("item_made", by, stream=stream, n=n, to=to, print=made, **facts)
        self.note("item_got", at, stream=stream, n=n, print=shown, **facts)


def lab(*more: Machine, **keys: Any) -> Topology:
    """A terminal, a rig with two streams, and who else there is."""
    streams = {"wheel": WHEEL, "camera": CAMERA}
    rig = Machine("rig_1", parent="T", subjects=("mouse",), trials=Trials(), streams=streams)
    return Topology(name="two", path="two.yaml", machines=(Machine("T", children=("rig_1",)), rig, *more), **keys)


def healthy() -> Evidence:
    """All of a run of the two: a session, a storm, a crash."""
    story = Story()
    story.note("start", "T")
    story.note("start", "rig_1")
    story.shook("rig_1", "rig_1")
    _session(story)
    _storm(story)
    _crash(story)
    topology = lab(
        expect=Expect(
            trials=Limits(lost=0, twice=0, p99_ms=50.0),
            streams={"wheel": Limits(missing=0), "rig_1.camera": Limits(missing_pct=10.0)},
        )
    )
    return Evidence(topology=topology, seed=SEED, journal=story.journal, examples=STORMS)


def _session(story: Story) -> None:
    story.relayed("_T_0", ["_T", "T", "rig_1"], by="_rig_1", key="START", then=[lambda: story.says("rig_1", "RUNNING")])
    for n in range(3):
        story.relayed(f"_rig_1_{n}", ["_rig_1", "rig_1", "T"], by="_T", key="DATA")
    for name, spec in (("wheel", WHEEL), ("camera", CAMERA)):
        for n in range(10):
            shown = fingerprint(item_of(SEED, "rig_1", name, spec, 0, n))
            story.item(stream_name("rig_1", name, 0), n, by="_rig_1", to="T", at="_T", shown=shown)
    story.heard("rig_1", "RUNNING", sender="rig_1")  # the station, asked by PING
    story.clock("rig_1", 0.0002, 0.0005)
    story.clock("rig_1", -0.0001, 0.0003)
    story.relayed("_T_1", ["_T", "T", "rig_1"], by="_rig_1", key="STOP", then=[lambda: story.says("rig_1", "IDLE")])
    proof = {"pilot": "rig_1", "subject": "mouse", "session": "0", "count": 3, "agrees": True, "here": 3}
    story.note("cohere", "_T", first_sender="_rig_1", value=proof)


def _storm(story: Story) -> None:
    for n in range(2):
        story.message(f"rig_1.probe_{n}", TRIP, key="STORM", example=0)
    said = twice_id("actor.T.a", 0, 1)
    story.note("made twice", "actor.T.a", id=said, key="STORM", to="rig_1", example=0, n=1)
    story.carry(said, "T", "rig_1")
    story.note("handled", "rig_1", id=said, key="STORM", sender="actor.T.a", example=0)
    story.note("settled", "actor.T.a", id=said, key="STORM", to="rig_1", example=0, value="confirmed")
    raw = digest(opaque_bytes(OPAQUE.size, OPAQUE.seed, 0, 2))
    story.trace("Transmit", "rig_1", peer="T", digest=raw, head="\N{REPLACEMENT CHARACTER}\0")
    story.trace("Transmit", "T", peer="actor.T.b", digest=raw, head="\N{REPLACEMENT CHARACTER}\0")
    story.note("opaque", "actor.T.b", value=True, example=0, n=2)
    for n in range(4):
        story.item("rig_1.probe#0.3", n, by="rig_1.probe", to="T", at="T", shown="pay", example=0)
    story.message("T_5", ["T", "rig_1"], key="STORM", example=0, sought=False)


def _crash(story: Story) -> None:
    facts: dict[str, Any] = {"id": "T_9", "key": "CRASH", "example": 1}
    story.note("made", "T", to="rig_1", sought=True, **facts)
    story.carry("T_9", "T", "rig_1")
    story.note("began", "rig_1", **facts)
    story.note("kill", "parent", to="rig_1")
    story.note("restart", "parent", to="rig_1")
    story.carry("T_9", "T", "rig_1", sending="again")
    story.note("began", "rig_1", life=1, redelivered=True, **facts)
    story.note("handled", "rig_1", life=1, redelivered=True, **facts)
    story.note("settled", "T", to="rig_1", value="confirmed", **facts)


def append_to(folder: Path, journal: Journal) -> None:
    """Write it where a run's reader looks."""
    for name, lines in (("story.events.jsonl", journal.entries), ("story.trace.jsonl", journal.traces)):
        with (folder / name).open("ab") as file:
            file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)


@pytest.fixture
def run() -> Evidence:
    return healthy()


def found(run: Evidence, what: str, **facts: Any) -> Entry:
    """The first entry of that kind with these facts."""
    return next(e for e in run.journal.of(what) if all(getattr(e, name) == fact for name, fact in facts.items()))


def forget(run: Evidence, what: str, **facts: Any) -> Entry:
    """Take that entry out of the journal."""
    entry = found(run, what, **facts)
    run.journal.entries = [other for other in run.journal.entries if other is not entry]
    return entry


def again(run: Evidence, what: str, **facts: Any) -> Entry:
    """Write down once more, right after it, what was written there."""
    entry = found(run, what, **facts)
    place = next(n for n, other in enumerate(run.journal.entries) if other is entry)
    run.journal.entries.insert(place + 1, replace(entry))
    return run.journal.entries[place + 1]


def crossings(run: Evidence, id: str) -> list[Trace]:
    """The links that a message crossed."""
    return [trace for trace in run.journal.traces if trace.do == "Transmit" and trace.id == id]


def checked(run: Evidence, result: str) -> dict[str, list[str]]:
    return {check.name: check.violations for check in check_all(run) if check.result == result}


def broke(run: Evidence) -> dict[str, list[str]]:
    """What each check that fails has to say."""
    return checked(run, "fail")


def check_of(run: Evidence, name: str) -> Check:
    return next(check for check in check_all(run) if check.name == name)


def row_of(run: Evidence, stream: str) -> StreamRow:
    return next(row for row in stream_rows(Index(run)) if row.stream == stream)


# -- nothing wrong ---------------------------------------------------------------------------------------------------


def test_a_healthy_run_passes_every_check_and_each_had_something_to_look_at(run: Evidence) -> None:
    looked = {check.name: (check.result, check.count) for check in check_all(run)}
    assert looked == {
        "programs": ("pass", 4),
        "handshake": ("pass", 1),
        "trials": ("pass", 3),
        "session": ("pass", 2 + 3 + 1),  # orders, states, sessions proven
        "clocks": ("pass", 1),
        "hops": ("pass", 3 + 1),  # messages, opaque bytes
        "confirm": ("pass", 5 + 3 + 1 + 1),
        "order": ("pass", 7),
        "streams": ("pass", 10 + 10 + 4),
        "expect": ("pass", 5),
    }
    assert [check.violations for check in check_all(run) if check.violations] == []
    assert check_of(run, "confirm").figures == "1 repeated"


def test_a_healthy_storm_broke_nothing(run: Evidence) -> None:
    for number, example in STORMS.items():
        journal = Journal(entries=run.journal.example(number), traces=run.journal.traces)
        assert check_storm(replace(run, journal=journal, examples={number: example})) == []


def test_a_storm_says_which_check_it_broke(run: Evidence) -> None:
    forget(run, "handled", id="rig_1.probe_1")
    journal = Journal(entries=run.journal.example(0), traces=run.journal.traces)
    found = check_storm(replace(run, journal=journal, examples={0: STORMS[0]}))
    assert [(broken.machines, broken.messages) for broken in found] == [(("rig_1", "T"), ("rig_1.probe_1",))]
    assert [str(broken) for broken in found] == [
        "confirm: STORM rig_1.probe_1 from rig_1.probe to T.probe was confirmed, and never handled"
    ]


# -- programs --------------------------------------------------------------------------------------------------------


def test_a_process_that_ended_by_itself_is_named(run: Evidence) -> None:
    run.died = ["_rig_1"]
    assert broke(run) == {"programs": ["the process _rig_1 ended by itself"]}


def test_an_exception_stands_there_once_however_often_it_was_told(run: Evidence) -> None:
    told = {"machine": "rig_1", "exception": "ValueError: no pin 7", "traceback": "…"}
    for by in ("_rig_1", "_T", "_T"):
        run.journal.entries.append(Entry(t=0, by=by, what="exception", value=dict(told)))
    assert broke(run) == {"programs": ["rig_1: ValueError: no pin 7"]}


@pytest.mark.parametrize("value", ["the lever is stuck", None, ["?"], {"why": "the lever is stuck"}])
def test_an_error_that_a_program_words_itself_is_told_too(run: Evidence, value: Any) -> None:
    """Anybody may send ERROR to the terminal, with whatever in it."""
    run.journal.entries.append(Entry(t=0, by="_T", what="exception", first_sender="_rig_1", value=value))
    assert broke(run) == {"programs": [f"rig_1: {value}"]}


# -- handshake -------------------------------------------------------------------------------------------------------


def test_a_program_that_never_shook_hands_is_named_though_its_station_did(run: Evidence) -> None:
    forget(run, "shook", first_sender="_rig_1")
    assert broke(run) == {"handshake": ["rig_1 never shook hands with the terminal"]}


@pytest.mark.parametrize("told", [["rig_9", "rig_1"], [], None])
def test_a_way_that_the_graph_has_not_is_told_beside_the_right_one(run: Evidence, told: Any) -> None:
    found(run, "shook", first_sender="rig_1").value["way"] = told
    assert broke(run) == {"handshake": [f"rig_1 is on the way rig_1, and the terminal was told {told or []}"]}


def test_a_machine_that_is_not_in_the_lab_is_named(run: Evidence) -> None:
    again(run, "shook").value = {"machine": "rig_9", "way": ["rig_9"]}
    assert broke(run) == {"handshake": ["rig_9 shook hands, and is not in the lab"]}


# -- hops ------------------------------------------------------------------------------------------------------------


def test_a_message_that_went_astray_is_told_with_the_wrong_link(run: Evidence) -> None:
    crossings(run, "rig_1.probe_0")[1].peer = "rig_9"
    assert broke(run) == {"hops": ["rig_1.probe_0 from rig_1.probe to T.probe went astray: rig_1 → rig_9"]}


def test_a_message_that_was_opened_on_the_way_went_astray_from_there(run: Evidence) -> None:
    """Who reads it and writes it anew changes its bytes, if only a blank."""
    for trace in crossings(run, "rig_1.probe_0")[1:]:
        trace.digest = "written anew"
    sentence = "rig_1.probe_0 from rig_1.probe to T.probe went astray: rig_1 → T, T → T.probe"
    assert broke(run) == {"hops": [sentence]}


def test_a_message_that_stopped_on_the_way_is_told_with_the_place(run: Evidence) -> None:
    run.journal.traces.remove(crossings(run, "rig_1.probe_1")[-1])
    assert broke(run) == {"hops": ["rig_1.probe_1 from rig_1.probe to T.probe came no further than T"]}


def test_a_message_that_was_never_sent_came_no_further_than_its_sender(run: Evidence) -> None:
    for trace in crossings(run, "T_5"):
        run.journal.traces.remove(trace)
    assert broke(run) == {"hops": ["T_5 from T to rig_1 came no further than T"]}


def test_a_repeat_that_came_half_the_way_is_no_violation(run: Evidence) -> None:
    story = Story()
    story.carry("rig_1.probe_0", *TRIP[:3], sending="again")
    run.journal.traces += story.journal.traces
    assert broke(run) == {}
    assert check_of(run, "confirm").figures == "2 repeated"


def test_a_message_that_another_handled_is_told_with_who_did(run: Evidence) -> None:
    again(run, "handled", id="rig_1.probe_0").by = "T"
    assert broke(run) == {"hops": ["rig_1.probe_0 to T.probe was handled by T"]}


def test_opaque_bytes_that_did_not_arrive_are_told_with_how_far_they_came(run: Evidence) -> None:
    found(run, "opaque").value = False
    run.journal.traces = [trace for trace in run.journal.traces if trace.peer != "actor.T.b"]
    sentence = (
        "bytes that are no message, from a bare peer at rig_1 to one at T, did not arrive as they were sent: "
        "they came as far as T"
    )
    assert broke(run) == {"hops": [sentence]}
    forget(run, "opaque")
    assert broke(run) == {"hops": [sentence]}


def test_opaque_bytes_that_made_a_detour_are_told_with_it(run: Evidence) -> None:
    wrong = next(trace for trace in run.journal.traces if trace.peer == "actor.T.b")
    wrong.peer = "_T"
    [sentence] = broke(run)["hops"]
    assert "from a bare peer at rig_1 to one at T, went" in sentence
    assert "('T', '_T')" in sentence


# -- confirm ---------------------------------------------------------------------------------------------------------


def test_a_message_that_expired_was_never_confirmed(run: Evidence) -> None:
    found(run, "settled", id="rig_1.probe_0").value = "expired after 5 repeats"
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe was never confirmed: expired after 5 repeats"
    assert broke(run) == {"confirm": [sentence]}
    forget(run, "handled", id="rig_1.probe_0")
    assert broke(run) == {"confirm": [sentence]}, "that it was not handled either needs no second sentence"


def test_a_message_that_was_confirmed_and_never_handled_is_named(run: Evidence) -> None:
    forget(run, "handled", first="_T_1")
    assert broke(run) == {"confirm": ["STOP _T_1 from _T to rig_1 was confirmed, and never handled"]}


def test_a_message_that_nobody_asked_about_must_still_be_handled(run: Evidence) -> None:
    forget(run, "handled", id="T_5")
    assert broke(run) == {"confirm": ["STORM T_5 from T to rig_1 was never handled"]}


def test_a_confirmation_before_the_handler_was_done_is_told(run: Evidence) -> None:
    found(run, "settled", id="rig_1.probe_0").t = found(run, "handled", id="rig_1.probe_0").t - 1
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe was confirmed before it was handled"
    assert broke(run) == {"confirm": [sentence]}


def test_a_message_that_was_handled_twice_in_one_life_is_named(run: Evidence) -> None:
    again(run, "handled", id="rig_1.probe_0")
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe was handled 2 times by T.probe in one life"
    assert broke(run) == {"confirm": [sentence]}


def test_a_message_may_be_handled_once_in_each_life(run: Evidence) -> None:
    again(run, "handled", id="T_9").life = 2
    assert broke(run) == {}


def test_other_content_than_was_sent_is_told(run: Evidence) -> None:
    found(run, "handled", id="rig_1.probe_0").print = "another"
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe arrived with another content than it was sent with"
    assert broke(run) == {"confirm": [sentence]}


def test_what_is_handled_again_after_a_crash_must_be_marked(run: Evidence) -> None:
    found(run, "handled", id="T_9").redelivered = False
    sentence = "CRASH T_9 from T to rig_1 was handled again in a next life, and not marked redelivered"
    assert broke(run) == {"confirm": [sentence]}


def test_what_a_bare_peer_sent_twice_is_handled_once(run: Evidence) -> None:
    name = "actor.T.a_0.1, which a bare peer sent to rig_1 twice,"
    again(run, "handled", id="actor.T.a_0.1")
    assert broke(run) == {"confirm": [f"{name} was handled 2 times by rig_1 in one life"]}


def test_what_a_bare_peer_sent_twice_is_handled_and_confirmed(run: Evidence) -> None:
    name = "actor.T.a_0.1, which a bare peer sent to rig_1 twice,"
    forget(run, "handled", id="actor.T.a_0.1")
    found(run, "settled", id="actor.T.a_0.1").value = "no confirmation came"
    assert broke(run) == {"confirm": [f"{name} was never handled", f"{name} was never confirmed"]}
    forget(run, "settled", id="actor.T.a_0.1")
    assert broke(run) == {"confirm": [f"{name} was never handled", f"{name} was never confirmed"]}


def test_what_has_not_settled_is_unknown(run: Evidence) -> None:
    forget(run, "settled", id="rig_1.probe_0")
    forget(run, "handled", id="rig_1.probe_0")
    assert broke(run) == {}
    assert checked(run, "unknown") == {
        "confirm": [
            "not known: whether STORM rig_1.probe_0 from rig_1.probe to T.probe was handled: it has not settled"
        ]
    }


def test_what_broke_comes_before_what_is_unknown(run: Evidence) -> None:
    forget(run, "settled", id="rig_1.probe_0")
    forget(run, "handled", id="T_5")
    check = check_of(run, "confirm")
    assert (check.result, [sentence[:9] for sentence in check.violations]) == ("fail", ["STORM T_5", "not known"])


# -- order -----------------------------------------------------------------------------------------------------------


def test_two_messages_that_changed_places_are_named(run: Evidence) -> None:
    first, second = (found(run, "handled", id=f"rig_1.probe_{n}") for n in range(2))
    found(run, "settled", id="rig_1.probe_0").t = second.t + 1
    first.t, second.t = second.t, first.t
    found(run, "settled", id="rig_1.probe_0").t = first.t + 1
    sentence = "STORM from rig_1.probe to T.probe: rig_1.probe_0 was handled after rig_1.probe_1"
    assert broke(run) == {"order": [sentence]}


def test_a_stop_before_its_start_is_named(run: Evidence) -> None:
    start, stop = found(run, "handled", first="_T_0"), found(run, "handled", first="_T_1")
    stop.t = start.t - 1
    assert broke(run) == {"order": ["START and STOP from _T to rig_1: _T_0 was handled after _T_1"]}


# -- trials and the session ------------------------------------------------------------------------------------------


def test_a_lost_trial_is_named_with_its_rig(run: Evidence) -> None:
    forget(run, "handled", first="_rig_1_1")
    found(run, "settled", id="_rig_1_1").value = "expired"
    assert broke(run) == {
        "trials": ["rig_1: 1 of 3 lost, first _rig_1_1"],
        "confirm": ["DATA _rig_1_1 from _rig_1 to T was never confirmed: expired"],
        "expect": ["trials lost: 1 > 0"],
    }


def test_a_trial_that_came_twice_is_told_with_its_rig(run: Evidence) -> None:
    again(run, "handled", first="_rig_1_1")
    assert broke(run) == {
        "trials": ["rig_1: 1 of 3 handled twice"],
        "confirm": ["DATA _rig_1_1 from _rig_1 to T was handled 2 times by _T in one life"],
        "expect": ["trials handled twice: 1 > 0"],
    }


def test_a_row_says_what_became_of_a_rigs_trials(run: Evidence) -> None:
    forget(run, "handled", first="_rig_1_2")
    forget(run, "settled", id="_rig_1_2")
    for trace in crossings(run, "_rig_1_2"):
        run.journal.traces.remove(trace)
    [row] = trial_rows(Index(run))
    assert (row.rig, row.made, row.sent, row.handled, row.confirmed, row.twice) == ("rig_1", 3, 2, 2, 2, 0)
    assert row.missing == ["_rig_1_2"]


def test_a_state_that_the_terminal_never_heard_is_told(run: Evidence) -> None:
    forget(run, "state", by="_T", value={"state": "IDLE", "pilot": "rig_1"})
    assert broke(run) == {"session": ["rig_1 said ['RUNNING', 'IDLE'], and the terminal heard ['RUNNING']"]}


def test_a_state_that_a_station_took_from_a_child_is_told(run: Evidence) -> None:
    found(run, "state", by="_T", first_sender="rig_1").value["state"] = "IDLE"
    sentence = "the station rig_1 called its own state IDLE while its program's was RUNNING"
    assert broke(run) == {"session": [sentence]}


def test_a_rig_that_never_proved_its_data_is_named(run: Evidence) -> None:
    forget(run, "cohere")
    assert broke(run) == {
        "session": ["rig_1 never proved what it sent of session 0", "rig_1 made 3 messages and vouches for 0"]
    }


def test_a_proof_that_does_not_agree_is_told_with_both_counts(run: Evidence) -> None:
    found(run, "cohere").value |= {"agrees": False, "here": 2}
    assert broke(run) == {"session": ["rig_1 sent 3 of session 0, the terminal has 2"]}


def test_a_rig_vouches_for_all_that_it_made(run: Evidence) -> None:
    found(run, "cohere").value |= {"count": 2, "here": 2}
    assert broke(run) == {"session": ["rig_1 made 3 messages and vouches for 2"]}


def test_a_session_that_did_not_settle_is_unknown(run: Evidence) -> None:
    run.unsettled = [violation("unsettled: what became of _rig_1_7")]
    assert broke(run) == {}
    assert checked(run, "unknown") == {"session": ["not known: what became of _rig_1_7"]}


# -- clocks ----------------------------------------------------------------------------------------------------------


def test_a_clock_that_cannot_be_the_terminals_breaks_a_rehearsal_where_there_is_one_clock(run: Evidence) -> None:
    found(run, "clock").value["offset"] = -0.0125
    sentence = "rig_1 took its clock to be -12.50 ms ± 0.50 ms from the terminal's, and here it is the same clock"
    assert broke(run) == {"clocks": [sentence]}


def test_a_machine_that_never_told_of_its_clock_is_unknown(run: Evidence) -> None:
    forget(run, "clock")
    forget(run, "clock")
    assert checked(run, "unknown") == {
        "clocks": [
            "not known: how far the clock of rig_1 is from the terminal's: it never said",
            "there was nothing to look at",
        ]
    }
    assert [(row.machine, row.offset_ms, row.told) for row in clock_rows(Index(run))] == [("rig_1", None, 0)]


def test_of_each_machine_the_clock_that_it_told_last_is_shown(run: Evidence) -> None:
    (row,) = clock_rows(Index(run))
    assert (row.machine, row.offset_ms, row.uncertainty_ms, row.told) == ("rig_1", -0.1, 0.3, 2)
    assert check_of(run, "clocks").figures == "± 0.30 ms at most"


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "runs", "where"),
    [([3], "3", "nobody was told"), ([1, 2, 7], "1-2, 7", "nobody was told"), ([8, 9], "8-9", "at the end")],
)
def test_items_that_are_missing_are_told_by_their_numbers(
    run: Evidence, lost: list[int], runs: str, where: str
) -> None:
    for n in lost:
        forget(run, "item_got", stream="rig_1/wheel/0", n=n)
    assert broke(run) == {
        "streams": [f"rig_1 wheel/0: {len(lost)} of 10 items missing at _T: {runs} ({where})"],
        "expect": [f"rig_1 wheel/0: items missing: {len(lost)} > 0"],
    }


def reported(missing: int, *, first: int, sender: str = "_rig_1_camera.0") -> Trace:
    return Trace(t=0, at="T", life="a", do="Gap", sender=sender, first=first, missing=missing)


def test_an_unreliable_stream_may_lose_what_the_receiver_reports(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3))
    assert broke(run) == {}
    row = row_of(run, "camera/0")
    assert (row.received, row.missing, row.where) == (9, ["3"], "reported as gaps by the receiver")


def test_an_unreliable_stream_may_not_lose_what_nobody_reports(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3, sender="_rig_1_camera.1"))  # of another session
    assert broke(run) == {"streams": ["rig_1 camera/0: 1 of 10 items missing at _T: 3 (nobody was told)"]}


def test_a_report_excuses_nothing_of_a_reliable_stream(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/wheel/0", n=3)
    run.journal.traces.append(reported(1, first=3, sender="_rig_1_wheel.0"))
    assert broke(run)["streams"] == ["rig_1 wheel/0: 1 of 10 items missing at _T: 3 (nobody was told)"]


def test_an_item_that_came_twice_is_told(run: Evidence) -> None:
    again(run, "item_got", stream="rig_1/wheel/0", n=3)
    assert broke(run) == {"streams": ["rig_1 wheel/0: 1 item came twice to _T"]}


def test_an_item_that_came_after_a_later_one_is_told(run: Evidence) -> None:
    third, fourth = (forget(run, "item_got", stream="rig_1/wheel/0", n=n) for n in (3, 4))
    place = run.journal.entries.index(found(run, "item_got", stream="rig_1/wheel/0", n=5))
    run.journal.entries[place:place] = [fourth, third]
    assert broke(run) == {"streams": ["rig_1 wheel/0: 1 item came after a later one to _T"]}


@pytest.mark.parametrize("stream", ["rig_1/wheel/0", "rig_1/camera/0", "rig_1.probe#0.3"])
def test_an_item_with_other_bytes_is_told(run: Evidence, stream: str) -> None:
    found(run, "item_got", stream=stream, n=2).print = "another"
    [sentence] = broke(run)["streams"]
    assert sentence.endswith(" with other content than was made")
    assert list(broke(run)) == ["streams"]


def test_an_item_that_nobody_made_is_told(run: Evidence) -> None:
    again(run, "item_got", stream="rig_1/wheel/0", n=9).n = 99
    assert broke(run) == {"streams": ["rig_1 wheel/0: 1 item came to _T with other content than was made"]}


def test_an_item_that_nobody_made_does_not_stand_in_for_a_lost_one(run: Evidence) -> None:
    found(run, "item_got", stream="rig_1/wheel/0", n=9).n = 99
    assert broke(run) == {
        "streams": [
            "rig_1 wheel/0: 1 of 10 items missing at _T: 9 (at the end)",
            "rig_1 wheel/0: 1 item came to _T with other content than was made",
        ],
        "expect": ["rig_1 wheel/0: items missing: 1 > 0"],
    }


def test_items_that_came_to_somebody_else_are_told_with_who_it_was(run: Evidence) -> None:
    found(run, "item_got", stream="rig_1.probe#0.3", n=2).by = "rig_1"
    assert broke(run) == {
        "streams": ["rig_1 storm 0.3: 1 of 4 items missing at T: 2 (they came to rig_1)"],
    }


def test_items_that_came_to_somebody_else_too_are_told(run: Evidence) -> None:
    again(run, "item_got", stream="rig_1.probe#0.3", n=2).by = "rig_1"
    assert broke(run) == {"streams": ["rig_1 storm 0.3: items for T went elsewhere too (they came to rig_1)"]}


def test_a_childs_stream_is_expected_where_the_topology_sends_it() -> None:
    """Up by way of its parent to the terminal's program, or to a program above it: never just where it came."""
    to_rig = Stream(bytes=10, rate_hz=5.0, to="rig_1")
    child = Machine("cam", parent="rig_1", streams={"top": to_rig, "up": Stream(bytes=10, rate_hz=5.0)})
    topology = lab(child)
    rows = {}
    for name, at in (("top", "_rig_1"), ("up", "_T")):
        story = Story()
        shown = fingerprint(item_of(SEED, "cam", name, child.streams[name], 0, 0))
        story.item(stream_name("cam", name, 0), 0, by="_cam", to="rig_1", at=at, shown=shown)
        run = Evidence(topology=topology, seed=SEED, journal=story.journal)
        rows[name] = row_of(run, f"{name}/0")
    assert {name: (row.to, row.missing, row.wrong) for name, row in rows.items()} == {
        "top": ("_rig_1", [], 0),
        "up": ("_T", [], 0),
    }


def test_a_row_says_how_fast_a_stream_was(run: Evidence) -> None:
    row = row_of(run, "camera/0")  # an item every 2 ms, of six numbers of two bytes
    assert (row.items_per_s, row.mb_per_s) == (500.0, 0.006)


@pytest.mark.parametrize("name", ["wheel#2", "#", "a.b"])
def test_a_stream_may_have_any_name_that_a_topology_may_give_it(name: str) -> None:
    topology = lab()
    rig = replace(topology.machines[1], streams={name: WHEEL})
    topology = replace(topology, machines=(topology.machines[0], rig))
    story = Story()
    shown = fingerprint(item_of(SEED, "rig_1", name, WHEEL, 0, 0))
    story.item(stream_name("rig_1", name, 0), 0, by="_rig_1", to="T", at="_T", shown=shown)
    run = Evidence(topology=topology, seed=SEED, journal=story.journal)
    assert check_of(run, "streams").result == "pass"


# -- the lab's own programs ------------------------------------------------------------------------------------------


def with_own_program(said: Any, *, came: int) -> Evidence:
    """A rig whose program is the lab's own, says `said` of what it sent, and of which `came` items came."""
    topology = Topology(
        name="own",
        path="own.yaml",
        machines=(Machine("T", children=("rig_1",)), Machine("rig_1", parent="T", program="wheelbox:WheelBox")),
    )
    story = Story()
    story.shook("rig_1", "rig_1")
    story.relayed("_T_0", ["_T", "T", "rig_1"], by="_rig_1", key="START")
    story.clock("rig_1", 0.0, 0.001)
    for _ in range(came):
        story.note("item_got", "_T", first_sender="_rig_1_wheel")
    run = Evidence(topology=topology, seed=SEED, journal=story.journal)
    run.expected = {"rig_1": said}
    return run


def test_a_program_of_the_labs_own_says_how_many_items_must_come() -> None:
    assert broke(with_own_program({"streams": {"wheel": 5}}, came=5)) == {}
    assert check_of(with_own_program({"streams": {"wheel": 5}}, came=5), "streams").count == 5


@pytest.mark.parametrize(
    ("came", "sentence"),
    [
        (3, "rig_1 wheel: 2 of 5 items missing at _T: 2 of them (nobody was told)"),
        (7, "rig_1 wheel: 2 items came twice to _T"),
    ],
)
def test_a_count_that_differs_from_what_the_labs_own_program_says_is_told(came: int, sentence: str) -> None:
    assert broke(with_own_program({"streams": {"wheel": 5}}, came=came)) == {"streams": [sentence]}


def test_a_count_that_is_no_number_is_told() -> None:
    run = with_own_program({"streams": {"wheel": "five"}}, came=5)
    assert broke(run) == {"streams": ["rig_1 says that wheel had 'five' items, which is no number"]}


@pytest.mark.parametrize("said", [None, {}, "many", {"streams": None}])
def test_a_program_of_the_labs_own_that_does_not_say_is_not_checked(said: Any) -> None:
    """The report says so, in the words "not checked"; that is no doubt about the rest."""
    run = with_own_program(said, came=3)
    assert {check.name: check.result for check in check_all(run)} == {
        name: "pass" for name in ("programs", "handshake", "session", "clocks", "confirm", "order")
    }


def test_a_program_of_the_labs_own_may_call_its_fields_as_ours_are_called() -> None:
    run = with_own_program({"streams": {"wheel": 3}}, came=0)
    story = Story()
    for n in range(3):
        story.note("item_got", "_T", first_sender="_rig_1_wheel", stream="left", n=n)
    run.journal.entries += story.journal.entries
    assert broke(run) == {}
    assert [(row.machine, row.stream, row.received) for row in stream_rows(Index(run))] == [("rig_1", "wheel", 3)]


# -- the lab's own limits --------------------------------------------------------------------------------------------


def limited(run: Evidence, **limits: Any) -> Evidence:
    run.topology = replace(run.topology, expect=Expect(**limits))
    return run


def test_a_limit_that_is_kept_is_a_pass(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3))
    camera = {"camera": Limits(missing=1, missing_pct=10.0)}
    assert check_of(limited(run, streams=camera), "expect").result == "pass"


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"missing": 0}, "rig_1 camera/0: items missing: 1 > 0"),
        ({"missing_pct": 9.5}, "rig_1 camera/0: % missing: 10 > 9.5"),
    ],
)
def test_a_streams_limit_is_told_with_the_figure(run: Evidence, limits: dict[str, Any], sentence: str) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3))
    assert broke(limited(run, streams={"camera": Limits(**limits)})) == {"expect": [sentence]}


def test_trials_that_took_too_long_are_told_in_plain_digits(run: Evidence) -> None:
    for n in range(3):
        found(run, "handled", first=f"_rig_1_{n}").t = found(run, "made", id=f"_rig_1_{n}").t + 12_345_670_000
        found(run, "settled", id=f"_rig_1_{n}").t += 20 * 10**9
    assert broke(limited(run, trials=Limits(p99_ms=500.0))) == {"expect": ["trials p99 ms: 12,345.67 > 500"]}


def test_one_slow_trial_of_a_hundred_is_not_the_99th_percentile() -> None:
    topology = lab(expect=Expect(trials=Limits(p99_ms=10.0)))
    story = Story()
    for n in range(100):
        story.relayed(f"_rig_1_{n}", ["_rig_1", "rig_1", "T"], by="_T", key="DATA")
    run = Evidence(topology=topology, seed=SEED, journal=story.journal)
    found(run, "made", id="_rig_1_0").t -= 10**9
    assert check_of(run, "expect").violations == []
    found(run, "made", id="_rig_1_1").t -= 10**9
    assert check_of(run, "expect").violations == ["trials p99 ms: 1,003 > 10"]


def test_a_lab_without_limits_has_no_such_check(run: Evidence) -> None:
    assert "expect" not in {check.name for check in check_all(limited(run))}


# -- nothing to look at ----------------------------------------------------------------------------------------------


def test_a_check_that_finds_nothing_to_look_at_has_not_passed() -> None:
    topology = lab()
    run = Evidence(topology=topology, seed=SEED, journal=Journal())
    assert {check.name: check.result for check in check_all(run)} == {
        "programs": "pass",  # it was told of no end of a process
        "handshake": "fail",
        "trials": "unknown",
        "session": "fail",  # nothing was proven
        "clocks": "unknown",
        "confirm": "unknown",
        "order": "unknown",
        "streams": "unknown",
    }
    assert check_of(run, "order").violations == ["there was nothing to look at"]


def test_storms_that_left_no_trace_are_unknown() -> None:
    topology = lab()
    examples = {0: Example(ops=())}
    run = Evidence(topology=topology, seed=SEED, journal=Journal(), examples=examples)
    assert check_of(run, "hops").result == "unknown"


def test_a_rig_that_made_no_trial_is_named_though_others_did(run: Evidence) -> None:
    idle = Machine("rig_2", parent="T", trials=Trials())
    run.topology = replace(run.topology, machines=(*run.topology.machines, idle))
    check = check_of(run, "trials")
    assert (check.result, check.violations) == ("unknown", ["not known: whether trials of rig_2 arrive: it made none"])


def test_a_stream_that_made_no_item_is_named_though_others_did(run: Evidence) -> None:
    run.journal.entries = [entry for entry in run.journal.entries if entry.stream != "rig_1/wheel/0"]
    check = check_of(run, "streams")
    assert check.result == "unknown"
    assert check.violations == ["not known: whether items of rig_1 wheel arrive: it made none"]


def test_storms_alone_are_not_asked_about_a_session(run: Evidence) -> None:
    run.journal.entries = [entry for entry in run.journal.entries if entry.example >= 0 or entry.what == "shook"]
    run.session = False
    results = {check.name: check.result for check in check_all(limited(run))}
    assert results == dict.fromkeys(["programs", "handshake", "hops", "confirm", "order", "streams"], "pass")
