"""A PostgreSQL for all tests of the store, started by the first that needs it."""

from collections.abc import Iterator

import pytest

from tests.database import Database, database


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    with database() as running:
        yield running
