"""The world of virtual time: the library's own endpoints and roles, with no socket, no thread and no clock.

`lab.py` is the `World`. `event_loop.py` keeps the time, and `driver.py` carries out the effects of endpoints. Frames
cross `connections.py` and `links.py`. `machines.py` and `programs.py` are the stations and programs, and `start_up.py`
starts them. Nothing here waits, and the same scenario gives the same journal byte for byte.
"""
