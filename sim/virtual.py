"""PURE. A lab in virtual time: the very same endpoints, roles, programs and checks, with no process and no socket.

The same topology and seed make the same journal, byte for byte, with the same versions of Python and dependencies.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import networkx as nx

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.records import Saved
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from autopilot_net.traced import facts
from sim.emulated import Emulated, probe_of
from sim.faults import Action, healing
from sim.journal import Entry, Journal, Trace
from sim.parts import parts
from sim.payloads import noise, opaque_bytes
from sim.scenario import Example, Opaque, Twice, twice_id
from sim.session import seed_of
from sim.speaker import Speaker
from sim.topology import Machine, Topology, graph
from sim.virtualactors import Actor
from sim.virtuallinks import ID, Chance, Link, Wire
from sim.virtualmachines import Files, Host, Node, Station
from sim.virtualpeers import Line
from sim.virtualtime import Loop, Process
from sim.world import LabError

__all__ = ["VirtualLab"]

LOOK_US = 20_000  # how often it is looked whether what is waited for has come
HANDLER_US = 50
STORM_US = (50, 1_000, 20_000)  # how long a storm's handler takes: one of these, drawn by the seed
STORM_KEYS = ("STORM", "STORM_ITEM")
LINK_US, LOCAL_US = (80, 400), (20, 60)
STREAMS_S = 10.0
TRACE_FIELDS = frozenset(Trace.__struct_fields__)


class Notebook:
    """Where one life of a process writes down what happens."""

    def __init__(self, lab: VirtualLab, by: str, life: int) -> None:
        self.life = life
        self._lab = lab
        self._by = by

    def write(self, what: str, **told: Any) -> None:
        """Note it, now."""
        at = self._lab.loop.now_us * 1_000
        self._lab.entries.append(Entry(t=at, by=told.pop("by", self._by), life=self.life, what=what, **told))


class Notes:
    """A program's memory."""

    def __init__(self) -> None:
        self._value: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        """What was kept last."""
        return self._value

    def keep(self, value: dict[str, Any]) -> None:
        """Keep it."""
        self._value = value


class Program:
    """One life of a machine's program: its nodes, and what it does."""

    def __init__(self, lab: VirtualLab, machine: Machine, life: int) -> None:
        self.machine = machine
        self.process = Process(f"_{machine.id}")
        self.speaker = Speaker(Notebook(lab, "_" + machine.id, life), lambda *words: lab.hear(*words, "_" + machine.id))
        self.speaker.journal.write("start")
        self._lab = lab
        self._armed_us: int | None = None
        self.emulated = Emulated(
            lab.topology,
            machine,
            seed=lab.seed,
            speaker=self.speaker,
            memory=lab.notes.setdefault(machine.id, Notes()),
            clock=lambda: lab.loop.now,
            tell=lambda *words: lab.hear(*words, "_" + machine.id),
            changed=self.arm,
        )
        self.node = self._node("_" + machine.id, life, self.emulated.listens())
        self.probe = self._node(probe_of(machine.id), life, self.emulated.probe_listens())
        self.emulated.begin(self.node, self.probe)
        self.arm()

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both."""
        return self.node, self.probe

    def arm(self) -> None:
        """See to it that what is due next in the session is done."""
        due = self.emulated.next_timer()
        if due is None:
            return
        at = max(int(due * 1_000_000) + 1, self._lab.loop.now_us + 1)
        if self._armed_us is None or at < self._armed_us:
            self._armed_us = at
            self._lab.loop.at(at, lambda: self._time(at), self.process)

    def _time(self, armed_us: int) -> None:
        if self._armed_us == armed_us:
            self._armed_us = None
            self.emulated.handle_timer()
            self.arm()

    def _node(self, name: str, life: int, listens: Mapping[str, Any]) -> Node:
        node = Node(
            self._lab,
            self.process,
            name,
            upstream=self.machine.id,
            forwards=False,
            settings=self._lab.settings,
            life=life,
            durable=self.machine.durable,
        )
        self.speaker.add(node)
        node.begin(listens)
        return node


class VirtualLab:
    """See `World`. Raises `LabError` where a machine has a program of the lab's own, which runs on processes only."""

    def __init__(self, topology: Topology, *, seed: int) -> None:
        own = [f"{m.program} of {m.id}" for m in topology.machines if m.program]
        if own:
            raise LabError(f"a program of the lab's own runs on processes only, and not in virtual time: {own[0]}")
        self.topology = topology
        self.graph = graph(topology)
        self.seed = seed
        self.died: list[str] = []
        self.exceptions: list[Any] = []
        self.settle_s = 3.0 + 7 * topology.repeat_interval_s
        self.loop = Loop()
        self.chance = Chance(seed_of(seed, "virtual"))
        self._storm_us = STORM_US[self.chance.between(0, len(STORM_US))]
        self.settings = Settings(repeat_interval=topology.repeat_interval_s)
        self.entries: list[Entry] = []
        self.effects = 0
        self.notes: dict[str, Notes] = {}
        self.stations: dict[str, Station] = {}
        self.programs: dict[str, Program] = {}
        self._speakers: dict[str, Speaker] = {}
        self._traces: list[tuple[int, str, str, Effect]] = []
        self._told = [0, 0]  # how many entries and traces `more` has given out
        self._saved: dict[str, Saved] = {}
        self._files: dict[str, Files] = {}
        self._links = {machine.id: self._link(machine) for machine in topology.machines[1:]}
        self._wires: dict[str, Wire] = {}  # the present one of each station
        self._waiting: dict[str, dict[Wire, None]] = {}  # wires to each station
        self._lives: Counter[str] = Counter()
        self._heard: set[tuple[Any, ...]] = set()
        self._shook: Counter[str] = Counter()
        self._news = False
        self._actors: dict[str, Actor] = {}
        self._journal = Notebook(self, "parent", 0)
        self._actions: Sequence[Action] = ()
        self._playing = False
        self._crashed: set[tuple[str, int]] = set()

    # -- for peers: see `Net` ----------------------------------------------------------------------------------------

    def trace(self, endpoint: Endpoint, effect: Effect) -> None:
        """Write an effect down."""
        self.effects += 1
        self._traces.append((self.loop.now_us, endpoint.id, endpoint.incarnation, effect))

    def saved(self, name: str) -> Saved:
        """What an endpoint has kept."""
        if name not in self._saved:
            self._saved[name] = Saved(f"{name}.kept")
        return self._saved[name]

    def handler_us(self, key: str) -> int:
        """How long a handler takes: one of a storm may be slow, so that there is time for it to be killed in it."""
        return self._storm_us if key in STORM_KEYS else HANDLER_US

    def wire(self, line: Line) -> Wire:
        """The connection of a line to its upstream: a station's by its machine's link, any other on its machine."""
        name = line.endpoint.id
        upper = str(line.endpoint.routes.upstream)
        is_station = name in self._links and isinstance(line.peer, Station)
        link = self._links[name] if is_station else Link("", self.chance.between(*LOCAL_US))
        wire = Wire(self.loop, self.chance, link, line, lambda: self.stations.get(upper), self._lost)
        self._waiting.setdefault(upper, {})[wire] = None
        if is_station:
            self._wires[name] = wire
        return wire

    def hear(self, *words: Any) -> None:
        """A process tells something."""
        if words[0] == "shook":
            self._shook[words[1]] += 1
        elif words[0] == "exception":
            self.exceptions.append(words[1])
            return
        self._heard.add(words)
        self._news = True

    # -- up ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every machine, all at about the same time."""
        for machine in self.topology.machines:
            self._after(self.chance.between(0, 50_000), self._starting_station(machine))
            self._after(self.chance.between(0, 50_000), self._starting_program(machine))
        self._run(0.06)

    def await_handshakes(self) -> list[str]:
        """Wait until the terminal's program has heard of every machine's program; the machines it has not."""
        terminal = "_" + self.topology.terminal.id
        expected = [machine.id for machine in self.topology.machines[1:]]

        def missing() -> list[str]:
            return [name for name in expected if ("shook", name, True, terminal) not in self._heard]

        self._until(lambda: not missing(), self.settle_s)
        return missing()

    # -- the session -------------------------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults and the timed storms. Whether it ended is asked of `heal`, if it cannot yet."""
        begun, self._actions = self.loop.now_us, actions
        self._journal.write("play")
        for action in actions:
            self.loop.at(begun + action.at_us, self._doing(action))
        ends = [action.at_us for action in actions]
        for number, example in sorted(examples.items()):
            ends.append(int((example.at_s or 0.0) * 1_000_000))
            self.loop.at(begun + ends[-1], self._storming(example, number))
        if session:
            self._playing = True
            ends.append(int(self.topology.session.duration_s * 1_000_000))
            self.programs[self.topology.terminal.id].emulated.play()
        self._run(max(ends, default=0) / 1_000_000)
        return bool(actions) or self._await_end()

    def heal(self) -> list[str]:
        """End every fault, wait for the session's end and until the lab is whole; what is not, in words."""
        for action in healing(self.topology, self._actions):
            self._do(action)
        self._journal.write("healed")
        open_ends = [] if self._await_end() else ["how the session ends: it did not come to its end"]
        self._until(lambda: not self._wrong(), self.settle_s + 10.0)
        for name in sorted(self.stations):
            self._tell_whole(self.stations[name], name)
        for name in sorted(self.programs):
            for node in self.programs[name].nodes:
                self._tell_whole(node, node.id)
        return [*open_ends, *self._wrong()[:3]]

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any program; what still is."""
        del token
        self._until(lambda: next(self._unsettled(), None) is None, self.settle_s)
        return sorted(self._unsettled())

    def ask(self) -> None:
        """Have the terminal ask for proof that its copies are whole."""
        self.programs[self.topology.terminal.id].emulated.ask()

    def expected(self) -> dict[str, Any]:
        """There are no programs of the lab's own here."""
        return {}

    # -- storms ------------------------------------------------------------------------------------------------------

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm, and wait until it has settled; whether it has."""
        senders, due = parts(example)
        self._storming(example, number)()
        wanted = {("settled", number, name) for name in senders} | {("reached", number, name) for name in due}
        settled = self._until(lambda: wanted <= self._heard, self.settle_s)
        self._hear_actors(example, number)
        return settled

    def more(self) -> Journal:
        """What was written down since the last call."""
        entries, traces = self.entries[self._told[0] :], self._traces[self._told[1] :]
        self._told = [len(self.entries), len(self._traces)]
        return Journal(entries=entries, traces=[_trace(*one) for one in traces])

    def stop(self) -> None:
        """There is nothing to end."""

    def digest(self) -> str:
        """A fingerprint of all that was written down."""
        encode = msgspec.json.Encoder(order="deterministic").encode
        whole = hashlib.blake2b(digest_size=16)
        for entry in self.entries:
            whole.update(encode(entry))
        for trace in self._traces:
            whole.update(encode(_trace(*trace)))
        return whole.hexdigest()

    # -- machines ----------------------------------------------------------------------------------------------------

    def _starting_station(self, machine: Machine) -> Callable[[], None]:
        return lambda: self._start_station(machine)

    def _starting_program(self, machine: Machine) -> Callable[[], None]:
        return lambda: self._start_program(machine)

    def _start_station(self, machine: Machine) -> None:
        name, life = machine.id, self._next_life(machine.id)
        speaker = Speaker(Notebook(self, name, life), lambda *words: self.hear(*words, name))
        speaker.journal.write("start")
        station = Station(
            self,
            Process(name),
            name,
            upstream=machine.parent,
            forwards=True,
            settings=self.settings,
            life=life,
            durable=machine.durable,
        )
        self.stations[name], self._speakers[name] = station, speaker
        speaker.add(station)
        role = self._role(machine, station)
        crash = self._crashing(machine, speaker)
        station.take_role(
            role,
            {
                "STORM": lambda message: speaker.heard_storm(name, message),
                "STORM_ITEM": lambda message: speaker.heard_item(name, message),
                "CRASH": crash,
            },
        )
        if isinstance(role, Pilot):
            role.begin()
            station.connect(station.line)
        self._kick(name)

    def _role(self, machine: Machine, station: Station) -> Pilot | Terminal:
        files = self._files.setdefault(machine.id, Files(self._whole_files() if machine.parent is None else None))
        host = Host(station, files)
        if machine.parent is None:
            return Terminal(host, pilots={other.id: {} for other in self.topology.machines[1:]})
        return Pilot(
            host,
            terminal=self.topology.terminal.id,
            ip="127.0.0.1",
            ping_interval=self.topology.ping_interval_s,
            expected=machine.children,
        )

    def _whole_files(self) -> dict[str, bytes]:
        """What tasks name. The lab's own files are only read on processes: here each is a kilobyte."""
        sizes = {name: int(kb * 1000) for name, kb in self.topology.files.synthetic_kb.items()}
        named = {str(sound) for machine in self.topology.machines for sound in machine.task.get("sounds", [])}
        sizes |= dict.fromkeys(sorted(named - set(sizes)), 1000)
        return {name: noise("uint8", (size,), self.seed).tobytes() for name, size in sizes.items()}

    def _start_program(self, machine: Machine) -> None:
        program = Program(self, machine, self._next_life("_" + machine.id))
        self.programs[machine.id] = program
        self._speakers["_" + machine.id] = program.speaker

    def _next_life(self, name: str) -> int:
        self._lives[name] += 1
        return self._lives[name] - 1

    def _crashing(self, machine: Machine, speaker: Speaker) -> Callable[[Message], Any]:
        """A handler in which its station is killed, once, and started again."""

        def crash(message: Message) -> Any:
            example = message.value["example"]
            speaker.heard(message, "began", example=example)
            if (message.sender, example) in self._crashed:
                speaker.heard(message, example=example)
                return None
            self._crashed.add((message.sender, example))
            at = self.loop.now_us
            self.loop.at(at + 200_000, self._doing(Action(at_us=0, verb="kill", target=machine.id, what="station")))
            self.loop.at(at + 300_000, self._doing(Action(at_us=0, verb="restart", target=machine.id, what="station")))
            return Host(self.stations[machine.id], Files()).promise()  # it never comes to its end

        return crash

    # -- faults ------------------------------------------------------------------------------------------------------

    def _doing(self, action: Action) -> Callable[[], None]:
        return lambda: self._do(action)

    def _do(self, action: Action) -> None:
        told = {name: value for name, value in msgspec.to_builtins(action).items() if name not in ("verb", "target")}
        told |= {"what": action.what, "way": action.way, "fault": action.fault}
        self._journal.write("fault", key=action.verb, to=action.target, value=told)
        if action.verb in ("kill", "restart", "pause", "resume"):
            self._do_to_machine(action)
        else:
            self._do_to_link(action)

    def _do_to_machine(self, action: Action) -> None:
        machine = self.topology.machine(action.target)
        if action.verb == "restart":
            if action.what != "program" and self._is_dead(self.stations.get(machine.id)):
                self._start_station(machine)
            if action.what != "station" and self._is_dead(self.programs.get(machine.id)):
                self._start_program(machine)
            return
        if action.what != "station":
            self._signal(self.programs.get(machine.id), action.verb)
        if action.what != "program":
            self._signal(self.stations.get(machine.id), action.verb)
        if action.verb == "resume":
            self._kick(machine.id)

    def _signal(self, who: Station | Program | None, verb: str) -> None:
        if who is None or who.process.dead:
            return
        peers = [who] if isinstance(who, Station) else list(who.nodes)
        if verb == "kill":
            who.process.dead, who.process.paused = True, False
            for peer in peers:
                peer.end()
            return
        if verb == "pause" and not who.process.paused:
            who.process.paused, who.process.since_us = True, self.loop.now_us
            for wire in [line.wire for peer in peers for line in peer.lines if line.wire is not None]:
                wire.watch_silence()
        elif verb == "resume" and who.process.paused:
            who.process.resume()

    @staticmethod
    def _is_dead(who: Station | Program | None) -> bool:
        return who is None or who.process.dead

    def _do_to_link(self, action: Action) -> None:
        link, name = self._links[action.target], action.target
        was_cut = link.up.cut or link.down.cut
        link.strike(action, self.loop.now_us)
        if action.verb == "reset" or (action.verb == "heal" and was_cut):
            self._reset(name)
        if action.verb in ("cut", "hold"):
            for wire in self._ends(name):
                wire.watch_silence()
        elif action.verb in ("heal", "release"):
            link.let_go()
            for wire in self._ends(name):
                wire.kick()

    def _ends(self, name: str) -> list[Wire]:
        """The wire of the station at the lower end, and a former one, if that is what the upper end still knows."""
        upper = self.stations.get(str(self.topology.machine(name).parent))
        known = upper.below.get(name) if upper is not None else None
        wires = [self._wires[name]] if name in self._wires else []
        return list(dict.fromkeys([*wires, *([known[0]] if known is not None else [])]))

    def _reset(self, name: str) -> None:
        for wire in self._ends(name):
            wire.reset()

    def _kick(self, upper: str) -> None:
        """Who waits for the station `upper` may try again."""
        wires = self._waiting.setdefault(upper, {})
        for wire in [wire for wire in wires if wire.closed]:
            del wires[wire]
        for wire in wires:
            wire.kick()

    def _link(self, machine: Machine) -> Link:
        return Link(machine.id, self.chance.between(*LINK_US), machine.link)

    def _lost(self, verb: str, wire: Wire, up: bool, payload: bytes) -> None:
        found = ID.match(payload)
        ends = (wire.lower.endpoint.id, wire.upper_id)
        self._journal.write(
            "frame",
            key=verb,
            to=wire.link.name,
            sender=ends[0] if up else ends[1],
            id=found[1].decode(errors="replace") if found else "",
            value={"to": ends[1] if up else ends[0]},
        )

    # -- storms, below -----------------------------------------------------------------------------------------------

    def _storming(self, example: Example, number: int) -> Callable[[], None]:
        def storm() -> None:
            senders, due = parts(example)
            for name, count in sorted(due.items()):
                self._speakers[name].tally.expect(number, count)
            for name, ops in sorted(senders.items()):
                self._play_part(name, number, ops)
            self._act(example, number)

        return storm

    def _play_part(self, name: str, number: int, ops: list[Any]) -> None:
        who = self.programs.get(name[1:]) if name.startswith("_") else self.stations.get(name)
        if who is None or who.process.dead:
            self._journal.write("skipped", to=name, example=number)
        elif isinstance(who, Program):
            who.process.call(lambda: who.emulated.storm(number, ops))
        else:
            speaker = self._speakers[name]
            who.process.call(lambda: speaker.storm(number, ops))

    def _act(self, example: Example, number: int) -> None:
        for n, op in enumerate(example.ops):
            if isinstance(op, Twice):
                actor = self._actor(op.at)
                said = actor.twice(op, number, n)
                self._journal.write("made twice", by=actor.name, id=said, key="STORM", to=op.to, example=number, n=n)
            elif isinstance(op, Opaque):
                actor, other = self._actor(op.at), self._actor(op.to, "b")
                way = [str(name) for name in nx.shortest_path(self.graph.to_undirected(as_view=True), op.at, op.to)]
                actor.opaque(opaque_bytes(op.size, op.seed, number, n), way, other.name)

    def _hear_actors(self, example: Example, number: int) -> None:
        for n, op in enumerate(example.ops):
            if isinstance(op, Twice):
                actor = self._actor(op.at)
                said = twice_id(actor.name, number, n)
                came = self._until(lambda actor=actor, said=said: said in actor.confirmed, 5.0)  # type: ignore[misc]
                how = "confirmed" if came else "no confirmation came"
                self._journal.write("settled", by=actor.name, id=said, key="STORM", to=op.to, example=number, value=how)
            elif isinstance(op, Opaque):
                other, sent = self._actor(op.to, "b"), (opaque_bytes(op.size, op.seed, number, n),)
                came = self._until(lambda other=other, sent=sent: sent in other.came, 5.0)  # type: ignore[misc]
                self._journal.write("opaque", by=other.name, value=came, example=number, n=n)

    def _actor(self, machine: str, suffix: str = "a") -> Actor:
        name = f"actor.{machine}.{suffix}"
        if name not in self._actors:
            actor = self._actors[name] = Actor(name, machine)
            actor.wire = self.wire(actor.line)
            actor.wire.connect()
            self._until(lambda: bool(actor.came), 5.0)
        return self._actors[name]

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _after(self, us: int, call: Callable[[], None]) -> None:
        self.loop.after(us, call)

    def _run(self, seconds: float) -> None:
        end = self.loop.now_us + int(seconds * 1_000_000)
        while self.loop.run(end):
            pass

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until `condition`, at most so long; whether it came."""
        end = self.loop.now_us + int(seconds * 1_000_000)
        while not condition():
            if self.loop.now_us >= end:
                return False
            self._news = False
            look = min(end, self.loop.now_us + LOOK_US)
            while self.loop.run(look) and not self._news:
                pass
        return True

    def _await_end(self) -> bool:
        """Wait for the session's end, if there is one to come."""
        if not self._playing:
            return True
        self._playing = not self._until(
            lambda: ("played", "_" + self.topology.terminal.id) in self._heard, self.settle_s
        )
        return not self._playing

    def _unsettled(self) -> Iterator[str]:
        """What is under way from who lives."""
        for name, station in self.stations.items():
            if not station.process.dead:
                yield from self._speakers[name].open()
        for program in self.programs.values():
            if not program.process.dead:
                yield from program.speaker.open()
                for node in program.nodes:
                    yield from (stream.id for stream in node.streams.values() if not stream.wait())

    def _wrong(self) -> list[str]:
        """What is not as it was before the faults."""
        return [wrong for machine in self.topology.machines for wrong in self._wrong_at(machine)]

    def _wrong_at(self, machine: Machine) -> Iterator[str]:
        station, program = self.stations[machine.id], self.programs[machine.id]
        routes = station.line.endpoint.routes
        for peer in (station, *program.nodes):
            if peer.line.endpoint.outbox.messages():
                yield f"{peer.id} still awaits confirmations"
        beside = [name for name in (machine.parent, *machine.children, "_" + machine.id) if name]
        yield from (f"{machine.id} does not see {name}" for name in beside if not routes.has(name))
        for child in machine.children:
            below = sorted(nx.descendants(self.graph, child))
            lost = [name for name in below if routes.next_hop(name, from_above=True) != child]
            yield from (f"{machine.id} does not know that {name} is behind {child}" for name in lost)

    def _tell_whole(self, peer: Any, name: str) -> None:
        endpoint: Endpoint = peer.line.endpoint
        told: dict[str, Any] = {
            "outbox": [id for line in peer.lines for id in line.endpoint.outbox.messages()],
            "routes": dict(sorted(endpoint.routes.behind.items())),
            "neighbours": sorted([*endpoint.routes.below, *([endpoint.routes.upstream] if endpoint.routes.up else [])]),
        }
        if name == self.topology.terminal.id:
            told["known"] = sorted(peer.role.pilots)
        self._journal.write("whole", by=name, value=told)


def _trace(t_us: int, at: str, life: str, effect: Effect) -> Trace:
    told = {name: value for name, value in facts(effect).items() if name in TRACE_FIELDS}
    return Trace(t=t_us * 1_000, at=at, life=life, do=type(effect).__name__, **told)
