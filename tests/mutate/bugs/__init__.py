"""The bugs. A new one goes into the list of a file here, and a new file into `BUGS`."""

from tests.mutate.bug import Bug
from tests.mutate.bugs import clocks, content, delivery, lives, load, routes, session, streams

__all__ = ["BUGS", "named"]

BUGS: list[Bug] = [
    *routes.BUGS, *delivery.BUGS, *lives.BUGS, *streams.BUGS, *content.BUGS, *session.BUGS,
    *load.BUGS,
    *clocks.BUGS,
]


def named(name: str) -> Bug:
    """The bug of that name."""
    return next(bug for bug in BUGS if bug.name == name)
