"""`Fault`, as it stands in a topology or a scenario: what goes wrong, with whom and when.

One vocabulary for real processes and for virtual time. A link is named by the machine at its lower end.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sim.lab.types import After, Late, Natural, NotNegative, Positive, Share

__all__ = [
    "ACTION_VERBS",
    "VERBS",
    "ActionVerb",
    "Fault",
    "FaultVerb",
    "Link",
    "Several",
    "Target",
    "Verb",
    "Way",
    "What",
    "named",
    "target_of",
    "verb_of",
]

Way = Literal["both", "up", "down"]
What = Literal["machine", "station", "program"]
Verb = Literal[
    "kill", "restart", "pause", "resume", "cut", "heal", "hold", "release", "reset", "shape", "drop", "duplicate"
]  # fmt: skip


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the link from a machine up to its parent is like."""

    latency_ms: Annotated[Late, Meta(description="How long everything takes to cross it.")] = 0.0
    jitter_ms: Annotated[Late, Meta(description="By how much more or less, at random.")] = 0.0
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
    """One thing that goes wrong: exactly one verb with its target, a time, and what else the verb takes.

    A target is an id, a pattern as `rig_*`, a list of these, or a mapping: `{random: 2, of: rig_*}` draws two,
    `{depth: 2}` is every child of a pilot. The terminal is meant only where its id stands, and has no link up.

    What happens to machines. `what: station` or `program` strikes that half alone.

    - kill: it ends at once, as by SIGKILL. Its neighbours see its connections close, and what it had in memory is gone.
    - restart: it starts again, with its id, and with what a durable one had on disk.
    - pause: it stands still, as by SIGSTOP. Its connections stay open, and what is sent to it piles up.
    - resume: it goes on where it stood, and finds all of that.

    What happens to a link, which is named by the machine at its lower end. `way: up` is toward the terminal alone.

    - cut: nothing passes and nobody is told, as when a cable is pulled out. Its connections do not outlive it: silence
      ends them, or the heal does. What was under way is gone with them, and is sent again if it was to be confirmed.
    - heal: ends cut, slow, drop and duplicate, whichever fault they were of; the link is as its `link:` says.
    - hold: nothing passes, nothing is lost, and the connections stay; `release` lets it all go on, in order.
    - stall: a hold that ends after heal_after_s.
    - reset: its connections break, both ends are told, and they may connect again at once.
    - slow: it takes the latency_ms, jitter_ms and rate_mbit that are given, and keeps the others of its `link:`.
    - drop: single messages never arrive: each with the probability, of one `key` or of all, the `first` so many or all.
    - duplicate: the same, but they arrive twice. TCP lets neither happen to one message, so that both exist in virtual
      time only; a run on processes says that it leaves them out.

    Storms of these.

    - power_cut: the machine and all below it are dead at the same moment, and nobody is told, since their links are cut
      too. After restart_after_s they are back, parents first.
    - switch_dies: the links of all targets are cut together, and healed together.
    - wifi_bad: for for_s (10 s), each target's link stalls (up to 1.5 s), slows down (20 to 200 ms, 1 to 5 Mbit/s) and
      breaks now and then, in bursts of its own.
    - swizzle: some of the links, drawn, are cut one by one in one order during the first half of for_s (10 s), and
      healed one by one in another during the second.
    - rolling_reboot: the targets, in the order of the file, are killed and restarted after restart_after_s (1 s), each
      when the one before is back; for_s, if given, is the most that all of them take.

    What has no end by itself lasts until another fault ends it, or until the play is over and everything is healed.
    """

    at_s: Annotated[NotNegative | None, Meta(description="Seconds after the session has begun.")] = None
    between_s: Annotated[
        tuple[NotNegative, NotNegative] | None,
        Meta(
            description="Or at a time drawn from [earliest, latest].",
            extra={"words": "two numbers of seconds, 0 or more: [earliest, latest]"},
        ),
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
    restart_after_s: Annotated[After | None, Meta(description="Until a killed machine starts again.")] = None
    resume_after_s: Annotated[After | None, Meta(description="Until a paused one goes on.")] = None
    heal_after_s: Annotated[After | None, Meta(description="Until a link is as it was.")] = None
    release_after_s: Annotated[After | None, Meta(description="Until what is held goes on.")] = None
    for_s: Annotated[Positive | None, Meta(description="How long a storm of faults lasts.")] = None
    latency_ms: Annotated[Late | None, Meta(description="Of slow.")] = None
    jitter_ms: Annotated[Late | None, Meta(description="Of slow.")] = None
    rate_mbit: Annotated[Positive | None, Meta(description="Of slow.")] = None
    key: Annotated[str | None, Meta(description="Of drop and duplicate: messages of this key alone.")] = None
    first: Annotated[Natural | None, Meta(description="Of drop and duplicate: so many, and no more.")] = None


class ActionVerb(Struct, frozen=True, kw_only=True):
    """What is done to one machine or link at one time, and all that others must know of it."""

    on: Literal["machine", "link"]
    ended_by: Verb | None = None  # the action that ends it; None: it does not last
    gives_way_to: Verb | None = None  # another that ends it too: the next life of a killed machine does not stand still
    undoes: str = ""  # of what ends others: what those do, as in "no fault kills rig_2 before that"
    state: str = ""  # what a machine or link is meanwhile
    told: tuple[str, str, str] = ("", "", "")  # what happened, how it ended, and that it never did
    name: str = ""  # in counts, where the verb will not do
    is_silent: bool = False  # nothing gets through, and who is behind it may have to find out by itself
    is_slow: bool = False  # what was under way then may get through, later
    is_harmless: bool = False  # what it strikes is late or comes twice, but it is there
    is_virtual: bool = False  # TCP would hide it: there are no processes on which it can be done


ACTION_VERBS: dict[str, ActionVerb] = {
    "kill": ActionVerb(
        on="machine",
        ended_by="restart",
        state="down",
        told=("was killed at", ", back at", ", never back"),
        is_silent=True,
    ),
    "restart": ActionVerb(on="machine", undoes="kills"),
    "pause": ActionVerb(
        on="machine",
        ended_by="resume",
        gives_way_to="kill",
        state="paused",
        told=("was paused at", ", on again at", ", never on again"),
        is_silent=True,
        is_slow=True,
    ),
    "resume": ActionVerb(on="machine", undoes="pauses"),
    "cut": ActionVerb(
        on="link",
        ended_by="heal",
        state="cut",
        told=("was cut at", ", whole again at", ", never whole again"),
        is_silent=True,
        is_slow=True,
    ),
    "heal": ActionVerb(on="link", undoes="cuts or slows"),
    "hold": ActionVerb(
        on="link",
        ended_by="release",
        state="held",
        told=("was held at", ", released at", ", never released"),
        is_silent=True,
        is_slow=True,
    ),
    "release": ActionVerb(on="link", undoes="holds"),
    "reset": ActionVerb(on="link", state="reset", told=("lost its connections at", "", "")),
    "shape": ActionVerb(
        on="link",
        ended_by="heal",
        gives_way_to="shape",
        state="slow",
        told=("was slow from", " to", ""),
        name="slow link",
        is_slow=True,
        is_harmless=True,
    ),
    "drop": ActionVerb(
        on="link",
        ended_by="heal",
        state="losing messages",
        told=("lost messages from", " to", ""),
        name="lossy link",
        is_virtual=True,
    ),
    "duplicate": ActionVerb(
        on="link",
        ended_by="heal",
        state="doubling messages",
        told=("doubled messages from", " to", ""),
        name="doubling link",
        is_harmless=True,
        is_virtual=True,
    ),
}
"""What the verbs of actions mean, which both worlds carry out. `reset` is over as soon as it is done."""


class FaultVerb(Struct, frozen=True, kw_only=True):
    """What there is to know of one verb of `Fault`."""

    acts: tuple[Verb, ...]  # the actions that it begins: one, or those of a storm
    options: tuple[str, ...] = ()  # what it takes beside its target, a time and a probability
    until: str = ""  # the option after which it ends by itself
    needs: tuple[str, ...] = ()  # at least one of these must be given
    without: str = ""  # what is said of it where none of these is
    done: str  # as in "rig_2 is killed"
    is_storm: bool = False  # it stands for several faults
    weight: int = 2  # how often a hunt draws it, where a storm is drawn once

    @property
    def on(self) -> Literal["machine", "link"]:
        """What its targets stand for. A machine has no link up if it is the terminal."""
        return ACTION_VERBS[self.acts[0]].on

    @property
    def ended_by(self) -> frozenset[Verb]:
        """The actions that end it, or some of it."""
        return frozenset(end for act in self.acts if (end := ACTION_VERBS[act].ended_by))

    @property
    def is_of_messages(self) -> bool:
        """Whether it happens to single messages, and its probability is that of each."""
        return "first" in self.options


_SLOWNESS = ("latency_ms", "jitter_ms", "rate_mbit")
_EACH = ("way", "key", "first", "heal_after_s")

VERBS: dict[str, FaultVerb] = {
    "kill": FaultVerb(acts=("kill",), options=("what", "restart_after_s"), until="restart_after_s", done="killed"),
    "restart": FaultVerb(acts=("restart",), options=("what",), done="restarted"),
    "pause": FaultVerb(acts=("pause",), options=("what", "resume_after_s"), until="resume_after_s", done="paused"),
    "resume": FaultVerb(acts=("resume",), options=("what",), done="resumed"),
    "cut": FaultVerb(acts=("cut",), options=("way", "heal_after_s"), until="heal_after_s", done="cut"),
    "heal": FaultVerb(acts=("heal",), options=("way",), done="healed"),
    "hold": FaultVerb(acts=("hold",), options=("way", "release_after_s"), until="release_after_s", done="held"),
    "release": FaultVerb(acts=("release",), options=("way",), done="released"),
    "stall": FaultVerb(
        acts=("hold",),
        options=("way", "heal_after_s"),
        until="heal_after_s",
        needs=("heal_after_s",),
        without="needs `heal_after_s`; what does not end by itself is a `hold`",
        done="held",
    ),
    "reset": FaultVerb(acts=("reset",), done="reset"),
    "slow": FaultVerb(
        acts=("shape",),
        options=("way", *_SLOWNESS, "heal_after_s"),
        until="heal_after_s",
        needs=_SLOWNESS,
        without=f"does not say how slow; give at least one of {', '.join(_SLOWNESS)}",
        done="slowed",
    ),
    "drop": FaultVerb(acts=("drop",), options=_EACH, until="heal_after_s", done="lost", weight=6),
    "duplicate": FaultVerb(acts=("duplicate",), options=_EACH, until="heal_after_s", done="doubled"),
    "power_cut": FaultVerb(
        acts=("kill", "cut"), options=("restart_after_s",), until="restart_after_s", done="without power", is_storm=True
    ),
    "switch_dies": FaultVerb(
        acts=("cut",), options=("heal_after_s",), until="heal_after_s", done="cut together", is_storm=True
    ),
    "wifi_bad": FaultVerb(acts=("hold", "shape"), options=("for_s",), until="for_s", done="bad", is_storm=True),
    "swizzle": FaultVerb(acts=("cut",), options=("for_s",), until="for_s", done="cut one by one", is_storm=True),
    "rolling_reboot": FaultVerb(
        acts=("kill",), options=("restart_after_s", "for_s"), until="for_s", done="rebooted in turn", is_storm=True
    ),
}
"""The verbs of `Fault`, in the order in which the file's documentation has them. A new one is a row here, its key in
`Fault`, and, where no action does it yet, what each of the two worlds does.
"""


def verb_of(fault: Fault) -> str:
    """The one verb of a fault. Raises ValueError if it has none, or several."""
    verbs = [verb for verb in VERBS if getattr(fault, verb) is not None]
    if len(verbs) != 1:
        raise ValueError(f"a fault has exactly one verb, not {len(verbs)}: {fault}")
    return verbs[0]


def target_of(fault: Fault) -> str | tuple[str, ...] | Several:
    """Whom a fault is meant for, as it stands in the file."""
    target: str | tuple[str, ...] | Several = getattr(fault, verb_of(fault))
    return target


def named(words: Sequence[str], id: str, *, terminal: str) -> bool:
    """Whether a machine is meant by ids and patterns. The terminal is meant by its id alone, never by a pattern."""
    return id in words or (id != terminal and any(fnmatchcase(id, word) for word in words))
