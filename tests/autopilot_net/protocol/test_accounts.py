"""What a connection lost is known after the next one is there: for sure where the neighbour can tell, else at most."""

from autopilot_net.protocol.accounts import REMEMBER, RUNS, Account, Losses
from autopilot_net.protocol.probes import ProbeState


def state(*, life: str = "a", connection: str = "", read: int = 0, **closed: int) -> ProbeState:
    return ProbeState("n", life, connection=connection, read=read, closed=closed)


def with_sent(count: int, *, connection: str = "one") -> Account:
    account = Account()
    account.renew(connection)
    for _ in range(count):
        account.sent(counts=True)
    return account


def test_what_was_read_is_not_lost() -> None:
    account = with_sent(5)
    account.hear(state(connection="one", read=5))
    account.renew("two")
    assert account.hear(state(connection="two", one=5)) == Losses()


def test_what_the_neighbour_did_not_read_of_a_former_connection_is_lost_and_told_once() -> None:
    account = with_sent(5)
    assert account.renew("two") == Losses()
    assert account.hear(state(connection="two", one=2)) == Losses(lost=3)
    assert account.hear(state(connection="two", one=2)) == Losses()


def test_what_is_repeated_until_it_is_confirmed_is_never_lost() -> None:
    account = Account()
    account.renew("one")
    for number in range(6):
        account.sent(counts=number % 2 == 0)
    account.renew("two")
    assert account.hear(state(connection="two", one=0)) == Losses(lost=3)


def test_a_former_connection_that_the_neighbour_never_heard_of_lost_all() -> None:
    account = with_sent(4)
    account.renew("two")
    assert account.hear(state(connection="two")) == Losses(lost=4)


def test_where_the_name_was_not_told_first_the_loss_is_not_sure() -> None:
    account = Account()
    account.renew("one", is_told_first=False)
    account.sent(counts=True)
    account.renew("two")
    assert account.hear(state(connection="two")) == Losses(unknown=1)


def test_a_neighbour_in_its_next_life_cannot_tell_what_the_former_one_read() -> None:
    account = with_sent(3)
    account.hear(state(connection="one", read=1))
    account.renew("two")
    assert account.hear(state(life="b", connection="two")) == Losses(unknown=2)


def test_nobody_reads_more_than_was_sent() -> None:
    account = with_sent(2)
    account.hear(state(connection="one", read=1_000))
    for _ in range(3):
        account.sent(counts=True)
    account.renew("two")
    assert account.hear(state(connection="two", one=2)) == Losses(lost=3)


def test_a_connection_without_a_name_tells_its_loss_when_it_is_replaced() -> None:
    account = Account()
    account.sent(counts=True)
    assert account.renew("one") == Losses(unknown=1)


def test_what_was_read_of_former_connections_is_told_of_the_last_few() -> None:
    account = Account()
    account.renew("0")
    for number in range(1, REMEMBER + 3):
        account.received()
        account.renew(str(number))
    assert account.read == 0
    assert account.read_of() == {str(number): 1 for number in range(2, REMEMBER + 2)}


def test_former_connections_beyond_count_are_given_up_as_unknown() -> None:
    account = with_sent(1, connection="0")
    losses = []
    for number in range(1, REMEMBER + 2):
        losses.append(account.renew(str(number)))
        account.sent(counts=True)
    assert losses == [Losses()] * REMEMBER + [Losses(unknown=1)]


def test_the_memory_of_what_was_sent_is_bounded() -> None:
    account = Account()
    account.renew("one")
    for _ in range(RUNS + 10):
        account.sent(counts=True)
        account.sent(counts=False)
    account.renew("two")
    assert account.hear(state(connection="two")) == Losses(lost=RUNS)
