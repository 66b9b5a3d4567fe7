"""Probes, neighbours whose pipes are full, and what may not stop a station."""

import itertools

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.accounts import REMEMBER, RUNS, Account, Losses
from autopilot_net.protocol.connections import ACCOUNTS
from autopilot_net.protocol.effects import (
    Confirmed,
    Dropped,
    Effect,
    PeerDown,
    PeerUp,
    Reconnect,
    Silent,
    Traffic,
    Transmit,
)
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.liveness import Liveness, Move
from autopilot_net.protocol.probes import PROBE, ProbeState, read_state
from autopilot_net.protocol.router import READY_AT_ONCE
from autopilot_net.protocol.send_queue import CONTROLS, SendQueue
from tests.autopilot_net.protocol.test_frames import M, node, station
from tests.autopilot_net.protocol.wire import LOSE, PASS, Wire


def probes(wire: Wire, source: str = "rig_1") -> int:
    """How often it has asked; to introduce itself is another thing."""
    sent = [effect.frames for effect in wire.of(source, Transmit) if not effect.frames[-1]]
    return len([frames for frames in sent if (state := read_state(frames)) is None or state.number])


def pair(**settings: float) -> Wire:
    return Wire({"T": None, "rig_1": "T"}, settings=Settings(**settings) if settings else None)  # type: ignore[arg-type]


def control(peer: str, frames: tuple[bytes, ...]) -> Transmit:
    return Transmit(peer, frames, Traffic.CONTROL)


# -- probes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [PROBE, (b"s", b"X", b"")], ids=["bare", "with frames before it"])
def test_a_router_sends_a_probe_back_as_it_was(frames: tuple[bytes, ...]) -> None:
    terminal = station(below=("n",))
    assert terminal.receive("n", frames, now=0) == [control("n", frames)]


def introductions(effects: list[Effect]) -> list[ProbeState]:
    return [state for e in effects if isinstance(e, Transmit) and (state := read_state(e.frames)) and not state.number]


def test_an_upstream_that_answers_is_told_who_asks_once_by_each_connection() -> None:
    """Of what kind it is, its answer to that shows. One that answers nothing is sent nothing that it might not know."""
    pilot = station()
    assert introductions(pilot.handle_timer(now=1)) == []
    told = introductions(pilot.receive("parent", PROBE, now=1))
    assert told == [ProbeState("s", "1", connection="1.1")]
    assert pilot.receive("parent", PROBE, now=2) == []
    pilot.lose("parent", now=3)
    pilot.meet("parent", now=4)
    assert len(introductions(pilot.receive("parent", PROBE, now=4))) == 1


def test_one_of_ours_is_told_at_once_by_which_connection_we_have_come() -> None:
    pilot = station()
    pilot.receive("parent", ProbeState("parent", "p").frames(), now=0)
    pilot.lose("parent", now=3)
    assert introductions(pilot.meet("parent", now=4)) == [ProbeState("s", "1", connection="1.2", closed={"1.1": 0})]
    assert pilot.receive("parent", PROBE, now=5) == []


def test_a_probe_that_says_more_is_answered_with_as_much() -> None:
    terminal = station("T", upstream=None, below=("n",))
    terminal.receive("n", [b"T", b"X", M], now=0)
    (answer,) = terminal.receive("n", ProbeState("n", "n1", number=7, connection="n1.1").frames(), now=0)
    assert isinstance(answer, Transmit)
    assert read_state(answer.frames) == ProbeState("T", "1", re=7, connection="n1.1", read=1)


@pytest.mark.parametrize("frames", [PROBE, (b"s", b"")], ids=["bare", "padded"])
def test_a_dealer_never_answers_a_probe(frames: tuple[bytes, ...]) -> None:
    made = node()
    assert len(introductions(made.receive("s", frames, now=0))) == 1
    assert made.receive("s", frames, now=0) == []


@pytest.mark.parametrize(
    "said",
    [b"", b"{}", b"[]", b"\xff", b'{"id":"T"}', b'{"id":1,"life":"1"}', b'{"id":"T","life":"1","read":true}',
     b'{"id":"T","life":"1","read":-1}', b'{"id":"T","life":"1","read":1e99}', b'{"id":"T","life":"1","closed":[1]}',
     b'{"id":"T","life":"1","closed":{"a":-1}}', b'{"id":"' + b"x" * 20_000 + b'","life":"1"}',
     b'{"id":"T","life":"1","closed":' * 900],
)  # fmt: skip
def test_a_probe_that_says_what_cannot_be_believed_is_a_bare_one(said: bytes) -> None:
    assert read_state((said, b"")) is None
    terminal = station("T", upstream=None, below=("n",))
    assert terminal.receive("n", (said, b""), now=0) == [control("n", (said, b""))]
    pilot = station()
    assert introductions(pilot.receive("parent", (said, b""), now=0))
    assert not pilot.is_upstream_new


def test_autopilots_own_send_our_own_words_back_and_are_asked_nothing_more() -> None:
    pilot = station()
    (asked,) = pilot.receive("parent", PROBE, now=0)
    assert isinstance(asked, Transmit)
    assert pilot.receive("parent", asked.frames, now=0) == []
    assert not pilot.is_upstream_new
    assert pilot.handle_timer(now=1) == [control("parent", PROBE)]
    pilot.receive("parent", ProbeState(pilot.id, pilot.life, number=1).frames(), now=2)
    assert not pilot.is_upstream_new


def test_each_pusher_sends_a_probe_every_liveness_s() -> None:
    wire = pair()
    wire.run(10)
    assert probes(wire) == 10
    assert wire.of("rig_1", Reconnect) == []


def test_liveness_s_is_a_setting() -> None:
    wire = pair(liveness_s=0.25)
    wire.run(1)
    assert probes(wire) == 4


def test_while_the_parent_is_away_it_is_not_probed() -> None:
    wire = pair()
    wire.cut("rig_1")
    wire.run(100)
    assert probes(wire) == 0
    wire.connect("rig_1")
    wire.announce()
    wire.run(2)
    assert probes(wire) == 2


# -- slow is not dead ----------------------------------------------------------------------------------------------


def silent(wire: Wire) -> None:
    wire.policy = lambda flight: LOSE if flight.source == "T" else PASS


def test_silence_is_told_first_and_much_later_the_connection_is_made_anew() -> None:
    wire = pair()
    wire.run(10)
    silent(wire)
    wire.run(4.5)
    assert wire.of("rig_1", Silent) == []
    wire.run(0.5)
    assert wire.of("rig_1", Silent) == [Silent("T", 4.0)]
    wire.run(2.5)
    assert wire.of("rig_1", Reconnect) == []
    wire.run(0.5)
    assert wire.of("rig_1", Reconnect) == [Reconnect("T")]
    assert len(wire.of("rig_1", Silent)) == 1


def test_who_is_heard_again_was_only_slow() -> None:
    wire = pair()
    wire.run(10)
    silent(wire)
    wire.run(6)
    wire.policy = lambda _: PASS
    wire.send("T", "rig_1", repeat=False)
    wire.run(1)
    assert wire.of("rig_1", Silent) == [Silent("T", 4.0), Silent("T", 0.0)]
    assert wire.of("rig_1", Reconnect) == []


def test_any_message_from_above_is_proof_of_life() -> None:
    wire = pair()
    wire.policy = lambda flight: LOSE if not flight.frames[-1] else PASS
    for _ in range(30):
        wire.send("T", "rig_1", repeat=False)
        wire.run(1)
    assert wire.of("rig_1", Reconnect) == []
    assert wire.of("rig_1", Silent) == []


def test_what_the_system_takes_is_no_proof_of_life() -> None:
    pilot = station()
    pilot.receive("parent", [M], now=0)
    for now in range(1, 8):
        pilot.send(unconfirmed(now, "parent"), repeat=False, now=now)
        assert Reconnect("parent") not in pilot.handle_timer(now=now)
    assert pilot.handle_timer(now=8) == [Reconnect("parent")]


def test_who_answers_late_is_waited_for_as_long_in_proportion() -> None:
    """A terminal that is busy for seconds is not connected to anew, which would give it more to do."""
    wire = pair()
    wire.run(1)
    wire.policy = lambda flight: (3.0,) if flight.source == "T" else PASS
    wire.run(30)
    assert wire.of("rig_1", Reconnect) == []
    assert wire.of("rig_1", Silent) == []
    silent(wire)
    wire.run(11)
    assert wire.of("rig_1", Silent) == []
    wire.run(6)
    assert len(wire.of("rig_1", Silent)) == 1
    assert wire.of("rig_1", Reconnect) == []
    wire.run(12)
    assert wire.of("rig_1", Reconnect) == [Reconnect("T")]


def test_a_round_trip_of_any_length_is_learnt_by_its_first_answer() -> None:
    """The link of a rig may become slower all at once than silence is waited for."""
    liveness = Liveness(1.0)
    liveness.meet(now=0)
    answers: dict[int, int] = {}  # when each comes, and to which probe
    reconnects = []
    for now in range(1, 600):
        for move in liveness.move(now=now, is_ours=False, is_full=False):
            if move is Move.PROBE:
                answers[now + (20 if now > 10 else 0)] = liveness.next_number(now=now)
            elif move is Move.RECONNECT:
                reconnects.append(now)
                answers = {now + 20: 0}
                liveness.lose()
                liveness.meet(now=now)
        if now in answers:
            liveness.hear()
            liveness.echo(answers.pop(now), now=now)
    assert len(reconnects) <= 2, reconnects


def test_an_upstream_that_was_never_heard_and_whose_pipe_is_full_is_connected_to_anew_once() -> None:
    """It may be read slowly, or never again. Of one that has answered, patience is another."""
    liveness = Liveness(1.0)
    reconnects = []
    liveness.meet(now=0.0)
    for now in range(1, 100):
        if Move.RECONNECT in liveness.move(now=now, is_ours=False, is_full=True):
            reconnects.append(now)
            liveness.lose()
            liveness.meet(now=now)
    assert reconnects == [31]


def test_a_pipe_that_is_full_now_and_then_is_read() -> None:
    liveness = Liveness(1.0)
    liveness.meet(now=0.0)
    moves = [move for now in range(1, 60) for move in liveness.move(now=now, is_ours=False, is_full=now % 5 > 0)]
    assert Move.RECONNECT not in moves


def test_those_below_are_told_that_nothing_is_read_above_and_when_it_is_again() -> None:
    """A sender further down would spend its patience on what lies unread, and then send all of it once more."""
    wire = Wire({"T": None, "rig": "T"}, {"_rig": "rig"}, settings=Settings(repeat_interval=3.0))
    wire["_rig"].router.is_ours("T")
    wire.run(3)
    wire.policy = lambda flight: LOSE if "T" in (flight.source, flight.target) else PASS
    sent = wire.send("_rig", "T", "trial")
    wire.run(6.5)
    gone = [m for m in wire.carried("rig", "_rig") if m.key == "GONE"]
    assert [m.value for m in gone] == ["T"] * len(gone)
    assert gone
    tries = len([m for m in wire.carried("_rig", "rig") if m.id == sent])
    wire.policy = lambda _: PASS
    wire.send("T", "rig", repeat=False)
    wire.run(1)
    (back,) = [m for m in wire.carried("rig", "_rig") if m.key == "BACK"]
    assert (back.value, back.kept) == ("T", True)
    assert len([m for m in wire.carried("_rig", "rig") if m.id == sent]) == tries, "nothing is sent again at once"
    wire.run(10)
    assert wire.got("T") == ["trial"]
    assert wire.of("_rig", Confirmed) == [Confirmed(sent, "T")]


def test_one_probe_is_under_way_and_more_would_only_lie_behind_it() -> None:
    wire = pair()
    wire.run(3)
    silent(wire)
    wire.run(4)
    assert probes(wire) == 3 + 1
    wire.policy = lambda _: PASS
    wire.run(5)
    assert probes(wire) > 3 + 2, "it may have been lost"


def test_each_connection_in_vain_is_waited_for_twice_as_long_and_never_at_one_time() -> None:
    def times(name: str) -> list[int]:
        rig = Endpoint(name, upstream="T", incarnation="1")
        rig.meet("T", now=0)
        rig.receive("T", ProbeState("T", "t").frames(), now=0)
        moves = []
        for now in range(1, 400):
            if any(isinstance(effect, Reconnect) for effect in rig.handle_timer(now=now)):
                moves.append(now)
                rig.lose("T", now=now)
                rig.meet("T", now=now)
        return moves

    one, other = times("rig_1"), times("rig_2")
    assert one != other
    waits = [later - earlier for earlier, later in itertools.pairwise(one)]
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(waits[:4]))
    assert max(waits) <= 4 * 32 * 1.5 + 1, "and not for ever"


def test_one_that_has_never_answered_is_connected_to_once_more_and_then_left_alone() -> None:
    """Its first answer may have gone to a twin that came just then; or it is of a kind that never answers."""
    pilot = station()
    probe = control("parent", PROBE)
    moves = [pilot.handle_timer(now=now) for now in range(1, 5)]
    assert moves == [[probe], [], [], [Reconnect("parent")]]
    pilot.lose("parent", now=5)
    pilot.meet("parent", now=5)
    assert [pilot.handle_timer(now=now) for now in range(6, 25)] == [[]] * 19
    pilot.receive("parent", PROBE, now=25)
    assert pilot.handle_timer(now=26) == [probe]


def test_one_that_never_answered_and_takes_no_more_is_not_connected_to_anew() -> None:
    """It may be of a kind that never answers; and what is in the pipe would be lost."""
    pilot = station()
    pilot.full("parent", [Transmit("parent", (b"parent", b"T", b"{}"))])
    assert [pilot.handle_timer(now=now) for now in range(1, 20)] == [[]] * 19
    pilot.ready("parent")
    assert [pilot.handle_timer(now=now) for now in range(20, 24)][-1] == [Reconnect("parent")]


def test_a_probe_goes_before_what_waits_for_a_full_pipe() -> None:
    pilot = station()
    pilot.receive("parent", PROBE, now=0)
    waits = Transmit("parent", (b"parent", b"T", b"{}"))
    pilot.full("parent", [waits])
    assert pilot.handle_timer(now=1) == []
    assert pilot.ready("parent") == [control("parent", PROBE), waits]


def test_one_that_answers_is_probed_whosever_kind_it_is() -> None:
    pilot = station()
    pilot.receive("parent", PROBE, now=0)  # the answer to the one with which a socket of ours connects
    assert pilot.handle_timer(now=1) == [control("parent", PROBE)]


def test_the_echo_of_a_probe_does_not_make_a_station_one_of_ours() -> None:
    pilot = station()
    pilot.receive("parent", PROBE, now=0)
    assert "parent" not in pilot.ours


def test_who_probes_is_one_of_ours() -> None:
    terminal = station("T", upstream=None)
    assert terminal.receive("rig_1", PROBE, now=0) == [PeerUp("rig_1"), control("rig_1", PROBE)]
    assert "rig_1" in terminal.ours
    terminal.lose("rig_1", now=1)
    assert "rig_1" not in terminal.ours


# -- what a connection takes with it -------------------------------------------------------------------------------


class Link:
    """A rig and its terminal, and the frames between them, which arrive when a test says so."""

    def __init__(self) -> None:
        rig = Endpoint("rig", upstream="T", incarnation="r")
        self.ends = {"rig": rig, "T": Endpoint("T", forwards=True, incarnation="t")}
        self.way: dict[str, list[tuple[bytes, ...]]] = {"rig": [], "T": []}  # to each
        self.dropped: dict[str, list[Dropped]] = {"rig": [], "T": []}
        self.number = 0
        self.connect()

    def do(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                self.ends[name].sent(effect)
                self.way[effect.peer].append(effect.frames)
            elif isinstance(effect, Dropped):
                self.dropped[name].append(effect)

    def connect(self) -> None:
        self.do("T", self.ends["T"].connected("rig", "127.0.0.1", took_over=False))
        self.way["T"].append(PROBE)  # as zmq does
        self.do("rig", self.ends["rig"].meet("T", now=0))
        for name in ("T", "rig", "T", "rig"):
            self.read(name)

    def read(self, name: str, at_most: int = 1_000) -> None:
        other = "T" if name == "rig" else "rig"
        for _ in range(min(at_most, len(self.way[name]))):
            self.do(name, self.ends[name].receive(other, self.way[name].pop(0), now=0))

    def send(self, name: str, count: int, *, repeat: bool = False) -> None:
        other = "T" if name == "rig" else "rig"
        for _ in range(count):
            self.number += 1
            message = Message(id=f"{name}_{self.number}", to=other, sender=name, key="K")
            self.do(name, self.ends[name].send(message, repeat=repeat, now=0))

    def cut(self) -> None:
        """With what is under way."""
        self.way = {"rig": [], "T": []}
        self.do("T", self.ends["T"].lose("rig", now=0))
        self.do("rig", self.ends["rig"].lose("T", now=0))

    def told(self, name: str) -> list[tuple[int, bool]]:
        return [(dropped.count, dropped.known) for dropped in self.dropped[name]]


@pytest.mark.parametrize("name", ["rig", "T"])
def test_what_a_connection_took_with_it_is_known_to_the_message(name: str) -> None:
    link = Link()
    link.send(name, 10)
    link.read("T" if name == "rig" else "rig", at_most=7)
    link.cut()
    link.connect()
    assert link.told(name) == [(3, True)]
    link.send(name, 5)
    link.cut()
    link.connect()
    assert link.told(name) == [(3, True), (5, True)]
    assert link.told("T" if name == "rig" else "rig") == []


def test_what_is_repeated_is_not_lost_with_a_connection() -> None:
    link = Link()
    link.send("rig", 2)
    link.send("rig", 3, repeat=True)
    link.send("rig", 1)
    link.read("T", at_most=1)
    link.cut()
    link.connect()
    assert link.told("rig") == [(2, True)]


def test_a_probe_that_is_answered_settles_what_was_read_before_it() -> None:
    link = Link()
    link.send("rig", 4)
    link.do("rig", link.ends["rig"].handle_timer(now=1))
    link.read("T")
    link.read("rig")
    link.ends["T"] = Endpoint("T", forwards=True, incarnation="its next life")
    link.send("rig", 2)
    link.cut()
    link.connect()
    assert link.told("rig") == [(2, False)], "whoever read them is dead, and nobody knows how many it had read"


def test_a_connection_that_was_never_named_may_have_lost_all() -> None:
    terminal = station("T", upstream=None, below=("n",))
    for effect in terminal.send(unconfirmed(1, "n"), repeat=False, now=0):
        assert isinstance(effect, Transmit)
        terminal.sent(effect)
    (dropped,) = terminal.connected("n", "127.0.0.1", took_over=False)
    assert isinstance(dropped, Dropped)
    assert (dropped.count, dropped.known) == (1, False)


def test_a_name_that_comes_twice_is_one_connection() -> None:
    account = Account()
    account.renew("c1")
    for _ in range(3):
        account.received()
        account.sent(counts=True)
    assert account.renew("c1") == Losses()
    account.received()
    account.sent(counts=True)
    assert account.renew("c2") == Losses(unknown=3)
    assert account.read_of() == {"c1": 4}


def test_a_connection_that_the_neighbour_never_heard_of_has_lost_all() -> None:
    account = Account()
    for name, is_told_first in (("c1", False), ("c2", True), ("c3", True)):
        account.renew(name, is_told_first=is_told_first)
        account.sent(counts=True)
    account.renew("c4")
    late = ProbeState("n", "1", connection="c2", closed={"c1": 0}, read=5)
    assert account.hear(late) == Losses(lost=1), "it was said while another was read"
    account.sent(counts=True)
    assert account.hear(ProbeState("n", "1", connection="c4", closed={"c2": 1})) == Losses(lost=1)
    account.renew("c5", is_told_first=False)
    account.sent(counts=True)
    account.renew("c6")
    assert account.hear(ProbeState("n", "1", connection="c6", closed={"c4": 1})) == Losses(unknown=1)


def test_of_connections_that_flap_the_last_few_are_accounted_for() -> None:
    account = Account()
    unknown = 0
    for number in range(20):
        account.connection = f"c{number}"
        account.sent(counts=True)
        account.received()
        unknown += account.renew().unknown
    assert unknown == 20 - REMEMBER
    assert len(account.read_of()) == REMEMBER
    assert account.hear(ProbeState("n", "1", closed={f"c{number}": 0 for number in range(20)})) == Losses(lost=REMEMBER)


def test_of_one_that_never_tells_what_it_reads_no_more_is_kept_than_can_matter() -> None:
    account = Account()
    for number in range(3 * RUNS):
        account.sent(counts=number % 2 == 0)
    assert account.renew() == Losses(unknown=RUNS)


def test_what_is_known_of_neighbours_is_bounded() -> None:
    terminal = Endpoint("T", forwards=True, incarnation="1")
    for number in range(ACCOUNTS + 10):
        terminal.receive(f"n{number}", [b"T", b"X", M], now=0)
    assert len(terminal._connections._accounts) == ACCOUNTS


# -- has it been read? ---------------------------------------------------------------------------------------------


def stream() -> Endpoint:
    """A stream's endpoint, below a station that is there; what zmq sent when it connected is yet to come back."""
    made = Endpoint("n_s", upstream="s", incarnation="1")
    made.meet("s", now=0)
    return made


def test_what_was_sent_is_read_when_the_probe_behind_it_comes_back() -> None:
    endpoint = stream()
    assert endpoint.is_flushed()
    assert endpoint.flush(now=0) == [Transmit("s", (b"",))]
    assert not endpoint.is_flushed()
    endpoint.receive("s", [b""], now=1)
    assert not endpoint.is_flushed(), "that was the one that zmq had sent before"
    endpoint.receive("s", [b""], now=1)
    assert endpoint.is_flushed()


def test_a_probe_that_followed_is_not_waited_for() -> None:
    endpoint = stream()
    endpoint.receive("s", [b""], now=0)
    endpoint.flush(now=0)
    assert control("s", PROBE) in endpoint.handle_timer(now=5)
    endpoint.receive("s", [b""], now=6)
    assert endpoint.is_flushed()


def test_nobody_waits_for_an_upstream_that_is_not_there_to_have_read_anything() -> None:
    endpoint = stream()
    endpoint.flush(now=0)
    endpoint.lose("s", now=1)
    assert endpoint.is_flushed()
    assert endpoint.flush(now=0) == []
    assert endpoint.is_flushed()
    assert Endpoint("T", forwards=True, incarnation="1").flush(now=0) == []


# -- closing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["n", "parent"])
def test_closing_stops_nobody_whoever_says_it(peer: str) -> None:
    stubborn = station(below=("n",))
    (effect,) = stubborn.receive(peer, [b"s", b"CLOSING"], now=0)
    assert isinstance(effect, Dropped)
    assert "owner" in effect.reason


# -- full pipes ----------------------------------------------------------------------------------------------------


def unconfirmed(n: int, to: str = "rig_1") -> Message:
    return Message(id=f"T_{n}", to=to, sender="T", key="K", value=n)


def full(limit: int = 1 << 20) -> Endpoint:
    """A terminal whose pipe to its only neighbour has just refused message 0."""
    terminal = Endpoint("T", forwards=True, incarnation="1", settings=Settings(backlog_bytes=limit))
    terminal.meet("rig_1", now=0)
    (effect,) = terminal.send(unconfirmed(0), repeat=False, now=0)
    assert isinstance(effect, Transmit)
    terminal.full("rig_1", [effect])
    return terminal


def numbers(effects: object) -> list[int]:
    assert isinstance(effects, list)
    return [Message(e.frames[-1]).value for e in effects if isinstance(e, Transmit)]


def test_what_goes_to_a_full_neighbour_waits_behind_what_it_refused() -> None:
    terminal = full()
    assert terminal.router.waiting_peers() == ["rig_1"]
    assert terminal.send(unconfirmed(1), repeat=False, now=0) == []
    assert terminal.send(unconfirmed(2), repeat=False, now=0) == []
    assert numbers(terminal.ready("rig_1")) == [0, 1, 2]
    assert terminal.router.waiting_peers() == []
    assert numbers(terminal.send(unconfirmed(3), repeat=False, now=0)) == [3]


def test_what_is_refused_again_keeps_its_place() -> None:
    terminal = full()
    terminal.send(unconfirmed(1), repeat=False, now=0)
    first, second = (e for e in terminal.ready("rig_1") if isinstance(e, Transmit))
    terminal.full("rig_1", [first, second])
    terminal.send(unconfirmed(2), repeat=False, now=0)
    assert numbers(terminal.ready("rig_1")) == [0, 1, 2]


def test_a_long_backlog_is_tried_a_part_at_a_time_in_its_order() -> None:
    """A pipe that takes a little each time would otherwise be offered all of it each time."""
    terminal = full(limit=64 << 20)
    for n in range(1, 2_500):
        terminal.send(unconfirmed(n), repeat=False, now=0)
    tried = terminal.ready("rig_1")
    assert numbers(tried) == list(range(READY_AT_ONCE))
    terminal.full("rig_1", [e for e in tried[40:] if isinstance(e, Transmit)])
    terminal.send(unconfirmed(2_500), repeat=False, now=0)
    came = []
    while terminal.router.waiting_peers():
        part = numbers(terminal.ready("rig_1"))
        assert 0 < len(part) <= READY_AT_ONCE
        came += part
    assert came == list(range(40, 2_501))


def test_what_a_part_of_the_backlog_has_left_behind_can_wait_again() -> None:
    """What was tried is out of the count, and what is refused is back in it."""
    terminal = full(limit=200_000)
    sent = 1
    while not terminal.send(unconfirmed(sent), repeat=False, now=0):
        sent += 1
    tried = terminal.ready("rig_1")
    assert terminal.send(unconfirmed(sent), repeat=False, now=0) == []
    terminal.full("rig_1", [e for e in tried if isinstance(e, Transmit)])
    assert terminal.send(unconfirmed(sent + 1), repeat=False, now=0) != []


def test_one_full_neighbour_does_not_slow_another() -> None:
    terminal = full()
    terminal.meet("rig_2", now=0)
    assert numbers(terminal.send(unconfirmed(1, "rig_2"), repeat=False, now=0)) == [1]


def test_beyond_its_bound_in_bytes_what_waits_is_dropped_and_said() -> None:
    terminal = full(limit=250)
    effects = [effect for n in range(1, 5) for effect in terminal.send(unconfirmed(n), repeat=False, now=0)]
    assert {effect.reason for effect in effects if isinstance(effect, Dropped)} == {"its neighbour takes no more"}
    kept = numbers(terminal.ready("rig_1"))
    assert kept == list(range(len(kept)))
    assert len(kept) + len(effects) == 5


def test_what_waits_for_a_neighbour_that_goes_away_is_dropped_and_counted() -> None:
    terminal = full()
    terminal.send(unconfirmed(1), repeat=False, now=0)
    lost, dropped = terminal.lose("rig_1", now=0)
    assert lost == PeerDown("rig_1")
    assert isinstance(dropped, Dropped)
    assert dropped.count == 2
    assert terminal.router.waiting_peers() == []


def test_a_forwarder_keeps_what_it_forwards_within_the_same_bound() -> None:
    terminal = full()
    terminal.meet("rig_2", now=0)
    assert terminal.receive("rig_2", [b"T", b"rig_1", M], now=0) == []
    assert terminal.ready("rig_1")[-1] == Transmit("rig_1", (M,))


def test_a_pipe_that_is_ready_with_nothing_to_take_takes_nothing() -> None:
    assert station().ready("parent") == []


def test_while_the_way_up_is_down_what_seeks_no_confirmation_is_dropped_and_said() -> None:
    pilot = station()
    pilot.lose("parent", now=0)
    (dropped,) = pilot.send(unconfirmed(1, "parent"), repeat=False, now=0)
    assert isinstance(dropped, Dropped)
    assert "down" in dropped.reason


def test_before_the_first_meeting_what_waits_is_bounded_too() -> None:
    pilot = Endpoint("s", upstream="parent", forwards=True, incarnation="1", settings=Settings(backlog_bytes=200))
    assert pilot.send(unconfirmed(0, "parent"), repeat=False, now=0) == []
    assert pilot.router.waiting_peers() == []
    (dropped,) = pilot.send(unconfirmed(1, "parent"), repeat=False, now=0)
    assert isinstance(dropped, Dropped)
    assert numbers(pilot.meet("parent", now=1)) == [0]


def test_who_is_lost_before_it_was_met_changes_nothing() -> None:
    pilot = Endpoint("s", upstream="parent", forwards=True, incarnation="1")
    pilot.send(unconfirmed(0, "parent"), repeat=False, now=0)
    assert pilot.lose("parent", now=0) == []
    assert numbers(pilot.meet("parent", now=1)) == [0]


# -- the queue -----------------------------------------------------------------------------------------------------


def queued(queue: SendQueue, *sources: str, size: int = 10) -> list[Transmit | None]:
    """Put a message of each source in, which says whose it is and which; what had to be dropped for each."""
    return [
        queue.put(Transmit("x", (f"{source}{number}".encode().ljust(size),)), source)
        for number, source in enumerate(sources)
    ]


def names(effects: list[Transmit]) -> str:
    return " ".join(effect.frames[0].decode().strip() for effect in effects)


def test_those_that_send_to_one_neighbour_have_their_turns() -> None:
    queue = SendQueue(1_000)
    queued(queue, *"aaaabbc")
    assert names(queue.take(5)) == "a0 b4 c6 a1 b5"
    assert names(queue.drain()) == "a2 a3"
    assert len(queue) == 0


def test_a_flood_costs_the_one_that_floods() -> None:
    queue = SendQueue(100)
    assert queued(queue, *"aaaaaaaaaa") == [None] * 10
    (dropped,) = queued(queue, "b")
    assert dropped is not None
    assert names([dropped]) == "a9"
    assert names(queue.take(2)) == "a0 b0"


def test_what_alone_is_more_than_fits_is_dropped_itself() -> None:
    queue = SendQueue(5)
    (dropped,) = queued(queue, "a")
    assert dropped is not None
    assert names([dropped]) == "a0"
    assert len(queue) == 0


def test_what_the_library_says_itself_goes_first_and_is_bounded_too() -> None:
    queue = SendQueue(1 << 20)
    queued(queue, *"ab")
    queue.put_back([Transmit("x", (b"back",)), Transmit("x", (b"own",), Traffic.CONTROL)])
    assert names(queue.take(2)) == "own back"
    kept = [queue.put(Transmit("x", (b"%d" % n,), Traffic.CONTROL), "x") for n in range(CONTROLS + 1)]
    assert [one for one in kept if one is not None] == [Transmit("x", (b"0",), Traffic.CONTROL)]


def test_what_is_dropped_for_another_is_named() -> None:
    terminal = full(limit=500)
    terminal.learn("cam", "rig_1", now=0)
    assert terminal.receive("rig_2", [b"T", b"cam", b"y" * 300], now=0) == [PeerUp("rig_2")]
    effects = terminal.receive("rig_3", [b"T", b"rig_1", b"z" * 200], now=0)
    assert [(e.peer, e.recipient) for e in effects if isinstance(e, Dropped)] == [("rig_1", "cam")]
    effects = terminal.receive("rig_3", [b"T", b"rig_1", b"z" * 400], now=0)
    assert [(e.peer, e.recipient) for e in effects if isinstance(e, Dropped)] == [("rig_1", "rig_1")]
