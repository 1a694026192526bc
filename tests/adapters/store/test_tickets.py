"""Tickets in the file: answered once, used once, by whomever, and gone when they expire."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.store import sqlite, tickets, upkeep
from mcpguard.adapters.store.sqlite import FILE, SqliteStore
from mcpguard.adapters.system.clock import Uptime
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Lasting, Ticket, TicketAnswer
from tests.adapters.store.test_store import TICKET, given_by, said
from tests.fakes import FixedClock
from tests.wire.warm import python

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
    assert other.answer("t1", said("approved", "os-user:ada"))
    assert not one.answer("t1", said("denied", "os-user:eve", "No."))
    found = other.known_ticket("t1")
    assert found is not None
    assert (found.state, found.answer) == ("approved", said("approved", "os-user:ada"))
    assert other.waiting() == []


def test_an_approval_is_used_once(tmp_path: Path) -> None:
    given_by(store(tmp_path).ask(fresh()))
    store(tmp_path).answer("t1", said("approved", "a"))
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
        mine.answer(f"t{number}", said("approved", "a"))
    command = [*python(), "-c", USE, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=-1, text=True) for _ in range(3)]
    used = [line for process in running for line in process.communicate(timeout=60)[0].split()]
    assert sorted(used, key=int) == [str(number) for number in range(100)]


def test_one_that_was_denied_cannot_be_used(tmp_path: Path) -> None:
    given_by(store(tmp_path).ask(fresh()))
    store(tmp_path).answer("t1", said("denied", "a", "No."))
    assert not given_by(store(tmp_path).use("t1", time.time()))


def test_what_has_expired_is_neither_answered_nor_used_and_goes(tmp_path: Path) -> None:
    mine = store(tmp_path)
    given_by(mine.ask(TICKET))
    assert mine.waiting() == []
    assert not mine.answer("t1", said("approved", "a"))
    given_by(mine.ask(fresh(id="t2")))
    mine.answer("t2", said("approved", "a"))
    assert not given_by(mine.use("t2", time.time() + 61))
    assert mine.known_ticket("t1") is None


def test_a_flood_of_one_agent_is_refused_and_holds_no_other_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MOST_WAITING", 3)
    mine = store(tmp_path)
    for number in range(3):
        given_by(mine.ask(fresh(id=f"f{number}", args=str(number))))
    with pytest.raises(SessionError, match="3 calls of os-user:ada with desk wait for an approval already"):
        given_by(mine.ask(fresh(id="more", args="more")))
    assert given_by(mine.ask(fresh(id="eve", principal="os-user:eve", session="2"))).id == "eve"
    assert given_by(mine.ask(fresh(id="ide", agent="ide", session="3"))).id == "ide"
    for number in range(3):
        given_by(mine.ask(fresh(id=f"n{number}", agent=None, session="4", args=str(number))))
    with pytest.raises(SessionError, match="3 calls of os-user:ada wait for an approval already"):
        given_by(mine.ask(fresh(id="more", agent=None, session="4", args="more")))
    assert len(mine.waiting()) == 8


@pytest.mark.parametrize(
    "forged",
    [
        "state = 'approved '",
        "state = x'617070726f766564'",
        "state = 'approved'",
        "state = 'approved', answer = x'ff'",
        "state = 'approved', answer = 1",
        """state = 'approved', answer = '{"verdict":"denied","by":"a","via":"terminal"}'""",
        """answer = '{"verdict":"approved","by":"a","via":"terminal"}'""",
        "uses = 'x'",
    ],
)
def test_a_row_that_somebody_edited_is_no_approval(tmp_path: Path, forged: str) -> None:
    mine = store(tmp_path)
    asked = given_by(mine.ask(fresh()))
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(f"UPDATE tickets SET {forged}")
    with pytest.raises(SessionError):
        given_by(mine.ticket(asked))
    with pytest.raises(SessionError):
        given_by(mine.ask(fresh(id="t2")))


def test_an_edited_question_is_not_what_a_waiting_call_goes_on_with(tmp_path: Path) -> None:
    mine = store(tmp_path)
    asked = given_by(mine.ask(fresh()))
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(
            "UPDATE tickets SET question = x'7b7d', state = 'denied',"
            """ answer = '{"verdict":"denied","by":"a","via":"terminal","reason":"No."}'"""
        )
    found = given_by(mine.ticket(asked))
    assert found == structs.replace(asked, state="denied", answer=said("denied", "a", "No."))


def test_what_tickets_wrote_is_moved_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Path] = []
    monkeypatch.setattr(sqlite, "CHECKPOINT", 5)
    monkeypatch.setattr(sqlite, "Thread", lambda target, daemon: SimpleNamespace(start=target))
    monkeypatch.setattr(sqlite.upkeep, "tidy", lambda path, *_: moved.append(path))
    mine = store(tmp_path)
    for number in range(5):
        given_by(mine.ask(fresh(id=f"t{number}", args=str(number))))
        mine.answer(f"t{number}", said("approved", "a"))
        given_by(mine.use(f"t{number}", time.time()))
    assert moved == [tmp_path / FILE] * 2


def test_those_who_find_the_file_busy_look_less_and_less_often(tmp_path: Path) -> None:
    clock = FixedClock()
    clock.slow = True
    mine = SqliteStore(tmp_path, 60, clock)
    given_by(mine.ask(fresh()))
    pauses: list[float] = []
    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        used = mine.use("t1", time.time())
        for _ in range(8):
            pauses.append(clock.alarms[0][0])
            clock.ring()
        other.execute("COMMIT")
        clock.ring()
    assert used.done
    assert pauses == sorted(pauses)
    assert pauses[-1] == sqlite.MOST_PAUSE


def test_a_file_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    given_by(store(tmp_path).ask(fresh()))
    with sqlite3.connect(tmp_path / FILE) as database:
        database.executescript("DROP TABLE tickets; PRAGMA user_version = 1;")
    updating = SqliteStore(tmp_path, 60, FixedClock(), updates=True)
    assert given_by(updating.ticket(fresh())) is None
    assert store(tmp_path).waiting() == []


def test_a_ticket_outlives_a_process_that_makes_the_file_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found no tables; when it is about to make them, there are some."""
    checked = upkeep.check_form

    def meanwhile(path: Path, found: int, form: int, updates: bool) -> None:
        monkeypatch.setattr(upkeep, "check_form", checked)
        given_by(store(tmp_path).ask(fresh()))
        checked(path, found, form, updates)

    monkeypatch.setattr(upkeep, "check_form", meanwhile)
    assert [one.id for one in store(tmp_path).waiting()] == [fresh().id]


# --- approvals that last ---------------------------------------------------------------------------


def lasting(lasts: Lasting, *free: str) -> TicketAnswer:
    until = time.time() + 3600
    return structs.replace(said("approved", "os-user:ada"), lasts=lasts, until=until, free=free)


USE_OFTEN = """
import asyncio, sys, time
from pathlib import Path
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.gateway.flight import as_future
async def main():
    store = SqliteStore(Path(sys.argv[1]), 60, SystemClock())
    for _ in range(50):
        print(await as_future(store.use("t1", time.time())))
asyncio.run(main())
"""


@pytest.mark.parametrize("lasts", ["session", "time"])
def test_processes_that_use_one_approval_at_once_count_each_use(tmp_path: Path, lasts: Lasting) -> None:
    given_by(store(tmp_path).ask(fresh()))
    assert store(tmp_path).answer("t1", lasting(lasts))
    command = [*python(), "-c", USE_OFTEN, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=-1, text=True) for _ in range(2)]
    uses = [int(line) for process in running for line in process.communicate(timeout=60)[0].split()]
    assert sorted(uses) == list(range(1, 101))


def test_a_session_that_idled_ends_what_was_approved_for_it(tmp_path: Path) -> None:
    up = [Uptime("one", 1.0)]
    mine = SqliteStore(tmp_path, 60, FixedClock(), lambda: up[0])
    given_by(mine.ask(fresh()))
    mine.answer("t1", lasting("session"))
    for seconds in (50.0, 100.0, 150.0):  # Each use keeps it from idling.
        up[0] = Uptime("one", seconds)
        assert given_by(mine.use("t1", time.time()))
    assert [one.id for one in mine.approved()] == ["t1"]
    up[0] = Uptime("one", 211.0)
    assert mine.approved() == []
    assert given_by(mine.use("t1", time.time())) == 0
    up[0] = Uptime("one", 212.0)
    assert given_by(mine.use("t1", time.time())) == 0
    assert given_by(mine.ask(fresh(id="t2"))).id == "t2"


def test_what_was_approved_for_a_time_does_not_end_with_the_ticket(tmp_path: Path) -> None:
    mine = store(tmp_path)
    given_by(mine.ask(fresh()))
    mine.answer("t1", lasting("time"))
    assert given_by(mine.use("t1", time.time() + 3599)) == 1
    given_by(mine.ask(fresh(id="t2", args="other")))
    assert given_by(mine.use("t1", time.time() + 3601)) == 0


def test_no_answer_is_half_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = store(tmp_path)
    given_by(mine.ask(fresh()))

    def fails(*_: object) -> None:
        raise SessionError("the disk is full")

    monkeypatch.setattr(mine, "_approve_in", fails)
    with pytest.raises(SessionError, match="the disk is full"):
        mine.answer("t1", lasting("session"))
    assert [one.id for one in store(tmp_path).waiting()] == ["t1"]
    assert store(tmp_path).known() == []


def test_a_person_sees_the_ticket_whichever_process_asked(tmp_path: Path) -> None:
    mine = store(tmp_path)
    given_by(mine.ask(fresh(asker="one", actor="bot-7")))
    assert given_by(mine.ask(fresh(id="t2", asker="two", actor="bot-7"))).id == "t2"
    call = fresh(id="", definition="unknown")
    assert mine.standing(call, True) is None
    found = mine.standing(call, False), mine.standing(fresh(id=""), True)
    assert [one and one.id for one in found] == ["t1", "t1"]
