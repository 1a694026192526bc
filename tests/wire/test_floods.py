"""Clients that make as much evidence as they can: what is on record stays small, complete and verifiable."""

import json
import re

import pytest

from mcpguard.adapters.telemetry.status_file import REFRESH_SECONDS
from tests.wire.http_session import HttpGuard
from tests.wire.session import Guard, eventually, puppet, verify

REFUSALS, ARGUMENTS = 30, 50_000
AUDIT = {
    "path": "audit",
    "bounds": {"refusals_per_minute": REFUSALS, "arguments_bytes_per_minute": ARGUMENTS},
}
RULES = [{"id": "echo", "effect": "allow", "tools": ["echo"]}]
MOST = 4 * (REFUSALS * 1500 + ARGUMENTS) + 50_000
"""Bytes of four minutes of what may be refused, and some for the rest."""
LINES = 600


@pytest.fixture
def guard(tmp_path):
    guard = Guard(tmp_path, {"p": puppet()}, RULES, audit=AUDIT)
    guard.hello()
    guard.tools()
    yield guard
    guard.dispose()


def flood(kind):
    """LINES messages that are refused, and how many of them have an answer with their id."""
    if kind == "garbage":
        return [b"{nonsense" for _ in range(LINES)]
    method = "no/such" if kind == "unknown methods" else "tools/call"
    name = f"made-up-{'x' * 200}" if kind == "unknown tools" else "raw"
    return [
        json.dumps(
            {"jsonrpc": "2.0", "id": 1000 + n, "method": method,
             "params": {"name": name, "arguments": {"text": "y" * 8000}}}
        ).encode()
        for n in range(LINES)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["denied calls", "unknown tools", "unknown methods", "garbage"])
def test_a_flood_of_refusals_is_counted_to_the_last_one_in_little_room(guard, kind):
    lines = flood(kind)
    guard.send(b"\n".join(lines))
    refused = lambda: sum("error" in one or one["result"].get("isError") for one in guard.messages[2:])  # noqa: E731
    guard.pump(until=lambda: refused() == LINES)
    assert guard.text("echo", text="served as before") == "served as before"
    assert guard.end() == 0
    assert len(guard.audit_bytes) < MOST
    single = [
        one for one in guard.records() if one.get("effect") == "deny" or one.get("what") == "message-refused"
    ]
    folded = [one["folded"] for one in guard.records("notice") if one["what"] == "refusals-folded"]
    assert len(single) + sum(one["count"] for one in folded) == LINES
    assert all(len(one["digest"]) == 64 for one in folded)
    assert b"more requests of this session are refused than are recorded individually" in guard.stderr
    assert len(guard.stderr) < 200_000
    code, said = verify(guard.audit_folder)
    assert (code, "intact" in said) == (0, True), said


def test_with_the_default_bounds_it_is_said_that_refusals_are_only_counted(tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    some = {"id": "some", "effect": "allow", "tools": ["echo"], "when": "args.text == ''"}
    guard = Guard(tmp_path, {"p": puppet()}, [some], env=env)
    status = tmp_path / "state" / "mcpguard" / "status" / f"{guard.pid}.json"
    try:
        guard.hello()
        guard.tools()
        eventually(status.exists, "the status")
        guard.send(b"\n".join(flood("denied calls")[:300]).replace(b'"raw"', b'"echo"'))
        guard.pump(until=lambda: 1299 in guard._inbox)
        eventually(
            lambda: b"refusals are only counted" in status.read_bytes(), "the status", REFRESH_SECONDS - 2
        )
        assert guard.end() == 0
    finally:
        guard.dispose()
    assert b"refusals are only counted from now on" in guard.stderr
    # There is room for one more a second, and the flood may take some.
    assert re.search(rb"mcpguard: (60|5\d) lines about this session were dropped", guard.stderr)


def test_a_flood_of_large_allowed_calls_leaves_each_call_and_few_of_their_arguments(guard):
    calls = [
        json.dumps(
            {"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
             "params": {"name": "echo", "arguments": {"text": "y" * 8000}}}
        ).encode()
        for n in range(100)
    ]  # fmt: skip
    guard.send(b"\n".join(calls))
    guard.pump(until=lambda: 1099 in guard._inbox)
    assert guard.end() == 0
    decisions = [one for one in guard.records("decision") if one.get("tool") == "echo"]
    assert len(decisions) == 100
    assert len([one for one in guard.records("outcome") if one["status"] == "ok"]) >= 100
    recorded = [one for one in decisions if "arguments" in one]
    assert 0 < len(recorded) * 8000 <= 4 * ARGUMENTS
    assert b"this session sends more arguments than are recorded" in guard.stderr
    left = next(one for one in decisions if "arguments" not in one)
    assert (left["arguments_omitted"], left["arguments_bytes"]) == ("rate", 8011)


@pytest.mark.parametrize("method", ["tools/list", "logging/setLevel"])
def test_a_flood_of_lists_leaves_little_and_each_is_answered(guard, method):
    params = {"level": "info"} if method == "logging/setLevel" else {}
    assert all("result" in guard.ask(method, params) for _ in range(LINES))
    assert guard.end() == 0
    assert len(guard.audit_bytes) < MOST
    assert "lists-folded" in [one["what"] for one in guard.records("notice")]
    if method == "tools/list":
        assert b"it gets what they listed before" in guard.stderr
    assert verify(guard.audit_folder)[0] == 0


def test_over_http_no_connection_gets_more_room_than_another(tmp_path):
    guard = HttpGuard(tmp_path, {"p": puppet()}, RULES, audit=AUDIT)
    try:
        for _ in range(3):
            client = guard.legacy()
            for _ in range(100):
                client.call("raw", text="y" * 8000)
        folded = [one for one in guard.records("notice") if one["what"] == "refusals-folded"]
        assert folded
        assert len(guard.audit_bytes) < MOST
        ready = guard.open("GET", "/readyz")
        evidence = ready.json()["needs"]["evidence"]
        assert (ready.status, evidence["ok"]) == (200, True)
        assert "is refused so often that its refusals are only counted" in evidence["warning"]
    finally:
        guard.dispose()


def test_whoever_has_shown_no_token_leaves_no_evidence(tmp_path):
    token = {"issuer": "http://127.0.0.1:9", "audience": "http://127.0.0.1/mcp"}
    guard = HttpGuard(tmp_path, {"p": puppet()}, RULES, audit=AUDIT, http={"token": token})
    try:
        eventually(lambda: guard.records("notice"), "that it has started")
        before, errors = len(guard.audit_bytes), len(guard.stderr)
        for n in range(60):
            wrong = {"authorization": f"Bearer x{n}.y.z"} if n % 2 else {"host": "evil.example"}
            assert guard.post(b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"z" * 9000, **wrong).status >= 400
        assert len(guard.audit_bytes) - before < 1000
        assert len(guard.stderr) - errors < 5000
    finally:
        guard.dispose()
