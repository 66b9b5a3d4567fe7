"""Who may import whom. The picture of the rooms is data here, and the sources are held to it."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests import ROOT

# The library, from the bottom up. A module imports from the rows above its own only; those in a room of rows may also
# import one another where the row says so.
PICTURE: list[tuple[set[str], bool]] = [
    ({"defaults", "errors", "error_report", "protocol", "roles"}, False),  # the two packages' own files hold docstrings
    ({"pickled_array", "protocol.numbers", "protocol.reasons"}, False),
    ({"pickles", "protocol.identity"}, False),
    ({"protocol.ids"}, False),
    ({"arrays"}, False),
    ({"codec"}, False),
    ({"message"}, False),
    ({"protocol.durable_records"}, False),
    ({"protocol.effects"}, False),
    ({"addressing", "batches", "trace_format"}, False),
    ({f"protocol.{part}" for part in ("interest", "backoff", "clock", "frames", "inbox", "liveness")}, False),
    ({f"protocol.{part}" for part in ("duplicate_ids", "pending_relays", "probes")}, False),
    ({f"protocol.{part}" for part in ("accounts", "outbox_channel", "routes", "send_queue", "streams")}, False),
    ({"protocol.outbox"}, False),
    *(({f"protocol.{part}"}, False) for part in ("router", "control")),
    ({f"protocol.{part}" for part in ("clock_sync", "connections", "reachability", "reliable")}, False),
    *(({f"protocol.{part}"}, False) for part in ("paths", "intake", "endpoint")),
    ({f"roles.{role}" for role in ("host", "ledger", "file_client", "file_server", "terminal", "pilot")}, True),
    ({"arguments", "coroutines"}, False),
    (
        {"closable", "delivery", "durable", "durable_file", "files", "handlers", "loglimit", "prefs", "diagnosis"}
        | {"wakeup", "worker"},
        True,
    ),
    ({"inbound", "multipart", "socket_options", "trace_writer", "wallclock"}, False),
    ({"sockets"}, False),
    ({"attachment", "interpreter", "listening", "observer"}, False),
    ({"backpressure", "effect_queue", "unreached"}, False),
    ({"io_thread"}, False),
    ({"driver"}, False),
    ({"child_process", "core", "live_nodes"}, False),
    ({"participant", "node_listens", "station_listens"}, True),
    ({"stream", "node", "station", "role_station", "station_host", "pilot_station", "terminal_station"}, True),
    ({""}, False),  # the package itself: the public names
]
RANK = {module: rank for rank, (room, _) in enumerate(PICTURE) for module in room}

# The rehearsal: each room, and those that it may import from. The two worlds know nothing of each other.
SIM: dict[str, set[str]] = {
    "lab": set(),
    "faults": {"lab"},
    "scenario": {"lab"},
    "migrate": {"lab"},
    "evidence": {"lab", "scenario"},
    "emulator": {"evidence", "lab", "scenario"},
    "diagram": {"evidence", "lab"},
    "verdict": {"diagram", "evidence"},
    "report": {"coverage", "diagram", "evidence", "lab", "verdict"},
    "world": {"evidence", "faults", "lab", "scenario"},
    "processes": {"emulator", "evidence", "faults", "lab", "scenario", "verdict", "world"},
    "virtual": {"emulator", "evidence", "faults", "lab", "scenario", "world"},
    "checks": {"emulator", "evidence", "lab", "scenario", "verdict"},
    "storms": {"checks", "evidence", "scenario", "world"},
    "phases": {"checks", "evidence", "faults", "lab", "scenario", "storms", "verdict", "world"},
}
SIM["coverage"] = {"checks", "evidence", "lab", "phases", "scenario", "verdict"}
SIM["search"] = {"checks", "coverage", *SIM["phases"], "phases", "processes", "virtual"}
SIM["bench"] = {"lab", "report", "virtual"}
SIM["exhaustive"] = {"diagram", "evidence", "lab", "verdict"}
SIM["strategies"] = {"search"}
SIM["rehearse"] = {*SIM} - {"bench", "exhaustive", "migrate", "strategies"}
SIM["labtest"] = {*SIM} - {"bench", "migrate", "search", "strategies", "virtual"}
SIM["plugin"] = {"lab", "labtest", "rehearse"}
SIM["cli"] = {*SIM} - {"labtest", "plugin", "strategies"}
SIM["__main__"] = {"cli"}

IMPURE = {
    *("zmq", "socket", "select", "selectors", "ssl"),
    *("time", "sched", "signal"),
    *("threading", "_thread", "queue", "concurrent", "multiprocessing", "asyncio", "subprocess"),
    *("random", "secrets", "uuid"),
    *("logging", "os", "io", "tempfile", "shutil"),
}
CLOCKS = {"now", "utcnow", "today"}
# Rooms and modules that have no clock, no thread and no chance of their own: values in, values out.
PURE = {
    *("autopilot_net.protocol", "autopilot_net.roles"),
    *(f"autopilot_net.{module}" for module in ("addressing", "arguments", "arrays", "batches", "codec", "defaults")),
    *(f"autopilot_net.{module}" for module in ("error_report", "errors", "message", "pickled_array", "trace_format")),
    *(f"sim.{room}" for room in ("checks", "diagram", "faults", "lab", "scenario", "virtual")),
    *(f"sim.{module}" for module in ("verdict", "world", "storms")),
    *(f"sim.evidence.{module}" for module in ("index", "outage", "outages", "quantile", "violation")),
    *(f"sim.emulator.{module}" for module in ("bandwidth", "convergence", "recorder", "signals", "storms")),
    *(f"sim.emulator.{module}" for module in ("machine_script", "session", "session_script")),
    *(f"sim.report.{module}" for module in ("charts", "figures", "lamport_svg", "style", "tree_chart")),
    *("sim.search.reductions", "sim.search.shrink"),
    *(f"sim.exhaustive.{module}" for module in ("canonical", "play", "promises", "shorten", "situation")),
    *("sim.exhaustive.small_labs", "sim.exhaustive.stations"),
}
BY_PUBLIC_NAMES = {"sim.processes.lab", "sim.processes.machines"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {name_of(p): p.read_text("utf-8") for room in ("autopilot_net", "sim") for p in (ROOT / room).rglob("*.py")}


@cache
def imports(source: str) -> tuple[str, ...]:
    """Every module that `source` imports, wherever in it; `from a import b` gives a.b."""
    return tuple(each_import(ast.parse(source)))


def each_import(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def resolved(name: str) -> str:
    """The module of ours that an import reaches: `a.b` is `a` where b is a name in it."""
    return name if name in SOURCES else name.rpartition(".")[0]


def is_pure(module: str) -> bool:
    return any(module == pure or module.startswith(f"{pure}.") for pure in PURE)


def wrongs(module: str, source: str) -> list[str]:
    """What in `module` breaks the picture, a sentence each."""
    names = imports(source)
    found = [f"{module} imports {name} by its place, and not by its name" for name in names if name.startswith(".")]
    if module.startswith("autopilot_net"):
        found += broken_arrows(module, names)
    if module.startswith("sim."):
        found += broken_arrows_of_sim(module, names)
    if module in BY_PUBLIC_NAMES:
        inner = [resolved(name) for name in names if name.startswith("autopilot_net")]
        found += [f"{module} imports {name}, and not a public name" for name in inner if name != "autopilot_net"]
    if is_pure(module):
        found += impurities(module, source, names)
    return found


def broken_arrows(module: str, names: Sequence[str]) -> list[str]:
    found = [f"{module} imports {name}" for name in names if name.split(".")[0] == "sim"]
    own = module.removeprefix("autopilot_net").removeprefix(".")
    if own not in RANK:
        return [*found, f"{module} has no place in the picture"]
    for name in {resolved(name) for name in names if name.split(".")[0] == "autopilot_net"}:
        other = name.removeprefix("autopilot_net").removeprefix(".")
        rank, among_each_other = RANK.get(other, len(PICTURE)), PICTURE[RANK[own]][1]
        if rank > RANK[own] or (rank == RANK[own] and not among_each_other):
            found.append(f"{module} imports {name}, which is not below it")
    return found


def broken_arrows_of_sim(module: str, names: Sequence[str]) -> list[str]:
    own = module.split(".")[1]
    if own not in SIM:
        return [f"{module} has no place in the picture"]
    rooms = {name: name.split(".")[1] for name in names if name.startswith("sim.")}
    return [
        f"{module} imports {name}, and {own} may not import from {room}"
        for name, room in rooms.items()
        if room not in (own, *SIM[own])
    ]


def impurities(module: str, source: str, names: Sequence[str]) -> list[str]:
    found = [f"{module} is pure, and imports {name}" for name in names if name.split(".")[0] in IMPURE]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS and ends_in_date(node.value):
            found.append(f"{module} is pure, and reads the clock in line {node.lineno}")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
        ):
            found.append(f"{module} is pure, and calls {node.func.id} in line {node.lineno}")
    return found


def ends_in_date(node: ast.expr) -> bool:
    """Whether it is `datetime`, `date`, or an attribute of that name."""
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return last in {"datetime", "date"}


def reached_at_once(module: str) -> set[str]:
    """The modules of ours that `module` imports. A package brings along what its own file imports."""
    return {name for one in imports(SOURCES[module]) if (name := resolved(one)) in SOURCES and name != module}


def reached(module: str) -> set[str]:
    """The modules of ours that `module` brings along, itself included."""
    found, todo = set[str](), [module]
    while todo:
        one = todo.pop()
        if one in SOURCES and one not in found:
            found.add(one)
            todo += [resolved(name) for name in imports(SOURCES[one])]
    return found


@pytest.mark.parametrize("module", SOURCES, ids=lambda module: module or "none")
def test_every_import_follows_the_arrows(module: str) -> None:
    assert wrongs(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", [m for m in SOURCES if m.startswith("autopilot_net") and is_pure(m)])
def test_what_the_pure_rooms_bring_along_is_pure_too(module: str) -> None:
    for brought in reached(module) - {module}:
        assert impurities(brought, SOURCES[brought], [n for n in imports(SOURCES[brought]) if n != "io.BytesIO"]) == []


def test_no_modules_import_each_other() -> None:
    TopologicalSorter({module: reached_at_once(module) for module in SOURCES}).prepare()  # raises CycleError


def test_a_circle_is_seen() -> None:
    graph = {module: reached_at_once(module) for module in SOURCES}
    graph["sim.lab.fault"].add("sim.cli")
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_the_picture_of_the_rehearsal_has_no_circle_and_keeps_the_worlds_apart() -> None:
    order = list(TopologicalSorter(SIM).static_order())
    assert order[0] == "lab"
    assert "virtual" not in SIM["processes"]
    assert "processes" not in SIM["virtual"]
    rooms = {module.split(".")[1] for module in SOURCES if module.startswith("sim.")}
    assert rooms == SIM.keys()


def test_there_is_something_to_look_at() -> None:
    assert len([module for module in SOURCES if module.startswith("autopilot_net")]) >= 15
    assert len([module for module in SOURCES if module.startswith("autopilot_net") and is_pure(module)]) >= 10
    assert len([module for module in SOURCES if module.startswith("sim")]) >= 5
    assert len([module for module in SOURCES if module.startswith("sim.") and is_pure(module)]) >= 10
    assert all(any(is_pure(module) and module.startswith(pure) for module in SOURCES) for pure in PURE)
    assert "autopilot_net.message" in reached("autopilot_net.protocol.endpoint")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("autopilot_net.errors", "from autopilot_net.message import Message"),
        ("autopilot_net.message", "from autopilot_net.protocol.effects import Effect"),
        ("autopilot_net.message", "from autopilot_net import driver"),
        ("autopilot_net.message", "import autopilot_net.driver"),
        ("autopilot_net.protocol.inbox", "from autopilot_net.protocol.outbox import Outbox"),
        ("autopilot_net.protocol.inbox", "from autopilot_net.protocol import outbox"),
        ("autopilot_net.protocol.inbox", "from .outbox import Outbox"),
        ("autopilot_net.protocol.effects", "from autopilot_net.protocol.frames import Packet"),
        ("autopilot_net.protocol.outbox", "def f():\n    from autopilot_net.protocol.endpoint import Endpoint"),
        ("autopilot_net.protocol.endpoint", "from autopilot_net.roles.host import RoleHost"),
        ("autopilot_net.roles.pilot", "from autopilot_net.driver import Driver"),
        ("autopilot_net.driver", "from autopilot_net.node import Net_Node"),
        ("autopilot_net.node", "from autopilot_net import Message"),
        ("autopilot_net.node", "import sim"),
        ("autopilot_net.node", "from sim.lab.topology import Topology"),
        ("autopilot_net.newcomer", ""),
        ("autopilot_net.protocol.routes", "import time"),
        ("autopilot_net.protocol.routes", "import os.path"),
        ("autopilot_net.protocol.routes", "from zmq.utils import monitor"),
        ("autopilot_net.protocol.routes", "if True:\n    import random as dice"),
        ("autopilot_net.protocol.routes", "from datetime import datetime\nat = datetime.now()"),
        ("autopilot_net.protocol.routes", "import datetime\nat = datetime.datetime.now"),
        ("autopilot_net.protocol.routes", "print('here')"),
        ("autopilot_net.roles.terminal", "import logging"),
        ("sim.emulator.session", "import threading"),
        ("sim.checks.registry", "from subprocess import run"),
        ("sim.virtual.lab", "import datetime\nday = datetime.date.today()"),
        ("sim.processes.machines", "from autopilot_net.protocol.endpoint import Endpoint"),
        ("sim.processes.lab", "from autopilot_net import driver"),
        ("sim.processes.lab", "import autopilot_net.message"),
        ("sim.processes.lab", "from sim.virtual.lab import VirtualLab"),
        ("sim.virtual.lab", "from sim.processes.lab import Lab"),
        ("sim.lab.tree", "from sim.evidence.index import Index"),
        ("sim.evidence.outages", "from sim.diagram.model import Bar"),
        ("sim.newcomer", ""),
    ],
)
def test_each_wrong_import_is_seen(module: str, source: str) -> None:
    assert wrongs(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("autopilot_net.protocol.inbox", "from autopilot_net.protocol.effects import Effect"),
        ("autopilot_net.protocol.endpoint", "from datetime import datetime\nat = datetime.fromtimestamp(0)"),
        ("autopilot_net.protocol.endpoint", "def f(endpoint, now): return endpoint.now"),
        ("autopilot_net.roles.pilot", "from autopilot_net.roles.host import RoleHost"),
        ("autopilot_net.driver", "import time, zmq"),
        ("sim.processes.machines", "from autopilot_net import Net_Node, Message"),
        ("sim.virtual.lab", "from autopilot_net.protocol.endpoint import Endpoint"),
        ("sim.processes.lab", "import time"),
    ],
)
def test_what_follows_the_arrows_is_left_alone(module: str, source: str) -> None:
    assert wrongs(module, source) == []
