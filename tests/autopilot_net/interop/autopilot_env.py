"""A Python that has the real Autopilot, for tests: made once, and kept beside the repository's own."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT

# What its networking imports, and no more: all that it asks for is 430 MB.
ITSELF = "auto-pi-lot==0.5.1"
IMPORTS = ["numpy<2", "pyzmq", "tornado<7", "blosc2", "pydantic<2", "rich", "parse", "requests"]
INSTALL_S = 600


class NoAutopilot(Exception):
    """Autopilot cannot be had here; the sentence says why."""


def autopilot_python() -> str:
    """A Python that has Autopilot: this one, if it was installed with `[autopilot]`, or one that is made for it, once.

    Raises `NoAutopilot`.
    """
    if importlib.util.find_spec("autopilot"):
        return sys.executable
    base = _old_python()
    key = hashlib.sha256(repr((base, ITSELF, IMPORTS)).encode()).hexdigest()[:12]
    folder = ROOT / ".venv-autopilot" / key
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(base, folder)
            (folder / "complete").touch()
    return str(folder / "bin/python")


def _old_python() -> str:
    if sys.version_info < (3, 13):
        return sys.executable
    found = [shutil.which(f"python3.{minor}") for minor in (12, 11, 10, 9)]
    if not any(found):
        raise NoAutopilot(f"{ITSELF} wants a Python before 3.13, and there is none")
    return next(path for path in found if path)


def _install(base: str, folder: Path) -> None:
    python = str(folder / "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check"]
    shutil.rmtree(folder, ignore_errors=True)
    for command in ([base, "-m", "venv", "--without-pip", str(folder)], [*pip, "--no-deps", ITSELF], [*pip, *IMPORTS]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired as why:
            raise NoAutopilot(f"{ITSELF} was not installed within {INSTALL_S} s") from why
        if done.returncode:
            raise NoAutopilot(f"{ITSELF} cannot be installed: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    print(autopilot_python())
