"""Files in memory behave as the folder of a real station does."""

from __future__ import annotations

import hashlib

import pytest

from autopilot_net import FileRefused
from sim.virtual.machines import MemoryFiles

SOUND = b"0123456789"
DIGEST = hashlib.sha256(SOUND).hexdigest()


def test_a_complete_file_is_read_and_described() -> None:
    files = MemoryFiles({"L.wav": SOUND})
    assert files.read("L.wav", 2, 3) == b"234"
    assert files.size_and_digest("L.wav") == (10, DIGEST)
    assert not files.lacks("L.wav")


def test_a_file_is_complete_when_its_parts_have_the_digest() -> None:
    files = MemoryFiles()
    files.write_part("L.wav", 0, SOUND[:4])
    assert (files.lacks("L.wav"), files.part_size("L.wav")) == (True, 4)
    files.write_part("L.wav", 4, SOUND[4:])
    assert files.finish("L.wav", DIGEST)
    assert files.read("L.wav", 0, 99) == SOUND


def test_a_part_with_another_digest_is_discarded() -> None:
    files = MemoryFiles()
    files.write_part("L.wav", 0, SOUND[1:])
    assert not files.finish("L.wav", DIGEST)
    assert (files.lacks("L.wav"), files.part_size("L.wav")) == (True, 0)


def test_a_missing_file_is_refused_with_its_name() -> None:
    with pytest.raises(FileRefused, match=r"there is no file L\.wav"):
        MemoryFiles().read("L.wav", 0, 1)
