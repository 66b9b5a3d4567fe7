"""What the programs of a lab do in a rehearsal, the same on processes and in virtual time.

- `session_script.py` and `machine_script.py`: what a session asks of the terminal and of every other machine.
  `session.py` has the commands that they return, and the streams.
- `program.py`: the emulated program, which carries these commands out. `recorder.py`: its listens.
  `copies.py`: what the terminal's has of each rig's data. `files.py`: the files that it finds on its machine.
- `sender.py`: sends and journals messages. `storms.py`: plays storms.
- `signals.py`: what is done to a calm lab at its end, and must be answered. `strangers.py`: what raw peers do then.
- `convergence.py`: whether a lab has recovered from its faults. `bandwidth.py`: whether its links are fast enough.
- `library_errors.py`: journals internal errors of the library.

All but `program.py`, `sender.py` and `library_errors.py` is pure: no clock, no thread, no files.
"""
