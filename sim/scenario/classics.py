"""Classics: small scenarios, each of which labs have suffered from, or a library can get wrong in a way of its own.

A hunt plays them first, since chance takes long to put the same few things into the same few milliseconds. They are of
a lab of four machines: rig_1 with its cam, and rig_2. Their messages are repeated after half a second, so that a sender
is out of patience after three.
"""

from __future__ import annotations

from functools import cache

from msgspec.structs import replace

from sim.lab.fault import Fault, Link
from sim.lab.topology import Files, Graduation, Machine, Session, Stream, Topology, Trials
from sim.lab.tree import Tree
from sim.scenario import Bounds, Example, Flow, Op, Opaque, Scenario, Send, Twice
from sim.scenario.payloads import Payload

__all__ = ["classics"]

MACHINES = ("T", "rig_1", "cam", "rig_2")
REPEAT_S = 0.5
LARGE = Payload(text=f'"{"x" * 1_000}"')
LARGEST = Payload(text=f'"{"x" * 9_000}"')
STREAMS = {
    "cam": {
        "wheel": Stream(bytes=100, rate_hz=20.0),
        "top": Stream(shape=(2, 3), dtype="uint8", rate_hz=5.0, batch=1, content="video"),
    },
    "rig_1": {"lick": Stream(fields=("x", "t"), rate_hz=10.0, batch=4)},
    "rig_2": {
        "wheel": Stream(bytes=100, rate_hz=20.0, reliable=False, batch=2),
        "lick": Stream(fields=("x", "t"), rate_hz=10.0),
        "pose": Stream(bytes=50, rate_hz=15.0, reliable=False, batch=4),  # more seldom than its batches would be full
    },
}
PLAYED = Session(duration_s=3.0, graduate=(Graduation(at_s=1.5, pilot="rig_1"),))
SMALL = Bounds(window_messages=16, window_bytes=6_000, pipe_bytes=600)


def classics() -> dict[str, Scenario]:
    """All of them, by what happens in each."""
    return {
        **_paths(),
        **_patience(),
        **_windows(),
        **_lives(),
        **_streams(),
    }


def _paths() -> dict[str, Scenario]:
    both = [*_both("T.probe", "cam.probe"), *_both("_T", "rig_1")]
    return {
        "a cable is out for longer than anybody is patient": _scenario(
            _lab(Fault(cut="rig_1", at_s=0.5, heal_after_s=12)), {0.3: both, 1.0: both, 6.0: both, 11.0: both}
        ),
        "the cable of a child is out for longer than anybody is patient": _scenario(
            _lab(Fault(cut="cam", at_s=0.5, heal_after_s=12)), {0.3: both, 1.0: both, 6.0: both, 11.0: both}
        ),
        "a cable is out for longer than anybody is patient, and repeats are seldom": _scenario(
            _lab(Fault(cut="rig_1", at_s=1, heal_after_s=53), repeat_s=10.0),
            {at_s: [_send("cam.probe", "T.probe", 2), _send("_cam", "T"), _send("cam", "_T")] for at_s in (0.5, 9, 70)},
        ),
        "a message is lost at each of its hops": _scenario(
            _lab(Fault(drop=("rig_1", "rig_2", "cam"), key="STORM", first=2, at_s=0.2, heal_after_s=3)),
            {0.5: [*_both("rig_2.probe", "cam.probe"), *_both("T.probe", "cam.probe"), *_both("_rig_2", "T")]},
        ),
        "strangers send bytes that are no message, and messages twice": _scenario(
            _lab(), {0.5: _strange(numbered=True), 1.5: _strange(numbered=False)}
        ),
        "a station talks to its program while that is away": _scenario(
            _lab(Fault(kill="rig_1", what="program", at_s=0.5, restart_after_s=2)),
            {1.0: [_send("rig_1.probe", "_rig_1", 3), _send("cam", "_rig_1", 3), _send("T", "_rig_1", 3)]},
        ),
        "a switch forgets the connections of a pilot, and then those of its child": _scenario(
            _lab(Fault(mute="rig_1", at_s=0.5), Fault(mute="cam", at_s=14)), {1.0: both, 10.0: both, 15.0: both}
        ),
    }


def _patience() -> dict[str, Scenario]:
    return {
        "a link is slower than a probe waits": _scenario(
            _lab(Fault(slow="rig_1", latency_ms=10_000, at_s=0.5, heal_after_s=250), repeat_s=30.0, ping_s=600.0),
            {at_s: _both("T.probe", "cam.probe") for at_s in (1.0, 240.0, 290.0)},
        ),
        "a link stands still, and works again before it is given up": _scenario(
            _lab(Fault(hold="rig_1", at_s=0.5, release_after_s=5.5)),
            {at_s: [*_both("T.probe", "cam.probe"), *_both("T", "_cam")] for at_s in (0.3, 2.0, 5.8, 12.0, 60.0)},
        ),
        "a handler is slower than anybody is patient": _scenario(
            _lab(), {0.5: [_slow("rig_1.probe", "T", 8), _send("rig_2.probe", "T", 3)]}
        ),
        "an order expires on its way to a program that is away": _scenario(
            _lab(Fault(kill="rig_1", what="program", at_s=0.3, restart_after_s=8)),
            {0.5: [replace(_send("_T", "_rig_1", 3), expires_s=1.0), _send("T", "_rig_1", 2)]},
        ),
        "the time of messages is over that wait for those before them": _scenario(
            _lab(Fault(drop="rig_1", key="STORM", probability=0.6, at_s=0.2, heal_after_s=2.5)),
            {
                0.5: [replace(op, expires_s=1.2) for op in (_send("_rig_1", "T", 12), _send("T", "rig_1", 12))],
                2.2: [_send("_rig_1", "T", 3), _send("T", "rig_1", 3)],
            },
        ),
        "a pipe is full for longer than anybody is patient": _scenario(
            _lab(Fault(hold="rig_1", at_s=0.5, release_after_s=5)),
            {0.6: [replace(_send("rig_1", "T", 30), payload=LARGE)]},
            bounds=Bounds(pipe_bytes=600),
        ),
    }


def _windows() -> dict[str, Scenario]:
    burst = replace(_send("rig_1", "T", 60), payload=LARGE)
    down = replace(_send("T", "rig_1", 60), payload=LARGE)
    largest = replace(_send("rig_1", "T", 2), payload=LARGEST)
    return {
        "windows are filled again and again, and a message is larger than one": _scenario(
            _lab(), {0.2: [burst, down], 2.0: [burst, largest, burst], 4.0: [burst, down]}, bounds=SMALL
        ),
        "windows are filled again and again by a burst": _scenario(
            _lab(), {0.2: [burst, down], 2.0: [burst, down]}, bounds=replace(SMALL, pipe_bytes=None)
        ),
        "a window is full when the link breaks": _scenario(
            _lab(Fault(reset="rig_1", at_s=0.501), Fault(reset="rig_1", at_s=2)),
            {0.5: [burst, down], 3.0: [burst, down]},
            bounds=SMALL,
        ),
    }


def _lives() -> dict[str, Scenario]:
    held = Fault(hold="rig_1", at_s=0.8, release_after_s=2.6)
    killed = Fault(kill="rig_1", what="program", at_s=1.0, restart_after_s=0.3)
    slow = _lab(held, killed, links={"rig_1": Link(latency_ms=200)}, repeat_s=2.0)
    sent: list[Op] = [_send("_rig_1", "T", 4)]
    return {
        "a confirmation comes when its sender has begun anew": _scenario(slow, {0.5: sent, 2.0: sent}),
        "a durable rig dies after all is settled, and its recipient before": _scenario(
            _lab(
                Fault(kill="T", what="station", at_s=1.4, restart_after_s=0.3),
                Fault(kill="rig_1", at_s=3, restart_after_s=0.3),
                durable=("rig_1",),
            ),
            {0.5: [_send("_rig_1", "T", 4), _send("rig_1", "T", 2)], 5.0: [_send("_rig_1", "T", 2)]},
        ),
        **_deaths("", ()),
        **_deaths(", and all is durable", MACHINES),
    }


def _deaths(words: str, ids: tuple[str, ...]) -> dict[str, Scenario]:
    return {
        f"confirmations are lost until the recipient has died{words}": _scenario(
            _lab(
                Fault(drop="rig_1", key="CONFIRM", at_s=0.2, heal_after_s=2),
                Fault(kill="T", what="station", at_s=1.4, restart_after_s=0.3),
                durable=ids,
            ),
            {0.5: [_send("_rig_1", "T", 3)], 0.6: [_send("rig_1.probe", "T")]},
        ),
        f"confirmations are lost until the sender has died{words}": _scenario(
            _lab(
                Fault(drop=("rig_1", "cam"), key="CONFIRM", at_s=0.2, heal_after_s=2),
                Fault(kill="rig_1", at_s=1.4, restart_after_s=0.3),
                durable=ids,
            ),
            {0.5: [_send("_rig_1", "T", 3), _send("rig_1", "T", 2)], 3.0: [_send("_rig_1", "T", 3)]},
        ),
        f"a rig dies with messages that nobody has taken{words}": _scenario(
            _lab(
                Fault(hold="rig_1", at_s=0.4, release_after_s=3),
                Fault(kill="rig_1", at_s=1.4, restart_after_s=0.3),
                durable=ids,
            ),
            {0.5: [_send("_rig_1", "T", 3), _send("cam", "T", 3)], 5.0: [_send("_rig_1", "T", 3)]},
        ),
        f"a recipient dies with messages that it has yet to handle{words}": _scenario(
            _lab(Fault(kill="rig_1", at_s=2.5, restart_after_s=0.3), durable=ids),
            {0.5: [replace(_send("T", "rig_1", 6), takes_ms=700), _send("_T", "_rig_1", 4)]},
        ),
    }


def _streams() -> dict[str, Scenario]:
    flows = (("cam.probe", 30, 3), ("_rig_1", 20, 1))
    reliable: list[Op] = [Flow(frm=frm, to="T", items=items, batch=batch) for frm, items, batch in flows]
    cut = Fault(drop=("rig_2", "cam"), key="STREAM", first=2, at_s=0.0, heal_after_s=3.0)
    return {
        "a session, and then the signals": replace(_scenario(_lab(plays=True), {}, session=True), signals=True),
        "the first batches of a stream are lost": _scenario(_lab(cut, plays=True), {}, session=True),
        "items of a child are on their way up while its rig graduates": _scenario(
            _lab(links={"cam": Link(latency_ms=400)}, plays=True), {}, session=True
        ),
        "the program of the terminal dies amid a session": _scenario(
            _lab(Fault(kill="T", what="program", at_s=1.1, restart_after_s=0.5), plays=True),
            {1.0: reliable},
            session=True,
        ),
        "the program of the terminal stands still for longer than anybody is patient": _scenario(
            _lab(Fault(pause="T", what="program", at_s=1.0, resume_after_s=4.5), plays=True),
            {1.2: reliable},
            session=True,
        ),
        "a link breaks amid streams": _scenario(
            _lab(Fault(reset="cam", at_s=1.01), Fault(reset="rig_1", at_s=1.5), plays=True),
            {1.0: reliable},
            session=True,
        ),
    }


# -- what they are made of ---------------------------------------------------------------------------------------------


def _lab(
    *faults: Fault,
    durable: tuple[str, ...] = (),
    links: dict[str, Link] | None = None,
    repeat_s: float = REPEAT_S,
    ping_s: float = 1.0,
    plays: bool = False,
) -> Topology:
    tree = {"T": None, "rig_1": "T", "cam": "rig_1", "rig_2": "T"}
    machines = tuple(
        Machine(
            id=id,
            parent=parent,
            children=tuple(child for child, above in tree.items() if above == id),
            durable=id in durable,
            link=(links or {}).get(id),
            subjects=(f"m of {id}", f"n of {id}") if plays and parent == "T" else (),
            task={"sounds": ["L.wav"]} if plays and parent == "T" else {},
            trials=Trials(every_s=(0.2, 0.4)) if plays and parent == "T" else None,
            streams=STREAMS.get(id, {}) if plays else {},
        )
        for id, parent in tree.items()
    )
    return Topology(
        name="classic",
        path="classic.yaml",
        machines=machines,
        files=Files(synthetic_kb={"L.wav": 600} if plays else {}),
        session=PLAYED if plays else Session(duration_s=20.0),
        repeat_interval_s=repeat_s,
        ping_interval_s=ping_s,
        faults=faults,
    )


def _scenario(
    topology: Topology, storms: dict[float, list[Op]], *, bounds: Bounds | None = None, session: bool = False
) -> Scenario:
    examples = tuple(Example(ops=tuple(ops), at_s=at_s) for at_s, ops in storms.items())
    return Scenario(
        topology=topology, seed=0, examples=examples, session=session, signals=False, bounds=bounds or Bounds()
    )


@cache
def _tree() -> Tree:
    return Tree(_lab())


def _send(frm: str, to: str, burst: int = 1) -> Send:
    """Along explicit hops, where the id alone would not do."""
    hops = _tree().hops(frm, to) if frm.endswith(".probe") or to.endswith(".probe") else ()
    return Send(frm=frm, to=to, hops=hops, burst=burst)


def _slow(frm: str, to: str, times: int) -> Send:
    return replace(_send(frm, to, 2), takes_ms=round(times * REPEAT_S * 1e3))


def _strange(*, numbered: bool) -> list[Op]:
    twice = (("rig_1", "T"), ("cam", "rig_1"), ("T", "cam"))
    bytes_for: list[Op] = [Opaque(a, b, 200) for a in MACHINES for b in MACHINES if a != b]
    return [*bytes_for, *(Twice(a, b, numbered=numbered) for a, b in twice)]


def _both(a: str, b: str) -> list[Op]:
    return [_send(a, b, 3), _send(b, a, 3)]
