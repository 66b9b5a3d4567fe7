"""The list of commands, their help texts, and `main`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from cyclopts import App, Parameter

from sim.cli.bench import bench
from sim.cli.hunt import hunt_for
from sim.cli.import_lab import import_autopilot
from sim.cli.output import forgiving_output
from sim.cli.rehearse import replay, run
from sim.cli.schema_text import schema_text
from sim.lab.topology import schema
from sim.rehearse import EXIT

__all__ = ["app", "main"]

HELP = """Rehearse a lab: every station of a topology as a real process.

For example:
    python -m sim topologies/lab.yaml              the whole rehearsal
    python -m sim topologies/lab.yaml --seed 7     the same storms again
    python -m sim topologies/lab.yaml --no-storm --quiet
    python -m sim topologies/lab.yaml --json | jq .verdict
    python -m sim topologies/badday.yaml --virtual in virtual time, in a second
    python -m sim topologies/lab.yaml --save lab.json
    python -m sim replay lab.json                  what was saved, or failed
    python -m sim hunt topologies/lab.yaml --for 5m
    python -m sim import pilot_db.json --output my.yaml
    python -m sim schema --text                    what a topology may have
    python -m sim bench --quick                    how fast it is here

It plays a session with the faults of the topology, then storms of messages.
It says in the terminal and in a report what held and what broke.

Exit code: 0 it held · 1 something broke · 2 the file or the command is wrong ·
3 it could not be told · 130 Ctrl-C.
"""
HELP_IMPORT = """Make a topology from the files of an Autopilot lab.

For example:
    python -m sim import pilot_db.json                      on the screen
    python -m sim import pilot_db.json --output my.yaml     into a file
    python -m sim import pilot_db.json *.prefs.json --prefs terminal.json

A pilot_db seldom has children. A child without prefs of its own is made from
the CHILDID of its parent. The prefs of a machine override its entry in the
pilot_db. Comments in the topology mark what is a guess, what does not fit,
and which machines have no place in it. What does not fit is also printed on
stderr.

Exit code: 0 imported · 1 imported, but look at what is on stderr · 2 refused,
and nothing was written.
"""
HELP_HUNT = """Search for a scenario that fails: labs, storms and faults, drawn together.

For example:
    python -m sim hunt topologies/lab.yaml --for 5m         on every core
    python -m sim hunt topologies/lab.yaml --for 5m --seed 7
    python -m sim replay reports/hunt-lab-…/regression.json --virtual
    python -m sim hunt --exhaustive --bound small           all of small labs

Half of the scenarios use small parts of the lab. The other half use labs that
are drawn too. The first scenario that fails is shrunk, tried on real processes,
and saved. The same seed and number of jobs draw the same scenarios.

--exhaustive tries every order, loss, copy, restart and timer, within a bound,
on the library's own small labs.

Exit code: 0 nothing found · 1 found · 2 wrong file or command ·
3 the time was up before all was explored · 130 Ctrl-C.
"""

HELP_BENCH = """Measure how fast the library is, beside bare pyzmq, in one run.

For example:
    python -m sim bench                                  all works, 5 rounds each
    python -m sim bench --only "small,round trip" --quick
    python -m sim bench --save before.json
    python -m sim bench --compare before.json            what has changed

Sides play each work in turn, since a machine is now fast, now slow: compare
ratios to bare pyzmq, not times of two runs. Calls of Python functions are
counted in a run of their own, which is not timed.

Exit code: 0 measured · 1 slower than --compare: more calls a message, or less
than half of the ratio · 2 wrong command · 3 a work came to nothing.
"""

app = App(
    name="python -m sim",
    help=HELP,
    help_format="plaintext",
    version_flags=[],
    suppress_keyboard_interrupt=False,  # `main` handles it
)
app.default(run)
app.command(replay)
app.command(import_autopilot, name="import", help=HELP_IMPORT)
app.command(hunt_for, name="hunt", help=HELP_HUNT)
app.command(bench, help=HELP_BENCH)


@app.command(name="schema")
def print_schema(
    *,
    text: Annotated[
        bool, Parameter(negative="", help="For people: every key with its type, unit and default.")
    ] = False,
) -> int:
    """Print the JSON Schema of a topology, for editors."""
    sys.stdout.write(schema_text() if text else json.dumps(schema(), indent=2) + "\n")
    return 0


def main() -> None:
    """Run the command, and exit with its code."""
    forgiving_output()
    if len(sys.argv) == 1:
        app.help_print()
        sys.exit(0)
    try:
        code = app(result_action="return_value", exit_on_error=False, print_error=True)
    except KeyboardInterrupt:  # before a rehearsal or a hunt began
        sys.stderr.write("INTERRUPTED: nothing had been played yet\n")
        code = EXIT["interrupted"]
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):
            sys.exit(2)  # cyclopts has printed what is wrong with the command
        raise
    sys.exit(code if isinstance(code, int) else 0)
