"""The world of virtual time: the library's own endpoints and roles, with no socket, no thread and no clock.

`lab.py` is the `World`. `event_loop.py` has the time, `driver.py` carries out the effects of endpoints. Frames go
through `connections.py` and `links.py`; `machines.py` and `programs.py` are the stations and programs. Nothing here
waits, and the same scenario gives the same journal byte for byte.
"""
