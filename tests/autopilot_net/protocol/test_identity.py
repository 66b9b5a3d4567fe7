"""An id and the zmq identity of a connection under it: each is found in the other."""

import pytest

from autopilot_net.protocol.identity import SEPARATOR, connection_of, id_of, identity_of


@pytest.mark.parametrize("id", ["rig_1", "_rig_1", "Größe", "x"])
@pytest.mark.parametrize("connection", ["", "1", "a7f3"])
def test_what_was_put_together_is_taken_apart(id: str, connection: str) -> None:
    identity = identity_of(id, connection)
    assert (id_of(identity), connection_of(identity)) == (id, connection)


def test_the_first_connection_has_the_id_itself_as_autopilots_have() -> None:
    assert identity_of("rig_1") == b"rig_1"


@pytest.mark.parametrize("identity", [b"", SEPARATOR, SEPARATOR + b"1", b"\xff", b"\xff" + SEPARATOR + b"1"])
def test_an_identity_without_a_name_or_that_is_no_text_is_nobodys(identity: bytes) -> None:
    assert id_of(identity) is None


def test_a_name_of_a_connection_that_is_no_text_breaks_nothing() -> None:
    identity = b"rig_1" + SEPARATOR + b"\xff"
    assert (id_of(identity), connection_of(identity)) == ("rig_1", "\ufffd")
