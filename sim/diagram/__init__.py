"""The time diagram of what broke: from the journal to lines, arrows, marks and bars. `report/lamport_svg.py` draws it.

`selection.py` chooses the messages. `flights.py` works out when each frame arrived, and `losses.py` which fault lost
it. `timescale.py` maps times to the axis. `build.py` puts these together into a `model.Diagram`.
"""
