"""The file of what was promised: what it gives back, what it refuses, and what a kill or a full disk does to it."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot_net import AutopilotNetError, DurableRefused, Net_Node, Station
from autopilot_net.codec import encode
from autopilot_net.durable import Durable, compact
from autopilot_net.protocol.durable_records import Handled, Kept, Saved, SeenUnnumbered
from autopilot_net.protocol.effects import Deliver, Forget, Store
from autopilot_net.protocol.endpoint import Endpoint
from tests.autopilot_net.durable_samples import kept_one, state, text_file
from tests.conftest import eventually
from tests.harness import Heard, lab, python, started_by
from tests.patience import DEADLINE_S

texts = st.text(max_size=8)
ids = st.sampled_from(["a", "_a", "b", "é"])
seqs = st.integers(1, 12)
bodies = st.binary(max_size=40)
kept = st.builds(
    Kept, to=ids, seq=seqs, id=texts, hops=st.lists(ids, max_size=3).map(tuple), body=bodies, ttl=st.integers(0, 9),
    until=st.none() | st.floats(0, 1e10),
)  # fmt: skip
handled = st.builds(
    Handled, sender=ids, to=ids, inc=st.sampled_from("xy"), seq=seqs, low=st.integers(1, 12), failed=st.booleans(),
    waits=st.lists(texts, max_size=2).map(tuple), id=texts, via=st.lists(ids, max_size=2).map(tuple),
)  # fmt: skip
seen = st.builds(SeenUnnumbered, sender=ids, id=texts, timestamp=texts)
steps = st.lists(st.tuples(st.sampled_from(["n", "n_cam"]), kept | handled | seen | st.tuples(ids, seqs)), max_size=40)


# -- what is given back ------------------------------------------------------------------------------------------------


@given(steps=steps, batch=st.integers(1, 5))
def test_what_is_loaded_is_what_the_core_would_have_in_mind(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], batch: int
) -> None:
    path = tmp_path_factory.mktemp("durable") / "n.sqlite"
    durable = Durable(path, "n")
    expected = {name: durable.load(name, f"life of {name}") for name in ("n", "n_cam")}
    pending: dict[str, set[tuple[str, int]]] = {"n": set(), "n_cam": set()}
    for number, (name, what) in enumerate(steps):
        if isinstance(what, tuple):
            effect: Store | Forget = Forget(*what)
            expected[name].forget(*what)
            pending[name].discard(what)
        elif isinstance(what, Kept) and what.seq < expected[name].next_seq.get(what.to, 1):
            continue  # a number is given once
        else:
            effect = Store(what)
            expected[name].store(what)
        durable.put(name, [effect])
        if number % batch == 0:
            durable.flush()
    durable.flush()
    durable.close()
    again = Durable(path, "n")
    loaded = {name: again.load(name, "another life") for name in expected}
    again.close()
    for name, saved in expected.items():
        assert loaded[name].incarnation == f"life of {name}"
        assert (loaded[name].next_seq, loaded[name].kept) == (saved.next_seq, saved.kept)
        assert loaded[name].handled == {life: of for life, of in saved.handled.items() if of}
        assert list(loaded[name].seen) == list(saved.seen)


def test_what_is_put_together_is_kept_together_and_what_is_not_flushed_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    durable = Durable(path, "n")
    durable.load("n", "life")
    durable.put("n", [kept_one(1)])
    durable.flush()
    durable.put("n", [kept_one(2)])
    durable.close()
    assert [seq for _, seq in state(path)[0].kept] == [1]


@pytest.mark.parametrize(
    "odd", [{"low": True}, {"seq": True}, {"seq": 1 << 60}, {"low": 1.0}, {"ttl": 1 << 70}], ids=str
)
def test_a_file_opens_again_whatever_numbers_a_peer_has_said(tmp_path: Path, odd: dict[str, Any]) -> None:
    durable = Durable(tmp_path / "kept", "T")
    terminal = Endpoint("T", forwards=True, incarnation="1", saved=durable.load("T", "1"))
    fields = {"id": "n_1", "to": "T", "sender": "n", "key": "K", "timestamp": "", "inc": "a", "seq": 1, "low": 1, **odd}
    effects = terminal.receive("n", [b"T", b"T", encode(fields)], now=0)
    for effect in [*effects]:
        if isinstance(effect, Deliver):
            effects += terminal.handled(effect.ticket, now=0)
    durable.put("T", effects)
    durable.flush()
    durable.close()
    again = Durable(tmp_path / "kept", "T")
    assert again.load("T", "2").incarnation == "1"
    again.close()


def test_no_number_is_given_twice_whatever_becomes_of_a_life(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    given: list[int] = []
    for count in (3, 0, 1_500, 1):
        durable = Durable(path, "n")
        numbers = durable.numbers()
        given += [next(numbers) for _ in range(count)]
        durable.close()
    assert len(set(given)) == len(given) == 1_504


def test_how_much_waits_for_whom_is_told(tmp_path: Path) -> None:
    durable = Durable(tmp_path / "n.sqlite", "n")
    durable.put("n", [kept_one(1), kept_one(1, to="b")])
    durable.put("n_cam", [kept_one(1)])
    durable.flush()
    assert durable.waiting() == {"n": 2, "n_cam": 1}
    durable.close()


# -- threads, kills and full disks -------------------------------------------------------------------------------------


def test_threads_that_number_their_messages_at_once_are_given_each_its_own(tmp_path: Path) -> None:
    durable = Durable(tmp_path / "n.sqlite", "n")
    numbers, taken = durable.numbers(), [list[int]() for _ in range(4)]
    start = threading.Barrier(4)

    def take(into: list[int]) -> None:
        start.wait(DEADLINE_S)
        into += [next(numbers) for _ in range(5_000)]

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    durable.close()
    assert len({number for into in taken for number in into}) == 20_000


WRITER = """
import os
from autopilot_net.durable import Durable, compact
from autopilot_net.protocol.effects import Forget, Store
from autopilot_net.protocol.durable_records import Handled, Kept
durable = Durable({path!r}, "n")
saved = durable.load("n", "life")
numbers = durable.numbers()
first = saved.next_seq.get("T", 1)
for seq in range(first, first + 100_000):
    batch = [Store(Kept("T", seq, f"n_{{next(numbers)}}", (), b"x" * 300, 5)), Store(Handled("T", "n", "a", seq, seq))]
    durable.put("n", batch + ([Forget("T", seq - 10)] if seq > 10 else []))
    durable.flush()
    os.write(1, b"%d\\n" % seq)
"""


@pytest.mark.parametrize("seed_of_kill", range(3))
def test_a_writer_that_is_killed_at_any_point_leaves_a_file_that_has_all_it_had_flushed(
    tmp_path: Path, seed_of_kill: int
) -> None:
    path, chance, last = tmp_path / "n.sqlite", random.Random(seed_of_kill), 0
    for _ in range(5):
        with python(WRITER.format(path=str(path))) as writer:
            assert writer.stdout is not None
            for _ in range(chance.choice([0, 1, 300])):
                last = int(writer.stdout.readline())
            writer.kill()
            rest = writer.stdout.read().split("\n")
            last = max([last, *(int(line) for line in rest[:-1])])
        durable = Durable(path, "n")
        saved = durable.load("n", "life")
        durable.close()
        given = saved.next_seq.get("T", 1)
        assert given in (last + 1, last + 2)
        assert [seq for _, seq in saved.kept] == list(range(max(1, given - 10), given))


def test_a_writer_that_is_killed_while_its_log_is_carried_over_leaves_a_file_that_has_all_it_had_flushed(
    tmp_path: Path,
) -> None:
    path, log = tmp_path / "n.sqlite", tmp_path / "n.sqlite-wal"
    durable = Durable(path, "n")
    durable.load("n", "life")
    durable.put("n", [kept_one(seq, body=b"x" * 1_000) for seq in range(1, 30)])
    durable.flush()
    before, logged = path.read_bytes(), log.read_bytes()
    durable.close()
    after = path.read_bytes()
    assert len(after) > len(before)
    for end in range(0, len(after) + 1, 4096):  # sqlite goes from page to page, and the first says how many there are
        path.write_bytes(after[:end] + before[end:])
        log.write_bytes(logged)
        assert len(state(path)[0].kept) == 29


@contextlib.contextmanager
def full(durable: Durable) -> Iterator[None]:
    """The disk takes no more: the file may not grow by one page."""
    pages = durable._db.execute("PRAGMA page_count").fetchone()[0]
    durable._db.execute(f"PRAGMA max_page_count = {pages}")
    yield
    durable._db.execute("PRAGMA max_page_count = 1073741823")


def test_what_found_no_room_stays_queued_and_is_committed_when_there_is_some(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    durable = Durable(path, "n")
    durable.load("n", "life")
    with full(durable):
        for seq in range(1, 50):
            durable.put("n", [kept_one(seq, body=b"x" * 2_000)])
            with contextlib.suppress(OSError):
                durable.flush()
        with pytest.raises(OSError, match=r"n\.sqlite cannot be written: database or disk is full"):
            durable.flush()
    durable.put("n", [Forget("T", 1)])
    durable.flush()
    durable.close()
    assert [seq for _, seq in state(path)[0].kept] == list(range(2, 50))


def test_numbers_go_on_while_the_disk_is_full_and_are_kept_with_what_they_were_given_to(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    durable = Durable(path, "n")
    numbers = durable.numbers()
    given = [next(numbers)]
    durable._db.execute("PRAGMA query_only = 1")
    given += [next(numbers) for _ in range(3_000)]
    durable.put("n", [kept_one(1)])
    with pytest.raises(OSError, match="cannot be written"):
        durable.flush()
    durable._db.execute("PRAGMA query_only = 0")
    durable.flush()
    durable.close()
    again = Durable(path, "n")
    assert next(again.numbers()) > max(given)
    again.close()


def as_it_may_come(steps: list[Any]) -> Iterator[Store | Forget]:
    """Of random steps, what a core may ask for: a number is given once, and settled after that; `low` never falls."""
    given: dict[str, int] = {}
    lows: dict[Any, int] = {}
    for _, what in steps:
        if isinstance(what, tuple):
            if what[1] <= given.get(what[0], 0):
                yield Forget(*what)
        elif isinstance(what, Handled):
            lows[what.life] = max(what.low, lows.get(what.life, 1))
            yield Store(msgspec.structs.replace(what, low=lows[what.life]))
        elif isinstance(what, SeenUnnumbered):
            yield Store(what)
        elif what.seq > given.get(what.to, 0):
            given[what.to] = what.seq
            yield Store(what)


@given(steps=steps)
def test_what_waits_for_room_is_no_more_than_what_is_needed_and_comes_to_the_same(steps: list[Any]) -> None:
    batch: list[tuple[str, Store | Forget]] = [("n", effect) for effect in as_it_may_come(steps)]
    both = [Saved("life"), Saved("life")]
    for saved, effects in zip(both, (batch, compact(batch)), strict=True):
        for _, effect in effects:
            if isinstance(effect, Store):
                saved.store(effect.record)
            else:
                saved.forget(effect.to, effect.seq)
        saved.handled = {life: of for life, of in saved.handled.items() if of}
    assert both[0] == both[1]


def test_a_session_on_a_full_disk_needs_no_more_memory_the_longer_it_lasts() -> None:
    batch: list[tuple[str, Store | Forget]] = []
    for seq in range(1, 1_000):
        batch += [("n", kept_one(seq)), ("n", Store(Handled("T", "n", "a", seq, seq))), ("n", Forget("T", seq))]
        batch = compact(batch)
    assert len(batch) <= 5


# -- nodes and stations ------------------------------------------------------------------------------------------------


def test_a_session_goes_on_while_the_disk_is_full_and_says_what_that_means(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rig.sqlite"
    with lab() as it:
        top = it.terminal()
        it.node("_T", top, "DATA")
        rig = it.node("rig", top, durable=path)
        durable = rig._core._durable
        assert durable is not None
        with full(durable):
            for n in range(30):
                trial = {"pilot": "rig", "n": n, "note": "x" * 60_000}
                assert rig.send("T", "DATA", trial, repeat=True).wait(DEADLINE_S)
        assert rig.counters["unkept"]
        assert "from here on a restart loses what is sent and handled: " in caplog.text
        assert "database or disk is full" in caplog.text
        assert rig.send("T", "DATA", {"pilot": "rig", "n": 30}, repeat=True).wait(DEADLINE_S)
        assert [m.value["n"] for m in it.heard["_T"].of("DATA")] == list(range(31))
    again = Durable(path, "rig")
    assert again.load("rig", "").next_seq == {"T": 32}
    again.close()


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_station_that_is_refused_its_file_says_why_from_start(tmp_path: Path, method: str) -> None:
    text_file(tmp_path / "notes.txt")
    with started_by(method):
        station = Station("s", listen_port=0, durable=tmp_path / "notes.txt")
        with pytest.raises(AutopilotNetError, match=r"ended before it listened: .*notes\.txt was not written"):
            station.start()


def test_a_node_that_is_refused_its_file_raises_and_leaves_no_thread(tmp_path: Path, no_thread_stays: None) -> None:
    text_file(tmp_path / "notes.txt")
    with pytest.raises(DurableRefused, match="was not written"):
        Net_Node("n", "T", 1, durable=tmp_path / "notes.txt")


SPEAKER = """
import sys
from autopilot_net import Net_Node
node = Net_Node("rig", "T", {port}, durable={path!r})
stream = node.get_stream("lick", "CONTINUOUS", to="T", min_size=3, max_delay=0.05)
for n in range(20):
    node.send("T", "DATA", {{"pilot": "rig", "n": n}}, repeat=True)
    stream.append({{"n": n}})
assert node._core.driver.wait_until(lambda: not len(stream), 20)
node.send("T", "DATA", {{"pilot": "rig", "n": 20}}, repeat=True)  # with which all that was to be kept before is kept
print("sent", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_had_promised_while_its_station_was_off_is_delivered_by_its_next_life(
    tmp_path: Path, port: int
) -> None:
    path = tmp_path / "rig.sqlite"
    with python(SPEAKER.format(port=port, path=str(path))) as speaker:
        assert speaker.stdout is not None
        assert speaker.stdout.readline() == "sent\n"
    with lab() as it:
        it.node("_T", it.terminal(listen_port=port), "DATA", "CONTINUOUS")
        rig = it.node("rig", it.stations["T"], durable=path)
        rig.send("T", "DATA", {"pilot": "rig", "n": 21}, repeat=True)
        stream = rig.get_stream("lick", "CONTINUOUS", to="T", min_size=1)
        stream.append({"n": 20})
        stream.close()
        heard = it.heard["_T"]
        heard.until("DATA", times=22)
        heard.until("CONTINUOUS", times=21)
        assert stream.wait(DEADLINE_S)
        eventually(lambda: not rig.outbox)
        assert [m.value["n"] for m in heard.of("DATA")] == list(range(22))
        assert [m.value["n"] for m in heard.of("CONTINUOUS")] == list(range(21))
        names = [m.origin["id"] for m in heard.messages]
        assert len(set(names)) == len(names) == 43


def test_what_a_node_handled_its_next_life_is_not_handed_again(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    with lab() as it:
        top = it.terminal()
        it.node("sender", top)
        for life in range(3):
            heard = Heard()
            with Net_Node("n", "T", top.port, heard.listens("COUNT"), durable=path) as node:
                assert node.send("T", "INIT", repeat=True).wait(DEADLINE_S)  # what comes before it is there comes again
                assert it.nodes["sender"].send("n", "COUNT", life, repeat=True).wait(DEADLINE_S)
            assert [m.value for m in heard.of("COUNT")] == [life]
            assert not any(m.get("redelivered") for m in heard.messages)
