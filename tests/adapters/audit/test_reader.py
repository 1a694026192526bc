"""Reading evidence back, and how the chains of a folder hang together."""

from __future__ import annotations

import gzip
import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mcpguard.adapters.audit.line_reader import LineReader
from mcpguard.adapters.audit.reader import NoChain, blocks, chain_files, lines, verified
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.config.loading import evidence_folder
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import MAX_LINE
from mcpguard.core.evidence.verification import verify
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit"


def test_an_earlier_chain_that_vanished_or_was_cut_short_is_found(folder: Path) -> None:
    first = AuditFile(folder)
    for record in (OPENED, DECIDED, OUTCOME):
        first.write(record)
    first.close(CLOSED)
    second = AuditFile(folder)
    second.write(OPENED)
    second.close(CLOSED)
    whole = first.path.read_bytes()

    first.path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    reports, missing = verified(folder, {})
    assert not reports[first.path.name].intact
    assert missing == []

    first.path.unlink()
    reports, missing = verified(folder, {})
    assert missing == [first.path.name]
    assert verified(folder, {}, removed_until=first.path.name)[1] == []
    assert verified(second.path, {})[1] == []


def test_a_head_that_was_kept_elsewhere_is_looked_for(folder: Path) -> None:
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.close(CLOSED)
    head = verify(lines(sink.path)).head
    assert verified(folder, {sink.path.name: [head]})[0][sink.path.name].intact
    assert not verified(folder, {sink.path.name: ["f" * 64]})[0][sink.path.name].intact
    assert verified(folder, {"gone.jsonl": [head]})[1] == ["gone.jsonl"]


def test_reading_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"no audit log at .*/gone: No such file"):
        chain_files(tmp_path / "gone")
    with pytest.raises(AuditError, match=r"it has no \.jsonl file"):
        chain_files(tmp_path)
    with pytest.raises(AuditError, match="cannot be read: No such file"):
        list(lines(tmp_path / "gone.jsonl"))


def test_nothing_is_read_after_a_line_that_is_longer_than_any(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"kind":"x"}\n' + b"x" * (MAX_LINE * 2 + 5))
    for read in (lines, blocks):
        found = read(path)
        assert next(found) == b'{"kind":"x"}\n'
        with pytest.raises(NoChain, match="cannot be read: a line is longer than 1 MiB"):
            next(found)


def test_a_planted_fifo_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(NoChain, match="cannot be read: it is not a file"):
        list(lines(tmp_path / "a.jsonl"))


def test_a_chain_is_read_also_where_it_was_compressed_meanwhile(folder: Path) -> None:
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.close(CLOSED)
    whole = list(lines(sink.path))
    packed = folder / f"{sink.path.name}.gz"
    packed.write_bytes(gzip.compress(sink.path.read_bytes()))
    for there in ({sink.path, packed}, {packed}):
        assert {one for one in (sink.path, packed) if one.exists()} == there
        assert list(lines(sink.path)) == list(lines(packed)) == whole
        with closing(LineReader()) as read:
            assert read.line(sink.path, len(whole[0])) == whole[1]
        sink.path.unlink(missing_ok=True)


def test_the_default_folder_is_in_the_users_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert evidence_folder(None) == tmp_path / "mcpguard" / "audit"
    assert evidence_folder(None).name == "audit"
