"""A hunt draws files of several parts, odd arrays, graduations and messages that expire."""

from __future__ import annotations

from collections.abc import Iterator

from sim.lab.topology import load as load_lab
from sim.scenario import Op, Scenario, Send
from sim.search.draw import draws
from sim.search.strategies import ODD_ARRAYS, parts, scenarios, storms
from tests import ROOT

LAB = load_lab(ROOT / "topologies" / "lab.yaml")
PART_KB = 263


def drawn(*, virtual: bool = True) -> list[Scenario]:
    """Scenarios of parts of `lab.yaml` and of new labs."""
    both = (scenarios(parts(LAB), virtual=virtual), scenarios(virtual=virtual))
    return [one for strategy in both for seed in range(8) for one in draws(strategy, seed=seed, count=10)]


def operations(several: list[Scenario]) -> Iterator[Op]:
    return (op for one in several for example in one.examples for op in example.ops)


def test_a_hunt_draws_what_a_session_of_a_lab_may_have() -> None:
    several = drawn()
    topologies = [one.topology for one in several if one.session]
    assert any(kb > PART_KB for lab in topologies for kb in lab.files.synthetic_kb.values())
    assert sum(1 for lab in topologies if lab.session.graduate) > len(topologies) // 5
    assert any(lab.session.graduate and len(lab.pilots[0].subjects) > 1 for lab in topologies)
    sends = [op for op in operations(several) if isinstance(op, Send)]
    assert {op.payload.array for op in sends} > set(ODD_ARRAYS)
    assert any(op.expires_s for op in sends)


def test_on_processes_no_message_expires() -> None:
    assert not any(isinstance(op, Send) and op.expires_s for op in operations(drawn(virtual=False)))


def test_every_storm_of_a_rehearsal_has_odd_arrays() -> None:
    for example in draws(storms(LAB), seed=1, count=3):
        assert {op.payload.array for op in example.ops if isinstance(op, Send)} >= set(ODD_ARRAYS)
