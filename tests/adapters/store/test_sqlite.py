"""Sessions in a file: kept across processes, ended by nothing but their end, and never taken for new."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.store import default_folder, sqlite, upkeep
from mcpguard.adapters.store.sqlite import FILE, FORM, SqliteStore
from mcpguard.adapters.store.upkeep import BESIDE_REPLACED, REPLACED, UPDATED
from mcpguard.adapters.system import clock as system_clock
from mcpguard.adapters.system import disk
from mcpguard.adapters.system.clock import Uptime, uptime
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Principal
from mcpguard.core.policy.session import Session, name_of
from mcpguard.core.policy.tickets import Ticket, TicketAnswer
from tests.adapters.store.test_store import ADA, DAILY, TICKET, given_by, labels, later
from tests.fakes import FixedClock
from tests.wire.warm import python

ROOT = Path(__file__).parents[3]
NAME = name_of(ADA.principal, ADA.agent)


class Machine:
    """A clock that nobody sets, which a test winds."""

    def __init__(self) -> None:
        self.time = Uptime("one", 1000.0)

    def wind(self, seconds: float) -> None:
        self.time = Uptime(self.time.boot, self.time.seconds + seconds)

    def store(self, folder: Path) -> SqliteStore:
        """Another process."""
        return SqliteStore(folder, 60, FixedClock(), lambda: self.time)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def rows(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / FILE) as database:
        return database.execute("SELECT * FROM sessions").fetchall()


def contents(folder: Path) -> list[list[Any]]:
    with sqlite3.connect(folder / FILE) as database:
        tables = ("sessions", "tickets", "waits")
        return [database.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


def test_only_the_user_can_read_what_is_kept(tmp_path: Path, machine: Machine) -> None:
    labels(machine.store(tmp_path / "s"), add="a")
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "s").iterdir()} == {0o600}


def test_a_session_ends_when_it_is_not_used_for_its_idle_time(tmp_path: Path, machine: Machine) -> None:
    store = machine.store(tmp_path)
    labels(store, add="a")
    for seconds in (60, 59, 60):
        machine.wind(seconds)
        assert labels(store) == ["a"]
    machine.wind(61)
    assert labels(store) == []


def test_a_clock_that_is_set_ends_no_session(tmp_path: Path, machine: Machine) -> None:
    store = machine.store(tmp_path)
    labels(store, add="a")
    assert labels(store, later(1_000_000)) == ["a"]
    assert labels(store, later(-1_000_000)) == ["a"]
    machine.wind(61)
    assert labels(store, later(-2_000_000)) == []


def test_after_a_start_of_the_machine_the_clock_says_how_long_it_was(tmp_path: Path) -> None:
    for seconds, kept in ((60, ["a"]), (-100, ["a"]), (61, [])):
        machine, folder = Machine(), tmp_path / str(seconds)
        labels(machine.store(folder), add="a")
        machine.time = Uptime("two", 1.0)
        assert labels(machine.store(folder), later(seconds)) == kept


def test_a_window_of_a_limit_outlasts_the_session(tmp_path: Path, machine: Machine) -> None:
    store = machine.store(tmp_path)

    def use(session: Session) -> None:
        for _ in range(10):
            session.charge(DAILY, ADA.now)

    given_by(store.change(ADA, use))
    machine.wind(3600)
    after = later(3600)
    assert given_by(store.change(after, lambda session: session.room(DAILY, after.now))) is False


# --- connections ---------------------------------------------------------------------------------


def test_no_clock_ends_a_session_while_a_connection_that_used_it_lives(
    tmp_path: Path, machine: Machine
) -> None:
    store = machine.store(tmp_path)
    store.enter(ADA.principal, ADA.agent)
    labels(store, add="private")
    machine.wind(1_000_000)
    assert labels(store) == ["private"]
    machine.wind(1_000_000)
    assert labels(machine.store(tmp_path)) == ["private"]
    store.leave(ADA.principal, ADA.agent)
    machine.wind(61)
    assert labels(machine.store(tmp_path)) == []


def test_a_session_lives_as_long_as_the_last_of_its_connections(tmp_path: Path, machine: Machine) -> None:
    store = machine.store(tmp_path)
    for _ in range(2):
        store.enter(ADA.principal, ADA.agent)
    labels(store, add="private")
    store.leave(ADA.principal, ADA.agent)
    machine.wind(61)
    assert labels(store) == ["private"]
    store.leave(ADA.principal, ADA.agent)
    machine.wind(61)
    assert labels(store) == []


def test_a_connection_that_never_used_a_session_keeps_none(tmp_path: Path, machine: Machine) -> None:
    labels(machine.store(tmp_path), add="old")
    store = machine.store(tmp_path)
    store.enter(ADA.principal, ADA.agent)
    machine.wind(61)
    assert labels(store) == []
    other = Principal("eve", "os-user")
    store.enter(other, None)
    store.leave(other, None)


USE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sqlite import SqliteStore
from tests.adapters.store.test_store import ADA, labels
from tests.fakes import FixedClock
store = SqliteStore(Path(sys.argv[1]), 60, FixedClock())
store.enter(ADA.principal, ADA.agent)
labels(store, add="private")
print("used", flush=True)
sys.stdin.read()
"""


def test_a_connection_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    machine = Machine()
    with subprocess.Popen([sys.executable, "-c", USE, str(tmp_path)], cwd=ROOT, stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"used\n"
        assert labels(machine.store(tmp_path), later(1_000_000)) == ["private"]
        other.kill()
        other.wait(timeout=20)
    machine.wind(61)
    assert labels(machine.store(tmp_path)) == []


def test_a_stopped_process_holds_nobody_up(tmp_path: Path, machine: Machine) -> None:
    with subprocess.Popen([sys.executable, "-c", USE, str(tmp_path)], cwd=ROOT, stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"used\n"
        other.send_signal(signal.SIGSTOP)
        assert labels(machine.store(tmp_path), add="mine") == ["private", "mine"]
        other.kill()
        other.wait(timeout=20)


def test_a_session_whose_use_is_not_known_goes_on(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine.store(tmp_path)
    labels(store, add="private")
    open_file = os.open

    def refused(path: object, *rest: int) -> int:
        if str(path).endswith(".used"):
            raise OSError(errno.EMFILE, "Too many open files")
        return open_file(str(path), *rest)

    monkeypatch.setattr(os, "open", refused)
    machine.wind(61)
    assert labels(store) == ["private"]
    store.enter(ADA.principal, ADA.agent)
    with pytest.raises(SessionError, match="Too many open files"):
        labels(store)


def test_a_connection_holds_its_session_at_the_next_decision_where_another_process_looks(
    tmp_path: Path, machine: Machine
) -> None:
    store = machine.store(tmp_path)
    store.enter(ADA.principal, ADA.agent)
    labels(machine.store(tmp_path))
    with (tmp_path / f"{NAME}.used").open("wb") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        labels(store, add="private")
    assert labels(store) == ["private"]
    machine.wind(61)
    assert labels(machine.store(tmp_path)) == ["private"]


# --- the file ------------------------------------------------------------------------------------


def test_a_folder_that_is_taken_away_is_made_again_and_a_session_in_use_goes_on(
    tmp_path: Path, machine: Machine
) -> None:
    folder = tmp_path / "s"
    store = machine.store(folder)
    store.enter(ADA.principal, ADA.agent)
    labels(store, add="private")
    other = structs.replace(ADA, agent="other")
    labels(store, other, add="x")
    folder.rename(tmp_path / "gone")
    assert labels(store) == ["private"]
    assert labels(store, other) == []
    assert labels(machine.store(folder)) == ["private"]


def test_another_file_in_its_place_is_the_one_that_counts(tmp_path: Path, machine: Machine) -> None:
    store, other = machine.store(tmp_path / "a"), machine.store(tmp_path / "b")
    labels(store, add="a")
    labels(other, add="b")
    other.close()
    for part in ("", "-wal", "-shm"):
        (tmp_path / "a" / f"{FILE}{part}").unlink(missing_ok=True)
    (tmp_path / "b" / FILE).rename(tmp_path / "a" / FILE)
    told: list[str] = []
    store.replaced = told.append
    assert labels(store) == ["b"]
    assert labels(store) == ["b"]
    assert told == [REPLACED.format(tmp_path / "a" / FILE)]


def test_a_session_in_use_keeps_its_labels_where_another_was_the_first_to_use_a_new_file(
    tmp_path: Path, machine: Machine
) -> None:
    one, two, third = (machine.store(tmp_path) for _ in range(3))
    for store in (one, two):
        store.enter(ADA.principal, ADA.agent)
    labels(one, add="private")
    assert labels(two, add="untrusted") == ["private", "untrusted"]
    labels(one)
    for part in ("", "-wal", "-shm"):
        (tmp_path / f"{FILE}{part}").unlink(missing_ok=True)
    assert labels(third) == []
    assert labels(third, add="new") == ["new"]
    assert sorted(labels(two)) == ["new", "private", "untrusted"]
    assert sorted(labels(third)) == ["new", "private", "untrusted"]
    third.edit(NAME, lambda kept: kept.without_label("private"))
    assert sorted(labels(two)) == ["new", "untrusted"]


# --- its log, and the index of that --------------------------------------------------------------


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each use of the file looks whether those beside it are there."""
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", 0.0)


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("part", ["-wal", "-shm"])
def test_nothing_is_lost_where_the_log_or_its_index_is_removed_while_the_file_is_in_use(
    tmp_path: Path, machine: Machine, part: str
) -> None:
    store, told = machine.store(tmp_path), []
    store.replaced = told.append
    labels(store, add="private")
    (tmp_path / f"{FILE}{part}").unlink()
    assert labels(store) == ["private"]
    assert labels(store) == ["private"]
    assert told == [BESIDE_REPLACED.format(tmp_path / FILE)]
    assert labels(machine.store(tmp_path)) == ["private"]


@pytest.mark.usefixtures("looking")
def test_processes_that_share_the_file_go_on_once_each_has_seen_that_the_log_was_removed(
    tmp_path: Path, machine: Machine
) -> None:
    one, two = machine.store(tmp_path), machine.store(tmp_path)
    labels(one, add="private")
    labels(two, add="untrusted")
    (tmp_path / f"{FILE}-wal").unlink()
    for store in (one, machine.store(tmp_path)):
        with pytest.raises(SessionError, match="-wal was removed, and with it the latest changes"):
            labels(store)
        assert "state.sqlite-wal was removed" in store.problem()
    assert labels(two) == ["private", "untrusted"]
    assert labels(one) == ["private", "untrusted"]
    assert one.problem() == ""


@pytest.mark.usefixtures("looking")
def test_whoever_comes_after_log_and_index_were_removed_decides_nothing_until_they_are_saved(
    tmp_path: Path, machine: Machine
) -> None:
    one, two, idle = machine.store(tmp_path), machine.store(tmp_path), machine.store(tmp_path)
    labels(one, add="private")
    labels(two, add="untrusted")
    labels(idle)
    for part in ("-wal", "-shm"):
        (tmp_path / f"{FILE}{part}").unlink()
    late = machine.store(tmp_path)
    for look in (lambda: labels(late), late.known, late.waiting):
        with pytest.raises(SessionError, match="while a running mcpguard was using them"):
            look()
    for store in (one, late):
        assert "-shm were removed while a running mcpguard" in store.problem()
    assert not (tmp_path / f"{FILE}-wal").exists()  # Nobody who only looked has made one.
    assert labels(two) == ["private", "untrusted"]
    for store in (late, one, idle, machine.store(tmp_path)):
        assert labels(store) == ["private", "untrusted"]
    assert late.problem() == ""


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("ends", [True, False])
def test_a_process_that_used_them_saves_them_as_it_ends(tmp_path: Path, machine: Machine, ends: bool) -> None:
    store = machine.store(tmp_path)
    labels(store, add="private")
    for part in ("-wal", "-shm"):
        (tmp_path / f"{FILE}{part}").unlink()
    if ends:
        store.close()
    else:
        store.mend()  # While there is a problem, it is called with each look at what serving needs.
    assert labels(machine.store(tmp_path)) == ["private"]
    assert store.problem() == ""


def test_files_that_sqlite_removed_itself_are_not_missed(tmp_path: Path, machine: Machine) -> None:
    one, other = machine.store(tmp_path), machine.store(tmp_path)
    labels(one, add="private")
    one.close()
    assert not (tmp_path / f"{FILE}-wal").exists()
    assert labels(other) == ["private"]
    labels(one)
    other.close()
    assert labels(machine.store(tmp_path)) == ["private"]


def test_somebody_who_looks_at_the_moment_of_a_start_hides_nothing_for_long(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", 0.0)
    store = machine.store(tmp_path)
    with (tmp_path / "state.open").open("wb") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        labels(store)
    labels(store)
    for part in ("-wal", "-shm"):
        (tmp_path / f"{FILE}{part}").unlink()
    assert "were removed" in machine.store(tmp_path).problem()


def test_a_file_whose_log_is_missing_is_not_taken_for_all_that_there_was(
    tmp_path: Path, machine: Machine
) -> None:
    """After a process was killed, its log is there; here somebody removes it."""
    store, folder = machine.store(tmp_path / "a"), tmp_path / "b"
    labels(store, add="private")
    upkeep.tidy(tmp_path / "a" / FILE, FORM, 0.0, lambda _: False)
    labels(store, add="untrusted")
    folder.mkdir()
    for part in ("", "-shm"):
        shutil.copyfile(tmp_path / "a" / f"{FILE}{part}", folder / f"{FILE}{part}")
    killed = machine.store(folder)
    with pytest.raises(SessionError, match="-wal was removed"):
        labels(killed)
    with pytest.raises(SessionError, match="-wal was removed"):
        killed.known()
    upkeep.tidy(folder / FILE, FORM, 0.0, lambda _: False)
    assert not (folder / f"{FILE}-wal").exists()
    shutil.copyfile(tmp_path / "a" / f"{FILE}-wal", folder / f"{FILE}-wal")
    assert labels(killed) == ["private", "untrusted"]
    killed.close()
    (folder / f"{FILE}-shm").write_bytes(b"")
    with pytest.raises(SessionError, match="-wal was removed"):
        labels(killed)
    (folder / f"{FILE}-shm").unlink()
    assert labels(killed) == ["private", "untrusted"]


def test_a_file_is_looked_at_more_often_than_what_is_beside_it(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", 1000.0)
    store, looks = machine.store(tmp_path), []
    labels(store, add="private")
    labels(store)
    monkeypatch.setattr(upkeep, "inodes_beside", lambda path: looks.append(path) or (1, 1))
    for _ in range(3):
        labels(store)
    assert looks == []


def test_a_disk_without_room_is_a_problem_though_the_log_has_some(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine.store(tmp_path)
    labels(store, add="private")
    store.failing = "database or disk is full"

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            assert len(data) > 100_000

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(upkeep, "TemporaryFile", lambda **_: Full())
    assert "(No space left on device): free up space" in store.problem()
    assert store.failing
    monkeypatch.undo()
    assert store.problem() == ""


def test_a_decision_that_stores_nothing_does_not_end_a_failure(tmp_path: Path, machine: Machine) -> None:
    store = machine.store(tmp_path)
    labels(store, add="private")
    store.failing = "database or disk is full"
    assert labels(store) == ["private"]
    assert store.failing
    labels(store, add="untrusted")
    assert store.failing == ""


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_READONLY_DIRECTORY, "; let this user write to it and to its folder"),
        (sqlite3.SQLITE_FULL, "; free up space on its disk"),
        (
            sqlite3.SQLITE_CANTOPEN,
            "; let this user read and write it, its -wal and -shm files, and its folder",
        ),
        (sqlite3.SQLITE_IOERR, ""),
    ],
)
def test_what_sqlite_says_comes_with_what_to_do(code: int, advice: str) -> None:
    problem = sqlite3.OperationalError("it says so")
    problem.sqlite_errorcode = code
    assert (
        upkeep.unusable(Path("state.sqlite"), problem) == f"state.sqlite cannot be used: it says so{advice}"
    )


# --- what else may be wrong with it --------------------------------------------------------------


@pytest.mark.parametrize(("synced", "level"), [(True, 2), (False, 1)])
def test_changes_wait_for_the_disk_where_evidence_does(
    tmp_path: Path, machine: Machine, synced: bool, level: int
) -> None:
    """SQLite rolls back what was committed before a power failure with `synchronous = NORMAL`."""
    store = SqliteStore(tmp_path, 60, FixedClock(), lambda: machine.time, synced=synced)
    labels(store, add="private")
    assert store._open().execute("PRAGMA synchronous").fetchall() == [(level,)]
    store.close()


@pytest.mark.parametrize("damage", [b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_never_taken_for_an_empty_one(
    tmp_path: Path, machine: Machine, damage: bytes
) -> None:
    (tmp_path / FILE).write_bytes(damage)
    store, changes = machine.store(tmp_path), []
    store.changed = lambda: changes.append(store.failing)
    for _ in range(2):
        with pytest.raises(SessionError, match=r"state\.sqlite cannot be used: .*; move it away"):
            labels(store)
    assert (tmp_path / FILE).read_bytes() == damage
    (tmp_path / FILE).rename(tmp_path / "away")
    assert labels(store) == []
    assert ["move it away" in one for one in changes] == [True, False]


@pytest.mark.parametrize("state", ["{}", "", "null", '{"calls": 1}', '{"labels": "x"}', "[" * 10_000])
def test_a_session_that_cannot_be_read_is_never_taken_for_a_new_one(
    tmp_path: Path, machine: Machine, state: str
) -> None:
    store = machine.store(tmp_path)
    labels(store, add="a")
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE sessions SET state = ?, version = version + 1", (state.encode(),))
    with pytest.raises(SessionError, match="holds a session that cannot be read"):
        labels(store)


def test_a_file_of_a_later_version_is_refused(tmp_path: Path, machine: Machine) -> None:
    labels(machine.store(tmp_path), add="a")
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version = 6")
    store = machine.store(tmp_path)
    with pytest.raises(SessionError, match="was made by a later version of mcpguard: use that one, or move"):
        labels(store)
    assert "later version" in store.failing
    assert store.in_use


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists what is open")
def test_what_changes_about_the_file_is_said_in_the_thread_of_the_loop(
    tmp_path: Path, machine: Machine
) -> None:
    """The file is opened in another one, in which nothing of the loop may be used."""
    store, threads = machine.store(tmp_path), set[threading.Thread]()
    store.changed = lambda: threads.add(threading.current_thread())
    store.replaced = lambda _said: threads.add(threading.current_thread())
    labels(store, add="a")
    (tmp_path / FILE).unlink()
    store._disk = disk.WaitedDisk("another")
    labels(store)
    store.close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    store._disk = disk.WaitedDisk("a third")
    for _ in range(2):
        with pytest.raises(SessionError, match="was made by a later version of mcpguard"):
            labels(store)
    assert threads == {threading.current_thread()}


def of_an_earlier_version(folder: Path, tickets: str) -> None:
    with sqlite3.connect(folder / FILE) as database:
        database.execute("PRAGMA user_version = 4")
        database.execute("DROP TABLE tickets")
        database.execute(tickets)


OLD_TICKETS = "CREATE TABLE tickets (id TEXT, state TEXT, expires REAL)"


def test_a_file_that_a_later_version_updates_is_refused_by_processes_that_have_it_open(
    tmp_path: Path, machine: Machine
) -> None:
    store = machine.store(tmp_path / "s")
    labels(store, add="a")
    with sqlite3.connect(tmp_path / "s" / FILE) as database:
        database.execute(f"PRAGMA user_version = {FORM + 1}")
    for _ in range(2):
        with pytest.raises(SessionError, match="was made by a later version of mcpguard"):
            labels(store)
        with pytest.raises(SessionError, match="was made by a later version of mcpguard"):
            given_by(store.ask(TICKET))
        assert "later version" in store.failing


def asked(ticket: str) -> Ticket:
    return structs.replace(TICKET, id=ticket, target=ticket, expires=1e12)


@pytest.mark.parametrize(
    "act",
    [
        lambda store: labels(store, add="b"),
        lambda store: labels(store, structs.replace(ADA, agent="ide"), add="b"),
        lambda store: given_by(store.ask(asked("another"))),
        lambda store: store.answer("open", TicketAnswer("denied", "os-user:ada", "page")),
        lambda store: store.end("done"),
        lambda store: (store.waits(TICKET.id, 1.0), labels(store)),
        lambda store: store.edit(NAME, lambda kept: kept.without_label("a")),
    ],
)
def test_nothing_is_changed_in_a_file_that_a_later_version_updates_at_that_moment(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, act: Callable[[SqliteStore], object]
) -> None:
    store = machine.store(tmp_path)
    labels(store, add="a")
    given_by(store.ask(asked("done")))
    store.answer("done", TicketAnswer("approved", "os-user:ada", "page"))
    given_by(store.ask(asked("open")))
    kept = contents(tmp_path)
    look = store._note_others

    def updated_after_the_look(database: sqlite3.Connection) -> None:
        look(database)
        with sqlite3.connect(tmp_path / FILE) as other:
            other.execute(f"PRAGMA user_version = {FORM + 1}")

    monkeypatch.setattr(store, "_note_others", updated_after_the_look)
    with pytest.raises(SessionError, match="was made by a later version of mcpguard"):
        act(store)
    assert contents(tmp_path) == kept


def test_a_file_of_an_earlier_version_is_updated_by_a_process_that_serves_and_says_what_is_lost(
    tmp_path: Path, machine: Machine
) -> None:
    before = machine.store(tmp_path)
    labels(before, add="private")
    before.close()
    of_an_earlier_version(tmp_path, OLD_TICKETS)
    ends = time.time() + 60
    rows = [("waits", ends), ("waiting", ends), ("approved", ends), ("denied", 5), ("used", ends)]
    with sqlite3.connect(tmp_path / FILE) as database:
        database.executemany("INSERT INTO tickets VALUES ('t', ?, ?)", rows)
    beside, told = machine.store(tmp_path), list[str]()
    for look in (beside.known, beside.waiting, lambda: labels(beside)):
        with pytest.raises(
            SessionError, match=r"state\.sqlite is of an earlier version .*: restart the clients"
        ):
            look()
    store = SqliteStore(tmp_path, 60, FixedClock(), lambda: machine.time, updates=True)
    store.replaced = told.append
    assert labels(store) == ["private"]
    assert told == [UPDATED.format(tmp_path / FILE, 2)]
    assert beside.waiting() == []


def test_nothing_is_said_where_an_update_loses_nothing(tmp_path: Path, machine: Machine) -> None:
    labels(machine.store(tmp_path), add="private")
    for tickets in (OLD_TICKETS, "CREATE TABLE tickets (id TEXT)"):
        of_an_earlier_version(tmp_path, tickets)
        store, told = SqliteStore(tmp_path, 60, FixedClock(), lambda: machine.time, updates=True), list[str]()
        store.replaced = told.append
        assert labels(store) == ["private"]
        assert told == []


def test_a_store_that_is_closed_keeps_no_file_and_no_thread(tmp_path: Path, machine: Machine) -> None:
    before, threads = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
    store = machine.store(tmp_path)
    assert store.waiting() == []
    store.close()
    assert set(os.listdir("/proc/self/fd")) <= before
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive()


def test_after_the_last_process_the_file_alone_holds_everything(tmp_path: Path, machine: Machine) -> None:
    folder, log = tmp_path / "s", tmp_path / "s" / "state.sqlite-wal"
    first, second = machine.store(folder), machine.store(folder)
    assert (labels(first, add="a"), labels(second, add="b")) == (["a"], ["a", "b"])
    first.close()
    assert log.exists()
    second.close()
    assert not log.exists()
    (tmp_path / "copy").mkdir()
    shutil.copy(folder / "state.sqlite", tmp_path / "copy")
    assert labels(machine.store(tmp_path / "copy")) == ["a", "b"]


def test_a_folder_that_is_closed_to_this_user_is_a_sentence(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root nothing is closed, so the system's answer is made up."""
    folder, look = tmp_path / "s", os.stat
    folder.mkdir()

    def closed(path: Any, *more: Any, **named: Any) -> os.stat_result:
        if str(path).startswith(f"{folder}/"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, *more, **named)

    def unmade(dir: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    store = machine.store(folder)
    monkeypatch.setattr(os, "stat", closed)
    monkeypatch.setattr(upkeep, "TemporaryFile", unmade)
    assert store.problem() == (
        f"the folder of sessions {folder} cannot be used (Permission denied): make it a folder that this user can "
        "write to, or name another one in the configuration (`session: {path: …}`)"
    )


def test_a_file_in_the_folder_that_is_closed_to_this_user_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    problem = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / FILE))
    assert upkeep.unmade(tmp_path, problem) == (
        f"{tmp_path / FILE} cannot be used (Permission denied): let this user write to it"
    )


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, machine: Machine) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "s"
    said = (
        f"the folder of sessions {folder} cannot be used (Not a directory): make it a folder that this user can "
        "write to, or name another one in the configuration (`session: {path: …}`)"
    )
    with pytest.raises(SessionError) as raised:
        labels(machine.store(folder))
    assert str(raised.value) == said


FULL = """
import resource, signal, sys
from pathlib import Path
from types import SimpleNamespace
from mcpguard.core.errors import SessionError
from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sqlite import SqliteStore
from tests.adapters.store.test_store import labels
from tests.fakes import FixedClock
store = SqliteStore(Path(sys.argv[1]), 60, FixedClock())
labels(store)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
try:
    labels(store, add="b" * 100_000)
except SessionError as problem:
    print(problem)
"""


def test_a_session_for_which_there_is_no_room_stays_as_it_was(tmp_path: Path) -> None:
    command = [*python(), "-c", FULL, str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert "state.sqlite cannot be used: " in told.stdout, told
    assert labels(Machine().store(tmp_path)) == []


def test_a_file_that_is_busy_is_tried_again_and_refused_after_a_while(
    tmp_path: Path, machine: Machine
) -> None:
    clock = FixedClock()
    clock.slow = True
    store = SqliteStore(tmp_path, 60, clock, lambda: machine.time)
    labels(store, add="a")
    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        waits = [store.change(ADA, partial(Session.add, labels=(add,), facts=())) for add in ("b", "c")]
        assert not any(wait.done for wait in waits)
        other.execute("COMMIT")
        clock.ring()
        assert all(wait.done for wait in waits)
        other.execute("BEGIN IMMEDIATE")
        last = store.change(ADA, lambda session: session.add(("d",), ()))
        while not last.done:
            clock.ring()
        other.execute("COMMIT")
    with pytest.raises(SessionError, match="is locked by another program"):
        given_by(last)
    assert "is locked by another program" in store.failing
    assert len(labels(store, add="d")) == 4
    assert store.failing == ""


def test_a_change_that_others_outrun_each_time_is_refused_after_a_while_and_no_failure(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FixedClock()
    clock.slow = True
    store = SqliteStore(tmp_path, 60, clock, lambda: machine.time)
    monkeypatch.setattr(store, "_once", lambda *_: (False, None))
    last = store.change(ADA, lambda session: session.add(("d",), ()))
    while not last.done:
        clock.ring()
    with pytest.raises(SessionError, match="others are changing it"):
        given_by(last)
    assert store.failing == ""


def test_a_disk_that_hangs_is_waited_for_once_and_what_it_does_later_is_read(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "TRUST_SECONDS", 0.0)
    store = machine.store(tmp_path)
    labels(store, add="a")
    monkeypatch.setattr(disk, "HOLD_SECONDS", 0.05)
    asked, answers, ended = threading.Event(), threading.Event(), threading.Event()

    def hangs(session: Session) -> None:
        asked.set()
        assert answers.wait(20)
        session.add(("b",), ())
        ended.set()

    with pytest.raises(SessionError, match="the disk has not responded for several seconds"):
        given_by(store.change(ADA, hangs))
    assert asked.wait(20)
    monkeypatch.setattr(disk, "HOLD_SECONDS", 1e9)  # Nobody waits for it again.
    for _ in range(3):
        with pytest.raises(SessionError, match="the disk has not responded for several seconds"):
            labels(store)
    assert "has not responded" in store.failing
    answers.set()
    assert ended.wait(20)
    deadline = time.monotonic() + 20
    while store.failing and time.monotonic() < deadline:
        with suppress(SessionError):
            labels(store, add="c")
    assert labels(store) == ["a", "b", "c"]
    assert labels(machine.store(tmp_path)) == ["a", "b", "c"]


def test_after_a_defect_in_a_later_try_nobody_waits_for_ever(tmp_path: Path, machine: Machine) -> None:
    clock = FixedClock()
    clock.slow = True
    store = SqliteStore(tmp_path, 60, clock, lambda: machine.time)
    labels(store)

    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        calls: list[int] = []

        def broken_later(session: Session) -> None:
            calls.append(1)
            if len(calls) > 1:
                raise ZeroDivisionError
            session.add(("a",), ())

        wait = store.change(ADA, broken_later)
        other.execute("COMMIT")
    with pytest.raises(ZeroDivisionError):
        clock.ring()
    with pytest.raises(SessionError, match="could not be changed"):
        given_by(wait)


def test_what_many_changes_wrote_is_moved_to_the_file(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Any] = []

    class Noted(sqlite.Thread):
        def start(self) -> None:
            threads.append(self)
            super().start()

    monkeypatch.setattr(sqlite, "Thread", Noted)
    monkeypatch.setattr(sqlite, "CHECKPOINT", 10)
    store = machine.store(tmp_path)
    for number in range(10):
        labels(store, add=str(number))
    for thread in threads:
        thread.join(20)
    assert (tmp_path / FILE).stat().st_size > 4096
    assert len(threads) == 1


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread would do is done at once."""
    monkeypatch.setattr(sqlite, "Thread", lambda target, daemon: SimpleNamespace(start=target))


@pytest.mark.usefixtures("inline")
def test_sessions_that_ended_long_ago_are_removed(tmp_path: Path, machine: Machine) -> None:
    labels(machine.store(tmp_path), add="a")
    used = structs.replace(ADA, agent="used")
    holding = machine.store(tmp_path)
    holding.enter(used.principal, used.agent)
    labels(holding, used, add="b")
    long_ago = time.time() - sqlite.KEPT_SECONDS - 1
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE sessions SET used = ?", (long_ago,))
    assert labels(machine.store(tmp_path)) == []
    assert labels(machine.store(tmp_path), used) == ["b"]


@pytest.mark.usefixtures("inline")
def test_a_process_that_runs_for_months_removes_them_as_well(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT", 2)
    store, other = machine.store(tmp_path), structs.replace(ADA, agent="other")
    labels(store, add="a")
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE sessions SET used = ?", (time.time() - sqlite.KEPT_SECONDS - 1,))
    for label in ("b", "c"):
        labels(store, other, add=label)
    assert [name for name, *_ in rows(tmp_path)] == [name_of(other.principal, "other")]


@pytest.mark.usefixtures("inline")
def test_a_process_of_this_version_removes_nothing_from_a_file_of_a_later_one(
    tmp_path: Path, machine: Machine
) -> None:
    store = machine.store(tmp_path)
    labels(store, add="a")
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(f"PRAGMA user_version = {FORM + 1}")
    upkeep.tidy(tmp_path / FILE, FORM, time.time() + 1e9, lambda _: False)
    assert len(rows(tmp_path)) == 1


def test_a_look_at_sessions_makes_no_files(tmp_path: Path, machine: Machine) -> None:
    labels(machine.store(tmp_path), add="a")
    assert len(machine.store(tmp_path).known()) == 1
    assert not list(tmp_path.glob("*.used"))


# --- what earlier versions kept ------------------------------------------------------------------

EARLIER = {
    "seen": ADA.now.timestamp(),
    "calls": 3,
    "tools": {"s/t": 3},
    "labels": ["a"],
    "facts": [],
    "spent": {},
}


def test_a_session_in_a_file_of_its_own_is_moved_once(tmp_path: Path, machine: Machine) -> None:
    old = tmp_path / f"{NAME}.json"
    old.write_text(json.dumps(EARLIER))
    store = machine.store(tmp_path)
    assert labels(store) == ["a"]
    assert not old.exists()
    assert given_by(store.change(ADA, lambda session: session.kept.calls)) == 3
    old.write_text(json.dumps({**EARLIER, "labels": ["b"]}))
    assert labels(machine.store(tmp_path)) == ["a"]


def test_one_that_ended_long_ago_is_moved_as_ended(tmp_path: Path, machine: Machine) -> None:
    (tmp_path / f"{NAME}.json").write_text(json.dumps(EARLIER))
    assert labels(machine.store(tmp_path), later(61)) == []


@pytest.mark.parametrize("damage", ["{", "", "{}", "null", '{"labels": []}', '{"x":' + "[" * 100_000])
def test_a_damaged_one_is_never_taken_for_a_new_session(
    tmp_path: Path, machine: Machine, damage: str
) -> None:
    (tmp_path / f"{NAME}.json").write_text(damage)
    with pytest.raises(SessionError, match=r"\.json is damaged: remove it to start the session over"):
        labels(machine.store(tmp_path))


# --- processes -----------------------------------------------------------------------------------

COUNT = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.gateway.flight import as_future
from tests.adapters.store.test_store import ADA
store = SqliteStore(Path(sys.argv[1]), 60, SystemClock())
def more(session):
    session.kept.calls += 1
async def main():
    for _ in range(int(sys.argv[2])):
        await as_future(store.change(ADA, more))
        print("stored", flush=True)
asyncio.run(main())
"""


def counting(folder: Path, times: int) -> subprocess.Popen[str]:
    command = [*python(), "-c", COUNT, str(folder), str(times)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_at_once_lose_no_call(tmp_path: Path) -> None:
    running = [counting(tmp_path, 300) for _ in range(3)]
    assert [len(process.communicate(timeout=60)[0].split()) for process in running] == [300, 300, 300]
    store = Machine().store(tmp_path)
    assert given_by(store.change(ADA, lambda session: session.kept.calls)) == 900


def test_a_process_that_is_killed_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    told = 0
    for calls in (1, 7, 20):
        with counting(tmp_path, 1_000_000) as one:
            assert one.stdout is not None
            told += len([one.stdout.readline() for _ in range(calls)])
            one.kill()
            told += len(one.stdout.readlines())
    store = Machine().store(tmp_path)
    assert told <= given_by(store.change(ADA, lambda session: session.kept.calls)) <= told + 3


def test_the_real_clock_counts_from_the_start_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = uptime(), uptime()
    assert one.boot == two.boot
    assert two.seconds >= one.seconds > 0

    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    system_clock._boot.cache_clear()
    assert uptime().boot
    system_clock._boot.cache_clear()


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder().name == "sessions"
