"""The check of the signals that a rehearsal plays at its end: see `sim.emulator.signals`.

- `judged.py`: the check. Begin here.
- `answers.py`: whether PINGs were answered, and whether what a machine raised reached the terminal.
"""
