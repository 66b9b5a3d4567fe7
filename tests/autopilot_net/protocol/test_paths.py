"""No way to somebody, and a way again: who sends is told, and what was lost meanwhile is sent again."""

from collections.abc import Callable
from typing import Any

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Effect, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from tests.autopilot_net.protocol.invariants import message_of
from tests.autopilot_net.protocol.test_frames import station
from tests.autopilot_net.protocol.wire import PASS, Copies, Flight, Wire


def hears(endpoint: Endpoint, peer: str, key: str, name: Any, **extra: Any) -> list[tuple[str, str, object]]:
    """What `endpoint` sends, to whom, when its neighbour `peer` says that of `name`."""
    extra = extra | {"flags": {"NOREPEAT": True}, "inc": "1"}
    word = Message(id=f"{peer}_c", to=endpoint.id, sender=peer, key=key, value=name, **extra)
    me = endpoint.id.encode()
    return sent(endpoint.receive(peer, [me, me, word.serialize()], now=1))


def sent(effects: list[Effect]) -> list[tuple[str, str, object]]:
    payloads = [(one.peer, message_of(one.frames[-1])) for one in effects if isinstance(one, Transmit)]
    return [(peer, message.key, message.value) for peer, message in payloads if message is not None]


def sends(endpoint: Endpoint) -> list[tuple[str, str, object]]:
    """What goes out when it sends to X, which is reached through its parent."""
    return sent(endpoint.send(Message(id="s_1", to="X", sender="s", key="DATA", value=1), repeat=True, now=0))


def test_what_is_for_somebody_the_upstream_cannot_reach_waits_until_it_can() -> None:
    one = station()
    assert hears(one, "parent", "GONE", "X") == []
    assert not one.router.is_open("X", "X")
    assert sends(one) == []
    assert hears(one, "parent", "BACK", "X") == [("parent", "DATA", 1)]


def test_what_may_have_been_lost_on_the_way_is_asked_after_unless_it_was_only_late() -> None:
    for extra, asked in (({}, [("parent", "CONFIRM", "s_1")]), ({"kept": True}, [])):
        one = station()
        assert sends(one) == [("parent", "DATA", 1)]
        hears(one, "parent", "GONE", "X")
        assert hears(one, "parent", "BACK", "X", **extra) == asked
        assert one.router.is_open("X", "X")


def test_what_the_upstream_could_not_reach_is_tried_after_a_while_though_nobody_says_so() -> None:
    one = station()
    hears(one, "parent", "GONE", "X")
    sends(one)
    due = one._paths.retry_at
    assert due is not None
    hears(one, "parent", "GONE", "Y")
    assert one._paths.retry_at == due  # the second does not put the first off
    assert sent(one._paths.retry(due)) == [("parent", "DATA", 1)]
    assert one._paths.retry_at is None


def test_a_neighbour_below_that_lost_somebody_is_believed_of_what_lay_behind_it_alone() -> None:
    one = station(below=("n", "m"))
    one.learn("X", "n", now=0)
    hears(one, "m", "GONE", "X")
    assert one.router.next_hop("X") == "n"
    hears(one, "n", "GONE", "X")
    assert one.router.next_hop("X") == "parent"


@pytest.mark.parametrize("key", ["GONE", "BACK"])
@pytest.mark.parametrize("peer", ["parent", "n"])
@pytest.mark.parametrize("name", [None, 5, ["X"], {}])
def test_a_word_about_what_is_no_name_changes_nothing(key: str, peer: str, name: Any) -> None:
    one = station(below=("n",))
    assert hears(one, peer, key, name) == []
    assert one.router.is_open("X", "X")
    assert one._paths.retry_at is None


def test_a_station_that_knows_no_path_and_answers_that_come_through_it_do_not_chase_one_another() -> None:
    """s has been restarted and does not know c yet. T's hops lead through it to c, whose answers teach T the way; what
    n sends by c's id alone is refused by s, and T forgets the way. Each of the two used to undo the other without end.
    """
    wire = Wire({"T": None, "s": "T", "b": "s", "c": "b"}, {"n": "T"})
    wire.handles_at_once = False
    wire.send("T", "c", hops=["s", "b", "c"])
    wire.send("n", "c")
    wire.restart("s")
    wire.policy = limit_of(2000)
    wire.run(20)
    wire.handles_at_once = True
    wire.announce()
    wire.handle_all()
    wire.run(20)
    assert len(wire.got("c")) == 2
    assert [len(wire[name].outbox) for name in "Tn"] == [0, 0]


def limit_of(messages: int) -> Callable[[Flight], Copies]:
    """A policy that fails once more than so many messages have been sent."""
    left = iter(range(messages))

    def passes(_flight: Flight) -> Copies:
        assert next(left, None) is not None, f"more than {messages} messages were sent"
        return PASS

    return passes
