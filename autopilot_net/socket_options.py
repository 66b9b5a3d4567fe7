"""How the zmq sockets are set, and what happens without each setting. Observed with libzmq 4.3.5.

Each reason has a test in `test_socket_options.py` or `test_sockets.py`.
"""

from __future__ import annotations

import ipaddress
import socket as tcp

import zmq

__all__ = ["LINGER_MS", "SMALL", "bracketed", "dealer", "has_v6", "is_v6", "router"]

LINGER_MS = 500  # how long what was sent last, a CONFIRM say, may take to leave after closing
KEEPALIVE_S = 2  # how often the system asks a silent connection whether its other end is there; it asks three times
UNACKED_MS = 10_000  # how long what is sent down may stay unacknowledged
# Toward one neighbour, what has left our own queue and is not on the wire yet is at most a quarter of a MiB: PIPE small
# messages, PIPE_BYTES of larger ones (one always may go), and what the system keeps, which it counts double.
PIPE = 64  # messages
SMALL = 1 << 10  # bytes; larger ones are counted, since zmq counts messages alone
SEND_BYTES = 64 << 10  # with half of it, loopback, whose packets are as large, waits 40 ms for each acknowledgement
# Of what one neighbour sent, so much may lie unread, in zmq and in the system. Then its sender has to wait.
UNREAD = 256  # messages
UNREAD_BYTES = 128 << 10
MAX_FRAME = 64 << 20  # bytes; whoever sends a longer one is disconnected before it is read


def router(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """A ROUTER that says when a neighbour is gone, and lets a rebooted one back in."""
    socket = _common(context.socket(zmq.ROUTER))
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # otherwise messages to a neighbour that is gone are dropped silently
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # otherwise a rebooted Pi is refused its id for a while
    socket.setsockopt(zmq.TCP_MAXRT, UNACKED_MS)  # otherwise a peer that lost its power seems connected
    return socket


def dealer(context: zmq.Context[zmq.Socket[bytes]], identity: bytes) -> zmq.Socket[bytes]:
    """A DEALER named `identity` that is seen at once when it connects, and keeps nothing for a dead peer.

    What it sent may stay unacknowledged for long: the endpoint probes its upstream, and knows better when to give up.
    """
    socket = _common(context.socket(zmq.DEALER))
    socket.setsockopt(zmq.IDENTITY, identity)
    socket.setsockopt(zmq.PROBE_ROUTER, 1)  # otherwise the far ROUTER does not know us until our first message
    socket.setsockopt(zmq.IMMEDIATE, 1)  # otherwise frames queue for a dead peer, and reach its next life
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    return socket


def _common(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.SNDHWM, PIPE)
    socket.setsockopt(zmq.SNDBUF, SEND_BYTES)
    # A finite mark, at which libzmq stops to read: so TCP holds a sender up before the memory is full. It then reads no
    # heartbeats either, and would give up, or abort over, peers that live. So there are none: the endpoint has probes.
    socket.setsockopt(zmq.RCVHWM, UNREAD)
    socket.setsockopt(zmq.RCVBUF, UNREAD_BYTES)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    # Without keepalive, a machine that lost its power looks connected for hours.
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 2)
    socket.copy_threshold = SMALL
    return socket


def is_v6(ip: str) -> bool:
    """Whether it is an address of IPv6, in brackets or not, and with a zone or not."""
    try:
        return ipaddress.ip_address(ip.strip("[]").partition("%")[0]).version == 6
    except ValueError:
        return False


def bracketed(ip: str) -> str:
    """As it stands before a port."""
    return f"[{ip}]" if is_v6(ip) and not ip.startswith("[") else ip


def has_v6() -> bool:
    """Whether this machine can listen by IPv6; then it can by both at once."""
    try:
        with tcp.socket(tcp.AF_INET6, tcp.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
