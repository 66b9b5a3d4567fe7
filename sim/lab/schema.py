"""The format of a topology file: its keys, their types and defaults.

A key is declared here once. From it, `validate_types.py` makes what is accepted and the sentence for a mistake, and
`schema` makes the JSON Schema for editors. `topology.py` and its modules handle what concerns several keys.

"""

import inspect
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from autopilot_net.defaults import PING_INTERVAL_S, REPEAT_INTERVAL_S
from sim.lab.fault import Fault, Link
from sim.lab.types import (
    Bytes,
    Count,
    Dtype,
    Kilobytes,
    Natural,
    NotNegative,
    Percent,
    Port,
    Positive,
)

__all__ = [
    "Burst",
    "Expect",
    "Files",
    "Graduation",
    "KindEntry",
    "LabFile",
    "Limits",
    "MachineEntry",
    "Session",
    "Storm",
    "Stream",
    "TerminalEntry",
    "TrialsEntry",
    "each",
    "schema",
]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Burst(_Part, frozen=True):
    """Items that come in a burst, as licks do, instead of at a steady rate."""

    n: Annotated[Natural, Meta(description="Items in one burst.")] = 10
    rate_hz: Annotated[Positive, Meta(description="Items a second during the burst.")] = 10.0
    per: Annotated[Literal["trial"], Meta(description="What starts a burst.")] = "trial"


class Stream(_Part, frozen=True):
    """Items that a machine sends during a session: of exactly one of `shape` with `dtype`, `fields`, or `bytes`."""

    shape: Annotated[tuple[Natural, ...] | None, Meta(description="Each item is an array of this shape.")] = None
    dtype: Annotated[Dtype | None, Meta(description="The type of the array's elements.")] = None
    fields: Annotated[tuple[str, ...] | None, Meta(description="Each item maps these names to numbers.")] = None
    bytes: Annotated[Bytes | None, Meta(description="Each item is a mapping with a text of this many bytes.")] = None
    rate_hz: Annotated[Positive | None, Meta(description="Items a second; the session's pace does not change it.")] = (
        None
    )
    burst: Annotated[Burst | None, Meta(description="Instead of rate_hz: items that come in bursts.")] = None
    batch: Annotated[Natural, Meta(description="The least number of items that one message carries.")] = 5
    content: Annotated[
        Literal["video", "noise"], Meta(description="The content of the arrays: video compresses well, noise does not.")
    ] = "noise"
    reliable: Annotated[bool, Meta(description="Whether lost items are sent again, or reported as missing.")] = True
    to: Annotated[
        str | None,
        Meta(
            description="The machine whose program gets the items: the parent, or one above it. Absent: the terminal; "
            "the items of a child go by its parent."
        ),
    ] = None

    @property
    def item(self) -> Literal["array", "fields", "text"]:
        """The type of an item."""
        if self.shape is not None:
            return "array"
        return "text" if self.fields is None else "fields"


class TrialsEntry(_Part, frozen=True):
    """The trials of a machine: one DATA message for each stage."""

    # validate.py checks the bounds: msgspec 0.22 crashes on the schema of `Positive | tuple[Positive, Positive]`.
    every_s: Annotated[
        float | tuple[float, float],
        Meta(
            description="Seconds from trial to trial, all above 0, or [least, most].",
            extra={"words": "a number of seconds above 0, or two of them: [least, most]"},
            extra_json_schema={"exclusiveMinimum": 0},
        ),
    ] = (3.0, 12.0)
    stages: Annotated[Natural, Meta(description="Messages in a trial.")] = 3
    bytes: Annotated[Bytes, Meta(description="The approximate size of a message's data in bytes.")] = 300


class KindEntry(_Part, frozen=True):
    """What machines of one kind share. A machine's own keys win. Maps merge, lists replace, and null removes a key."""

    kind: Annotated[str | None, Meta(description="A kind whose keys it inherits.")] = None
    host: Annotated[str | None, Meta(description="Its name or address in the real lab.")] = None
    port: Annotated[Port | None, Meta(description="Its station's port in the real lab.")] = None
    subjects: Annotated[tuple[str, ...], Meta(description="The subjects of its sessions, one after the other.")] = ()
    task: Annotated[
        dict[str, Any], Meta(description="Sent with START. The files in its list `sounds` are fetched first.")
    ] = {}
    trials: Annotated[TrialsEntry | None, Meta(description="Absent: it makes no trials.")] = None
    streams: Annotated[dict[str, Stream], Meta(description="Its streams, by name.")] = {}
    program: Annotated[
        str | None, Meta(description="The lab's own program instead of the emulated one: module:Class.")
    ] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables, set before the program is imported.")] = {}
    params: Annotated[dict[str, Any], Meta(description="Parameters of its program.")] = {}
    link: Annotated[Link | None, Meta(description="The link up to its parent; absent: perfect.")] = None
    durable: Annotated[bool, Meta(description="Whether its undelivered messages survive its death.")] = False
    children: Annotated[tuple["MachineEntry", ...], Meta(description="The machines below it.")] = ()


class MachineEntry(KindEntry, frozen=True, kw_only=True):
    """A machine, or several. In its texts, {n} is its number, {id} its id and {parent} the id of its parent."""

    id: Annotated[str, Meta(description="Its unique id, with {n} in it if there are several.")]
    from_: Annotated[Count | None, Meta(description="The first number for {n}, here and in its children.")] = (
        msgspec.field(name="from", default=None)
    )
    to: Annotated[Count | None, Meta(description="The last number for {n}.")] = None


class TerminalEntry(_Part, frozen=True):
    """The lab's one terminal, at the root."""

    id: Annotated[str, Meta(description="Its id.")] = "T"
    host: Annotated[str | None, Meta(description="Its name or address in the real lab.")] = None
    port: Annotated[Port | None, Meta(description="Its station's port in the real lab.")] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables for its program.")] = {}
    durable: Annotated[bool, Meta(description="Whether its undelivered messages survive its death.")] = False


class Files(_Part, frozen=True):
    """The files that tasks name."""

    dir: Annotated[str, Meta(description="The terminal's folder of files, relative to the topology's.")] = "."
    synthetic_kb: Annotated[
        dict[str, Kilobytes], Meta(description="Files to make for a rehearsal, with their sizes in kB.")
    ] = {}


class Graduation(_Part, frozen=True):
    """A pilot's task ends and the next one starts, during the session."""

    at_s: Annotated[NotNegative, Meta(description="Seconds into the session.")]
    pilot: Annotated[str, Meta(description="The pilot's id.")]


class Session(_Part, frozen=True):
    """The experiment that is played."""

    duration_s: Annotated[Positive, Meta(description="Seconds from START to STOP.")] = 10.0
    pace: Annotated[
        Positive, Meta(description="Divides the waits between trials; it does not change the rates of streams.")
    ] = 1.0
    graduate: Annotated[tuple[Graduation, ...], Meta(description="Which pilots graduate, and when.")] = ()


class Storm(_Part, frozen=True):
    """Random traffic over the lab, after the session."""

    examples: Annotated[Count, Meta(description="How many storms.")] = 10
    messages: Annotated[Count, Meta(description="The most messages of one storm.")] = 50
    load: Annotated[
        bool, Meta(description="Whether a storm of 1,100 messages, 10 MB and a slow handler follows the others.")
    ] = True
    shrink_s: Annotated[NotNegative, Meta(description="Seconds to search for the smallest storm that fails.")] = 60.0


class Limits(_Part, frozen=True):
    """Limits for one class of traffic. An absent limit is not checked."""

    during: Annotated[
        Literal["all", "calm", "faults"],
        Meta(
            description="What the limits are for: all; what was under way while no fault struck its path (calm); or "
            "the rest (faults). A fault lasts until what it struck works again."
        ),
    ] = "all"
    lost: Annotated[Count | None, Meta(description="Messages that seek a confirmation and never arrived.")] = None
    twice: Annotated[Count | None, Meta(description="Messages that one process handled more than once.")] = None
    missing: Annotated[Count | None, Meta(description="Messages or items that never arrived, sought or not.")] = None
    missing_pct: Annotated[Percent | None, Meta(description="The same, in percent of those sent.")] = None
    p50_ms: Annotated[Positive | None, Meta(description="The median time from sending to handling.")] = None
    p99_ms: Annotated[
        Positive | None, Meta(description="The 99th percentile of the time from sending to handling.")
    ] = None
    rate_hz: Annotated[Positive | None, Meta(description="The least number a second.")] = None


LimitsOf = Annotated[
    Limits | tuple[Limits, ...], Meta(extra={"words": "limits, or a list of limits with different `during`"})
]


class Expect(_Part, frozen=True):
    """The lab's own limits. A run that exceeds one has failed.

    A pattern such as `rig_*` has `*` for any letters and `?` for one. Every machine or stream that it matches is
    compared by itself. An exact name counts before a pattern, and the first pattern that matches counts before others.
    """

    trials: Annotated[LimitsOf, Meta(description="For the trials of all rigs together.")] = Limits()
    rigs: Annotated[dict[str, LimitsOf], Meta(description="For the trials of single rigs, by id or pattern.")] = {}
    streams: Annotated[
        dict[str, LimitsOf], Meta(description="For streams, by name, machine.name, or a pattern of these.")
    ] = {}
    keys: Annotated[
        dict[str, LimitsOf],
        Meta(
            description="For messages of any other key, such as START; or rig_*.STATE, of those from or to such a rig."
        ),
    ] = {}
    start_within_s: Annotated[
        Positive | None, Meta(description="Seconds from the first START that was sent until every rig runs.")
    ] = None
    handshake_within_s: Annotated[
        Positive | None, Meta(description="Seconds from the start of the run until every machine has shaken hands.")
    ] = None
    recovered_within_s: Annotated[
        Positive | None, Meta(description="Seconds from the end of a fault until its target works again.")
    ] = None

    def for_stream(self, machine: str, name: str) -> str | None:
        """The key in `streams` whose limits a stream has. None if it has none."""
        return _key_for([f"{machine}.{name}", name], self.streams)

    def for_rig(self, machine: str) -> str | None:
        """The key in `rigs` whose limits the trials of a rig have. None if they have none."""
        return _key_for([machine], self.rigs)


def each(limits: Limits | tuple[Limits, ...]) -> tuple[Limits, ...]:
    """The limits of one key: given once, or as a list."""
    return limits if isinstance(limits, tuple) else (limits,)


def _key_for(names: Sequence[str], keys: Iterable[str]) -> str | None:
    """The first of the names that is a key, or else the first key that matches one of them as a pattern."""
    known = list(keys)
    exact = next((name for name in names if name in known), None)
    return exact or next((key for key in known if any(fnmatchcase(name, key) for name in names)), None)


class LabFile(_Part, frozen=True, kw_only=True):
    """A lab: its machines, and their rehearsal."""

    name: Annotated[str | None, Meta(description="The lab's name; absent: that of the file.")] = None
    terminal: Annotated[TerminalEntry, Meta(description="The root.")] = TerminalEntry()
    kinds: Annotated[
        dict[str, KindEntry], Meta(description="What machines have in common, by the name of the kind.")
    ] = {}
    pilots: Annotated[tuple[MachineEntry, ...], Meta(description="The machines directly below the terminal.")]
    files: Annotated[Files, Meta(description="The files that tasks name.")] = Files()
    session: Annotated[Session, Meta(description="The experiment.")] = Session()
    storm: Annotated[Storm, Meta(description="Random traffic.")] = Storm()
    faults: Annotated[tuple[Fault, ...], Meta(description="What goes wrong; times count from START.")] = ()
    expect: Annotated[Expect, Meta(description="The lab's own limits.")] = Expect()
    clocks: Annotated[
        Literal["own", "shared"],
        Meta(description="own: the clock of each machine is wrong in its own way, and is set in mid-session."),
    ] = "own"
    repeat_interval_s: Annotated[
        Positive, Meta(description="Seconds after which unconfirmed messages are sent again.")
    ] = REPEAT_INTERVAL_S
    ping_interval_s: Annotated[
        Positive, Meta(description="Seconds from one report of a pilot's state to the next.")
    ] = PING_INTERVAL_S


def schema() -> dict[str, Any]:
    """The JSON Schema of a topology file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A lab"}
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(head | msgspec.json.schema(LabFile)))
    for part in document["$defs"].values():  # some versions of msgspec keep the indentation of a docstring
        part["description"] = inspect.cleandoc(part["description"])
    return document
