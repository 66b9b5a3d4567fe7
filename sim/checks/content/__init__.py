"""Checks of what arrived, where the other checks ask whether it arrived.

`files.py`: the files of tasks. Parts of the check of streams are `own_streams.py`, the streams of a lab's own programs,
and `labels.py`: whose each item is said to be. Parts of the check of the session are `orders.py`, those
besides START and STOP, and `presence.py`: whether the terminal is told that a machine is gone.
"""
