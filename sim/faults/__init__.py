"""Faults of a rehearsal. A `Fault` is what a topology file says; an `Action` is one step on one machine or link.

A `Fault` is what stands in the file. `actions` makes from the faults of a topology what is done when: `Action`s, which
processes and virtual time both carry out. `healing` makes the actions that end what still lasts. `describe` tells a
fault in a sentence.

`VERBS` has a row for each verb of a fault. `Verb` is a verb of an action, of which there are fewer: a storm of faults
consists of actions of several verbs. `Way` and `What` say which half of a link or a machine is meant.
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
