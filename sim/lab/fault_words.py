"""What people call a fault when they do not know its verb: the verb that does it, and how to write it."""

from msgspec import Struct

__all__ = ["FAULT_WORDS", "FaultWord"]


class FaultWord(Struct, frozen=True):
    """What to write for a word that is no key of a fault."""

    sentence: str  # the end of "unknown key 'reboot'; …"
    verb: str = ""  # the verb that it stands for, so that its target can be checked too


def _is(verb: str, how: str) -> FaultWord:
    return FaultWord(f"write {how}", verb)


_REBOOT = _is("kill", "`kill: …` with `restart_after_s: …`")
_CRASH = _is("kill", "`kill: …`, with `restart_after_s: …` if it comes back")
_FREEZE = _is("pause", "`pause: …` with `resume_after_s: …`")
_UNPLUG = _is("cut", "`cut: …`, which is a link without its cable, with `heal_after_s: …`")
_DELAY = _is("slow", "`slow: …` with `latency_ms: …`")
_LOSS = _is("drop", "`drop: …` with `probability: …`")
_POWER = _is("power_cut", "`power_cut: …`, with `restart_after_s: …` if it comes back")
_WHEN = FaultWord("write `at_s: …`, in seconds from START")
_LONG = FaultWord("write `for_s: …`, or what ends the fault, such as `heal_after_s: …`")

FAULT_WORDS = {
    **dict.fromkeys(("reboot", "restarts", "power_cycle"), _REBOOT),
    **dict.fromkeys(("crash", "die", "dies", "stop", "shutdown"), _CRASH),
    **dict.fromkeys(("freeze", "hang", "suspend", "sleep"), _FREEZE),
    **dict.fromkeys(("unplug", "disconnect", "partition", "isolate", "break"), _UNPLUG),
    **dict.fromkeys(("delay", "latency", "lag"), _DELAY),
    **dict.fromkeys(("lose", "loss", "packet_loss"), _LOSS),
    **dict.fromkeys(("power_off", "power_loss", "blackout"), _POWER),
    **dict.fromkeys(("at", "when", "time", "time_s", "after", "after_s", "t"), _WHEN),
    **dict.fromkeys(("duration", "duration_s", "lasts", "lasts_s"), _LONG),
    "between": FaultWord("write `between_s: [earliest, latest]`, in seconds from START"),
}
