"""The checks of a run. Each compares the plan with the journal.

`registry.py` lists them. `message_fates.py` and `stream_items.py` judge one message and one stream, for several checks.
"""
