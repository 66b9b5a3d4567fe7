"""Runs a coroutine that a listen returned to its end. A generator is refused, since nothing would run it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from autopilot_net.errors import AutopilotNetError

if TYPE_CHECKING:
    from asyncio import Runner

__all__ = ["Loop", "finished", "refuse_generators", "refuse_unrun"]

INSTEAD = "make it a function that returns when it is done, or an `async def` without `yield`"


class Loop:
    """The asyncio loop of one thread, made for the first coroutine. Between two coroutines nothing in it runs."""

    def __init__(self) -> None:
        self._runner: Runner | None = None

    def finished(self, result: Any, what: str) -> Any:
        """`result`, or, if it is a coroutine, what that returns. Raises `AutopilotNetError` for a generator."""
        while inspect.isawaitable(result):
            if self._runner is None:
                import asyncio  # most labs need none

                self._runner = asyncio.Runner()
            result = self._runner.run(_awaited(result))
        if isinstance(result, GeneratorType | AsyncGeneratorType):
            raise AutopilotNetError(f"{what} returned a generator, of which nothing has run: {INSTEAD}")
        return result

    def close(self) -> None:
        """Cancel the tasks that were left in it, and close it. In its own thread."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None


def finished(result: Any, what: str) -> Any:
    """What `result` comes to, in a loop of its own."""
    loop = Loop()
    try:
        return loop.finished(result, what)
    finally:
        loop.close()


def refuse_generators(listens: Mapping[str, Any], who: str) -> None:
    """Raise `AutopilotNetError` for a listen that would run only if somebody iterated over what it returns."""
    for key, listen in listens.items():
        called = _called(listen)
        if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
            raise AutopilotNetError(
                f"the listen for {key} of {who} is a generator function, of which nothing would ever run: {INSTEAD}"
            )


def refuse_unrun(result: Any, what: str) -> None:
    """Raise `AutopilotNetError` if `what`, which must not wait, returned a coroutine or a generator."""
    if isinstance(result, CoroutineType | GeneratorType | AsyncGeneratorType):
        if isinstance(result, CoroutineType):
            result.close()
        kind = type(result).__name__
        raise AutopilotNetError(f"{what} returned a {kind}, which nobody runs: make it a plain function")


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _called(listen: Any) -> Callable[..., Any] | Any:
    """The function that is run when `listen` is called, as far as that can be seen."""
    while isinstance(listen, partial):
        listen = listen.func
    is_plain = inspect.isroutine(listen) or inspect.isclass(listen)
    return listen if is_plain else getattr(type(listen), "__call__", listen)  # noqa: B004  # not whether, but which
