"""Fixtures of the attacks over HTTP."""

import pytest

from tests.attack.test_leaks import PLAIN
from tests.servers.web import web
from tests.wire.http_session import HttpGuard


@pytest.fixture
def serve(tmp_path):
    """`serve(servers, rules, ...)` starts `mcpguard run --http`; at the end each one is ended."""
    guards = []

    def begin(servers, rules=None, **more):
        folder = tmp_path / f"http{len(guards)}"
        folder.mkdir()
        guards.append(HttpGuard(folder, servers, rules, **more))
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


@pytest.fixture
def upstream():
    """`upstream(on_call, ...)` starts a `web.Web`; at the end each one is ended."""
    running = []

    def begin(on_call=None, **more):
        stage = web(on_call, **more)
        running.append(stage)
        return stage.__enter__()

    yield begin
    for stage in running:
        stage.__exit__(None, None, None)


@pytest.fixture
def secret_file(tmp_path):
    """`headers` whose `X-Token` is the held secret `PLAIN`."""
    path = tmp_path / "token"
    path.write_text(PLAIN)
    path.chmod(0o600)
    return {"X-Token": f"${{file:{path}}}"}
