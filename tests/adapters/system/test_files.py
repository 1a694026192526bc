"""Files that are written whole."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcpguard.adapters.system.files import private_file, remedy, write_whole
from tests.rows import each


def test_a_file_is_replaced_behind_a_link_and_keeps_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    write_whole(link, b"one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    write_whole(link, b"two")
    assert link.is_symlink()
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"two", 0o644)
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"one")
        assert os.read(reader, 9) == b"one"
        assert pipe.is_fifo()
    finally:
        os.close(reader)


def test_a_file_that_root_makes_belongs_to_the_owner_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = list[tuple[int, int]]()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _file, user, group: given.append((user, group)))
    real = os.stat(tmp_path)
    theirs = SimpleNamespace(st_uid=4711, st_gid=4712)
    monkeypatch.setattr(os, "stat", lambda path, **_: theirs if path == tmp_path else real)
    for _ in range(2):
        os.close(private_file(tmp_path / "chain", os.O_RDWR))
    assert given == [(4711, 4712)]  # Once: what is there already may be a link to another file.
    theirs.st_uid = 0
    os.close(private_file(tmp_path / "other", os.O_RDWR))
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    theirs.st_uid = 4711
    os.close(private_file(tmp_path / "mine", os.O_RDWR))
    assert len(given) == 1
    with pytest.raises(FileExistsError):
        private_file(tmp_path / "chain", os.O_WRONLY | os.O_EXCL)
    monkeypatch.undo()
    assert stat.S_IMODE((tmp_path / "chain").stat().st_mode) == 0o600


@each(
    ("number", "said"),
    [
        (errno.ENOSPC, "free up space or inodes there (`df -h`, `df -i`)"),
        (errno.EROFS, "mount its file system writable"),
        (errno.EDQUOT, "free up space there, or raise the quota"),
        (errno.EACCES, "make it a folder that this user can write to"),
    ],
)
def test_what_helps_is_what_the_system_says(number: int, said: str) -> None:
    assert remedy(OSError(number, "x")) == said
    assert remedy(OSError("x")) == "make it a folder that this user can write to"
