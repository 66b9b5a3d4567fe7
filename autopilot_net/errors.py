"""Every error this library raises on purpose. Each message is a sentence for the person who will read it."""

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
    """What all errors of this library derive from."""


class BadMessage(AutopilotNetError, ValueError):
    """Bytes or values that are no message, or an array in one that cannot be trusted or carried."""


class DeliveryExpired(AutopilotNetError):
    """A message is not known to have been handled: its repeats are used up, or its time is."""


class WindowFull(AutopilotNetError):
    """More awaits confirmation than the window allows, and the caller chose not to wait."""


class WaitInHandler(AutopilotNetError, RuntimeError):
    """A handler waited for what only the handler thread could bring about, which would wait for ever."""


class FileRefused(AutopilotNetError, ValueError):
    """A path that leaves the file folder, or a file that cannot be what was asked for."""


class DurableRefused(AutopilotNetError, ValueError):
    """A file that cannot keep what is promised: not one of ours, damaged, somebody else's, or in use."""
