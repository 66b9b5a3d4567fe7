"""The words of a session: the commands that its scripts return, and the streams that they fill.

`session_script.py` has the script of the terminal, `machine_script.py` that of every other machine. Time and messages
go in, commands come out. Each script can save what its next life must know, and resume from it.
"""

from __future__ import annotations

import math
from typing import Any
from zlib import crc32

import numpy as np
from msgspec import Struct

from sim.lab.seeds import seed_of
from sim.lab.topology import Machine, Stream, Topology
from sim.scenario.payloads import frame

__all__ = [
    "AppendItem",
    "CloseStream",
    "Command",
    "OpenStream",
    "SendMessage",
    "is_forwarded",
    "item_of",
    "names_subject",
    "shared_subjects",
    "stream_destination",
    "stream_name",
    "subject_of",
]


class SendMessage(Struct, frozen=True):
    """Send a confirmed message. When it is confirmed, carry out `then`."""

    to: str
    key: str
    value: Any = None
    then: tuple[SendMessage | OpenStream | AppendItem | CloseStream, ...] = ()


class OpenStream(Struct, frozen=True):
    """Open a stream for the session of that number. Without a subject, the station that forwards it adds its own."""

    stream: str
    session: int
    subject: str | None = None


class AppendItem(Struct, frozen=True):
    """Append item `n` to a stream."""

    stream: str
    session: int
    n: int


class CloseStream(Struct, frozen=True):
    """End a stream."""

    stream: str
    session: int


Command = SendMessage | OpenStream | AppendItem | CloseStream


def subject_of(pilot: Machine, session: int) -> str:
    """The subject of a session. The subjects of a pilot take turns, one a session."""
    return pilot.subjects[session % len(pilot.subjects)] if pilot.subjects else f"{pilot.id}_subject"


def shared_subjects(topology: Topology) -> list[str]:
    """A sentence for each subject that several pilots have. It is no mistake: an animal may move from rig to rig."""
    rigs: dict[str, list[str]] = {}
    for pilot in topology.pilots:
        for subject in dict.fromkeys(pilot.subjects):
            rigs.setdefault(subject, []).append(pilot.id)
    return [_shared(subject, shared) for subject, shared in rigs.items() if len(shared) > 1]


def _shared(subject: str, rigs: list[str]) -> str:
    first, last = (rigs[:-1], rigs[-1]) if len(rigs) < 5 else (rigs[:3], f"{len(rigs) - 3} more")
    sentence = f"the subject {subject} is in {', '.join(first)} and {last}; its data are told apart by rig and session"
    return f"{sentence}. If these are different animals, give each a name of its own"


def stream_name(machine: str, stream: str, session: int) -> str:
    """The name that each item of a stream carries: `machine/stream/session`."""
    return f"{machine}/{stream}/{session}"


def stream_destination(topology: Topology, machine: Machine, stream: Stream) -> tuple[str, str]:
    """The recipient and the key of a stream: another machine, the terminal, or the parent, which forwards it."""
    if stream.to is not None and stream.to != topology.terminal.id:
        return stream.to, "STREAM_VIDEO"
    if stream.to is None and machine.parent != topology.terminal.id:
        return str(machine.parent), "CONTINUOUS"
    return topology.terminal.id, "CONTINUOUS"


def is_forwarded(topology: Topology, machine: Machine, stream: Stream) -> bool:
    """Whether the station of the parent forwards the items under its own name, with the subject that it knows."""
    to, key = stream_destination(topology, machine, stream)
    return key == "CONTINUOUS" and to != topology.terminal.id


def names_subject(topology: Topology, machine: Machine, name: str) -> bool:
    """Whether a machine says itself of whom the items of a stream are. Of those that are forwarded, about half do."""
    return not is_forwarded(topology, machine, machine.streams[name]) or crc32(f"{machine.id}/{name}".encode()) % 2 == 1


def _strided(picture: Any) -> Any:
    """The same array, not contiguous in memory, as a part of a camera's image is."""
    return np.repeat(picture[..., None], 2, axis=-1)[..., 0]


def item_of(seed: int, machine: str, name: str, stream: Stream, session: int, n: int) -> dict[str, Any]:
    """Item `n` of a stream. The same arguments give the same bytes, so a check can compare what arrived bit for bit."""
    head = {"stream": stream_name(machine, name, session), "n": n}
    if stream.shape is not None:
        own = seed_of(seed, machine, name)
        picture = frame(stream.dtype or "uint8", stream.shape, seed=own, n=n, content=stream.content)
        return {**head, "frame": picture if n % 2 == 0 else _strided(picture)}
    if stream.fields:
        return {**{field: math.sin(n / 40 + k) for k, field in enumerate(stream.fields)}, **head}
    return {**head, "text": "y" * (stream.bytes or 0)}
