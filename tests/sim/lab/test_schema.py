"""The schema describes every key of a topology file, and limits of streams are found by name."""

import json
from typing import Any

from sim.lab.schema import each
from sim.lab.topology import Limits, load, schema
from tests.sim.lab.files import SHIPPED


def test_the_schema_beside_the_labs_is_the_schema() -> None:
    assert json.loads((SHIPPED / "lab.schema.json").read_text()) == schema(), "python -m sim schema > …"


def test_the_schema_describes_every_key() -> None:
    for part in schema()["$defs"].values():
        assert part["description"]
        assert part["additionalProperties"] is False
        assert all("description" in key for key in part["properties"].values())


def test_the_limits_of_one_machine_s_stream_go_before_those_of_the_name(write: Any) -> None:
    expect = load(
        write(
            'pilots: [{id: "r{n}", from: 1, to: 2, streams: {s: {bytes: 1, rate_hz: 1}}}]\n'
            "expect: {streams: {s: {missing: 0}, r2.s: {missing_pct: 1}}}\n"
        )
    ).expect
    assert [expect.for_stream(machine, "s") for machine in ("r1", "r2")] == ["s", "r2.s"]
    assert expect.for_stream("r2", "other") is None


def test_limits_may_be_given_for_a_pattern_and_apart_for_calm_and_faults(write: Any) -> None:
    expect = load(
        write(
            'pilots: [{id: "r{n}", from: 1, to: 3, trials: {}, streams: {s: {bytes: 1, rate_hz: 1}}}]\n'
            "faults: [{at_s: 1, cut: r1}]\n"
            "expect:\n"
            "  trials: [{during: calm, p99_ms: 50}, {during: faults, p99_ms: 5e3}]\n"
            "  rigs: {r2: {lost: 0}, 'r[23]': {p99_ms: 9}}\n"
            "  streams: {'*.s': {missing: 0}, r1.s: {missing: 1}}\n"
        )
    ).expect
    assert each(expect.trials) == (Limits(during="calm", p99_ms=50.0), Limits(during="faults", p99_ms=5000.0))
    assert [expect.for_rig(rig) for rig in ("r1", "r2", "r3")] == [None, "r2", "r[23]"]
    assert [expect.for_stream(rig, "s") for rig in ("r1", "r2")] == ["r1.s", "*.s"]
