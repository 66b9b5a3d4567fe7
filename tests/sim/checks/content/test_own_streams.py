"""The streams of a lab's own programs: counted against what the programs say, and their rate."""

from __future__ import annotations

from typing import Any

from sim.checks.content.own_streams import own_streams
from sim.checks.registry import check_all
from sim.evidence.index import Evidence, Index
from sim.lab.schema import Expect, Limits
from sim.lab.topology import Machine, Topology
from sim.verdict import StreamRow
from tests.sim.journal_builder import SEED, Tale


def evidence(said: dict[str, Any], *, hz: float = 10.0, **expect: Any) -> Evidence:
    """A rig and its wheel have own programs. Each sends a stream, of which 21 items arrive."""
    tale = Tale()
    for n in range(21):
        for sender in ("_rig_1_poke", "_rig_1_wheel_wheel"):
            tale.at(10 + n / hz).note("item_got", "_T", first_sender=sender)
    machines = (
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", program="box:Box", children=("rig_1_wheel",)),
        Machine("rig_1_wheel", parent="rig_1", program="box:Wheel"),
    )
    topology = Topology(name="own", path="own.yaml", machines=machines, expect=Expect(**expect))
    return Evidence(topology=topology, seed=SEED, journal=tale.journal, expected=said)


def rows(said: dict[str, Any]) -> list[StreamRow]:
    return [own.row for own in own_streams(Index(evidence(said)))]


def limited(said: dict[str, Any], *, hz: float = 10.0, **limits: Any) -> tuple[list[str], list[str]]:
    """What broke and what is doubtful of a limit on every stream called wheel."""
    run = evidence(said, hz=hz, streams={"wheel": Limits(**limits)})
    check = next(check for check in check_all(run) if check.name == "expect")
    return [found.text for found in check.broke], [doubt.text for doubt in check.doubts]


def test_every_stream_has_a_row_and_is_counted_only_if_its_program_says_how_many() -> None:
    poke, wheel = rows({"rig_1": None, "rig_1_wheel": {"streams": {"wheel": 25}}})
    assert (poke.machine, poke.stream, poke.is_counted, poke.sent, poke.received) == ("rig_1", "poke", False, 21, 21)
    assert (wheel.machine, wheel.stream, wheel.is_counted, wheel.sent) == ("rig_1_wheel", "wheel", True, 25)
    assert (wheel.missing, wheel.items_per_s) == (["4 of them"], 10.0)


def test_a_stream_of_which_nothing_came_has_a_row_too() -> None:
    assert [(row.stream, row.received) for row in rows({"rig_1": {"streams": {"x": 3}}})][-1:] == [("wheel", 21)]
    assert ("x", 0) in [(row.stream, row.received) for row in rows({"rig_1": {"streams": {"x": 3}}})]


def test_limits_are_compared_with_what_is_known() -> None:
    said = {"rig_1_wheel": {"streams": {"wheel": 25}}}
    assert limited(said, missing=4, rate_hz=9.9) == ([], [])
    assert limited(said, missing=3, rate_hz=10.1)[0] == [
        "rig_1_wheel wheel: items missing: 4 > 3",
        "rig_1_wheel wheel: Hz: 10 < 10.1",
    ]


def test_a_limit_of_what_nobody_knows_is_unknown() -> None:
    nothing = "not known: rig_1_wheel wheel: {}: there was nothing to hold against {}"
    assert limited({}, missing=0, rate_hz=9.0) == ([], [nothing.format("items missing", 0)])
    assert limited({"rig_1_wheel": {"streams": {"wheel": 21}}}, p99_ms=5.0) == ([], [nothing.format("p99 ms", 5)])
