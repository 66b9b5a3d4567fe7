"""What a link did, in words with units: '1.05 MB up, 31.3 kB down, slow by 80 ms'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.lab.fault import ACTION_VERBS

__all__ = ["amount", "fact_words", "verb_words"]


def amount(count: float) -> str:
    """A number of bytes: '812 bytes', '31.3 kB', '1.05 MB'."""
    if count < 1000:
        return f"{count:,.0f} bytes" if count != 1 else "1 byte"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":
            break
    return f"{count:,.3g} {unit}" if count < 1000 else f"{count:,.0f} {unit}"


def verb_words(verb: str) -> str:
    """What an event of a link is called: 'slow link' for `shape`."""
    facts = ACTION_VERBS.get(verb)
    return (facts.name if facts else "") or verb


def fact_words(value: Any) -> str:
    """The facts of an event of a link, in words. What is as usual is left out."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    words = [_words(name, fact) for name, fact in value.items() if fact not in (None, "", [], {})]
    return ", ".join(word for word in words if word)


def _words(name: str, fact: Any) -> str:
    if name in _WORDS and isinstance(fact, (int, float, str)):
        return _WORDS[name](fact)
    if isinstance(fact, (int, float)) and not isinstance(fact, bool):
        return next(
            (f"{name.removesuffix(end)} {fact:g} {unit}" for end, unit in _UNITS.items() if name.endswith(end)), ""
        ) or (f"{name} {fact:,}")
    return f"{name} {fact}"


_UNITS = {"_ms": "ms", "_s": "s", "_mbit": "Mbit/s", "_pct": "%", "_kb": "kB"}


def _counted(one: str) -> Callable[[Any], str]:
    return lambda count: f"{count:,} {one}{'' if count == 1 else 's'}"


_WORDS: dict[str, Callable[[Any], str]] = {
    "up": lambda count: f"{amount(count)} up",
    "down": lambda count: f"{amount(count)} down",
    "connection": lambda number: f"connection no. {number}",
    "connections": _counted("connection"),
    "refused": lambda count: f"{count:,} refused" if count else "",
    "fault": lambda number: f"by fault no. {number + 1} of the file",
    "way": lambda way: "" if way == "both" else f"{way} only",
    "what": lambda what: "" if what == "machine" else f"the {what} only",
    "probability": lambda share: "" if share == 1 else f"with a probability of {share:g}",
    "latency_ms": lambda ms: f"{ms:g} ms later" if ms else "",
    "jitter_ms": lambda ms: f"± {ms:g} ms" if ms else "",
    "rate_mbit": lambda rate: f"at most {rate:g} Mbit/s",
    "at_us": lambda _: "",
}
