"""Takes a situation one step further. The endpoints are those of the library, and each effect of theirs is checked."""

from __future__ import annotations

import re

from msgspec.structs import replace

from autopilot_net.protocol.effects import Deliver, DuplicateId, Effect, Reconnect, Transmit
from autopilot_net.protocol.probes import PROBE
from sim.exhaustive import promises
from sim.exhaustive.promises import PREFIX, BrokenPromiseError
from sim.exhaustive.situation import FAULTS, Cable, Frames, Ledger, Situation, SmallStep, is_calm, steps_from
from sim.exhaustive.small_labs import SmallLab
from sim.exhaustive.stations import Answer, ask, connected, has_neighbour, send, started

__all__ = ["BEGIN", "SmallWorld", "after", "begin", "fair_step"]

BEGIN = 1e6  # so that a time is larger than any duration: see `canonical.py`


def begin(lab: SmallLab) -> Situation:
    """The first situation: all stations are up and connected, and nothing was sent yet."""
    count, sends = len(lab.parents), len(lab.sends)
    nobody = Situation(
        now=BEGIN,
        stations=(b"",) * count,
        lives=(0,) * count,
        dues=(None,) * count,
        pending=((),) * count,
        cables={name: Cable() for name, parent in lab.parents.items() if parent is not None},
        ledger=Ledger(ends=("",) * sends, lives=(1,) * sends),  # as if all were sent: none is, before all are connected
        faults=0,
        early=0,
    )
    world = SmallWorld(lab, nobody)
    for name in lab.parents:
        world.start(name)
    at = world.situation()
    while not is_calm(lab, at):
        at = after(lab, at, steps_from(lab, at)[0])
    ledger = Ledger(ends=("",) * sends, lives=(0,) * sends)
    return replace(at, ledger=ledger, faults=lab.faults, early=lab.early)


def after(lab: SmallLab, at: Situation, step: SmallStep) -> Situation:
    """The situation after a step. Raises `BrokenPromiseError` if something breaks in it."""
    world = SmallWorld(lab, at)
    try:
        world.take(step)
    except BrokenPromiseError:
        raise
    except Exception as error:
        told = re.sub(r" object at 0x\w+", "", f"{type(error).__name__} in the core: {error}")
        raise BrokenPromiseError("raised", told) from error
    return world.situation()


def fair_step(lab: SmallLab, at: Situation) -> SmallStep | None:
    """The next step of a run in which nothing more goes wrong; None if it is at its end."""
    sound = [step for step in steps_from(lab, replace(at, early=0)) if step.what not in FAULTS]
    return sound[0] if sound and (sound[0].what != "timer" or promises.unsettled(at)) else None


class SmallWorld:
    """A situation that is being changed."""

    def __init__(self, lab: SmallLab, at: Situation) -> None:
        self.lab = lab
        self.at = at
        self.effects: list[tuple[str, str, Effect]] = []  # station, its incarnation, what it did
        self._names = list(lab.parents)
        self._stations = dict(zip(self._names, at.stations, strict=True))
        self._dues = dict(zip(self._names, at.dues, strict=True))
        self._cables = dict(at.cables)
        self._lives = dict(zip(self._names, at.lives, strict=True))
        self._pending = dict(zip(self._names, map(list, at.pending), strict=True))
        self._ledger = at.ledger
        self._now = at.now
        self._steps = {
            "deliver": self._deliver,
            "handle": self._handle,
            "send": self._send,
            "connect": self._connect,
            "timer": self._time,
            "drop": self._drop,
            "copy": self._copy,
            "break": self._break,
            "restart": self._restart,
        }

    def take(self, step: SmallStep) -> None:
        """Take a step."""
        if step.what in FAULTS:
            self.at = replace(self.at, faults=self.at.faults - 1)
        elif step.what == "timer" and not is_calm(self.lab, self.at):
            self.at = replace(self.at, early=self.at.early - 1)
        self._steps[step.what](step)

    def situation(self) -> Situation:
        """The situation now."""
        return Situation(
            now=self._now,
            stations=tuple(self._stations.values()),
            lives=tuple(self._lives.values()),
            dues=tuple(self._dues.values()),
            pending=tuple(map(tuple, self._pending.values())),
            cables=self._cables,
            ledger=self._ledger,
            faults=self.at.faults,
            early=self.at.early,
        )

    def start(self, name: str) -> None:
        """Start a station, with what it has on disk."""
        self._lives[name] += 1
        durable = name in self.lab.durable
        self._do(name, started(self._stations[name], name, self.lab.parents[name], self._lives[name], durable=durable))

    # -- what the programs do --------------------------------------------------------------------------------------

    def _send(self, step: SmallStep) -> None:
        number = next(
            number
            for number, send in enumerate(self.lab.sends, 1)
            if send.frm == step.where and not self._ledger.lives[number - 1]
        )
        lives = list(self._ledger.lives)
        lives[number - 1] = 1 if step.where in self.lab.durable else self._lives[step.where]
        self._ledger = replace(self._ledger, lives=tuple(lives))
        to = self.lab.sends[number - 1].to
        self._do(step.where, send(self._stations[step.where], f"{PREFIX}{number}", to, self.lab.ttl, now=self._now))

    def _handle(self, step: SmallStep) -> None:
        ticket, number = self._pending[step.where].pop(0)
        self._ledger = promises.done(self._ledger, step.where, number)
        self._ask(step.where, "handled", ticket)

    # -- what the links do -----------------------------------------------------------------------------------------

    def _connect(self, step: SmallStep) -> None:
        name, cable = step.where, self._cables[step.where]
        parent = self._parent(name)
        conn = cable.conn + 1
        probed = (*cable.up, (conn, PROBE))  # zmq sends one first by each connection, by which the upper end knows it
        self._cables[name] = replace(cable, conn=conn, is_up=True, is_broken=False, up=probed, down=())
        self._ask(name, "meet", parent)

    def _deliver(self, step: SmallStep) -> None:
        conn, frames = self._take_first(step)
        if step.way == "up":
            self._reach_upper(step.where, conn, frames)
        else:
            self._reach_lower(step.where, conn, frames)

    def _reach_lower(self, name: str, conn: int, frames: Frames | None) -> None:
        cable, parent = self._cables[name], self._parent(name)
        if conn != cable.conn or not cable.is_up:
            return
        if frames is None:
            self._cables[name] = replace(cable, is_up=False)
            self._ask(name, "lose", parent)
        else:
            self._ask(name, "receive", parent, frames)

    def _reach_upper(self, name: str, conn: int, frames: Frames | None) -> None:
        cable, parent = self._cables[name], self._parent(name)
        if frames is None:
            if cable.known == conn:
                self._cables[name] = replace(cable, known=0)
                self._ask(parent, "lose", name)
            return
        if cable.known > conn:
            return
        if cable.known != conn:
            if has_neighbour(self._stations[parent], name):
                self._ask(parent, "lose", name)
            self._cables[name] = replace(self._cables[name], known=conn)
            self._do(parent, connected(self._stations[parent], name, took_over=cable.known > 0))
        self._ask(parent, "receive", name, frames)
        self._tell_paths()

    def _take_first(self, step: SmallStep) -> tuple[int, Frames | None]:
        cable = self._cables[step.where]
        first, *rest = cable.up if step.way == "up" else cable.down
        self._cables[step.where] = replace(cable, **{step.way: tuple(rest)})
        return first

    def _tell_paths(self) -> None:
        """Every station above is told who is below it, at once, as a handshake would tell it soon."""
        for name in self._cables:
            below, above = name, self._parent(name)
            while self._is_whole(below) and above in self._cables and self._is_whole(above):
                below, above = above, self._parent(above)
                if has_neighbour(self._stations[above], below):
                    self._ask(above, "learn", name, below)

    def _is_whole(self, name: str) -> bool:
        cable = self._cables[name]
        return cable.is_up and cable.known == cable.conn and not cable.is_broken

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _drop(self, step: SmallStep) -> None:
        self._take_first(step)

    def _copy(self, step: SmallStep) -> None:
        cable = self._cables[step.where]
        self._deliver(step)
        sent = cable.up if step.way == "up" else cable.down
        now = self._cables[step.where]
        rest = now.up if step.way == "up" else now.down
        self._cables[step.where] = replace(now, **{step.way: (sent[0], *rest)})

    def _break(self, step: SmallStep) -> None:
        """The connection breaks, with all that is on it. Each end has yet to notice."""
        cable = self._cables[step.where]
        ended = ((cable.conn, None),)
        former = tuple(sent for sent in cable.up if sent[0] != cable.conn)
        self._cables[step.where] = replace(cable, is_broken=True, up=former + ended, down=ended)

    def _restart(self, step: SmallStep) -> None:
        """A station dies and is there again. What it had sent still arrives, and what was sent to it does not."""
        name = step.where
        self._ledger = promises.die(self.lab, self._ledger, name)
        self._pending[name].clear()
        if name in self._cables:
            cable = self._cables[name]
            up = cable.up if not cable.is_up or cable.is_broken else (*cable.up, (cable.conn, None))
            self._cables[name] = replace(cable, is_up=False, up=up, down=())
        for child, cable in self._cables.items():
            if self._parent(child) == name:
                down = cable.down if cable.is_broken or not cable.is_up else (*cable.down, (cable.conn, None))
                self._cables[child] = replace(cable, known=0, is_broken=True, up=(), down=down)
        self.start(name)

    # -- time ------------------------------------------------------------------------------------------------------

    def _time(self, step: SmallStep) -> None:
        del step
        dues = dict(zip(self._names, self.at.dues, strict=True))
        self._now = max(self._now, min(due for due in dues.values() if due is not None))
        for name, due in dues.items():
            if due is not None and due <= self._now:
                self._ask(name, "handle_timer")

    # -- effects ---------------------------------------------------------------------------------------------------

    def _ask(self, name: str, method: str, *arguments: object) -> None:
        self._do(name, ask(self._stations[name], method, *arguments, now=self._now))

    def _do(self, name: str, answer: Answer) -> None:
        self._stations[name], self._dues[name] = answer.packed, answer.due
        for effect in answer.effects:
            self.effects.append((name, answer.incarnation, effect))
            self._ledger = promises.end(self.lab, self.at, self._ledger, effect)
            if isinstance(effect, Transmit):
                self._transmit(name, effect)
            elif isinstance(effect, Deliver):
                self._hand_over(name, effect)
            elif isinstance(effect, Reconnect):
                self._reconnect(name, effect)
            elif isinstance(effect, DuplicateId):
                raise BrokenPromiseError("duplicate", f"{name} tells of two of {effect.peer}, and there is one")

    def _hand_over(self, name: str, effect: Deliver) -> None:
        number = promises.number_of(effect.message.id)
        if not number:
            raise BrokenPromiseError("stranger", f"{name} hands over {effect.message.id}, which no program sent")
        self._ledger = promises.begin(self.lab, self._ledger, name, self._lives[name], effect.message)
        self._pending[name].append((effect.ticket, number))

    def _transmit(self, name: str, effect: Transmit) -> None:
        if effect.peer == self.lab.parents[name]:
            cable = self._cables[name]
            if not cable.is_up:
                self._ask(name, "lose", effect.peer)
            elif not cable.is_broken:
                self._cables[name] = replace(cable, up=(*cable.up, (cable.conn, effect.frames)))
            return
        cable = self._cables[effect.peer]
        if not cable.known:
            self._ask(name, "lose", effect.peer)
        elif cable.known == cable.conn and cable.is_up and not cable.is_broken:
            self._cables[effect.peer] = replace(cable, down=(*cable.down, (cable.conn, effect.frames)))

    def _reconnect(self, name: str, effect: Reconnect) -> None:
        cable = self._cables[name]
        if cable.is_up:
            up = cable.up if cable.is_broken else (*cable.up, (cable.conn, None))
            self._cables[name] = replace(cable, is_up=False, up=up, down=())
            self._ask(name, "lose", effect.peer)

    # -- below -----------------------------------------------------------------------------------------------------

    def _parent(self, name: str) -> str:
        return str(self.lab.parents[name])
