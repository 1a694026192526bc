"""Threat: a credential is told by the site that it stands in: an environment, a header, a query, an argument.

A canary for each site, a hostile server that gives back whatever it was given, in every form, and a hostile
client that asks for it.
"""

import json

import pytest

from tests.attack.test_leaks import assert_clean, leaks
from tests.servers.forms import forms
from tests.servers.web import text
from tests.wire.session import puppet
from tests.wire.test_lanes import secret
from tests.wire.warm import command

SITES = {
    "lane": "laneT0kenWithoutMarks9f8E7d6C5b4A3z2Y1",
    "header": "headerT0kenWithoutMarks9f8E7d6C5b4A3z2",
    "query": "queryT0kenWithoutMarks9f8E7d6C5b4A3z2Y",
    "argument": "argumentT0kenWithoutMarks9f8E7d6C5b4A3",
}
REFERENCES = [
    "{{secret:argument}}",
    "${credential:lane}",
    "${credential:header}",
    "${file:/etc/hostname}",
    "${env:HOME}",
    "{{secret:lane}}",
]
RULES = [
    {"id": "program", "effect": "allow", "server": "program", "credential": "lane"},
    {"id": "remote", "effect": "allow", "server": "remote", "credential": "header"},
]
SETS = {"key": {"deep": ["Token {{secret:argument}}"]}}
NOWHERE = "http://127.0.0.1:1/mcp"
CHANNELS = {
    "result": "answer = {**text(' '.join(all_of)), 'structuredContent': {form: form for form in all_of}}",
    "error": "error = {'code': -32000, 'message': ' '.join(all_of), 'data': {form: 1 for form in all_of}}",
    "progress": "notify('notifications/progress', progressToken=params['_meta']['progressToken'], "
    "progress=1, message=' '.join(all_of))",
    "log": "notify('notifications/message', level='info', data={form: form for form in all_of})",
    "standard error": "[say(form) for form in all_of]",
    "crash": "say(' '.join(all_of)); os._exit(3)",
}
GATHER = (
    "key = params['arguments']['key']['deep'][0].removeprefix('Token ')\n"
    "all_of = [form for one in (token, key) for form in forms(one)]\n"
)


@pytest.fixture
def sites(tmp_path):
    """The entries, and the rules with what they set."""
    entries = {}
    for name, value in SITES.items():
        path = secret(tmp_path, name, value)
        entries[name] = {"value": f"${{file:{path}}}", "servers": ["program", "remote"]}
    entries["lane"]["env"] = {"TOKEN": "${credential:lane}"}
    entries["header"]["headers"] = {"X-Token": "${credential:header}"}
    return entries, [{**rule, "argument": json.loads(json.dumps(SETS))} for rule in RULES]


def hostile(heard, reply):
    """Give back all that came, in every form."""
    given = [heard.headers["x-token"], heard.path.partition("=")[2], heard.args["key"]["deep"][0]]
    told = [form for one in given for form in forms(one.removeprefix("Token "))]
    if heard.args.get("how") == "error":
        error = {"code": -32000, "message": " ".join(told), "data": {form: form for form in told}}
        reply.json({"jsonrpc": "2.0", "id": heard.message["id"], "error": error})
    else:
        reply.json(
            heard.answer({"resultType": "complete", **text(" ".join(told), structuredContent={"a": told})})
        )


def assert_all_clean(guard, *more):
    for value in SITES.values():
        assert_clean(guard, value)
        for data in more:
            assert leaks(data, value) == set()


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_program_cannot_tell_what_is_in_its_lane_or_in_its_arguments(session, tmp_path, sites, channel):
    entries, rules = sites
    guard = session({"program": puppet(), "remote": {"url": NOWHERE}}, rules, credentials=entries)
    code = GATHER + CHANNELS[channel]
    guard.ask(
        "tools/call",
        {"name": "program__act", "arguments": {"code": code}, "_meta": {"progressToken": "p"}},
    )
    assert guard.tools()
    status = command("status", "--json")
    assert b"[REDACTED:credential:" in bytes(guard.received) + guard.stderr
    assert_all_clean(guard, status.stdout + status.stderr)
    assert guard.end() == 0
    assert_all_clean(guard)


@pytest.mark.parametrize("how", ["result", "error"])
def test_a_remote_server_cannot_tell_its_header_its_query_or_its_arguments(
    serve, upstream, tmp_path, sites, how
):
    entries, rules = sites
    stage = upstream(hostile)
    servers = {"remote": stage.entry(url=stage.url + "?key=${credential:query}"), "program": puppet()}
    guard = serve(servers, rules, credentials=entries)
    guard.legacy().call("remote__act", how=how)
    (call,) = stage.calls()
    given = [call.headers["x-token"], call.path, call.args["key"]["deep"][0]]
    assert given == [SITES["header"], "/mcp?key=" + SITES["query"], "Token " + SITES["argument"]]
    assert_all_clean(guard)


def test_a_client_gets_nothing_by_references_or_by_headers_of_its_own(serve, upstream, tmp_path, sites):
    entries, rules = sites
    stage = upstream(lambda heard, reply: reply.json(heard.answer(text(json.dumps(heard.args["mine"])))))
    token = secret(tmp_path, "own", "own0Token7f6e5d4c3b2a1")
    guard = serve(
        {"remote": stage.entry(headers={"Authorization": f"Bearer ${{file:{token}}}"}), "program": puppet()},
        rules,
        credentials=entries,
    )
    client = guard.modern(
        authorization="Bearer mine", cookie="a=mine", x_token="mine", mcp_param_key="mine", x_other="mine"
    )
    answer = client.text("remote__act", mine=REFERENCES, key="{{secret:lane}}")
    assert json.loads(answer) == REFERENCES
    (call,) = stage.calls()
    assert call.headers["authorization"] == "Bearer own0Token7f6e5d4c3b2a1"
    assert call.headers["x-token"] == SITES["header"]
    assert "mine" not in json.dumps(call.headers)
    assert call.args["key"] == {"deep": ["Token " + SITES["argument"]]}
    assert_all_clean(guard)


def test_nothing_that_a_policy_author_sees_shows_a_value(session, tmp_path, sites):
    entries, rules = sites
    guard = session({"program": puppet(), "remote": {"url": NOWHERE}}, rules, credentials=entries)
    guard.text("program__echo", text="x")
    call = guard.decided()["id"]
    for words in (["explain", call], ["check"], ["audit", "show"], ["secret", "check"]):
        where = ["--config", str(guard.config)] if words[0] != "audit" else [str(guard.audit_folder)]
        done = command(*words, *where)
        assert done.stdout + done.stderr
        for value in SITES.values():
            assert leaks(done.stdout + done.stderr, value) == set()
