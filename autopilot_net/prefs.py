"""Reads the settings of a station from an Autopilot machine's prefs. Other prefs are ignored, and logged."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from autopilot_net.defaults import PING_INTERVAL_S
from autopilot_net.errors import AutopilotNetError

__all__ = ["Source", "pilot_settings", "terminal_settings"]

logger = logging.getLogger("autopilot_net")

Source = Mapping[str, Any] | str | os.PathLike[str]

TERMINAL = "T"  # what every terminal of Autopilot's is called
MSGPORT, PUSHPORT = 5565, 5560  # its defaults
MOST_PORT = 65_535


def pilot_settings(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a pilot's station: those in `given`, and for the rest what the prefs say.

    Raises `AutopilotNetError` for prefs that cannot be read, and names the one that is missing or wrong.
    """
    prefs = _Prefs(source)
    is_child = prefs.get("LINEAGE", _lineage) == "CHILD"
    settings = {
        "id": prefs.get("NAME", _text),
        "listen_port": prefs.get("MSGPORT", _port, MSGPORT),
        "children": prefs.get("CHILDID", _names, []),
        "file_dir": prefs.sounds(),
        "ping_interval": prefs.get("PING_INTERVAL", _seconds, PING_INTERVAL_S),
        **(_below_a_parent(prefs) if is_child else _below_the_terminal(prefs)),
        **given,
    }
    where = ("PARENTID", "PARENTIP", "PARENTPORT") if is_child else ("PUSHID", "TERMINALIP", "PUSHPORT")
    names = zip(("id", "push_id", "push_ip", "push_port"), ("NAME", *where), strict=True)
    prefs.require(settings, dict(names))
    prefs.tell_what_is_left()
    return settings


def terminal_settings(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a terminal's station, likewise. Its id is T, whatever its NAME is."""
    prefs = _Prefs(source)
    prefs.get("NAME", _text)
    settings = {
        "listen_port": prefs.get("MSGPORT", _port),
        "file_dir": prefs.sounds(),
        "data_fps": prefs.get("DRAWFPS", _seconds, 20.0),
        **given,
    }
    prefs.require(settings, {"listen_port": "MSGPORT"})
    prefs.tell_what_is_left()
    return settings


def _below_a_parent(prefs: _Prefs) -> dict[str, Any]:
    return {
        "push_id": prefs.get("PARENTID", _somebody),
        "push_ip": prefs.get("PARENTIP", _somebody),
        "push_port": prefs.get("PARENTPORT", _port),
    }


def _below_the_terminal(prefs: _Prefs) -> dict[str, Any]:
    return {
        "push_id": prefs.get("PUSHID", _text, TERMINAL),
        "push_ip": prefs.get("PUSHIP", _text) or prefs.get("TERMINALIP", _text),
        "push_port": prefs.get("PUSHPORT", _port, PUSHPORT),
    }


class _Prefs:
    """Prefs, and which of them were asked for."""

    def __init__(self, source: Source) -> None:
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        self.where = path or "prefs"
        self._values: dict[str, Any] = dict(source) if isinstance(source, Mapping) else _load(self.where)
        self._asked: set[str] = set()

    def get(self, name: str, read: Callable[[Any], Any], default: Any = None) -> Any:
        """What `read` makes of the pref, which may stand there as {"value": …}; `default` where it is not set."""
        self._asked.add(name)
        value = self._values.get(name)
        if isinstance(value, Mapping) and "value" in value:
            value = value["value"]
        if value is None or value == "":
            return default
        try:
            return read(value)
        except (TypeError, ValueError) as error:
            raise AutopilotNetError(f"{self.where}: {name} is {value!r}, and must be {error}") from error

    def sounds(self) -> str | None:
        """The folder of task files, where Autopilot has it. DATADIR is none: it holds what no pilot may ask for."""
        base = self.get("BASEDIR", _text)
        found: str | None = self.get("SOUNDDIR", _text, None if base is None else os.path.join(base, "sounds"))
        return found

    def require(self, settings: Mapping[str, Any], names: Mapping[str, str]) -> None:
        """Raise unless each of these settings, which come from these prefs, is there."""
        missing = [pref for setting, pref in names.items() if settings[setting] is None]
        if missing:
            instead = [setting for setting, pref in names.items() if pref in missing]
            raise AutopilotNetError(
                f"{self.where}: {', '.join(missing)} must be set for such a station; set it there, or give "
                f"{', '.join(instead)} to from_prefs"
            )

    def tell_what_is_left(self) -> None:
        """Log which prefs have no meaning for a station."""
        left = sorted(str(name) for name in self._values if name not in self._asked)
        if left:
            logger.info("%s: its station makes nothing of %s", self.where, ", ".join(left))


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            read = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise AutopilotNetError(f"{path}: these prefs cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise AutopilotNetError(f"{path}: prefs are one JSON object, and this is a {type(read).__name__}")
    return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _somebody(value: Any) -> str | None:
    """An id or an address. Forms write NONE for nobody."""
    return None if _text(value).strip().upper() == "NONE" else value


def _port(value: Any) -> int:
    must = f"a whole number from 0 to {MOST_PORT}"
    number = _number(value, must)
    if not number.is_integer() or not 0 <= number <= MOST_PORT:
        raise ValueError(must)
    return int(number)


def _seconds(value: Any) -> float:
    must = "a number above 0"
    number = _number(value, must)
    if not 0 < number < math.inf:
        raise ValueError(must)
    return number


def _number(value: Any, must: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(must)
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError(must) from None


def _lineage(value: Any) -> str:
    lineage = value.strip().upper() if isinstance(value, str) else ""
    if lineage not in ("NONE", "PARENT", "CHILD"):
        raise ValueError("NONE, PARENT or CHILD")
    return lineage


def _names(value: Any) -> list[str]:
    """Children."""
    names = list(value) if isinstance(value, list | tuple) else [value]
    if not all(name is None or isinstance(name, str) for name in names):
        raise TypeError("an id, or a list of ids")
    return [name for name in names if name and _somebody(name)]
