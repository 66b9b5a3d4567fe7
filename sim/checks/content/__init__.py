"""Checks of what arrived, where the other checks ask whether it arrived. They are parts of those.

`labels.py`: whose each item of a stream is said to be.
"""
