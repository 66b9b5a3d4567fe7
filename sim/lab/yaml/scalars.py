"""How a plain scalar of YAML is read: as what a person means by it, and never as what only some readers make of it.

YAML 1.1, which PyYAML reads, and YAML 1.2 differ. `010` is 8 in one and 10 in the other, `12:30` is 750 or text, and
`1e3` is text or 1000. What people type as a number is read as one, times stay text, and what is ambiguous is refused.
"""

import re

__all__ = ["DIFFERS", "ambiguity", "tag_of"]

_TAG = "tag:yaml.org,2002:"
DIFFERS = "!ambiguous"  # the tag of a number that YAML 1.1 and 1.2 read differently

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"([-+]?)0+([0-9][0-9_]*)")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?")
_OTHER_BASE = re.compile(r"[-+]?(0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO](_?[0-7])+)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_LONGEST = 100  # a longer text is no number


def tag_of(text: str, tag: str) -> str:
    """The tag of a plain scalar without a tag of its own. `tag` is what YAML 1.1 makes of it."""
    if _INT.fullmatch(text):
        return f"{_TAG}int"
    if _number_of(text) is not None:
        return DIFFERS
    if _FLOAT.fullmatch(text):
        return f"{_TAG}float"
    return f"{_TAG}str" if _SEXAGESIMAL.fullmatch(text) else tag


def ambiguity(text: str) -> str:
    """Why readers of YAML differ about a plain scalar, and what to write instead. Empty if they do not."""
    number = _number_of(text)
    if number is not None:
        octal = "a number that begins with 0 is octal for some readers of YAML, and decimal for others"
        why = octal if _LEADING_ZERO.fullmatch(text) else "it is a number for some readers of YAML, and text for others"
        return f"{why}; write {number}"
    truth = _TRUTHS.get(text.lower())
    return f"it is {truth} for some readers of YAML, and text for others; write {truth}" if truth else ""


def _number_of(text: str) -> str | None:
    """The number that was probably meant by a scalar that is a number for some readers only; None for any other."""
    if len(text) > _LONGEST or _INT.fullmatch(text):
        return None
    if match := _LEADING_ZERO.fullmatch(text):
        return str(int(f"{match[1]}{match[2]}".replace("_", "")))
    if _UNDERSCORES.fullmatch(text):
        bare = text.replace("_", "")
        return bare.lstrip("+") if "." in bare else str(int(bare))
    return str(int(text, 0)) if _OTHER_BASE.fullmatch(text) else None
