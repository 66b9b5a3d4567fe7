"""The schema describes every key of a topology file, and limits of streams are found by name."""

import json
from typing import Any

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
    assert expect.stream("r1", "s") == Limits(missing=0)
    assert expect.stream("r2", "s") == Limits(missing_pct=1.0)
    assert expect.stream("r2", "other") is None
