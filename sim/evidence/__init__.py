"""What happened in a run: the journal, and what checks look up in it.

`journal.py` has the entries and traces, and writes and reads them. `index.py` is the journal, indexed for checks.
`outages.py` tells which fault may have caused a loss. `violation.py` is one finding of a check.
"""
