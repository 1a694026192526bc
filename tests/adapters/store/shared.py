"""Stores of either kind that share their state, as processes and replicas do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from mcpguard.adapters.store.postgres import PostgresStore
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.store.state import SharedState
from mcpguard.adapters.system.clock import Uptime
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Wait
from tests.database import Database, installed
from tests.fakes import FixedClock

SECONDS = 20
PASSWORD = "state-of-the-tests"
ROLE = f"""
DO $$ BEGIN CREATE ROLE guard LOGIN PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DROP SCHEMA IF EXISTS mcpguard CASCADE;
CREATE SCHEMA mcpguard AUTHORIZATION guard;
"""
"""What `docs/guides/deploy.md` has an administrator do."""
LOOP: SimpleQueue[Callable[[], object]] = SimpleQueue()
"""Calls that threads hand to the event loop; these tests take them from here."""

needs_postgres = pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")
KINDS = ["sqlite", pytest.param("postgres", marks=needs_postgres)]

Make = Callable[[], SharedState]


def given_by(wait: Wait[Any]) -> Any:
    """What a wait gives once it is over; raises what it failed with."""
    while not wait.done:
        LOOP.get(timeout=SECONDS)()
    try:
        next(wait.__await__())
    except StopIteration as over:
        return over.value
    raise AssertionError


class Replicas:
    """Makes stores on one database."""

    def __init__(self, server: Database) -> None:
        self.server = server
        self.stores: list[PostgresStore] = []
        self.clock = FixedClock()

    @property
    def url(self) -> str:
        return self.server.url("guard", PASSWORD)

    def __call__(self, idle_seconds: float = 60, url: Callable[[], Secret] | None = None) -> PostgresStore:
        store = PostgresStore(url or (lambda: Secret(self.url)), idle_seconds, self.clock, LOOP.put)
        self.stores.append(store)
        return store

    def close(self) -> None:
        for store in self.stores:
            store.close()


@contextmanager
def making(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes stores of that kind which share a new state."""
    if kind == "sqlite":
        yield lambda: SqliteStore(folder / "s", 60, FixedClock(), lambda: Uptime("one", 1.0))
        return
    server: Database = request.getfixturevalue("server")
    server.run(ROLE)
    replicas = Replicas(server)
    try:
        yield replicas
    finally:
        replicas.close()
