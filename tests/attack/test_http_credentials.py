"""Threat: the credential of one upstream reaches another upstream or a redirect target over HTTP (law 3)."""

import json

import pytest

from tests.attack.test_leaks import PLAIN, assert_clean, leaks
from tests.servers.web import text
from tests.wire.session import puppet


def test_each_upstream_gets_its_own_credential_and_no_other(serve, upstream):
    echo = lambda heard, reply: reply.json(heard.answer(text(heard.headers["authorization"])))  # noqa: E731
    one, two, bare = (
        upstream(echo),
        upstream(echo),
        upstream(lambda heard, reply: reply.json(heard.answer(text("x")))),
    )
    servers = {
        "one": one.entry(headers={"Authorization": "Bearer ${env:ONE}"}),
        "two": two.entry(headers={"Authorization": "Bearer ${env:TWO}", "X-Other": "${env:TWO}"}),
        "bare": bare.entry(),
        "stdio": puppet(),
    }
    first, second = "first0Secret7f6e5d4c3b2a1", "second0Secret1a2b3c4d5e6f"
    guard = serve(servers, env={"ONE": first, "TWO": second})
    client = guard.modern()
    for name in ("one", "two", "bare"):
        assert "result" in client.call(f"{name}__act", text=f"${{env:ONE}} {name}")
    environ = client.text("stdio__act", code="answer = text(json.dumps(environ))")
    assert "ONE" not in json.loads(environ)
    assert {stage.headers.get("authorization") for stage in one.heard} == {f"Bearer {first}"}
    assert {stage.headers.get("authorization") for stage in two.heard} == {f"Bearer {second}"}
    assert [stage.headers for stage in bare.heard if "authorization" in stage.headers] == []
    for stage, foreign in ((one, second), (two, first), (bare, first), (bare, second)):
        everything = json.dumps([[heard.headers, heard.message] for heard in stage.heard]).encode()
        assert leaks(everything, foreign) == set()
    for secret in (first, second):
        assert_clean(guard, secret)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_the_credential_or_the_call_to_another_origin(serve, upstream, secret_file, status):
    thief = upstream()
    stage = upstream(lambda heard, reply: reply.nothing(status, location=thief.url))
    guard = serve({"web": stage.entry(headers=secret_file), "other": puppet()})
    client = guard.modern()
    assert "'web'" in client.call("web__act", text="x")["error"]["message"]
    assert client.text("other__echo", text="x") == "x"
    assert thief.heard == []
    assert_clean(guard, PLAIN)


def test_an_argument_cannot_carry_the_credential_of_one_upstream_to_another(serve, upstream, secret_file):
    thief = upstream()
    stage = upstream(lambda heard, reply: reply.json(heard.answer(text(heard.headers["x-token"]))))
    guard = serve({"web": stage.entry(headers=secret_file), "thief": thief.entry()})
    client = guard.modern()
    shown = client.text("web__act")
    assert leaks(shown.encode(), PLAIN) == set()
    assert client.text("thief__echo", text=shown).startswith("Refused by mcpguard: ")
    assert client.text("thief__echo", text=f"x{shown[1:]}") == f"x{shown[1:]}"
    assert leaks(json.dumps([one.message for one in thief.heard]).encode(), PLAIN) == set()


def test_a_credential_that_is_missing_refuses_the_call_before_anything_is_sent(serve, upstream, tmp_path):
    stage = upstream()
    entry = stage.entry(headers={"Authorization": f"Bearer ${{file:{tmp_path / 'absent'}}}"})
    guard = serve({"web": entry, "other": puppet()})
    client = guard.modern()
    assert "error" in client.call("web__echo", text="x")
    assert client.text("other__echo", text="x") == "x"
    assert stage.heard == []
