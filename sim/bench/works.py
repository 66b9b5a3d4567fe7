"""The works that are measured: what each is, on which sides, and how large. A new work is an entry of `WORKS`.

A side of a work is a function. It gets a stage, on which it starts processes, and how many messages to send, and
returns figures. Sides of one work send the same messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from msgspec import Struct

from sim.bench import bare, labs, ours
from sim.bench.load import KEY
from sim.bench.stage import BenchProcess, Stage

__all__ = ["BARE", "BUNDLED", "OURS", "WORKS", "Figures", "Work"]

BARE, BUNDLED, OURS = "bare", "bundled", "ours"  # the sides; the second is bare too, many messages in one frame
FRAME = (480, 640)
SENDERS, PACE_HZ = 10, 500.0
IDLE_S = 4.0

Figures = dict[str, float]
Side = Callable[[Stage, int], Figures]


class Work(Struct, frozen=True):
    """One work. `value`, the figure that sides are compared by, is in `unit`.

    `goal` is to be reached: the ratio to the bare side; or, where there is none, the value itself.
    """

    name: str
    title: str
    unit: str
    sides: dict[str, Side]
    count: int
    few: int  # how many where calls are counted, which makes all several times as slow
    is_rate: bool = True  # more is better
    goal: float | None = None


# -- figures -----------------------------------------------------------------------------------------------------------


def _flow(stage: Stage, senders: list[BenchProcess], recipient: BenchProcess, *, size: int = 1) -> Figures:
    """What a flow of messages came to. `size` of each, in the unit of the work."""
    for sender in senders:
        sender.hear()  # it is ready
    for sender in senders:
        sender.tell("go")
    begun = [sender.hear() for sender in senders]
    sent, count, first, last, took = recipient.hear()
    for sender in senders:
        sender.tell("over")
    ended = [sender.hear() for sender in senders]
    spent = sum(end.cpu_s - begin.cpu_s for begin, end in zip(begun, ended, strict=True))
    calls = sum(end.calls - begin.calls for begin, end in zip(begun, ended, strict=True))
    figures = {
        "value": size * count / (last.t - first.t),
        "sender_us": 1e6 * spent / sent,
        "recipient_us": 1e6 * (last.cpu_s - first.cpu_s) / count,
        "p99_ms": _quantile(took, 0.99),
        "peak_mb": max(last.peak_mb, *(end.peak_mb for end in ended)),
    }
    if stage.counts_calls:
        figures |= {"sender_calls": calls / sent, "recipient_calls": (last.calls - first.calls) / count}
    return figures


def _times(asker: BenchProcess) -> Figures:
    """What asking for answers came to. The first tenth is not measured."""
    asker.hear()  # it is ready
    asker.tell("go")
    took = asker.hear()
    took = took[len(took) // 10 :]
    return {"value": _quantile(took, 0.5), "p99_ms": _quantile(took, 0.99)}


def _quantile(seconds: Iterable[float], share: float) -> float:
    """In milliseconds; 0 of nothing."""
    found = list(seconds)
    return float(1e3 * np.quantile(found, share)) if found else 0.0


# -- small messages ----------------------------------------------------------------------------------------------------


def _bare_small(stage: Stage, count: int) -> Figures:
    recipient = stage.start(bare.sink, count)
    return _flow(stage, [stage.start(bare.messages, recipient.hear(), count)], recipient)


def _bundled_small(stage: Stage, count: int) -> Figures:
    recipient = stage.start(bare.bundled_sink, count)
    return _flow(stage, [stage.start(bare.bundles, recipient.hear(), count)], recipient)


def _our_small(*, is_confirmed: bool) -> Side:
    def play(stage: Stage, count: int) -> Figures:
        recipient = stage.start(ours.sink, count, stage.counts_calls)
        sender = stage.start(ours.messages, recipient.hear(), count, "T", "source", KEY, is_confirmed)
        return _flow(stage, [sender], recipient)

    return play


def _our_paced(stage: Stage, count: int) -> Figures:
    recipient = stage.start(ours.sink, count * SENDERS, stage.counts_calls)
    port = recipient.hear()
    senders = [stage.start(ours.paced, port, count, f"source_{n}", PACE_HZ) for n in range(SENDERS)]
    return _flow(stage, senders, recipient)


# -- on their way through stations -------------------------------------------------------------------------------------


def _bare_chain(stations: int) -> Side:
    def play(stage: Stage, count: int) -> Figures:
        recipient = stage.start(bare.sink, count)
        port = recipient.hear()
        for _ in range(stations - 1):
            port = stage.start(bare.forwarder, port).hear()
        return _flow(stage, [stage.start(bare.messages, port, count)], recipient)

    return play


def _our_chain(stations: int) -> Side:
    def play(stage: Stage, count: int) -> Figures:
        recipient = stage.start(ours.sink, count, stage.counts_calls)
        port, above = recipient.hear(), "T"
        for number in range(stations - 1):
            id = f"rig_{number}"
            port = stage.start(ours.pilot, id, above, port, f"_{id}", stage.counts_calls).hear()
            above = id
        sender = stage.start(ours.messages, port, count, above, "source", KEY, False)
        return _flow(stage, [sender], recipient)

    return play


def _our_trials(stage: Stage, count: int) -> Figures:
    """From the program of a rig to the terminal's, which both stations relay to."""
    terminal = stage.start(ours.sink, count, stage.counts_calls)
    port = terminal.hear()
    recipient = stage.start(ours.program_sink, port, count)
    recipient.hear()  # it is there
    rig = stage.start(ours.pilot, ours.RIG, "T", port, "", stage.counts_calls)
    program = f"_{ours.RIG}"
    sender = stage.start(ours.messages, rig.hear(), count, ours.RIG, program, "DATA", True)
    return _flow(stage, [sender], recipient)


# -- there and back, streams, and nothing at all -----------------------------------------------------------------------


def _bare_asks(stage: Stage, count: int) -> Figures:
    return _times(stage.start(bare.ask, stage.start(bare.echo).hear(), count))


def _our_asks(stage: Stage, count: int) -> Figures:
    return _times(stage.start(ours.asker, stage.start(ours.echo).hear(), count))


def _bare_frames(stage: Stage, count: int) -> Figures:
    recipient = stage.start(bare.frame_sink, count)
    sender = stage.start(bare.frames, recipient.hear(), count, FRAME)
    return _flow(stage, [sender], recipient, size=int(np.prod(FRAME)))


def _our_frames(stage: Stage, count: int) -> Figures:
    recipient = stage.start(ours.sink, count, stage.counts_calls)
    sender = stage.start(ours.frames, recipient.hear(), count, FRAME)
    return _flow(stage, [sender], recipient, size=int(np.prod(FRAME)))


def _idle(stage: Stage, count: int) -> Figures:
    del count
    terminal = stage.start(ours.sink, 1, stage.counts_calls)
    node = stage.start(ours.idle, terminal.hear(), IDLE_S)
    node.hear()  # it is ready
    node.tell("go")
    return {"value": 100 * node.hear()}


def _virtual(stage: Stage, count: int) -> Figures:
    return dict(stage.start(labs.virtual, count).hear())


def _star(stage: Stage, count: int) -> Figures:
    return dict(stage.start(labs.star, count).hear())


WORKS = {
    work.name: work
    for work in (
        Work(
            "small",
            "small messages, node to station handler",
            "/s",
            {BARE: _bare_small, BUNDLED: _bundled_small, OURS: _our_small(is_confirmed=False)},
            count=20_000,
            few=4_000,
            goal=0.8,
        ),
        Work(
            "confirmed",
            "the same, each confirmed after it was handled",
            "/s",
            {BARE: _bare_small, OURS: _our_small(is_confirmed=True)},
            count=20_000,
            few=4_000,
            goal=0.5,
        ),
        Work(
            "round trip",
            "there and back, one at a time",
            "ms",
            {BARE: _bare_asks, OURS: _our_asks},
            count=2_000,
            few=500,
            is_rate=False,
            goal=2.5,
        ),
        *(
            Work(
                f"chain {stations}",
                f"small messages through {stations} stations",
                "/s",
                {BARE: _bare_chain(stations), OURS: _our_chain(stations)},
                count=10_000,
                few=2_000,
                goal=1.0 if stations == 3 else None,
            )
            for stations in (3, 5)
        ),
        Work(
            "trial",
            "trials _rig → rig → T → _T, confirmed",
            "/s",
            {OURS: _our_trials},
            count=5_000,
            few=1_000,
            goal=20_000,
        ),
        Work(
            "paced",
            f"{SENDERS} senders at {PACE_HZ:.0f} messages/s each, confirmed",
            "/s",
            {OURS: _our_paced},
            count=1_000,
            few=300,
        ),
        Work(
            "frames",
            "frames of 480 by 640 bytes, by stream",
            "B/s",
            {BARE: _bare_frames, OURS: _our_frames},
            count=1_000,
            few=200,
            goal=0.4,
        ),
        Work("virtual", "effects of a star in virtual time", "/s", {OURS: _virtual}, 100, 20, goal=60_000),
        Work("star", "a star of processes, until all have shaken hands", "s", {OURS: _star}, 50, 10, is_rate=False),
        Work("idle", "a node with an open stream that does nothing, of a core", "%", {OURS: _idle}, 1, 1, False, 0.5),
    )
}
