"""The file that describes a lab: its format, how it is read and checked, and the tree of its machines.

The rest of `sim` uses `topology.py`. `schema.py` declares the keys of the file, and `fault.py` a fault. `seeds.py`
makes all draws from the seed.
"""
