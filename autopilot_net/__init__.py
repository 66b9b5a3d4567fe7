"""Networking for labs of many small computers."""

__version__ = "0.1.0"
