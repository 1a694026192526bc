"""State in PostgreSQL: ended by nothing but its end, refused while it is not known, and what is said then."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import structs

from mcpguard.adapters.store import connections, postgres, sessions
from mcpguard.adapters.store.postgres import PostgresStore
from mcpguard.adapters.store.sessions import encode
from mcpguard.adapters.store.tickets import ALONE
from mcpguard.core.errors import CredentialError, SessionError
from mcpguard.core.model import Principal
from mcpguard.core.policy.session import Session, StoredSession, name_of
from mcpguard.core.secret import Secret
from tests.adapters.store.shared import LOOP, PASSWORD, ROLE, SECONDS, Replicas, needs_postgres
from tests.adapters.store.test_store import ADA, DAILY, TICKET, given_by, labels, said
from tests.adapters.test_network import self_signed
from tests.database import Database, database, pooled, pooler, standby
from tests.rows import each
from tests.wire.session import eventually
from tests.wire.warm import python

OURS = len(connections.FORMS)

pytestmark = needs_postgres

ROOT = Path(__file__).parents[3]
NAME = name_of(ADA.principal, ADA.agent)


@pytest.fixture
def replicas(server: Database) -> Iterator[Replicas]:
    server.run(ROLE)
    made = Replicas(server)
    yield made
    made.close()


def aged(replicas: Replicas, seconds: float) -> None:
    """Nobody has used the sessions for so long."""
    replicas.server.run(f"UPDATE mcpguard.sessions SET used = used - {seconds}, held = held - {seconds}")


def known_for(store: PostgresStore, seconds: float) -> PostgresStore:
    """The database has answered without a failure for so long."""
    given_by(store.ticket(TICKET))
    store._since -= seconds
    return store


# --- how long a session lasts ----------------------------------------------------------------------


def test_a_session_ends_when_it_is_not_used_for_its_idle_time(replicas: Replicas) -> None:
    labels(replicas(), add="a")
    aged(replicas, 50)
    assert labels(known_for(replicas(), 1000)) == ["a"]
    aged(replicas, 50)
    assert labels(known_for(replicas(), 1000)) == ["a"], "the last look was a use"
    aged(replicas, 61)
    assert labels(known_for(replicas(), 1000)) == []


def test_a_replica_that_was_cut_off_takes_no_session_for_ended(replicas: Replicas) -> None:
    """Those who hold it may have been cut off as well, and say so as soon as they can."""
    labels(replicas(), add="a")
    aged(replicas, 1_000_000)
    store = replicas()
    assert labels(store) == ["a"]
    aged(replicas, 1_000_000)
    known_for(store, 1000)._is("no connection")
    assert labels(store) == ["a"]


def test_a_connection_keeps_its_session_at_every_replica(replicas: Replicas) -> None:
    holding = replicas()
    holding.enter(ADA.principal, ADA.agent)
    labels(holding, add="a")
    aged(replicas, 1000)
    replicas.clock.ring()
    other = known_for(replicas(), 1000)
    eventually(lambda: other.known()[0].open, "the other replica knows")
    assert labels(other) == ["a"]
    holding.leave(ADA.principal, ADA.agent)
    aged(replicas, 1000)
    replicas.clock.ring()
    given_by(holding.ticket(TICKET))
    assert labels(known_for(replicas(), 1000)) == []


def test_a_window_of_a_limit_outlasts_the_session(replicas: Replicas) -> None:
    def use(session: Session) -> None:
        for _ in range(10):
            session.charge(DAILY, ADA.now)

    given_by(replicas().change(ADA, use))
    aged(replicas, 3600)
    store = known_for(replicas(), 1000)
    assert given_by(store.change(ADA, lambda session: session.room(DAILY, ADA.now))) is False


def test_what_has_ended_is_removed(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    given_by(replicas().ask(TICKET))
    labels(replicas(), add="a")
    aged(replicas, postgres.KEPT_SECONDS + 1)
    labels(replicas(), structs.replace(ADA, agent="ide"))
    counted = "SELECT (SELECT count(*) FROM mcpguard.sessions) + (SELECT count(*) FROM mcpguard.tickets)"
    eventually(lambda: replicas.server.run(counted) == "1", "the old rows are gone")


# --- changes of several at once --------------------------------------------------------------------


def test_what_one_session_waits_for_is_stored_together(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, stored = replicas(), list[object]()
    labels(store)
    swapped = store._swapped
    monkeypatch.setattr(store, "_swapped", lambda *place: stored.append(place) or swapped(*place))
    waits = [store.change(ADA, partial(Session.add, labels=(f"l{n}",), facts=())) for n in range(100)]
    for wait in waits:
        given_by(wait)
    assert len(stored) <= 4
    assert len(labels(store)) == 100


def test_a_change_that_fails_costs_those_beside_it_nothing(replicas: Replicas) -> None:
    store = replicas()

    def fails(session: Session) -> None:
        session.add(("half",), ())
        raise ZeroDivisionError

    labels(store)
    wrong, right = store.change(ADA, fails), store.change(ADA, partial(Session.add, labels=("b",), facts=()))
    with pytest.raises(ZeroDivisionError):
        given_by(wrong)
    given_by(right)
    assert labels(store) == ["b"]


COUNT = """
import sys
from mcpguard.adapters.store.postgres import PostgresStore
from mcpguard.adapters.store.tickets import ALONE
from mcpguard.core.secret import Secret
from tests.adapters.store.shared import LOOP
from tests.adapters.store.test_store import ADA, given_by
from tests.fakes import FixedClock
store = PostgresStore(lambda: Secret(sys.argv[1]), 60, FixedClock(), LOOP.put)
store.enter(ADA.principal, ADA.agent)
def more(session):
    session.kept.calls += 1
for _ in range(100):
    given_by(store.change(ADA, more))
for number in range(30):
    print(number, given_by(store.use(f"t{number}", 0.0)))
"""


def test_replicas_at_once_lose_no_call_and_use_no_approval_twice(replicas: Replicas) -> None:
    mine = replicas()
    for number in range(30):
        now = time.time()
        given_by(
            mine.ask(
                structs.replace(TICKET, id=f"t{number}", args=str(number), created=now, expires=now + 99)
            )
        )
        mine.answer(f"t{number}", said("approved", "a"))
    command = [*python(), "-c", COUNT, replicas.url]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=-1, text=True) for _ in range(3)]
    uses = [line for process in running for line in process.communicate(timeout=60)[0].splitlines()]
    assert sorted(uses) == sorted(f"{number} {use}" for number in range(30) for use in (0, 0, 1))
    assert given_by(mine.change(ADA, lambda session: session.kept.calls)) == 300


def test_a_replica_that_is_slower_than_another_a_hundred_times_still_makes_its_change(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = replicas()
    labels(store, add="a")
    swapped, lost = store._swapped, iter(range(100))
    monkeypatch.setattr(
        store, "_swapped", lambda *at: swapped(*at) if next(lost, None) is None else (False, at[-2])
    )
    assert labels(store, add="b") == ["a", "b"]


def test_a_replica_that_others_never_let_store_a_change_refuses_it(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = replicas()
    labels(store, add="a")
    monkeypatch.setattr(store, "_swapped", lambda *at: (False, at[-2]))
    monkeypatch.setattr(postgres, "_tries", lambda: range(3))
    with pytest.raises(SessionError, match="others are changing it"):
        labels(store)


# --- a database that fails -------------------------------------------------------------------------


def test_a_connection_that_was_lost_while_nobody_used_it_costs_no_call(replicas: Replicas) -> None:
    store = replicas()
    labels(store, add="a")
    assert store.waiting() == []
    used = [
        one._connection for one in (*store._threads, store._patient_thread) if one._connection is not None
    ]
    replicas.server.run(
        "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity WHERE usename = 'guard'"
    )
    eventually(lambda: all(one.lost for one in used), "the connections are lost")
    assert labels(store) == ["a"]
    assert store.waiting() == []


def test_a_connection_that_is_lost_in_use_costs_a_call_and_no_more(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = replicas()
    labels(store, add="a")
    with monkeypatch.context() as patched:
        patched.setattr(connections.StateConnection, "lost", False)
        replicas.server.run(
            "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity WHERE usename = 'guard'"
        )
        with pytest.raises(SessionError, match=r"`session\.postgres` (is being stopped|does not accept)"):
            labels(store, add="b")
    assert labels(store) == ["a"]


@each(
    ("server_says", "used"),
    [("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")],
)
def test_what_is_acknowledged_is_on_the_disk_though_the_server_need_not_wait_for_it(
    replicas: Replicas, server_says: str, used: str
) -> None:
    replicas.server.run(f"ALTER ROLE guard SET synchronous_commit = {server_says}")
    try:
        connection = connections.connected(lambda: Secret(replicas.url))
        assert connection.execute("SHOW synchronous_commit").fetchone() == (used,)
        connection.close()
    finally:
        replicas.server.run("ALTER ROLE guard RESET ALL")


def test_a_replica_that_stands_still_within_a_transaction_holds_the_others_up_for_a_moment_only(
    replicas: Replicas,
) -> None:
    still = connections.connected(lambda: Secret(replicas.url))
    still.execute(ALONE)
    assert given_by(replicas().ask(TICKET)) == TICKET
    still.close()


def test_who_waits_too_long_for_others_is_refused(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_SETTLE", connections._SETTLE.replace("'2s'", "'0.1s'"))
    store = replicas()
    labels(store)
    with psycopg.connect(replicas.url) as other:
        other.execute("SELECT FROM mcpguard.sessions FOR UPDATE")
        with pytest.raises(SessionError, match="took longer than 2 seconds"):
            labels(store, add="a")
    assert labels(store, add="b") == ["b"]


@pytest.mark.parametrize(
    ("harm", "end", "why"),
    [
        ("LOCK TABLE mcpguard.sessions", "ROLLBACK", "took longer than 2 seconds"),
        ("LOCK TABLE mcpguard.tickets", "ROLLBACK", "took longer than 2 seconds"),
        (
            "ALTER TABLE mcpguard.sessions RENAME held TO was; COMMIT",
            "ALTER TABLE mcpguard.sessions RENAME was TO held; COMMIT",
            "were removed or changed by something else",
        ),
    ],
)
def test_a_table_that_takes_no_change_is_seen_until_it_does(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, harm: str, end: str, why: str
) -> None:
    monkeypatch.setattr(connections, "_SETTLE", connections._SETTLE.replace("'2s'", "'0.1s'"))
    store = replicas()
    labels(store)
    with psycopg.connect(replicas.server.url()) as other:
        other.execute(harm)
        with pytest.raises(SessionError, match=why):
            given_by(store.ask(TICKET)) if "tickets" in harm else labels(store, add="a")
        for _ in range(2):
            assert why in store.problem()
        other.execute(end)
    assert store.problem() == ""


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up(replicas: Replicas) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://guard:x@127.0.0.1:{silent.getsockname()[1]}/postgres"
        said = refusal(replicas(url=lambda: Secret(url)))
    assert said == "the PostgreSQL of `session.postgres` did not answer within 3 seconds"


def test_what_cannot_be_stored_is_refused_and_fails_nobody_else(replicas: Replicas) -> None:
    store = replicas()
    with pytest.raises(SessionError, match="a name in it has characters that PostgreSQL refuses"):
        labels(store, structs.replace(ADA, principal=Principal("a\0b", "os-user")))
    with pytest.raises(SessionError, match="a name in it has characters that PostgreSQL refuses"):
        given_by(store.ask(structs.replace(TICKET, principal="a\0b")))
    assert labels(store, add="a") == ["a"]
    assert store.failing == ""


@pytest.mark.parametrize("state", ["{}", "", '{"calls": 1}'])
def test_a_session_that_cannot_be_read_is_never_taken_for_a_new_one(replicas: Replicas, state: str) -> None:
    store = replicas()
    labels(store, add="a")
    replicas.server.run(f"UPDATE mcpguard.sessions SET state = '{state}', version = version + 1")
    with pytest.raises(SessionError, match=r"cannot be read: `mcpguard session end \w{8}` starts"):
        labels(store)
    (known,) = store.known()
    assert known.state is None
    assert store.edit(known.name, lambda kept: kept.ended(0.0))
    assert labels(store) == []


def labels_only(label: str) -> str:
    return encode(StoredSession(labels=[label])).decode()


def test_what_a_database_has_lost_still_counts_for_those_who_are_connected(replicas: Replicas) -> None:
    store, told = replicas(), list[str]()
    store.replaced = told.append
    store.enter(ADA.principal, ADA.agent)
    labels(store, add="a")
    labels(store, add="b")
    older = labels_only("c")
    replicas.server.run(f"UPDATE mcpguard.sessions SET version = version - 1, state = '{older}'")
    assert sorted(labels(store)) == ["a", "b", "c"]
    assert sorted(labels(replicas())) == ["a", "b", "c"]
    replicas.server.run("DELETE FROM mcpguard.sessions")
    assert sorted(labels(store)) == ["a", "b", "c"]
    assert sorted(labels(replicas())) == ["a", "b", "c"]
    assert len(told) == 2
    assert "has lost changes" in told[0]


def test_a_change_that_was_lost_is_not_taken_for_the_one_that_another_replica_made_since(
    replicas: Replicas,
) -> None:
    store, other = replicas(), replicas()
    store.enter(ADA.principal, ADA.agent)
    labels(store, add="a")
    before = replicas.server.run("SELECT version FROM mcpguard.sessions")
    labels(store, add="b")
    replicas.server.run(f"UPDATE mcpguard.sessions SET version = {before}, state = '{labels_only('a')}'")
    labels(other, add="c")
    assert "c" in labels(store)
    assert "c" in labels(store, add="d")


def test_what_was_lost_counts_until_it_is_stored_though_others_store_first(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, told, tries = replicas(), list[str](), list[list[str]]()
    store.replaced = told.append
    store.enter(ADA.principal, ADA.agent)
    labels(store, add="a")
    labels(store, add="b")
    older = labels_only("a")
    replicas.server.run(f"UPDATE mcpguard.sessions SET version = version - 1, state = '{older}'")
    swapped = store._swapped

    def late(*place: Any) -> Any:
        if len(tries) > 1:  # The second try and the third find that another replica was quicker.
            bump = "UPDATE mcpguard.sessions SET version = version + 10000000000"
            if len(tries) < 4:
                replicas.server.run(bump)
        return swapped(*place)

    def change(session: Session) -> None:
        tries.append(sorted(session.kept.labels))

    monkeypatch.setattr(store, "_swapped", late)
    given_by(store.change(ADA, change))
    assert tries == [["a", "b"]] * 4
    assert sorted(labels(replicas())) == ["a", "b"]
    assert len(told) == 1


@pytest.mark.parametrize(
    "less",
    [
        {"calls": 9},
        {"tools": {"s/t": 1}},
        {"labels": []},
        {"facts": []},
        {"spent": {DAILY.key: [(int(ADA.now.timestamp() * 60 // 86_400), 8)]}},
    ],
)
def test_each_part_of_a_session_can_be_what_was_lost(less: dict[str, Any]) -> None:
    now = ADA.now.timestamp()
    spent = {DAILY.key: [(int(now * 60 // 86_400), 10)]}
    known = StoredSession(10, {"s/t": 2}, ["a"], ["f"], spent)
    assert not sessions.lacks(known, known, now)
    assert sessions.lacks(structs.replace(known, **less), known, now)


# --- a pooler --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "shared"), [("SELECT 7", True), (None, True), ("", False)])
def test_a_pooler_whose_connections_serve_several_of_ours_is_refused(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, asked: str | None, shared: bool
) -> None:
    """It says that another process answers than does. The same one then serves both connections, or several
    serve one."""
    monkeypatch.setattr(connections.StateConnection, "pooled", True)
    if asked is None:
        monkeypatch.setattr(connections, "_PROCESS", "SELECT pg_backend_pid() + (random() * 1000000)::int")
    elif asked:
        monkeypatch.setattr(connections, "_PROCESS", asked)
    store = replicas()
    if not shared:
        assert labels(store, add="a") == ["a"]
        return
    assert "set `pool_mode = session`" in refusal(store)
    assert "set `pool_mode = session`" in store.problem()


@pytest.mark.skipif(not pooled(), reason="needs PgBouncer (in CI it must be there)")
@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_the_mode_of_pgbouncer_is_found_out(replicas: Replicas, mode: str) -> None:
    with pooler(replicas.server, mode, ("guard", PASSWORD)) as port:
        url = f"postgresql://guard:{PASSWORD}@127.0.0.1:{port}/postgres"
        store = replicas(url=lambda: Secret(url))
        if mode == "session":
            assert labels(store, add="a") == ["a"]
            assert store.problem() == ""
        else:
            assert "set `pool_mode = session`" in refusal(store)


# --- rows and tables that something else has changed ------------------------------------------------


@each(
    ("sql", "why"),
    [
        ("DELETE FROM mcpguard.form", "were removed or changed"),
        ("UPDATE mcpguard.form SET form = -1", "were removed or changed"),
        ("INSERT INTO mcpguard.form VALUES (9)", "by a later version"),
        (
            "ALTER TABLE mcpguard.sessions ENABLE ROW LEVEL SECURITY;"
            "ALTER TABLE mcpguard.sessions FORCE ROW LEVEL SECURITY",
            "without row-level security",
        ),
    ],
)
def test_what_something_else_has_changed_is_called_that(replicas: Replicas, sql: str, why: str) -> None:
    replicas.server.run(ROLE)
    labels(replicas(), add="a")
    replicas.server.run(sql)
    assert why in refusal(replicas())


def test_a_number_that_is_out_of_range_is_not_called_a_name(replicas: Replicas) -> None:
    store = replicas()
    labels(store, add="a")
    replicas.server.run("UPDATE mcpguard.sessions SET version = 9223372036854775807")
    with pytest.raises(SessionError, match="were removed or changed by something else"):
        labels(store, add="b")


def test_a_lock_is_waited_for_though_the_role_may_not_wait(replicas: Replicas) -> None:
    replicas.server.run("ALTER ROLE guard SET lock_timeout = '1ms'")
    try:
        connection = connections.connected(lambda: Secret(replicas.url))
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)
        connection.close()
    finally:
        replicas.server.run("ALTER ROLE guard RESET ALL")


# --- a standby -------------------------------------------------------------------------------------


def test_after_a_failover_replicas_know_what_the_standby_did_not_have(replicas: Replicas) -> None:
    with database() as primary, standby(primary) as second:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{second.port}"
        url = f"postgresql://guard:{PASSWORD}@{hosts}/postgres?target_session_attrs=read-write"
        primary.run(ROLE)
        one, other = (replicas(url=lambda: Secret(url)) for _ in range(2))
        told = list[str]()
        one.replaced = told.append
        one.enter(ADA.principal, ADA.agent)
        labels(one, add="a")
        second.stop()
        primary.run("ALTER SYSTEM SET synchronous_standby_names = ''")
        primary.run("SELECT pg_reload_conf()")
        eventually(lambda: primary.run("SHOW synchronous_standby_names") == "", "it waits for nobody")
        labels(one, add="lost")
        primary.stop()
        second.start()
        with pytest.raises(SessionError, match="currently has no primary; only a standby responds"):
            labels(one)
        second.promote()
        assert labels(other, add="b") == ["a", "b"]
        assert sorted(labels(one)) == ["a", "b", "lost"]
        assert len(told) == 1
        assert labels(one, add="c") == ["a", "b", "lost", "c"]
        assert sorted(labels(other)) == ["a", "b", "c", "lost"]


def test_while_no_standby_has_the_changes_nothing_is_decided_and_the_reason_is_said(
    replicas: Replicas,
) -> None:
    with database() as primary, standby(primary) as second:
        primary.run(ROLE)
        store = replicas(url=lambda: Secret(primary.url("guard", PASSWORD)))
        store.enter(ADA.principal, ADA.agent)
        labels(store, add="a")
        second.stop()
        wait = store.change(ADA, partial(Session.add, labels=("b",), facts=()))
        waits = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            " AND state_change < clock_timestamp() - interval '1s'"
        )
        eventually(lambda: primary.run(waits) == "1", "the change waits for the standby")
        replicas.clock.ring()
        with pytest.raises(SessionError, match="did not answer within 3 seconds"):
            given_by(wait)
        for _ in range(2):
            assert "waits for a synchronous standby: start one" in store.problem()
            with pytest.raises(SessionError, match="waits for a synchronous standby: start one"):
                labels(replicas(url=lambda: Secret(primary.url("guard", PASSWORD))))
        second.start()
        eventually(lambda: store.problem() == "", "the standby has the change")
        assert sorted(labels(store, add="c")) == ["a", "b", "c"]


def test_what_nobody_waits_for_any_more_is_not_done_on_a_connection_that_took_too_long(
    replicas: Replicas,
) -> None:
    done = list[object]()
    wanted = iter([True, False])
    thread = connections.ConnectionThread(lambda: connections.connected(lambda: Secret(replicas.url)))
    with pytest.raises(TimeoutError):
        thread.submit(done.append, lambda: next(wanted)).result(20)
    assert done == []
    thread.submit(done.append, lambda: True).result(20)
    assert len(done) == 1
    thread.end()


# --- for a person ----------------------------------------------------------------------------------


def test_a_person_sees_the_sessions_of_all_replicas_and_changes_them(replicas: Replicas) -> None:
    one, other = replicas(), replicas()
    labels(one, add="a")
    labels(one, structs.replace(ADA, agent="ide"), add="b")
    known = other.known()
    assert [(session.principal, session.agent) for session in known] == [
        ("os-user:ada", "ide"),
        ("os-user:ada", "desk"),
    ]
    assert other.edit(NAME, lambda kept: kept.without_label("a"))
    assert labels(one) == []
    assert not other.edit("nobody", lambda kept: kept)
    aged(replicas, 61)
    assert other.known() == []


def test_everybody_sees_since_when_the_first_call_waits_for_a_ticket(replicas: Replicas) -> None:
    one, other = replicas(), replicas()
    labels(one)
    overs = [one.waits("t1", 30.0), other.waits("t1", 20.0), other.waits("t2", 25.0)]
    assert (one.waiting_calls, other.waiting_calls) == (1, 2)
    for store in (one, other):
        given_by(store.ticket(TICKET))
    eventually(lambda: one.waited_for() == {"t1": 20.0, "t2": 25.0}, "all are stored")
    replicas.server.run("UPDATE mcpguard.waits SET held = held - 61")
    assert other.waited_for() == {}, "of a replica that was killed"
    replicas.clock.ring()
    eventually(lambda: other.waited_for() == {"t1": 30.0}, "the one that is left says so again")
    overs[0]()
    assert one.waiting_calls == 0
    eventually(lambda: _served(one) and other.waited_for() == {}, "no call waits")


def _served(store: PostgresStore) -> bool:
    return given_by(store.ticket(TICKET)) is None


# --- what is said ----------------------------------------------------------------------------------


def test_who_looks_learns_why_before_the_first_call_does(replicas: Replicas) -> None:
    store = replicas(url=lambda: Secret("postgresql://guard@127.0.0.1:1/postgres"))
    found = store.problem()
    assert "does not accept connections" in found
    eventually(lambda: not LOOP.empty() and LOOP.get()() is not None, "the loop learns it")
    assert store.failing == found


def refusal(store: PostgresStore) -> str:
    """Why nothing can be decided, which an operator sees as well."""
    with pytest.raises(SessionError) as raised:
        labels(store)
    assert store.problem() == store.failing == str(raised.value)
    return str(raised.value)


HERE = "postgresql://guard:{}@127.0.0.1:{}/postgres"


@each(
    ("url", "why"),
    [
        (
            "postgresql://guard@127.0.0.1:{port}/postgres",
            "requires a password, and `session.postgres` has none",
        ),
        ("postgresql://guard:wrong@127.0.0.1:{port}/postgres", "does not accept the password"),
        (f"postgresql://guard:{PASSWORD}@127.0.0.1:{{port}}/none", "has no such database or role"),
        (f"postgresql://guard:{PASSWORD}@127.0.0.1:1/postgres", "does not accept connections"),
        (f"postgresql://guard:{PASSWORD}@db.example/postgres", "needs TLS: set `sslmode=verify-full`"),
        (f"postgresql://guard:{PASSWORD}@/postgres", "must name the host"),
        (PASSWORD, "is not a PostgreSQL connection URL"),
    ],
)
def test_a_connection_that_cannot_be_made_is_described_without_its_url(
    replicas: Replicas, url: str, why: str
) -> None:
    text = refusal(replicas(url=lambda: Secret(url.format(port=replicas.server.port))))
    assert why in text
    assert "`session.postgres`" in text
    assert PASSWORD not in text
    assert "example" not in text


def test_a_connection_with_tls_is_as_the_url_says(replicas: Replicas, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    certificate, key = self_signed(tmp_path / "one")
    unknown, _key = self_signed(tmp_path / "other")
    replicas.server.protect(certificate, key)

    def protected(authority: Path) -> Secret:
        return Secret(f"{replicas.url}?sslmode=verify-full&sslrootcert={authority}")

    eventually(lambda: replicas(url=lambda: protected(certificate)).problem() == "", "it takes TLS")
    used = (
        "SELECT DISTINCT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'guard'"
    )
    assert replicas.server.run(used).startswith("TLSv1.")
    assert "has an untrusted TLS certificate" in refusal(replicas(url=lambda: protected(unknown)))
    missing, other = tmp_path / "none.pem", replicas.url.replace("127.0.0.1", "localhost")
    for options, why in {
        f"verify-full&sslrootcert={missing}": "`sslrootcert` in `session.postgres` has to name a readable file",
        f"verify-full&sslrootcert={certificate}": "has a TLS certificate for another host",
        "verifyfull": "(such as `sslmode`) has a value that is not known",
        "verify-ca&sslrootcert=system": "does not go with another one",
        f"require&sslcert={key}&sslkey={key}": "was shown no certificate: `sslcert` and `sslkey`",
    }.items():
        assert why in refusal(replicas(url=lambda url=f"{other}?sslmode={options}": Secret(url))), options


def test_a_reference_that_gives_nothing_is_named(replicas: Replicas) -> None:
    def missing() -> Secret:
        raise CredentialError("env:STATE is not set")

    assert refusal(replicas(url=missing)) == "`session.postgres` cannot be used: env:STATE is not set"


def test_without_the_extra_one_sentence_says_what_to_install(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    text = refusal(replicas())
    assert text.startswith("`session.postgres` needs the package `psycopg`, which is missing: run `")
    assert "mcpguard-gateway[postgres]" in text


@each(
    ("harm", "why"),
    [
        ("UPDATE mcpguard.form SET form = 9", "were made by a later version of mcpguard: use that one"),
        (
            "REVOKE UPDATE ON mcpguard.sessions FROM guard",
            "may not change the state: grant it SELECT, INSERT, UPDATE and DELETE on the tables of its schema",
        ),
        (
            "ALTER ROLE guard SET default_transaction_read_only = on",
            "the PostgreSQL of `session.postgres` is read-only: connect to a primary that accepts changes",
        ),
        ("DROP TABLE mcpguard.sessions", "were removed or changed by something else: restore them"),
    ],
)
def test_tables_that_cannot_be_used_are_a_sentence(replicas: Replicas, harm: str, why: str) -> None:
    replicas.server.run(ROLE)
    labels(replicas())
    replicas.server.run(harm)
    try:
        assert why in refusal(replicas())
    finally:
        replicas.server.run("ALTER ROLE guard RESET ALL")


def test_a_role_that_may_not_make_the_schema_is_told_so(replicas: Replicas) -> None:
    replicas.server.run("DROP SCHEMA mcpguard CASCADE")
    assert "has no schema `mcpguard`, and its role may not create it: have its owner" in refusal(replicas())


def test_a_role_that_may_only_change_rows_serves_once_the_tables_are_there(replicas: Replicas) -> None:
    replicas.server.run("DROP SCHEMA mcpguard CASCADE; CREATE SCHEMA mcpguard")
    owner = replicas(url=lambda: Secret(replicas.server.url()))
    labels(owner, add="a")
    replicas.server.run(
        "GRANT USAGE ON SCHEMA mcpguard TO guard;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mcpguard TO guard;"
        "GRANT SELECT ON mcpguard.form TO guard"
    )
    assert labels(replicas()) == ["a"]


def test_replicas_that_start_at_once_make_the_tables_once(replicas: Replicas) -> None:
    stores = [replicas() for _ in range(4)]
    waits = [
        store.change(ADA, partial(Session.add, labels=(str(n),), facts=())) for n, store in enumerate(stores)
    ]
    for wait in waits:
        given_by(wait)
    assert sorted(labels(stores[0])) == ["0", "1", "2", "3"]


def test_once_a_later_version_has_changed_the_tables_an_earlier_one_changes_nothing_any_more(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = replicas()
    labels(earlier, add="a")
    eventually(lambda: _served(earlier) and not any(one.open for one in earlier._threads), "none connects")
    forms = (*connections.FORMS, f"ALTER TABLE sessions ADD more TEXT; UPDATE form SET form = {OURS + 1}")
    with monkeypatch.context() as patched:
        patched.setattr(connections, "FORMS", forms)
        assert labels(replicas(), add="b") == ["a", "b"]
    left = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mcpguard/{OURS}'"
    eventually(lambda: replicas.server.run(left) == "0", "its connections have ended")
    with pytest.raises(SessionError, match="made by a later version of mcpguard: use that one"):
        labels(earlier, add="c")
    monkeypatch.setattr(connections, "FORMS", forms)
    assert labels(replicas()) == ["a", "b"]


OTHER_ROLE = f"""
DO $$ BEGIN CREATE ROLE other LOGIN PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
REVOKE pg_signal_backend FROM guard;
GRANT USAGE ON SCHEMA mcpguard TO other;
GRANT SELECT, INSERT, UPDATE, DELETE ON mcpguard.sessions, mcpguard.tickets, mcpguard.waits, mcpguard.pins TO other;
GRANT SELECT ON mcpguard.form TO other;
"""
LATER = f"ALTER TABLE sessions ADD more TEXT; UPDATE form SET form = {OURS + 1}"


def test_the_tables_are_changed_once_replicas_of_an_earlier_version_with_another_role_are_stopped(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(replicas(), add="a")
    replicas.server.run(OTHER_ROLE)
    earlier = replicas(url=lambda: Secret(replicas.server.url("other", PASSWORD)))
    labels(earlier)
    monkeypatch.setattr(connections, "FORMS", (*connections.FORMS, LATER))
    why = "connected to the database .* with a role that this one may not disconnect: stop them"
    with pytest.raises(SessionError, match=why):
        labels(replicas(), add="b")
    assert replicas.server.run("SELECT form FROM mcpguard.form") == str(OURS)
    earlier.close()
    counted = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'other'"
    eventually(lambda: replicas.server.run(counted) == "0", "they are stopped")
    assert labels(replicas(), add="b") == ["a", "b"]


def test_a_role_that_may_disconnect_others_ends_those_of_an_earlier_version(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(replicas(), add="a")
    replicas.server.run(f"{OTHER_ROLE} GRANT pg_signal_backend TO guard")
    earlier = replicas(url=lambda: Secret(replicas.server.url("other", PASSWORD)))
    labels(earlier)
    with monkeypatch.context() as patched:
        patched.setattr(connections, "FORMS", (*connections.FORMS, LATER))
        assert labels(replicas(), add="b") == ["a", "b"]
    with pytest.raises(SessionError, match="made by a later version of mcpguard: use that one"):
        labels(earlier, add="c")


def test_nothing_is_changed_before_the_connections_of_an_earlier_version_have_ended(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(replicas(), add="a")
    listed = (
        f"SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE application_name = 'mcpguard/{OURS}'"
    )
    hanging = [int(pid) for pid in replicas.server.run(listed).split()]
    monkeypatch.setattr(connections, "FORMS", (*connections.FORMS, LATER))
    with monkeypatch.context() as patched:
        patched.setattr(connections, "_PART_SECONDS", 0.1)
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert refusal(replicas()) == (
                "connections of replicas of an earlier version of mcpguard to the database of "
                "`session.postgres` do not end: stop these replicas"
            )
            assert replicas.server.run("SELECT form FROM mcpguard.form") == str(OURS)
        finally:
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)
    assert labels(replicas(), add="b") == ["a", "b"]


def test_only_the_owner_of_the_tables_changes_them(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(replicas(), add="a")
    replicas.server.run(OTHER_ROLE)
    monkeypatch.setattr(connections, "FORMS", (*connections.FORMS, LATER))
    why = "made by an earlier version of mcpguard, and its role does not own them: start one replica"
    with pytest.raises(SessionError, match=why):
        labels(replicas(url=lambda: Secret(replicas.server.url("other", PASSWORD))))


def test_whoever_connects_while_the_tables_are_changed_learns_it(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(replicas(), add="a")
    slow = (*connections.FORMS, f"SELECT pg_advisory_xact_lock(77); {LATER}")
    with psycopg.connect(replicas.server.url()) as holding:
        holding.execute("SELECT pg_advisory_lock(77)")
        monkeypatch.setattr(connections, "FORMS", slow)
        patient = connections._SETTLE.replace(f"'{connections.STATEMENT_SECONDS}s'", "'60s'")
        monkeypatch.setattr(connections, "_SETTLE", patient)
        wait = replicas().change(ADA, lambda session: sorted(session.kept.labels))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"
        eventually(lambda: replicas.server.run(waits) == "1", "it changes the tables")
        with pytest.raises(subprocess.CalledProcessError):
            replicas.server.run("SET lock_timeout = '50ms'; SELECT form FROM mcpguard.form")
        holding.execute("SELECT pg_advisory_unlock(77)")
        assert given_by(wait) == ["a"]
    assert replicas.server.run("SELECT form FROM mcpguard.form") == str(OURS + 1)


@each("settings", ["", "?target_session_attrs=primary", "?target_session_attrs=read-write"])
def test_a_primary_that_is_read_only_is_not_called_a_standby(replicas: Replicas, settings: str) -> None:
    replicas.server.run("ALTER ROLE guard SET default_transaction_read_only = on")
    try:
        text = refusal(replicas(url=lambda: Secret(f"{replicas.url}{settings}")))
    finally:
        replicas.server.run("ALTER ROLE guard RESET ALL")
    assert text == (
        "the PostgreSQL of `session.postgres` is read-only: connect to a primary that accepts changes"
    )


@each(
    ("state", "why"),
    [
        ("25006", "is read-only: connect to a primary that accepts changes"),
        ("53100", "has no space left on its disk"),
        ("53200", "has too little memory or too few connections"),
        ("57P01", "is being stopped or started"),
        ("40P01", "undid a change because of others at the same time: the next one may succeed"),
        ("42601", "refused it (SyntaxError, 42601): see what `session.postgres` may do"),
    ],
)
def test_what_the_server_says_later_is_a_sentence(state: str, why: str) -> None:
    error = psycopg.errors.lookup(state)("words of the server")
    assert connections.described(error) == f"the PostgreSQL of `session.postgres` {why}"


@each(
    ("said", "why"),
    [
        ("FATAL:  the database system is starting up", "is being stopped or started"),
        ("FATAL:  remaining connection slots are reserved for superusers", "accepts no more connections"),
        ("FATAL: no more connections allowed (max_client_conn)", "accepts no more connections"),
        ("session is read-only", "is read-only: connect to a primary that accepts changes"),
        ('FATAL:  role "a" is not permitted to log in', "does not let the role of `session.postgres` log in"),
        (
            'FATAL:  permission denied for database "a"',
            "does not let the role of `session.postgres` connect to its database",
        ),
        ("FATAL:  Passwort-Authentifizierung", "refused the connection: its log says why"),
        ("failed to resolve host 'a'", "has a host in `session.postgres` whose name cannot be resolved"),
        ("Connection refused", "does not accept connections: check that it is running"),
        ("server is in hot standby mode", "currently has no primary; only a standby responds"),
    ],
)
def test_what_the_server_says_at_once_is_a_sentence(said: str, why: str) -> None:
    error = psycopg.OperationalError(f"connection failed: {said}")
    assert connections.described(error) == f"the PostgreSQL of `session.postgres` {why}"


def test_a_store_that_is_closed_keeps_no_thread(replicas: Replicas) -> None:
    before = set(threading.enumerate())
    store = replicas()
    store.enter(ADA.principal, ADA.agent)
    labels(store, add="a")
    assert store.waiting() == []
    store.close()
    replicas.clock.ring()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_a_store_says_that_it_was_not_asked_yet_and_then_that_it_can_be_used(replicas: Replicas) -> None:
    store, told = replicas(), list[Any]()
    store.changed = lambda: told.append(store.failing)
    assert store.failing.endswith("has not answered yet")
    assert store.problem() == ""
    labels(store)
    assert store.failing == ""
    assert told == [""]


# --- a connection that ends at each step of an approval ----------------------------------------------

ONCE = """
DROP SEQUENCE IF EXISTS ends; CREATE SEQUENCE ends; GRANT USAGE ON SEQUENCE ends TO guard;
CREATE OR REPLACE FUNCTION end_once() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
IF nextval('public.ends') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(20); END IF;
RETURN NULL; END $$;
CREATE TRIGGER end_once AFTER {} FOR EACH ROW EXECUTE FUNCTION public.end_once();
"""
"""End the connection that does it for the first time: what counts it is not rolled back."""


STEPS = {
    "asked": "INSERT ON mcpguard.tickets",
    "answered": "UPDATE ON mcpguard.tickets",
    "remembered": "UPDATE ON mcpguard.sessions",
    "used": "UPDATE ON mcpguard.tickets",
    "counted": "UPDATE ON mcpguard.sessions",
}


@pytest.mark.parametrize("ends_in", STEPS)
def test_a_connection_that_ends_in_a_step_has_done_nothing_of_it_and_the_next_try_does_it_once(
    replicas: Replicas, ends_in: str
) -> None:
    one, other, now = replicas(), replicas(), time.time()
    ticket = structs.replace(TICKET, created=now, expires=now + 60, session=NAME)
    lasting = structs.replace(said("approved", "a"), lasts="session", until=now + 60)
    answer = lasting if ends_in == "remembered" else said("approved", "a")
    labels(one, add="a")
    steps: dict[str, Callable[[], Any]] = {
        "asked": lambda: given_by(one.ask(ticket)).id,
        "remembered" if ends_in == "remembered" else "answered": lambda: other.answer(ticket.id, answer),
        "used": lambda: given_by(one.use(ticket.id, now)),
        "counted": lambda: labels(one, add="b"),
    }
    states = []
    for name, step in steps.items():
        if name == ends_in:
            replicas.server.run(ONCE.format(STEPS[name]))
            with pytest.raises(SessionError, match=r"`session\.postgres` (is being stopped|does not accept)"):
                step()
        states.append(getattr(replicas().known_ticket(ticket.id), "state", ""))
        assert step()
    assert states == ["", "waiting", "approved", "approved" if answer is lasting else "used"]
    assert labels(one) == ["a", "b"]
    assert given_by(other.use(ticket.id, now)) == (2 if answer is lasting else 0)
    assert one.failing == other.failing == ""


def test_a_call_whose_wait_could_not_be_stored_goes_on_waiting(replicas: Replicas) -> None:
    store, now = replicas(), time.time()
    labels(store)
    replicas.server.run(ONCE.format("INSERT ON mcpguard.waits"))
    over = store.waits("t1", now)
    while not store.failing:
        LOOP.get(timeout=SECONDS)()
    assert store.waited_for() == {}
    assert store.waiting_calls == 1
    over()
    assert (store.waiting_calls, labels(store)) == (0, [])


@pytest.mark.parametrize("hours", [3, -3])
def test_a_database_whose_clock_differs_ends_no_ticket_and_no_session(replicas: Replicas, hours: int) -> None:
    replicas().known()
    set_clock = (
        "CREATE OR REPLACE FUNCTION mcpguard.moment() RETURNS FLOAT8 STABLE LANGUAGE sql AS"
        f" 'SELECT extract(epoch FROM clock_timestamp())::float8 + {hours * 3600}'"
    )
    replicas.server.run(set_clock)
    store, now = replicas(), time.time()
    labels(store, add="a")
    given_by(store.ask(structs.replace(TICKET, created=now, expires=now + 60)))
    given_by(store._doing(partial(store._hold, [], [], True)))
    assert [one.id for one in replicas().waiting()] == ["t1"]
    assert labels(replicas()) == ["a"]
    assert [one.name for one in store.known()] == [NAME]
