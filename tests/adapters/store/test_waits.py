"""Which tickets a call waits for: seen by all processes, and over with the process at the latest."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcpguard.adapters.store.sqlite import FILE, SqliteStore
from mcpguard.adapters.system.clock import uptime
from tests.adapters.store.test_tickets import ROOT, store
from tests.fakes import FixedClock


def left_over(folder: Path) -> list[str]:
    return [one.name for one in folder.glob("*.waits")]


def test_everybody_sees_since_when_the_first_call_waits_for_a_ticket(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)
    assert one.waited_for() == {}
    first, second, third = one.waits("t1", 30.0), other.waits("t1", 20.0), other.waits("t2", 25.0)
    assert store(tmp_path).waited_for() == {"t1": 20.0, "t2": 25.0}
    assert (one.waiting_calls, other.waiting_calls) == (1, 2)
    second()
    assert one.waited_for() == {"t1": 30.0, "t2": 25.0}
    first()
    third()
    assert one.waited_for() == {}
    assert (one.waiting_calls, other.waiting_calls, left_over(tmp_path)) == (0, 0, [])


WAIT = """
import os, sys, time
from pathlib import Path
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
SqliteStore(Path(sys.argv[1]), 60, SystemClock()).waits(sys.argv[2], 1.0)
print("waits", flush=True)
sys.stdin.read()
"""


def waiting(folder: Path, ticket: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WAIT, str(folder), ticket]
    process = subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    return process


def test_no_call_of_a_process_that_was_killed_waits(tmp_path: Path) -> None:
    mine, killed, lives = store(tmp_path), waiting(tmp_path, "t1"), waiting(tmp_path, "t2")
    try:
        assert mine.waited_for() == {"t1": 1.0, "t2": 1.0}
        killed.kill()
        killed.wait(60)
        assert mine.waited_for() == {"t2": 1.0}
        mine.waits("t3", 2.0)()
        with sqlite3.connect(tmp_path / FILE) as database:
            assert database.execute("SELECT ticket FROM waits").fetchall() == [("t2",)]
        assert len(left_over(tmp_path)) == 1
    finally:
        for process in (killed, lives):
            process.kill()
            process.communicate(timeout=60)


def test_a_call_that_is_over_before_it_could_be_stored_is_not_shown(tmp_path: Path) -> None:
    clock = FixedClock()
    clock.slow = True
    mine = SqliteStore(tmp_path, 60, clock, uptime)
    mine.waited_for()
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    over = mine.waits("t1", 1.0)
    over()
    other.execute("ROLLBACK")
    clock.ring()
    assert (mine.waited_for(), left_over(tmp_path)) == ({}, [])


def test_a_call_whose_end_could_not_be_stored_is_over_all_the_same(tmp_path: Path) -> None:
    clock = FixedClock()
    clock.slow = True
    mine = SqliteStore(tmp_path, 60, clock, uptime)
    over = mine.waits("t1", 1.0)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    over()
    assert store(tmp_path).waited_for() == {}
    other.execute("ROLLBACK")
    mine.waits("t2", 2.0)
    assert mine.waited_for() == {"t2": 2.0}


def test_the_end_of_a_wait_takes_nothing_from_a_new_file(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)
    over = one.waits("t1", 1.0)
    for file in tmp_path.glob(f"{FILE}*"):
        file.unlink()
    other.waits("t2", 2.0)
    over()
    assert one.waited_for() == {"t2": 2.0}


def test_what_cannot_be_stored_costs_no_call(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file")
    mine = store(tmp_path / "no")
    mine.waits("t1", time.time())()
    assert mine.failing
    assert mine.waiting_calls == 0


def test_what_cannot_be_locked_costs_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = store(tmp_path)
    mine.waited_for()
    with monkeypatch.context() as patched:
        patched.setattr(os, "urandom", bytes)
        (tmp_path / f"{bytes(16).hex()}.waits").mkdir()  # Not even root can open it as a file.
        over = mine.waits("t1", time.time())
    assert mine.waiting_calls == 0
    assert mine.failing.startswith("the folder of sessions")
    over()
    still = mine.waits("t2", 30.0)
    assert (mine.waited_for(), mine.failing) == ({"t2": 30.0}, "")
    still()
