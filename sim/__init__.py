"""A rehearsal of a lab on one machine. `python -m sim FILE` is in `cli`, one whole run in `rehearse.py`.

A run reads the lab (`lab`), makes a plan of faults and storms (`faults`, `scenario`), and plays it (`phases.py`) in a
`World` (`world.py`): on real processes (`processes`) or in virtual time (`virtual`). In both, `emulator` plays the
programs of the machines. What happens is written into a journal (`evidence`), which `checks` judge, and `report` and
`diagram` show. `search` looks for scenarios that break, `migrate` reads the files of an Autopilot lab.

For a lab's own tests: `plugin.py`, `labtest.py`, `strategies.py`.
"""
