"""Checks the faults of a file: each has one verb, a time within the session and a target, and ends only what began.

As in `validate.py`, checks take nodes, add mistakes with their lines, and skip broken nodes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sim.lab.expand import WrittenMachine
from sim.lab.fault import ACTION_VERBS, VERBS, Fault, named
from sim.lab.fault_words import FAULT_WORDS
from sim.lab.validate_types import did_you_mean
from sim.lab.yaml.nodes import Mistakes, YamlNode, show

__all__ = ["check_faults", "idle_options", "is_after_session", "options_of"]

Tell = Callable[[int, str], None]

_COMMON = ("at_s", "between_s", "probability")


@dataclass(frozen=True, slots=True)
class _ReadFault:
    """A valid fault."""

    verb: str
    line: int
    earliest_s: float
    latest_s: float
    struck: frozenset[str]  # the ids of all machines that it may strike

    @property
    def time(self) -> str:
        return f"{self.earliest_s:g} s" if self.earliest_s == self.latest_s else f"up to {self.latest_s:g} s"


def check_faults(machines: list[WrittenMachine], root: YamlNode, mistakes: Mistakes) -> None:
    """Add every mistake in `faults` that concerns more than one key."""
    faults = root.mapping.get("faults")
    if faults is None:
        return
    session = root.mapping.get("session")
    duration = session.number("duration_s") if session is not None and "duration_s" in session.mapping else 10.0
    by_id = {machine.id: machine for machine in machines if machine.id is not None}
    # A fault may be for a machine whose id is missing. An id of a wrong type is known as it was typed.
    all_have_ids = len(machines) > 1 and all(machine.typed_id for machine in machines)
    misspelt = {machine.typed_id for machine in machines if machine.id is None}
    read: list[_ReadFault | None] = []
    for node in faults.items:
        fault = _FaultEntry(node, by_id, misspelt, mistakes.add)
        read.append(fault.read(duration, all_have_ids=all_have_ids))
    valid = [fault for fault in read if fault is not None]
    if len(valid) == len(faults.items):
        for line, sentence in _ends_without_begin(valid):
            mistakes.add(line, sentence)


def options_of(verb: str) -> tuple[str, ...]:
    """The keys that a fault of this verb takes beside its verb."""
    return (*_COMMON, *VERBS[verb].options)


def idle_options(verb: str, keys: Iterable[str]) -> list[str]:
    """The keys of a fault that have no effect with its verb."""
    return [key for key in keys if key in Fault.__struct_fields__ and key not in (verb, *options_of(verb))]


def is_after_session(earliest_s: float, latest_s: float, duration_s: float) -> bool:
    """Whether a fault may strike after the session. One with a drawn time may strike exactly at the session's end."""
    return earliest_s >= duration_s or latest_s > duration_s


def _ends_without_begin(faults: list[_ReadFault]) -> Iterator[tuple[int, str]]:
    """The line and the mistake of each fault that ends something which cannot have begun before."""
    for end in faults:
        strikes = ACTION_VERBS[VERBS[end.verb].acts[0]].undoes
        if not strikes or not end.struck:
            continue
        begun = (it for it in faults if end.verb in VERBS[it.verb].ended_by and it.earliest_s <= end.latest_s)
        if not any(it.struck & end.struck for it in begun):
            ids = " or ".join(show(id) for id in sorted(end.struck)[:3])
            link = "the link of " if VERBS[end.verb].on == "link" else ""
            yield end.line, f"there is nothing to {end.verb} at {end.time}: no fault {strikes} {link}{ids} before that."


class _FaultEntry:
    """One entry of `faults`."""

    def __init__(self, node: YamlNode, by_id: dict[str, WrittenMachine], misspelt: set[str], tell: Tell) -> None:
        self._node = node
        self._machines = by_id
        self._misspelt = misspelt
        self._is_valid = True
        self._keys = {key: under for key, under in node.mapping.items() if under.value is not None}
        self._add = tell

    def _tell(self, line: int, sentence: str) -> None:
        self._is_valid = False
        self._add(line, sentence)

    def read(self, duration: float | None, *, all_have_ids: bool) -> _ReadFault | None:
        """Check the entry. Returns the fault, or None if it is not valid."""
        if not isinstance(self._node.value, dict):
            return None
        verb = self._verb()
        self._check_time(duration)
        if verb is None:
            if all_have_ids:
                self._check_other_words()
            return None
        self._check_options(verb)
        struck = self._struck(verb) if all_have_ids else frozenset[str]()
        if not self._is_valid or not self._node.is_valid:
            return None
        earliest, latest = self._window()
        return _ReadFault(verb, self._node.line, earliest, latest, struck)

    def _verb(self) -> str | None:
        verbs = [verb for verb in VERBS if verb in self._keys]
        if len(verbs) == 1:
            return verbs[0]
        if verbs:
            both = " and ".join(f"`{verb}`" for verb in verbs)
            self._tell(self._node.line, f"the fault has {both}; give each an entry of its own.")
        elif self._node.is_valid:  # else an unknown key may be a mistyped verb, whose mistake was added
            self._tell(self._node.line, f"the fault does not say what goes wrong; give one of {', '.join(VERBS)}.")
        return None

    # -- when ----------------------------------------------------------------------------------------------------

    def _check_time(self, duration: float | None) -> None:
        given = [key for key in ("at_s", "between_s") if key in self._keys]
        if len(given) == 2:
            self._tell(self._node.line, "the fault has both `at_s` and `between_s`; give one of them.")
        elif not given and self._node.is_valid:
            self._tell(self._node.line, "the fault does not say when; give `at_s`, or `between_s` to have it drawn.")
        if len(given) != 1 or not self._keys[given[0]].is_valid:
            return
        earliest, latest = self._window()
        line = self._keys[given[0]].line
        if earliest > latest:
            self._tell(line, f"`between_s` is [earliest, latest], and {earliest:g} is more than {latest:g}.")
        elif duration is not None and is_after_session(earliest, latest, duration):
            self._tell(line, f"a fault at {latest:g} s is not within the session of {duration:g} s.")

    def _window(self) -> tuple[float, float]:
        if "between_s" in self._keys:
            earliest, latest = self._keys["between_s"].plain
            return earliest, latest
        at: float = self._keys["at_s"].plain
        return at, at

    # -- how -----------------------------------------------------------------------------------------------------

    def _check_options(self, verb: str) -> None:
        kind = VERBS[verb]
        takes = kind.options
        for key in idle_options(verb, self._keys):
            fits = f"it takes {', '.join(takes)}." if takes else "it takes none but a time and a probability."
            self._tell(self._keys[key].line, f"`{key}` means nothing to `{verb}`; {fits}")
        if kind.needs and self._node.is_valid and not any(key in self._keys for key in kind.needs):
            self._tell(self._node.line, f"`{verb}` {kind.without}.")

    # -- targets -------------------------------------------------------------------------------------------------

    def _struck(self, verb: str) -> frozenset[str]:
        target = self._keys[verb]
        if not target.is_valid:
            return frozenset()
        below = isinstance(target.value, dict)
        if below and not target.mapping:
            self._tell(target.line, f"`{verb}` names no machine; give `depth`, `random` or `of`.")
            return frozenset()
        if isinstance(target.value, list) and not target.items:
            self._tell(target.line, f"`{verb}` names no machine; give at least one id.")
        words = [target] if isinstance(target.value, str) else target.items
        if below:
            words = [target.mapping["of"] if "of" in target.mapping else YamlNode(target.line, "*")]
        meant = {id for word in words for id in self._meant(verb, word)}
        if below and meant:
            meant = self._several(verb, target, meant)
        if verb == "power_cut":
            meant |= {id for id, machine in self._machines.items() if any(above.id in meant for above in machine.above)}
        return frozenset(meant)

    def _check_other_words(self) -> None:
        """Check the target under a key that is no verb, and is known to be another word for one."""
        for key, under in self._keys.items():
            if (verb := FAULT_WORDS[key].verb if key in FAULT_WORDS else "") and under.typed:
                self._meant(verb, YamlNode(under.line, under.typed))

    def _meant(self, verb: str, word: YamlNode) -> set[str]:
        """The ids that an id or a pattern stands for. It is a mistake if there are none."""
        text = str(word.value)
        if text in self._misspelt:
            self._is_valid = False  # the mistake of its id was added before
            return set()
        terminal = next(iter(self._machines))
        meant = {id for id in self._machines if named([text], id, terminal=terminal)}
        if not meant:
            pattern = any(letter in text for letter in "*?[")
            nothing = f"no machine's id matches {show(text)}" if pattern else f"there is no machine {show(text)}"
            close = did_you_mean(text, dict.fromkeys(self._machines))
            self._tell(word.line, f"`{verb}` has no target: {nothing}; {close}")
        elif VERBS[verb].on == "link" and terminal in meant:
            why = f"{show(terminal)} is the terminal, and has no link up that `{verb}` could strike"
            self._tell(word.line, f"{why}; name machines below it.")
        return meant

    def _several(self, verb: str, target: YamlNode, meant: set[str]) -> set[str]:
        depth, random = target.number("depth"), target.number("random")
        deepest = max(self._machines[id].depth for id in meant)
        if depth is not None:
            meant = {id for id in meant if self._machines[id].depth == depth}
            if not meant:
                self._tell(
                    target.line_of("depth"),
                    f"`{verb}` has no target: none of these is {depth} below the terminal; the deepest is {deepest}.",
                )
        if random is not None and meant and random > len(meant):
            these = f"{len(meant)} machine{'s' * (len(meant) > 1)}"
            self._tell(target.line_of("random"), f"`{verb}` cannot draw {random} out of {these}; ask for fewer.")
        return meant
