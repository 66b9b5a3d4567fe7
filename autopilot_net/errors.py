"""The errors that this library raises on purpose. Each message is a sentence for the person who will read it."""

__all__ = [
    "AutopilotNetError",
    "BadMessage",
    "DeliveryExpired",
    "DurableRefused",
    "FileRefused",
    "WaitInHandler",
    "WindowFull",
]


class AutopilotNetError(Exception):
    """The base of all errors of this library. Raised itself for wrong use, as of a closed node or a bad argument."""


class BadMessage(AutopilotNetError, ValueError):
    """Bytes or values that are no message, or an array in one that cannot be carried or trusted."""


class DeliveryExpired(AutopilotNetError):
    """A message is not known to have been handled, and is not sent again: its repeats or its time are used up."""


class WindowFull(AutopilotNetError):
    """More messages await confirmation than the window allows, and the caller chose not to wait."""


class WaitInHandler(AutopilotNetError, RuntimeError):
    """A handler, or a callback, waits for what only its own thread can bring about: it would wait for ever."""


class FileRefused(AutopilotNetError, ValueError):
    """A path that leads out of the file folder, or a file that cannot be what was asked for."""


class DurableRefused(AutopilotNetError, ValueError):
    """A durable file that cannot be used: not one of ours, damaged, somebody else's, or in use."""
