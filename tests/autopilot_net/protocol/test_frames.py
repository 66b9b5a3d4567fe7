"""Where each frame stands: every row of the protocol's table, from the socket that sends to the socket that reads."""

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Dropped, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.frames import Packet, pack_to, pack_up, read_frames

M = b"{opaque}"


def station(id: str = "s", *, upstream: str | None = "parent", below: tuple[str, ...] = ()) -> Endpoint:
    made = Endpoint(id, upstream=upstream, forwards=True, incarnation="1")
    for peer in (upstream, *below):
        if peer is not None:
            made.meet(peer, now=0)
    return made


def node(id: str = "n", *, upstream: str = "s") -> Endpoint:
    made = Endpoint(id, upstream=upstream, incarnation="1")
    made.meet(upstream, now=0)
    return made


def sent_by(endpoint: Endpoint, to: str, *hops: str) -> tuple[str, tuple[bytes, ...]]:
    """The neighbour that a message of `endpoint` goes to, and the frames before the message itself."""
    message = Message(id="1", to=to, sender=endpoint.id, key="K")
    (effect,) = endpoint.send(message, hops=hops, repeat=False, now=0)
    assert isinstance(effect, Transmit)
    assert effect.frames[-1] == message.serialize(pack=True)
    return effect.peer, effect.frames[:-1]


def passed_on(endpoint: Endpoint, peer: str, *frames: bytes) -> tuple[str, tuple[bytes, ...]]:
    (effect,) = endpoint.receive(peer, frames, now=0)
    assert isinstance(effect, Transmit)
    return effect.peer, effect.frames


def test_a_node_names_its_station_and_the_recipient() -> None:
    assert sent_by(node(), "X") == ("s", (b"s", b"X"))


def test_a_node_names_its_station_once_where_the_hops_name_it() -> None:
    assert sent_by(node(), "X", "s", "h", "X") == ("s", (b"s", b"h", b"X", b"X"))


def test_a_node_puts_its_station_before_hops_that_do_not_name_it() -> None:
    assert sent_by(node(), "X", "h", "X") == ("s", (b"s", b"h", b"X", b"X"))


def test_a_station_names_its_parent_on_the_way_up() -> None:
    assert sent_by(station(), "X") == ("parent", (b"parent", b"X"))


def test_a_neighbour_that_is_the_recipient_gets_the_message_alone() -> None:
    assert sent_by(station(below=("X",)), "X") == ("X", ())


def test_a_neighbour_on_the_way_gets_the_recipient_and_the_message() -> None:
    sender = station(below=("Y",))
    sender.learn("X", "Y", now=0)
    assert sent_by(sender, "X") == ("Y", (b"X",))


def test_hops_that_are_left_stand_before_the_recipient_on_the_way_down() -> None:
    assert sent_by(station(below=("Y",)), "X", "Y", "h", "X") == ("Y", (b"h", b"X", b"X"))


def above_theirs() -> Endpoint:
    """A station whose neighbour `Y`, before `X`, is of Autopilot's own: what it sent first was no probe."""
    made = station(below=("Y",))
    made.learn("X", "Y", now=0)
    made.receive("Y", [b"s", b"s", Message(id="Y_1", to="s", sender="Y", key="STATE").serialize()], now=0)
    return made


def test_a_neighbour_on_the_way_that_is_theirs_gets_padding_that_it_takes_for_its_router_form() -> None:
    assert sent_by(above_theirs(), "X") == ("Y", (b"Y", b"Y", b"X"))


def test_hops_that_are_left_stand_behind_the_padding() -> None:
    assert sent_by(above_theirs(), "n", "Y", "X", "n") == ("Y", (b"Y", b"Y", b"X", b"n"))


def test_what_is_for_a_neighbour_that_is_theirs_goes_alone() -> None:
    assert sent_by(above_theirs(), "Y") == ("Y", ())


def test_a_neighbour_that_only_passes_on_what_others_sent_is_theirs_too() -> None:
    sender = station(below=("Y",))
    sender.learn("X", "Y", now=0)
    sender.receive("Y", [b"s", b"parent", M], now=0)
    assert sent_by(sender, "X") == ("Y", (b"Y", b"Y", b"X"))


@pytest.mark.parametrize(
    "shown",
    [[b""], [b"s", b"s", Message(id="1", to="s", sender="Y", key="STATE", inc="1").serialize()]],
    ids=["a probe", "an incarnation"],
)
def test_a_neighbour_that_shows_that_it_is_ours_gets_no_padding(shown: list[bytes]) -> None:
    sender = above_theirs()
    sender.receive("Y", shown, now=0)
    assert sent_by(sender, "X") == ("Y", (b"X",))


def test_what_comes_back_under_the_id_of_theirs_may_be_ours() -> None:
    sender = above_theirs()
    sender.lose("Y", now=0)
    sender.receive("Y", [b""], now=0)
    sender.learn("X", "Y", now=0)
    assert sent_by(sender, "X") == ("Y", (b"X",))


def test_the_padding_does_no_harm_to_ours() -> None:
    between = station("Y", below=("X",))
    assert passed_on(between, "parent", b"Y", b"Y", b"X", M) == ("X", (M,))


def test_a_message_alone_is_for_whoever_reads_it() -> None:
    assert read_frames([M], me="s") == Packet((), "s", M)


def test_one_frame_before_the_message_is_the_recipient() -> None:
    assert read_frames([b"X", M], me="s") == Packet((), "X", M)
    assert read_frames([b"s", M], me="s") == Packet((), "s", M)


def test_the_first_hop_is_dropped_only_if_it_is_mine() -> None:
    assert read_frames([b"s", b"X", M], me="s") == Packet((), "X", M)
    assert read_frames([b"mid", b"X", M], me="s") == Packet(("mid",), "X", M)


def test_my_own_id_is_dropped_as_often_as_it_comes_first() -> None:
    assert read_frames([b"s", b"s", b"X", M], me="s") == Packet((), "X", M)
    assert read_frames([b"s", b"h", b"s", b"X", M], me="s") == Packet(("h", "s"), "X", M)


def test_hops_that_are_left_all_name_me_so_it_is_mine() -> None:
    assert not [e for e in station().receive("n", [b"s", b"s", b"s", M], now=0) if isinstance(e, Transmit)]


def test_no_frames_are_no_message() -> None:
    with pytest.raises(ValueError, match="without frames"):
        read_frames([], me="s")


@pytest.mark.parametrize("frames", [[], [b"\xff", M], [b"s", b"\xc3", b"X", M]], ids=["none", "bad id", "bad hop"])
def test_frames_that_cannot_be_read_are_dropped_and_said(frames: list[bytes]) -> None:
    (effect,) = station(below=("n",)).receive("n", frames, now=0)
    assert isinstance(effect, Dropped)
    assert "cannot be read" in effect.reason


def test_up_goes_with_the_parent_first_unless_it_is_first_already() -> None:
    assert pack_up(Packet((), "X", M), "parent") == (b"parent", b"X", M)
    assert pack_up(Packet(("parent",), "X", M), "parent") == (b"parent", b"X", M)
    assert pack_up(Packet(("h",), "X", M), "parent") == (b"parent", b"h", b"X", M)


def test_down_takes_the_neighbour_off_the_hops() -> None:
    assert pack_to(Packet(("Y",), "X", M), "Y") == (b"X", M)
    assert pack_to(Packet(("h", "X"), "X", M), "Y") == (b"h", b"X", b"X", M)
    assert pack_to(Packet(("X",), "X", M), "X") == (M,)


def test_below_theirs_the_recipient_is_no_hop() -> None:
    assert pack_to(Packet(("Y", "X"), "X", M), "Y", is_theirs=True) == (b"Y", b"Y", b"X", M)


def test_a_station_gets_what_is_for_its_program_as_its_own() -> None:
    assert pack_to(Packet((), "_rig_1", M), "rig_1") == (M,)


def test_a_forwarded_frame_leaves_as_the_table_says() -> None:
    between = station("s", below=("n", "Y"))
    between.learn("X", "Y", now=0)
    assert passed_on(between, "n", b"s", b"parent", M) == ("parent", (b"parent", b"parent", M))
    assert passed_on(between, "n", b"s", b"Z", M) == ("parent", (b"parent", b"Z", M))
    assert passed_on(between, "n", b"s", b"X", M) == ("Y", (b"X", M))
    assert passed_on(between, "n", b"s", b"Y", M) == ("Y", (M,))
    assert passed_on(between, "parent", b"n", M) == ("n", (M,))
    assert passed_on(between, "parent", b"Y", b"h", b"X", M) == ("Y", (b"h", b"X", M))
    assert passed_on(between, "n", b"s", b"Y", b"X", b"X", M) == ("Y", (b"X", b"X", M))
