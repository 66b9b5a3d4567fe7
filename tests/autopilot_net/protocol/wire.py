"""An in-memory network of Endpoints with a clock of its own: a test of the core is a few lines on it.

Frames in flight are values in a list. A policy says of each when its copies arrive, and a test may pick them out by
hand. Every effect is held against what is promised (`invariants.py`), so that each test checks that too.
"""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import Confirmed, Deliver, Effect, Expired, Forget, Store, Transmit
from autopilot_net.protocol.endpoint import Endpoint, Settings
from tests.autopilot_net.protocol.invariants import Handling, Promises, message_of

E = TypeVar("E")
Copies = tuple[float, ...]  # how late each copy of a frame arrives
PASS: Copies = (0.0,)
LOSE: Copies = ()
TWICE: Copies = (0.0, 0.0)


@dataclass(frozen=True, order=True)
class Flight:
    """One message on one link."""

    at: float
    number: int
    source: str = field(compare=False)
    target: str = field(compare=False)
    frames: tuple[bytes, ...] = field(compare=False)


def _is_overtaken(handed: dict[tuple[str, str], int], payload: bytes) -> bool:
    message = message_of(payload)
    if message is None or "seq" not in message or "again" in message:
        return False
    return bool(message.seq <= handed.get((message.inc, message.to), 0))


class Wire:
    """A tree of stations, and nodes on them. `send`, then `run`; `now` moves in `run` only."""

    def __init__(
        self,
        stations: Mapping[str, str | None],
        nodes: Mapping[str, str | None] | None = None,
        *,
        settings: Settings | None = None,
        connected: bool = True,
        durable: Iterable[str] = (),
    ) -> None:
        self.parents: dict[str, str | None] = {**stations, **(nodes or {})}
        self.stations = set(stations)
        self.settings = settings
        self.now = 0.0
        self.policy: Callable[[Flight], Copies] = lambda _flight: PASS
        self.handles_at_once = True
        self.endpoints: dict[str, Endpoint] = {}
        self.up: set[str] = set()  # the children whose link to their parent is up
        self.flights: list[Flight] = []
        self.effects: defaultdict[str, list[Effect]] = defaultdict(list)
        self.saved = {name: Saved(f"{name}#kept") for name in durable}  # what each durable one finds when it starts
        self.promises = Promises(self.saved)
        self.handlings, self.sought = self.promises.handlings, self.promises.sought
        self._last = 0
        self._lives: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        for name in self.parents:
            self._start(name)
        if connected:
            for name in self.parents:
                self.connect(name)
            self.announce()

    def __getitem__(self, name: str) -> Endpoint:
        return self.endpoints[name]

    # -- what a test does ----------------------------------------------------------------------------------------

    def send(self, sender: str, to: str, value: Any = None, *, key: str = "DATA", **how: Any) -> str:
        """Send one message, by default one that insists on a confirmation; its id."""
        self._numbers[sender] += 1
        fields = {name: how.pop(name) for name in list(how) if name not in {"hops", "repeat", "expires_after"}}
        message = Message(id=f"{sender}_{self._numbers[sender]}", to=to, sender=sender, key=key, value=value, **fields)
        effects = self[sender].send(message, **{"repeat": True, **how}, now=self.now)
        if "NOREPEAT" not in message.flags:
            self.sought[self[sender].incarnation, message.id] = None
        self._perform(sender, effects)
        return str(message.id)

    def inject(self, source: str, target: str, *frames: bytes) -> list[Effect]:
        """Let `target` receive what no endpoint of ours has sent; what it did."""
        self.promises.say(frames[-1])
        return self._receive(source, target, frames)

    def run(self, seconds: float = 0.0) -> None:
        """Let everything happen that happens within `seconds`."""
        end = self.now + seconds
        while (due := self._next_event()) <= end:
            self.now = max(self.now, due)
            if self.flights and self.flights[0].at <= self.now:
                self.arrive(self.flights[0])
            else:
                self._time()
        self.now = end

    def arrive(self, flight: Flight, *, stays: bool = False) -> None:
        """Let one message arrive now; with `stays` its copy is still under way."""
        if not stays:
            self.flights.remove(flight)
        self._receive(flight.source, flight.target, flight.frames)

    def handle(self, handling: Handling, *, failed: bool = False, relays: Iterable[str] = ()) -> None:
        """Let a handler be done, having passed `relays` on."""
        if handling.failed is None and self._lives[handling.at] == handling.life:
            handling.failed = failed
            handling.passed_on = tuple((self[handling.at].incarnation, one) for one in relays)
            effects = self[handling.at].handled(handling.ticket, failed=failed, relays=relays, now=self.now)
            self._perform(handling.at, effects)

    def handle_all(self) -> None:
        for handling in self.pending():
            self.handle(handling)

    def connect(self, child: str) -> None:
        """The link from `child` up to its parent works."""
        parent = self.parents[child]
        if parent is not None and child not in self.up:
            self.up.add(child)
            self._perform(parent, self[parent].meet(child, now=self.now))
            self._perform(child, self[child].meet(parent, now=self.now))

    def cut(self, child: str) -> None:
        """The link from `child` up to its parent is gone, with what is on it, and both ends know."""
        parent = self.parents[child]
        if parent is not None and child in self.up:
            self.up.remove(child)
            self.flights = [f for f in self.flights if {f.source, f.target} != {parent, child}]
            self._perform(parent, self[parent].lose(child, now=self.now))
            self._perform(child, self[child].lose(parent, now=self.now))

    def restart(self, name: str) -> None:
        """Kill `name` and start it again. What is under way stays so, but for first copies that have been overtaken.

        From a first copy a new life concludes that its former ones were handed nothing from there on. Links that keep
        order, as real ones do, make that so.
        """
        handed: dict[tuple[str, str], int] = {}
        for message in (h.message for h in self.handlings if h.at == name and "seq" in h.message):
            life = (message.inc, message.to)
            handed[life] = max(message.seq, handed.get(life, 0))
        self.flights = [f for f in self.flights if not _is_overtaken(handed, f.frames[-1])]
        parent, links = self.parents[name], [link for link in (name, *self.children(name)) if link in self.up]
        for neighbour in (parent if link == name else link for link in links):
            if neighbour is not None:
                self._perform(neighbour, self[neighbour].lose(name, now=self.now))
        self._start(name)
        for link in links:
            self.up.remove(link)
            self.connect(link)

    def announce(self) -> None:
        """Tell every station what lies below it, and both ends of a link whose kind the other is, as handshakes do."""
        for name, parent in self.parents.items():
            if parent is not None and name in self.up:
                self[name].ours.add(parent)
                self[parent].ours.add(name)
            below, station = name, parent
            while station is not None and below in self.up:
                self._perform(station, self[station].learn(name, below, now=self.now))
                below, station = station, self.parents[station]

    # -- what a test asks ----------------------------------------------------------------------------------------

    def children(self, name: str) -> list[str]:
        return [child for child, parent in self.parents.items() if parent == name]

    def pending(self) -> list[Handling]:
        return [h for h in self.handlings if h.failed is None and h.life == self._lives[h.at]]

    def of(self, name: str, kind: type[E]) -> list[E]:
        """All effects of one kind at one endpoint, in all its lives."""
        return [effect for effect in self.effects[name] if isinstance(effect, kind)]

    def got(self, name: str) -> list[Any]:
        """The values that handlers at `name` were given, in order."""
        return [handling.message.value for handling in self.handlings if handling.at == name]

    def carried(self, source: str, target: str) -> list[Message]:
        """The messages that `source` has put on the link to `target`, but for what they tell each other of the time."""
        frames = [effect.frames for effect in self.of(source, Transmit) if effect.peer == target]
        return [message for f in frames if (message := message_of(f[-1])) and message.key != "CLOCK"]

    # -- below ---------------------------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        self._lives[name] += 1
        saved = deepcopy(self.saved.get(name))
        if saved is None:
            self._numbers[name] = 0  # as with a program that counts from one again
        self.endpoints[name] = Endpoint(
            name,
            upstream=self.parents[name],
            forwards=name in self.stations,
            incarnation=saved.incarnation if saved else f"{name}#{self._lives[name]}",
            settings=self.settings,
            saved=saved,
        )

    def _next_event(self) -> float:
        timers = [t for e in self.endpoints.values() if (t := e.next_timer()) is not None]
        return min([*timers, *(f.at for f in self.flights[:1])], default=float("inf"))

    def _time(self) -> None:
        for name, endpoint in self.endpoints.items():
            self._perform(name, endpoint.handle_timer(now=self.now))
            due = endpoint.next_timer()
            assert due is None or due > self.now, f"{name} wants its timer again and again"

    def _receive(self, source: str, target: str, frames: tuple[bytes, ...]) -> list[Effect]:
        parent = self.parents[target]
        if (target if source == parent else source) not in self.up:
            return []
        effects = self[target].receive(source, frames, now=self.now)
        if source == parent:
            self.promises.read(target, source, frames[-1], effects)
        self._perform(target, effects)
        return effects

    def _perform(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            self.effects[name].append(effect)
            if isinstance(effect, Transmit):
                self._transmit(name, effect)
            elif isinstance(effect, Store):
                self.saved[name].store(effect.record)
            elif isinstance(effect, Forget):
                self.saved[name].forget(effect.to, effect.seq)
            elif isinstance(effect, Deliver):
                self._deliver(name, effect)
            elif isinstance(effect, Confirmed | Expired):
                self.promises.end(self[name].incarnation, effect)

    def _transmit(self, name: str, effect: Transmit) -> None:
        linked = effect.peer == self.parents[name] or self.parents.get(effect.peer) == name
        assert linked, f"{name} is not connected to {effect.peer}, and sends it {effect.frames}"
        message = message_of(effect.frames[-1])
        if name in self.saved and message is not None and message.sender == name and "seq" in message:
            given = self.saved[name].next_seq.get(message.to, 1)
            assert message.seq < given, f"{name} sends {message}, and has not kept it"
        self.promises.pass_on(name, effect.frames[-1])
        flight = Flight(self.now, 0, name, effect.peer, effect.frames)
        for late in self.policy(flight):
            self._last += 1
            insort(self.flights, replace(flight, at=self.now + late, number=self._last))

    def _deliver(self, name: str, effect: Deliver) -> None:
        handling = Handling(name, self._lives[name], effect.ticket, effect.message)
        self.promises.handle(handling)
        if self.handles_at_once:
            self.handle(handling)


class First:
    """A policy: the first `n` messages from `source` fare as `copies` says, the others pass."""

    def __init__(self, source: str, n: int, copies: Copies) -> None:
        self.source, self.left, self.copies = source, n, copies

    def __call__(self, flight: Flight) -> Copies:
        if flight.source != self.source or not self.left:
            return (0.0,)
        self.left -= 1
        return self.copies
