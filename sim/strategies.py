"""Hypothesis strategies for labs, their storms and their faults, for a lab's own tests.

    @given(st.data())
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @pytest.mark.lab("lab.yaml", faults=False)
    def test_no_fault_breaks_it(virtual_lab, data):
        assert virtual_lab.play(data.draw(faults(virtual_lab.topology))).held

`topologies()` draws a lab, `parts(lab)` a small part of one, `faults(lab)` one fault, `messages(lab)` a burst of
messages, `storms(lab)` a storm, and `scenarios(lab)` all of these together. `examples` is an older name of `storms`.
All shrink towards the simplest: two machines, one message of null, one machine that is killed.
"""

from sim.search.strategies import examples, faults, messages, parts, payloads, scenarios, storms, topologies

__all__ = ["examples", "faults", "messages", "parts", "payloads", "scenarios", "storms", "topologies"]
