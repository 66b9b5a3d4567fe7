"""The bench: how fast the library is, beside bare pyzmq in one run.

- `works.py`: the table of works. Begin here.
- `bare.py`, `ours.py`: the processes that play a work on each side. `labs.py`: works that are whole labs.
- `load.py`: what is sent, and how a recipient counts it. `usage.py`: what a process has used.
- `stage.py`: starts the processes of one measurement, and ends them.
- `measure.py`: plays works in turn, several rounds. `results.py`: what came of that.
- `compare.py`: what has become better or worse. `table.py`: what is printed. `page.py`: the page.
"""
