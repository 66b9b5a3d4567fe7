"""The time diagram of what broke: from the journal to lines, arrows, marks and bars. `report/lamport_svg.py` draws it.

`selection.py` chooses the messages, `flights.py` works out which frame arrived when, `losses.py` which fault lost it,
`timescale.py` where on the axis each time stands, and `build.py` puts these together into a `model.Diagram`.
"""
