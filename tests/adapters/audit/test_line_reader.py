"""Lines are read by their places, from plain and compressed chains, and no more is unpacked than it takes."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mcpguard.adapters.audit import line_reader, reader, retention
from mcpguard.adapters.audit.line_reader import LineReader
from mcpguard.adapters.audit.reader import Removed
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.core.errors import AuditError
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME


@pytest.fixture
def chain(folder: Path) -> Path:
    sink = AuditFile(folder)
    for record in (OPENED, DECIDED, OUTCOME):
        sink.write(record)
    sink.commit()
    sink.close(CLOSED)
    return sink.path


def test_lines_are_read_at_their_places_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "_BEFORE", 40)
    monkeypatch.setattr(line_reader, "_AFTER", 20)
    monkeypatch.setattr(line_reader, "_MOST_OPEN", 1)
    wanted = [b"%d %b\n" % (number, b"x" * (number * 7 % 90)) for number in range(40)] + [b"rest"]
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(b"".join(wanted))
    packed.write_bytes(gzip.compress(b"".join(wanted)))
    starts = [sum(map(len, wanted[:number])) for number in range(41)]
    with closing(LineReader()) as read:
        for order in (1, -1):
            for start, line in list(zip(starts, wanted, strict=True))[::order]:
                assert read.line(plain, start) == read.line(packed, start) == line
        assert read.line(plain, 10_000) == b""
        with pytest.raises(AuditError, match="cannot be read: No such file"):
            read.line(tmp_path / "none.jsonl", 0)
        os.mkfifo(tmp_path / "pipe.jsonl")
        with pytest.raises(AuditError, match="cannot be read"):
            read.line(tmp_path / "pipe.jsonl", 0)


def test_of_what_unpacks_to_more_than_anybody_asks_for_little_is_unpacked(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = chain.read_bytes().splitlines(keepends=True)
    bomb = chain.with_name(f"{chain.name}.gz")
    bomb.write_bytes(gzip.compress(first + second * 200_000))
    chain.unlink()
    unpacked = 0

    def counted(path: Path) -> Iterator[bytes]:
        nonlocal unpacked
        for block in reader.blocks(path):
            unpacked += len(block)
            yield block

    monkeypatch.setattr(line_reader, "blocks", counted)
    with closing(LineReader()) as found:
        assert found.line(bomb, len(first)) == second
    assert unpacked < 3 << 20


def test_where_there_is_no_room_to_unpack_it_says_so(
    chain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = retention.compress(chain)
    full = os.open("/dev/full", os.O_RDWR)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: os.fdopen(full, "r+b", buffering=0))
    said = f"the compressed chain {path} cannot be unpacked for reading: No space left on device; set TMPDIR"
    with pytest.raises(AuditError) as raised:
        LineReader().line(path, 0)
    assert str(raised.value).startswith(said)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(path.parent.parent / "home"))
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    assert main(["audit", "query", str(path.parent)]) == 2
    assert "cannot be unpacked for reading" in capsys.readouterr().err


def test_a_chain_that_was_removed_is_removed_each_time(chain: Path) -> None:
    with closing(LineReader()) as found:
        chain.unlink()
        for _ in range(2):
            with pytest.raises(Removed):
                found.line(chain, 0)


def test_one_that_was_compressed_a_moment_ago_is_read(chain: Path) -> None:
    first = chain.read_bytes().splitlines(keepends=True)[0]
    retention.compress(chain)
    with closing(LineReader()) as found:
        assert found.line(chain, 0) == first


def test_a_damaged_one_is_read_up_to_the_damage(chain: Path) -> None:
    first = chain.read_bytes().splitlines(keepends=True)[0]
    path = retention.compress(chain)
    path.write_bytes(path.read_bytes() + b"noise")
    with closing(LineReader()) as found:
        assert found.line(path, 0) == first
        assert found.line(path, 1 << 20) == b""
