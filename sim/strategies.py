"""Hypothesis strategies for labs, what is sent there and what goes wrong, for a lab's own tests.

What each draws is told in `sim.search.strategies`.
"""

from sim.search.strategies import examples, faults, messages, parts, payloads, scenarios, storms, topologies

__all__ = ["examples", "faults", "messages", "parts", "payloads", "scenarios", "storms", "topologies"]
