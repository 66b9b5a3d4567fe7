"""Who may ask whom for the time, and who is told it. How sure the answer is, `test_clock.py` shows."""

from autopilot_net.message import Message
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.clock_sync import ClockSync
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.effects import Effect, Transmit
from autopilot_net.protocol.router import Router


class Station:
    """`s`, above `n`, and below `parent` where it has one."""

    def __init__(self, *, upstream: str | None = "parent", interval: float | None = 16.0) -> None:
        self.router = Router("s", upstream=upstream, forwards=True, backlog_bytes=1_000)
        for peer in (upstream, "n"):
            if peer is not None:
                self.router.routes.meet(peer)
                self.router.is_ours(peer)
        control = Control(self.router, incarnation="life", epoch=1_000.0)
        self.sync = ClockSync(self.router, control, incarnation="life", interval=interval)

    def asks(self, sender: str = "n", peer: str = "n") -> list[Effect]:
        """It is asked for the time."""
        return self.sync.read(Message(id="q", to="s", sender=sender, key="CLOCK"), peer, now=5.0)


def said(effects: list[Effect]) -> Message:
    (effect,) = effects
    assert isinstance(effect, Transmit)
    return Message(effect.frames[-1])


def test_the_roots_clock_is_the_clock_and_it_asks_nobody() -> None:
    root = Station(upstream=None)
    assert root.sync.offset(now=0) == ClockOffset(0.0, 0.0)
    assert root.sync.ask_at() is None
    answer = said(root.asks())
    assert (answer.to, answer.key, answer.value, answer.re) == ("n", "CLOCK", [1_005.0, 0.0, 0.0], "q")


def test_who_does_not_know_the_time_says_nothing() -> None:
    assert Station().asks() == []


def test_who_asks_for_another_is_told_nothing() -> None:
    assert Station(upstream=None).asks(sender="far") == []


def test_the_upstream_is_asked_only_while_it_is_there_and_can_tell() -> None:
    one = Station()
    one.sync.upstream_is_up(now=3.0)
    assert one.sync.ask_at() == 3.0
    one.router.routes.lose("parent")
    assert one.sync.ask_at() is None
    one.router.routes.meet("parent")
    one.router.ours.discard("parent")
    assert one.sync.ask_at() is None


def test_without_an_interval_nobody_is_asked() -> None:
    one = Station(interval=None)
    one.sync.upstream_is_up(now=3.0)
    assert one.sync.ask_at() is None


def test_an_answer_from_above_tells_the_offset_and_one_to_a_former_life_does_not() -> None:
    one = Station()
    question = said(one.sync.ask(now=2.0))
    assert (question.to, question.key) == ("parent", "CLOCK")
    answer = Message(id="a", to="s", sender="parent", key="CLOCK", value=[1_052.0, 0.0, 0.0], re="s_former_2.0")
    one.sync.read(answer, "parent", now=2.0)
    assert one.sync.offset(now=2.0) is None
    answer["re"] = question.id
    one.sync.read(answer, "parent", now=2.0)
    known = one.sync.offset(now=2.0)
    assert known is not None
    assert abs(known.offset - 50.0) <= known.uncertainty


def test_when_the_roots_clock_is_set_it_says_so_once_to_those_below_that_are_ours() -> None:
    root = Station(upstream=None)
    root.router.routes.meet("theirs")
    root.sync.set_epoch(1_000.0005)
    assert root.sync.next_timer() is None
    root.sync.set_epoch(2_000.0)
    assert root.sync.next_timer() == 0.0
    notice = said(root.sync.handle_timer(now=5.0))
    assert (notice.to, notice.key, notice.value, notice.get("re")) == ("n", "CLOCK", "set", None)
    assert root.sync.next_timer() is None


def test_who_hears_it_passes_it_on_forgets_what_it_knew_and_asks() -> None:
    one = Station()
    question = said(one.sync.handle_timer(now=2.0))
    one.sync.read(
        Message(id="a", to="s", sender="parent", key="CLOCK", value=[1_052.0, 0.0, 0.0], re=question.id), "parent", 2.0
    )
    assert one.sync.offset(now=2.0) is not None
    told = Message(id="b", to="s", sender="parent", key="CLOCK", value="set")
    assert said(one.sync.read(told, "parent", 3.0)).to == "n"
    assert one.sync.offset(now=3.0) is None
    assert one.sync.next_timer() == 3.0


def test_who_is_below_cannot_say_that_the_terminals_clock_was_set() -> None:
    one = Station(upstream=None)
    told = one.sync.read(Message(id="b", to="s", sender="n", key="CLOCK", value="set"), "n", 3.0)
    assert said(told).value == [1_003.0, 0.0, 0.0]


def test_the_clock_of_another_than_the_root_is_nobodys_concern() -> None:
    one = Station()
    one.sync.set_epoch(2_000.0)
    assert one.sync.next_timer() == one.sync.ask_at()


def test_who_learns_by_an_answer_that_the_clock_was_set_tells_those_below() -> None:
    """It was out of reach when that was said; and those below may have asked it for the time since."""
    one = Station()
    told = []
    for now, era in ((2.0, 7.0), (3.0, 7.0), (4.0, 8.0), (5.0, 8.0)):
        question = said(one.sync.ask(now=now))
        answer = Message(id="a", to="s", sender="parent", key="CLOCK", value=[now, 0.0, 0.0], re=question.id, era=era)
        told.append([said([effect]).value for effect in one.sync.read(answer, "parent", now=now)])
    assert told == [[], [], ["set"], []]


def test_who_was_told_that_the_clock_was_set_passes_it_on_once() -> None:
    one = Station()
    told = []
    for now, era in ((2.0, 7.0), (4.0, 8.0)):
        question = said(one.sync.ask(now=now))
        answer = Message(id="a", to="s", sender="parent", key="CLOCK", value=[now, 0.0, 0.0], re=question.id, era=era)
        told += one.sync.read(answer, "parent", now=now)
        if era == 7.0:
            notice = Message(id="b", to="s", sender="parent", key="CLOCK", value="set")
            told += one.sync.read(notice, "parent", now=3.0)
    assert said(told).value == "set"
