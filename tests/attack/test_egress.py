"""Threat: a credential that the model was told reaches another server than its own in a call (law 3)."""

import json
from base64 import b64encode

import pytest

from tests.attack.test_leaks import assert_clean
from tests.wire.session import puppet
from tests.wire.test_lanes import secret

VALUE = "value0Token7f6e5d4c3b2a1Zq9"
"""The credential of the server `one`."""


@pytest.fixture
def guard(session, tmp_path):
    """Two servers with logs of what they are sent, under a policy that allows everything; `one` has run."""
    path = secret(tmp_path, "api", VALUE)
    servers = {
        "one": puppet("--log", str(tmp_path / "one"), env={"TOKEN": "${credential:api}"}),
        "two": puppet("--log", str(tmp_path / "two")),
    }
    entry = {"api": {"value": f"${{file:{path}}}", "servers": ["one"]}}
    guard = session(servers, credentials=entry)
    guard.text("one__echo", text="started")
    return guard


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": f"the token is {VALUE}"},
        {"text": b64encode(VALUE.encode()).decode()},
        {"text": VALUE[:12], "more": [VALUE[12:]]},
        {"text": "x", VALUE: 1},
    ],
)
def test_the_credential_of_one_server_does_not_reach_another_in_a_call(guard, tmp_path, arguments):
    result = guard.call("two__seen", **arguments)["result"]
    assert result["isError"]
    assert "a credential that is not for this server" in result["content"][0]["text"]
    two = (tmp_path / "two").read_text() if (tmp_path / "two").exists() else ""
    calls = [line for line in map(json.loads, two.splitlines()) if line.get("method") == "tools/call"]
    assert calls == []
    decided = guard.decided()
    assert decided["cause"] == "credential"
    assert decided["credentials"] == ["credential:api", f"file:{tmp_path / 'api'}"]
    assert_clean(guard, VALUE)


def test_its_own_server_gets_it(guard, tmp_path):
    guard.call("one__seen", text=VALUE)
    assert VALUE in (tmp_path / "one").read_text()
    assert_clean(guard, VALUE)
