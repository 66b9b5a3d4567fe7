"""Why an upstream is not reached, as a sentence for the person who has to fix it; and when to say so.

zmq retries for ever and reports nothing. So the address is tried by plain TCP, in a thread of its own.
"""

from __future__ import annotations

import socket

__all__ = ["Watch", "host_of", "look"]

FIRST_S = 1.0  # until it is looked whether the name has other addresses
TELL_S = 5.0  # until it is said
AGAIN_S = (60.0, 600.0)  # and then ever more rarely
TIMEOUT_S = 3.0
SIGNATURE = 10  # bytes that every zmq socket says first: ff, a length, 7f


class Watch:
    """Since when one upstream is not reached, and when to find out why."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.at: float | None = None  # when to look
        self._wait = AGAIN_S[0]

    def is_due(self, *, reached: bool, now: float) -> bool:
        """Whether to find out now why it is not reached."""
        if reached:
            self.since = self.at = None
            self._wait = AGAIN_S[0]
            return False
        if self.since is None or self.at is None:
            self.since, self.at = now, now + FIRST_S
        if now < self.at:
            return False
        if now - self.since < TELL_S:
            self.at = self.since + TELL_S
        else:
            self.at, self._wait = now + self._wait, min(2 * self._wait, AGAIN_S[1])
        return True

    def is_to_be_told(self, *, now: float) -> bool:
        """Whether it has lasted long enough to be logged."""
        return self.since is not None and now - self.since >= TELL_S


def host_of(address: str) -> str:
    """The host in an address as zmq takes it, which may begin with the own address and a semicolon."""
    return address.rpartition(";")[2].strip("[]")


def look(host: str, port: int) -> tuple[str, str]:
    """Why nothing is reached at `host`:`port`, and its IPv6 address if it has no other kind. Takes seconds."""
    try:
        found = {info[0]: str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"the name {host!r} does not resolve ({reason}); is it spelt so, and known on this network?", ""
    only_v6 = "" if socket.AF_INET in found else found.get(socket.AF_INET6, "")
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as there:
            return _what_listens(there), only_v6
    except ConnectionRefusedError:
        return (
            "nothing listens at that port; is the station started, and may others than its own machine reach it "
            "(listen_ip='*')?",
            only_v6,
        )
    except TimeoutError:
        return "the machine does not answer; is it on, and on this network?", only_v6
    except OSError as error:
        return f"the machine cannot be reached ({error.strerror or error}); is it on, and on this network?", only_v6


def _what_listens(there: socket.socket) -> str:
    there.settimeout(TIMEOUT_S)
    said = b""
    try:
        while len(said) < SIGNATURE and (more := there.recv(SIGNATURE - len(said))):
            said += more
    except OSError:
        pass
    if said[:1] == b"\xff" and said[9:10] == b"\x7f":
        return "a station listens there, and has not taken the connection yet; it may be busy"
    if said:
        return f"another service listens at that port, which says {said!r}; is it the station's?"
    return "what listens at that port says nothing: another service, or a station that stands still"
