"""The wall clock of each machine on processes: wrong, drifting, and set in mid-session, by Debian's faketime.

- `faketime.py`: finds its library, starts the fork server under it, and gives a process the clock of its machine.
- `wall_clocks.py`: the files that say what each clock shows, written by the parent.
"""
