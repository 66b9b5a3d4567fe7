"""The file that describes a lab: its format, how it is read and checked, and the tree of machines that it means.

`topology.py` is what the rest of `sim` uses. A key of the file is declared in `schema.py`, a fault in `fault.py`.
Whatever is drawn from the seed is drawn by `seeds.py`.
"""
