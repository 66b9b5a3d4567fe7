"""Routes: who is a neighbour, and which ids lie behind which neighbour. No message is read or sent here."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Routes"]


class Routes:
    """What one endpoint knows of the tree: its upstream, its neighbours below, and the ids behind each of those.

    `_rig_1`, the program of `rig_1`, is found wherever `rig_1` is.
    """

    def __init__(self, id: str, upstream: str | None) -> None:
        self.upstream = upstream
        self.above: tuple[str, ...] = () if upstream is None else (upstream,)  # our upstream, its own, up to the root
        self._id = id
        self.up = False  # whether the upstream is believed to be there
        self.was_up = False  # whether it ever was
        self.met = {upstream}  # who is, or once was, a neighbour: no station is between
        self.below: dict[str, None] = {}  # a dict keeps the order in which they came, which a set would not
        self.behind: dict[str, str] = {}
        # What was below until its neighbour was lost, and has not been heard of since.
        self.unreachable_below: set[str] = set()
        self.unreachable_above: set[str] = set()  # what our upstream has said that it cannot reach

    def meet(self, peer: str) -> bool:
        """Note that a neighbour is there; whether that is news."""
        self.met.add(peer)
        if peer == self.upstream:
            news, self.up, self.was_up = not self.up, True, True
            return news
        news = peer not in self.below
        self.unreachable_below -= {peer, "_" + peer}
        self.below[peer] = None
        self.behind.pop(peer, None)
        return news

    def lose(self, peer: str) -> bool:
        """Forget a neighbour and all that lay behind it; whether it was there."""
        if peer == self.upstream:
            news, self.up = self.up, False
            self.unreachable_above.clear()
            return news
        was_below = self.below.pop(peer, peer) is None
        if was_below:
            self.unreachable_below |= {peer, *(name for name, via in self.behind.items() if via == peer)}
        self.behind = {name: via for name, via in self.behind.items() if via != peer}
        return was_below

    def has(self, peer: str) -> bool:
        """Whether `peer` is a neighbour that is there."""
        return self.up if peer == self.upstream else peer in self.below

    def is_fixed(self, name: str) -> bool:
        """Whether `name` is this endpoint, its program, or above it: a neighbour below cannot say where these are."""
        machine = name.removeprefix("_")
        return machine == self._id or machine in self.above

    def rise(self, above: Sequence[str]) -> None:
        """Note the stations above, the nearest first. What somebody below has said of where these are is forgotten."""
        self.above = tuple(above)
        self.behind = {name: via for name, via in self.behind.items() if not self.is_fixed(name)}

    def learn(self, name: str, peer: str) -> bool:
        """Note that `name` lies behind the neighbour `peer`; whether that is news."""
        if peer not in self.below or name in self.below or self.behind.get(name) == peer or self.is_fixed(name):
            return False
        self.unreachable_below -= {name, "_" + name}
        self.behind[name] = peer
        return True

    def is_away(self, name: str) -> bool:
        """Whether `name` was below, and its path is known to be down. Our own messages to it wait."""
        return name in self.unreachable_below or name.removeprefix("_") in self.unreachable_below

    def found_above(self, name: str) -> bool:
        """`name` was reached through the upstream, so that it is there now; whether it was away before."""
        was_away = self.is_away(name) or name in self.unreachable_above
        self.unreachable_below -= {name, name.removeprefix("_")}
        self.unreachable_above.discard(name)
        return was_away

    def forget(self, name: str, peer: str) -> bool:
        """`peer` says that `name` is not behind it; whether that was believed."""
        believed = {known for known in (name, name.removeprefix("_")) if self.behind.get(known) == peer}
        for known in believed:
            del self.behind[known]
        return bool(believed)

    def wrong_turn(self, path: Sequence[str]) -> str | None:
        """Why the hops and the recipient in `path` cannot be right: the first hop does not lead to the second.

        None if they may be right, as far as is known here.
        """
        if len(path) < 2:
            return None
        first, then = path[:2]
        hop, its = (self.next_hop(name, from_above=True) for name in (first, then))
        if its is None or its == hop:
            return None
        where = "a neighbour here" if its == then else f"below {its}"
        return f"{first} does not lead to {then}, which is {where}: a list is the way to one recipient, its last"

    def next_hop(self, name: str, *, from_above: bool = False) -> str | None:
        """The neighbour to hand a message for `name` to. None if it came from above and would have to go back up."""
        for known in (name, name.removeprefix("_")):
            if known in self.below:
                return known
            if known in self.behind:
                return self.behind[known]
        return None if from_above else self.upstream
