"""The check of the signals that a rehearsal plays at its end: see `sim.emulator.signals`.

- `judged.py`: the check. Begin here.
- `finding.py`: what a signal showed.
- `strangers.py`: whether a KILL from a stranger was refused, a twin told, and a machine that came back served.
- `answers.py`: whether PINGs were answered, and whether what a machine raised reached the terminal.
"""
