"""PURE. Faults as data: what goes wrong, with whom and when; one vocabulary for real processes and for virtual time.

`Fault` is what stands in a topology or a scenario. `actions` works out from that what is done to which machine or link
at what time: an `Action` each, which both worlds carry out. A link is named by the machine at its lower end.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sim.keys import Natural, NotNegative, Positive, Share

__all__ = ["Action", "Fault", "Link", "Several", "Verb", "Way"]

Way = Literal["both", "up", "down"]
What = Literal["machine", "station", "program"]
Verb = Literal[
    "kill", "restart", "pause", "resume", "cut", "heal", "hold", "release", "reset", "shape", "drop", "duplicate"
]  # fmt: skip


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the link from a machine up to its parent is like."""

    latency_ms: Annotated[NotNegative, Meta(description="How long everything takes to cross it.")] = 0.0
    jitter_ms: Annotated[NotNegative, Meta(description="By how much more or less, at random.")] = 0.0
    rate_mbit: Annotated[Positive | None, Meta(description="Megabits a second, each way; absent: no limit.")] = None


class Several(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Machines that are not told one by one."""

    depth: Annotated[Natural | None, Meta(description="Those so far below the terminal; 1: the pilots.")] = None
    random: Annotated[Natural | None, Meta(description="So many of them, drawn by the seed.")] = None
    of: Annotated[str, Meta(description="Out of those with such an id; * stands for any letters.")] = "*"


Target = Annotated[
    str | tuple[str, ...] | Several,
    Meta(extra={"words": "an id, a pattern such as rig_*, a list of these, or {depth: …, random: …, of: …}"}),
]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One thing that goes wrong: exactly one verb with its target, a time, and what else the verb takes."""

    at_s: Annotated[NotNegative | None, Meta(description="Seconds after the session has begun.")] = None
    between_s: Annotated[
        tuple[NotNegative, NotNegative] | None, Meta(description="Or at a time drawn from [earliest, latest].")
    ] = None
    probability: Annotated[
        Share, Meta(description="How likely it happens at all; of drop and duplicate: to each message.")
    ] = 1.0
    # Machines.
    kill: Annotated[Target | None, Meta(description="Ended at once, as by SIGKILL.")] = None
    restart: Annotated[Target | None, Meta(description="Started again after a kill.")] = None
    pause: Annotated[Target | None, Meta(description="Stands still, as by SIGSTOP; its connections stay.")] = None
    resume: Annotated[Target | None, Meta(description="Goes on after a pause.")] = None
    # The links from machines up to their parents.
    cut: Annotated[Target | None, Meta(description="Nothing passes, and nobody is told: a cable pulled out.")] = None
    heal: Annotated[Target | None, Meta(description="What was cut, slowed, or loses messages is whole again.")] = None
    hold: Annotated[Target | None, Meta(description="What is sent waits until `release`.")] = None
    release: Annotated[Target | None, Meta(description="What was held goes on, in order.")] = None
    stall: Annotated[Target | None, Meta(description="A hold that ends by itself, after heal_after_s.")] = None
    reset: Annotated[Target | None, Meta(description="Its connections break, and may come back at once.")] = None
    slow: Annotated[Target | None, Meta(description="Takes latency_ms, jitter_ms and rate_mbit.")] = None
    drop: Annotated[Target | None, Meta(description="Messages are lost one by one; in virtual time only.")] = None
    duplicate: Annotated[Target | None, Meta(description="Messages come twice; in virtual time only.")] = None
    # Storms of faults.
    power_cut: Annotated[
        Target | None, Meta(description="All of a machine and below it, dead at once, and nobody is told.")
    ] = None
    switch_dies: Annotated[Target | None, Meta(description="The links of all these at once.")] = None
    wifi_bad: Annotated[Target | None, Meta(description="Stalls, losses of connection and slowness, in bursts.")] = None
    swizzle: Annotated[
        Target | None, Meta(description="Links are cut one by one, in random order, and healed in another.")
    ] = None
    rolling_reboot: Annotated[Target | None, Meta(description="Each is killed and restarted, in turn.")] = None
    # How.
    what: Annotated[What, Meta(description="Of a machine: all of it, or its station or program alone.")] = "machine"
    way: Annotated[Way, Meta(description="Which way of the link; up is toward the terminal.")] = "both"
    restart_after_s: Annotated[NotNegative | None, Meta(description="Until a killed machine starts again.")] = None
    resume_after_s: Annotated[NotNegative | None, Meta(description="Until a paused one goes on.")] = None
    heal_after_s: Annotated[NotNegative | None, Meta(description="Until a link is as it was.")] = None
    release_after_s: Annotated[NotNegative | None, Meta(description="Until what is held goes on.")] = None
    for_s: Annotated[Positive | None, Meta(description="How long a storm of faults lasts.")] = None
    latency_ms: Annotated[NotNegative | None, Meta(description="Of slow.")] = None
    jitter_ms: Annotated[NotNegative | None, Meta(description="Of slow.")] = None
    rate_mbit: Annotated[Positive | None, Meta(description="Of slow.")] = None
    key: Annotated[str | None, Meta(description="Of drop and duplicate: messages of this key alone.")] = None
    first: Annotated[Natural | None, Meta(description="Of drop and duplicate: so many, and no more.")] = None


class Action(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One thing that is done to one machine, or to the link from it up to its parent, at a time."""

    at_us: int  # microseconds after the play has begun
    verb: Verb
    target: str  # an id
    fault: int = 0  # which of the topology's faults it belongs to
    what: What = "machine"  # of kill, restart, pause, resume
    way: Way = "both"  # of what is done to links
    latency_ms: float = 0.0  # of shape, as the next two
    jitter_ms: float = 0.0
    rate_mbit: float | None = None
    probability: float = 1.0  # of drop and duplicate, as the next two
    key: str | None = None
    first: int | None = None
