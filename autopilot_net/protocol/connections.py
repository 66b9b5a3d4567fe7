"""The connections to neighbours: what their probes say, whether the upstream still answers, and what a break has cost.

It composes `liveness`, `probes` and `accounts`. Probes go by the router; what is to be done about the upstream is told
as effects.
"""

from __future__ import annotations

from collections.abc import Sequence

from autopilot_net.protocol.accounts import Account, Losses
from autopilot_net.protocol.effects import Dropped, Effect, Reconnect, Silent, Traffic, Transmit
from autopilot_net.protocol.liveness import Liveness, Move
from autopilot_net.protocol.probes import PROBE, ProbeState, read_state
from autopilot_net.protocol.router import Router

__all__ = ["ACCOUNTS", "DEEP", "LOST", "UNKNOWN_LOSS", "Connections"]

LOST = "lost with its connection"
UNKNOWN_LOSS = "it is not known how much was read of a connection whose other end has died; at most"
DEEP = 64  # stations above one another, at most
ACCOUNTS = 4_096  # neighbours whose accounts are kept


class Connections:
    """The connections of one endpoint. `life` is unlike that of any former life, and names the connections upward."""

    def __init__(self, router: Router, *, life: str, interval: float, seed: str) -> None:
        self.is_upstream_new = False  # whether the upstream is known to tell connections of one id apart
        self.upstream_is = ""  # the id of whoever answers as the upstream, as far as it has said
        self._router = router
        self._life = life
        self._liveness = Liveness(interval, seed=seed)
        self._accounts: dict[str, Account] = {}
        self._opened = 0  # connections to the upstream, so far
        self._has_asked = False  # whether we have introduced ourselves by the present connection

    @property
    def upstream(self) -> str:
        """The upstream's id; '' for the root, which has none."""
        return self._router.routes.upstream or ""

    # -- messages ------------------------------------------------------------------------------------------------

    def sent(self, effect: Transmit) -> None:
        """The socket has taken the message of `effect`. Probes are not counted."""
        if effect.frames[-1]:
            self._account(effect.peer).sent(counts=effect.kind is Traffic.DATA)

    def received(self, peer: str) -> None:
        """A message that is no probe came from `peer`."""
        self._account(peer).received()

    def hear_upstream(self) -> bool:
        """Something came from the upstream; whether its silence had been told."""
        was_silent = self._liveness.hear()
        if was_silent:
            self._router.is_upstream_silent = False
        return was_silent

    # -- connections ---------------------------------------------------------------------------------------------

    def next_name(self) -> str:
        """The name for the next connection to the upstream: none, where it would not tell it from the others."""
        return f"{self._life}.{self._opened + 1}" if self.is_upstream_new else ""

    def upstream_is_up(self, *, now: float) -> list[Effect]:
        """The upstream is there, by another connection, which has a name of its own."""
        self._liveness.meet(now=now)
        self._opened += 1
        self._has_asked = self.is_upstream_new
        name = f"{self._life}.{self._opened}"
        losses = self._account(self.upstream).renew(name, is_told_first=self.is_upstream_new)
        return _tell_losses(self.upstream, losses) + (self._introduce() if self.is_upstream_new else [])

    def upstream_is_down(self) -> None:
        """The upstream went away."""
        self._liveness.lose()
        self._router.is_upstream_silent = False

    def renewed(self, peer: str, connection: str) -> list[Effect]:
        """`peer` below has another connection, and all that the former one brought was read."""
        return _tell_losses(peer, self._account(peer).renew(connection))

    # -- probes --------------------------------------------------------------------------------------------------

    @property
    def probe_at(self) -> float | None:
        """When to call `probe`."""
        return self._liveness.probe_at

    def probe(self, now: float) -> list[Effect]:
        """Probe the upstream; where it is silent, tell that, and connect to it anew."""
        upstream = self.upstream
        effects: list[Effect] = []
        is_full = upstream in self._router.waiting_peers()
        for move in self._liveness.move(now=now, is_ours=upstream in self._router.ours, is_full=is_full):
            if move is Move.TELL:
                self._router.is_upstream_silent = True
                effects.append(Silent(upstream, round(self._liveness.silence(now=now), 1)))
            elif move is Move.PROBE:
                probe = Transmit(upstream, self._probe_frames(now=now), Traffic.CONTROL)
                effects += self._router.transmit(probe, source=self._router.id)
            else:
                effects.append(Reconnect(upstream))
        return effects

    def read_probe(self, peer: str, frames: Sequence[bytes]) -> list[Effect]:
        """Answer a probe from below. A bare one goes back as it came."""
        state = read_state(frames)
        self._router.is_ours(peer)
        if state is None:
            return self._router.transmit(Transmit(peer, tuple(frames), Traffic.CONTROL), source=self._router.id)
        account = self._account(peer)
        account.connection = state.connection[:64]
        answer = Transmit(peer, self._state(peer, re=state.number).frames(), Traffic.CONTROL)
        losses = _tell_losses(peer, account.hear(state))
        return [*losses, *self._router.transmit(answer, source=self._router.id)]

    def read_answer(self, frames: Sequence[bytes], *, now: float) -> list[Effect]:
        """The upstream has answered a probe of ours. One of Autopilot's own sends it back as it was."""
        state = read_state(frames)
        if state is None or state.life == self._life:  # bare, or our own words
            if state is None or state.number:
                self._liveness.echo(state.number if state else 0, now=now)
            if self._has_asked:
                return []
            self._has_asked = True
            return self._introduce()
        if state.re:
            self._liveness.echo(state.re, now=now)
        self.is_upstream_new, self.upstream_is = True, state.id
        above = tuple(dict.fromkeys((self.upstream, *state.above[:DEEP])))
        if above != self._router.routes.above:
            self._router.routes.rise(above)
        self._router.is_ours(self.upstream)
        return _tell_losses(self.upstream, self._account(self.upstream).hear(state))

    def flush(self, *, now: float) -> list[Effect]:
        """Probe the upstream behind all that was sent before: see `is_flushed`."""
        if not (self.upstream and self._router.routes.up):
            return []
        self._liveness.flush()
        return [Transmit(self.upstream, self._probe_frames(now=now))]

    def is_flushed(self) -> bool:
        """Whether the upstream has read all that was sent before `flush`, or went away, and what it has not is lost."""
        return self._liveness.is_flushed()

    def is_late(self, *, now: float) -> bool:
        """Whether what was sent to the upstream lately may lie there unread."""
        return self._liveness.is_behind(now=now)

    def is_known_late(self, *, now: float) -> bool:
        """Whether it is late, and has answered before, so that it is known to answer at all."""
        return (self.is_upstream_new or not self._liveness.is_new) and self._liveness.is_behind(now=now)

    # -- below ---------------------------------------------------------------------------------------------------

    def _introduce(self) -> list[Effect]:
        """Tell the upstream who we are, and how this connection is called. One of ours answers likewise."""
        return [Transmit(self.upstream, self._state(self.upstream).frames(), Traffic.CONTROL)]

    def _probe_frames(self, *, now: float) -> tuple[bytes, ...]:
        number = self._liveness.next_number(now=now)
        return self._state(self.upstream, number=number).frames() if self.is_upstream_new else PROBE

    def _state(self, peer: str, **numbers: int) -> ProbeState:
        account, routes = self._account(peer), self._router.routes
        return ProbeState(
            self._router.id,
            self._life,
            connection=account.connection,
            read=account.read,
            closed=account.read_of(),
            above=() if peer == routes.upstream else routes.above,
            **numbers,
        )

    def _account(self, peer: str) -> Account:
        account = self._accounts.get(peer)
        if account is None:
            account = self._accounts[peer] = Account()
            if len(self._accounts) > ACCOUNTS:
                del self._accounts[next(iter(self._accounts))]
        return account


def _tell_losses(peer: str, losses: Losses) -> list[Effect]:
    effects: list[Effect] = []
    if losses.lost:
        effects.append(Dropped(LOST, peer, "", losses.lost))
    if losses.unknown:
        effects.append(Dropped(UNKNOWN_LOSS, peer, "", losses.unknown, known=False))
    return effects
