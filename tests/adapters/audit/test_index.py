"""The index has a row a call, goes on where it ended, and is made again where it does not fit the chains."""

from __future__ import annotations

import gzip
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.audit.index import AuditIndex, CallAt, index_path, is_there
from mcpguard.adapters.audit.indexing import microseconds
from mcpguard.adapters.audit.reader import chain_files
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.records import Closed, Decided, Outcome, Record
from tests.adapters.audit.audit_records import CLOSED, DECIDED, NOW, OPENED, OUTCOME, ROTATED


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))


def begun(folder: Path, *records: Record) -> AuditFile:
    sink = AuditFile(folder)
    add(sink, OPENED, *records)
    return sink


def add(sink: AuditFile, *records: Record) -> None:
    for record in records:
        sink.write(record)
    sink.commit()


def call(number: int, effect: str = "allow") -> Decided:
    return structs.replace(DECIDED, id=f"n-{number}", effect=effect, at=NOW + timedelta(seconds=number))


def end(number: int, ms: float = 1.5) -> Outcome:
    return structs.replace(OUTCOME, id=f"n-{number}", ms=ms, sent=3, received=4)


@contextmanager
def index_of(folder: Path, rebuild: bool = False) -> Iterator[AuditIndex]:
    index = AuditIndex(folder, rebuild)
    try:
        yield index
    finally:
        index.close()


def rows(folder: Path, rebuild: bool = False) -> list[tuple[int, str, str, float | None]]:
    """(seconds, effect, status, ms) of each call, the newest first."""
    with index_of(folder, rebuild) as index:
        facts = index.facts()
        return [
            (
                (one.at - microseconds(NOW)) // 1_000_000,
                facts[one.facts].effect,
                facts[one.facts].status,
                None if one.took is None else one.took / 1000,
            )
            for one in index.newest(facts)
        ]


def test_a_decision_and_its_outcome_are_one_row(folder: Path) -> None:
    sink = begun(folder, call(1), call(2, "deny"), end(1))
    assert rows(folder) == [(2, "deny", "", None), (1, "allow", "ok", 1.5)]
    sink.close(CLOSED)
    with index_of(folder) as index:
        newest, oldest = index.newest(index.facts())
        assert (oldest.decision[0].name, oldest.bytes) == (sink.path.name, 7)
        assert newest.outcome is None


def test_it_goes_on_where_it_ended_and_open_calls_get_their_end(folder: Path) -> None:
    sink = begun(folder, call(1))
    assert rows(folder) == [(1, "allow", "", None)]
    add(sink, end(1), call(2))
    assert rows(folder) == [(2, "allow", "", None), (1, "allow", "ok", 1.5)]
    sink.close(ROTATED)
    other = AuditFile(folder)
    assert len(rows(folder)) == 2  # Its first line is not there yet.
    add(other, structs.replace(OPENED, continues=sink.path.name), end(2), call(3))
    assert rows(folder)[:2] == [(3, "allow", "", None), (2, "allow", "ok", 1.5)]
    other.close(CLOSED)
    assert len(rows(folder)) == 3


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("planted", [end(1, ms=9), call(1, "deny"), call(1)])
def test_a_chain_of_another_process_ends_no_call(folder: Path, between: bool, planted: Record) -> None:
    sink = begun(folder, call(1), call(2, "ask"))
    if between:
        assert len(rows(folder)) == 2
    other = begun(folder, planted)
    assert (1, "allow", "", None) in rows(folder)
    add(sink, end(1))
    assert (1, "allow", "ok", 1.5) in rows(folder)
    assert rows(folder) == rows(folder, rebuild=True)
    sink.close(CLOSED)
    other.close(CLOSED)


@pytest.mark.parametrize("between", [False, True])
def test_what_was_allowed_is_not_decided_again_by_a_later_chain(folder: Path, between: bool) -> None:
    sink = begun(folder, call(1))
    sink.close(ROTATED)
    if between:
        assert len(rows(folder)) == 1
    other = AuditFile(folder)
    add(other, structs.replace(OPENED, continues=sink.path.name), call(1, "deny"))
    assert sorted(rows(folder)) == [(1, "allow", "", None), (1, "deny", "", None)]
    other.close(CLOSED)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("closed", [None, CLOSED])
def test_a_chain_that_says_that_it_continues_a_killed_process_ends_no_call(
    folder: Path, between: bool, closed: Closed | None
) -> None:
    killed = begun(folder, call(1))
    if closed is not None:
        killed.close(closed)
    if between:
        assert len(rows(folder)) == 1
    planted = AuditFile(folder)
    add(planted, structs.replace(OPENED, continues=killed.path.name), end(1), call(2))
    assert rows(folder) == [(2, "allow", "", None), (1, "allow", "", None)] == rows(folder, rebuild=True)
    killed.close(CLOSED)
    planted.close(CLOSED)


def test_calls_end_in_a_later_chain_also_where_the_first_is_removed_meanwhile(folder: Path) -> None:
    first = begun(folder)
    first.close(ROTATED)
    second = AuditFile(folder)
    add(second, structs.replace(OPENED, continues=first.path.name), call(1))
    assert rows(folder) == [(1, "allow", "", None)]
    first.path.unlink()
    second.close(ROTATED)
    third = AuditFile(folder)
    add(third, structs.replace(OPENED, continues=second.path.name), end(1))
    assert rows(folder) == [(1, "allow", "ok", 1.5)] == rows(folder, rebuild=True)
    third.close(CLOSED)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_calls_end_in_a_later_chain_also_where_the_first_has_another_name(
    folder: Path, between: bool, packed: bool
) -> None:
    first = begun(folder, call(1), call(2))
    first.close(ROTATED)
    second = AuditFile(folder)
    add(second, structs.replace(OPENED, continues=first.path.name, at=NOW + timedelta(1)), end(1))
    if between:
        assert len(rows(folder)) == 2
    other = first.path.rename(folder / "old.jsonl")
    if packed:
        (folder / "old.jsonl.gz").write_bytes(gzip.compress(other.read_bytes()))
        other.unlink()
    wanted = [(2, "allow", "", None), (1, "allow", "ok", 1.5)]
    assert rows(folder) == wanted
    second.close(ROTATED)
    third = AuditFile(folder)
    add(third, structs.replace(OPENED, continues=second.path.name), end(2))
    third.close(CLOSED)
    assert [status for _, _, status, _ in rows(folder)] == ["ok", "ok"]
    assert [status for _, _, status, _ in rows(folder, rebuild=True)] == ["ok", "ok"]


def test_a_chain_that_only_has_the_number_of_the_process_is_not_continued(folder: Path) -> None:
    first = begun(folder, call(1))
    first.close(ROTATED)
    second = AuditFile(folder)
    add(second, structs.replace(OPENED, continues=first.path.name, at=NOW + timedelta(1)), end(1))
    first.path.unlink()
    begun(folder, call(1)).close(ROTATED)
    assert rows(folder) == [(1, "allow", "", None)]


def test_chains_that_continue_one_chain_are_rivals(folder: Path) -> None:
    first = begun(folder, call(1))
    first.close(ROTATED)
    names = []
    for number in range(2):
        with index_of(folder) as index:
            assert index.rivals == {}
        opened = structs.replace(OPENED, continues=first.path.name, at=NOW + timedelta(number))
        sink = AuditFile(folder)
        add(sink, opened, end(1))
        sink.close(CLOSED)
        names.append(sink.path.name)
    (folder / f"copy of {sink.path.name}").write_bytes(sink.path.read_bytes())
    with index_of(folder) as index:
        assert index.rivals == {first.path.name: sorted(names)}
    first.path.rename(folder / "old.jsonl")
    with index_of(folder) as index:
        assert index.rivals == {"old.jsonl": sorted(names)}


def test_chains_that_say_that_they_continue_each_other_are_read(folder: Path) -> None:
    first, second = AuditFile(folder), AuditFile(folder)
    add(first, structs.replace(OPENED, continues=second.path.name), call(1))
    add(second, structs.replace(OPENED, continues=first.path.name), end(1))
    assert len(rows(folder)) == 1
    first.close(ROTATED)
    second.close(ROTATED)
    assert len(rows(folder, rebuild=True)) == 1


@pytest.mark.parametrize("between", [False, True])
def test_a_call_that_waited_for_a_person_is_one_row(folder: Path, between: bool) -> None:
    sink = begun(folder, call(1, "ask"))
    if between:
        assert rows(folder) == [(1, "ask", "", None)]
    add(sink, structs.replace(call(1), at=NOW + timedelta(seconds=9)), end(1))
    assert rows(folder) == [(9, "allow", "ok", 1.5)]
    sink.close(CLOSED)


def test_an_incomplete_line_is_taken_when_it_is_whole(folder: Path) -> None:
    sink = begun(folder, call(1))
    sink.close(CLOSED)
    text = sink.path.read_bytes()
    at = text.index(b'{"kind":"decision"') + 30
    sink.path.write_bytes(text[:at])
    assert rows(folder) == []
    sink.path.write_bytes(text)
    assert rows(folder) == [(1, "allow", "", None)]


def test_a_chain_that_was_replaced_is_read_again(folder: Path) -> None:
    first = begun(folder, call(1), end(1))
    first.close(CLOSED)
    other = begun(folder, call(2, "deny"))
    other.close(CLOSED)
    assert len(rows(folder)) == 2
    os.replace(other.path, first.path)
    assert rows(folder) == [(2, "deny", "", None)]


def test_a_chain_that_is_gone_is_forgotten(folder: Path) -> None:
    first = begun(folder, call(1))
    first.close(CLOSED)
    second = begun(folder, call(2))
    second.close(CLOSED)
    assert len(rows(folder)) == 2
    first.path.unlink()
    assert rows(folder) == [(2, "allow", "", None)]


def test_a_chain_that_is_compressed_later_keeps_its_rows(folder: Path) -> None:
    sink = begun(folder, call(1), end(1), call(2, "deny"))
    sink.close(CLOSED)
    before = rows(folder)
    packed = folder / f"{sink.path.name}.gz"
    packed.write_bytes(gzip.compress(sink.path.read_bytes()))
    sink.path.unlink()
    assert rows(folder) == before == rows(folder, rebuild=True)
    with index_of(folder) as index:
        assert next(index.newest(index.facts())).decision[0] == packed


def altered(folder: Path) -> list[str]:
    with index_of(folder) as index:
        return list(index.altered)


@pytest.mark.parametrize("packed", [False, True])
def test_an_edit_that_keeps_the_size_is_noticed_without_printing_the_line(folder: Path, packed: bool) -> None:
    sink = begun(folder, call(1), end(1), call(2, "deny"))
    sink.close(CLOSED)
    assert altered(folder) == []
    edited = sink.path.read_bytes().replace(b'"id":"n-1"', b'"id":"n-7"')
    if packed:
        (folder / f"{sink.path.name}.gz").write_bytes(gzip.compress(edited))
        sink.path.unlink()
    else:
        sink.path.write_bytes(edited)
    assert altered(folder) == altered(folder) == [sink.path.name]


def test_another_chain_of_the_same_size_is_read_again(folder: Path) -> None:
    first, other = begun(folder, call(1)), begun(folder, call(2))
    first.close(CLOSED)
    other.close(CLOSED)
    assert len(rows(folder)) == 2
    text = other.path.read_bytes()
    other.path.unlink()
    assert rows(folder) == [(1, "allow", "", None)]
    first.path.write_bytes(text)
    assert rows(folder) == [(2, "allow", "", None)]


def test_what_was_edited_while_a_chain_grew_is_noticed_when_it_is_over(folder: Path) -> None:
    sink = begun(folder, call(1))
    assert altered(folder) == []
    with sink.path.open("r+b") as file:
        file.seek(sink.path.read_bytes().index(b'"id":"n-1"'))
        file.write(b'"id":"n-7"')
    add(sink, call(2))
    assert altered(folder) == []
    sink.close(CLOSED)
    assert altered(folder) == [sink.path.name]


@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_of_a_chain_is_counted_once(folder: Path, packed: bool) -> None:
    sink = begun(folder, call(1), end(1))
    copy = folder / "copy of a chain.jsonl"
    copy.write_bytes(sink.path.read_bytes()[:-9] if packed else sink.path.read_bytes())
    if packed:
        copy.with_name(f"{copy.name}.gz").write_bytes(gzip.compress(copy.read_bytes()))
        copy.unlink()
    add(sink, call(2))
    other = begun(folder, call(3))
    wanted = [(3, "allow", "", None), (2, "allow", "", None), (1, "allow", "ok", 1.5)]
    for _ in range(2):
        assert rows(folder) == wanted
        with index_of(folder) as index:
            assert index.copies == {copy.name: sink.path.name}
    # The chain goes on, then its copy is all that is left.
    add(sink, end(2))
    assert rows(folder)[1] == (2, "allow", "ok", 1.5)
    sink.close(CLOSED)
    sink.path.unlink()
    assert rows(folder) == [wanted[0], (1, "allow", "" if packed else "ok", None if packed else 1.5)]
    other.close(CLOSED)


def test_an_older_copy_that_was_read_first_gives_way_to_the_chain(folder: Path) -> None:
    sink = begun(folder, call(1), end(1))
    copy = folder / "0.jsonl"
    copy.write_bytes(sink.path.read_bytes())
    hidden = sink.path.rename(folder.parent / "hidden")
    assert len(rows(folder)) == 1
    hidden.rename(sink.path)
    add(sink, call(2))
    sink.close(CLOSED)
    assert len(rows(folder)) == 2
    # Where the copy goes on in another way it is a chain of its own, and `verify` says that they fork.
    line = sink.path.read_bytes().splitlines(keepends=True)[-2]
    with copy.open("ab") as file:
        file.write(line[:-67] + b"0" * 64 + line[-3:])
    with index_of(folder) as index:
        assert not index.copies
        assert index.altered


def test_a_chain_that_is_removed_while_it_is_read_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chains = [begun(folder, call(number), end(number)) for number in (1, 2)]
    for one in chains:
        one.close(CLOSED)
    first = sorted(folder.iterdir())[0]
    read = AuditIndex._find_copies

    def removed(*given: Any) -> None:
        read(*given)
        first.unlink(missing_ok=True)

    monkeypatch.setattr(AuditIndex, "_find_copies", removed)
    with index_of(folder) as index:
        assert list(index.removed) == [first.name]
        assert len(list(index.newest(index.facts()))) == 1
    assert len(rows(folder)) == 1


def test_a_touched_chain_is_the_same(folder: Path) -> None:
    sink = begun(folder, call(1))
    sink.close(CLOSED)
    before = rows(folder)
    os.utime(sink.path)
    assert (rows(folder), altered(folder)) == (before, [])


def test_lines_that_nobody_understands_are_left_out(folder: Path) -> None:
    sink = begun(folder, call(1))
    sink.close(CLOSED)
    lines = sink.path.read_bytes().splitlines(keepends=True)
    lines[1:1] = [b'{"kind":"decision","at":7}\n', b'{"kind":"outcome"\xff\n', b"noise\n"]
    lines.append(b'{"kind":"outcome","at":"2026-08-01T07:00:00Z","id":"nobody","status":"ok","ms":1}\n')
    sink.path.write_bytes(b"".join(lines))
    assert rows(folder) == [(1, "allow", "", None)]


def test_its_file_is_for_its_owner_alone(folder: Path) -> None:
    begun(folder, call(1)).close(CLOSED)
    assert len(rows(folder)) == 1
    path = index_path(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"noise" * 1000, b""])
def test_a_damaged_file_is_made_again(folder: Path, damage: bytes) -> None:
    begun(folder, call(1)).close(CLOSED)
    assert len(rows(folder)) == 1
    index_path(folder).write_bytes(damage)
    assert len(rows(folder)) == 1


@pytest.mark.parametrize("change", ["facts SET json = '{'", "facts SET json = x'5b22ff225d'"])
def test_one_with_rows_that_nobody_wrote_is_made_again(folder: Path, change: str) -> None:
    begun(folder, call(1)).close(CLOSED)
    before = rows(folder)
    _changed(folder, change)
    assert rows(folder) == before


def test_a_passage_of_which_nothing_can_be_read_may_have_any_call(folder: Path) -> None:
    begun(folder, call(1)).close(CLOSED)
    rows(folder)
    _changed(folder, "passages SET bits = x'00', zones = x'c1'")
    with closing(AuditIndex(folder)) as index:
        found = index.spans(lambda one: one.has(b"what no call has") and one.zones == {}, 0, 1 << 62)
        assert len(found) == 1


def _changed(folder: Path, change: str) -> None:
    with closing(sqlite3.connect(index_path(folder), isolation_level=None)) as database:
        database.execute(f"UPDATE {change}")


def test_one_of_another_form_is_made_again(folder: Path) -> None:
    begun(folder, call(1)).close(CLOSED)
    assert len(rows(folder)) == 1
    with sqlite3.connect(index_path(folder)) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert not is_there(folder)
    assert len(rows(folder)) == 1
    assert is_there(folder)


def test_where_it_cannot_be_written_it_is_in_memory(folder: Path, tmp_path: Path) -> None:
    begun(folder, call(1)).close(CLOSED)
    (tmp_path / "home").write_text("a file where a folder belongs")
    assert len(rows(folder)) == 1


def test_many_calls_come_newest_first_over_all_their_facts(folder: Path) -> None:
    records: list[Record] = []
    for number in range(200):
        records += [structs.replace(call(number), tool=f"t{number % 3}"), end(number, ms=float(number))]
    begun(folder, *records).close(CLOSED)
    assert [row[0] for row in rows(folder)] == list(range(199, -1, -1))
    with index_of(folder) as index:
        facts = index.facts()
        since = microseconds(NOW + timedelta(seconds=50))
        until = microseconds(NOW + timedelta(seconds=60))
        found: list[CallAt] = list(index.newest(facts, since, until))
        assert [(one.at - since) // 1_000_000 for one in found] == list(range(9, -1, -1))
        slow = index.newest(facts, terms="took > 197000")
        assert [one.took for one in slow] == [199_000, 198_000]
        one = next(iter(facts))
        assert len(list(index.durations(one, since, until))) in (3, 4)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_question_is_asked_of_one_state_while_others_take_in_more(folder: Path, compressed: bool) -> None:
    sink = begun(folder, call(1), call(2))
    with index_of(folder) as index:
        add(sink, end(1), call(3))
        other = begun(folder, call(4))
        other.close(CLOSED)
        if compressed:
            compress(other.path)
        assert len(rows(folder)) == 4
        assert [one.at - microseconds(NOW) for one in index.newest(index.facts())] == [2_000_000, 1_000_000]
    sink.close(CLOSED)


def test_a_chain_that_is_compressed_or_removed_while_it_is_listed_is_not_altered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        begun(folder, call(number)).close(CLOSED)
    first, second, _ = chain_files(folder)

    def listed(path: Path) -> list[Path]:
        found = chain_files(path)
        if first.exists():
            compress(first)
            second.unlink()
        return found

    monkeypatch.setattr("mcpguard.adapters.audit.index.chain_files", listed)
    with index_of(folder) as index:
        assert [one.at - microseconds(NOW) for one in index.newest(index.facts())] == [2_000_000, 0]
        assert not index.altered


def compress(chain: Path) -> None:
    chain.with_name(f"{chain.name}.gz").write_bytes(gzip.compress(chain.read_bytes()))
    chain.unlink()
