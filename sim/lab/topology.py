"""A lab as a checked `Topology`, loaded from a YAML file, and its networkx.DiGraph.

The rest of `sim` uses the types, `load`, `graph` and `schema` of this file. `load` reads the file with `yaml.nodes`,
compares each key with its type with `fit`, expands the machines with `expand`, and checks how keys depend on each other
with `validate`. It finds all mistakes of a file at once, each with its line.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from autopilot_net.defaults import PING_INTERVAL_S, REPEAT_INTERVAL_S
from sim.lab.expand import WrittenMachine, expand
from sim.lab.fault import Fault, Link
from sim.lab.schema import Burst, Expect, Files, Graduation, LabFile, Limits, Session, Storm, Stream, schema
from sim.lab.validate import bad_name, check
from sim.lab.validate_types import fit
from sim.lab.yaml.nodes import Mistakes, YamlNode, read

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "load",
    "graph",
    "lasting",
    "schema",
    "Topology",
    "Machine",
    "Trials",
    "Stream",
    "Burst",
    "Files",
    "Session",
    "Graduation",
    "Storm",
    "Expect",
    "Fault",
    "Limits",
    "Link",
    "TopologyError",
]


class TopologyError(Exception):
    """A file is not a valid topology. `mistakes` are sentences such as `topologies/lab.yaml:12: …`."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join(self.mistakes)


class Trials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A DATA message a stage. A trial takes `every_s[0]` to `every_s[1]` seconds, divided by the session's pace."""

    every_s: tuple[float, float] = (3.0, 12.0)
    stages: int = 3
    bytes: int = 300


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One machine, with the keys of its kind and its templates filled in. `parent` and `children` are ids."""

    id: str
    parent: str | None = None  # None for the terminal only
    kind: str | None = None
    host: str | None = None  # host and port are the real lab's; a rehearsal picks its own
    port: int | None = None
    subjects: tuple[str, ...] = ()
    task: dict[str, Any] = {}
    trials: Trials | None = None
    streams: dict[str, Stream] = {}
    program: str | None = None  # module:Class, searched in the topology's folder first
    stands_in_for: str | None = None  # the lab's own program that is not run: see `sim.lab.own_programs`
    env: dict[str, str] = {}
    params: dict[str, Any] = {}
    link: Link | None = None
    durable: bool = False
    children: tuple[str, ...] = ()


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lab and its rehearsal, checked and complete. Made by `load`. It can be encoded as JSON."""

    name: str
    path: str  # as given to `load`: a relative path keeps a replay file free of the folders of one computer
    machines: tuple[Machine, ...]  # the terminal first, every parent before its children, in the order of the file
    files: Files = Files()
    session: Session = Session()
    storm: Storm = Storm()
    faults: tuple[Fault, ...] = ()
    expect: Expect = Expect()
    clocks: Literal["own", "shared"] = "own"
    repeat_interval_s: float = REPEAT_INTERVAL_S
    ping_interval_s: float = PING_INTERVAL_S

    @property
    def terminal(self) -> Machine:
        return self.machines[0]

    @property
    def pilots(self) -> tuple[Machine, ...]:
        """The machines directly below the terminal, with or without trials."""
        return tuple(machine for machine in self.machines if machine.parent == self.terminal.id)

    def machine(self, id: str) -> Machine:
        """The machine with this id. Raises KeyError if there is none."""
        for machine in self.machines:
            if machine.id == id:
                return machine
        raise KeyError(f"{self.name} has no machine {id!r}")

    @property
    def folder(self) -> Path:
        """The folder of the topology file. Programs are searched here, and `files.dir` is relative to it."""
        return Path(self.path).parent

    @property
    def file_dir(self) -> Path:
        """The terminal's folder of files. The files of `files.synthetic_kb` need not exist in it."""
        return self.folder / self.files.dir


def load(path: str | Path) -> Topology:
    """Read and check a file. Raises TopologyError with all mistakes in it."""
    mistakes = Mistakes(str(path))
    written = read(Path(path), mistakes)
    if written is None:
        raise TopologyError(list(mistakes))
    root = fit(written, LabFile, mistakes)
    machines = expand(root, mistakes)
    check(machines, root, Path(path), mistakes)
    if mistakes:
        raise TopologyError(list(mistakes))
    return _resolve(root, machines, Path(path))


def graph(topology: Topology) -> "nx.DiGraph[str]":
    """A graph with edges from parent to child. A node is an id, with `machine` and `depth` (0 for the terminal)."""
    import networkx as nx

    tree: nx.DiGraph[str] = nx.DiGraph(name=topology.name)
    for machine in topology.machines:
        depth = 0 if machine.parent is None else tree.nodes[machine.parent]["depth"] + 1
        tree.add_node(machine.id, machine=machine, depth=depth)
        if machine.parent is not None:
            tree.add_edge(machine.parent, machine.id)
    return tree


def lasting(topology: Topology, duration_s: float) -> Topology:
    """The lab with a session of `duration_s`, without the graduations and faults after it.

    Raises TopologyError if the duration is not above 0 and finite.
    """
    if not 0 < duration_s < float("inf"):
        raise TopologyError([f"{duration_s}: a session takes more than 0 seconds"])
    kept = tuple(graduation for graduation in topology.session.graduate if graduation.at_s < duration_s)
    faults = tuple(fault for fault in topology.faults if (fault.between_s or (fault.at_s or 0.0,))[-1] < duration_s)
    session = msgspec.structs.replace(topology.session, duration_s=duration_s, graduate=kept)
    return msgspec.structs.replace(topology, session=session, faults=faults)


def _resolve(root: YamlNode, machines: list[WrittenMachine], path: Path) -> Topology:
    top = {key: _plain(node) for key, node in root.mapping.items() if node.value is not None}
    for key in ("terminal", "kinds", "pilots"):
        top.pop(key, None)
    name = path.stem
    if bad_name(name):
        name = "".join("_" if bad_name(c) else c for c in name)[:60] or "lab"
    lab = {"name": name, "path": path.as_posix()} | top | {"machines": [_machine(written) for written in machines]}
    return msgspec.convert(lab, Topology)


def _machine(written: WrittenMachine) -> dict[str, Any]:
    keys = {key: node.plain for key, node in written.entry.mapping.items() if key not in {"from", "to"}}
    trials = keys.get("trials")
    if trials is not None and isinstance(trials.get("every_s"), int | float):
        trials["every_s"] = [trials["every_s"], trials["every_s"]]
    return keys | {
        "id": written.id,
        "parent": written.parent.id if written.parent is not None else None,
        "children": [child.id for child in written.children],
    }


def _plain(node: YamlNode) -> Any:
    """The value of a node, without keys that are null: null counts as absent."""
    if isinstance(node.value, dict):
        return {key: _plain(under) for key, under in node.value.items() if under.value is not None}
    return [_plain(item) for item in node.items] if isinstance(node.value, list) else node.value
