"""Threat: a credential that was replaced, removed or refused goes on being used over HTTP, or a call is made
twice for it."""

import json
import sys

import pytest

from tests.attack.test_leaks import assert_clean
from tests.servers.web import text
from tests.wire.session import eventually, puppet
from tests.wire.test_lanes import secret

FIRST, SECOND, CHOSEN = "first0Token7f6e5d4c3b2a1", "second0Token1a2b3c4d5e6f", "chosen0Token9f8e7d6c5b4a"
RULES = [
    {"id": "plain", "effect": "allow", "when": "!has(args.who)"},
    {"id": "chosen", "effect": "allow", "when": "has(args.who)", "credential": "chosen"},
]


def echo(heard, reply):
    reply.json(heard.answer({"resultType": "complete", **text("ok")}))


def bearer(heard):
    return heard.headers.get("authorization", "").removeprefix("Bearer ")


class Door:
    """Lets in who has one of `good`, and answers others with `status`."""

    def __init__(self, *good, status=401):
        self.good = set(good)
        self.status = status
        self.turned_away = []

    def __call__(self, heard, reply):
        if bearer(heard) in self.good:
            return False
        self.turned_away.append(heard)
        reply.nothing(self.status)
        return True


@pytest.fixture
def rotating(serve, upstream, tmp_path):
    """A guarded server whose token is in the file `token`; `Door(…)` is who it lets in."""

    def begin(door, modern=False, **more):
        path = secret(tmp_path, "token", FIRST)
        chosen = secret(tmp_path, "chosen", CHOSEN)
        stage = upstream(echo, on_any=door, modern=modern)
        entry = {
            "value": f"${{file:{chosen}}}",
            "servers": ["web"],
            "headers": {"authorization": "Bearer ${credential:chosen}"},
        }
        headers = {"Authorization": f"Bearer ${{file:{path}}}"}
        servers = {"web": {**stage.entry(headers=headers), **more.pop("entry", {})}, "other": puppet()}
        guard = serve(servers, RULES, credentials={"chosen": {**entry, **more.pop("chosen", {})}}, **more)
        return stage, guard

    return begin


def tokens(stage):
    return [bearer(heard) for heard in stage.calls()]


@pytest.mark.parametrize("modern", [False, True])
def test_a_replaced_token_is_in_the_next_request_over_the_same_session(rotating, tmp_path, modern):
    stage, guard = rotating(Door(FIRST, SECOND, CHOSEN), modern)
    client = guard.modern() if modern else guard.legacy()
    assert client.text("web__act") == "ok"
    secret(tmp_path, "token", SECOND)
    assert client.text("web__act") == "ok"
    assert client.text("web__act", who="x") == "ok"
    assert client.text("web__act") == "ok"
    assert tokens(stage) == [FIRST, SECOND, CHOSEN, SECOND]
    hello = "server/discover" if modern else "initialize"
    assert [one.message["method"] for one in stage.heard if one.message].count(hello) == 1
    for each in (FIRST, SECOND, CHOSEN):
        assert_clean(guard, each)


def test_a_standing_stream_goes_on_with_a_replaced_token_from_where_it_was(serve, upstream, tmp_path):
    opened = []

    def standing(heard, reply):
        if heard.method != "GET":
            return False
        opened.append((bearer(heard), heard.headers.get("last-event-id")))
        reply.events()
        reply.raw(b"id: e%d\ndata: \n\n" % len(opened))
        level = {"level": "info", "data": f"stream {len(opened)}"}
        reply.notify("notifications/message", **level)
        reply.until_gone()
        return True

    path = secret(tmp_path, "token", FIRST)
    stage = upstream(echo, on_any=standing)
    guard = serve({"web": stage.entry(headers={"Authorization": f"Bearer ${{file:{path}}}"})})
    client = guard.legacy()
    stream = client.stand()
    assert client.text("act") == "ok"
    stream.wait(lambda message: message.get("params", {}).get("data") == "stream 1")
    secret(tmp_path, "token", SECOND)
    assert client.text("act") == "ok"
    stream.wait(lambda message: message.get("params", {}).get("data") == "stream 2")
    eventually(lambda: [one for one in stage.over if one.method == "GET"], "the end of the old stream")
    assert client.text("act") == "ok"
    assert opened == [(FIRST, None), (SECOND, "e1")]
    path.unlink()
    assert "error" in client.call("act")
    eventually(lambda: len([one for one in stage.over if one.method == "GET"]) == 2, "the end of the stream")
    secret(tmp_path, "token", FIRST)
    stream.wait(lambda message: message.get("params", {}).get("data") == "stream 3")
    assert opened[2:] == [(FIRST, "e2")]


def test_a_removed_token_refuses_the_next_call_and_nothing_is_sent(rotating, tmp_path):
    stage, guard = rotating(Door(FIRST, CHOSEN))
    client = guard.legacy()
    assert client.text("web__act") == "ok"
    (tmp_path / "token").unlink()
    before = len(stage.heard)
    assert str(tmp_path / "token") in client.call("web__act")["error"]["message"]
    assert guard.outcome()["status"] == "unavailable"
    assert len(stage.heard) == before
    assert client.text("web__act", who="x") == "ok"
    (tmp_path / "chosen").unlink()
    assert "error" in client.call("web__act", who="x")
    assert tokens(stage) == [FIRST, CHOSEN]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_asked_for_again_and_the_call_is_made_once_more(
    rotating, tmp_path, status
):
    count = tmp_path / "count"
    program = (
        "import pathlib, sys; p = pathlib.Path(sys.argv[1]); n = int(p.read_text()) + 1 if p.exists() else 1; "
        "p.write_text(str(n)); print('minted0token0number0' + str(n))"
    )
    made = {"command": {"argv": [sys.executable, "-c", program, str(count)], "ttl_seconds": 3000}}
    door = Door(FIRST, "minted0token0number01", status=status)
    _stage, guard = rotating(door, chosen={**made, "value": None})
    client = guard.legacy()
    assert client.text("web__act", who="x") == "ok"
    door.good = {FIRST, "minted0token0number02"}
    assert client.text("web__act", who="x") == "ok"
    assert client.text("web__act", who="x") == "ok"
    assert [bearer(one) for one in door.turned_away] == ["minted0token0number01"]
    door.good = {FIRST}
    answer = client.call("web__act", who="x")
    assert f"HTTP {status}" in answer["error"]["message"]
    assert guard.outcome()["status"] == "unavailable"
    assert_clean(guard, "minted0token0number02")


def test_a_token_that_is_refused_and_cannot_be_another_one_is_sent_once(rotating, tmp_path):
    door = Door(FIRST)
    _stage, guard = rotating(door)
    client = guard.legacy()
    assert client.text("web__act") == "ok"
    door.good = set()
    assert "HTTP 401" in client.call("web__act")["error"]["message"]
    assert "HTTP 401" in client.call("web__act", who="x")["error"]["message"]
    assert [bearer(one) for one in door.turned_away] == [FIRST, CHOSEN]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_no_other_failure_has_a_call_made_twice(rotating, tmp_path, status):
    door = Door(FIRST, status=status)
    _stage, guard = rotating(door)
    client = guard.legacy()
    assert client.text("web__act") == "ok"
    door.good = set()
    secret(tmp_path, "token", SECOND)
    assert "error" in client.call("web__act")
    assert [bearer(one) for one in door.turned_away] == [SECOND]


def test_a_token_in_the_query_follows_as_well(serve, upstream, tmp_path):
    key = secret(tmp_path, "key", FIRST)
    stage = upstream(echo)
    guard = serve({"web": stage.entry(url=f"{stage.url}?key=${{file:{key}}}")})
    client = guard.legacy()
    assert client.text("act") == "ok"
    secret(tmp_path, "key", SECOND)
    assert client.text("act") == "ok"
    assert [one.path for one in stage.calls()] == [f"/mcp?key={FIRST}", f"/mcp?key={SECOND}"]
    for each in (FIRST, SECOND):
        assert_clean(guard, each)


def test_the_answer_to_what_a_call_caused_carries_the_credential_of_that_call(serve, upstream, tmp_path):
    answered = []

    def asking(heard, reply):
        reply.events(
            {"id": 77, "method": "elicitation/create", "params": {"message": "m", "requestedSchema": {}}}
        )
        reply.until_gone()

    def any_of(heard, reply):
        if heard.message and "method" not in heard.message:
            answered.append(bearer(heard))
        return False

    chosen = secret(tmp_path, "chosen", CHOSEN)
    token = secret(tmp_path, "token", FIRST)
    stage = upstream(asking, on_any=any_of)
    entry = {
        "value": f"${{file:{chosen}}}",
        "servers": ["web"],
        "headers": {"Authorization": "Bearer ${credential:chosen}"},
    }
    rules = [*RULES, {"id": "ask", "effect": "allow", "action": ["elicitation/create"]}]
    guard = serve(
        {"web": stage.entry(headers={"Authorization": f"Bearer ${{file:{token}}}"})},
        rules,
        credentials={"chosen": entry},
    )
    client = guard.legacy(capabilities={"elicitation": {}})
    call = client.open_call("act", who="x")
    question = call.wait(lambda message: message.get("method") == "elicitation/create")
    client.reply(question, action="decline")
    eventually(lambda: answered, "the answer")
    call_id = client._last_id
    client.tell("notifications/cancelled", requestId=call_id)
    eventually(
        lambda: [
            h for h in stage.heard if h.message and h.message.get("method") == "notifications/cancelled"
        ],
        "the cancellation",
    )
    cancelled = next(
        h for h in stage.heard if h.message and h.message.get("method") == "notifications/cancelled"
    )
    assert (answered, bearer(cancelled)) == ([CHOSEN], CHOSEN)


def test_a_subscription_over_http_is_not_made_with_a_credential_that_a_rule_chooses(
    serve, upstream, tmp_path
):
    def lists(heard, reply):
        method = heard.message.get("method") if heard.message else None
        if method == "resources/list":
            reply.json(heard.answer({"resources": [{"uri": "x:1", "name": "x"}]}))
            return True
        return False

    stage = upstream(echo, on_any=lists, capabilities={"resources": {"subscribe": True}})
    chosen = secret(tmp_path, "chosen", CHOSEN)
    entry = {
        "value": f"${{file:{chosen}}}",
        "servers": ["web"],
        "headers": {"Authorization": "Bearer ${credential:chosen}"},
    }
    rules = [{"id": "all", "effect": "allow", "action": ["*"], "credential": "chosen"}]
    guard = serve({"web": stage.entry()}, rules, credentials={"chosen": entry})
    client = guard.legacy()
    answer = client.ask("resources/subscribe", uri="x:1")
    assert "cannot be chosen for a subscription" in answer["error"]["message"]
    assert "resources/subscribe" not in json.dumps([one.message for one in stage.heard])


def test_a_chosen_credential_that_is_for_others_is_not_sent(rotating):
    stage, guard = rotating(Door(FIRST, CHOSEN), chosen={"principals": ["nobody-else"]})
    client = guard.legacy()
    assert "credential:chosen" in client.call("web__act", who="x")["error"]["message"]
    assert guard.outcome()["status"] == "unavailable"
    assert client.text("web__act") == "ok"
    assert tokens(stage) == [FIRST]
    assert CHOSEN not in json.dumps([heard.headers for heard in stage.heard])
