"""What is sent, and what a recipient tells of what it took."""

from __future__ import annotations

from sim.bench.load import SAMPLES, Gauge, frame, small


class Wire:
    """Keeps what is sent by it."""

    def __init__(self) -> None:
        self.sent: list[tuple[object, ...]] = []

    def send(self, told: tuple[object, ...]) -> None:
        self.sent.append(told)


def test_the_first_tenth_is_not_measured_and_the_end_is_told_once() -> None:
    wire = Wire()
    gauge = Gauge(wire, 100)
    for _ in range(100):
        assert wire.sent == []
        gauge.take(0.0)
    [(total, measured, first, last, took)] = wire.sent
    assert (total, measured) == (100, 90)
    assert first.t <= last.t  # type: ignore[attr-defined]
    assert len(took) == 100  # type: ignore[arg-type]


def test_of_many_messages_the_times_of_some_are_kept() -> None:
    wire = Wire()
    gauge = Gauge(wire, 3 * SAMPLES)
    for _ in range(3 * SAMPLES):
        gauge.take(0.0)
    assert len(wire.sent[0][-1]) == SAMPLES  # type: ignore[arg-type]


def test_a_frame_is_the_same_each_time() -> None:
    assert frame((4, 6)).tobytes() == frame((4, 6)).tobytes()
    assert frame((4, 6)).shape == (4, 6)


def test_a_small_message_says_which_it_is_and_when_it_was_made() -> None:
    assert small(3)["n"] == 3
    assert small(3)["t"] <= small(4)["t"]
