"""A credential that a rule chooses has a process of its own, which no other call runs in."""

import json
import os
import signal
import sys

import pytest

from tests.attack.processes import family, needs_proc, orphanage
from tests.wire import warm
from tests.wire.session import SERVERS, eventually, puppet

READ, WRITE = "read0Token7f6e5d4c3b2a1", "write0Token1a2b3c4d5e6f"
ENVIRON = "answer = text(json.dumps([os.getpid(), environ.get('TOKEN'), environ.get('WIDE')]))"
RULES = [
    {"id": "ask", "effect": "allow", "action": ["elicitation/create", "tasks/get"]},
    {"id": "read", "effect": "allow", "tools": ["act", "echo"], "when": "!has(args.write)"},
    {
        "id": "write",
        "effect": "allow",
        "tools": ["act"],
        "when": "has(args.write) && args.write == 'yes'",
        "credential": "gh-write",
    },
    {
        "id": "other",
        "effect": "allow",
        "tools": ["act"],
        "when": "has(args.write) && args.write == 'other'",
        "credential": "not-there",
    },
]


def secret(folder, name, value):
    """A reference to a file that holds `value`, and the file."""
    path = folder / name
    path.write_text(value)
    path.chmod(0o600)
    return path


@pytest.fixture
def guard(session, tmp_path):
    """A server with a token to read with, and another one for what writes."""
    return lanes(session, tmp_path)


def lanes(session, folder, value=None, **more):
    read, write = secret(folder, "read", READ), secret(folder, "write", WRITE)
    entry = {
        "servers": ["gh"],
        "env": {"TOKEN": "${credential:gh-write}"},
        **(value or {"value": f"${{file:{write}}}"}),
    }
    server = puppet("--log", str(folder / "log"), env={"TOKEN": f"${{file:{read}}}", "WIDE": "x"})
    return session({"gh": server}, RULES, credentials={"gh-write": entry}, **more)


def seen(guard, **args):
    """Which process answers a call, and with which token."""
    return json.loads(guard.text("act", code=ENVIRON, **args))


def last(guard):
    decided = guard.decided()
    return decided.get("credential", ""), tuple(decided.get("credentials", ()))


def test_each_process_has_its_own_token_and_a_read_never_runs_in_the_one_that_writes(guard, tmp_path):
    one, token, wide = seen(guard)
    assert (token, wide) == ("[REDACTED:credential:gh/TOKEN#1]", "x")
    other, token, wide = seen(guard, write="yes")
    assert (token, wide) == ("[REDACTED:credential:gh-write#1]", "x")
    assert one != other
    assert last(guard) == ("gh-write", ("credential:gh-write",))
    assert seen(guard)[0] == one
    assert seen(guard, write="yes")[0] == other
    assert last(guard) == ("gh-write", ("credential:gh-write",))
    assert environment_of(other)["TOKEN"] == WRITE
    assert environment_of(one)["TOKEN"] == READ


def environment_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(one.split("=", 1) for one in file.read().decode().split("\0") if "=" in one)


def test_the_process_of_a_credential_is_started_by_the_first_call_that_is_for_it(guard, tmp_path):
    assert seen(guard)
    assert seen(guard)
    greetings = (tmp_path / "log").read_text().count('"initialize"')
    assert greetings == 1
    assert seen(guard, write="yes")
    assert (tmp_path / "log").read_text().count('"initialize"') == 2


def test_a_credential_that_is_not_there_refuses_the_call_and_no_other_is_used(guard, tmp_path):
    assert seen(guard)
    before = (tmp_path / "log").read_text()
    answer = guard.call("act", code=ENVIRON, write="other")
    assert "the credential 'not-there' cannot be chosen for 'gh'" in answer["error"]["message"]
    assert (tmp_path / "log").read_text() == before
    decided, outcome = guard.decided(), guard.outcome()
    assert (decided["effect"], decided["credential"], outcome["status"]) == (
        "allow",
        "not-there",
        "unavailable",
    )


@pytest.mark.parametrize(
    "entry", [{"servers": ["gh"], "principals": ["nobody-else"]}, {"servers": ["other"]}]
)
def test_a_credential_that_is_bound_to_others_refuses_the_call(session, tmp_path, entry):
    path = secret(tmp_path, "write", WRITE)
    entry = {"value": f"${{file:{path}}}", "env": {"TOKEN": "${credential:gh-write}"}, **entry}
    servers = {"gh": puppet(), "other": puppet()}
    guard = session(servers, RULES, credentials={"gh-write": entry})
    answer = guard.call("gh__act", code=ENVIRON, write="yes")
    assert "gh-write" in answer["error"]["message"]
    assert guard.outcome()["status"] == "unavailable"
    assert json.loads(guard.text("gh__act", code=ENVIRON))[1] is None


def test_the_lanes_live_where_the_servers_own_credential_is_lost(guard, tmp_path):
    assert seen(guard)
    (tmp_path / "read").unlink()
    assert str(tmp_path / "read") in guard.call("act", code=ENVIRON)["error"]["message"]
    assert seen(guard, write="yes")


@needs_proc
def test_a_crash_of_one_lane_leaves_the_other(guard):
    one, other = seen(guard)[0], seen(guard, write="yes")[0]
    assert "error" in guard.call("act", code="os._exit(3)", write="yes")
    assert seen(guard)[0] == one
    again = eventually(lambda: guard.call("act", code=ENVIRON, write="yes").get("result"), "another start")
    guard.wait_stderr("server gh has ended")
    guard.wait_stderr("is running again")
    assert json.loads(again["content"][0]["text"])[0] not in (one, other)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_lane_outlives_mcpguard(session, tmp_path, number):
    with orphanage():
        before = family()
        guard = lanes(session, tmp_path)
        seen(guard)
        seen(guard, write="yes")
        assert sum("puppet.py" in line for line in family().values()) == 2
        guard.signal(number)
        eventually(lambda: not set(family()) - set(before), "that all of them have ended", 5)


def test_a_rotated_secret_is_in_force_at_the_next_call_and_a_removed_one_refuses_it(guard, tmp_path):
    names = {"read": {}, "write": {"write": "yes"}}
    for name, args in names.items():
        first = seen(guard, **args)[0]
        secret(tmp_path, name, "rotated0" + name)
        second = seen(guard, **args)[0]
        assert first != second
        assert environment_of(second)["TOKEN"] == "rotated0" + name
        eventually(lambda pid=first: not os.path.exists(f"/proc/{pid}"), "the end of the old process")
        (tmp_path / name).unlink()
        assert "error" in guard.call("act", code=ENVIRON, **args)
        assert guard.outcome()["status"] == "unavailable", guard.records()[-8:]
        eventually(lambda pid=second: not os.path.exists(f"/proc/{pid}"), "the end of the old process")
        secret(tmp_path, name, "back0again0" + name)
        assert eventually(lambda a=args: guard.call("act", code=ENVIRON, **a).get("result"), "another start")
    noted = [one for one in guard.records("notice") if one["what"] == "credential-rotated"]
    assert "credential:gh-write" in [one["detail"] for one in noted]


def test_a_call_in_flight_ends_in_the_process_that_it_began_in(guard, tmp_path):
    slow = "while not os.path.exists(params['arguments']['file']): time.sleep(0.01)\n" + ENVIRON
    seen(guard, write="yes")
    request = guard.request(
        "tools/call",
        {"name": "act", "arguments": {"code": slow, "write": "yes", "file": str(tmp_path / "go")}},
    )
    log = tmp_path / "log"
    eventually(lambda: '"go"' in log.read_text() or "/go" in log.read_text(), "that the call has arrived")
    secret(tmp_path, "write", "rotated0write")
    fresh = seen(guard, write="yes")[0]
    (tmp_path / "go").touch()
    begun = json.loads(guard.answer(request)["result"]["content"][0]["text"])
    assert begun[0] != fresh
    assert "REDACTED" in begun[1]
    eventually(lambda: not os.path.exists(f"/proc/{begun[0]}"), "the end of the old process")


def test_a_lane_ends_when_its_lease_does_and_the_next_call_starts_another(session, tmp_path):
    program = "import os; print('minted0token0' + str(os.getpid()).zfill(12))"
    made = {"command": {"argv": [sys.executable, "-c", program], "ttl_seconds": 1.0}}
    guard = lanes(session, tmp_path, made)
    seen(guard)
    first = seen(guard, write="yes")[0]
    eventually(lambda: not os.path.exists(f"/proc/{first}"), "the end of the lease")
    assert seen(guard, write="yes")[0] != first


def test_what_a_call_causes_goes_through_its_own_lane(start, tmp_path):
    guard = lanes(start, tmp_path)
    guard.hello(capabilities={"elicitation": {}})
    ask = "answer = text(json.dumps(ask('elicitation/create', message=token, requestedSchema={}))); notify("
    ask += "'notifications/progress', progressToken=params['_meta']['progressToken'], progress=1)"
    for args in ({}, {"write": "yes"}):
        request = guard.request(
            "tools/call",
            {"name": "act", "arguments": {"code": ask, **args}, "_meta": {"progressToken": "p"}},
        )
        question = guard.wait_message(lambda m: m.get("method") == "elicitation/create")
        guard.messages.remove(question)
        guard.send({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}})
        assert "decline" in str(guard.answer(request))
        assert guard.notifications("notifications/progress")


def test_a_task_is_asked_for_in_the_lane_that_it_was_begun_in(guard):
    told = "send({'id': request_id, 'result': {'taskId': 't1', 'status': str(os.getpid())}})"
    begin = f"state['on'] = {{'tasks/get': {told!r}}}; answer = {{'task': {{'taskId': 't1', 'status': 'working'}}}}"
    plain, write = seen(guard)[0], seen(guard, write="yes")[0]
    arguments = {"code": begin, "write": "yes"}
    begun = guard.ask("tools/call", {"name": "act", "arguments": arguments, "task": {"ttl": 60_000}})
    assert begun["result"]["task"]["taskId"] == "t1"
    assert guard.ask("tasks/get", {"taskId": "t1"})["result"]["status"] == str(write) != str(plain)
    assert last(guard)[0] == "gh-write"


def test_a_cancelled_call_is_cancelled_in_its_own_lane(guard):
    seen(guard)
    seen(guard, write="yes")
    request = guard.request(
        "tools/call", {"name": "act", "arguments": {"code": "silent = True; say('held')", "write": "yes"}}
    )
    guard.wait_stderr("[gh (gh-write)] held")
    guard.notify("notifications/cancelled", requestId=request)
    guard.wait_stderr("[gh (gh-write)] cancelled")


def test_every_lane_is_told_the_level_of_logs_also_one_that_is_started_later(guard, tmp_path):
    seen(guard)
    guard.ask("logging/setLevel", {"level": "debug"})
    seen(guard, write="yes")
    log = tmp_path / "log"
    eventually(lambda: log.read_text().count('"logging/setLevel"') == 2, "the level in both")


def test_the_status_shows_each_lane(guard):
    seen(guard)
    seen(guard, write="yes")

    def shown():
        return b"gh (gh-write)" in warm.command("status").stdout

    eventually(shown, "the lane in the status")


def test_a_server_that_is_another_one_in_a_lane_is_refused(session, tmp_path):
    start = (
        "state['on_initialize'] = \"\"\"send({'id': request_id, 'result': {'protocolVersion': "
        "params['protocolVersion'], 'capabilities': {}, 'serverInfo': {'name': token[:5], 'version': '1'}}})\"\"\""
    )
    write = secret(tmp_path, "write", WRITE)
    entry = {"servers": ["gh"], "value": f"${{file:{write}}}", "env": {"TOKEN": "${credential:gh-write}"}}
    guard = session({"gh": puppet("--start", start)}, RULES, credentials={"gh-write": entry})
    seen(guard)
    assert (
        "is not the same server as before" in guard.call("act", code=ENVIRON, write="yes")["error"]["message"]
    )
    assert seen(guard)


def test_a_modern_server_has_lanes_too_and_each_is_heard_and_crashes_alone(session, tmp_path):
    write = secret(tmp_path, "write", WRITE)
    entry = {"servers": ["gh"], "value": f"${{file:{write}}}", "env": {"TOKEN": "${credential:gh-write}"}}
    rules = [
        {"id": "read", "effect": "allow", "when": "!has(args.write)"},
        {"id": "write", "effect": "allow", "when": "has(args.write)", "credential": "gh-write"},
    ]
    server = {"command": sys.executable, "args": [str(SERVERS / "modern.py")]}
    guard = session({"gh": server}, rules, credentials={"gh-write": entry})
    assert guard.text("echo", text="one") == "one"
    assert guard.text("echo", text="two", write="yes") == "two"
    guard.text("change", write="yes")
    guard.wait_message(lambda message: message.get("method") == "notifications/tools/list_changed")
    assert "error" in guard.call("crash", write="yes")
    assert guard.text("echo", text="three") == "three"
    again = eventually(lambda: guard.call("echo", text="four", write="yes").get("result"), "another start")
    assert again["content"][0]["text"] == "four"
