"""Hypothesis strategies for labs, their storms and their faults: for hunts, and for a lab's own tests.

    @given(scenarios())
    def test_nothing_is_lost(scenario): ...

- `topologies()` draws labs, `parts(lab)` small parts of one. Each is a `Topology` that `load` would accept.
- `messages(lab)` draws a burst of messages between two participants, `storms(lab)` a whole storm.
- `faults(lab)` draws one fault.
- `scenarios()` combines these: storms and faults within the same second of a session.

All shrink towards the simplest: two machines, one message of null, one machine that is killed.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from sim.lab.names import probe_of
from sim.lab.topology import Fault, Topology
from sim.lab.tree import Tree
from sim.scenario import Bounds, Example, Flow, Op, Opaque, Scenario, Send, Twice
from sim.scenario.payloads import ArraySpec, Payload
from sim.search.draw import chance, pick
from sim.search.draw_faults import aimed, cuts, ends, faults
from sim.search.draw_labs import parts, topologies
from sim.search.draw_load import load, small_bounds
from sim.search.subset import with_faults

__all__ = ["examples", "faults", "messages", "parts", "payloads", "scenarios", "storms", "topologies"]

DTYPES = ["?", "i1", "u1", "<i2", ">i2", "<u4", "<i8", ">u8", "<f2", ">f4", "<f8", "<c16", "S5", "<U3"]
NO_SESSION_S = 2.0
FEW = 12  # messages in one storm of a scenario
EXPIRES_S = (0.5, 1.0, 2.0)
SIGNALS = 4  # one scenario in so many plays the signals, which take as long as a storm
FAULTS = (1, 0, 2, 0, 1, 3, 1, 4)  # how many faults a scenario may have

# Any character but a surrogate, which UTF-8 cannot carry. hypothesis' own `characters` makes tables of all Unicode,
# which takes each process seconds.
_characters = (st.integers(0x20, 0x7E) | st.integers(0, 0xD7FF) | st.integers(0xE000, 0x10FFFF)).map(chr)
_numbers = st.integers() | st.integers(2**64, 2**90) | st.floats(width=64)
_names = st.text(_characters, max_size=6)
_scalars = st.none() | st.booleans() | _numbers | st.text(_characters, max_size=12)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4)
)


def payloads() -> st.SearchStrategy[Payload]:
    """Payloads: null, nested JSON (with NaN, infinities and integers beyond 64 bits), arrays of many dtypes and shapes.
    """
    arrays = st.builds(
        ArraySpec,
        dtype=st.sampled_from(DTYPES),
        shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
        seed=st.integers(0, 1000),
        layout=st.sampled_from(["C", "F", "strided"]),
    )
    texts = _json.map(json.dumps)
    return st.builds(Payload, text=texts) | st.builds(Payload, text=texts, array=arrays, alone=st.booleans())


_ANY = payloads()
# Arrays as they seldom come, and as a camera or a driver makes them all the same.
ODD_ARRAYS = (
    ArraySpec(dtype=">i2", shape=(3, 4), seed=1, layout="strided"),
    ArraySpec(dtype=">f4", shape=(2, 3), seed=2, layout="F"),
    ArraySpec(dtype="<f8", shape=(), seed=3),
)
_ODD = [Payload(array=array, alone=alone) for array, alone in zip(ODD_ARRAYS, (True, False, True), strict=True)]
_LIGHT = st.sampled_from([Payload()] * 9 + [Payload(text='{"a": [1, NaN]}')])
_MOSTLY_LIGHT = st.sampled_from([Payload()] * 12 + [Payload(text='{"a": [1, NaN]}'), *_ODD])


@st.composite
def messages(draw: st.DrawFn, topology: Topology, *, most: int = 20, light: bool = False) -> Send:
    """A burst of at most `most` messages between two participants, by the recipient's id alone or along hops.

    `light`: they carry next to nothing, for tests where only their path matters.
    """
    return _OpDrawer(topology).send(draw, most, _LIGHT if light else _ANY)


@st.composite
def storms(draw: st.DrawFn, topology: Topology, messages: int | None = None) -> Example:
    """One storm of at most `messages` messages (None: the topology's own limit), with operations of raw peers."""
    lab = _OpDrawer(topology)
    left = topology.storm.messages if messages is None else messages
    odd = _ODD[: max(0, left - 1)]
    ops = _traffic(draw, lab, left - len(odd), 12, _ANY)
    places = [draw(st.integers(0, len(ops))) for _ in range(3)]
    ops.insert(places[0], lab.twice(draw, numbered=True))
    ops.insert(places[1], lab.twice(draw, numbered=False))
    ops.insert(places[2], lab.opaque(draw))
    return Example(ops=(*ops, *(lab.send(draw, 1, st.just(payload)) for payload in odd)))


examples = storms


@st.composite
def scenarios(
    draw: st.DrawFn, topology: Topology | st.SearchStrategy[Topology] | None = None, *, virtual: bool = True
) -> Scenario:
    """A lab with storms and faults that meet, and perhaps a session.

    The lab is `topology`, or is drawn from that strategy, or from `topologies()`. `virtual`: some faults lose or repeat
    single messages, which only virtual time can play. Otherwise the scenario can be played on processes too.
    """
    lab = topology if isinstance(topology, Topology) else draw(topologies() if topology is None else topology)
    session = chance(draw, 3)
    if not isinstance(topology, Topology) and not session:  # then its length costs nothing, and leaves time for faults
        lab = replace(lab, session=replace(lab.session, duration_s=NO_SESSION_S))
    moments = [_moment(draw, lab) for _ in range(pick(draw, (1, 1, 2)))]
    drawn = _faults(draw, lab, moments, virtual=virtual)
    least = 0 if session and drawn else 1
    count = pick(draw, range(least, 3))
    played = tuple(_timed_storm(draw, lab, pick(draw, moments), virtual=virtual) for _ in range(count))
    if played and chance(draw, 2):
        drawn += _aimed(draw, lab, pick(draw, played), virtual=virtual)
    drawn += [fault for storm in played for fault in _held_up(draw, lab, storm)]
    seed = draw(st.integers(0, 99))
    bounds = draw(small_bounds()) if virtual and chance(draw, 3) else Bounds()
    if lab.files.synthetic_kb:  # a window must hold a part of a file beside the PARAM that waits for all of it
        bounds = replace(bounds, window_bytes=Bounds().window_bytes)
    topology = with_faults(lab, tuple(drawn))
    signals = chance(draw, SIGNALS)
    return Scenario(
        topology=topology, seed=seed, examples=played, session=session, bounds=bounds, signals=signals
    )


def _faults(draw: st.DrawFn, topology: Topology, moments: list[float], *, virtual: bool) -> list[Fault]:
    drawn: list[Fault] = []
    for _ in range(pick(draw, FAULTS)):
        drawn.append(draw(faults(topology, virtual=virtual, around_s=pick(draw, moments))))
        end = draw(ends(topology, drawn[-1])) if chance(draw, 6) else None
        drawn += [end] if end is not None else []
    return drawn


def _aimed(draw: st.DrawFn, topology: Topology, storm: Example, *, virtual: bool) -> list[Fault]:
    op = pick(draw, storm.ops)
    frm = op.at if isinstance(op, Twice | Opaque) else op.frm
    path = Tree(topology).machines_between(frm, op.to)
    return draw(aimed(topology, path, at_s=storm.at_s or 0.0, virtual=virtual))


def _held_up(draw: st.DrawFn, topology: Topology, storm: Example) -> list[Fault]:
    """Cuts on the way of messages that expire, which last for longer than these may take."""
    found: list[Fault] = []
    for op in storm.ops:
        if isinstance(op, Send) and op.expires_s and chance(draw, 2):
            path = Tree(topology).machines_between(op.frm, op.to)
            found += draw(cuts(topology, path, at_s=storm.at_s or 0.0, for_s=2 * op.expires_s + 1))
    return found


def _moment(draw: st.DrawFn, topology: Topology) -> float:
    """A time in seconds, early enough that much of the session is still to come."""
    return draw(st.integers(0, max(1, int(min(topology.session.duration_s, 4.0) * 5)))) / 10


def _expiring(draw: st.DrawFn, op: Op) -> Op:
    """One of the messages that seek a confirmation in six has a time of its own. TCP takes longer, if it is busy."""
    bounded = isinstance(op, Send) and op.sought and chance(draw, 6)
    return replace(op, expires_s=pick(draw, EXPIRES_S)) if bounded else op


def _timed_storm(draw: st.DrawFn, topology: Topology, at_s: float, *, virtual: bool) -> Example:
    """A few messages at one moment."""
    lab = _OpDrawer(topology)
    ops = [_expiring(draw, op) if virtual else op for op in _traffic(draw, lab, FEW, 4, _MOSTLY_LIGHT)]
    ops += [draw(load(lab.send(draw, 1, _LIGHT), topology.repeat_interval_s))] if chance(draw, 4) else []
    if chance(draw, 6):
        ops.append(lab.twice(draw, numbered=chance(draw, 2)))
    if chance(draw, 10):
        ops.append(lab.opaque(draw))
    return Example(ops=tuple(ops), at_s=at_s)


def _traffic(
    draw: st.DrawFn, lab: _OpDrawer, left: int, most_ops: int, carried: st.SearchStrategy[Payload]
) -> list[Op]:
    ops: list[Op] = []
    for _ in range(draw(st.integers(1, most_ops))):
        if left < 1:
            break
        op = lab.flow(draw, left, carried) if chance(draw, 5) else lab.send(draw, left, carried)
        left -= op.items if isinstance(op, Flow) else op.burst
        ops.append(op)
    return ops


class _Address(NamedTuple):
    """The id of a participant, and the machine that it is on."""

    at: str
    name: str

    @property
    def is_probe(self) -> bool:
        return self.name.endswith(".probe")

    @property
    def is_program(self) -> bool:
        return self.name.startswith("_")


class _OpDrawer:
    """Draws the operations of storms in one lab."""

    def __init__(self, topology: Topology) -> None:
        self._tree = Tree(topology)
        self._machines = [machine.id for machine in topology.machines]
        self._addresses = [_Address(m, name) for m in self._machines for name in (m, "_" + m, probe_of(m))]

    def send(self, draw: st.DrawFn, most: int, carried: st.SearchStrategy[Payload]) -> Send:
        """A burst between two participants, by the recipient's id alone or along explicit hops."""
        frm = pick(draw, self._addresses)
        to = pick(draw, [other for other in self._addresses if self._may_say(frm, other)])
        # From another machine, the id alone finds a station or its program, but no other node.
        along = chance(draw, 2) or (to.is_probe and frm.at != to.at)
        return Send(
            frm=frm.name,
            to=to.name,
            hops=self._tree.hops(frm.name, to.name) if along else (),
            sought=not chance(draw, 3),
            payload=draw(carried),
            burst=draw(st.integers(1, min(most, 20))),
        )

    def flow(self, draw: st.DrawFn, most: int, carried: st.SearchStrategy[Payload]) -> Flow:
        """A stream from a node to a station, with any batch size."""
        return Flow(
            frm=pick(draw, [address.name for address in self._addresses if address.is_probe or address.is_program]),
            to=pick(draw, self._machines),
            items=draw(st.integers(0, min(most, 40))),
            batch=draw(st.integers(1, 13)),
            payload=draw(carried),
        )

    def twice(self, draw: st.DrawFn, *, numbered: bool) -> Twice:
        """A raw peer that sends a message several times, numbered as this library does or not, as Autopilot does."""
        at, to = pick(draw, self._machines), pick(draw, self._machines)
        return Twice(at=at, to=to, times=draw(st.integers(2, 4)), numbered=numbered)

    def opaque(self, draw: st.DrawFn) -> Opaque:
        """Bytes that are no message, across at least one link if the lab has one."""
        at = pick(draw, self._machines)
        to = pick(draw, [machine for machine in self._machines if machine != at] or [at])
        return Opaque(at=at, to=to, size=draw(st.integers(0, 300)), seed=draw(st.integers(0, 1000)))

    def _may_say(self, frm: _Address, to: _Address) -> bool:
        """Whether `frm` may send to `to`. No id leads a message from a machine to the program of the same machine."""
        own_program = frm.at == to.at and to.is_program and not frm.is_probe
        return frm.name != to.name and not own_program
