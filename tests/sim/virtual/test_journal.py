"""The journal of a virtual lab has virtual times, gives out each entry once, and has a hash of all of it."""

from __future__ import annotations

from sim.virtual.event_loop import Loop
from sim.virtual.journal import VirtualJournal


def test_entries_have_the_time_of_the_loop_and_are_given_out_once() -> None:
    loop = Loop()
    journal = VirtualJournal(loop)
    writer = journal.writer("rig_1", life=2)
    writer.write("start")
    loop.run(5)
    writer.write("handled", by="_rig_1", id="a")
    assert [(entry.t, entry.by, entry.life, entry.what) for entry in journal.more().entries] == [
        (0, "rig_1", 2, "start"),
        (5_000, "_rig_1", 2, "handled"),
    ]
    assert journal.more().entries == []


def test_the_digest_depends_on_every_entry() -> None:
    journals = [VirtualJournal(Loop()) for _ in range(3)]
    for journal, id in zip(journals, ("a", "a", "b"), strict=True):
        journal.writer("rig_1").write("handled", id=id)
    first, same, other = (journal.digest() for journal in journals)
    assert first == same != other
