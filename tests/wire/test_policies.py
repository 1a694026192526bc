"""Policies over the wire: they change while mcpguard serves, and what a session did outlives its process."""

import os

import yaml

from tests.wire.session import puppet

FEW = [{"id": "few", "effect": "allow", "limit": {"calls": 5, "per": "1h"}}]


def cause(answer):
    return answer["result"].get("_meta", {}).get("mcpguard/decision", {}).get("cause")


def rewrite(guard, rules):
    """Put other rules into the policy file of a running mcpguard, as an editor does."""
    path = guard.folder / "policy.yaml"
    text = rules if isinstance(rules, str) else yaml.safe_dump(
        {"version": 1, "policy": "test", "owner": "tests", "rules": rules}, sort_keys=False
    )  # fmt: skip
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def test_a_changed_policy_decides_the_next_call_on_the_open_connection(session):
    guard = session({"p": puppet()})
    assert "echo" in guard.tools()
    waiting = guard.request(
        "tools/call", {"name": "act", "arguments": {"code": "time.sleep(3); answer = text('late')"}}
    )
    rewrite(guard, [{"id": "no", "effect": "deny", "tools": ["echo"]}, {"id": "all", "effect": "allow"}])
    guard.wait_message(lambda one: one.get("method") == "notifications/tools/list_changed")
    assert guard.call("echo", text="x")["error"]["code"] == -32602
    assert "echo" not in guard.tools()
    assert guard.answer(waiting)["result"]["content"][0]["text"] == "late"
    notices = [one for one in guard.records("notice") if one["what"] == "policy-reloaded"]
    digests = {one["policy_digest"] for one in guard.records("decision")}
    assert len(notices) == 1
    assert all(digest in notices[0]["detail"] for digest in digests)
    assert len(digests) == 2


def test_a_bad_policy_never_takes_the_place_of_a_good_one(session):
    guard = session({"p": puppet()})
    rewrite(guard, "version: 1\npolicy: test\nrules: [{id: no, efect: deny}]\n")
    guard.wait_stderr("the changed policies were not loaded, the previous ones stay in force")
    assert b"did you mean `effect`?" in guard.stderr
    assert guard.text("echo", text="x") == "x"
    refused = [one for one in guard.records("notice") if one["what"].startswith("policy-")]
    assert [one["what"] for one in refused] == ["policy-refused"]


def test_a_bad_policy_that_is_taken_back_is_said(session):
    guard = session({"p": puppet()})
    good = (guard.folder / "policy.yaml").read_text()
    rewrite(guard, "version: 1\npolicy: test\nrules: [{id: no, efect: deny}]\n")
    guard.wait_stderr("the changed policies were not loaded")
    rewrite(guard, good)
    guard.wait_stderr("info mcpguard: the policy files match what is in force again")


def test_a_limit_is_not_shed_by_reconnecting(start, tmp_path):
    allowed = 0
    for _ in range(3):
        guard = start({"p": puppet()}, FEW, session={"path": str(tmp_path / "sessions")})
        guard.hello()
        allowed += sum(cause(guard.call("echo", text="x")) is None for _ in range(3))
        assert guard.end() == 0
    assert allowed == 5


def test_a_limit_is_exact_over_a_hundred_calls_of_two_processes_at_once(start, tmp_path):
    guards = [start({"p": puppet()}, FEW, session={"path": str(tmp_path / "sessions")}) for _ in range(2)]
    for guard in guards:
        guard.hello()
        guard.tools()
    asked = [
        (guard, guard.request("tools/call", {"name": "echo", "arguments": {"text": "x"}}))
        for _ in range(50)
        for guard in guards
    ]
    causes = [cause(guard.answer(request)) for guard, request in asked]
    assert (causes.count(None), causes.count("limit")) == (5, 95)


def test_what_one_server_gave_closes_the_way_out_through_another(session, tmp_path):
    rules = [
        {"id": "use", "effect": "allow"},
        {"id": "seen", "effect": "allow", "server": "files", "on": "result", "label": ["private"]},
        {
            "id": "leak",
            "effect": "deny",
            "server": "net",
            "when": "'private' in session.labels",
            "message": "Not now.",
        },
    ]
    guard = session({"files": puppet(), "net": puppet()}, rules, session={"path": str(tmp_path / "sessions")})
    assert guard.text("net__echo", text="x") == "x"
    assert guard.text("files__echo", text="secret") == "secret"
    refused = guard.call("net__echo", text="secret")
    assert cause(refused) == "rule"
    assert "Not now." in refused["result"]["content"][0]["text"]
    assert guard.text("files__echo", text="y") == "y"


def test_what_one_client_has_read_stops_no_other(start, tmp_path):
    rules = [
        {"id": "seen", "effect": "allow", "label": ["private"], "when": "!('private' in session.labels)"},
    ]
    shared = {"session": {"path": str(tmp_path / "sessions")}, "agent": "of-the-file"}
    agents = [("--agent", "desk"), ("--agent", "editor"), ()]
    for words in agents:
        guard = start({"p": puppet()}, rules, words=words, **shared)
        guard.hello()
        assert guard.text("echo", text="x") == "x"
        assert cause(guard.call("echo", text="y")) == "no-rule"
        assert guard.end() == 0
        opened = guard.records("opened")[-1]
        assert opened["agent"] == (words[1] if words else "of-the-file")
