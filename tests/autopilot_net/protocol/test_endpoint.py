"""Random storms over random trees, in virtual time: whatever the links and the machines do, the promises hold.

What must hold at every step is in `invariants.py`; here is what may happen, and what is true once the storm is over.
"""

import sys
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from autopilot_net.protocol.effects import Confirmed, Expired
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.protocol.outbox_channel import Window
from tests.autopilot_net.protocol.wire import LOSE, PASS, TWICE, Copies, Flight, Wire

DEPTH = 4
RESTARTS = 3  # of one endpoint: of a sender, four lives are remembered
which = st.integers(0, 1_000)
fates = st.lists(st.sampled_from([PASS, LOSE, TWICE, (0.5,), (0.0, 2.0)]), max_size=8)


class Storm(RuleBasedStateMachine):
    """A lab, and everything that goes wrong in it."""

    wire: Wire

    @initialize(
        parents=st.lists(which, min_size=1, max_size=6),
        homes=st.lists(which, max_size=4),
        window=st.sampled_from([1, 2, 1_000]),
        durable=st.lists(st.booleans(), max_size=11),
    )
    def build(self, parents: list[int], homes: list[int], window: int, durable: list[bool]) -> None:
        """A terminal, stations below it, and nodes on any of them, of which some are their station's program."""
        depth, stations, nodes = {"T": 0}, dict[str, str | None](T=None), dict[str, str | None]()
        for n, draw in enumerate(parents):
            above = [name for name in stations if depth[name] < DEPTH]
            parent = above[draw % len(above)]
            stations[f"s{n}"], depth[f"s{n}"] = parent, depth[parent] + 1
        for n, draw in enumerate(homes):
            home = list(stations)[draw % len(stations)]
            nodes["_" + home if n % 2 else f"n{n}"] = home
        keep = [name for name, keeps in zip([*stations, *nodes], durable, strict=False) if keeps]
        settings = Settings(window=Window(messages=window), liveness_s=7.0)
        self.wire = Wire(stations, nodes, settings=settings, durable=keep)
        self.wire.policy = self.fate
        self.fates: list[Copies] = []
        self.restarts: dict[str, int] = {}

    def fate(self, _flight: Flight) -> Copies:
        return self.fates.pop() if self.fates else PASS

    # -- what programs do --------------------------------------------------------------------------------------------

    @rule(sender=which, to=which, n=st.integers(1, 4), how=st.sampled_from([True, None, False]), ttl=st.integers(0, 5))
    def send(self, sender: int, to: int, n: int, how: bool | None, ttl: int) -> None:
        source, target = self.pick(sender), self.pick(to)
        if source != target:
            for _ in range(n):
                self.wire.send(source, target, repeat=how, ttl=ttl)

    @rule(sender=which, to=which, n=st.integers(1, 2))
    def send_along_hops(self, sender: int, to: int, n: int) -> None:
        source, target = self.pick(sender), self.pick(to)
        if source != target:
            for _ in range(n):
                self.wire.send(source, target, hops=self.way(source, target))

    @rule(sender=which, to=which, seconds=st.integers(0, 20))
    def send_what_is_soon_stale(self, sender: int, to: int, seconds: int) -> None:
        source, target = self.pick(sender), self.pick(to)
        if source != target:
            self.wire.send(source, target, expires_after=seconds)

    @rule(at_once=st.booleans())
    def be_quick_or_slow(self, at_once: bool) -> None:
        self.wire.handles_at_once = at_once

    @precondition(lambda self: self.wire.pending())
    @rule(choice=which, failed=st.booleans())
    def handle(self, choice: int, failed: bool) -> None:
        pending = self.wire.pending()
        self.wire.handle(pending[choice % len(pending)], failed=failed)

    @precondition(lambda self: self.wire.pending())
    @rule(choice=which, to=which, n=st.integers(1, 2), failed=st.booleans())
    def relay(self, choice: int, to: int, n: int, failed: bool) -> None:
        """A handler passes on what it got, and is done when that is settled."""
        pending = self.wire.pending()
        handling, target = pending[choice % len(pending)], self.pick(to)
        if target != handling.at:
            passed = [self.wire.send(handling.at, target, repeat=True) for _ in range(n)]
            self.wire.handle(handling, failed=failed, relays=passed)

    # -- what links and machines do ----------------------------------------------------------------------------------

    @rule(fates=fates)
    def blow(self, fates: list[Copies]) -> None:
        self.fates = fates

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 5.0, 12.0]))
    def pass_time(self, seconds: float) -> None:
        self.wire.run(seconds)

    @precondition(lambda self: self.wire.flights)
    @rule(choice=which, stays=st.booleans())
    def arrive_out_of_turn(self, choice: int, stays: bool) -> None:
        self.wire.arrive(self.flight(choice), stays=stays)

    @precondition(lambda self: self.wire.flights)
    @rule(choice=which)
    def vanish(self, choice: int) -> None:
        self.wire.flights.remove(self.flight(choice))

    @rule(choice=which)
    def cut(self, choice: int) -> None:
        self.wire.cut(self.pick(choice))

    @rule(choice=which)
    def connect(self, choice: int) -> None:
        self.wire.connect(self.pick(choice))

    @rule(choice=which)
    def kill(self, choice: int) -> None:
        self.restart(self.pick(choice))

    def restart(self, name: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        if self.restarts[name] <= RESTARTS:
            self.wire.restart(name)

    @rule(sender=which, to=which)
    def count_anew(self, sender: int, to: int) -> None:
        """Two lives of one sender use the same ids."""
        source, target = self.pick(sender), self.pick(to)
        if source != target:
            self.wire.send(source, target)
            self.restart(source)
            self.wire.send(source, target)

    @rule()
    def shake_hands(self) -> None:
        self.wire.announce()

    # -- once it is over ---------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "wire") or sys.exc_info()[0] is not None:
            return  # what broke in the storm says more than what is broken after it
        wire, self.fates = self.wire, []
        for name in wire.parents:
            wire.connect(name)
        wire.run(5)  # what is late arrives before the handshakes, as it would on a real link
        wire.announce()
        wire.handles_at_once = True
        for _ in range(20):
            wire.handle_all()
            wire.run(40)
            if not any(len(endpoint.outbox) for endpoint in wire.endpoints.values()):
                break
        for name, endpoint in wire.endpoints.items():
            assert not endpoint.outbox.messages(), f"{name} still awaits confirmation, long after the storm"
        lives = {endpoint.incarnation for endpoint in wire.endpoints.values()}
        ends: dict[Any, Any] = {sent: end for sent, end in wire.sought.items() if sent[0] in lives}
        assert all(isinstance(end, Confirmed | Expired) for end in ends.values())
        self.check_the_calm()

    def check_the_calm(self) -> None:
        """After any storm the lab works as if there had been none."""
        wire, names = self.wire, list(self.wire.parents)
        for source in names:
            for target in names:
                if source != target:
                    wire.send(source, target, "calm")
        wire.run()
        calm = {(h.message.sender, h.message.to) for h in wire.handlings if h.message.value == "calm"}
        assert {(source, target) for source in names for target in names if source != target} == calm
        assert not any(len(endpoint.outbox) for endpoint in wire.endpoints.values())

    # -- below -------------------------------------------------------------------------------------------------------

    def pick(self, choice: int) -> str:
        names = list(self.wire.parents)
        return names[choice % len(names)]

    def flight(self, choice: int) -> Flight:
        return self.wire.flights[choice % len(self.wire.flights)]

    def way(self, source: str, target: str) -> tuple[str, ...]:
        """The stations from `source` to `target`, and it."""

        def up(name: str | None) -> list[str]:
            return [] if name is None else [name, *up(self.wire.parents[name])]

        rise, fall = up(source), up(target)
        meeting = next(name for name in rise if name in fall)
        return (*rise[1 : rise.index(meeting) + 1], *fall[: fall.index(meeting)][::-1]) or (target,)


TestStorms = Storm.TestCase
TestStorms.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
