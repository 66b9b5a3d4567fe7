"""Who sends to whom through a station: each is told once that there is no way, and anew after there was one."""

from autopilot_net.protocol.interest import Interest


def test_who_sends_is_told_once_that_there_is_no_way() -> None:
    interest = Interest()
    interest.note("X", "n")
    assert [interest.tell("X", "n") for _ in range(2)] == [True, False]


def test_who_never_sent_is_not_told() -> None:
    interest = Interest()
    interest.note("X", "n")
    assert not interest.tell("X", "other")
    assert not interest.tell("Y", "n")
    assert interest.of("Y") == []


def test_who_is_told_that_there_is_a_way_may_be_told_anew_that_there_is_none() -> None:
    interest = Interest()
    for peer in ("n", "m"):
        interest.note("X", peer)
    interest.tell("X", "n")
    assert interest.is_back("X") == ["n", "m"]
    assert interest.tell("X", "n")
    assert interest.is_back("nobody") == []


def test_who_may_not_have_heard_is_told_anew_and_the_others_are_not() -> None:
    interest = Interest()
    for peer in ("n", "m"):
        interest.note("X", peer)
        interest.tell("X", peer)
    interest.tell_anew("n")
    assert (interest.tell("X", "n"), interest.tell("X", "m")) == (True, False)


def test_a_neighbour_that_went_away_leaves_nothing_behind() -> None:
    interest = Interest()
    interest.note("X", "n")
    interest.note("Y", "n")
    interest.note("Y", "m")
    interest.lose("n")
    assert interest.recipients() == ["Y"]
    assert interest.of("Y") == ["m"]


def test_beyond_the_bound_nobody_is_remembered_until_there_is_room() -> None:
    interest = Interest(bound=2)
    for recipient in ("X", "Y", "Z"):
        interest.note(recipient, "n")
    interest.note("X", "n")  # known, and takes no more room
    assert interest.recipients() == ["X", "Y"]
    interest.lose("n")
    interest.note("Z", "m")
    assert interest.recipients() == ["Z"]
