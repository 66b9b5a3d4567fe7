"""What happened in a run: the journal, and what can be looked up in it.

`journal.py` has the entries and traces, and writes and reads them. `index.py` puts plan and journal side by side.
`outages.py` says what a fault may have kept away, `violation.py` has the value in which checks say what is wrong.
"""
