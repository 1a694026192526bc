"""Threat: a server that is only observed is used to take a credential, or something sent has another server observed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.attack.test_leaks import assert_clean
from tests.wire.session import puppet
from tests.wire.test_lanes import secret

VALUE = "value0Token7f6e5d4c3b2a1Zq9"
"""The credential of the server `one`."""
NOTHING = [{"id": "no", "effect": "deny"}]


@pytest.fixture
def guard(session, tmp_path):
    """`one` and `two` are observed and have logs of what they are sent, `three` is not; the policy denies everything."""
    path = secret(tmp_path, "api", VALUE)
    servers = {
        "one": puppet("--log", str(tmp_path / "one"), env={"TOKEN": "${credential:api}"}),
        "two": puppet("--log", str(tmp_path / "two")),
        "three": puppet("--log", str(tmp_path / "three")),
    }
    entry = {"api": {"value": f"${{file:{path}}}", "servers": ["one"]}}
    observe = {"until": (datetime.now(UTC) + timedelta(days=1)).date().isoformat(), "servers": ["one", "two"]}
    guard = session(servers, NOTHING, credentials=entry, observe=observe)
    assert guard.text("one__echo", text="started") == "started"
    return guard


def calls(tmp_path, server):
    """The calls that a server got."""
    log = tmp_path / server
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in map(json.loads, lines) if line.get("method") == "tools/call"]


def test_a_held_credential_neither_leaves_for_another_server_nor_comes_back(guard, tmp_path):
    refused = guard.call("two__seen", text=f"the token is {VALUE}")["result"]
    assert "a credential that is not for this server" in refused["content"][0]["text"]
    assert calls(tmp_path, "two") == []
    guard.call("one__act", code="answer = text(os.environ['TOKEN'])")
    guard.call("one__act", code="say(os.environ['TOKEN']); answer = text('x')")
    assert_clean(guard, VALUE)


@pytest.mark.parametrize(
    "params",
    [
        {"name": "three__echo", "arguments": {"text": "x", "observe": ["three"]}},
        {"name": "three__echo", "arguments": {"text": "x"}, "_meta": {"observe": {"servers": ["three"]}}},
        {"name": "three__echo", "arguments": {"text": "x"}, "server": "one"},
        {"name": "one__three__echo", "arguments": {"text": "x"}},
        {"name": "three__echo", "arguments": {"text": "x"}, "observed": True},
    ],
)
def test_nothing_that_a_client_sends_has_a_server_observed(guard, tmp_path, params):
    answer = guard.ask("tools/call", params)
    assert "error" in answer or answer["result"]["isError"]
    assert calls(tmp_path, "three") == []
    assert {one.get("server") for one in guard.records("decision") if "observed" in one} == {"one"}


def test_nothing_that_a_server_says_of_itself_has_it_observed(session, tmp_path):
    itself = "state['tools'] = [dict(tool('echo'), observe=True, annotations={'observed': True}, _meta={'observe': ['two']})]"
    servers = {
        "one": puppet(),
        "two": puppet("--start", itself, "--log", str(tmp_path / "two")),
    }
    observe = {"until": (datetime.now(UTC) + timedelta(days=1)).date().isoformat(), "servers": ["one"]}
    guard = session(servers, NOTHING, observe=observe)
    assert [name for name in guard.tools() if name.startswith("two")] == []
    assert "error" in guard.call("two__echo", text="x")
    assert calls(tmp_path, "two") == []
