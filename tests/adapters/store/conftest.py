"""A PostgreSQL for all tests of the store, started by the first that needs it; and stores of each kind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.store.shared import KINDS, Make, making
from tests.database import Database, database
from tests.fakes import MemoryStore


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    with database() as running:
        yield running


@pytest.fixture(params=KINDS)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes databases that share their state, as processes do."""
    with making(request.param, tmp_path, request) as made:
        yield made


@pytest.fixture(params=[*KINDS, "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """The same, of each that keeps the contract."""
    if request.param == "memory":
        memory = MemoryStore()
        yield lambda: memory
        return
    with making(request.param, tmp_path, request) as made:
        yield made
