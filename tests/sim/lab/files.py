"""The shipped topology files, and a small one."""

import re

from tests import ROOT

SHIPPED = ROOT / "topologies"
LABS = ["pair", "lab", "boxroom", "chain", "campus", "badday"]
ONE_RIG = "pilots:\n  - id: rig_1\n"


def cases(table: str) -> dict[str, str]:
    """Files, each with the mistake in it: `line: sentence`.

    In the table, a file is followed by an arrow and the sentence, and three dots stand for `ONE_RIG`.
    """
    found = {}
    for block in re.sub(r"^# .*\n", "", table, flags=re.MULTILINE).strip().split("\n\n"):
        text, sentence = block.strip().split("\n=> ")
        found[text.replace("...\n", ONE_RIG)] = " ".join(sentence.split())
    return found
