"""One session on the wire, byte for byte: lifecycle, routing, correlation, order."""

import json
import subprocess
import sys

import pytest

from tests.wire.session import eventually, puppet, write_config

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_legacy_revision_is_spoken_on_both_sides(start, tmp_path, version):
    log = tmp_path / "log"
    guard = start({"p": puppet("--log", str(log))})
    assert guard.hello(version)["protocolVersion"] == version
    assert guard.text("echo", text="x") == "x"
    assert json.loads(log.read_text().splitlines()[0])["params"]["protocolVersion"] == version


@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", "", "latest"])
def test_a_revision_that_is_not_spoken_is_answered_with_the_newest(start, version):
    guard = start({"p": puppet()})
    assert guard.hello(version)["protocolVersion"] == "2025-11-25"
    assert guard.text("echo", text="x") == "x"


def test_an_older_upstream_serves_a_newer_client(session):
    guard = session({"p": puppet("--start", "state['version'] = '2024-11-05'")})
    assert guard.text("echo", text="x") == "x"


def test_initialize_is_answered_before_any_upstream_starts(start, tmp_path):
    started = tmp_path / "started"
    guard = start({"p": puppet("--start", f"open({str(started)!r}, 'w').close()")})
    hello = guard.hello()
    assert hello["serverInfo"]["name"] == "mcpguard"
    assert guard.ask("ping")["result"] == {}
    assert not started.exists()
    assert guard.tools()
    assert started.exists()


def test_a_call_without_a_list_before_it_finds_its_tool(session):
    guard = session({"a": puppet(), "b": puppet()})
    assert guard.text("b__echo", text="x") == "x"


def test_only_the_upstream_that_is_called_is_started(session, tmp_path):
    started = tmp_path / "started"
    guard = session({"a": puppet(), "b": puppet("--start", f"open({str(started)!r}, 'w').close()")})
    assert guard.text("a__echo", text="x") == "x"
    assert not started.exists()


RULES = [
    {"id": "some", "effect": "allow", "tools": ["echo", "act"]},
    {
        "id": "not-this",
        "effect": "deny",
        "tools": ["echo"],
        "when": 'args.text == "bad"',
        "message": "Not this.",
    },
    {"id": "never", "effect": "deny", "tools": ["forbidden"]},
]


def test_a_hidden_and_an_unknown_tool_are_answered_with_the_same_bytes(session):
    guard = session({"p": puppet()}, RULES)
    assert guard.tools() == ["act", "echo"]
    answers = []
    for name in ("forbidden", "unknown_t", "seen"):
        request = guard.request("tools/call", {"name": name, "arguments": {"text": "x"}})
        guard.answer(request)
        answers.append(guard.raw_answer(request).replace(name.encode(), b"NAME"))
    assert len(set(answers)) == 1


def test_with_two_servers_a_hidden_an_unknown_and_a_serverless_tool_are_the_same(session):
    guard = session({"a": puppet(), "b": puppet()}, RULES)
    guard.tools()
    answers = []
    for name in ("a__forbidden", "a__unknown", "c__echo", "forbidden", "unknown", "b__seen", "__", "a__"):
        request = guard.request("tools/call", {"name": name, "arguments": {}})
        guard.answer(request)
        answers.append(guard.raw_answer(request).replace(json.dumps(name)[1:-1].encode(), b"NAME"))
    assert len({answer.replace(b"NAME", b"") for answer in answers}) == 1
    said = guard.call("echo", text="x")["error"]["message"]
    assert said == "Unknown tool: echo. Did you mean a__echo or b__echo?"


def test_a_denied_call_says_why_and_never_shows_the_condition(session):
    guard = session({"p": puppet()}, RULES)
    result = guard.call("echo", text="bad")["result"]
    said = result["content"][0]["text"]
    assert result["isError"] is True
    decision = guard.decided()
    assert "test/not-this" in said
    assert "Not this." in said
    assert decision["id"] in said
    assert decision["effect"] == "deny"
    assert decision["rules"] == ["test/not-this"]
    assert b"args.text" not in guard.received


def test_a_refused_call_never_reaches_the_upstream(session, tmp_path):
    log = tmp_path / "log"
    guard = session({"p": puppet("--log", str(log))}, RULES)
    guard.call("echo", text="bad")
    guard.call("forbidden")
    guard.call("echo", text="good")
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    assert [m["params"]["arguments"] for m in seen if m["method"] == "tools/call"] == [{"text": "good"}]


@pytest.mark.parametrize("token", ["mine", 7, "", 0, 2**70])
def test_the_clients_own_progress_token_comes_back_and_the_upstream_sees_another(session, token):
    guard = session({"p": puppet()})
    code = (
        "t = params['_meta']['progressToken']\n"
        "for n in range(5): notify('notifications/progress', progressToken=t, progress=n)\n"
        "answer = text(json.dumps(t))"
    )
    params = {"name": "act", "arguments": {"code": code}, "_meta": {"progressToken": token}}
    answer = guard.ask("tools/call", params)
    assert json.loads(answer["result"]["content"][0]["text"]) != token or token == 7
    progress = guard.notifications("notifications/progress")
    assert progress == [{"progressToken": token, "progress": n} for n in range(5)]
    assert guard.messages[-1] is answer


def test_two_calls_with_the_same_token_get_their_own_progress(session):
    guard = session({"a": puppet(), "b": puppet()})
    for name in ("a__act", "b__act"):
        code = f"notify('notifications/progress', progressToken=params['_meta']['progressToken'], progress=1, message='{name}')"
        guard.ask("tools/call", {"name": name, "arguments": {"code": code}, "_meta": {"progressToken": 1}})
    assert [p["message"] for p in guard.notifications("notifications/progress")] == ["a__act", "b__act"]


def test_a_cancelled_call_reaches_the_upstream_with_its_own_id_and_is_never_answered(session):
    guard = session({"p": puppet()})
    guard.tools()
    params = {
        "name": "act",
        "arguments": {"code": "say(f'mine is {request_id}'); state['id'] = request_id; silent = True"},
    }
    call = guard.request("tools/call", params)
    guard.wait_stderr("[p] mine is ")
    own = guard.stderr.partition(b"mine is ")[2].split()[0].decode()
    guard.notify("notifications/cancelled", requestId=call, reason="enough")
    guard.wait_stderr(f"[p] cancelled {own}")
    guard.call("act", code="send({'id': state['id'], 'result': text('late')})")
    assert guard.text("echo", text="next") == "next"
    assert call not in [message.get("id") for message in guard.messages]
    assert b"late" not in guard.received
    outcomes = {record["id"]: record["status"] for record in guard.records("outcome")}
    calls = [record["id"] for record in guard.records("decision") if record.get("tool") == "act"]
    assert outcomes[calls[0]] == "cancelled"


def test_a_call_that_is_cancelled_while_its_upstream_starts_is_never_sent(session, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    code = f"say('waiting')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    guard = session({"p": puppet("--start", code, "--log", str(log))})
    call = guard.request("tools/call", {"name": "echo", "arguments": {"text": "cancelled"}})
    guard.wait_stderr("[p] waiting")
    guard.notify("notifications/cancelled", requestId=call)
    assert guard.ask("ping")["result"] == {}
    go.touch()
    assert guard.text("echo", text="next") == "next"
    assert "cancelled" not in log.read_text()
    assert call not in [message.get("id") for message in guard.messages]


def test_a_tool_that_appears_is_listed_and_callable_when_the_client_hears_of_it(session):
    guard = session({"p": puppet()})
    assert "added" not in guard.tools()
    guard.call("act", code="state['tools'] = [tool('added')]; notify('notifications/tools/list_changed')")
    guard.wait_message(lambda message: message.get("method") == "notifications/tools/list_changed")
    assert guard.text("added", text="x") == "x"
    assert guard.tools() == ["added"]


def test_a_tool_that_was_announced_before_an_answer_is_callable_after_it(session):
    guard = session({"p": puppet(), "q": puppet()})
    guard.tools()
    code = "state['tools'] = [*TOOLS, tool('added')]; notify('notifications/tools/list_changed')"
    guard.call("p__act", code=code)
    assert guard.text("added", text="x") == "x"
    guard.call("q__act", code=code.replace("added", "more"))
    assert guard.text("q__more", text="y") == "y"


def test_a_change_that_comes_while_the_list_is_fetched_is_not_lost(session):
    guard = session({"p": puppet()})
    guard.tools()
    slow = "state['asked'] = request_id; say('asked')"
    guard.text("act", code=f"state['on_list'] = {slow!r}")
    listing = guard.request("tools/list")
    guard.wait_stderr("[p] asked")
    code = (
        "del state['on_list']; old = list(TOOLS); state['tools'] = [*TOOLS, tool('added')]\n"
        "notify('notifications/tools/list_changed')\n"
        "send({'id': state['asked'], 'result': {'tools': old}})"
    )
    guard.call("act", code=code)
    guard.answer(listing)
    guard.wait_message(lambda message: message.get("method") == "notifications/tools/list_changed")
    assert guard.text("added", text="found") == "found"


def test_a_tool_that_disappears_is_unknown_when_the_client_hears_of_it(session):
    guard = session({"p": puppet()})
    assert "echo" in guard.tools()
    guard.call("act", code="state['tools'] = [tool('act')]; notify('notifications/tools/list_changed')")
    guard.wait_message(lambda message: message.get("method") == "notifications/tools/list_changed")
    assert guard.call("echo", text="x")["error"]["message"].startswith("Unknown tool")


def test_a_logging_level_reaches_each_upstream_that_runs(session, tmp_path):
    logs = [tmp_path / "a", tmp_path / "b"]
    guard = session({log.name: puppet("--log", str(log)) for log in logs})
    guard.tools()
    assert guard.ask("logging/setLevel", {"level": "debug"})["result"] == {}
    for log in logs:
        eventually(lambda log=log: '"level":"debug"' in log.read_text(), "the level")


def test_a_log_level_that_is_set_before_a_server_runs_reaches_it_when_it_starts(session, tmp_path):
    log = tmp_path / "log"
    guard = session({"p": puppet("--log", str(log))})
    assert guard.ask("logging/setLevel", {"level": "debug"})["result"] == {}
    assert not log.exists()
    guard.tools()
    eventually(lambda: '"level":"debug"' in log.read_text(), "the level")


def test_three_hundred_pipelined_calls_are_answered_in_order(session):
    guard = session({"p": puppet()})
    data = b"".join(
        json.dumps({"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
                    "params": {"name": "echo", "arguments": {"text": f"{n}"}}}).encode() + b"\n"
        for n in range(300)
    )  # fmt: skip
    guard.pump(data)
    guard.answer(1299)
    answers = [message for message in guard.messages if message.get("id", 0) >= 1000]
    assert [answer["id"] for answer in answers] == list(range(1000, 1300))
    assert [answer["result"]["content"][0]["text"] for answer in answers] == [str(n) for n in range(300)]


def test_values_pass_through_unchanged(session):
    guard = session({"p": puppet()})
    values = {
        "big": 2**80, "negative": -(2**80), "float": 0.1, "zero": 0, "text": "é \u2028 \U0001f600 \x7f \\ \" </",
        "null": None, "list": [[], {}, [1, [2]]], "": "", "true": True, "a\u0000b": "\u0000",
    }  # fmt: skip
    seen = json.loads(guard.text("seen", **values))
    assert seen == {"name": "seen", "arguments": values}


def test_an_unknown_member_of_a_result_passes_through(session):
    guard = session({"p": puppet()})
    answer = guard.call("act", code="answer = {**text('x'), 'structuredContent': {'n': 2**80}, 'new': [1]}")
    assert answer["result"]["structuredContent"] == {"n": 2**80}
    assert answer["result"]["new"] == [1]


def test_the_error_of_an_upstream_passes_through(session):
    guard = session({"p": puppet()})
    answer = guard.call("act", code="error = {'code': -32042, 'message': 'm', 'data': {'a': [1]}}")
    assert answer["error"] == {"code": -32042, "message": "m", "data": {"a": [1]}}


def test_a_fact_of_one_configuration_allows_nothing_in_another(start, tmp_path):
    """Labels are of the session, whatever brings them: they only tighten."""
    rules = [
        {"id": "echo", "effect": "allow", "tools": ["echo"], "fact": ["own-branch"], "label": ["seen"]},
        {"id": "seen", "effect": "allow", "tools": ["seen"], "when": "'own-branch' in session.facts"},
        {"id": "late", "effect": "deny", "tools": ["forbidden"], "when": "'seen' in session.labels"},
        {"id": "wait", "effect": "allow", "tools": ["forbidden"]},
    ]
    staging, production = (
        start({"p": puppet()}, rules, session={"path": str(tmp_path / "s")}) for _ in range(2)
    )
    staging.hello()
    production.hello()
    staging.text("echo", text="x")
    assert "Refused by mcpguard" not in str(staging.call("seen"))
    assert "Refused by mcpguard" in str(production.call("seen"))
    assert "test/late" in str(production.call("forbidden"))


def test_the_sdk_is_not_imported_by_a_serving_process(tmp_path):
    config = write_config(tmp_path, {"p": puppet()})
    program = (
        "import os, sys\n"
        "def leave(code):\n"
        "    print(sorted(m for m in sys.modules if '.' not in m), file=sys.stderr, flush=True)\n"
        "    end(code)\n"
        "end = os._exit\n"
        "os._exit = leave\n"
        "from mcpguard.cli import main\n"
        f"main(['run', '--config', {str(config)!r}])\n"
    )
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "echo", "arguments": {}}},
    ]
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert '"id":2,"result"' in done.stdout
    loaded = done.stderr.rpartition("[")[2]
    assert "'mcpguard'" in loaded
    for name in ("mcp", "mcp_types", "anyio", "httpx", "starlette", "keyring", "fastmcp"):
        assert f"'{name}'" not in loaded
