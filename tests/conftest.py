"""Fixtures of the tests that run the real `mcpguard run`."""

import pytest

from tests.wire.session import Guard


@pytest.fixture
def start(tmp_path):
    """`start(servers, rules, ...)` starts `mcpguard run`; at the end each one is ended."""
    guards = []

    def begin(servers, rules=None, **more):
        folder = tmp_path / f"guard{len(guards)}" if guards else tmp_path
        folder.mkdir(exist_ok=True)
        guard = Guard(folder, servers, rules, **more)
        guards.append(guard)
        return guard

    yield begin
    for guard in guards:
        guard.dispose()


@pytest.fixture
def session(start):
    """As `start`, and the handshake is done."""

    def begin(servers, rules=None, **more):
        guard = start(servers, rules, **more)
        guard.hello()
        return guard

    return begin
