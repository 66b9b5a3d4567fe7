"""The command line: `python -m sim FILE`, `replay`, `hunt`, `bench`, `import` and `schema`.

`commands.py` has the list of commands, the help texts and `main`. Each of `rehearse.py`, `hunt.py`, `bench.py` and
`import_lab.py` has one group of commands. `options.py` has the options that commands share, `console.py` what is
printed.
"""

from sim.cli.commands import app, main

__all__ = ["app", "main"]
