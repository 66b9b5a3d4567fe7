"""The result of a run is printed with the sentences of its checks."""

from __future__ import annotations

import json
from typing import Any

from sim.evidence.violation import Violation
from sim.verdict import Check, Report, to_json


def test_the_violations_of_a_check_are_what_broke_and_then_the_doubts() -> None:
    broke, doubt = (Violation("hops", ("rig_1",), (), text) for text in ("it is lost", "not known: why"))
    check = Check(name="hops", looked_at="1 message", count=1, result="fail", broke=[broke], doubts=[doubt])
    facts: dict[str, Any] = {"lab": "two", "file": "two.yaml", "seed": 1, "started": "", "took_s": 1.0, "up_s": None}
    report = Report(**facts, verdict="broke", sentence="It broke.", advice="Look.", checks=[check])
    (printed,) = json.loads(to_json(report))["checks"]
    assert printed["violations"] == check.violations == ["it is lost", "not known: why"]
    assert str(broke) == "hops: it is lost"
