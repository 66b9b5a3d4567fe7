"""A lab as real processes on loopback. It uses the public names of the library, and signals, sockets and clocks.

- `lab.py`: the whole lab, from its start to its end. Begin here.
- `supervisor.py`: starts, kills and pauses the processes, and reads their reports.
- `machines.py`: the two processes of a machine. `program_process.py`: what runs in that of its program.
- `faults.py`: carries out faults. `storms.py`: plays storms, with the raw zmq peers of `raw_peer.py`.
- `relay_process.py`, `relay.py`, `proxy.py`: the relays of links, from the process down to single connections.
- `reaper.py`: kills everything when the parent has ended. `start_up.py`: what is needed before the first process.
- `usage.py`: samples CPU and memory.
"""
