"""Describes a fault in a sentence, for reports."""

from __future__ import annotations

from collections.abc import Callable

from sim.faults.compile import REBOOT_S, STORM_S
from sim.lab.fault import ACTION_VERBS, VERBS, Fault, Several, target_of, verb_of

__all__ = ["describe"]

_ENDED = {"restart": "back", "resume": "resumed", "release": "released", "heal": "healed"}


def describe(fault: Fault) -> str:
    """A short sentence without a full stop, such as "rig_2 is killed at 15 s, back after 20 s"."""
    verb = verb_of(fault)
    who, several = _target_words(target_of(fault))
    word = _OTHERS.get(verb, _done)
    chance = f", with a probability of {fault.probability:g}" if fault.probability < 1 else ""
    return word(fault, verb, who, several) + ("" if VERBS[verb].is_of_messages else chance)


def _done(fault: Fault, verb: str, who: str, several: bool) -> str:
    """The sentence of most faults: "<target> is <done>"."""
    if VERBS[verb].on == "machine":
        subject = who if fault.what == "machine" else f"the {fault.what}{'s' * several} of {who}"
    else:
        subject = _link(fault, who, several)
    if verb == "power_cut":
        subject, several = f"{who} and all below", True
    is_ = "are" if several else "is"
    return f"{subject} {is_} {VERBS[verb].done} {_time(fault)}{_end(fault, verb)}"


def _slow(fault: Fault, verb: str, who: str, several: bool) -> str:
    del verb
    how = [f"{fault.latency_ms:g} ms"] if fault.latency_ms is not None else []
    how += [f"± {fault.jitter_ms:g} ms"] if fault.jitter_ms is not None else []
    how += [f"{fault.rate_mbit:g} Mbit/s"] if fault.rate_mbit is not None else []
    is_ = "are" if several else "is"
    return f"{_link(fault, who, several)} {is_} slowed to {', '.join(how)} {_time(fault)}{_end(fault, 'slow')}"


def _messages(fault: Fault, verb: str, who: str, several: bool) -> str:
    share = f"{fault.probability * 100:g} % of the " if fault.probability < 1 else ""
    most = ""
    if fault.first is not None:
        share, most = (share, f", {fault.first} at most,") if share else (f"the first {fault.first} ", "")
    key = f"{fault.key} " if fault.key is not None else ""
    what = VERBS[verb].done
    lasts = f", for {fault.heal_after_s:g} s" if fault.heal_after_s is not None else ""
    since = f"{_time(fault, since=True)}{lasts}"
    return f"{share}{key}messages on {_link(fault, who, several)} are {what}{most} {since}"


def _wifi_bad(fault: Fault, verb: str, who: str, several: bool) -> str:
    del verb
    have = "have" if several else "has"
    return f"{_link(fault, who, several)} {have} bad wifi {_time(fault, since=True)}, for {fault.for_s or STORM_S:g} s"


def _swizzle(fault: Fault, verb: str, who: str, several: bool) -> str:
    del verb
    links = f"some of {_link(fault, who, several)}"
    return f"{links} are cut, then healed, one by one {_time(fault, since=True)}, for {fault.for_s or STORM_S:g} s"


_OTHERS: dict[str, Callable[[Fault, str, str, bool], str]] = {
    "slow": _slow,
    "drop": _messages,
    "duplicate": _messages,
    "wifi_bad": _wifi_bad,
    "swizzle": _swizzle,
}


def _target_words(target: str | tuple[str, ...] | Several) -> tuple[str, bool]:
    """The words for a target, and whether they are plural."""
    if isinstance(target, str):
        pattern = any(letter in target for letter in "*?[")
        return (_like(target), True) if pattern else (target, False)
    if isinstance(target, tuple):
        *most, last = (_target_words(name)[0] for name in target) if target else ("no machine",)
        return (f"{', '.join(most)} and {last}" if most else last), len(target) > 1
    these = _like(target.of)
    if target.depth is not None:
        these += f" {target.depth} below the terminal"
    if target.random is None:
        return these, True
    return f"{target.random} of {these}, drawn,", target.random > 1


def _like(pattern: str) -> str:
    return "all machines" if pattern == "*" else f"all {pattern}"


def _link(fault: Fault, who: str, several: bool) -> str:
    way = {"both": "", "up": ", upward,", "down": ", downward,"}[fault.way]
    return f"the link{'s' * several} of {who}{way}"


def _time(fault: Fault, *, since: bool = False) -> str:
    if fault.between_s is not None:
        return f"between {fault.between_s[0]:g} and {fault.between_s[1]:g} s"
    return f"{'from' if since else 'at'} {fault.at_s or 0:g} s"


def _end(fault: Fault, verb: str) -> str:
    """The end of the sentence: when the fault ends by itself."""
    if verb == "rolling_reboot":
        gone = REBOOT_S if fault.restart_after_s is None else fault.restart_after_s
        return f", each back after {gone:g} s" + (f", within {fault.for_s:g} s" if fault.for_s is not None else "")
    kind = VERBS[verb]
    after_s = getattr(fault, kind.until) if kind.until else None
    return "" if after_s is None else f", {_ENDED[str(ACTION_VERBS[kind.acts[0]].ended_by)]} after {after_s:g} s"
