"""The command line: `python -m tests.mutate`."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.mutate.bug import Bug
from tests.mutate.bugs import BUGS
from tests.mutate.measure import BUDGET_S, Bench, Measured, is_enough, summary

__all__ = ["main"]

EXIT_CODES = """
Exit code: 0 at least 90 % of the bugs were found, and the copy without a bug
held · 1 not so · 2 no bug has such a name.
"""


def main(args: list[str] | None = None) -> int:
    """Measure the bugs that are asked for. Returns the exit code."""
    options = _parser().parse_args(args)
    bugs = [bug for bug in BUGS if fnmatch.fnmatch(bug.title, options.only)]
    if not bugs:
        sys.stderr.write(f"--only {options.only}: no bug has such a name; see --list\n")
        return 2
    if options.list:
        sys.stdout.writelines(f"{bug.title}  ({bug.file}; by {bug.by})\n" for bug in bugs)
        return 0
    bench = Bench(budget_s=options.budget)
    measured = []
    for one in _measure(bench, bugs, options.jobs):
        measured.append(one)
        print(_line(one), file=sys.stderr if options.json else sys.stdout, flush=True)
    unsound = {name: f"{one.verdict}: {one.first}" for name, one in bench.sound.items() if one.verdict != "held"}
    if options.json:
        document = {"bugs": [one.as_json() for one in measured], "unsound": unsound}
        print(json.dumps(document, indent=1))
    for name, what in unsound.items():
        print(f"without a bug, {name} does not hold: {what}", file=sys.stderr)
    print(summary(measured), file=sys.stderr if options.json else sys.stdout)
    return 0 if is_enough(measured) and not unsound else 1


def _measure(bench: Bench, bugs: list[Bug], jobs: int) -> Iterator[Measured]:
    if jobs == 1:
        yield from map(bench.measure, bugs)
        return
    with ThreadPoolExecutor(jobs) as pool:  # each waits for its own processes
        yield from pool.map(bench.measure, bugs)


def _line(one: Measured) -> str:
    """One row of the table: the bug, what found it, and after how many seconds."""
    if one.by:
        return f"found   {one.kind + '/' + one.name:<80} {one.by:<16} {one.seconds:5.1f} s  {one.first[:100]}"
    said = "; ".join(f"{run}: {what}" for run, what in one.others.items() if what != "held")
    return f"MISSED  {one.kind + '/' + one.name:<80} {'':<16} {one.seconds:5.1f} s  {said}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutate",
        description="Put known bugs into copies of the tree, one at a time, and see which run finds each.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help="bugs whose kind/name matches, such as 'files/*'")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="bugs at a time; several disturb each other")
    parser.add_argument("--budget", type=float, default=BUDGET_S, metavar="S", help="seconds for one bug (default: 60)")
    parser.add_argument("--list", action="store_true", help="print the bugs, and run nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON; the table goes to stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
