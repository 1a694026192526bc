"""Files that are written whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mcpguard.adapters.system.files import write_whole


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
