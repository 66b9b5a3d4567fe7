"""What a node has in place of sockets: closing it does nothing, and nothing else can be done to it."""

from __future__ import annotations

import logging

import pytest

from autopilot_net.closable import Port, Sock


@pytest.mark.parametrize("one", [Sock("n"), Port(5_560, "n")])
@pytest.mark.parametrize("linger", [(), (0,), (None,)])
def test_closing_it_does_nothing_and_says_so(
    one: Sock | Port, linger: tuple[int | None, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        one.close(*linger)
    assert caplog.messages == ["n: release() closes its sockets; close() did nothing"] * 2


@pytest.mark.parametrize("name", ["send", "recv_multipart", "setsockopt"])
def test_a_socket_that_is_none_says_what_there_is_instead(name: str) -> None:
    with pytest.raises(AttributeError, match=f"no '{name}'.*`send` and listens are the ways in and out"):
        getattr(Sock("n"), name)


def test_a_port_is_a_number() -> None:
    port = Port(5_560)
    assert (port, port + 1, f"{port}") == (5_560, 5_561, "5560")
