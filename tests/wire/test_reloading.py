"""A configuration that changes while mcpguard serves: in force whole, or not at all and reported."""

import json
import os
import pty
import signal
import sys
import threading
from pathlib import Path

import pytest
import yaml

from tests.wire import warm
from tests.wire.http_session import HttpGuard
from tests.wire.session import ALLOW_ALL, eventually, puppet, replace, write_config

CHANGED = "notifications/tools/list_changed"
NO_ECHO = [{"id": "no", "effect": "deny", "tools": ["echo"]}, *ALLOW_ALL]
IN_FORCE = "the changed configuration is now in force"
NOT_IN_FORCE = "the changed configuration was not applied"


def change(guard, servers, rules=None, **more):
    """Write another configuration of a running mcpguard."""
    write_config(guard.folder, servers, rules, **more)


def notices(guard, what):
    return [one["detail"] for one in guard.records("notice") if one["what"] == what]


def pid_of(guard, tool):
    return int(guard.text(tool, code="answer = text(str(os.getpid()))"))


@pytest.fixture
def serve(tmp_path):
    """`serve(servers, rules)` starts `mcpguard run --http`; at the end it is ended."""
    guards = []

    def begin(servers, rules=None):
        guards.append(HttpGuard(tmp_path, servers, rules))
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def status(folder):
    """What `mcpguard status --json` says of the mcpguard whose configuration is in this folder, and its exit code."""
    done = warm.command("status", "--json")
    found = [one for one in json.loads(done.stdout)["running"] if one["config"].startswith(str(folder))]
    return found[0] if found else None


def not_in_force(guard):
    found = status(guard.folder)
    return found and found["not_in_force"]


def test_a_server_that_is_added_is_announced_and_the_others_keep_their_processes_and_calls(session):
    guard = session({"a": puppet(), "b": puppet()})
    assert len(guard.tools()) == 8
    pid = pid_of(guard, "a__act")
    code = "say('in'); params = sys.stdin.readline(); answer = text('late')"
    waiting = guard.request("tools/call", {"name": "a__act", "arguments": {"code": code}})
    guard.wait_stderr("[a] in")
    change(guard, {"a": puppet(), "b": puppet(), "c": puppet("--mark", "new")})
    guard.wait_message(lambda one: one.get("method") == CHANGED)
    assert guard.text("c__echo", text="x") == "x"
    assert alive(pid)
    guard.notify("notifications/cancelled", requestId=0)
    guard.ask("prompts/list")
    again = guard.request("tools/call", {"name": "a__echo", "arguments": {"text": "more"}})
    assert guard.answer(waiting)["result"]["content"][0]["text"] == "late"
    assert notices(guard, "configuration-reloaded") == ["servers"]
    del again


def test_a_server_that_is_removed_ends_and_nobody_is_told_that_it_was_there(session):
    guard = session({"a": puppet(), "b": puppet(), "c": puppet()})
    guard.tools()
    pids = {name: pid_of(guard, f"{name}__act") for name in "abc"}
    change(guard, {"a": puppet(), "b": puppet()})
    guard.wait_stderr(IN_FORCE)
    eventually(lambda: not alive(pids["c"]), "its end")
    assert guard.call("c__echo", text="x")["error"]["message"] == "Unknown tool: c__echo"
    assert {name: pid_of(guard, f"{name}__act") for name in "ab"} == {k: pids[k] for k in "ab"}
    assert len(guard.tools()) == 8


def test_a_server_that_is_another_one_now_is_restarted_when_it_is_needed(session, tmp_path):
    started = tmp_path / "started"
    guard = session({"a": puppet(), "b": puppet()})
    guard.tools()
    old = pid_of(guard, "b__act")
    change(guard, {"a": puppet(), "b": puppet("--start", f"open({str(started)!r}, 'w').close()")})
    eventually(lambda: not alive(old), "the end of the old one")
    assert not started.exists()
    assert guard.text("b__echo", text="x") == "x"
    assert started.exists()


def test_a_second_server_has_tools_listed_with_their_servers_and_its_end_gives_no_shared_name_back(session):
    guard = session({"a": puppet()})
    assert "echo" in guard.tools()
    pid = pid_of(guard, "act")
    change(guard, {"a": puppet(), "b": puppet()})
    guard.wait_message(lambda one: one.get("method") == CHANGED)
    assert pid_of(guard, "a__act") == pid
    assert {"a__echo", "b__echo"} <= set(guard.tools())
    guard.messages.clear()
    change(guard, {"a": puppet()})
    guard.wait_message(lambda one: one.get("method") == CHANGED)
    assert pid_of(guard, "a__act") == pid
    assert "a__echo" in guard.tools()
    assert guard.call("echo", text="x")["error"]["message"] == "Unknown tool: echo. Did you mean a__echo?"


def test_a_call_in_flight_on_a_server_that_is_removed_may_come_to_its_end(session):
    guard = session({"a": puppet(), "b": puppet()})
    guard.tools()
    code = "say('in'); handle(json.loads(sys.stdin.readline())); answer = text('late')"
    waiting = guard.request("tools/call", {"name": "b__act", "arguments": {"code": code}})
    guard.wait_stderr("[b] in")
    ending = guard.request("tools/call", {"name": "b__act", "arguments": {"code": "pass"}})
    change(guard, {"a": puppet()})
    guard.wait_stderr(IN_FORCE)
    assert guard.answer(waiting)["result"]["content"][0]["text"] == "late"
    guard.answer(ending)


def test_one_that_hangs_is_ended_with_a_reason(session):
    guard = session({"a": puppet(), "b": puppet()})
    guard.tools()
    waiting = guard.request("tools/call", {"name": "b__act", "arguments": {"code": "silent = True"}})
    assert guard.text("b__echo", text="x") == "x"
    change(guard, {"a": puppet()})
    said = guard.answer(waiting)["error"]["message"]
    assert "upstream 'b' was changed in the configuration, or removed" in said


def test_a_credential_is_only_for_the_servers_that_the_configuration_names_now(session, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the-first-credential")
    secret.chmod(0o600)
    entry = {"made": {"value": f"${{file:{secret}}}", "servers": ["a", "b"]}}
    both = {name: puppet(env={"TOKEN": "${credential:made}"}) for name in "ab"}
    guard = session(both, credentials=entry)
    code = "answer = text(str(len(token)))"
    assert guard.text("b__act", code=code) == "20"
    entry["made"]["servers"] = ["a"]
    change(guard, {"a": both["a"], "b": puppet()}, credentials=entry)
    guard.wait_stderr(IN_FORCE)
    assert guard.text("b__act", code=code) == "0"
    assert guard.text("a__act", code=code) == "20"
    assert notices(guard, "configuration-reloaded") == ["servers, credentials"]


def test_a_new_credential_from_the_environment_is_taken_out_of_it(session):
    guard = session({"a": puppet(), "b": puppet()}, env={"MY_NEW_TOKEN": "held-from-the-environment"})
    guard.tools()
    change(guard, {"a": puppet(), "b": puppet(env={"TOKEN": "${env:MY_NEW_TOKEN}"})})
    guard.wait_stderr(IN_FORCE)
    assert guard.text("b__act", code="answer = text(token[:0] + str(len(token)))") == "25"
    assert b"held-from-the-environment" not in Path(f"/proc/{guard.pid}/environ").read_bytes()
    assert "held-from" not in guard.text("a__act", code="answer = text('held-from-the-environment')")


def test_policies_and_their_params_limits_and_approvals_change_without_a_restart(session):
    guard = session({"a": puppet()})
    assert guard.text("echo", text="x") == "x"
    more = {"version": 1, "policy": "more", "params": {"word": {"type": "string"}}, "owner": "t"}
    more["rules"] = [{"id": "no", "effect": "deny", "tools": ["echo"], "when": "args.text == params.word"}]
    replace(guard.folder / "more.yaml", json.dumps(more))
    policies = ["policy.yaml", {"file": "more.yaml", "params": {"word": "bad"}}]
    change(
        guard, {"a": puppet()}, policies=policies, approvals={"wait_seconds": 1}, limits={"list_seconds": 2}
    )
    guard.wait_stderr(f"{IN_FORCE}: policies, limits, approvals")
    assert guard.call("echo", text="bad")["result"]["isError"]
    policies[1]["params"]["word"] = "worse"
    change(guard, {"a": puppet()}, policies=policies)
    eventually(
        lambda: "result" in (found := guard.call("echo", text="bad")) and not found["result"].get("isError"),
        "it",
    )
    assert guard.call("echo", text="worse")["result"]["isError"]


def test_a_name_never_passes_from_one_server_to_another(session):
    guard = session({"a": puppet()})
    guard.tools()
    change(guard, {"b": puppet()})
    guard.wait_stderr(f"{NOT_IN_FORCE}: the only server cannot change while mcpguard is running: restart it")
    assert guard.text("echo", text="x") == "x"


def test_another_server_takes_no_name_from_who_uses_the_first_and_the_operator_reads_how_names_change(
    session,
):
    guard = session({"a": puppet()})
    guard.tools()
    change(guard, {"a": puppet(), "b": puppet()})
    guard.wait_stderr(
        "tools and prompts are listed as SERVER__NAME from now on, since there are several servers"
    )
    assert guard.text("echo", text="x") == guard.text("a__echo", text="x") == "x"
    assert "b__echo" in guard.tools()
    change(guard, {"a": puppet()})
    guard.wait_stderr("tools and prompts are listed without their server to clients that connect from now on")
    assert guard.text("a__echo", text="y") == "y"


def test_what_cannot_change_while_it_runs_keeps_all_of_it_out_of_force_and_is_reported_everywhere(session):
    guard = session({"a": puppet()})
    guard.tools()
    change(guard, {"a": puppet(), "b": puppet()}, audit={"path": "elsewhere"}, agent="other")
    guard.wait_stderr(f"{NOT_IN_FORCE}: `agent`, `audit` cannot change while mcpguard is running: restart it")
    assert "echo" in guard.tools()
    found = eventually(lambda: not_in_force(guard), "its status")
    assert (found["what"], found["state"]) == ("configuration", "restart")
    assert notices(guard, "configuration-refused") == [
        "`agent`, `audit` cannot change while mcpguard is running: restart it"
    ]
    change(guard, {"a": puppet()})
    eventually(lambda: not_in_force(guard) is None, "that it is over")
    guard.wait_stderr("info mcpguard: the configuration file matches what is in force again")
    change(guard, {"a": puppet(), "b": puppet()})
    guard.wait_stderr(IN_FORCE)
    assert guard.stderr.count(NOT_IN_FORCE.encode()) == 1


def test_policies_change_though_the_configuration_waits_for_a_restart(session):
    guard = session({"a": puppet()})
    guard.tools()
    change(guard, {"a": puppet()}, agent="other")
    guard.wait_stderr(NOT_IN_FORCE)
    change(guard, {"a": puppet()}, NO_ECHO, agent="other")
    guard.wait_stderr("changed policies are now in force")
    assert guard.call("echo", text="x")["error"]["code"] == -32602


@pytest.mark.parametrize("wrong", ["servers: [", "version: 1\nservers: {}\n", "version: 1\nserver: {}\n"])
def test_an_invalid_configuration_is_reported_once_and_changes_nothing(session, wrong):
    guard = session({"a": puppet()})
    replace(guard.config, wrong)
    guard.wait_stderr(NOT_IN_FORCE)
    assert guard.text("echo", text="x") == "x"
    assert eventually(lambda: not_in_force(guard), "its status")["state"] == "refused"
    assert len(notices(guard, "configuration-refused")) == 1
    assert "echo" in guard.tools()
    assert guard.stderr.count(NOT_IN_FORCE.encode()) == 1


def test_the_latest_mistake_in_a_policy_is_the_one_that_status_shows(session):
    guard = session({"a": puppet()})
    guard.tools()
    replace(guard.folder / "policy.yaml", "version: 1\npolicy: p\nrules: {}\n")
    first = eventually(lambda: not_in_force(guard), "its status")
    assert (first["what"], first["state"]) == ("policies", "refused")
    replace(guard.folder / "policy.yaml", "version: 1\npolicy: p\nrules: [{id: a, efect: allow}]\n")
    eventually(lambda: "`effect` is missing" in not_in_force(guard)["problem"], "the second mistake")
    assert not_in_force(guard)["since"] == first["since"]


def test_a_policy_that_never_stays_as_it_is_read_is_reported_and_loaded_once_it_does(serve):
    # Reading it takes a while, so that it is always changed meanwhile, however late the writer is.
    many = [{"id": f"r{number}", "effect": "allow", "when": f"args.x == {number}"} for number in range(300)]
    guard = serve({"a": puppet()}, rules=[*ALLOW_ALL, *many])
    client = guard.modern()
    written = (guard.folder / "policy.yaml").read_text()
    over = threading.Event()

    def write_on():
        number = 0
        while not over.wait(0.001):
            number += 1
            replace(guard.folder / "policy.yaml", written.replace("policy: test", f"policy: test{number}"))

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        said = "the files of the policies have been changing for more than 5 seconds"
        guard.wait_stderr(said)
        assert guard.open("GET", "/readyz").json()["needs"]["policies"]["warning"].startswith(said)
        assert client.text("echo", text="x") == "x"
    finally:
        over.set()
        writer.join()
    guard.wait_stderr("the files of the policies can be read as a whole again")
    guard.wait_stderr("changed policies are now in force")
    assert guard.open("GET", "/readyz").json()["needs"]["policies"]["warning"] == ""


def test_a_configuration_with_a_policy_that_comes_later_is_in_force_when_it_is_there(session):
    guard = session({"a": puppet()})
    change(guard, {"a": puppet()}, policies=["policy.yaml", "later.yaml"])
    guard.wait_stderr("later.yaml: there is no such file")
    later = {"version": 1, "policy": "later", "owner": "t", "rules": NO_ECHO[:1]}
    replace(guard.folder / "later.yaml", json.dumps(later))
    guard.wait_stderr(f"{IN_FORCE}: policies")
    assert guard.call("echo", text="x")["error"]["code"] == -32602


def test_a_configuration_is_in_force_once_a_policy_that_both_versions_have_is_mended(session):
    guard = session({"a": puppet()})
    policy = guard.folder / "policy.yaml"
    good = policy.read_text()
    replace(policy, good.replace("allow", "alow"))
    config = yaml.safe_load(guard.config.read_text())
    replace(guard.config, json.dumps({**config, "servers": {"a": puppet(), "b": puppet()}}))
    guard.wait_stderr(NOT_IN_FORCE)
    replace(policy, good)
    guard.wait_stderr(f"{IN_FORCE}: servers")
    assert "b__echo" in guard.tools()
    eventually(lambda: not_in_force(guard) is None, "a status without what is not in force")


def test_what_a_client_sees_changes_with_its_view_and_whoever_is_no_client_any_more_is_reported(start):
    servers = {"a": puppet(), "b": puppet(), "c": puppet()}
    guard = start(servers, words=["--agent", "desk"], clients={"desk": {"servers": ["a", "b"]}})
    guard.hello()
    assert len(guard.tools()) == 8
    change(guard, servers, clients={"desk": {"servers": ["b", "c"]}})
    guard.wait_message(lambda one: one.get("method") == CHANGED)
    assert all(name.partition("__")[0] != "a" for name in guard.tools())
    change(guard, servers, clients={"other": {"servers": ["a"]}})
    guard.wait_stderr("there is no client `desk`")
    assert len(guard.tools()) == 8


def test_sighup_reads_everything_again_and_ends_nothing(session):
    guard = session({"a": puppet()})
    pid = pid_of(guard, "act")
    guard.signal(signal.SIGHUP)
    guard.wait_stderr("asked to read the configuration and the policies again")
    assert pid_of(guard, "act") == pid
    change(guard, {"a": puppet()}, NO_ECHO)
    guard.signal(signal.SIGHUP)
    guard.wait_stderr("changed policies are now in force")
    assert guard.end() == 0


def test_the_end_of_its_terminal_ends_it(tmp_path):
    """A terminal that is closed sends the same signal as whoever wants a reload."""
    config = write_config(tmp_path, {"a": puppet()})
    pid, terminal = pty.fork()
    if pid == 0:
        words = ["-m", "mcpguard", "run", "--config", str(config), "--http", "127.0.0.1:0"]
        os.execv(sys.executable, [sys.executable, *words])
    heard = b""
    while b"listening on" not in heard:
        heard += os.read(terminal, 4096)
    os.close(terminal)
    assert eventually(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, "its end")


def test_clients_of_both_eras_over_http_hear_of_it(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    clients = [guard.modern(), guard.legacy()]
    assert [len(client.tools()) for client in clients] == [8, 8]
    change(guard, {"a": puppet(), "b": puppet(), "c": puppet()})
    guard.wait_stderr(IN_FORCE)
    assert [len(client.tools()) for client in clients] == [12, 12]
    change(guard, {"a": puppet()}, http={"max_sessions": 7})
    guard.wait_stderr(f"{NOT_IN_FORCE}: `http` cannot change while mcpguard is running: restart it")
    assert [len(client.tools()) for client in clients] == [12, 12]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_person_who_was_asked_before_a_server_changed_still_answers_the_call(serve, era):
    rules = [*ALLOW_ALL, {"id": "asked", "effect": "allow", "action": ["elicitation/create"]}]
    guard = serve({"a": puppet(), "b": puppet()}, rules)
    params = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}
    code = f"got = ask('elicitation/create', **{params}); answer = text(json.dumps(got['result']))"
    said = {"action": "accept", "content": {}}
    client = getattr(guard, era)(capabilities={"elicitation": {"form": {}}})
    waiting = client.open_call("a__act", code=code)
    asked = waiting.wait(lambda one: one.get("method") == "elicitation/create" or "result" in one)
    change(guard, {"a": puppet("--mark", "new"), "b": puppet()}, rules)
    guard.wait_stderr(IN_FORCE)
    if era == "legacy":
        assert client.reply(asked, **said) == 202
    else:
        given = {key: said for key in asked["result"]["inputRequests"]}
        back = {"requestState": asked["result"]["requestState"], "inputResponses": given}
        waiting = client.open("tools/call", name="a__act", arguments={"code": code}, **back)
    assert json.loads(waiting.answer()["result"]["content"][0]["text"]) == said
