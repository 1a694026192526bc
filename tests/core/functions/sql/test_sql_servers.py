"""`sql()` against the servers themselves: no statement reads, calls or changes more than it says.

`MCPGUARD_SQL_STATEMENTS=100000 MCPGUARD_SQL_SEED=7 pytest tests/core/functions/sql/test_sql_servers.py` tries more.
"""

from __future__ import annotations

import os

import pytest

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.sql.function import sql
from mcpguard.core.functions.sql.words import CATALOGUE, POSTGRES_OPERATORS, PURE
from tests.core.functions.sql.sql_servers import WHOLE, Postgres, Truth, sqlite
from tests.core.functions.sql.sql_statements import WRITTEN, statements
from tests.database import database, installed

COUNT = int(os.environ.get("MCPGUARD_SQL_STATEMENTS", "1000"))
SEED = int(os.environ.get("MCPGUARD_SQL_SEED", "11"))
ROWS = 60
EXTENSIONS = {"%>", "<%", "<#>", "<+>", "<=>"}
"""Operators of pg_trgm and pgvector."""


def _names(found: dict, field: str) -> set[str]:
    return {str(one).strip('"').lower() for one in found[field]}


def _unsaid(found: dict, truth: Truth) -> list[str]:
    """What the server does and the reading does not say."""
    tables, columns, functions = (_names(found, field) for field in ("tables", "columns", "functions"))
    tables |= {one.removeprefix("public.").removeprefix("main.") for one in tables}
    said = [f"reads {table}" for table in truth.tables if table not in tables]
    if "*" not in columns:
        said += [f"reads {table}.{column}" for table, column in truth.reads if column not in columns]
        said += [f"reads all of {table}" for table, column in truth.reads if column == WHOLE]
    if not found["writes"] or found["pure"]:
        said += [f"calls {name}" for name in truth.calls]
    operators = {"plus"} if functions & {"~+", "@-", "operator"} else set()
    said += [f"does not list {name}" for name in truth.calls - functions - operators]
    if truth.changes and not found["writes"]:
        said.append("changes something")
    return said


def _wrong(found: dict, server, text: str) -> list[str]:
    """What happens when the statement runs and the reading excludes."""
    rows = {"select", "insert", "update", "delete", "merge"} >= set(found["kinds"])
    happened = server.effects(text) if rows else None
    if happened is None:
        return []
    said = ["left traces"] * (happened.traces and not found["writes"])
    asked = found["kinds"] == ["select"]
    said += ["gave more rows"] * (asked and happened.rows > found["limit"])
    return said + ["changed most rows"] * (found["filtered"] and happened.changed > ROWS / 2)


def _bad(server, dialect: str, seed: int, count: int) -> tuple[list[str], int, int]:
    """The statements that say less than they do, how many the server accepted, and how many were read."""
    bad, accepted, read = [], 0, 0
    for text in statements(dialect, seed, count):
        truth = server.truth(text)
        if truth is None:
            continue
        accepted += 1
        try:
            found = sql(text, dialect, WRITTEN)
        except FunctionError:
            continue
        read += 1
        said = _unsaid(found, truth)
        if not said and (found["filtered"] or not found["writes"]):
            said = _wrong(found, server, text)
        if isinstance(server, Postgres) and not said and found["pure"] and not found["writes"]:
            tables, columns = _names(found, "tables"), _names(found, "columns")
            tables |= {one.removeprefix("public.") for one in tables}
            said = ["needs a privilege that is not said"] * server.lacks(text, tables, columns)
        if said:
            bad.append(f"{text}\n    {'; '.join(said)}")
    return bad, accepted, read


@pytest.fixture(scope="module")
def postgres():
    if not installed():
        pytest.skip("needs PostgreSQL (in CI it must be there)")
    with database() as empty:
        server = Postgres(empty)
        yield server
        server.close()


@pytest.mark.uncounted
def test_postgresql_does_nothing_that_was_not_said(postgres):
    bad, accepted, read = _bad(postgres, "postgres", SEED, COUNT)
    assert not bad, "\n".join(bad)
    assert accepted > COUNT / 10
    assert read > COUNT / 20


def test_what_is_called_pure_is_neither_volatile_nor_reserved_in_postgresql(postgres):
    assert not PURE["postgres"] & postgres.suspects
    assert POSTGRES_OPERATORS - {"!=", "=>"} - EXTENSIONS <= postgres.operators


def test_a_view_of_the_catalogue_has_each_column_that_is_listed(postgres):
    for view, columns in CATALOGUE.items():
        assert columns <= postgres.columns[view], view


@pytest.mark.uncounted
def test_sqlite_does_nothing_that_was_not_said():
    with sqlite() as server:
        bad, accepted, read = _bad(server, "sqlite", SEED, COUNT)
    assert not bad, "\n".join(bad)
    assert accepted > COUNT / 10
    assert read > COUNT / 20
