"""The result of a run is printed with the sentences of its checks."""

from __future__ import annotations

import json
from typing import Any

from sim.evidence.violation import Violation
from sim.verdict import Check, Report, StreamRow, over_sessions, to_json


def test_the_violations_of_a_check_are_what_broke_and_then_the_doubts() -> None:
    broke, doubt = (Violation("hops", ("rig_1",), (), text) for text in ("it is lost", "not known: why"))
    check = Check(name="hops", looked_at="1 message", count=1, result="fail", broke=[broke], doubts=[doubt])
    facts: dict[str, Any] = {"lab": "two", "file": "two.yaml", "seed": 1, "started": "", "took_s": 1.0, "up_s": None}
    report = Report(**facts, verdict="broke", sentence="It broke.", advice="Look.", checks=[check])
    (printed,) = json.loads(to_json(report))["checks"]
    assert printed["violations"] == check.violations == ["it is lost", "not known: why"]
    assert str(broke) == "hops: it is lost"


def test_a_stream_of_a_rig_that_graduates_is_one_over_its_sessions() -> None:
    one, other = (
        StreamRow(
            machine="rig_1",
            stream="wheel",
            session=n,
            to="_T",
            reliable=True,
            sent=10,
            received=10 - n,
            missing=["7"] * n,
            where="at the end" * n,
            items_per_s=5.0,
        )
        for n in (0, 1)
    )
    assert (one.label, other.label) == ("wheel of session 0", "wheel of session 1")
    both = over_sessions([one, other])
    assert (both.label, both.sent, both.received, both.missing) == ("wheel", 20, 19, ["7 of session 1"])
    assert (both.where, both.items_per_s) == ("at the end", 5.0)
    assert over_sessions([other]) is other
