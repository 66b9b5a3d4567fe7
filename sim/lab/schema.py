"""The format of a topology file: its keys, their types and defaults.

A key is declared here once. From that come what is accepted, the sentence for what is not (`validate_types.py`), and
the JSON Schema for editors.
What a file means as a whole (kinds, templates, who is whose child) is `topology.py`'s.
"""

import inspect
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
    "schema",
]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Burst(_Part, frozen=True):
    """Items that come together, as licks do, instead of at a steady rate."""

    n: Annotated[Natural, Meta(description="Items in one burst.")] = 10
    rate_hz: Annotated[Positive, Meta(description="Items a second while it lasts.")] = 10.0
    per: Annotated[Literal["trial"], Meta(description="What sets one off.")] = "trial"


class Stream(_Part, frozen=True):
    """What a machine sends without being asked: items of exactly one of `shape` with `dtype`, `fields`, or `bytes`."""

    shape: Annotated[tuple[Natural, ...] | None, Meta(description="Each item is an array of this shape.")] = None
    dtype: Annotated[Dtype | None, Meta(description="The type of the array's elements.")] = None
    fields: Annotated[tuple[str, ...] | None, Meta(description="Each item maps these names to numbers.")] = None
    bytes: Annotated[Bytes | None, Meta(description="Each item is a mapping with a text of this many bytes.")] = None
    rate_hz: Annotated[Positive | None, Meta(description="Items a second, whatever the session's pace.")] = None
    burst: Annotated[Burst | None, Meta(description="Instead of rate_hz: items that come together.")] = None
    batch: Annotated[Natural, Meta(description="The least number of items that one message carries.")] = 5
    content: Annotated[
        Literal["video", "noise"], Meta(description="What the arrays show: video compresses well, noise does not.")
    ] = "noise"
    reliable: Annotated[bool, Meta(description="Whether lost items are sent again, or reported as missing.")] = True
    to: Annotated[
        str | None,
        Meta(
            description="The machine whose program gets the items: the parent, or one above. Absent: the data go their "
            "usual way to the terminal, a child's by way of its parent."
        ),
    ] = None

    @property
    def item(self) -> Literal["array", "fields", "text"]:
        """What one item is."""
        if self.shape is not None:
            return "array"
        return "text" if self.fields is None else "fields"


class TrialsEntry(_Part, frozen=True):
    """A machine that makes trials, one DATA message a stage."""

    # Bounds are checked in topology.py: msgspec 0.22 crashes on the schema of `Positive | tuple[Positive, Positive]`.
    every_s: Annotated[
        float | tuple[float, float],
        Meta(
            description="Seconds from trial to trial, all above 0, or [least, most].",
            extra={"words": "a number of seconds above 0, or two of them: [least, most]"},
            extra_json_schema={"exclusiveMinimum": 0},
        ),
    ] = (3.0, 12.0)
    stages: Annotated[Natural, Meta(description="Messages a trial.")] = 3
    bytes: Annotated[Bytes, Meta(description="About how large a message's data are.")] = 300


class KindEntry(_Part, frozen=True):
    """What machines of one kind share. A machine's own keys win, maps merge, lists replace, null takes away."""

    kind: Annotated[str | None, Meta(description="A kind whose keys it takes where it has none of its own.")] = None
    host: Annotated[str | None, Meta(description="Its name or address in the real lab.")] = None
    port: Annotated[Port | None, Meta(description="Its station's port in the real lab.")] = None
    subjects: Annotated[tuple[str, ...], Meta(description="Who is in the box, one after the other.")] = ()
    task: Annotated[
        dict[str, Any], Meta(description="Goes out with START. The files named in its list `sounds` are fetched first.")
    ] = {}
    trials: Annotated[TrialsEntry | None, Meta(description="Absent: it makes no trials.")] = None
    streams: Annotated[dict[str, Stream], Meta(description="Its streams, by name.")] = {}
    program: Annotated[str | None, Meta(description="The lab's own code instead of ours: module:Class.")] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables, set before the program is imported.")] = {}
    params: Annotated[dict[str, Any], Meta(description="Whatever its program wants to know.")] = {}
    link: Annotated[Link | None, Meta(description="What its link up to its parent is like; absent: perfect.")] = None
    durable: Annotated[bool, Meta(description="Whether what it has yet to deliver outlives its death.")] = False
    children: Annotated[tuple["MachineEntry", ...], Meta(description="The machines below it.")] = ()


class MachineEntry(KindEntry, frozen=True, kw_only=True):
    """A machine, or several. In its texts {n} is its number, {id} its id and {parent} its parent's id."""

    id: Annotated[str, Meta(description="Unlike any other; {n} in it where there are several.")]
    from_: Annotated[Count | None, Meta(description="The first number that {n} takes, here and in its children.")] = (
        msgspec.field(name="from", default=None)
    )
    to: Annotated[Count | None, Meta(description="The last number that {n} takes.")] = None


class TerminalEntry(_Part, frozen=True):
    """The lab's one terminal, at the root."""

    id: Annotated[str, Meta(description="Its id.")] = "T"
    host: Annotated[str | None, Meta(description="Its name or address in the real lab.")] = None
    port: Annotated[Port | None, Meta(description="Its station's port in the real lab.")] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables for its program.")] = {}
    durable: Annotated[bool, Meta(description="Whether what it has yet to deliver outlives its death.")] = False


class Files(_Part, frozen=True):
    """The files that tasks name."""

    dir: Annotated[str, Meta(description="The terminal's folder of files, seen from the topology's.")] = "."
    synthetic_kb: Annotated[dict[str, Kilobytes], Meta(description="Files to make up for a rehearsal, in kB.")] = {}


class Graduation(_Part, frozen=True):
    """A pilot's task ends and the next one starts, in mid-session."""

    at_s: Annotated[NotNegative, Meta(description="Seconds into the session.")]
    pilot: Annotated[str, Meta(description="The pilot's id.")]


class Session(_Part, frozen=True):
    """The experiment that is played."""

    duration_s: Annotated[Positive, Meta(description="From START to STOP.")] = 10.0
    pace: Annotated[Positive, Meta(description="Divides the waits between trials, never a stream's rate.")] = 1.0
    graduate: Annotated[tuple[Graduation, ...], Meta(description="Which pilots graduate, and when.")] = ()


class Storm(_Part, frozen=True):
    """Random traffic over the lab, after the session."""

    examples: Annotated[Count, Meta(description="How many storms.")] = 10
    messages: Annotated[Count, Meta(description="The most messages of one storm.")] = 50
    shrink_s: Annotated[NotNegative, Meta(description="Seconds to look for the smallest that fails.")] = 60.0


class Limits(_Part, frozen=True):
    """Limits for one class of traffic. What is absent is not limited."""

    lost: Annotated[Count | None, Meta(description="Messages that were to be confirmed, and never came.")] = None
    twice: Annotated[Count | None, Meta(description="Messages that were handled again, in one life or another.")] = None
    missing: Annotated[Count | None, Meta(description="Messages or items that never came, confirmed or not.")] = None
    missing_pct: Annotated[Percent | None, Meta(description="The same, of a hundred sent.")] = None
    p50_ms: Annotated[Positive | None, Meta(description="The median of the way from send to handler.")] = None
    p99_ms: Annotated[Positive | None, Meta(description="The 99th percentile of the way from send to handler.")] = None
    rate_hz: Annotated[Positive | None, Meta(description="At least so many a second.")] = None


class Expect(_Part, frozen=True):
    """The lab's own limits; a run that exceeds one has broken."""

    trials: Annotated[Limits, Meta(description="For trials.")] = Limits()
    streams: Annotated[dict[str, Limits], Meta(description="For streams, by name or machine.name.")] = {}
    keys: Annotated[dict[str, Limits], Meta(description="For messages of any other key, as START or STATE.")] = {}
    start_within_s: Annotated[
        Positive | None, Meta(description="From the first START that was sent until every rig runs.")
    ] = None
    handshake_within_s: Annotated[
        Positive | None, Meta(description="From the start of the run until every machine has shaken hands.")
    ] = None
    recovered_within_s: Annotated[
        Positive | None, Meta(description="From the end of a fault until what it struck works again.")
    ] = None

    def stream(self, machine: str, name: str) -> Limits | None:
        """The limits of one machine's stream: those under `machine.name`, else those under its name."""
        return self.streams.get(f"{machine}.{name}", self.streams.get(name))


class LabFile(_Part, frozen=True, kw_only=True):
    """A lab: its machines, and what a rehearsal does with them."""

    name: Annotated[str | None, Meta(description="The lab's name; absent, the file's.")] = None
    terminal: Annotated[TerminalEntry, Meta(description="The root.")] = TerminalEntry()
    kinds: Annotated[dict[str, KindEntry], Meta(description="What machines have in common, by a name for it.")] = {}
    pilots: Annotated[tuple[MachineEntry, ...], Meta(description="The machines right below the terminal.")]
    files: Annotated[Files, Meta(description="The files that tasks name.")] = Files()
    session: Annotated[Session, Meta(description="The experiment.")] = Session()
    storm: Annotated[Storm, Meta(description="Random traffic.")] = Storm()
    faults: Annotated[tuple[Fault, ...], Meta(description="What goes wrong, counted from START.")] = ()
    expect: Annotated[Expect, Meta(description="The lab's own limits.")] = Expect()
    repeat_interval_s: Annotated[Positive, Meta(description="Unconfirmed messages are sent again after this.")] = (
        REPEAT_INTERVAL_S
    )
    ping_interval_s: Annotated[Positive, Meta(description="A pilot tells its state this often, unasked.")] = (
        PING_INTERVAL_S
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of a topology file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A lab"}
    whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(head | msgspec.json.schema(LabFile)))
    for part in whole["$defs"].values():  # of a docstring, some versions of msgspec take off the indentation
        part["description"] = inspect.cleandoc(part["description"])
    return whole
