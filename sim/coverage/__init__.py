"""Coverage: which kinds of faults, steps, effects and verdicts the runs of a hunt went through, and which never.

`kinds` takes the kinds from the tables of the code, `tally` counts them run by run, and `table` says what was never
tried. A new verb, effect or check appears here by itself.
"""
