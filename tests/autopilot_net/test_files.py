"""Nothing outside its root is ever read or written by a file folder, and nothing has its name before it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autopilot_net import FileRefused
from autopilot_net.files import FileFolder

SECRET = b"what nobody may read"
WHOLE = b"0123456789"
DIGEST = sha256(WHOLE).hexdigest()

Use = Callable[[FileFolder, str], object]
USES: dict[str, Use] = {
    "read": lambda folder, path: folder.read(path, 0, 100),
    "size_and_digest": lambda folder, path: folder.size_and_digest(path),
    "lacks": lambda folder, path: folder.lacks(path),
    "part_size": lambda folder, path: folder.part_size(path),
    "write_part": lambda folder, path: folder.write_part(path, 0, b"overwritten"),
    "finish": lambda folder, path: folder.finish(path, ""),
}


class Ground:
    """A root with a secret beside it, and ways that lead to it."""

    def __init__(self, tmp: Path) -> None:
        self.outside = tmp / "outside"
        self.root = tmp / "root"
        for folder in (self.outside, self.root / "sounds"):
            folder.mkdir(parents=True)
        (self.outside / "secret").write_bytes(SECRET)
        (self.root / "tone").write_bytes(WHOLE)
        (self.root / "sounds" / "word").write_bytes(WHOLE)
        (self.root / "link").symlink_to(self.outside / "secret")
        (self.root / "way").symlink_to(self.outside)
        (self.root / "up").symlink_to("..")
        (self.root / "loop").symlink_to("loop")
        (self.root / "inner").symlink_to("sounds")
        self.folder = FileFolder(self.root)

    def is_untouched(self) -> bool:
        """Whether everything beside the root is as it was."""
        found = {path.relative_to(self.outside.parent) for path in self.outside.parent.iterdir()}
        return (
            found == {Path("outside"), Path("root")}
            and [path.name for path in self.outside.iterdir()] == ["secret"]
            and (self.outside / "secret").read_bytes() == SECRET
        )


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


REFUSED = [
    *("", ".", "..", "/", "/etc/passwd", "../outside/secret", "sounds/../../outside/secret", "../root/../outside"),
    *("link", "way/secret", "way/new", "up/outside/secret", "up", "inner/../..", "tone\0", "\0", "sounds/..", "./."),
    *("loop", "loop/tone", "half\ud800"),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_leaves_the_folder_or_is_none_is_refused_in_a_sentence(ground: Ground, path: str, use: str) -> None:
    with pytest.raises(FileRefused, match=r"\w+ \w+ \w+"):
        USES[use](ground.folder, path)
    assert ground.is_untouched()


def test_an_absolute_path_into_the_folder_is_refused_too(ground: Ground) -> None:
    with pytest.raises(FileRefused):
        ground.folder.read(str(ground.root / "tone"), 0, 10)


@pytest.mark.parametrize("path", ["tone", "./tone", "sounds/word", "sounds//word", "sounds/../tone", "inner/word"])
def test_a_path_that_stays_inside_is_read_however_it_is_spelled(ground: Ground, path: str) -> None:
    assert ground.folder.read(path, 0, 100) == WHOLE
    assert ground.folder.size_and_digest(path) == (10, DIGEST)
    assert not ground.folder.lacks(path)


def test_a_root_that_is_a_link_is_the_folder_it_leads_to(ground: Ground) -> None:
    root = ground.root.parent / "elsewhere"
    root.symlink_to(ground.root)
    assert FileFolder(root).read("tone", 0, 100) == WHOLE
    with pytest.raises(FileRefused):
        FileFolder(root).read("link", 0, 100)


@pytest.mark.parametrize("use", USES)
def test_a_station_without_a_folder_refuses_every_path(use: str) -> None:
    with pytest.raises(FileRefused, match="no file_dir"):
        USES[use](FileFolder(None), "tone")


NAMES = ["..", ".", "", "/", "tone", "sounds", "word", "link", "way", "up", "loop", "secret", "new", "outside"]
ODD = st.text(st.characters(codec=None, exclude_characters="/"), max_size=4) | st.just("x" * 300) | st.just(".x.part")
PATHS = st.lists(st.sampled_from(NAMES) | ODD, max_size=6).map("/".join)


@settings(deadline=None)
@given(path=PATHS, use=st.sampled_from(sorted(USES)))
@example(path="x" * 250, use="part_size")
@example(path="tone/x", use="finish")
def test_whatever_the_path_nothing_outside_the_root_is_read_or_written(path: str, use: str) -> None:
    with TemporaryDirectory() as tmp:
        ground = Ground(Path(tmp))
        try:
            found = USES[use](ground.folder, path)
        except FileRefused:
            found = None
        assert found not in (SECRET, (len(SECRET), sha256(SECRET).hexdigest()))
        assert ground.is_untouched()


@settings(deadline=None)
@given(paths=st.lists(PATHS, max_size=3), data=st.binary(max_size=20))
def test_whatever_is_fetched_under_whatever_names_stays_inside(paths: list[str], data: bytes) -> None:
    with TemporaryDirectory() as tmp:
        ground = Ground(Path(tmp))
        for path in paths:
            with suppress(FileRefused):
                ground.folder.write_part(path, 0, data)
                assert ground.folder.part_size(path) == len(data)
                assert ground.folder.finish(path, sha256(data).hexdigest())
                assert ground.folder.read(path, 0, 100) == data
                assert (ground.root / PurePosixPath(path)).resolve().is_relative_to(ground.root.resolve())
        assert ground.is_untouched()


# -- parts -------------------------------------------------------------------------------------------------------------


def test_a_file_is_not_there_until_its_last_part_is_and_its_digest_is_right(ground: Ground) -> None:
    folder = ground.folder
    for offset in (0, 4, 8):
        assert folder.lacks("new/one")
        assert folder.part_size("new/one") == offset
        with pytest.raises(FileRefused):
            folder.read("new/one", 0, 10)
        folder.write_part("new/one", offset, WHOLE[offset : offset + 4])
    assert folder.lacks("new/one")
    assert folder.finish("new/one", DIGEST)
    assert not folder.lacks("new/one")
    assert folder.read("new/one", 0, 10) == WHOLE
    assert folder.part_size("new/one") == 0
    assert os.listdir(ground.root / "new") == ["one"]


def test_a_transfer_resumes_in_the_next_life(ground: Ground) -> None:
    ground.folder.write_part("one", 0, WHOLE[:4])
    again = FileFolder(ground.root)
    assert again.part_size("one") == 4
    again.write_part("one", 4, WHOLE[4:])
    assert again.finish("one", DIGEST)


def test_a_part_that_is_begun_anew_keeps_nothing_of_the_old(ground: Ground) -> None:
    ground.folder.write_part("one", 0, b"a longer one than the next")
    ground.folder.write_part("one", 0, WHOLE)
    assert ground.folder.part_size("one") == 10
    assert ground.folder.finish("one", DIGEST)


def test_a_part_that_is_not_what_was_promised_is_thrown_away(ground: Ground) -> None:
    ground.folder.write_part("one", 0, b"something else")
    assert not ground.folder.finish("one", DIGEST)
    assert ground.folder.lacks("one")
    assert ground.folder.part_size("one") == 0


def test_a_file_that_is_there_is_as_it_was_until_the_new_one_is_whole(ground: Ground) -> None:
    ground.folder.write_part("tone", 0, b"another")
    assert ground.folder.read("tone", 0, 100) == WHOLE
    assert not ground.folder.finish("tone", "wrong")
    assert ground.folder.read("tone", 0, 100) == WHOLE
    ground.folder.write_part("tone", 0, b"another")
    assert ground.folder.finish("tone", "")
    assert ground.folder.read("tone", 0, 100) == b"another"


def test_the_name_of_a_part_is_no_name_to_ask_for(ground: Ground) -> None:
    ground.folder.write_part("one", 0, WHOLE)
    (part,) = [path.name for path in ground.root.iterdir() if path.name.endswith(".part")]
    for use in USES.values():
        with pytest.raises(FileRefused, match="not whole yet"):
            use(ground.folder, part)


def test_a_part_is_not_written_through_a_link_that_stands_in_its_place(ground: Ground) -> None:
    ground.folder.write_part("one", 0, WHOLE)
    (part,) = [path for path in ground.root.iterdir() if path.name.endswith(".part")]
    part.unlink()
    part.symlink_to(ground.outside / "secret")
    with pytest.raises(FileRefused, match="is a link"):
        ground.folder.write_part("one", 0, WHOLE)
    assert ground.is_untouched()


@pytest.mark.parametrize("path", ["sounds", "tone/one", "x" * 250, "x" * 300, "missing/one"])
def test_what_the_disk_refuses_is_refused_in_a_sentence(ground: Ground, path: str) -> None:
    with pytest.raises(FileRefused, match="cannot be"):
        ground.folder.finish(path, "")


@pytest.mark.parametrize("path", ["tone/one", "x" * 300])
def test_what_cannot_be_written_is_refused_in_a_sentence(ground: Ground, path: str) -> None:
    assert ground.folder.lacks(path)
    assert ground.folder.part_size(path) == 0
    with pytest.raises(FileRefused, match="cannot be written"):
        ground.folder.write_part(path, 0, WHOLE)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "length", "data"), [(0, 4, b"0123"), (8, 4, b"89"), (10, 4, b""), (1 << 40, 4, b""), (3, 0, b"")]
)
def test_a_part_is_what_lies_there_and_no_more(ground: Ground, offset: int, length: int, data: bytes) -> None:
    assert ground.folder.read("tone", offset, length) == data


@pytest.mark.parametrize(("offset", "length"), [(-1, 4), (0, -1), (1 << 80, 4), (0, 1 << 80)])
def test_what_is_no_part_of_any_file_is_refused(ground: Ground, offset: int, length: int) -> None:
    with pytest.raises(FileRefused):
        ground.folder.read("tone", offset, length)


@pytest.mark.parametrize("path", ["silence", "sounds", "tone/one", "pipe"])
def test_what_is_no_file_is_refused_and_waited_for_by_nobody(ground: Ground, path: str) -> None:
    os.mkfifo(ground.root / "pipe")
    assert ground.folder.lacks(path)
    for use in ("read", "size_and_digest"):
        with pytest.raises(FileRefused, match="is no file in the file folder"):
            USES[use](ground.folder, path)


def test_a_file_that_changes_gets_another_digest(ground: Ground) -> None:
    assert ground.folder.size_and_digest("tone") == (10, DIGEST)
    (ground.root / "tone").write_bytes(b"9876543210")
    os.utime(ground.root / "tone", ns=(1, 1))
    assert ground.folder.size_and_digest("tone") == (10, sha256(b"9876543210").hexdigest())
