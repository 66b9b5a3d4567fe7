"""What is promised whatever happens, held against every effect of every endpoint as it comes."""

from collections.abc import Collection
from dataclasses import dataclass

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.effects import Confirmed, Effect, Expired, Transmit


@dataclass
class Handling:
    """One run of a handler. `failed` is None until the handler is done."""

    at: str
    life: int
    ticket: int
    message: Message
    failed: bool | None = None
    passed_on: tuple[tuple[str, str], ...] = ()  # the incarnation and the id of each message that it waits for


def message_of(payload: bytes) -> Message | None:
    try:
        return Message(payload)
    except BadMessage:
        return None


class Promises:
    """What was sent, handled and settled, by whom and in which life. Each method asserts before it writes down."""

    def __init__(self, durable: Collection[str] = ()) -> None:
        self.durable = durable
        self.handlings: list[Handling] = []
        self.sought: dict[tuple[str, str], Effect | None] = {}  # (incarnation, id) -> how it ended
        self._origin: set[bytes] = set()

    def say(self, payload: bytes) -> None:
        """`payload` is put into the network by whoever made it."""
        self._origin.add(payload)

    def pass_on(self, name: str, payload: bytes) -> None:
        """A forwarder changes nothing."""
        message = message_of(payload)
        if message is None or message.sender == name:
            self.say(payload)
        assert payload in self._origin, f"{name} changed what it passed on: {payload!r}"

    def read(self, name: str, parent: str, payload: bytes, effects: list[Effect]) -> None:
        """What came from above never goes back up. A probe is answered there, and may be followed by another."""
        if not payload:
            return
        back_up = [e for e in effects if isinstance(e, Transmit) and e.peer == parent and e.frames[-1] == payload]
        assert not back_up, f"{name} sent back up what came from above: {back_up}"

    def handle(self, handling: Handling) -> None:
        """Once in a life, in order, and marked where a former life was handed it; and nobody else's."""
        name, message = handling.at, handling.message
        assert message.to in {name, "_" + name}, f"{name} handles what is for {message.to}"
        assert message.sender != name or message.to == name, f"{name} handles what it sent to {message.to}"
        if handling.ticket:
            same = [h for h in self.handlings if h.at == name and h.message.get("inc") == message.get("inc")]
            now = [h.message for h in same if h.life == handling.life and h.ticket and h.message.to == message.to]
            assert message.id not in {m.id for m in now}, f"{name} handles {message.id} twice in one life"
            assert not now or now[-1].seq < message.seq, f"{name} handles {message.id} after {now[-1].id}"
            again = any(h.message.id == message.id for h in same)
            assert not again or message.get("redelivered"), f"{name} handles {message.id} again, and does not say so"
            done = name in self.durable and any(h.message.id == message.id and h.failed is not None for h in same)
            assert not done, f"{name} is durable, and handles again {message.id}, with which a handler was done"
        self.handlings.append(handling)

    def end(self, incarnation: str, effect: Confirmed | Expired) -> None:
        """Everything ends once, and what is confirmed was handled."""
        life = (incarnation, effect.id)
        assert self.sought[life] is None, f"{effect} after {self.sought[life]}"
        self.sought[life] = effect
        if isinstance(effect, Confirmed):
            runs = [h for h in self.handlings if (h.message.get("inc"), h.message.id) == life and h.failed is False]
            assert runs, f"{effect}, and no handler at all is done with it"
            ends = [[self.sought[one] for one in run.passed_on] for run in runs]
            whole = any(all(isinstance(end, Confirmed) for end in each) for each in ends)
            assert whole, f"{effect}, and what it was passed on as is not: {ends}"
