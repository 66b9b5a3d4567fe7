"""Measures the checks: bugs are put into copies of the tree, one at a time, and rehearsals and hunts have to find them.

    python -m tests.mutate                     all bugs, each with every run until one finds it
    python -m tests.mutate --only 'files/*'    those whose kind and name match
    python -m tests.mutate --list              what there is

`bugs/` has the bugs, a file for kinds that go together. To add one, append a `Bug` to one of its lists: its kind, what
is wrong in a few words, the file, a text that stands there once, what a tired person would write instead, and the run
that should find it. `bug.py` says what a bug is, `runs.py` what is run, `measure.py` what counts as found.
"""
