"""Links through relays: what each verb does to connections, their bytes and ends, and to a lab on top."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autopilot_net import Delivery
from sim.evidence.journal import Entry, Reader, Trace
from sim.faults.actions import Action, Verb
from sim.lab.fault import Link
from sim.lab.topology import load
from sim.processes.relay_process import LinkRelays, RelayedLink, RelayError
from sim.processes.run_context import RunContext
from tests import ROOT
from tests.conftest import eventually, held_port
from tests.harness import DEADLINE_S, Lab, ended, lab, python, shake_hands, started_by

RESET = struct.pack("ii", 1, 0)
LOOK_S = 0.5
REPEAT_S = 1.0
LIVENESS_S = 0.6


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def context(folder: Path) -> RunContext:
    """Of a run in `folder`, whose processes are in our own group."""
    for name in ("journal", "logs"):
        (folder / name).mkdir(exist_ok=True)
    return RunContext(topology=load(ROOT / "topologies/pair.yaml"), seed=7, folder=folder, group=os.getpgid(0))


@contextlib.contextmanager
def linked(folder: Path, *relayed: RelayedLink) -> Iterator[LinkRelays]:
    links = LinkRelays(context(folder), relayed)
    try:
        links.start()
        yield links
    finally:
        links.stop()


class Cable:
    """The link of rig_1, and that of `other`, with bare sockets at both ends."""

    def __init__(self, links: LinkRelays, folder: Path, listeners: dict[str, socket.socket]) -> None:
        self.links = links
        self._folder = folder
        self._listeners = listeners
        self._ends: list[socket.socket] = []

    def do(self, verb: Verb, **facts: Any) -> None:
        """To the link of rig_1."""
        self.links.do(Action(at_us=0, verb=verb, target="rig_1", **facts))

    def connect(self, name: str = "rig_1") -> tuple[socket.socket, socket.socket]:
        """The lower end of a connection, and the upper."""
        lower = self.dial(name)
        upper, _ = self._listeners[name].accept()
        upper.settimeout(DEADLINE_S)
        self._ends.append(upper)
        for end in (lower, upper):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return lower, upper

    def dial(self, name: str = "rig_1") -> socket.socket:
        """The lower end alone."""
        self._ends.append(socket.create_connection(("127.0.0.1", self.links.ports[name]), timeout=DEADLINE_S))
        return self._ends[-1]

    def fence(self) -> None:
        """Wait until the relays have seen to all that was sent so far: they do so in one thread, in order."""
        lower, upper = self.connect("other")
        for end, far in ((lower, upper), (upper, lower)) * 2:
            end.sendall(b"fence")
            assert read(far, 5) == b"fence"

    def journal(self) -> list[Entry]:
        """What the relay of rig_1 has written down so far."""
        entries = Reader(self._folder / "journal").more().of("link")
        return [entry for entry in entries if entry.to == "rig_1"]

    def traces(self) -> list[Trace]:
        """What stations have traced so far."""
        return Reader(self._folder / "journal").more().traces

    def words(self) -> list[str]:
        """The words of `journal`."""
        return [entry.key for entry in self.journal()]

    def close(self) -> None:
        """Close what is open."""
        for end in (*self._ends, *self._listeners.values()):
            end.close()


@contextlib.contextmanager
def cabled(folder: Path, **settings: Any) -> Iterator[Cable]:
    with contextlib.ExitStack() as stack:
        listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in ("rig_1", "other")}
        for one in listeners.values():
            one.settimeout(DEADLINE_S)
        relayed = [RelayedLink(name=name, port=one.getsockname()[1], **settings) for name, one in listeners.items()]
        made = Cable(stack.enter_context(linked(folder, *relayed)), folder, listeners)
        stack.callback(made.close)
        yield made


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    with cabled(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cable]:
    """A cable for tests that leave it as it was."""
    with cabled(tmp_path_factory.mktemp("cable")) as made:
        yield made


def read(end: socket.socket, size: int) -> bytes:
    """So many bytes, or those up to the end."""
    got = bytearray()
    while len(got) < size and (more := end.recv(min(size - len(got), 1 << 18))):
        got += more
    return bytes(got)


def is_silent(end: socket.socket) -> bool:
    """Whether there is nothing to be read, not even an end."""
    return not select.select([end], [], [], 0)[0]


def was_reset(end: socket.socket) -> bool:
    """Whether the next that comes is a reset."""
    try:
        end.recv(1)
    except ConnectionResetError:
        return True
    return False


def break_off(end: socket.socket) -> None:
    """Close it with a reset."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.close()


def send_all_that_goes(end: socket.socket, size: int = 64 << 20) -> int:
    """How many bytes it takes before it would wait; they are those of `counted`."""
    end.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < size:
            sent += end.send(counted(sent, min(65_536, size - sent)))
    return sent


def counted(start: int, size: int) -> bytes:
    """Bytes of which each tells where it stands."""
    first = start // 4
    return struct.pack(f">{size // 4 + 2}I", *range(first, first + size // 4 + 2))[start % 4 :][:size]


# -- nothing is wrong --------------------------------------------------------------------------------------------------


def test_bytes_pass_both_ways_and_so_does_each_closing(cable: Cable) -> None:
    lower, upper = cable.connect()
    lower.sendall(b"up")
    lower.shutdown(socket.SHUT_WR)
    assert read(upper, 10) == b"up"  # and the end
    upper.sendall(b"and down")
    upper.close()
    assert read(lower, 10) == b"and down"
    eventually(lambda: cable.words() == ["connected", "closed"])
    assert cable.journal()[-1].value == {"connection": 1, "up": 2, "down": 8}


@pytest.mark.parametrize("who", [0, 1], ids=["lower", "upper"])
def test_a_reset_at_one_end_is_a_reset_at_the_other(lasting: Cable, who: int) -> None:
    ends = lasting.connect()
    ends[who].sendall(b"last")
    assert read(ends[1 - who], 4) == b"last"
    break_off(ends[who])
    assert was_reset(ends[1 - who])


def test_who_has_closed_its_way_and_then_is_no_more_is_a_reset_to_who_goes_on_sending(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lower.shutdown(socket.SHUT_WR)
    assert read(upper, 1) == b""
    break_off(lower)
    lasting.fence()
    upper.sendall(b"to nobody")
    eventually(lambda: lasting.words()[-1] == "broken")


def test_who_connects_while_the_station_above_does_not_listen_is_reset_and_told_of_once(tmp_path: Path) -> None:
    with held_port() as port, linked(tmp_path, RelayedLink(name="rig_1", port=port)) as links:
        with contextlib.closing(Cable(links, tmp_path, {})) as cable:
            for _ in range(4):
                with pytest.raises(ConnectionResetError):  # which may come before `dial` has returned
                    cable.dial().recv(1)
        above = socket.create_server(("127.0.0.1", port))
        with contextlib.closing(Cable(links, tmp_path, {"rig_1": above})) as cable:
            lower, upper = cable.connect()
            lower.sendall(b"x")
            assert read(upper, 1) == b"x"
            told = [(entry.key, entry.value.get("refused")) for entry in cable.journal()]
            assert told == [("refused", None), ("connected", 4)]


def test_a_relay_listens_where_it_is_told_though_the_port_is_held(tmp_path: Path) -> None:
    with held_port() as port, cabled(tmp_path) as other:
        relayed_link = RelayedLink(name="rig_1", port=other.links.ports["rig_1"], listen=port)
        with linked(tmp_path, relayed_link) as links:
            assert links.ports == {"rig_1": port}
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S):
                pass


def test_what_a_relay_costs_is_under_a_millisecond_and_tens_of_megabytes_a_second_pass(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    times = []
    for _ in range(200):
        begun = time.monotonic()
        for end, far in ((lower, upper), (upper, lower)):
            for piece in (b"ba", b"ll"):  # the second is not kept back until the first is acknowledged
                end.sendall(piece)
            assert read(far, 4) == b"ball"
        times.append(time.monotonic() - begun)
    assert sorted(times)[len(times) // 4] < 0.002  # there and back, whoever else is at work on this machine
    data = os.urandom(1 << 20) * 50
    sender = threading.Thread(target=lower.sendall, args=(data,))
    begun = time.monotonic()
    sender.start()
    got = read(upper, len(data))
    assert time.monotonic() - begun < 5
    sender.join()
    assert got == data


# -- cut ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"said before"])
def test_a_cut_is_silent_and_refuses_and_is_a_reset_once_it_is_healed(lasting: Cable, said: bytes) -> None:
    lower, upper = lasting.connect()
    gone, left = lasting.connect()
    lower.sendall(said)
    assert read(upper, len(said)) == said
    lasting.do("cut")
    lower.sendall(b"lost")
    upper.sendall(b"lost too")
    gone.close()
    lasting.fence()
    assert is_silent(lower)
    assert is_silent(upper)
    assert is_silent(left)
    with pytest.raises(ConnectionRefusedError):
        lasting.dial()
    lasting.do("heal")
    assert was_reset(lower)
    assert was_reset(upper)
    assert was_reset(left)
    new, far = lasting.connect()
    new.sendall(b"whole")
    assert read(far, 5) == b"whole"


@pytest.mark.skipif(sys.platform != "linux", reason="a port cannot be held here")
def test_nobody_else_gets_the_port_of_a_link_that_is_cut(cable: Cable) -> None:
    cable.do("cut")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", cable.links.ports["rig_1"]))


def test_what_was_on_its_way_when_the_link_was_cut_is_lost(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("hold")
    lower.sendall(b"on its way")
    lasting.fence()
    lasting.do("cut")
    lasting.do("release")
    lasting.fence()
    assert is_silent(upper)
    lasting.do("heal")
    assert was_reset(upper)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_one_way_is_silent_that_way_and_not_the_other(lasting: Cable, way: str) -> None:
    pairs = [lasting.connect()]
    lasting.do("cut", way=way)
    pairs.append(lasting.connect())
    for lower, upper in pairs:
        mute, heard = (lower, upper) if way == "up" else (upper, lower)
        mute.sendall(b"lost")
        heard.sendall(b"heard")
        assert read(mute, 5) == b"heard"
        lasting.fence()
        assert is_silent(heard)
    mute.close()
    lasting.fence()
    assert is_silent(heard)
    lasting.do("heal")
    assert was_reset(heard)
    assert was_reset(pairs[0][0])
    assert was_reset(pairs[0][1])


def test_who_was_cut_both_ways_and_healed_one_is_cut_the_other(lasting: Cable) -> None:
    lasting.do("cut", way="up")
    lasting.do("cut", way="down")
    with pytest.raises(ConnectionRefusedError):
        lasting.dial()
    lasting.do("heal", way="down")
    lower, upper = lasting.connect()
    lower.sendall(b"lost")
    upper.sendall(b"heard")
    assert read(lower, 5) == b"heard"
    assert is_silent(upper)
    lasting.do("heal", way="up")
    assert was_reset(lower)
    lower, upper = lasting.connect()
    lower.sendall(b"heard")
    assert read(upper, 5) == b"heard"


# -- hold and reset ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_what_is_held_passes_in_order_once_it_is_released_and_nothing_ends(lasting: Cable, way: str) -> None:
    lower, upper = lasting.connect()
    lasting.do("hold", way=way)
    lower.sendall(b"going ")
    upper.sendall(b"coming ")
    lasting.fence()
    assert is_silent(upper) == (way != "down")
    assert is_silent(lower) == (way != "up")
    lasting.do("release")
    lower.sendall(b"up")
    upper.sendall(b"down")
    assert read(upper, 8) == b"going up"
    assert read(lower, 11) == b"coming down"


def test_who_connects_during_a_hold_waits_and_who_closes_is_heard_of_after_what_it_said(lasting: Cable) -> None:
    lasting.do("hold")
    lower, upper = lasting.connect()
    lower.sendall(b"last words")
    lower.close()
    lasting.fence()
    assert is_silent(upper)
    lasting.do("release")
    assert read(upper, 20) == b"last words"


def test_what_is_held_is_bounded_and_all_of_it_arrives(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lower.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    lasting.do("hold", way="up")
    sent = 0
    while more := send_all_that_goes(lower):
        sent += more
        lasting.fence()
    assert 1 << 20 < sent < 2 << 20
    lasting.do("release", way="up")
    assert len(read(upper, sent)) == sent
    # Nor does the system take many megabytes where nobody reads: who sends is to feel that the other is slow.
    lower, upper = lasting.connect()
    lower.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    upper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    sent = 0
    while more := send_all_that_goes(lower):
        sent += more
        lasting.fence()
    assert 1 << 20 < sent < 4 << 20


def test_a_reset_ends_what_is_there_at_both_ends_and_nothing_else(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("reset")
    assert was_reset(lower)
    assert was_reset(upper)
    lower, upper = lasting.connect()
    upper.sendall(b"new")
    assert read(lower, 3) == b"new"


# -- shape -------------------------------------------------------------------------------------------------------------


def trip_s(near: socket.socket, far: socket.socket, size: int = 4) -> float:
    """How long `size` bytes take."""
    begun = time.monotonic()
    near.sendall(bytes(size))
    assert len(read(far, size)) == size
    return time.monotonic() - begun


def test_latency_is_that_of_the_link_then_of_the_fault_then_of_the_link(tmp_path: Path) -> None:
    with cabled(tmp_path, link=Link(latency_ms=30)) as cable:
        lower, upper = cable.connect()
        assert 0.03 <= trip_s(lower, upper) < 0.2
        cable.do("shape", latency_ms=200, jitter_ms=50, way="up")
        assert 0.15 <= trip_s(lower, upper) < 0.6
        assert 0.03 <= trip_s(upper, lower) < 0.15
        cable.do("heal")
        assert 0.03 <= trip_s(lower, upper) < 0.15
        lower.sendall(b"and that of the end")
        lower.close()
        begun = time.monotonic()
        assert len(read(upper, 30)) == 19
        assert time.monotonic() - begun > 0.02


def test_a_rate_is_kept_one_way_and_for_all_connections_of_the_link_together(lasting: Cable) -> None:
    pairs = [lasting.connect(), lasting.connect()]
    lasting.do("shape", rate_mbit=8, way="down")  # a megabyte a second
    begun = time.monotonic()
    for _, upper in pairs:
        upper.sendall(bytes(150_000))
    for lower, _ in pairs:
        assert len(read(lower, 150_000)) == 150_000
    assert 0.29 < time.monotonic() - begun < 1.0
    assert trip_s(pairs[0][0], pairs[0][1], 150_000) < 0.1
    lasting.do("heal")
    assert trip_s(pairs[0][1], pairs[0][0], 150_000) < 0.1


def test_what_waits_for_a_slow_link_is_not_late_once_it_is_fast(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("shape", rate_mbit=0.1, latency_ms=60_000)
    lower.sendall(counted(0, 500_000))
    lasting.fence()
    assert is_silent(upper)
    lasting.do("heal")
    assert read(upper, 500_000) == counted(0, 500_000)


# -- whatever is done --------------------------------------------------------------------------------------------------

WAYS = st.sampled_from(["up", "down", "both"])
DONE = st.one_of(
    st.builds(lambda verb, way: (verb, {"way": way}), st.sampled_from(["hold", "release"]), WAYS),
    st.builds(
        lambda way, **like: ("shape", {"way": way, **like}),
        WAYS,
        latency_ms=st.sampled_from([0.0, 2.0, 10.0]),
        jitter_ms=st.sampled_from([0.0, 9.0]),
        rate_mbit=st.sampled_from([None, 30.0, 400.0]),
    ),
    st.builds(lambda who, size: ("send", {"who": who, "size": size}), st.integers(0, 1), st.integers(1, 40_000)),
    st.just(("wait", {})),
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])  # the relays take their time
@given(st.lists(DONE, max_size=12))
def test_no_byte_is_lost_changed_or_overtaken_whatever_is_done_but_cut_and_reset(
    lasting: Cable, steps: list[tuple[Any, dict[str, Any]]]
) -> None:
    ends = lasting.connect()
    sent = [0, 0]
    for verb, facts in [*steps, ("release", {}), ("heal", {})]:
        if verb == "send":
            who, size = facts["who"], facts["size"]
            ends[who].sendall(counted(sent[who], size))
            sent[who] += size
        elif verb == "wait":
            lasting.fence()
        else:
            lasting.do(verb, **facts)
    for end in ends:
        end.shutdown(socket.SHUT_WR)
    for end, came in zip(ends, reversed(sent), strict=True):
        assert read(end, 1 << 20) == counted(0, came)
        end.close()


# -- the process -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (Action(at_us=0, verb="cut", target="rig_9"), "link of rig_9 has no relay"),
        (Action(at_us=0, verb="drop", target="rig_1"), "drop cannot be done to connections"),
        (Action(at_us=0, verb="kill", target="rig_1"), "kill cannot be done to connections"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_ends_nothing(lasting: Cable, action: Action, complaint: str) -> None:
    with pytest.raises(RelayError, match=complaint):
        lasting.links.do(action)
    lasting.fence()


def test_each_verb_is_written_down_with_the_time_and_the_bytes_so_far(cable: Cable) -> None:
    lower, upper = cable.connect()
    lower.sendall(b"12345")
    assert read(upper, 5) == b"12345"
    begun = time.monotonic_ns()
    cable.do("shape", latency_ms=1, fault=3)
    cable.do("cut", way="up")
    cable.do("heal")
    entries = cable.journal()
    assert [entry.key for entry in entries] == ["connected", "shape", "cut", "heal", "reset"]
    like = {"latency_ms": 1.0, "jitter_ms": 0.0, "rate_mbit": None}
    assert entries[1].value == {"fault": 3, "way": "both", "connections": 1, "up": 5, "down": 0, **like}
    assert begun < entries[1].t < entries[2].t < time.monotonic_ns()
    cable.links.stop()
    assert cable.words()[-1] == "end"
    assert cable.journal()[-1].value == {"up": 5, "down": 0}


def test_the_process_of_the_links_is_one_of_the_run_and_leaves_ctrl_c_to_the_parent(
    cable: Cable, tmp_path: Path
) -> None:
    pid = cable.links.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    cable.fence()
    assert os.getpgid(pid) == os.getpgid(0)
    assert (tmp_path / "logs" / "links.log").read_text() == ""
    cable.links.stop()
    cable.links.stop()
    assert ended(pid)
    assert cable.links.pid is None


def test_links_that_cannot_listen_are_an_error_and_leave_no_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        links = LinkRelays(context(tmp_path), [RelayedLink(name="rig_1", port=1, listen=taken.getsockname()[1])])
        with pytest.raises(RelayError, match=r"has ended; see logs/links\.log"):
            links.start()
        links.stop()
    assert links.pid is None
    assert "Address already in use" in (tmp_path / "logs" / "links.log").read_text()


def test_links_that_are_no_more_say_so(cable: Cable) -> None:
    pid = cable.links.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: cable.links.pid is None)
    with pytest.raises(RelayError, match="has ended"):
        cable.do("cut")


def orphaned(folder: str) -> None:
    """Say of what process the links are, and wait to be killed. For another Python."""
    with started_by("forkserver"):
        links = LinkRelays(context(Path(folder)), [RelayedLink(name="rig_1", port=1)])
        links.start()
        print(links.pid, flush=True)
        signal.pause()


def test_the_relays_end_with_their_parent_however_it_ends(tmp_path: Path) -> None:
    with python(f"from tests.sim.processes.test_relay_process import orphaned; orphaned({str(tmp_path)!r})") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert ended(pid)


def test_relays_that_wait_cost_nothing(cable: Cable) -> None:
    """With bytes that are held, others that nobody takes, ends that are cut off, and one that is half closed."""
    lower, _ = cable.connect()
    while send_all_that_goes(lower):
        cable.fence()
    channel, _ = cable.connect()
    channel.shutdown(socket.SHUT_WR)
    cable.do("hold", way="down")
    cable.do("cut", way="up")
    for lower, upper in (cable.connect(), cable.connect()):
        upper.sendall(b"held")
        lower.sendall(b"cut")
        break_off(upper)
        lower.close()
    cable.fence()
    process = psutil.Process(cable.links.pid)
    before = process.cpu_times()
    threading.Event().wait(LOOK_S)
    after = process.cpu_times()
    assert after.user + after.system - before.user - before.system <= 0.02


# -- a lab -------------------------------------------------------------------------------------------------------------


@dataclass
class Above:
    """What a pilot takes for its parent: the relay."""

    id: str
    port: int


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Lab, Cable]]:
    """A terminal, and rig_1 below it through a relay, with their programs. The terminal knows rig_1."""
    with lab() as it:
        top = it.terminal(repeat_interval=REPEAT_S)
        with linked(tmp_path, RelayedLink(name="rig_1", port=top.port)) as links:
            trace = tmp_path / "journal" / "rig_1.trace.jsonl"
            above = Above("T", links.ports["rig_1"])
            rig = it.pilot("rig_1", above, repeat_interval=REPEAT_S, liveness_s=LIVENESS_S, trace=trace)
            it.node("_T", top, "HANDSHAKE", "DATA")
            it.node("_rig_1", rig, repeat_interval=REPEAT_S)
            shake_hands(it.nodes["_rig_1"], "T")
            yield it, Cable(links, tmp_path, {})


def send_trials(it: Lab, count: int) -> list[Delivery]:
    return [it.nodes["_rig_1"].send("T", "DATA", {"pilot": "rig_1", "n": n}, repeat=True) for n in range(count)]


def numbers(it: Lab) -> list[int]:
    """Of the trials that the terminal's program has handled so far."""
    return [one.value["n"] for one in it.heard["_T"].of("DATA")]


def test_a_station_notices_a_cut_by_its_probes_and_what_was_sent_meanwhile_arrives_once(
    small: tuple[Lab, Cable],
) -> None:
    it, cable = small
    cable.do("cut")
    handles = send_trials(it, 3)
    eventually(lambda: any(trace.do == "Reconnect" for trace in cable.traces()))
    assert numbers(it) == []
    assert not any(handle.confirmed for handle in handles)
    cable.do("heal")
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert numbers(it) == [0, 1, 2]


def test_a_burst_whose_connection_is_reset_arrives_once_and_in_order(small: tuple[Lab, Cable]) -> None:
    it, cable = small
    cable.do("shape", rate_mbit=4, way="up")  # so that most of it is under way
    handles = send_trials(it, 500)
    it.heard["_T"].until("DATA", times=50)
    cable.do("reset")
    assert len(numbers(it)) < 400
    cable.do("heal")
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert numbers(it) == list(range(500))
    assert cable.words() == ["connected", "shape", "reset", "reset", "heal", "connected"]


@pytest.mark.parametrize("is_given_up", [False, True], ids=["repeats", "connects anew"])
def test_what_is_held_until_it_is_repeated_or_the_connection_given_up_arrives_once_and_in_order(
    small: tuple[Lab, Cable], is_given_up: bool
) -> None:
    it, cable = small
    cable.do("hold")
    handles = send_trials(it, 100)
    last = handles[-1].id

    def tries() -> int:
        return sum(trace.do == "Transmit" and trace.peer == "T" and last in trace.head for trace in cable.traces())

    eventually(lambda: cable.words().count("connected") == 2 if is_given_up else tries() >= 3)
    assert numbers(it) == []
    cable.do("release")
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert numbers(it) == list(range(100))
    assert cable.words()[:3] == ["connected", "hold", "connected" if is_given_up else "release"]
