"""A role of PostgreSQL behind the real `mcpguard run`: used by a server, never seen by the client, and gone
afterwards, whatever way mcpguard ends."""

from __future__ import annotations

import signal

import pytest

from tests.adapters.credentials.test_postgres import ADMIN_PASSWORD, SETUP
from tests.database import database, installed
from tests.wire.session import eventually, puppet

pytestmark = pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")

QUERY = """
import site
site.main()  # A puppet starts without site-packages.
import psycopg
state["held"] = psycopg.connect(environ["TOKEN"], autocommit=True)
answer = text(str(state["held"].execute("SELECT text FROM notes").fetchall()))
"""
TELL = """
from urllib.parse import urlsplit
url = environ["TOKEN"]
answer = text(f"{url} {urlsplit(url).password} {urlsplit(url).password.encode().hex()}")
"""


@pytest.fixture(scope="module")
def server():
    with database() as running:
        running.run(SETUP)
        yield running


@pytest.fixture
def guarded(server, session, tmp_path):
    """`guarded()` is a session whose server has a minted role."""
    admin = tmp_path / "admin"
    admin.write_text(server.url("minter", ADMIN_PASSWORD))
    admin.chmod(0o600)
    grants = ["GRANT USAGE ON SCHEMA public TO {role}", "GRANT SELECT ON notes TO {role}"]
    minted = {"admin": f"${{file:{admin}}}", "grants": grants}
    credentials = {"pg": {"servers": ["s"], "postgres": minted}}
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}

    def begin():
        servers = {"s": puppet(env={"TOKEN": "${credential:pg}"})}
        return session(servers, env=state, credentials=credentials)

    return begin


def roles(server):
    return set(server.run(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'mcpguard\_%'").split())


def sessions(server):
    return server.run(r"SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'mcpguard\_%'")


def test_a_server_uses_a_role_that_is_made_for_it_and_gone_at_the_end(server, guarded):
    guard = guarded()
    assert roles(server) == set()
    assert guard.text("act", code=QUERY) == "[('hello',)]"
    (role,) = roles(server)
    said = guard.text("act", code=TELL)
    assert role not in said
    assert "[REDACTED" in said
    assert guard.end() == 0
    assert (roles(server), sessions(server)) == (set(), "0")
    assert ADMIN_PASSWORD.encode() not in guard.received + guard.stderr + guard.audit_bytes


def test_a_role_is_dropped_when_a_signal_ends_mcpguard(server, guarded):
    guard = guarded()
    guard.text("act", code=QUERY)
    assert len(roles(server)) == 1
    guard.signal(signal.SIGTERM)
    guard.wait()
    assert (roles(server), sessions(server)) == (set(), "0")


def test_no_password_of_a_role_reaches_the_client_alone_or_encoded(server, guarded):
    guard = guarded()
    out = guard.folder / "password"
    guard.text(
        "act",
        code=f"import pathlib; pathlib.Path({str(out)!r}).write_text(environ['TOKEN'])\nanswer = text('')",
    )
    guard.text("act", code=TELL)
    url = out.read_text()
    password = url.split(":")[2].split("@")[0]
    guard.end()
    everything = bytes(guard.received + guard.stderr + guard.audit_bytes)
    for form in (url, password, password.encode().hex()):
        assert form.encode() not in everything


def test_after_kill_9_the_role_stays_until_the_next_start_drops_it_without_being_asked(server, guarded):
    guard = guarded()
    guard.text("act", code=QUERY)
    (role,) = roles(server)
    guard.signal(signal.SIGKILL)
    guard.process.wait(30)
    assert roles(server) == {role}

    after = guarded()
    eventually(lambda: not roles(server), "the role is dropped")
    assert sessions(server) == "0"
    notices = after.records("notice")
    back = [one["detail"] for one in notices if one["what"] == "credential-taken-back"]
    assert back == ["credential:pg"]
    assert after.text("act", code=QUERY) == "[('hello',)]"
    assert after.end() == 0
    assert roles(server) == set()


def test_the_role_of_another_mcpguard_that_runs_is_left_alone(server, guarded):
    first = guarded()
    first.text("act", code=QUERY)
    (role,) = roles(server)
    second = guarded()
    second.text("act", code=QUERY)
    assert role in roles(server)
    assert second.end() == 0
    assert roles(server) == {role}
    assert (
        first.text("act", code='answer = text(str(state["held"].execute("SELECT 1").fetchall()))') == "[(1,)]"
    )
    assert first.end() == 0
    assert roles(server) == set()


def test_what_cannot_be_taken_back_is_told_and_serving_goes_on(server, guarded, tmp_path):
    guard = guarded()
    guard.text("act", code=QUERY)
    guard.signal(signal.SIGKILL)
    guard.process.wait(30)
    admin = tmp_path / "admin"
    right = admin.read_text()
    admin.write_text(server.url("minter", "changed-meanwhile"))
    after = guarded()
    after.wait_stderr(
        f"left behind could not be revoked: credential:pg: PostgreSQL at 127.0.0.1:{server.port} does not accept"
    )
    assert after.end() == 0
    assert len(roles(server)) == 1
    admin.write_text(right)
    again = guarded()
    eventually(lambda: not roles(server), "the role is dropped")
    assert again.end() == 0
