"""Whether stations refused what strangers asked, served a machine that came back, told of twins, and heard no double.

Whether a liar was believed shows in what does not reach the terminal: see `answers.py`.

What strangers do is in `sim.emulator.strangers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.checks.signals.answers import has_open_error
from sim.checks.signals.finding import Finding, doubt, wrong
from sim.emulator.strangers import GAVE, OUTSIDE
from sim.evidence.index import Index
from sim.evidence.journal import Entry

__all__ = ["given_away", "heard_doubles", "killed", "misled", "unnoticed_twins", "unserved"]


def killed(index: Index) -> Iterator[Finding]:
    """The stations that ended after a stranger said KILL, or did not answer it."""
    for said in _said(index, "kill"):
        ended = [entry for entry in index.evidence.journal.of("died") if entry.to == said.to and entry.t >= said.t]
        if ended:
            yield wrong(said.to, f"the station of {said.to} obeyed a KILL from a stranger", stands=True)
        elif _answer(index, said) is False:
            yield doubt(said.to, f"whether {said.to} refuses a KILL from a stranger: it did not answer")


def heard_doubles(index: Index) -> Iterator[Finding]:
    """The stations that handled what came from below under their own id."""
    handled = {(t.at, t.id) for t in index.evidence.journal.traces if t.do == "Deliver"}
    for said in _said(index, "double"):
        if (said.to, said.id) in handled:
            yield wrong(said.to, f"{said.to} handled a message of a stranger that came under the id {said.to} itself")


def given_away(index: Index) -> Iterator[Finding]:
    """The terminal, if it sent a stranger a file that lies outside of its folder of files."""
    for said in _said(index, "thief"):
        answer = _answer(index, said)
        if answer == GAVE:
            text = f"{said.to} was asked for {OUTSIDE}, which lies outside of its folder of files, and sent it"
            yield wrong(said.to, text)
        elif answer is False:
            yield doubt(said.to, f"whether {said.to} keeps {OUTSIDE} to itself: it did not answer")


def misled(index: Index) -> Iterator[Finding]:
    """The terminal, if it took the confirmation of a message of another life for one of its own."""
    for said in _said(index, "again"):
        if _answer(index, said) is False:
            text = f"{said.to} sent a message that was confirmed to another life of {said.to}, and never sent it again"
            yield wrong(said.to, text)


def unserved(index: Index) -> Iterator[Finding]:
    """The stations that did not serve a machine which came back while its old connection was still open.

    They served the old connection, and other strangers in the meantime.
    """
    for said in _said(index, "reboot"):
        if said.id.endswith(".b1") and _answer(index, said) is False:
            if _is_served(index, said):
                text = f"{said.to} does not serve a machine that reboots, as long as its old connection is open"
                yield wrong(said.to, text)
            else:
                text = f"whether {said.to} serves a machine that reboots: it did not answer others either"
                yield doubt(said.to, text)


def unnoticed_twins(index: Index) -> Iterator[Finding]:
    """The twins of which the terminal's program was not told, though their station heard each of them in turn."""
    told = {str(entry.value.get("machine")) for entry in index.evidence.journal.of("twin told")}
    home = index.evidence.topology.terminal.id
    for said in _said(index, "twin"):
        if not said.id.endswith(".a2") or said.by in told:
            continue
        if _answer(index, said) and not has_open_error(index, said.to, said.t):
            text = f"two machines of one id took turns at {said.to}, and the program of {home} was not told"
            yield wrong(said.to, text)
        else:
            yield doubt(said.to, f"whether {said.to} notices two machines of one id: it has not settled")


def _said(index: Index, key: str) -> list[Entry]:
    return [entry for entry in index.evidence.journal.of("stranger") if entry.key == key]


def _answer(index: Index, said: Entry) -> Any:
    """Whether what a stranger said was confirmed, or what answered it. None if nobody waited for that."""
    for entry in index.evidence.journal.of("stranger answered"):
        if entry.id == said.id:
            return entry.value
    return None


def _is_served(index: Index, said: Entry) -> bool:
    """Whether the station has confirmed what the strangers before it said."""
    answers = [entry for entry in index.evidence.journal.of("stranger answered") if entry.to == said.to]
    others = [entry for entry in answers if entry.id.endswith((".a1", ".own"))]
    return bool(others) and all(entry.value for entry in others)
