"""Threat: somebody with a good token uses up all that others need of the HTTP front."""

import json
import resource
import socket
import time

import pytest

from tests.attack.issuer import Issuer
from tests.wire import warm
from tests.wire.session import eventually, puppet

ROOM = 100
"""So many connections are served where 200 files may be open."""


@pytest.fixture
def issuer():
    one = Issuer()
    yield one
    one.close()


@pytest.fixture
def guard(serve, issuer, tmp_path):
    """One that ada's tokens can attack; its state is its own."""
    http = {"token": issuer.entry, "max_sessions": 8, "per_principal": {"connections": 20, "requests": 15}}
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    few = {resource.RLIMIT_NOFILE: 2 * ROOM}
    return serve({"a": puppet()}, http=http, telemetry={"metrics": True}, ulimits=few, env=state)


def _half_a_head(guard, count):
    """Connections that have sent the beginning of a request each."""
    found = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", guard.port))
        one.sendall(b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        found.append(one)
    return found


def test_with_a_good_token_nobody_takes_connections_calls_or_sessions_from_others(guard, issuer):
    ada, bob = (guard.modern(authorization=issuer.bearer(name)) for name in ("ada", "bob"))
    assert ada.text("echo", text="first") == bob.text("echo", text="first") == "first"
    hanging = [ada.open_call("act", code="time.sleep(300)") for _ in range(15)]
    eventually(lambda: len(guard.unanswered()) == 15, "calls that wait")
    refused = ada.open_call("echo", text="x")
    assert (refused.status, refused.header("retry-after")) == (429, "1")
    assert refused.json()["error"]["message"].startswith("as many requests of this principal are open")
    about = {"authorization": issuer.bearer("ada"), "accept": "text/event-stream"}
    streams = [guard.open("GET", "/sse", **about) for _ in range(4)]
    assert [one.status for one in streams] == [200] * 4
    # Half of `max_sessions`, and each stream is one.
    assert guard.open("GET", "/sse", **about).status == 429
    silent = _half_a_head(guard, 2 * ROOM)
    more = [ada.open_call("act", code="time.sleep(300)") for _ in range(ROOM)]
    began = time.monotonic()
    for turn in range(10):
        assert bob.text("echo", text=str(turn)) == str(turn)
    assert time.monotonic() - began < 10, "the others are served though ada takes all that she may"
    assert guard.legacy(authorization=issuer.bearer("bob")).text("echo", text="x") == "x"
    for one in (*silent, *more, *hanging):
        one.close()


def test_who_reached_a_quota_is_seen_in_every_place_where_an_operator_looks(guard, issuer):
    about = {"authorization": issuer.bearer("ada"), "accept": "text/event-stream"}
    streams = [guard.open("GET", "/sse", **about) for _ in range(4)]
    assert [one.status for one in streams] == [200] * 4
    assert guard.open("GET", "/sse", **about).status == 429
    guard.wait_stderr(
        f"mcpguard: {issuer.url}:ada has as many sessions open as one principal may have "
        "(`http.per_principal.sessions` is 4); more are refused"
    )

    def notices():
        return [one for one in guard.records("notice") if one["what"] == "quota-reached"]

    (noticed,) = eventually(notices, "the record of it")
    assert noticed["detail"].startswith(f"{issuer.url}:ada has as many sessions open")
    told = guard.open("GET", "/readyz", authorization=issuer.bearer("bob")).json()
    assert told["needs"]["serving"]["ok"]
    assert (
        told["needs"]["serving"]["warning"] == "a principal is refused more sessions (`http.per_principal`)"
    )
    page = guard.open("GET", "/metrics", authorization=issuer.bearer("bob")).body().decode().splitlines()
    assert 'mcpguard_over_quota_total{what="sessions"} 1' in page
    assert 'mcpguard_in_use{what="streams"} 4' in page
    assert 'mcpguard_in_use{what="sessions"} 4' in page
    assert 'mcpguard_warning{need="serving"} 1' in page

    # Requests that have just ended count in a status until it is written again.
    where = {"XDG_STATE_HOME": str(guard.folder.parent / "state")}

    def process():
        status = warm.command("status", "--json", environment=where)
        (one,) = json.loads(status.stdout)["running"]
        return one["in_use"]["sessions"] == 4 and any(
            need["name"] == "serving" and need["warning"] for need in one["needs"]
        )

    eventually(process, "sessions and the warning in the status")
    eventually(
        lambda: b"4 streams, 4 sessions, 0 requests" in warm.command("status", environment=where).stdout,
        "what is in use, in the status",
    )
