"""The tests: the file for `sim/lab/fault.py` is `tests/sim/lab/test_fault.py`, and so on."""

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).parents[1]
