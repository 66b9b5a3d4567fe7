"""How large a lab virtual time bears: small ones in the suite, and by `python -m` the sizes that it is for.

    python -m tests.sim.virtual.test_scale session 1000 60    a trial a second each, a ping every 5 s, so many seconds
    python -m tests.sim.virtual.test_scale messages 10000     start, shake hands, and ten messages from each machine
"""

from __future__ import annotations

import resource
import sys
import time

from sim.lab.topology import Machine, Session, Topology, Trials
from sim.scenario import Example, Send
from sim.virtual.event_loop import rest_collector
from sim.virtual.lab import VirtualLab

PER_MACHINE = 10
EFFECT_US = 400  # of CPU for one effect; a tenth of that on a machine that is not busy. Only a blow-up shows here


def star(count: int, *, seconds: float = 1.0, trials: bool = False) -> Topology:
    """A terminal and so many rigs."""
    names = [f"rig_{n}" for n in range(count)]
    each = Trials(every_s=(1.0, 1.0), stages=1, bytes=250) if trials else None
    rigs = [Machine(name, parent="T", subjects=("m",), trials=each) for name in names]
    machines = (Machine("T", children=tuple(names)), *rigs)
    return Topology(name="star", path="star.yaml", machines=machines, session=Session(duration_s=seconds))


def play_session(count: int, seconds: float) -> VirtualLab:
    """A session, until all is settled."""
    lab = VirtualLab(star(count, seconds=seconds, trials=True), seed=1, probes=False)
    lab.start()
    assert not lab.await_handshakes()
    assert lab.play((), {}, session=True)
    assert not lab.settle("session")
    return lab


def pass_messages(count: int) -> tuple[VirtualLab, int]:
    """Ten messages from each machine to the terminal, all at once; and how many were confirmed."""
    lab = VirtualLab(star(count), seed=1, probes=False, storm_us=50)
    lab.start()
    assert not lab.await_handshakes()
    ops = tuple(Send(frm=machine.id, to="T", burst=PER_MACHINE) for machine in lab.topology.machines[1:])
    assert lab.storm(Example(ops=ops), 0)
    return lab, sum(1 for entry in lab.journal.entries if entry.what == "settled" and entry.key == "STORM")


def test_a_session_of_many_machines_is_played_in_a_time_that_grows_as_they_do() -> None:
    begun = time.process_time()
    lab = play_session(100, 5.0)
    made = sum(1 for entry in lab.journal.entries if entry.what == "made" and entry.key == "DATA")
    handled = sum(1 for entry in lab.journal.entries if entry.what == "handled" and entry.key == "DATA")
    assert 400 <= made == handled
    assert time.process_time() - begun < lab.journal.effects * EFFECT_US / 1e6


def test_many_machines_pass_many_messages() -> None:
    begun = time.process_time()
    lab, confirmed = pass_messages(300)
    assert confirmed == 300 * PER_MACHINE
    assert time.process_time() - begun < lab.journal.effects * EFFECT_US / 1e6


def main(what: str, count: int, seconds: float = 60.0) -> None:
    """Play it, and print what it took."""
    rest_collector()
    begun, busy = time.perf_counter(), time.process_time()
    lab = play_session(count, seconds) if what == "session" else pass_messages(count)[0]
    took, cpu = time.perf_counter() - begun, time.process_time() - busy
    unit = 1 if sys.platform == "darwin" else 1_000
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    print(f"{count:,} machines, {lab.loop.now:.1f} s of virtual time, {lab.journal.effects:,} effects")
    rate = lab.journal.effects / took
    print(f"{took:.1f} s ({cpu:.1f} s of CPU), {rate:,.0f} effects a second, {memory:.2f} GB at most")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *(float(word) for word in sys.argv[3:4]))
