"""The enforcement matrix, tried: each method that a client may send, in each era over each transport, under a policy
that allows nothing. What the matrix calls decided is refused with a record, and no upstream sees it."""

from __future__ import annotations

import contextlib

import pytest

from mcpguard.authoring.report.enforcement import cells
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM, Treatment
from tests.gateway.test_eras import PARAMS
from tests.wire.http_session import MODERN, HttpGuard
from tests.wire.session import ALLOW_ALL, Guard, puppet
from tests.wire.voices import VOICES

NOTHING = [{"id": "nothing", "effect": "allow", "server": "one", "action": ["extension"]}]
LISTS = {row.name for row in FROM_CLIENT.values() if row.treatment is Treatment.FILTERED}
NOT_THERE = -32601
BEGUN = {"initialize"}
"""What a client has done before the test begins."""


@pytest.fixture(params=[one for one in VOICES if one[0] != "sse"], ids="-".join)
def front(request, tmp_path):
    """A client of one era over one transport; gives it with its transport and era, and what its upstream got."""
    transport, era = request.param
    log = tmp_path / "upstream.log"
    log.touch()
    servers = {"one": puppet("--log", str(log), eager=True)}
    guard = (Guard if transport == "stdio" else HttpGuard)(tmp_path, servers, NOTHING)
    try:
        with contextlib.closing(VOICES[request.param](guard)) as client:
            yield client, transport, era, log
    finally:
        guard.dispose()


def test_each_method_of_a_client_is_treated_as_the_matrix_says(front):
    client, transport, era, log = front
    mine = [
        one
        for one in cells()
        if (one.direction, one.transport, one.era) == ("from the client", transport, era)
    ]
    requests = {one.method for one in mine if FROM_CLIENT[one.method].request} - BEGUN
    for row in FROM_CLIENT.values():
        if not row.request or row.name in BEGUN or row.treatment is Treatment.LISTENED:
            continue
        answer = client.ask(row.name, **PARAMS.get(row.name, {}))
        missing = answer.get("error", {}).get("code") == NOT_THERE
        if row.name not in requests:
            assert missing, (row.name, answer)
        elif row.treatment is Treatment.DECIDED:
            assert "error" in answer, (row.name, answer)
        elif row.name in LISTS and "result" in answer:
            assert not any(one for one in answer["result"].values() if isinstance(one, list)), answer
    decisions = client.guard.records("decision")
    refused = {one["method"] for one in decisions if one["effect"] == "deny"}
    decided = {one.method for one in mine if FROM_CLIENT[one.method].treatment is Treatment.DECIDED}
    assert refused == decided - unanswered(client)
    assert {one["method"] for one in decisions if one["effect"] == "allow"} <= set(FROM_CLIENT) - decided
    assert not any(f'"{method}"' in log.read_text() for method in decided)
    assert "result" not in client.ask("mystery/method")
    if "subscriptions/listen" in requests:
        stream = client.begin("subscriptions/listen", notifications={"resourceSubscriptions": ["x:1"]})
        granted = client.wait(lambda one: one.get("method") == "notifications/subscriptions/acknowledged")
        assert not granted["params"]["notifications"].get("resourceSubscriptions")
        client.cancel(stream)


def tell(client, method):
    """Send a notification whose params name what is not there."""
    params = {"progressToken": "mine", "requestId": "mine"}
    if client.posts and client.modern:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        client.guard.post(message, **{"mcp-protocol-version": MODERN, "mcp-method": method}).body()
    else:
        client.tell(method, **params)


def test_a_notification_of_a_client_goes_no_further_than_the_matrix_says(front):
    client, _transport, era, log = front
    client.ask("tools/list")
    for row in FROM_CLIENT.values():
        if not row.request and row.era.value in (era, "both"):
            tell(client, row.name)
    client.ask("tools/list")
    assert "notifications/progress" not in log.read_text()
    assert "mine" not in log.read_text()


def unanswered(client):
    """What is decided only for a client that declares tasks, which these voices do not."""
    return {"tasks/get", "tasks/update", "tasks/cancel"} if client.modern else set()


SECRET = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3
QUESTIONS = {
    "sampling/createMessage": {"messages": [], "maxTokens": 1},
    "elicitation/create": {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}},
    "roots/list": {},
}
EVERYTHING = """
for method in {notices!r} + ["notifications/mystery"]:
    notify(method, uri="x:1", data={secret!r}, level="error", progressToken=1, taskId="t", elicitationId="e")
answer = text(" ".join(method for method, params in {questions!r}.items() if "error" in ask(method, **params)))
"""


@pytest.mark.parametrize("voice", [one for one in VOICES if one[0] != "sse"], ids="-".join)
def test_each_message_of_an_upstream_is_treated_as_the_matrix_says(voice, tmp_path):
    notices = [row.name for row in FROM_UPSTREAM.values() if not row.request]
    assert QUESTIONS.keys() == {
        row.name for row in FROM_UPSTREAM.values() if row.treatment is Treatment.ASKED
    }
    code = EVERYTHING.format(notices=notices, questions=QUESTIONS, secret=SECRET)
    guard = (Guard if voice[0] == "stdio" else HttpGuard)(tmp_path, {"one": puppet()}, ALLOW_ALL)
    try:
        with contextlib.closing(VOICES[voice](guard)) as client:
            answer = client.call("act", code=code)
            assert answer["result"]["content"][0]["text"].split() == [*QUESTIONS]
            heard = {one["method"] for one in client.heard if "method" in one}
            dropped = {row.name for row in FROM_UPSTREAM.values() if row.treatment is Treatment.DROPPED}
            assert not heard & {*QUESTIONS, *dropped, "notifications/mystery"}
            assert heard <= FROM_UPSTREAM.keys()
            assert SECRET not in str(client.heard)
            denied = [one["method"] for one in guard.records("decision") if one["effect"] == "deny"]
            assert denied == [*QUESTIONS]
            assert SECRET.encode() not in guard.audit_bytes
    finally:
        guard.dispose()
