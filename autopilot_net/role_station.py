"""A station that does with each key what its role decides: what terminals and pilots have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from autopilot_net.arguments import check_listens
from autopilot_net.coroutines import refuse_generators
from autopilot_net.listening import Listen, refuse_closed
from autopilot_net.message import Message, refuse
from autopilot_net.roles.host import Role
from autopilot_net.station import Station

__all__ = ["RoleStation"]

R = TypeVar("R", bound=Role)


class RoleStation(Station, Generic[R]):
    """A station with the role `role_class`, which a subclass may name anew.

    For each key of the role it has a listen (see `roles.host.key`), a method that may be overridden.
    """

    role_class: type[R]
    _role: R | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "role_class" in vars(cls):
            for listen, method in cls.role_class.keys().values():
                if not hasattr(cls, listen):
                    setattr(cls, listen, _delegate(listen, method, getattr(cls.role_class, method).__doc__))

    def _listen_for_role(self, listens: Mapping[str, Listen] | None) -> None:
        """Listen for the keys of the role, and to the `listens` of whoever makes the station, which go first."""
        own = {key: getattr(self, listen) for key, (listen, _) in self.role_class.keys().items()}
        self.listens |= {**own, **({} if listens is None else listens)}
        check_listens(self.listens, f"station {self.id}")
        refuse_generators(self.listens, f"station {self.id}")

    def may_kill(self, message: Message) -> bool:
        """See the role."""
        return self.role.may_kill(message)

    @property
    def role(self) -> R:
        """What it decides. In the station's process."""
        if self._role is None:
            raise refuse_closed(self.id)
        return self._role


def _delegate(name: str, method: str, doc: str | None) -> Callable[[Any, Message], Any]:
    """A listen called `name` that hands the message to `method` of the station's role.

    Where that raises, the message is not handled: whoever sent a STOPALL must not take it for done.
    """

    def listen(self: Any, msg: Message) -> Any:  # `msg` is Autopilot's name for it
        try:
            return getattr(self.role, method)(msg)
        except Exception as error:
            refuse(msg, f"{type(error).__name__}: {error}")
            raise

    listen.__name__ = name  # which is how a bound listen is pickled on its way into the station's process
    listen.__doc__ = doc
    return listen
