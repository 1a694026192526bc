"""Tickets in the file: answered once, used once, by whomever, and gone when they expire."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.store import tickets
from mcpguard.adapters.store.sqlite import FILE, SqliteStore
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Ticket
from tests.adapters.store.test_store import TICKET, given_by
from tests.fakes import FixedClock

ROOT = Path(__file__).parents[3]


def store(folder: Path) -> SqliteStore:
    return SqliteStore(folder, 60, FixedClock())


def fresh(**more: Any) -> Ticket:
    now = time.time()
    return structs.replace(TICKET, created=now, expires=now + 60, **more)


def test_a_ticket_is_answered_once(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)
    given_by(one.ask(fresh()))
    assert [ticket.id for ticket in other.waiting()] == ["t1"]
    assert other.answer("t1", "approved", "os-user:ada", "")
    assert not one.answer("t1", "denied", "os-user:eve", "No.")
    found = other.known_ticket("t1")
    assert found is not None
    assert (found.state, found.by, found.reason) == ("approved", "os-user:ada", "")
    assert other.waiting() == []


def test_an_approval_is_used_once(tmp_path: Path) -> None:
    given_by(store(tmp_path).ask(fresh()))
    store(tmp_path).answer("t1", "approved", "a", "")
    assert [given_by(store(tmp_path).use("t1", time.time())) for _ in range(3)] == [True, False, False]


USE = """
import asyncio, sys
from pathlib import Path
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.gateway.flight import as_future
async def main():
    store = SqliteStore(Path(sys.argv[1]), 60, SystemClock())
    for number in range(100):
        if await as_future(store.use(f"t{number}", 0.0)):
            print(number)
asyncio.run(main())
"""


def test_of_processes_at_once_one_uses_each_approval(tmp_path: Path) -> None:
    mine = store(tmp_path)
    for number in range(100):
        given_by(mine.ask(fresh(id=f"t{number}", args=str(number), principal=str(number))))
        mine.answer(f"t{number}", "approved", "a", "")
    command = [sys.executable, "-c", USE, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=-1, text=True) for _ in range(3)]
    used = [line for process in running for line in process.communicate(timeout=60)[0].split()]
    assert sorted(used, key=int) == [str(number) for number in range(100)]


def test_one_that_was_denied_cannot_be_used(tmp_path: Path) -> None:
    given_by(store(tmp_path).ask(fresh()))
    store(tmp_path).answer("t1", "denied", "a", "No.")
    assert not given_by(store(tmp_path).use("t1", time.time()))


def test_what_has_expired_is_neither_answered_nor_used_and_goes(tmp_path: Path) -> None:
    mine = store(tmp_path)
    given_by(mine.ask(TICKET))
    assert mine.waiting() == []
    assert not mine.answer("t1", "approved", "a", "")
    given_by(mine.ask(fresh(id="t2")))
    mine.answer("t2", "approved", "a", "")
    assert not given_by(mine.use("t2", time.time() + 61))
    assert mine.known_ticket("t1") is None


def test_a_flood_of_one_principal_is_refused_and_holds_no_other_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MOST_WAITING", 3)
    mine = store(tmp_path)
    for number in range(3):
        given_by(mine.ask(fresh(id=f"f{number}", args=str(number))))
    with pytest.raises(SessionError, match="3 calls of os-user:ada wait for an approval already"):
        given_by(mine.ask(fresh(id="more", args="more")))
    assert given_by(mine.ask(fresh(id="eve", principal="os-user:eve"))).id == "eve"
    assert len(mine.waiting()) == 4


def test_a_ticket_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    mine = store(tmp_path)
    given_by(mine.ask(fresh()))
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE tickets SET question = ?", (b"{}",))
    with pytest.raises(SessionError, match="a ticket cannot be read"):
        mine.waiting()


def test_a_file_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    given_by(store(tmp_path).ask(fresh()))
    with sqlite3.connect(tmp_path / FILE) as database:
        database.executescript("DROP TABLE tickets; PRAGMA user_version = 1;")
    assert store(tmp_path).waiting() == []
