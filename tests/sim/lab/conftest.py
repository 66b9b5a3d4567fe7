"""The fixtures of the tests of topology files."""

from pathlib import Path
from typing import Any

import pytest

from sim.lab.topology import TopologyError, load


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "lab.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def mistakes_in(write: Any) -> Any:
    """The mistakes of a text, each as `line: sentence`."""

    def mistakes_in(text: str | bytes) -> list[str]:
        path = write(text)
        with pytest.raises(TopologyError) as caught:
            load(path)
        assert str(caught.value) == "\n".join(caught.value.mistakes)
        return [mistake.removeprefix(f"{path}:") for mistake in caught.value.mistakes]

    return mistakes_in
