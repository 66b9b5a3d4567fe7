"""Where the file of a scenario's topology stands, so that a replay finds the lab's own programs from any folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from sim.lab.own_programs import needs_folder
from sim.lab.topology import Topology

__all__ = ["at_home", "home_of"]


def home_of(topology: Topology, file: Path) -> str:
    """The topology's file, seen from the folder of the scenario `file`; empty if no replay needs it, or it is gone."""
    path = Path(topology.path)
    return _seen_from(file.resolve().parent, path.resolve()) if needs_folder(topology) and path.is_file() else ""


def at_home(topology: Topology, file: Path, home: str) -> Topology:
    """The topology of the scenario `file`, with its path as seen from the present folder; as it is, if not found."""
    if not needs_folder(topology):
        return topology
    found = next((place.resolve() for place in _places(Path(topology.path), file, home) if place.is_file()), None)
    if found is None or found == Path(topology.path).resolve():
        return topology
    here = Path.cwd()
    return replace(topology, path=(found.relative_to(here) if found.is_relative_to(here) else found).as_posix())


def _places(path: Path, file: Path, home: str) -> Iterator[Path]:
    """Where the topology's file may be: where it was, here, or in a folder above the scenario's."""
    folder = file.resolve().parent
    if home:
        yield folder / home
    yield path
    for above in (folder, *folder.parents):
        yield above / path


def _seen_from(folder: Path, path: Path) -> str:
    shared = next(above for above in (folder, *folder.parents) if path.is_relative_to(above))
    up = len(folder.relative_to(shared).parts)
    return "/".join([".."] * up + [path.relative_to(shared).as_posix()])
