"""`Fault`, as a topology or a scenario has it: what goes wrong, on which machines or links, and when.

Real processes and virtual time have the same faults. A link has the id of the machine at its lower end.
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
    "kill", "restart", "pause", "resume",
    "cut", "heal", "hold", "release", "reset", "mute", "shape", "drop", "duplicate",
]  # fmt: skip


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The quality of the link from a machine up to its parent."""

    latency_ms: Annotated[Late, Meta(description="How long each message takes to cross it.")] = 0.0
    jitter_ms: Annotated[Late, Meta(description="The random difference from it, more or less.")] = 0.0
    rate_mbit: Annotated[
        Positive | None, Meta(description="Megabits a second in each direction; absent: no limit.")
    ] = None


class Several(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Machines that are not named one by one."""

    depth: Annotated[Natural | None, Meta(description="Those so many links below the terminal; 1: the pilots.")] = None
    random: Annotated[Natural | None, Meta(description="How many of them to draw by the seed.")] = None
    of: Annotated[str, Meta(description="A pattern that their ids must match; * stands for any letters.")] = "*"


Target = Annotated[
    str | tuple[str, ...] | Several,
    Meta(extra={"words": "an id, a pattern such as rig_*, a list of these, or {depth: …, random: …, of: …}"}),
]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One thing that goes wrong: exactly one verb with its target, a time, and the options of the verb.

    A target is an id, a pattern such as `rig_*`, a list of these, or a mapping: `{random: 2, of: rig_*}` draws two,
    `{depth: 2}` is every child of a pilot. No pattern matches the terminal: it must be named by its id. It has no link
    up.

    Faults of machines. `what: station` or `program` strikes that part only.

    - kill: the machine ends at once, as by SIGKILL. Its neighbours see its connections close. Its memory is lost.
    - restart: the machine starts again with its id. A durable one has what it had stored on disk.
    - pause: the machine stops, as by SIGSTOP. Its connections stay open, and what is sent to it waits.
    - resume: the machine continues, and gets what was sent to it.

    Faults of links. A link is named by the machine at its lower end. `way: up` strikes the direction to the terminal
    only.

    - cut: nothing passes, and neither end is notified, as when a cable is pulled out. The connections end by a timeout,
      or with the heal. What was under way is lost; it is sent again if it seeks a confirmation.
    - heal: ends cut, slow, drop and duplicate of any fault. The link is as its `link:` says again.
    - hold: nothing passes, but nothing is lost, and the connections stay. `release` lets everything pass, in order.
    - stall: a hold that ends after heal_after_s.
    - reset: the connections break, both ends notice it, and they may reconnect at once.
    - mute: the connections fall silent for good, and neither end is notified, as when a switch forgets them. New ones
      work. So it lasts until an end gives the silent one up by itself.
    - slow: the link has the given latency_ms, jitter_ms and rate_mbit. The others stay as its `link:` says.
    - drop: single messages are lost, each with the probability. `key` limits it to one key, `first` to a number.
    - duplicate: the same, but the messages arrive twice. TCP prevents both for single messages, so they exist in
      virtual time only. A run on processes reports that it leaves them out.

    Storms of faults.

    - power_cut: the machine and all below it die at the same moment. Their links are cut too, so no neighbour notices.
      After restart_after_s they are back, parents first.
    - switch_dies: the links of all targets are cut together, and healed together.
    - wifi_bad: for for_s (10 s), the link of each target stalls (up to 1.5 s), slows down (20 to 200 ms, 1 to 5 Mbit/s)
      and breaks from time to time. Each link does so at its own times.
    - swizzle: some of the links are drawn. They are cut one by one during the first half of for_s (10 s), and healed
      one by one, in another order, during the second half.
    - rolling_reboot: the targets are killed and restarted after restart_after_s (1 s), in the order of the file, one
      after the other. for_s, if given, is the longest time that all of them take.

    A fault without an end lasts until another fault ends it, or until everything is healed after the play.
    """

    at_s: Annotated[NotNegative | None, Meta(description="Seconds after the session has begun.")] = None
    between_s: Annotated[
        tuple[NotNegative, NotNegative] | None,
        Meta(
            description="Instead of at_s: a time drawn from [earliest, latest].",
            extra={"words": "two numbers of seconds, 0 or more: [earliest, latest]"},
        ),
    ] = None
    probability: Annotated[Share, Meta(description="How likely it is; of drop and duplicate: for each message.")] = 1.0
    # Machines.
    kill: Annotated[Target | None, Meta(description="Ended at once, as by SIGKILL.")] = None
    restart: Annotated[Target | None, Meta(description="Started again after a kill.")] = None
    pause: Annotated[Target | None, Meta(description="Stopped, as by SIGSTOP; its connections stay.")] = None
    resume: Annotated[Target | None, Meta(description="Continued after a pause.")] = None
    # The links from machines up to their parents.
    cut: Annotated[Target | None, Meta(description="Nothing passes, as when a cable is pulled out.")] = None
    heal: Annotated[Target | None, Meta(description="Ends cut, slow, drop and duplicate.")] = None
    hold: Annotated[Target | None, Meta(description="Nothing passes until `release`, and nothing is lost.")] = None
    release: Annotated[Target | None, Meta(description="Ends a hold; what was held passes in order.")] = None
    stall: Annotated[Target | None, Meta(description="A hold that ends by itself, after heal_after_s.")] = None
    reset: Annotated[Target | None, Meta(description="Its connections break; both ends may reconnect at once.")] = None
    mute: Annotated[Target | None, Meta(description="Its connections fall silent for good; new ones work.")] = None
    slow: Annotated[Target | None, Meta(description="Takes latency_ms, jitter_ms and rate_mbit.")] = None
    drop: Annotated[Target | None, Meta(description="Single messages are lost; in virtual time only.")] = None
    duplicate: Annotated[Target | None, Meta(description="Single messages arrive twice; in virtual time only.")] = None
    # Storms of faults.
    power_cut: Annotated[
        Target | None, Meta(description="A machine and all below it die at once, and their links are cut.")
    ] = None
    switch_dies: Annotated[Target | None, Meta(description="The links of all targets are cut at once.")] = None
    wifi_bad: Annotated[
        Target | None, Meta(description="The link stalls, slows down and breaks, from time to time.")
    ] = None
    swizzle: Annotated[
        Target | None, Meta(description="Links are cut one by one, in random order, and healed in another.")
    ] = None
    rolling_reboot: Annotated[
        Target | None, Meta(description="Each target is killed and restarted, one after the other.")
    ] = None
    # How.
    what: Annotated[What, Meta(description="What of a machine is struck: all of it, or its station or program.")] = (
        "machine"
    )
    way: Annotated[Way, Meta(description="The direction of the link; up is toward the terminal.")] = "both"
    restart_after_s: Annotated[After | None, Meta(description="Seconds until a killed machine is restarted.")] = None
    resume_after_s: Annotated[After | None, Meta(description="Seconds until a paused machine is resumed.")] = None
    heal_after_s: Annotated[After | None, Meta(description="Seconds until a link is healed.")] = None
    release_after_s: Annotated[After | None, Meta(description="Seconds until a held link is released.")] = None
    for_s: Annotated[Positive | None, Meta(description="How many seconds a storm of faults lasts.")] = None
    latency_ms: Annotated[Late | None, Meta(description="Of slow.")] = None
    jitter_ms: Annotated[Late | None, Meta(description="Of slow.")] = None
    rate_mbit: Annotated[Positive | None, Meta(description="Of slow.")] = None
    key: Annotated[str | None, Meta(description="Of drop and duplicate: only messages of this key.")] = None
    first: Annotated[Natural | None, Meta(description="Of drop and duplicate: only the first so many messages.")] = None


class ActionVerb(Struct, frozen=True, kw_only=True):
    """A verb of `Action`, and what others must know about it."""

    on: Literal["machine", "link"]
    ended_by: Verb | None = None  # the verb that ends it; None if it does not last
    gives_way_to: Verb | None = None  # another verb that ends it too: a killed machine is not paused any more
    undoes: str = ""  # for a verb that ends another: what that does, as in "no fault kills rig_2"
    state: str = ""  # what the machine or link is while it lasts
    phrases: tuple[str, str, str] = ("", "", "")  # what happened, how it ended, that it never ended
    name: str = ""  # what counts call it, if not by the verb
    is_silent: bool = False  # nothing gets through, and a neighbour may notice it by a timeout only
    is_slow: bool = False  # what was under way may get through later
    is_harmless: bool = False  # messages come late or twice, but none is lost
    is_virtual: bool = False  # exists in virtual time only: TCP hides it from processes


ACTION_VERBS: dict[str, ActionVerb] = {
    "kill": ActionVerb(
        on="machine",
        ended_by="restart",
        state="down",
        phrases=("was killed at", ", back at", ", never back"),
        is_silent=True,
    ),
    "restart": ActionVerb(on="machine", undoes="kills"),
    "pause": ActionVerb(
        on="machine",
        ended_by="resume",
        gives_way_to="kill",
        state="paused",
        phrases=("was paused at", ", on again at", ", never on again"),
        is_silent=True,
        is_slow=True,
    ),
    "resume": ActionVerb(on="machine", undoes="pauses"),
    "cut": ActionVerb(
        on="link",
        ended_by="heal",
        state="cut",
        phrases=("was cut at", ", whole again at", ", never whole again"),
        is_silent=True,
        is_slow=True,
    ),
    "heal": ActionVerb(on="link", undoes="cuts or slows"),
    "hold": ActionVerb(
        on="link",
        ended_by="release",
        state="held",
        phrases=("was held at", ", released at", ", never released"),
        is_silent=True,
        is_slow=True,
    ),
    "release": ActionVerb(on="link", undoes="holds"),
    "reset": ActionVerb(on="link", state="reset", phrases=("lost its connections at", "", "")),
    "mute": ActionVerb(
        on="link", is_silent=True, is_slow=True,
        state="mute", phrases=("fell silent at", "", ""), name="silent connection",
    ),
    "shape": ActionVerb(
        on="link",
        ended_by="heal",
        gives_way_to="shape",
        state="slow",
        phrases=("was slow from", " to", ""),
        name="slow link",
        is_slow=True,
        is_harmless=True,
    ),
    "drop": ActionVerb(
        on="link",
        ended_by="heal",
        state="losing messages",
        phrases=("lost messages from", " to", ""),
        name="lossy link",
        is_virtual=True,
    ),
    "duplicate": ActionVerb(
        on="link",
        ended_by="heal",
        state="doubling messages",
        phrases=("doubled messages from", " to", ""),
        name="doubling link",
        is_harmless=True,
        is_virtual=True,
    ),
}
"""The verbs of `Action`, which both worlds carry out. What has a state and is ended by nothing is done in a moment."""


class FaultVerb(Struct, frozen=True, kw_only=True):
    """A verb of `Fault`, and what others must know about it."""

    acts: tuple[Verb, ...]  # the verbs of the actions that begin it
    options: tuple[str, ...] = ()  # its options beside its target, a time and a probability
    until: str = ""  # the option after which it ends by itself
    needs: tuple[str, ...] = ()  # options of which at least one must be given
    without: str = ""  # the mistake if none of `needs` is given
    done: str  # as in "rig_2 is killed"
    is_storm: bool = False  # it stands for several faults
    weight: int = 2  # how often a hunt draws it, where a storm is drawn once

    @property
    def on(self) -> Literal["machine", "link"]:
        """Whether it strikes machines, or the links from them up to their parents. The terminal has no such link."""
        return ACTION_VERBS[self.acts[0]].on

    @property
    def ended_by(self) -> frozenset[Verb]:
        """The verbs of the actions that end it, or a part of it."""
        return frozenset(end for act in self.acts if (end := ACTION_VERBS[act].ended_by))

    @property
    def is_of_messages(self) -> bool:
        """Whether it strikes single messages. Then its probability is for each message."""
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
    "mute": FaultVerb(acts=("mute",), done="mute"),
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
"""The verbs of `Fault`, in the order of its documentation. A new one is a row here, its key in
`Fault`, and, if it needs a new action, code in both worlds.
"""


def verb_of(fault: Fault) -> str:
    """The verb of a fault. Raises ValueError if it has none or several."""
    verbs = [verb for verb in VERBS if getattr(fault, verb) is not None]
    if len(verbs) != 1:
        raise ValueError(f"a fault has exactly one verb, not {len(verbs)}: {fault}")
    return verbs[0]


def target_of(fault: Fault) -> str | tuple[str, ...] | Several:
    """The target of a fault, as the file has it."""
    target: str | tuple[str, ...] | Several = getattr(fault, verb_of(fault))
    return target


def named(words: Sequence[str], id: str, *, terminal: str) -> bool:
    """Whether ids and patterns match a machine. Patterns never match the terminal."""
    return id in words or (id != terminal and any(fnmatchcase(id, word) for word in words))
