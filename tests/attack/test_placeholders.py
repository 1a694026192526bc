"""`{{secret:NAME}}` in an argument that a rule sets is filled in on the far side, and nowhere else."""

import json

import pytest

from tests.attack.test_leaks import assert_clean
from tests.servers.web import text
from tests.wire.session import puppet
from tests.wire.test_lanes import secret

VALUE = "value0Token7f6e5d4c3b2a1Zq9"
SETS = {"token": "Bearer {{secret:api}}", "deep": {"list": ["{{secret:api}}", 1]}}
RULES = [
    {"id": "seen", "effect": "allow", "tools": ["seen", "act", "echo"], "argument": SETS},
]


def entry(folder, **more):
    path = secret(folder, "api", VALUE)
    return {"api": {"value": f"${{file:{path}}}", "servers": ["one"], **more}}


@pytest.fixture
def guard(session, tmp_path):
    """A server whose calls get two placeholders."""
    log = str(tmp_path / "log")
    return session({"one": puppet("--log", log)}, RULES, credentials=entry(tmp_path))


def received(folder):
    """The arguments of the last call, as the server read them."""
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return [line["params"]["arguments"] for line in lines if line.get("method") == "tools/call"][-1]


def test_the_server_gets_the_value_and_nobody_else_sees_it(guard, tmp_path):
    answer = guard.text("seen", text="x", token="mine")
    assert received(tmp_path) == {
        "text": "x",
        "token": f"Bearer {VALUE}",
        "deep": {"list": [VALUE, 1]},
    }
    assert "REDACTED:credential:" in answer
    decided = guard.decided()
    assert decided["credentials"] == ["credential:api"]
    assert_clean(guard, VALUE)


def test_the_same_characters_from_a_client_or_a_server_are_text(guard, tmp_path):
    sent = {"text": "{{secret:api}}", "more": {"{{secret:api}}": ["${credential:api}", "{{secret:api}}"]}}
    guard.text("seen", **sent)
    got = received(tmp_path)
    assert {name: got[name] for name in sent} == sent
    said = guard.text("act", code="answer = text('{{secret:api}} ${credential:api}')")
    assert said == "{{secret:api}} ${credential:api}"
    assert_clean(guard, VALUE)


def test_a_client_cannot_have_a_placeholder_filled_where_no_rule_sets_the_argument(session, tmp_path):
    log = str(tmp_path / "log")
    guard = session({"one": puppet("--log", log)}, credentials=entry(tmp_path))
    assert json.loads(guard.text("seen", token="{{secret:api}}"))["arguments"] == {"token": "{{secret:api}}"}
    assert VALUE not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("gone", ["name", "server", "principal", "value"])
def test_a_placeholder_that_cannot_be_filled_refuses_the_call_before_anything_is_sent(
    session, tmp_path, gone
):
    credentials = entry(tmp_path, **({"principals": ["nobody-else"]} if gone == "principal" else {}))
    if gone == "name":
        credentials = {"other": credentials["api"]}
    if gone == "server":
        credentials["api"]["servers"] = ["two"]
    servers = {"one": puppet("--log", str(tmp_path / "log")), "two": puppet()}
    guard = session(servers, RULES, credentials=credentials)
    if gone == "value":
        (tmp_path / "api").unlink()
    guard.tools()
    answer = guard.call("one__seen", text="x")
    assert "api" in answer["error"]["message"]
    assert '"tools/call"' not in (tmp_path / "log").read_text()
    assert guard.outcome()["status"] == "unavailable"


def test_a_rotated_value_is_in_the_next_call_and_the_old_one_stays_guarded(guard, tmp_path):
    guard.text("seen")
    secret(tmp_path, "api", "rotated0Token7f6e5d4c3b2a1")
    guard.text("seen", old=VALUE)
    assert received(tmp_path)["token"] == "Bearer rotated0Token7f6e5d4c3b2a1"
    assert_clean(guard, "rotated0Token7f6e5d4c3b2a1")


def test_a_server_over_http_gets_the_value_in_the_body_only(serve, upstream, tmp_path):
    stage = upstream(lambda heard, reply: reply.json(heard.answer(text(json.dumps(heard.args)))))
    guard = serve({"one": stage.entry()}, RULES, credentials=entry(tmp_path))
    client = guard.modern()
    answer = client.text("act", text="x")
    (call,) = stage.calls()
    assert call.args["token"] == f"Bearer {VALUE}"
    assert VALUE not in json.dumps(call.headers)
    assert "REDACTED" in answer
    assert_clean(guard, VALUE)
