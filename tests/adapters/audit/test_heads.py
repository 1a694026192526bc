"""No chain of a folder can lose its end or vanish: each head is on record in another chain."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mcpguard.adapters.audit import writer
from mcpguard.adapters.audit.heads import Heads
from mcpguard.adapters.audit.reader import lines, verified
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.chain import MAX_LINE, Chain
from mcpguard.core.evidence.records import Anchor, Noticed
from mcpguard.core.evidence.verification import verify
from tests.adapters.audit.audit_records import CLOSED, DECIDED, NOW, OPENED, OUTCOME

OLD = Path(__file__).parent / "chains"
"""Two chains that version 0.1.0 wrote, the second of which names the first as `previous`."""


def begun(folder: Path) -> AuditFile:
    """A chain that is open."""
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.commit()
    return sink


def held(sink: AuditFile) -> dict[str, str]:
    """The heads that the first record of a chain holds."""
    return {one["file"]: one["head"] for one in json.loads(next(lines(sink.path))).get("anchors", ())}


def head(sink: AuditFile) -> str:
    return verify(lines(sink.path)).head


def altered(folder: Path) -> set[str]:
    """What `verified` reports, altered or missing."""
    reports, missing = verified(folder, {})
    return {name for name, report in reports.items() if not report.intact} | set(missing)


def cut(sink: AuditFile, keep: int) -> None:
    sink.path.write_bytes(b"".join(list(lines(sink.path))[:keep]))


def test_a_chain_anchors_every_other_one_that_is_open(folder: Path) -> None:
    first, second = begun(folder), begun(folder)
    at_first, at_second = head(first), head(second)
    third = begun(folder)
    # The second held the first, which has not grown since.
    assert held(second) == {first.path.name: at_first}
    assert held(third) == {second.path.name: at_second}
    first.write(DECIDED)
    first.commit()
    assert held(begun(folder)) == {first.path.name: head(first), third.path.name: head(third)}


def test_a_chain_that_grew_after_others_began_is_anchored_by_those_that_come_later(folder: Path) -> None:
    a = begun(folder)
    b = begun(folder)
    for record in (DECIDED, OUTCOME):
        a.write(record)
    a.close(CLOSED)
    c = begun(folder)
    d = begun(folder)
    for sink in (b, c, d):
        sink.close(CLOSED)
    assert altered(folder) == set()
    cut(a, 2)
    assert altered(folder) == {a.path.name}
    a.path.unlink()
    assert altered(folder) == {a.path.name}


def test_of_two_that_began_together_neither_can_vanish_once_another_began(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    p, q = AuditFile(folder), AuditFile(folder)
    for pid, sink in enumerate((p, q)):
        sink.write(replace(OPENED, pid=pid))
        sink.close(CLOSED)
    begun(folder)
    for sink in (p, q):
        there = sink.path.read_bytes()
        sink.path.unlink()
        assert altered(folder) == {sink.path.name}
        sink.path.write_bytes(there)
    assert altered(folder) == set()


def test_a_chain_dated_ahead_does_not_keep_those_after_it_from_being_anchored(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2099, 1, 1, tzinfo=UTC)

    with monkeypatch.context() as patched:
        patched.setattr(writer, "datetime", Ahead)
        begun(folder).close(CLOSED)
    later = [begun(folder) for _ in range(3)]
    for sink in later:
        sink.close(CLOSED)
    begun(folder)
    for sink in later:
        there = sink.path.read_bytes()
        sink.path.unlink()
        assert altered(folder) == {sink.path.name}
        sink.path.write_bytes(there)


def test_chains_that_earlier_versions_wrote_are_verified_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    for old in OLD.iterdir():
        (folder / old.name).write_bytes(old.read_bytes())
    first, second = sorted(path.name for path in OLD.iterdir())
    assert altered(folder) == set()
    (folder / first).unlink()
    assert altered(folder) == {first}
    new = begun(folder)
    assert list(held(new)) == [second]


def test_only_whole_records_of_files_that_can_be_read_are_heads(folder: Path) -> None:
    folder.mkdir(parents=True)
    assert Heads(folder).take_unanchored() == ()
    sink = begun(folder)
    sink.close(CLOSED)
    known = Anchor(sink.path.name, head(sink))
    with sink.path.open("ab") as file:
        file.write(b'{"kind":"dec')
    (folder / "zz-empty.jsonl").write_text("")
    (folder / "zz-noise.jsonl").write_text("noise\n")
    (folder / "zz-notes.txt").write_bytes(sink.path.read_bytes())
    (folder / "zz-folder.jsonl").mkdir()
    (folder / "zz-gone.jsonl").symlink_to("nowhere")
    os.mkfifo(folder / "zz-fifo.jsonl")
    assert Heads(folder).take_unanchored() == (known,)


def test_a_second_look_tells_what_is_new(folder: Path) -> None:
    sink = begun(folder)
    heads = Heads(folder)
    assert heads.take_unanchored() == (Anchor(sink.path.name, head(sink)),)
    assert heads.take_unanchored() == ()
    sink.write(DECIDED)
    sink.commit()
    assert heads.take_unanchored() == (Anchor(sink.path.name, head(sink)),)
    assert heads.take_unanchored(own=sink.path.name) == ()


def test_a_chain_with_long_lines_gives_its_head_from_its_end(folder: Path) -> None:
    sink = begun(folder)
    for _ in range(3):
        sink.write(Noticed(NOW, "finding", detail="x" * (MAX_LINE - 1000)))
    sink.commit()
    assert Heads(folder).take_unanchored() == (Anchor(sink.path.name, head(sink)),)


def test_a_crowd_of_chains_is_anchored_by_several_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.adapters.audit.heads.MOST_ANCHORS", 2)
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.jsonl").write_bytes(Chain().seal(OPENED))
    heads = Heads(folder)
    assert [[one.file[0] for one in heads.take_unanchored()] for _ in range(4)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
        [],
    ]


def test_a_start_looks_at_few_of_many_chains_and_the_next_look_at_all_others(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.jsonl").write_bytes(Chain().seal(replace(OPENED, pid=number)))
    sink = AuditFile(folder, looks=2)
    sink.write(OPENED)
    sink.commit()
    assert list(held(sink)) == ["3.jsonl", "4.jsonl"]
    others = sink.others.take_unanchored(sink.path.name)
    assert [one.file for one in others] == ["0.jsonl", "1.jsonl", "2.jsonl"]
    sink.checkpoint(others)
    sink.close(CLOSED)
    (folder / "1.jsonl").unlink()
    assert altered(folder) == {"1.jsonl"}
