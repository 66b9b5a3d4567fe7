"""A durable endpoint over its restarts: what it promised, what it handled, and what it waits for."""

import random

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import REMEMBER, Handled, Kept, Saved, SeenUnnumbered
from autopilot_net.protocol.effects import Confirmed, Deliver, Expired, Forget, Store, Transmit
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.outbox_channel import Window
from tests.autopilot_net.protocol.invariants import message_of
from tests.autopilot_net.protocol.test_inbox import numbered
from tests.autopilot_net.protocol.wire import LOSE, PASS, Wire

TRIES = 400


def pair(**options: object) -> Wire:
    """A rig and the terminal, both durable."""
    return Wire({"T": None, "rig": "T"}, durable=["T", "rig"], **options)  # type: ignore[arg-type]


def trio() -> Wire:
    """The terminal's program, which nothing is kept for, the durable terminal, and a rig."""
    return Wire({"T": None, "rig": "T"}, {"_T": "T"}, durable=["T"])


def incarnations(wire: Wire, source: str, target: str, key: str = "DATA") -> set[str]:
    return {message.inc for message in wire.carried(source, target) if message.key == key}


def redelivered(wire: Wire, name: str) -> list[object]:
    return [h.message.value for h in wire.handlings if h.at == name and h.message.get("redelivered")]


# -- the sender -----------------------------------------------------------------------------------------------------


def test_what_a_durable_sender_promised_is_delivered_by_its_next_life_in_order_and_under_its_old_name() -> None:
    wire = pair()
    wire.cut("rig")
    for n in range(5):
        wire.send("rig", "T", n)
    wire.restart("rig")
    wire.send("rig", "T", 5)
    wire.connect("rig")
    wire.run()
    assert wire.got("T") == [0, 1, 2, 3, 4, 5]
    assert incarnations(wire, "rig", "T") == {"rig#kept"}
    assert [effect.id for effect in wire.of("rig", Confirmed)] == [f"rig_{n}" for n in range(1, 7)]


def test_without_a_store_what_a_sender_promised_is_gone_with_it() -> None:
    wire = Wire({"T": None, "rig": "T"})
    wire.cut("rig")
    wire.send("rig", "T", "lost")
    wire.restart("rig")
    wire.connect("rig")
    wire.run(60)
    assert wire.got("T") == []


def test_what_is_promised_is_kept_before_it_is_sent_and_let_go_when_it_is_settled() -> None:
    wire = pair()
    wire.send("rig", "T", "trial")
    wire.run()
    kinds = [type(effect) for effect in wire.effects["rig"] if isinstance(effect, Store | Transmit | Forget)]
    assert kinds.index(Store) < kinds.index(Transmit) < kinds.index(Forget)
    assert wire.saved["rig"].kept == {}
    assert wire.saved["rig"].next_seq == {"T": 2}


def test_what_seeks_no_confirmation_is_not_kept() -> None:
    wire = pair()
    wire.send("rig", "T", "frame", repeat=False)
    assert wire.of("rig", Store) == []


def test_who_has_no_store_asks_for_nothing_to_be_kept() -> None:
    wire = Wire({"T": None, "rig": "T"})
    wire.send("rig", "T", "trial")
    wire.run()
    assert not [e for name in wire.effects for e in wire.effects[name] if isinstance(e, Store | Forget)]


def test_numbers_go_on_where_a_former_life_ended() -> None:
    wire = pair()
    wire.send("rig", "T", "first")
    wire.run()
    wire.restart("rig")
    wire.send("rig", "T", "second")
    wire.run()
    assert [m.seq for m in wire.carried("rig", "T") if m.key == "DATA"] == [1, 2]


def test_what_goes_along_hops_goes_along_them_in_the_next_life() -> None:
    wire = Wire({"T": None, "rig": "T", "wheel": "rig"}, durable=["T"])
    wire.cut("rig")
    wire.send("T", "wheel", "START", hops=("rig", "wheel"))
    wire.restart("T")
    wire.connect("rig")
    wire.run()
    assert wire.got("wheel") == ["START"]
    assert wire.of("T", Confirmed) == [Confirmed("T_1", "wheel")]


def test_the_window_holds_for_what_was_kept() -> None:
    wire = pair(settings=Settings(window=Window(messages=2)))
    wire.handles_at_once = False
    wire.cut("rig")
    for n in range(5):
        wire.send("rig", "T", n)
    wire.restart("rig")
    wire.connect("rig")
    wire.run()
    assert wire.got("T") == [0, 1]
    for _ in range(3):
        wire.handle_all()
        wire.run()
    assert wire.got("T") == [0, 1, 2, 3, 4]


def test_an_array_keeps_its_bytes_over_a_restart() -> None:
    np = pytest.importorskip("numpy")
    wire = pair()
    wire.cut("rig")
    wire.send("rig", "T", {"frame": np.arange(6).reshape(2, 3)})
    wire.restart("rig")
    wire.connect("rig")
    wire.run()
    (handling,) = wire.handlings
    assert Message(handling.message.serialize(), expand_arrays=True).value["frame"].tolist() == [[0, 1, 2], [3, 4, 5]]


# -- expiry ---------------------------------------------------------------------------------------------------------


def test_what_is_to_be_stale_by_then_is_stale_in_the_next_life() -> None:
    wire = pair()
    wire.cut("rig")
    wire.send("rig", "T", "soon stale", expires_after=10)
    wire.send("rig", "T", "later", expires_after=100)
    wire.run(6)
    wire.restart("rig")
    wire.run(3)
    assert wire.of("rig", Expired) == []
    wire.run(2)
    assert [effect.id for effect in wire.of("rig", Expired)] == ["rig_1"]
    wire.connect("rig")
    wire.run()
    assert wire.got("T") == ["later"]


def test_what_went_stale_while_nobody_lived_is_told_as_expired_and_never_sent() -> None:
    saved = Saved("rig#kept")
    body = Message(id="rig_1", to="T", sender="rig", key="K", value=1, inc="rig#kept").serialize()[:-1]
    saved.store(Kept("T", 1, "rig_1", (), body, 5, until=1_000.0))
    rig = Endpoint("rig", upstream="T", incarnation="rig#kept", epoch=2_000.0, saved=saved)
    effects = rig.handle_timer(now=0.0)
    assert [type(effect) for effect in effects] == [Forget, Expired]
    assert rig.meet("T", now=0.0)[1:] == []


def test_a_wall_clock_that_starts_anew_with_every_life_makes_no_difference() -> None:
    """`now` counts from somewhere else after a reboot; what is kept says when by the clock on the wall."""
    first = Endpoint("rig", upstream="T", incarnation="a", epoch=1_000.0, saved=Saved("a"))
    message = Message(id="rig_1", to="T", sender="rig", key="K")
    (store,) = first.send(message, repeat=True, expires_after=10, now=50.0)
    assert isinstance(store, Store)
    saved = Saved("a")
    saved.store(store.record)
    second = Endpoint("rig", upstream="T", incarnation="a", epoch=1_055.0, saved=saved)
    assert second.next_timer() == 5.0


def test_a_ttl_that_was_used_up_begins_anew_with_a_new_life() -> None:
    wire = pair()
    wire.policy = lambda flight: LOSE if flight.target == "T" else PASS
    wire.send("rig", "T", "trial", ttl=1)
    wire.run(6)
    wire.policy = lambda _flight: PASS
    wire.restart("rig")
    wire.run()
    assert wire.got("T") == ["trial"]


# -- the recipient --------------------------------------------------------------------------------------------------


def test_what_a_durable_recipient_was_done_with_is_not_handled_again_and_is_confirmed() -> None:
    wire = pair()
    wire.policy = lambda flight: LOSE if flight.source == "T" else PASS  # its confirmations are lost with it
    for n in range(3):
        wire.send("rig", "T", n)
    wire.run()
    wire.policy = lambda _flight: PASS
    wire.restart("T")
    wire.run()
    assert wire.got("T") == [0, 1, 2]
    assert len(wire.of("rig", Confirmed)) == 3


def test_what_was_in_a_handler_is_handled_again_and_marked_and_what_waited_behind_it_as_well() -> None:
    wire = pair()
    wire.handles_at_once = False
    for n in range(3):
        wire.send("rig", "T", n)
    wire.run()
    wire.handle(wire.pending()[0])
    wire.restart("T")
    wire.run()
    assert wire.got("T") == [0, 1, 2, 1, 2]
    assert redelivered(wire, "T") == [1, 2]


def test_handlers_that_run_beside_one_another_may_be_done_in_any_order() -> None:
    wire = pair()
    wire.handles_at_once = False
    for n in range(4):
        wire.send("rig", "T", n)
    wire.run()
    for n in (3, 1):
        wire.handle(wire.pending()[n])
    wire.restart("T")
    wire.run()
    assert wire.got("T") == [0, 1, 2, 3, 0, 2]
    wire.handle_all()
    wire.run()
    assert len(wire.of("rig", Confirmed)) == 4


def test_what_was_done_with_and_could_not_be_passed_on_is_failed_in_the_next_life_too() -> None:
    wire = pair()
    wire.handles_at_once = False
    wire.send("rig", "T", "trial")
    wire.run()
    wire.policy = lambda flight: LOSE if flight.source == "T" else PASS
    wire.handle(wire.pending()[0], failed=True)
    wire.run()
    wire.policy = lambda _flight: PASS
    wire.restart("T")
    wire.run()
    assert wire.got("T") == ["trial"]
    assert [(e.id, e.reason) for e in wire.of("rig", Expired)] == [("rig_1", "its recipient could not pass it on")]


def test_what_its_sender_has_settled_is_remembered_no_longer() -> None:
    wire = pair()
    for n in range(50):
        wire.send("rig", "T", n)
        wire.run()
    (life,) = wire.saved["T"].handled.values()
    assert len(life) <= 2


def test_what_was_handled_of_one_of_autopilots_own_is_not_handled_again() -> None:
    wire = Wire({"T": None, "theirs": "T"}, durable=["T"])
    raw = Message(id="theirs_1", to="T", sender="theirs", key="DATA", value="x", timestamp="t", flags={}).serialize()
    wire.inject("theirs", "T", b"T", b"T", raw)
    wire.restart("T")
    effects = wire.inject("theirs", "T", b"T", b"T", raw)
    assert not [effect for effect in effects if isinstance(effect, Deliver)]
    assert [m.value for m in wire.carried("T", "theirs")] == ["theirs_1", "theirs_1"]


def test_of_autopilots_own_a_bounded_count_is_remembered() -> None:
    saved = Saved("a")
    for n in range(REMEMBER + 3):
        saved.store(SeenUnnumbered("theirs", str(n), "t"))
    assert len(saved.seen) == REMEMBER
    assert SeenUnnumbered("theirs", "2", "t") not in saved.seen
    assert SeenUnnumbered("theirs", "3", "t") in saved.seen


def test_a_gap_that_is_held_open_over_a_restart_is_filled_in_order() -> None:
    saved = Saved("T#kept")
    for seq in (1, 3):
        saved.store(Handled("n", "T", "a", seq, 1))
    terminal = Endpoint("T", forwards=True, incarnation="T#kept", saved=saved)
    me = [b"T", b"T"]

    def values(seq: int) -> list[object]:
        effects = terminal.receive("n", [*me, numbered(seq, 1, again=True).serialize()], now=0)
        return [effect.message.value for effect in effects if isinstance(effect, Deliver)]

    assert (values(1), values(3), values(4), values(2), values(5)) == ([], [], [], [2, 4], [5])


def test_what_is_handled_is_let_go_of_when_its_sender_says_that_it_repeats_it_no_more() -> None:
    saved = Saved("T#kept")
    for seq, failed in ((1, False), (3, True)):
        saved.store(Handled("n", "T", "a", seq, 1, failed))
    terminal = Endpoint("T", forwards=True, incarnation="T#kept", saved=saved)
    effects = terminal.receive("n", [b"T", b"T", numbered(7, 7).serialize()], now=0)
    assert [effect.message.value for effect in effects if isinstance(effect, Deliver)] == [7]


# -- relays ---------------------------------------------------------------------------------------------------------


def relayed(wire: Wire) -> list[str]:
    """A trial goes from the rig to `T`, whose handler passes it on twice; what it is passed on as."""
    wire.handles_at_once = False
    wire.cut("_T")
    wire.send("rig", "T", "trial")
    wire.run()
    passed = [wire.send("T", "_T", f"trial, copy {n}") for n in range(2)]
    wire.handle(wire.pending()[0], relays=passed)
    wire.handles_at_once = True
    return passed


def test_a_relay_that_is_pending_at_the_kill_is_not_handled_again_and_is_confirmed_when_all_of_it_is() -> None:
    wire = trio()
    relayed(wire)
    wire.restart("T")
    wire.run(20)
    assert wire.of("rig", Confirmed) == []
    wire.connect("_T")
    wire.run()
    assert wire.got("T") == ["trial"]
    assert wire.got("_T") == ["trial, copy 0", "trial, copy 1"]
    assert wire.of("rig", Confirmed) == [Confirmed("rig_1", "T")]


def test_a_relay_is_confirmed_over_as_many_restarts_as_it_takes() -> None:
    wire = trio()
    relayed(wire)
    for _ in range(3):
        wire.restart("T")
    wire.connect("_T")
    wire.run()
    assert wire.of("rig", Confirmed) == [Confirmed("rig_1", "T")]


def test_a_relay_of_which_one_part_failed_before_the_kill_fails_in_the_next_life() -> None:
    wire = trio()
    first, _ = relayed(wire)
    wire.connect("_T")
    wire.handles_at_once = False
    wire.run()
    one, other = wire.pending()
    assert one.message.id == first
    wire.handle(one, failed=True)
    wire.run()
    wire.restart("T")
    wire.handle(other)
    wire.run()
    assert [e.id for e in wire.of("rig", Expired)] == ["rig_1"]
    assert wire.of("rig", Confirmed) == []


def test_a_relay_of_which_one_part_was_settled_before_the_kill_waits_for_the_other_alone() -> None:
    wire = trio()
    relayed(wire)
    wire.connect("_T")
    wire.handles_at_once = False
    wire.run()
    one, other = wire.pending()
    wire.handle(one)
    wire.run()
    wire.restart("T")
    assert wire.of("rig", Confirmed) == []
    wire.handle(other)
    wire.run()
    assert wire.of("rig", Confirmed) == [Confirmed("rig_1", "T")]
    assert wire.got("T") == ["trial"]


@pytest.mark.parametrize("failed", [False, True])
def test_a_relay_all_parts_of_which_are_settled_by_the_kill_is_told_when_it_is_asked_for(failed: bool) -> None:
    """The kill may come between the last Forget and the record that it was the last."""
    saved = Saved("T#kept")
    saved.store(Handled("rig", "T", "a", 1, 1, failed, ("T_1",), "n_a1"))
    terminal = Endpoint("T", forwards=True, incarnation="T#kept", saved=saved)
    again = numbered(1, 1, again=True)
    again["sender"] = "rig"
    effects = terminal.receive("rig", [b"T", b"T", again.serialize()], now=0)
    assert not [effect for effect in effects if isinstance(effect, Deliver)]
    (told,) = [m for e in effects if isinstance(e, Transmit) and (m := message_of(e.frames[-1]))]
    assert bool(told.get("failed")) is failed


def test_a_relay_for_one_of_autopilots_own_is_handled_again_after_a_kill() -> None:
    """It has no number to be remembered by until it is done."""
    wire = Wire({"T": None, "theirs": "T"}, {"_T": "T"}, durable=["T"])
    wire.handles_at_once = False
    raw = Message(id="theirs_1", to="T", sender="theirs", key="DATA", value="x", timestamp="t", flags={}).serialize()
    wire.cut("_T")
    wire.inject("theirs", "T", b"T", b"T", raw)
    wire.handle(wire.pending()[0], relays=[wire.send("T", "_T", "x")])
    assert [type(effect.record) for effect in wire.of("T", Store)] == [Kept]


# -- storms of kills ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [(), ("T", "rig", "_rig")], ids=["in memory", "durable"])
def test_stop_never_overtakes_start_whatever_is_killed_and_cut_between(durable: tuple[str, ...]) -> None:
    """The terminal's program tells a rig to start, and then to stop; the rig's station hands both to its program."""
    for seed in range(TRIES):
        start_and_stop(random.Random(seed), durable)


def start_and_stop(chance: random.Random, durable: tuple[str, ...]) -> None:
    settings = Settings(liveness_s=7.0)
    wire = Wire({"T": None, "rig": "T"}, {"_T": "T", "_rig": "rig"}, durable=durable, settings=settings)
    fates = [PASS] * 6 + [LOSE, (0.0, 0.0), (0.0, 2.0)]
    wire.policy = lambda _flight: chance.choice(fates)
    wire.handles_at_once = False
    for order in ("START", "STOP"):
        wire.send("_T", "rig", order)
        for _ in range(chance.randrange(4)):
            trouble(wire, chance)
    wire.policy = lambda _flight: PASS
    for _ in range(12):
        for name in wire.parents:
            wire.connect(name)
        wire.announce()
        wire.run(6)
        pass_on(wire)
        if not (wire["_T"].outbox.messages() or wire["rig"].outbox.messages()):
            break
    for name in ("rig", "_rig"):
        got = wire.got(name)
        assert got.index("START") < got.index("STOP"), f"{name} got {got}"
        assert got[-1] == "STOP"
    assert not wire["_T"].outbox.messages()


def trouble(wire: Wire, chance: random.Random) -> None:
    """One thing that may happen in a lab. A program outlives its station, or is killed with nothing left to send."""
    act = chance.randrange(5)
    name = chance.choice(["T", "rig", "_rig"])
    if act == 0:
        wire.restart(name)
    elif act == 1:
        wire.cut(name)
    elif act == 2:
        wire.connect(name)
    elif act == 3:
        pass_on(wire)
    else:
        wire.run(chance.choice([0.0, 1.0, 6.0]))


def pass_on(wire: Wire) -> None:
    """Let what is in handlers be done, in order: the rig's station passes on what it got."""
    for handling in wire.pending():
        value, origin = handling.message.value, {"sender": "_T", "id": handling.message.id}
        passed = [wire.send("rig", "_rig", value, origin=origin)] if handling.at == "rig" else []
        wire.handle(handling, relays=passed)


def test_an_endpoint_that_is_killed_after_any_of_its_effects_keeps_what_it_promised() -> None:
    """Whatever part of one batch was carried out: what was stored before it is sent is never sent anew, or lost."""
    for seed in range(200):
        chance = random.Random(seed)
        wire = pair()
        for n in range(20):
            wire.send("rig", "T", n)
            if chance.random() < 0.3:
                wire.run(chance.choice([0.0, 0.5]))
            if chance.random() < 0.2:
                wire.restart(chance.choice(["T", "rig"]))
        wire.run(30)
        assert wire.got("T") == list(range(20))
        assert not wire.saved["rig"].kept




# -- what would grow, or never be sent ------------------------------------------------------------------------------


def test_the_lives_of_one_sender_that_are_kept_are_the_last_ones() -> None:
    saved = Saved("x")
    for life in ("z", "y", "a", "b", "c", "d"):
        saved.store(Handled("n", "T", life, 1, 1))
    saved.store(Handled("n", "T", "y", 2, 1))
    assert saved.prune() == [("n", "T", "a"), ("n", "T", "z")]
    assert [life for _, _, life in saved.handled] == ["b", "c", "d", "y"]


def test_what_waits_for_messages_of_ours_is_kept_however_old_its_life_is() -> None:
    saved = Saved("x")
    for number, life in enumerate("abcdef"):
        saved.store(Handled("n", "T", life, 1, 1, waits=() if number else ("T_1",), id="n_1"))
    assert saved.prune() == [("n", "T", "b")]


def test_what_never_left_is_sent_by_the_next_life_also_to_one_that_may_be_autopilots_own() -> None:
    """And then asked about, as in any life: theirs would handle every repeat again."""
    settings = Settings(repeat_interval=1.0)
    first = Endpoint("rig", upstream="hub", forwards=True, incarnation="a", saved=Saved("a"), settings=settings)
    message = Message(id="rig_1", to="far", sender="rig", key="DATA", value="trial")
    saved = Saved("a")
    for effect in first.send(message, repeat=True, now=0):
        if isinstance(effect, Store):
            saved.store(effect.record)
    second = Endpoint("rig", upstream="hub", forwards=True, incarnation="a", saved=saved, settings=settings)
    effects = second.meet("hub", now=0)
    for now in range(1, 4):
        effects += second.handle_timer(now=now)
    sent = [m for e in effects if isinstance(e, Transmit) and (m := message_of(e.frames[-1]))]
    assert [m.key for m in sent] == ["DATA", "CONFIRM", "CONFIRM", "CONFIRM"]
    assert all("asks" in m for m in sent[1:])
