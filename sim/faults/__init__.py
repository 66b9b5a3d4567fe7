"""Faults: what goes wrong in a rehearsal, from a line of the file to what is done to a machine or a link, and when.

Both worlds carry out the same `Action`s. `compile` makes them from `Fault`s, `describe` tells a fault in a sentence.
"""

from sim.faults.actions import Action, Verb, healing
from sim.faults.compile import actions
from sim.faults.describe import describe
from sim.lab.fault import VERBS, Fault, Link, Several, Way, What, named, target_of, verb_of

__all__ = [
    "VERBS",
    "Action",
    "Fault",
    "Link",
    "Several",
    "Verb",
    "Way",
    "What",
    "actions",
    "describe",
    "healing",
    "named",
    "target_of",
    "verb_of",
]
