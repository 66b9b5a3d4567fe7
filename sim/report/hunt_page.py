"""Writes the page of a hunt: what came of it, and what its scenarios went through and never did.

It is one file that opens without a network. What a hunt has found has a page of its own, which this one links.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from sim.coverage.table import Coverage

__all__ = ["HuntPage", "write_hunt"]

TEMPLATE = Path(__file__).with_name("hunt.html.j2")


class HuntPage(Struct, kw_only=True):
    """What the page of a hunt shows."""

    title: str  # such as "hunt in lab"
    verdict: str
    sentence: str
    facts: list[str] = []  # such as "seed 7"
    broke: list[str] = []  # sentences
    found: str = ""  # the page of what was found, seen from this one
    replay: str = ""  # the command that runs it again
    coverage: Coverage = Coverage()


def write_hunt(page: HuntPage, folder: Path) -> Path:
    """Write hunt.html into `folder`, which is made if it does not exist. Returns its path."""
    from jinja2 import Environment, StrictUndefined

    folder.mkdir(parents=True, exist_ok=True)
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    path = folder / "hunt.html"
    path.write_text(jinja.from_string(TEMPLATE.read_text(encoding="utf-8")).render(page=page), encoding="utf-8")
    return path
