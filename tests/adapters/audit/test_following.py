"""Evidence is read on from where it was kept: nothing twice, nothing lost, and by one process at a time."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.checking import CheckedFollowing
from mcpguard.adapters.audit.following import MOST_GONE, Following, unread
from mcpguard.adapters.audit.retention import compress
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.errors import AuditError
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME
from tests.adapters.telemetry.telemetry_records import chain, ids


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def cursor(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cursor"


def test_a_chain_that_grows_is_read_on_from_where_it_was_kept(folder: Path, cursor: Path) -> None:
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.write(DECIDED)
    sink.commit()
    following = Following(folder, cursor)
    assert following.begin() == []
    found = following.read(10)
    assert ids(found) == ["opened", "n-1"]
    assert following.read(10) == found  # Until it is kept.
    following.keep(found, {})
    assert (following.read(10), following.lag()) == ([], 0)
    sink.write(OUTCOME)
    sink.commit()
    assert following.lag() > 0
    assert ids(following.read(10)) == ["n-1"]
    following.close()
    sink.close(CLOSED)
    again = Following(folder, cursor)
    again.begin()
    found = again.read(10)
    assert ids(found) == ["n-1", "closed"]
    again.keep(found, {})
    assert again.lag() == 0


def test_what_is_recorded_before_a_thread_begins_is_read_from_now_on(folder: Path, cursor: Path) -> None:
    following = Following(folder, cursor, own=False)
    following.from_now()  # There is no folder yet, so it begins where there is one.
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.commit()
    following.from_now()
    sink.write(DECIDED)
    sink.commit()
    following.begin()
    found = following.read(10)
    assert ids(found) == ["n-1"]
    following.keep(found, {})
    following.close()
    sink.write(OUTCOME)
    sink.close(CLOSED)
    following.from_now()  # The cursor is there, and says where to go on.
    following.begin()
    assert ids(following.read(10)) == ["n-1", "closed"]
    following.close()


def test_what_is_half_written_is_read_when_it_is_whole(folder: Path) -> None:
    path = chain(folder, DECIDED)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    following = Following(folder, from_start=True)
    following.begin()
    following.keep(found := following.read(10), {})
    assert ids(found) == ["opened", "n-1"]
    path.write_bytes(whole)
    assert ids(following.read(10)) == ["closed"]


def test_a_few_lines_are_read_at_a_time_over_all_chains(folder: Path) -> None:
    for _ in range(2):
        chain(folder, DECIDED, OUTCOME)
    following = Following(folder, from_start=True)
    following.begin()
    seen = []
    while found := following.read(3):
        assert len(found) <= 3
        seen += ids(found)
        following.keep(found, {})
    assert sorted(seen) == sorted(["opened", "n-1", "n-1", "closed"] * 2)


def test_what_was_there_before_a_new_cursor_is_left_unless_it_is_asked_for(
    folder: Path, cursor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = chain(folder, DECIDED)
    old.rename(folder / "20200101T000000Z-1-00000000.jsonl")
    packed = folder / "20200102T000000Z-1-00000000.jsonl.gz"
    packed.write_bytes(gzip.compress(b"{}\n"))
    following = Following(folder, cursor)
    following.begin()
    assert following.read(10) == []
    chain(folder, OUTCOME)  # By this process.
    assert ids(following.read(10)) == ["opened", "n-1", "closed"]


def test_what_was_recorded_after_a_cursor_was_made_is_read_though_nothing_arrived_meanwhile(
    folder: Path, cursor: Path
) -> None:
    folder.mkdir()
    first = Following(folder, cursor)
    first.begin()
    chain(folder, DECIDED).rename(folder / "20990101T000000Z-1-00000000.jsonl")
    first.close()
    second = Following(folder, cursor)
    second.begin()
    assert ids(second.read(10)) == ["opened", "n-1", "closed"]


def test_a_chain_that_is_compressed_meanwhile_is_read_on(folder: Path, cursor: Path) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    following = Following(folder, cursor, from_start=True)
    following.begin()
    following.keep(following.read(2), {})
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert ids(following.read(10)) == ["n-1", "closed"]  # Both files are there for a moment.
    path.unlink()
    found = following.read(10)
    assert ids(found) == ["n-1", "closed"]
    following.keep(found, {})
    assert following.read(10) == []


@pytest.mark.parametrize("missed", [False, True])
def test_a_chain_that_is_compressed_while_it_is_listed_is_neither_altered_nor_read_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, missed: bool
) -> None:
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.commit()
    warned: list[str] = []
    following = CheckedFollowing(folder, from_start=True, warn=warned.append)
    following.begin()
    following.keep(following.read(10), {})
    sink.close(CLOSED)
    real = os.scandir

    @contextmanager
    def listed(path: Path) -> Iterator[list[os.DirEntry[str]]]:
        with real(path) as entries:
            found = list(entries)
        if sink.path.exists():
            compress(sink.path)
        yield [] if missed else found

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", listed)
        found = following.read(10)
    assert ids(found or following.read(10)) == ["closed"]
    assert not warned


def test_of_chains_that_were_removed_only_the_latest_are_remembered(folder: Path, cursor: Path) -> None:
    paths = [chain(folder, DECIDED) for _ in range(MOST_GONE + 2)]
    following = Following(folder, cursor, from_start=True)
    following.begin()
    while found := following.read(100):
        following.keep(found, {})
    for path in paths:
        path.unlink()
    assert following.read(9) == []
    following.keep([], {})
    names = sorted(path.name for path in paths)
    assert sorted(json.loads(cursor.read_text())["read"]) == names[-MOST_GONE:]


def test_of_a_folder_that_was_moved_away_nothing_is_read_twice_when_it_is_back(
    folder: Path, cursor: Path, tmp_path: Path
) -> None:
    chain(folder, DECIDED)
    following = Following(folder, cursor, from_start=True)
    following.begin()
    following.keep(following.read(9), {})
    folder.rename(tmp_path / "elsewhere")
    chain(folder, OUTCOME)
    found = following.read(9)
    assert ids(found) == ["opened", "n-1", "closed"]
    following.keep(found, {})
    following.close()
    for path in (tmp_path / "elsewhere").iterdir():
        path.rename(folder / path.name)
    following.begin()
    assert (following.read(9), following.lag()) == ([], 0)


def test_a_file_in_place_of_the_folder_is_no_chain_and_loses_no_place(
    folder: Path, cursor: Path, tmp_path: Path
) -> None:
    chain(folder, DECIDED)
    following = Following(folder, cursor, from_start=True)
    following.begin()
    following.keep(following.read(9), {})
    folder.rename(tmp_path / "elsewhere")
    folder.write_text('{"kind":"opened"}\n')
    with pytest.raises(AuditError, match="no audit log at"):
        following.read(9)
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)
    assert (following.read(9), following.lag()) == ([], 0)


def test_lines_that_are_still_open_are_given_to_whoever_goes_on(folder: Path, cursor: Path) -> None:
    chain(folder, DECIDED, structs.replace(DECIDED, id="n-2"), OUTCOME)
    following = Following(folder, cursor, from_start=True)
    following.begin()
    found = following.read(3)
    following.keep(found, {"n-2": found[2]})
    following.close()
    again = Following(folder, cursor)
    opened = again.begin()
    assert opened is not None
    assert ids(opened) == ["n-2"]


def test_one_process_at_a_time_has_a_cursor(folder: Path, cursor: Path) -> None:
    chain(folder)
    one, two = Following(folder, cursor), Following(folder, cursor)
    assert one.begin() == []
    assert two.begin() is None
    one.close()
    assert two.begin() == []


def test_one_chain_can_be_read_alone(folder: Path) -> None:
    path = chain(folder, DECIDED)
    chain(folder, OUTCOME)
    following = Following(path, from_start=True, alone=True)
    following.begin()
    assert ids(following.read(10)) == ["opened", "n-1", "closed"]


def test_what_cannot_be_read_is_said(folder: Path, cursor: Path, tmp_path: Path) -> None:
    nothing = Following(folder)
    with pytest.raises(AuditError, match="no audit log at"):
        nothing.begin()
    with pytest.raises(AuditError, match="not taken"):
        nothing.read(1)
    chain(folder)
    cursor.parent.mkdir()
    cursor.write_text("noise")
    with pytest.raises(AuditError, match="remove it to export from now on"):
        Following(folder, cursor).begin()
    (folder / "a.jsonl.gz").write_bytes(b"noise")
    damaged = Following(folder, from_start=True)
    damaged.begin()
    damaged.keep(found := damaged.read(9), {})
    assert ids(found) == ["opened", "closed"]
    with pytest.raises(AuditError, match="cannot be read"):
        damaged.read(9)


def test_a_planted_pipe_is_not_waited_for(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "a.jsonl")
    following = Following(folder, from_start=True)
    following.begin()
    assert following.read(5) == []


def test_how_much_of_a_chain_has_not_arrived_is_known_without_taking_the_cursor(
    folder: Path, cursor: Path
) -> None:
    path = chain(folder, DECIDED, close=False)
    assert unread(cursor, path) == 0  # Nobody has begun.
    following = Following(folder, cursor, from_start=True)
    following.begin()
    assert unread(cursor, path) == 2
    assert unread(cursor, path, 1) == 1
    found = following.read(9)
    following.keep(found, {})
    assert unread(cursor, path) == 0
    following.keep([], {"n-1": found[-1]})
    assert unread(cursor, path) == 1  # The call waits for its outcome.
    following.close()
    cursor.write_text("noise")
    assert unread(cursor, path) == 2
    cursor.write_text("{}")
    path.write_bytes(b"x" * 10)
    assert unread(cursor, path) == 0
    assert unread(cursor, chain(folder, DECIDED, OUTCOME)) == 4


def test_a_chain_that_is_over_and_has_arrived_is_not_read_again(folder: Path, cursor: Path) -> None:
    path = chain(folder, DECIDED)
    following = Following(folder, cursor, from_start=True)
    following.begin()
    following.keep(following.read(9), {})
    assert unread(cursor, compress(path)) == 0
