"""One row that cannot be read, since it is damaged or of another version: it allows nothing, it is named with
what to do, and all others are listed and decided as before."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.store import sessions, upkeep
from mcpguard.adapters.store.sqlite import FILE, FORM
from mcpguard.adapters.store.state import SharedState
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Principal
from mcpguard.core.policy.session import name_of
from mcpguard.core.policy.tickets import Ticket
from tests.adapters.store.shared import KINDS, Make, given_by, making
from tests.adapters.store.test_store import ADA, NOW, TICKET, labels, said
from tests.database import Database

EVE = structs.replace(ADA, principal=Principal("eve", "os-user"))
ADAS, EVES = (name_of(one.principal, one.agent) for one in (ADA, EVE))

SQLITE_ONLY = [
    "UPDATE {tickets} SET state = 'granted' WHERE id = 'bad'",
    "UPDATE {tickets} SET question = 5 WHERE id = 'bad'",
    "UPDATE {tickets} SET uses = 'many' WHERE id = 'bad'",
    "UPDATE {tickets} SET answer = 'no answer' WHERE id = 'bad'",
    'UPDATE {tickets} SET question = replace(question, \'"id":"bad"\', \'"id":"two"\') WHERE id = \'bad\'',
    "UPDATE {tickets} SET question = replace(question, '\"uses\":0', '\"created\":1e300') WHERE id = 'bad'",
]
ANYWHERE = ["UPDATE {tickets} SET question = '[]' WHERE id = 'bad'"]


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the wall clock: a test may come long after this file is read."""
    monkeypatch.setattr(time, "time", NOW.timestamp)


class Lab:
    """Stores that share their state, and how it is damaged."""

    def __init__(self, kind: str, folder: Path, made: Make, request: pytest.FixtureRequest) -> None:
        self.kind, self.file, self.make, self._request = kind, folder / "s" / FILE, made, request

    def damage(self, sql: str) -> None:
        if self.kind == "sqlite":
            with sqlite3.connect(self.file) as database:
                database.execute(sql.format(tickets="tickets", sessions="sessions"))
        else:
            server: Database = self._request.getfixturevalue("server")
            server.run(sql.format(tickets="mcpguard.tickets", sessions="mcpguard.sessions"))


@pytest.fixture(params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    with making(request.param, tmp_path, request) as made:
        yield Lab(request.param, tmp_path, made, request)


@pytest.fixture
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    with making("sqlite", tmp_path, request) as made:
        yield Lab("sqlite", tmp_path, made, request)


def asked(store: SharedState, name: str, args: str) -> Ticket:
    now = time.time()
    one: Ticket = given_by(
        store.ask(structs.replace(TICKET, id=name, args=args, created=now, expires=now + 60))
    )
    return one


def _others_go_on(lab: Lab, sql: str) -> None:
    store = lab.make()
    for number, name in enumerate(("good", "bad", "used")):
        asked(store, name, str(number))
    assert store.answer("used", said("approved", "a"))
    lab.damage(sql)
    store = lab.make()
    assert [one.id for one in store.waiting()] == ["good"]
    assert [one.id for one in store.approved()] == ["used"]
    assert [(one.id, one.principal) for one in store.unreadable()] == [("bad", "os-user:ada")]
    assert store.answer("good", said("approved", "a"))
    assert given_by(store.use("good", time.time())) == 1
    with pytest.raises(
        SessionError, match=r"ticket bad cannot be read.*`mcpguard approvals end bad` removes"
    ):
        asked(store, "new", "1")
    with pytest.raises(SessionError, match="ticket bad cannot be read"):
        store.known_ticket("bad")
    assert not store.remove("used")
    assert not store.remove("none")
    assert store.remove("bad")
    assert store.unreadable() == []
    assert asked(store, "new", "1").id == "new"


@pytest.mark.parametrize("sql", ANYWHERE)
def test_a_ticket_that_cannot_be_read_keeps_no_other_from_its_answer(lab: Lab, sql: str) -> None:
    _others_go_on(lab, sql)


@pytest.mark.parametrize("sql", SQLITE_ONLY)
def test_whatever_part_of_a_ticket_is_damaged_in_the_file(file: Lab, sql: str) -> None:
    _others_go_on(file, sql)


def test_an_approval_that_cannot_be_read_approves_nothing_and_keeps_no_other_call(lab: Lab) -> None:
    store = lab.make()
    lasting = structs.replace(said("approved", "a"), lasts="time", until=time.time() + 60, free=("x",))
    asked(store, "bad", "1")
    assert store.answer("bad", lasting)
    lab.damage("UPDATE {tickets} SET answer = '[' WHERE id = 'bad'")
    assert asked(store, "other", "2").state == "waiting"
    assert store.answer("other", lasting)
    with pytest.raises(SessionError, match="ticket bad cannot be read"):
        given_by(store.use("bad", time.time()))


def test_one_that_was_used_or_has_ended_is_of_no_interest(lab: Lab) -> None:
    store = lab.make()
    for number, (name, state) in enumerate({"bad": "used", "two": "ended"}.items()):
        asked(store, name, str(number))
        lab.damage(f"UPDATE {{tickets}} SET question = '[]', state = '{state}' WHERE id = '{name}'")
    assert store.unreadable() == []
    assert asked(store, "new", "0").id == "new"


@pytest.mark.parametrize("changed", ["state = ''", "state = '{{\"calls\":1}}'"])
def test_a_session_that_cannot_be_read_leaves_the_others(lab: Lab, changed: str) -> None:
    _others_are_kept(lab, changed)


@pytest.mark.parametrize(
    "changed",
    [
        "used = 'then'",
        "used = 9e999",
        "used = 1e300",
        "boot = x'ff'",
        "up = x''",
        "version = 'one'",
        "state = 5",
        "state = CAST(state AS TEXT)",
    ],
)
def test_whatever_part_of_a_session_is_damaged_in_the_file(file: Lab, changed: str) -> None:
    _others_are_kept(file, changed)


def _others_are_kept(lab: Lab, changed: str) -> None:
    store = lab.make()
    for one in (ADA, EVE):
        labels(store, one, add="a")
    lab.damage(f"UPDATE {{sessions}} SET {changed} WHERE name = '{EVES}'")
    store = lab.make()
    assert labels(store, ADA) == ["a"]
    with pytest.raises(
        SessionError, match=f"cannot be read: `mcpguard session end {EVES[:8]}` starts it over"
    ):
        labels(store, EVE)
    assert {one.name: one.state is None for one in store.known()} == {ADAS: False, EVES: True}
    assert store.edit(EVES, lambda kept: kept.ended(0.0))
    assert labels(store, EVE) == []
    assert labels(store, ADA) == ["a"]


@pytest.mark.parametrize("changed", ["principal", "agent", "boot", "name"])
def test_a_text_that_is_not_utf_8_makes_no_other_row_unreadable(file: Lab, changed: str) -> None:
    store = file.make()
    for one in (ADA, EVE):
        labels(store, one, add="a")
    file.damage(f"UPDATE sessions SET {changed} = CAST(x'66ff' AS TEXT) WHERE name = '{EVES}'")
    store = file.make()
    assert labels(store, ADA) == ["a"]
    assert len(store.known()) == 2
    asked(store, "good", "1")
    asked(store, "bad", "2")
    file.damage(
        "UPDATE tickets SET principal = CAST(x'66ff' AS TEXT), state = CAST(x'ff' AS TEXT) WHERE id = 'bad'"
    )
    assert [one.id for one in store.waiting()] == ["good"]
    assert [one.principal for one in store.unreadable()] == ["f\ufffd"]


def test_a_session_that_cannot_be_read_is_found_and_ended_however_long_nobody_used_it(lab: Lab) -> None:
    store = lab.make()
    labels(store, EVE, add="a")
    idle = "used = used - 3600, boot = ''" if lab.kind == "sqlite" else "used = used - 3600, held = 1"
    lab.damage(f"UPDATE {{sessions}} SET {idle} WHERE name = '{EVES}'")
    assert [one.name for one in lab.make().known(EVES[:6])] == []  # It has ended.
    lab.damage("UPDATE {sessions} SET state = ''")
    (found,) = lab.make().known(EVES[:6])
    assert (found.name, found.state) == (EVES, None)


def test_one_that_calls_are_refused_for_is_listed_meanwhile(file: Lab) -> None:
    store = file.make()
    labels(store, EVE, add="a")
    file.damage("UPDATE sessions SET used = used - 3600, boot = '', state = ''")
    mine = file.make()
    assert mine.known() == []
    mine.enter(EVE.principal, EVE.agent)
    with pytest.raises(SessionError, match="cannot be read"):
        labels(mine, EVE)
    assert [(one.name, one.open) for one in file.make().known()] == [(EVES, True)]


def test_a_name_that_is_damaged_keeps_no_session_of_long_ago_in_the_file(file: Lab) -> None:
    for one in (ADA, EVE):
        labels(file.make(), one, add="a")
    file.damage(f"UPDATE sessions SET name = CAST(x'ff' AS TEXT) WHERE name = '{EVES}'")
    with sqlite3.connect(file.file) as kept:  # Or the log would go with the last connection.
        kept.execute("SELECT count(*) FROM sessions").fetchall()
        upkeep.tidy(file.file, FORM, time.time() + 1e9, lambda _: False)
        assert kept.execute("SELECT count(*) FROM sessions").fetchall() == [(0,)]


@pytest.mark.parametrize("row", ["name = 'x/../../y'", "name = x'00'", "since = 'then'", "since = 9e999"])
def test_a_call_that_waits_by_a_damaged_row_hides_no_other(file: Lab, tmp_path: Path, row: str) -> None:
    store = file.make()
    beside = tmp_path / "y.waits"
    beside.touch()
    store.waits("bad", 1.0)
    store.waits("good", 2.0)
    file.damage(f"UPDATE waits SET {row} WHERE ticket = 'bad'")
    assert file.make().waited_for() == {"good": 2.0}
    assert beside.exists()


def _decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    found: list[bytes] = []
    readable = sessions.readable

    def counted(state: bytes) -> object:
        found.append(state)
        return readable(state)

    for module in ("sessions", "postgres"):
        monkeypatch.setattr(f"mcpguard.adapters.store.{module}.readable", counted)
    return found


def test_a_look_at_sessions_reads_those_that_it_is_about(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    store = lab.make()
    people = [Principal(f"p{number}", "os-user") for number in range(20)]
    for one in people:
        labels(store, structs.replace(ADA, principal=one), add="a")
    idle = "used = used - 3600, boot = ''" if lab.kind == "sqlite" else "used = used - 3600, held = 1"
    name = name_of(people[0], ADA.agent)
    lab.damage(f"UPDATE {{sessions}} SET {idle} WHERE name <> '{name}'")
    read = _decoded(monkeypatch)
    assert [one.name for one in lab.make().known()] == [name]
    assert len(read) == 1
    assert [one.name for one in lab.make().known(name[:10])] == [name]
    assert len(read) == 2


def test_a_session_is_found_by_its_name_without_reading_the_others(file: Lab) -> None:
    labels(file.make(), add="a")
    with sqlite3.connect(file.file) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN {sessions.NAMED}", sessions.between("4f1c")).fetchall()
    assert "SEARCH sessions USING PRIMARY KEY (name>? AND name<?)" in plan[0][3]
