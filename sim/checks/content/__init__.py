"""Checks of what arrived, where the other checks ask whether it arrived.

`files.py`: the files of tasks. `labels.py`, a part of the check of streams: whose each item is said to be.
"""
