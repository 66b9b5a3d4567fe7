"""The bugs do not rot: each fits the source as it is, and is one that a person could have written."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace

import pytest

from tests import ROOT
from tests.mutate.bug import KINDS, Bug, StaleBugError, broken
from tests.mutate.bugs import BUGS, named
from tests.mutate.runs import RUNS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.title)
def test_it_fits_the_source_and_leaves_it_readable(bug: Bug) -> None:
    source = (ROOT / bug.file).read_text("utf-8")
    changed = broken(source, bug)
    assert changed != source
    if bug.file.endswith(".py"):
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def test_what_it_says_of_itself_is_known() -> None:
    assert {bug.kind for bug in BUGS} == {*KINDS}
    assert {bug.by for bug in BUGS} <= {*RUNS}
    assert [name for name, count in Counter(bug.name for bug in BUGS).items() if count > 1] == []


def test_no_bug_is_there_under_two_names() -> None:
    changes = [(bug.file, bug.old, bug.new) for bug in BUGS]
    assert [change for change, count in Counter(changes).items() if count > 1] == []


def test_a_bug_whose_text_has_gone_or_stands_there_twice_is_refused() -> None:
    bug = replace(BUGS[0], old="a = 1\n")
    assert broken("a = 1\nb = 2\n", replace(bug, new="a = 2\n")) == "a = 2\nb = 2\n"
    for source in ("b = 2\n", "a = 1\na = 1\n"):
        with pytest.raises(StaleBugError, match="times, and not once"):
            broken(source, bug)


def test_a_bug_is_found_by_its_name() -> None:
    assert named(BUGS[-1].name) is BUGS[-1]
