"""A lab of seven machines for the tests of faults, and the actions of faults in it."""

from sim.faults.compile import actions
from sim.lab.fault import Fault, Link
from sim.lab.topology import Machine, Topology

TREE = {
    "T": None,
    "rig_1": "T",
    "rig_2": "T",
    "rig_2_cam": "rig_2",
    "rig_2_wheel": "rig_2",
    "rig_2_wheel_mic": "rig_2_wheel",
    "box_3": "T",
}


def lab(*faults: Fault, links: dict[str, Link] | None = None) -> Topology:
    children = {id: tuple(child for child, parent in TREE.items() if parent == id) for id in TREE}
    machines = [
        Machine(id=id, parent=parent, children=children[id], link=(links or {}).get(id)) for id, parent in TREE.items()
    ]
    return Topology(name="lab", path="lab.yaml", machines=tuple(machines), faults=faults)


def done(*faults: Fault, seed: int = 7, links: dict[str, Link] | None = None) -> list[tuple[float, str, str]]:
    """Seconds, verb and target of every action."""
    return [(one.at_us / 1e6, one.verb, one.target) for one in actions(lab(*faults, links=links), seed=seed)]
