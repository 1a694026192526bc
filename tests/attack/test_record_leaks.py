"""Threat: a credential gets into the evidence (law 2): a client that has come to know it puts it into all that
it says of itself and of its calls, and a server into all that it says went wrong."""

import base64
import json

import pytest

from mcpguard.protocol import eras
from tests.attack.test_leaks import leaks
from tests.fakes import SECRET
from tests.wire.session import puppet
from tests.wire.warm import command

HEX = "5ec4e7b1a0d94c0f8e2b7d6a91c3f805"
"""A credential that has the form of the id of a trace."""
RULES = [
    {"id": "no", "effect": "deny", "tools": ["act"], "when": "'never' in args", "message": f"Not {SECRET}."},
    {
        "id": "late",
        "effect": "deny",
        "on": "result",
        "when": "'withhold' in args",
        "message": f"No, {SECRET}.",
    },
    {"id": "all", "effect": "allow", "action": ["*"]},
]
FORMS = [
    {"code": SECRET},
    {SECRET: 1},
    {"a": {"b": [{"c": f"x{SECRET}y"}]}},
    {"halves": [SECRET[:9], SECRET[9:]]},
    {"encoded": base64.b64encode(SECRET.encode()).decode()},
    {"escaped": json.dumps(json.dumps(SECRET))},
    {"hex": SECRET.encode().hex()},
    {"spaced": "\u200b".join(SECRET)},
    {"never": SECRET},
]


@pytest.fixture
def guard(start):
    return start(
        {"p": puppet(env={"TOKEN": "${env:CANARY}", "OTHER": "${env:HEX}"})},
        RULES,
        env={"CANARY": SECRET, "HEX": HEX},
    )


def hello(guard):
    guard.hello()
    # From here on the server has it, and so it is held. Nobody can know before that what it is.
    assert "[REDACTED:" in guard.text("act", code="answer = text(token)")


def test_what_a_client_says_leaves_no_credential_in_a_record(guard):
    hello(guard)
    for n, args in enumerate(FORMS):
        for name in ("act", "nothing", SECRET):
            meta = {"traceparent": f"00-{HEX}-b7ad6b7169203331-01", "baggage": f"k={SECRET}"}
            params = {"name": name, "arguments": args, "_meta": meta}
            guard.send(
                {"jsonrpc": "2.0", "id": f"{n} {name} {SECRET}", "method": "tools/call", "params": params}
            )
            guard.answer(f"{n} {name} {SECRET}")
    guard.ask("resources/read", {"uri": f"file:///{SECRET}"})
    guard.ask(f"no/{SECRET}", {})
    assert guard.end() == 0
    asked = [one for one in guard.records("decision") if one.get("request", "").startswith("0 act")]
    assert [one["arguments"] for one in asked] == [{"code": "[REDACTED:credential:env:CANARY#1]"}]
    said = command("audit", "show", "-n", "999", str(guard.audit_folder)).stdout
    said += command("explain", asked[0]["id"], "--config", str(guard.config)).stdout
    for place in (*guard.audit_bytes.split(b"\n"), said):
        assert (leaks(place, SECRET), leaks(place, HEX)) == (set(), set()), place


def test_the_name_of_a_client_leaves_no_credential_in_a_record(guard):
    def call(name):
        info = {"name": f"Desk {name}", "version": name}
        meta = {eras.VERSION_KEY: "2026-07-28", eras.CLIENT_INFO_KEY: info, eras.CAPABILITIES_KEY: {}}
        params = {"name": "act", "arguments": {"code": "answer = text(token)"}, "_meta": meta}
        assert "[REDACTED:" in str(guard.ask("tools/call", params))

    call("plain")
    call(SECRET)
    assert guard.end() == 0
    first, second = [one["client"] for one in guard.records("decision") if one.get("request")]
    assert first == "Desk plain/plain"
    assert second.startswith("Desk [REDACTED:credential:env:CANARY#1]")
    for line in guard.audit_bytes.split(b"\n"):
        assert leaks(line, SECRET) == set(), line


def test_what_a_server_says_went_wrong_leaves_no_credential_in_a_record(guard):
    hello(guard)
    guard.call("act", code="error = {'code': -1, 'message': 'bad ' + token, 'data': token}")
    guard.call("act", code="answer = {**text(token), 'isError': True}")
    guard.call("act", code="answer = text(token)", withhold=True)
    guard.call("act", code="raw((token + '\\n').encode()); import os; say(token); os._exit(3)")
    assert guard.end() == 0
    outcomes = guard.records("outcome")
    assert "bad [REDACTED:credential:env:CANARY#1]" in [one.get("error") for one in outcomes]
    assert "No, [REDACTED:credential:env:CANARY#1]." in [one.get("message") for one in outcomes]
    ended = [one["detail"] for one in guard.records("notice") if one["what"] == "upstream-lost"]
    assert "exit status 3" in ended[0]
    for line in guard.audit_bytes.split(b"\n"):
        assert leaks(line, SECRET) == set(), line
