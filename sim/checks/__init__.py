"""The checks of a run: each compares what was planned with what the journal says.

`registry.py` lists them. `message_fates.py` and `stream_items.py` judge one message and one stream, for several checks.
"""
