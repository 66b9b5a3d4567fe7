"""The search for scenarios that fail: they are drawn, run, shrunk and tried again.

- `strategies.py`: hypothesis strategies for labs, storms and faults. `draw_labs.py`, `draw_faults.py`, `draw.py`: its
  parts.
- `hunt.py`: draws scenarios and runs them in virtual time until one fails. `hunt_progress.py`: what it prints.
- `trial.py`: runs one scenario.
- `shrink.py`: makes one smaller, by the steps in `reductions.py`. Both files are pure: no clock, no files.
- `draw_storms.py`: draws storms on a live lab. `retry.py`: plays one that failed again on fresh labs.
- `determinism.py`: whether two runs of a scenario in virtual time are the same.
"""
