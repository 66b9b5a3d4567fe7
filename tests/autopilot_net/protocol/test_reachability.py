"""Reachability: who sends through a station is told when there is no way, and when there is one again."""

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Deliver, Expired, Transmit
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.interest import Interest
from tests.autopilot_net.protocol.invariants import message_of
from tests.autopilot_net.protocol.test_frames import M, node, station
from tests.autopilot_net.protocol.wire import LOSE, PASS, Wire

LONG_S = 30.0


def chain() -> Wire:
    """A program three stations below the terminal's, and the terminal's program. A repeat would take `LONG_S`."""
    nodes = {"n": "far", "_T": "T"}
    return Wire({"T": None, "mid": "T", "far": "mid"}, nodes, settings=Settings(repeat_interval=LONG_S))


def notices(wire: Wire, source: str, target: str) -> list[tuple[str, str]]:
    return [(m.key, m.value) for m in wire.carried(source, target) if m.key in {"GONE", "BACK"}]


def notice(key: str, value: object, *, sender: str = "s", to: str = "n") -> bytes:
    return Message(
        id="x", to=to, sender=sender, key=key, value=value, flags={"NOREPEAT": True}, inc="1"
    ).serialize()


def keys(effects: list[object]) -> list[str]:
    frames = [effect.frames[-1] for effect in effects if isinstance(effect, Transmit)]
    return [message.key for frame in frames if (message := message_of(frame))]


# -- a station that is away ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hops", [(), ("far", "mid", "T")], ids=["by id", "by hops"])
def test_patience_stands_while_a_station_further_up_is_away(hops: tuple[str, ...]) -> None:
    wire = chain()
    wire.cut("mid")
    wire.send("n", "T", "trial", hops=hops)
    wire.run(10 * LONG_S)
    assert wire.of("n", Expired) == []
    since = wire.now
    wire.connect("mid")
    wire.run()
    assert wire.got("T") == ["trial"]
    assert wire.now == since
    assert not wire["n"].outbox.messages()


def test_patience_stands_also_of_who_repeats_more_often_than_it_probes() -> None:
    """Who is told that there is no way is told again only once it has probed: until then a try would cost patience."""
    wire = Wire({"T": None, "mid": "T"}, {"n": "mid"}, settings=Settings(repeat_interval=0.2))
    wire.cut("mid")
    wire.send("n", "T", "trial")
    wire.run(60.0)
    assert wire.of("n", Expired) == []
    wire.connect("mid")
    wire.run()
    assert wire.got("T") == ["trial"]


@pytest.mark.parametrize("late", [False, True], ids=["lost", "overtaken"])
def test_a_way_that_is_back_is_found_though_the_news_of_it_was(late: bool) -> None:
    """Nobody would say it again: it is tried, as often as anything is repeated."""
    wire = chain()
    wire.policy = lambda f: (0.0, 1.0) if late and b'"GONE"' in f.frames[-1] else PASS
    wire.cut("mid")
    wire.send("n", "T", "trial")
    wire.run(0.5)
    if not late:
        wire.policy = lambda f: LOSE if b'"BACK"' in f.frames[-1] else PASS
    wire.connect("mid")
    wire.run(1)
    wire.policy = lambda _flight: PASS
    wire.send("n", "T", "next")
    wire.run(2 * LONG_S)
    assert wire.got("T") == ["trial", "next"]
    assert not wire["n"].outbox.messages()


def test_what_is_on_its_way_when_a_station_further_up_is_killed_goes_out_again_when_it_is_back() -> None:
    wire = chain()
    wire.policy = lambda flight: LOSE if flight.target == "T" else PASS
    wire.send("n", "T", "trial")
    wire.run()
    wire.policy = lambda _flight: PASS
    wire.restart("T")
    wire.run()
    assert wire.got("T") == ["trial"]
    assert wire.now == 0


def test_what_is_on_its_way_down_when_a_machine_is_killed_goes_out_again_when_it_is_back() -> None:
    wire = chain()
    wire.policy = lambda flight: LOSE if flight.target == "far" else PASS
    wire.send("_T", "far", "STOP")
    wire.run()
    wire.policy = lambda _flight: PASS
    wire.restart("far")
    wire.announce()
    wire.run()
    assert wire.got("far") == ["STOP"]
    assert wire.now == 0


def test_what_nobody_could_reach_yet_goes_out_again_once_somebody_can() -> None:
    wire = Wire({"T": None, "rig": "T"}, {"_T": "T"}, settings=Settings(repeat_interval=LONG_S), connected=False)
    wire.connect("_T")
    wire.inject("_T", "T", b"")
    wire.send("_T", "rig", "START")
    wire.run()
    assert wire.got("rig") == []
    wire.connect("rig")
    wire.run()
    assert wire.got("rig") == ["START"]
    assert wire.now == 0


def test_who_starts_before_the_way_up_is_there_waits_for_it_with_patience() -> None:
    wire = Wire({"T": None, "rig": "T"}, {"n": "rig"}, settings=Settings(repeat_interval=1.0), connected=False)
    wire.connect("n")
    wire.inject("n", "rig", b"")
    wire.send("n", "T", "trial")
    wire.run(10 * LONG_S)
    wire.connect("rig")
    wire.run()
    assert wire.got("T") == ["trial"]


def test_a_way_that_ends_at_a_neighbour_does_not_close_the_way_to_others() -> None:
    wire = chain()
    wire.cut("mid")
    wire.send("n", "T", "later")
    wire.send("n", "mid", "now")
    wire.run()
    assert wire.got("mid") == ["now"]


def test_what_was_said_to_be_beyond_reach_is_reached_if_it_is_heard_of() -> None:
    wire = chain()
    wire.inject("far", "n", notice("GONE", "T", sender="far"))
    wire.send("n", "T", "trial")
    wire.run()
    assert wire.got("T") == []
    wire.send("T", "n", "hello", hops=("mid", "far", "n"))
    wire.run()
    assert wire.got("T") == ["trial"]


def test_a_new_connection_makes_what_was_beyond_reach_worth_a_try() -> None:
    wire = chain()
    wire.inject("far", "n", notice("GONE", "T", sender="far"))
    wire.send("n", "T", "trial")
    wire.restart("far")
    wire.run()
    assert wire.got("T") == ["trial"]


# -- who is told what, and how often -------------------------------------------------------------------------------


def test_who_sends_up_in_vain_is_told_once_until_it_probes() -> None:
    wire = chain()
    wire.cut("mid")
    for _ in range(3):
        wire.send("n", "T", repeat=False)
    wire.run()
    assert notices(wire, "mid", "far") == [("GONE", "T")]
    assert notices(wire, "far", "n") == [("GONE", "T")]
    wire.inject("n", "far", b"")
    wire.send("n", "T", repeat=False)
    wire.run()
    assert notices(wire, "far", "n") == [("GONE", "T")] * 2


def test_all_who_send_that_way_are_told_when_it_is_back_and_nobody_else() -> None:
    wire = chain()
    wire.cut("mid")
    wire.send("n", "T")
    wire.run()
    wire.connect("mid")
    wire.run()
    assert notices(wire, "mid", "far") == [("GONE", "T"), ("BACK", "T")]
    assert notices(wire, "far", "n") == [("GONE", "T"), ("BACK", "T")]
    assert notices(wire, "T", "_T") == []


def test_who_left_is_told_nothing() -> None:
    wire = chain()
    wire.cut("mid")
    wire.send("n", "T")
    wire.run()
    wire.cut("n")
    wire.connect("mid")
    wire.run()
    assert notices(wire, "far", "n") == [("GONE", "T")]


def test_one_of_theirs_is_told_nothing() -> None:
    it = station(upstream="parent", below=("theirs",))
    it.lose("parent", now=0)
    assert keys([*it.receive("theirs", [b"s", b"T", M], now=0)]) == []
    assert keys([*it.meet("parent", now=0)]) == []


@pytest.mark.parametrize("key", ["GONE", "BACK"])
def test_a_notice_that_names_nothing_is_ignored(key: str) -> None:
    assert node().receive("s", [notice(key, ["T"])], now=0) == []


def opened() -> Endpoint:
    """A station that waits for a confirmation from `X`, which lies behind its neighbour `Y`."""
    it = station(below=("Y", "Z"))
    it.learn("X", "Y", now=0)
    it.ours.add("X")
    it.send(Message(id="1", to="X", sender="s", key="K"), repeat=True, now=0)
    return it


def test_only_the_neighbour_on_the_way_can_say_that_there_is_one() -> None:
    assert keys([*opened().receive("parent", [notice("BACK", "X", sender="parent", to="s")], now=0)]) == []


def test_a_neighbour_below_that_says_there_is_a_way_by_it_is_believed() -> None:
    it = opened()
    assert keys([*it.receive("Z", [b"s", b"s", notice("BACK", "X", sender="Z", to="s")], now=0)]) == ["K"]
    assert it.routes.next_hop("X") == "Z"


def test_a_notice_never_goes_back_where_it_came_from() -> None:
    """Else two stations that each take the other to be nearer would never come to rest."""
    wire = chain()
    for name in ("mid", "far"):
        wire.send(name, "n" if name == "mid" else "T")
    wire.run()
    before = len(wire.of("far", Transmit)) + len(wire.of("mid", Transmit))
    wire.inject("mid", "far", notice("BACK", "T", sender="mid", to="far"))
    wire.run()
    assert len(wire.of("far", Transmit)) + len(wire.of("mid", Transmit)) == before


def test_who_asks_is_remembered_within_a_bound() -> None:
    interest = Interest(bound=2)
    for peer, recipient in (("a", "X"), ("a", "X"), ("b", "X"), ("c", "Y")):
        interest.note(recipient, peer)
    assert interest.of("X") == ["a", "b"]
    assert (interest.recipients(), interest.of("Y")) == (["X"], [])
    interest.lose("a")
    interest.note("Y", "c")
    assert interest.recipients() == ["X", "Y"]
    interest.lose("c")
    assert interest.recipients() == ["X"]


def test_who_is_not_remembered_is_told_nothing() -> None:
    interest = Interest(bound=0)
    interest.note("X", "a")
    assert not interest.tell("X", "a")




@pytest.mark.parametrize("key", ["GONE", "BACK", "CLOCK"])
def test_a_labs_own_message_under_a_word_of_ours_is_handled(key: str) -> None:
    """From Autopilot's own, or one that seeks a confirmation: no notice ever does."""
    theirs = Message(id="x", to="s", sender="parent", key=key, value="T", flags={"NOREPEAT": True}).serialize()
    sought = Message(id="y", to="s", sender="parent", key=key, value="T", inc="a", seq=1, low=1).serialize()
    for payload in (theirs, sought):
        handed = [e for e in station().receive("parent", [payload], now=0) if isinstance(e, Deliver)]
        assert [e.message.key for e in handed] == [key]


def test_who_was_told_that_there_is_no_way_is_told_when_a_station_meets_its_upstream_for_the_first_time() -> None:
    """What came meanwhile has waited, and goes out: nothing of it is lost."""
    made = Endpoint("s", upstream="parent", forwards=True, incarnation="1")
    made.meet("cam", now=0)
    made.router.is_ours("cam")
    told = [effect for effect in made.receive("cam", [b"s", b"T", M], now=1) if isinstance(effect, Transmit)]
    assert [message_of(effect.frames[-1]) and effect.peer for effect in told] == ["cam"], "there is no way yet"
    effects = made.meet("parent", now=2)
    sent = [effect for effect in effects if isinstance(effect, Transmit)]
    assert [effect.frames[-1] for effect in sent if effect.peer == "parent"][-1] == M
    [back] = [message_of(effect.frames[-1]) for effect in sent if effect.peer == "cam"]
    assert back is not None
    assert (back.key, back.value, back.get("kept")) == ("BACK", "T", True)
