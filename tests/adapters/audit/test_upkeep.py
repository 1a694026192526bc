"""Checkpoints, rotation, compression and removal in real files, with a real loop and a real thread."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from mcpguard.adapters.audit import chain_file, retention, upkeep, writer
from mcpguard.adapters.audit.calls import calls_by_id
from mcpguard.adapters.audit.reader import chain_files, lines, proof
from mcpguard.adapters.audit.signing import PublicKey, SigningKey, new_key
from mcpguard.adapters.audit.upkeep import Upkeep
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.config.terms import UpkeepTerms
from mcpguard.core.errors import AuditError, CredentialError
from mcpguard.core.evidence.records import Anchor
from mcpguard.core.evidence.verification import Removal
from mcpguard.core.secret import Secret
from tests.adapters.audit.audit_records import (
    CLOSED,
    DECIDED,
    NOW,
    OPENED,
    OUTCOME,
    Owner,
    broken,
    failure,
    fault,
    kinds,
)

pytestmark = pytest.mark.anyio

Start = Callable[..., Upkeep]
DEFAULT = UpkeepTerms()


class Told:
    """What the upkeep says and sends, which a test can wait for; `problem` is why no head is taken."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.lines: list[str] = []
        self.levels: list[str] = []
        self.heads: list[Anchor] = []
        self.problem = ""
        self._any = asyncio.Event()

    def say(self, line: str, level: str) -> None:
        self.levels.append(level)
        self._tell(self.lines, line)

    def send(self, heads: Sequence[Anchor]) -> dict[str, Future[None]]:
        sent: Future[None] = Future()
        if self.problem:
            sent.set_exception(AuditError(self.problem))
        else:
            for head in heads:
                self._tell(self.heads, head)
            sent.set_result(None)
        return {"there": sent}

    @property
    def kept(self) -> dict[str, set[str]]:
        """The heads as `proof` takes them."""
        found: dict[str, set[str]] = {}
        for head in self.heads:
            found.setdefault(head.file, set()).add(head.head)
        return found

    def _tell(self, where: list[object], what: object) -> None:
        with suppress(RuntimeError):  # The test is over.
            self.loop.call_soon_threadsafe(self._add, where, what)

    def _add(self, where: list[object], what: object) -> None:
        where.append(what)
        self._any.set()

    async def later(self, check: Callable[[], bool]) -> None:
        """`check` comes true, which nobody tells."""
        async with asyncio.timeout(10):
            while not check():
                await asyncio.sleep(0.005)

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not check():
                self._any.clear()
                await self._any.wait()


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    running: list[Upkeep] = []

    def begin(sink: AuditFile, told: Told, terms: UpkeepTerms = DEFAULT, **more: object) -> Upkeep:
        one = Upkeep(sink, folder, terms, told.say, send=told.send, **more)
        one.start(asyncio.get_running_loop())
        running.append(one)
        return one

    yield begin
    for one in running:
        one.close(5)


KEY = Secret(new_key())
PUBLIC = SigningKey(KEY).public


def closed(folder: Path) -> Path:
    """A chain that is over."""
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.close(CLOSED)
    return sink.path


async def test_a_checkpoint_holds_the_heads_of_the_other_chains_and_is_signed(
    folder: Path, start: Start
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    other = closed(folder)
    work = start(owner.sink, told, key=lambda: KEY)
    await told.later(lambda: b'"signature"' in owner.sink.path.read_bytes())
    work.close(5)
    owner.sink.close(CLOSED)
    checkpoints = [json.loads(line) for line in lines(owner.sink.path) if b'"checkpoint"' in line]
    assert other.name in [head["file"] for one in checkpoints for head in one.get("heads", ())]
    assert {one.get("key") for one in checkpoints} <= {None, PUBLIC.id}
    assert kinds(owner.sink.path)[-2:] == ["checkpoint", "closed"]
    found = proof(folder, {}, by=PUBLIC.verifies)
    assert found.reports[owner.sink.path.name].intact
    assert found.vouched[owner.sink.path.name] == len(kinds(owner.sink.path)) - 1
    # What the signed chain holds a head of existed, and nothing says who wrote it.
    assert found.vouched[other.name] == 0
    assert found.held == {other.name: owner.sink.path.name}
    assert found.reports[other.name].intact


async def test_a_signature_of_another_key_or_none_is_a_flaw(folder: Path, start: Start) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    owner.sink.signer = SigningKey(KEY)
    start(owner.sink, told)
    await told.until(lambda: len(told.heads) == 1)
    owner.sink.close(CLOSED)
    stranger = SigningKey(Secret(new_key())).public
    (report,) = proof(folder, {}, by=stranger.verifies).reports.values()
    assert any("not by this key" in flaw.what for flaw in report.flaws)
    owner.sink.path.unlink()
    closed(folder)
    (report,) = proof(folder, {}, by=PUBLIC.verifies).reports.values()
    assert [flaw.what for flaw in report.flaws] == [
        "ends a chain that nothing signed by this key vouches for"
    ]


async def test_an_idle_chain_gets_no_further_checkpoint(folder: Path, start: Start) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    owner.sink.signer = SigningKey(KEY)
    start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01))
    await told.until(lambda: len(told.heads) == 1)
    await owner.stored(DECIDED)
    await told.until(lambda: len(told.heads) == 2)
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert kinds(owner.sink.path) == ["opened", "checkpoint", "decision", "checkpoint"]
    assert len(told.heads) == 2
    assert proof(folder, {told.heads[0].file: [told.heads[0].head]}).missing == []


async def test_many_records_make_a_checkpoint_before_its_time(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "CHECKPOINT_RECORDS", 10)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    start(owner.sink, told)
    await told.until(lambda: len(told.heads) == 1)
    for _ in range(6):
        await owner.stored(DECIDED)
        await owner.stored(OUTCOME)
    await told.until(lambda: len(told.heads) == 2)


async def test_a_folder_that_was_moved_away_is_noticed_though_no_call_comes(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(upkeep, "PLACE_SECONDS", 0.01)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    start(owner.sink, told)
    await told.until(lambda: len(told.heads) == 1)
    folder.rename(folder.with_name("moved"))
    await owner.healthy()
    await told.later(lambda: "notice" in kinds(owner.sink.path))
    assert owner.told == [False, True]
    assert owner.sink.path.parent == folder
    assert told.lines == []


async def test_a_folder_that_goes_away_while_it_is_looked_at_is_no_failure_of_the_upkeep(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    owner, told, look = Owner(folder), Told(), os.statvfs

    def away(path: Path) -> os.statvfs_result:
        monkeypatch.setattr(os, "statvfs", look)
        folder.rename(folder.with_name("moved"))
        return look(path)

    await owner.stored(OPENED)
    monkeypatch.setattr(os, "statvfs", away)
    start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01))
    await told.later(lambda: owner.told == [False, True])
    await told.later(lambda: "notice" in kinds(owner.sink.path))
    assert told.lines == []


async def test_a_key_that_comes_while_a_head_is_taken_signs_the_next_one_though_nothing_is_recorded(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    original = owner.sink.settled

    def settled() -> object:
        owner.sink.signer = SigningKey(KEY)
        work._wake.set()
        return original()

    monkeypatch.setattr(owner.sink, "settled", settled)
    work = start(owner.sink, told)
    await told.later(lambda: b'"signature"' in owner.sink.path.read_bytes())


async def test_a_key_that_is_not_available_is_said_once_and_asked_for_again(
    folder: Path, start: Start
) -> None:
    asked = []

    def key() -> Secret:
        asked.append(1)
        if len(asked) < 3:
            raise CredentialError("the keychain is locked")
        return KEY

    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01), key=key)
    await told.until(lambda: owner.sink.signer is not None and len(told.heads) > 1)
    await told.until(lambda: len(told.lines) > 1)
    assert told.lines == [
        "checkpoints are not signed, since the key is not available: the keychain is locked",
        "checkpoints are signed from now on",
    ]


async def test_a_head_that_cannot_be_sent_is_said_and_sent_again_though_nothing_is_recorded(
    folder: Path, start: Start
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    told.problem = "it answered HTTP 500"
    one = start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01))
    await told.until(lambda: bool(told.lines))
    assert one.warning == "the head of the chain could not be sent to there: it answered HTTP 500"
    told.problem = ""
    await told.until(lambda: len(told.lines) > 1)
    assert one.warning == ""
    assert told.lines[1:] == ["heads of the chain are sent to there again"]
    assert told.levels == ["warning", "info"]


async def test_a_place_that_hangs_is_said_and_holds_up_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SEND_SECONDS", 0.05)
    monkeypatch.setattr(upkeep, "AGAIN_SECONDS", 0.05)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    hangs: Future[None] = Future()
    terms = UpkeepTerms(checkpoint_seconds=0.01)
    one = Upkeep(owner.sink, folder, terms, told.say, lambda: KEY, lambda _heads: {"there": hangs})
    one.start(asyncio.get_running_loop())
    try:
        await told.until(lambda: bool(told.lines))
        assert one.warning == "the head of the chain could not be sent to there: it does not respond"
        before = kinds(owner.sink.path).count("checkpoint")
        await owner.stored(DECIDED)
        await told.later(lambda: kinds(owner.sink.path).count("checkpoint") > before)
        hangs.set_result(None)
        await told.until(lambda: len(told.lines) > 1)
    finally:
        one.close(5)
    assert told.lines[1:] == ["heads of the chain are sent to there again"]


def cut_unnoticed(folder: Path, kept: dict[str, set[str]]) -> list[tuple[str, int]]:
    """The chains, and how many lines of each can be left, where nobody notices that the rest is gone."""
    found = []
    for path in chain_files(folder):
        whole = path.read_bytes()
        each = whole.splitlines(keepends=True)
        for keep in range(len(each)):
            path.write_bytes(b"".join(each[:keep])) if keep else path.unlink()
            here = proof(folder, kept)
            if all(report.intact for report in here.reports.values()) and not here.missing:
                found.append((path.name, keep))
            path.write_bytes(whole)
    return found


@pytest.mark.parametrize("key", [None, lambda: KEY])
async def test_nothing_can_be_cut_off_a_chain_that_was_closed_a_moment_after_its_start(
    folder: Path, start: Start, key: object
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told, key=key)
    await told.until(lambda: bool(told.heads))
    await owner.stored(DECIDED)
    await owner.stored(OUTCOME)
    work.close(5)
    owner.sink.close(CLOSED)
    work.send_last()
    await told.until(lambda: owner.sink.file.head in told.heads)
    assert kinds(owner.sink.path)[-1] == "closed"
    assert cut_unnoticed(folder, told.kept) == []


async def test_nothing_can_be_cut_off_chains_that_went_on_in_others(folder: Path, start: Start) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(rotate_seconds=0.02))
    for _ in range(3):
        before = owner.sink.path
        await owner.stored(DECIDED)
        await owner.stored(OUTCOME)
        await told.later(lambda before=before: owner.sink.path != before)
    await told.until(lambda: len(told.kept) == 4)
    assert cut_unnoticed(folder, told.kept) == []
    # Each proves itself: whoever has one chain needs no other one.
    for path in chain_files(folder):
        (report,) = proof(path, {path.name: told.kept[path.name]}).reports.values()
        assert report.head in report.found
    await asyncio.to_thread(work.close, 5)


async def test_what_is_written_just_before_growth_is_watched_has_an_old_chain_rotated(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, told, loop = Owner(folder), Told(), asyncio.get_running_loop()
    await owner.stored(OPENED)
    first, plain, written = owner.sink.path, Upkeep._due, []

    def due(self: Upkeep, aged: bool) -> chain_file.GrowthLimit:
        if aged and not written:
            written.append(asyncio.run_coroutine_threadsafe(owner.stored(DECIDED), loop).result(10))
        return plain(self, aged)

    monkeypatch.setattr(Upkeep, "_due", due)
    start(owner.sink, told, UpkeepTerms(rotate_seconds=0.02))
    await told.later(lambda: owner.sink.path != first)
    assert kinds(first) == ["opened", "decision", "closed"]


async def test_nothing_can_be_cut_off_a_chain_that_ends_with_a_gap(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    first = owner.sink.path
    start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01))
    await owner.stored(DECIDED)
    with monkeypatch.context() as patched:
        fault(patched, broken)
        await owner.over(owner.sink.write(OUTCOME))
    await owner.healthy()
    await told.until(lambda: owner.sink.path.name in told.kept)
    assert [kinds(first)[-1], owner.told] == ["closed", [False, True]]
    assert cut_unnoticed(folder, told.kept) == []


async def test_what_a_killed_process_wrote_last_is_proven_by_the_first_head_of_the_next_one(
    folder: Path, start: Start
) -> None:
    killed, told = Owner(folder), Told()
    await killed.stored(OPENED)
    work = start(killed.sink, told)
    await told.until(lambda: bool(told.heads))
    work.close(5)
    await killed.stored(DECIDED)
    assert cut_unnoticed(folder, told.kept) == [(killed.sink.path.name, 1)]
    owner = Owner(folder)
    await owner.stored(OPENED)
    start(owner.sink, told)
    await told.until(lambda: owner.sink.path.name in told.kept)
    assert cut_unnoticed(folder, told.kept) == []
    # What was kept proves who wrote a chain, so nobody sends heads of others.
    assert killed.sink.file.head not in told.heads


async def test_the_last_head_is_said_where_it_cannot_be_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LAST_SECONDS", 0.05)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    refused: Future[None] = Future()
    refused.set_exception(ValueError("it may quote anything"))
    places = {"hanging": Future[None](), "failing": refused}
    work = Upkeep(owner.sink, folder, DEFAULT, told.say, send=lambda _heads: places)
    owner.sink.close(CLOSED)
    work.send_last()
    await told.until(lambda: len(told.lines) == 2)
    last = f"{owner.sink.path.name}:{owner.sink.file.head.head}"
    assert told.lines == [
        f"the last head of the chain could not be sent to hanging (it does not respond): keep {last}",
        f"the last head of the chain could not be sent to failing (ValueError): keep {last}",
    ]


async def test_the_last_head_is_of_what_was_stored_before_a_disk_hung(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, told = Owner(folder, "fsync"), Told()
    await owner.stored(OPENED)
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.01)
    head, hangs = owner.sink.file.head, threading.Event()
    monkeypatch.setattr(chain_file, "sync_file", lambda _file: hangs.wait(20))
    await owner.over(owner.sink.write(DECIDED))
    with pytest.raises(AuditError, match="has not responded"):
        owner.sink.close(CLOSED)
    Upkeep(owner.sink, folder, DEFAULT, told.say, send=told.send).send_last()
    await told.until(lambda: bool(told.heads))
    assert told.heads == [head]
    hangs.set()


@pytest.mark.parametrize("durability", ["flush", "fsync", "group"])
async def test_a_long_chain_goes_on_in_a_new_one_without_a_gap(
    folder: Path, start: Start, durability: str
) -> None:
    owner, told = Owner(folder, durability), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(rotate_bytes=4096), key=lambda: KEY)
    sink = owner.sink
    for _ in range(60):
        await owner.stored(DECIDED)
        await asyncio.sleep(0.001)
        await owner.stored(OUTCOME)
    await asyncio.to_thread(work.close, 5)
    await asyncio.sleep(0)
    sink.close(CLOSED)
    found = proof(folder, {})
    after = {report.continues: name for name, report in found.reports.items()}
    names = [after[""]]
    while names[-1] in after:
        names.append(after[names[-1]])
    assert len(names) > 2
    assert found.missing == []
    assert [report.flaws for report in found.reports.values()] == [()] * len(names)
    assert all(report.closed for report in found.reports.values())
    assert all(report.unfinished == () for report in found.reports.values())
    calls = [kind for name in names for kind in kinds(folder / name) if kind in ("decision", "outcome")]
    assert calls == ["decision", "outcome"] * 60
    # None of them can vanish or lose its end.
    (folder / names[1]).unlink()
    assert proof(folder, {}).missing == [names[1]]


async def test_a_chain_that_was_begun_by_a_rotation_is_signed_before_anything_is_recorded(
    folder: Path,
) -> None:
    owner = Owner(folder)
    owner.sink.signer = SigningKey(KEY)
    await owner.stored(OPENED)
    await owner.over(owner.sink.switch(chain_file.ChainFile(folder, sync=False), ()))
    found = proof(folder, {}, by=PUBLIC.verifies)
    assert [report.flaws for report in found.reports.values()] == [(), ()]
    assert kinds(owner.sink.path) == ["opened", "checkpoint"]
    owner.sink.close(CLOSED)


async def test_a_call_that_ends_after_the_clock_was_set_back_is_read_to_its_end(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    await owner.stored(DECIDED)
    first = owner.sink.path
    monkeypatch.setattr(chain_file, "datetime", SimpleNamespace(now=lambda _: NOW))
    monkeypatch.setattr(chain_file, "MOST_BACK", datetime.now(UTC) - NOW + timedelta(hours=1))
    work = start(owner.sink, told, UpkeepTerms(rotate_bytes=first.stat().st_size))
    await told.later(lambda: owner.sink.path != first)
    await asyncio.to_thread(work.close, 5)
    await owner.stored(OUTCOME)
    owner.sink.close(CLOSED)
    assert chain_files(folder)[0] == first
    call = calls_by_id(folder, [DECIDED.id])[DECIDED.id]
    assert call.outcome is not None
    assert call.outcome.file != first


def test_one_process_at_a_time_compresses_a_chain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.commit()
    assert not retention.compress(sink.path).exists()  # It is written.
    sink.close(CLOSED)
    whole, real = sink.path.read_bytes(), shutil.copyfileobj

    def copied(*arguments: Any) -> None:
        assert not retention.over(sink.path)
        assert not retention.compress(sink.path).exists()
        real(*arguments)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    packed = retention.compress(sink.path)
    assert gzip.decompress(packed.read_bytes()) == whole
    assert [one.name for one in folder.iterdir()] == [packed.name]
    assert retention.compress(sink.path) == packed
    monkeypatch.setattr(Path, "iterdir", lambda _: [sink.path, packed])
    assert retention.expired(folder, (), time.time(), 1) == ([], 0, None)


def test_a_clock_that_was_wrong_for_long_gives_no_name_in_the_future(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [chain_file.ChainFile(folder, sync=False)]
    for back in (timedelta(0), timedelta(hours=2), timedelta(days=2)):
        at = files[0].begun - back
        monkeypatch.setattr(chain_file, "datetime", SimpleNamespace(now=lambda _, at=at: at))
        files.append(chain_file.ChainFile(folder, False, files[-1]))
    names = [one.path.name for one in files]
    assert names[:3] == sorted(names[:3])
    assert names[3].startswith(f"{files[0].begun - timedelta(days=2):%Y%m%dT%H%M%SZ}")
    for one in files:
        one.close()


async def test_a_new_chain_that_cannot_be_begun_leaves_the_one_before_to_be_continued(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    owner = Owner(folder)
    sink = owner.sink
    await owner.stored(OPENED)
    await owner.stored(DECIDED)
    first = sink.path
    new = chain_file.ChainFile(folder, sync=False)
    real = os.write

    def not_the_new_one(file: int, data: bytes) -> int:
        if os.fstat(file).st_ino == new.path.stat().st_ino:
            raise OSError(28, "No space left on device")
        return real(file, data)

    with monkeypatch.context() as patched:
        fault(patched, not_the_new_one)
        begun = sink.switch(new, ())
        await owner.over(begun)
        assert "No space left" in failure(begun)
    await owner.healthy()
    await owner.stored(OUTCOME)
    sink.close(CLOSED)
    assert kinds(first) == ["opened", "decision", "closed"]
    assert not new.path.exists()
    found = proof(folder, {})
    assert found.missing == []
    assert [report.flaws for report in found.reports.values()] == [(), ()]
    assert found.reports[first.name].unfinished == ()
    assert sink.path.name in found.reports


async def test_an_old_chain_goes_on_in_a_new_one_where_something_was_recorded(
    folder: Path, start: Start
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    first = owner.sink.path
    start(owner.sink, told, UpkeepTerms(rotate_seconds=0.05))
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert owner.sink.path == first
    await owner.stored(DECIDED)
    await told.later(lambda: owner.sink.path != first)
    await owner.stored(OUTCOME)
    assert kinds(first) == ["opened", "decision", "closed"]
    assert proof(folder, {}).reports[first.name].unfinished == ()


async def test_an_old_chain_in_which_nothing_is_recorded_costs_nothing(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = [], os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: looks.append(path) or real(path))
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    start(owner.sink, told, UpkeepTerms(rotate_seconds=0.02))
    await told.until(lambda: bool(told.heads))
    for _ in range(30):
        await asyncio.sleep(0.01)
    assert len(looks) <= 2  # At the start, and when it is old enough.


async def test_chains_that_are_over_are_compressed_and_verified_as_before(folder: Path, start: Start) -> None:
    old = [closed(folder) for _ in range(3)]
    whole = [path.read_bytes() for path in old]
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    start(owner.sink, told, UpkeepTerms(compress=True))
    await told.later(lambda: not any(path.exists() for path in old))
    packed = [path.with_name(f"{path.name}.gz") for path in old]
    assert [b"".join(lines(path)) for path in packed] == whole
    assert not any(path.exists() for path in old)
    assert owner.sink.path.exists()
    found = proof(folder, {})
    assert [*found.reports] == sorted([*(path.name for path in old), owner.sink.path.name])
    assert found.missing == []
    assert all(report.intact for report in found.reports.values())
    packed[1].unlink()
    assert proof(folder, {}).missing == [old[1].name]
    packed[0].write_bytes(packed[0].read_bytes()[:-20])
    problems = proof(folder, {}).reports[old[0].name].problems
    assert "and the rest cannot be read: it is damaged" in problems[0]


def at(day: int) -> type[datetime]:
    """A clock that stands at that day of August."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2026, 8, day, tzinfo=UTC)

    return Then


async def test_chains_that_need_not_be_kept_are_removed_and_evidence_says_which(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    week = time.time() - 7 * 86_400
    gone = []
    for day in (1, 2, 3):
        with monkeypatch.context() as patched:
            patched.setattr(chain_file, "datetime", at(day))
            gone.append(closed(folder))
        os.utime(gone[-1], (week, week))
    closed(folder)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    owner.sink.signer = SigningKey(KEY)
    start(owner.sink, told, UpkeepTerms(keep_days=6))
    await told.later(lambda: not any(path.exists() for path in gone))
    owner.sink.close(CLOSED)
    assert not any(path.exists() for path in gone)
    assert len(chain_files(folder)) == 2
    found = proof(folder, {}, by=PUBLIC.verifies)
    assert found.missing == []
    assert found.removed is not None
    assert (found.removed.until, found.removed.count) == (gone[-1].name, 3)
    # Only what a signature covers excuses.
    stranger = SigningKey(Secret(new_key())).public
    assert proof(folder, {}, by=stranger.verifies).missing == [gone[-1].name]


@pytest.mark.parametrize("key", [None, lambda: KEY])
async def test_what_was_removed_on_purpose_is_not_missing_though_its_head_was_kept(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch, key: object
) -> None:
    kept = {}
    for day in (1, 2, 3):
        with monkeypatch.context() as patched:
            patched.setattr(chain_file, "datetime", at(day))
            gone = closed(folder)
        kept[gone.name] = {next(iter(proof(gone, {}).reports.values())).head}
        os.utime(gone, (1.0, 1.0))
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(keep_days=6), key=key)
    await told.later(lambda: not gone.exists())
    await told.until(lambda: bool(told.heads) and (key is None or owner.sink.signer is not None))
    work.close(5)
    owner.sink.close(CLOSED)
    work.send_last()
    await told.until(lambda: owner.sink.file.head in told.heads)
    by = None if key is None else PUBLIC.verifies
    assert proof(folder, kept | told.kept, by=by).missing == []
    # Whoever can write to the folder could have said that it was on purpose, so a head or a key has to prove it.
    assert proof(folder, kept).missing == list(kept)
    assert proof(folder, kept).claimed == Removal(0, gone.name, 3)
    stranger = SigningKey(Secret(new_key())).public
    assert proof(folder, kept | told.kept, by=stranger.verifies).missing == list(kept)


async def test_the_oldest_chains_are_removed_where_all_are_too_large_together(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = []
    for day in (1, 2, 3, 4):
        with monkeypatch.context() as patched:
            patched.setattr(chain_file, "datetime", at(day))
            old.append(closed(folder))
        os.utime(old[-1], (1.0, 1.0))
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    most = sum(path.stat().st_size for path in old[2:]) + owner.sink.path.stat().st_size + 600
    start(owner.sink, told, UpkeepTerms(keep_bytes=most))
    await told.later(lambda: not old[1].exists())
    owner.sink.close(CLOSED)
    assert [path.exists() for path in old] == [False, False, True, True]
    found = proof(folder, {})
    assert found.missing == []
    assert found.removed is not None
    assert found.removed.count == 2


@pytest.fixture
def free(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many MB and inodes of the disk are free, which a test may change."""
    real, free = os.statvfs, [10, 400]

    def statvfs(path: Path) -> object:
        found = real(path)
        made = SimpleNamespace(f_bavail=free[0], f_frsize=1_000_000, f_files=500, f_favail=free[1])
        return made if path == folder else found

    monkeypatch.setattr(os, "statvfs", statvfs)
    return free


async def test_a_disk_that_is_nearly_full_is_said_when_it_begins_and_when_it_is_over(
    folder: Path, start: Start, free: list[int]
) -> None:
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01))
    await told.until(lambda: bool(told.lines))
    warning = f"only 10 MB are free in {folder}; requests are refused when evidence cannot be written"
    assert work.warning == warning
    free[0] = 10_000
    await told.until(lambda: len(told.lines) > 1)
    assert told.lines == [f"the disk is nearly full: {warning}", "the disk has enough free space again"]
    assert told.levels == ["warning", "info"]
    assert work.warning == ""


async def test_a_disk_on_which_hardly_a_file_can_be_made_is_nearly_full(
    folder: Path, start: Start, free: list[int]
) -> None:
    owner, told = Owner(folder), Told()
    free[:] = 10_000, 7
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(checkpoint_seconds=0.01))
    await told.until(lambda: bool(told.lines))
    assert work.warning.startswith(f"only 7 inodes are free in {folder}; requests are refused when")
    free[1] = 400
    await told.until(lambda: len(told.lines) > 1)
    assert work.warning == ""


async def test_how_much_is_free_is_read_again_while_it_is_little(
    folder: Path, start: Start, free: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PLACE_SECONDS", 0.01)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told)
    await told.until(lambda: bool(told.lines))
    free[0] = 0
    await told.later(lambda: work.warning.startswith("less than 1 MB is free"))
    assert len(told.lines) == 1


async def test_how_much_is_free_is_read_again_when_a_write_fails(
    folder: Path, start: Start, free: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PLACE_SECONDS", 1_000.0)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 1_000.0)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told)
    await told.until(lambda: bool(told.lines) and bool(told.heads))
    free[0] = 0
    with monkeypatch.context() as patched:
        fault(patched, broken)
        await owner.over(owner.sink.write(DECIDED))
    assert not owner.sink.health.ok
    await told.later(lambda: work.warning.startswith("less than 1 MB is free"))


async def test_nothing_of_the_last_day_is_removed_for_its_size_and_it_is_said(
    folder: Path, start: Start
) -> None:
    old = closed(folder)
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(keep_bytes=100))
    await told.until(lambda: bool(told.lines))
    assert "MB more than `audit.keep_bytes`" in told.lines[0]
    assert work.warning == told.lines[0]
    assert old.exists()


class Sinks:
    """Sinks of which one has not received any chain, unless `arrived`."""

    def __init__(self) -> None:
        self.arrived = False
        self.lost: list[tuple[list[str], str]] = []

    def unsent(self, _chain: Path) -> tuple[str, ...]:
        return () if self.arrived else ("jsonl to there",)

    def lose(self, chains: Sequence[Path], last: str) -> None:
        self.lost.append(([path.name for path in chains], last))


HELD = (
    "chains that are due to be removed are kept for up to 7 more days, since they have not arrived: "
    "jsonl to there"
)


def old_chain(folder: Path, monkeypatch: pytest.MonkeyPatch, days: float) -> Path:
    """One that ended so many days ago."""
    past = time.time() - days * 86_400

    class Then(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.fromtimestamp(past, UTC)

    with monkeypatch.context() as patched:
        patched.setattr(chain_file, "datetime", Then)
        sink = AuditFile(folder)
    sink.write(replace(OPENED, at=Then.now()))
    sink.close(replace(CLOSED, at=Then.now()))
    os.utime(sink.path, (past, past))
    return sink.path


@pytest.mark.parametrize("terms", [UpkeepTerms(keep_days=1), UpkeepTerms(keep_bytes=1)])
async def test_a_chain_that_has_not_arrived_at_a_sink_is_kept_longer_and_it_is_said(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch, terms: UpkeepTerms
) -> None:
    monkeypatch.setattr(upkeep, "CATCH_UP_SECONDS", 0.0)
    monkeypatch.setattr(upkeep, "SIZE_SECONDS", 0.0)
    old = old_chain(folder, monkeypatch, 3)
    owner, told, sinks = Owner(folder), Told(), Sinks()
    await owner.stored(OPENED)
    work = start(owner.sink, told, replace(terms, checkpoint_seconds=0.01), sinks=sinks)
    await told.until(lambda: HELD in told.lines)
    assert HELD in work.warning
    assert old.exists()
    sinks.arrived = True
    await told.later(lambda: not old.exists() and not work.warning.count(HELD))
    assert told.lines.count(HELD) == 1


async def test_a_chain_that_did_not_arrive_in_a_week_more_is_removed_and_evidence_says_so_before(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "CATCH_UP_SECONDS", 0.0)
    old = old_chain(folder, monkeypatch, 9)
    owner, told, sinks = Owner(folder), Told(), Sinks()
    await owner.stored(OPENED)
    start(owner.sink, told, UpkeepTerms(keep_days=1), sinks=sinks)
    await told.later(lambda: not old.exists())
    assert sinks.lost == [([old.name], old.name)]


async def test_right_after_the_start_nothing_is_removed_that_has_not_arrived(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_chain(folder, monkeypatch, 90)
    owner, told, sinks = Owner(folder), Told(), Sinks()
    await owner.stored(OPENED)
    work = start(owner.sink, told, UpkeepTerms(keep_days=1, checkpoint_seconds=0.01), sinks=sinks)
    await told.later(lambda: work._tidied == work._catches_up)
    assert (old.exists(), sinks.lost, work.warning) == (True, [], "")


def removed(folder: Path, days: float = 0, most: int = 0) -> list[str]:
    names = {path.name for path in folder.iterdir()}
    return [path.name for path in retention.expired(folder, names, time.time(), days, most).chains]


def test_a_chain_is_as_old_as_its_name_its_file_and_its_last_record_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = closed(folder)
    os.utime(young, (1.0, 1.0))
    assert removed(folder, days=1) == []
    with monkeypatch.context() as patched:
        patched.setattr(chain_file, "datetime", at(1))
        sink = AuditFile(folder)
    sink.write(replace(OPENED, at=datetime.now(UTC)))
    sink.close(replace(CLOSED, at=datetime.now(UTC)))
    os.utime(sink.path, (1.0, 1.0))
    assert removed(folder, days=1) == []
    packed = retention.compress(sink.path)
    assert removed(folder, days=1) == []
    packed.write_bytes(b"")
    os.utime(packed, (1.0, 1.0))
    with suppress(AuditError):
        assert removed(folder, days=1) == []


def test_a_chain_that_another_process_removes_at_the_same_time_is_no_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(chain_file, "datetime", at(1))
        old = closed(folder)
    os.utime(old, (1.0, 1.0))
    since, copied = retention._since, shutil.copyfileobj

    def removing(path: Path, time: float) -> bool:
        path.unlink()
        return since(path, time)

    whole = old.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(retention, "_since", removing)
        assert removed(folder, days=1) == []
    old.write_bytes(whole)

    def copying(*arguments: Any) -> None:
        copied(*arguments)
        old.unlink()

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", copying)
        retention.compress(old)
    assert list(folder.iterdir()) == []


def test_what_is_no_chain_of_the_past_takes_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(chain_file, "datetime", at(1))
        old = closed(folder)
    os.utime(old, (1.0, 1.0))
    (folder / "20000101T000000Z-1-a.jsonl").mkdir()
    for name in (
        "29990101T000000Z-1-a.jsonl", "20009901T000000Z-1-a.jsonl", "notes.jsonl", "20260802T000000Z-1-z.jsonl"
    ):  # fmt: skip
        with (folder / name).open("wb") as file:
            file.truncate(1 << 30)
    assert removed(folder, most=1 << 20) == []
    assert removed(folder, most=100) == [old.name]


async def test_what_is_still_written_is_neither_compressed_nor_removed(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Owner(folder)
    await live.stored(OPENED)
    os.utime(live.sink.path, (1.0, 1.0))
    owner, told = Owner(folder), Told()
    await owner.stored(OPENED)
    with monkeypatch.context() as patched:
        patched.setattr(chain_file, "datetime", at(1))
        done = closed(folder)
    os.utime(done, (1.0, 1.0))
    start(owner.sink, told, UpkeepTerms(compress=True, keep_days=1))
    await told.later(lambda: not done.exists())
    assert live.sink.path.exists()
    assert not retention.over(live.sink.path)
    assert not retention.over(folder / "gone")


def test_a_compression_that_fails_leaves_the_chain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = closed(folder)
    whole = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        retention.compress(path)
    assert [one.name for one in folder.iterdir()] == [path.name]
    assert path.read_bytes() == whole


def test_a_text_that_is_no_key_is_refused() -> None:
    assert PublicKey.parse(f"{PUBLIC}\n").id == PUBLIC.id
    for text in ("", "x", "mcpguard-audit-public-1:", "mcpguard-audit-public-1:AAAA", str(PUBLIC)[:-4] + "!"):
        with pytest.raises(AuditError, match="that is not a public key"):
            PublicKey.parse(text)
    with pytest.raises(AuditError, match="that is not a private key"):
        SigningKey(Secret(str(PUBLIC)))
