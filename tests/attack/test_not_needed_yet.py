"""Threat: a server shows the credential of another server that has not needed it yet (law 2), such as a file
server that reads a `.env`."""

import json
import sys

import pytest

from tests.wire import warm
from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet, write_config

ENV = "q7Zk2vX9pL4mT8wR1nB6"
FILE = "w3Yd8sG5hJ1fK7cV2xQ9"
PART = "m4Nb7Tz2Rw9Ly6Pc1Ka8"
OTHER = "v5Hs9Dj3Gf8Mk2Xq6Ze1"
VALUES = (ENV, FILE, PART, OTHER)


@pytest.fixture
def setting(tmp_path):
    """Servers of which one reads files and the others are never started, and the environment."""
    path = tmp_path / "token"
    path.write_text(FILE)
    path.chmod(0o600)
    (tmp_path / "env").write_text("\n".join(f"a {value} b" for value in VALUES))
    servers = {
        "files": puppet(),
        "broken": {
            "command": sys.executable,
            "args": ["-c", "raise SystemExit(1)"],
            "env": {"T": "${env:ONE}"},
        },
        "off": puppet(disabled=True, env={"T": f"${{file:{path}}}"}),
        "other": puppet(env={"T": "${env:TWO}"}),
    }
    entries = {"part": {"servers": ["broken"], "value": "user:${env:THREE}@host"}}
    more = {
        "credentials": entries,
        "clients": {"me": {"servers": ["files", "broken", "off"]}, "you": {"servers": ["other"]}},
    }
    return servers, {**more, "env": {"ONE": ENV, "TWO": OTHER, "THREE": PART}, "words": ("--agent", "me")}


def shown(guard, tmp_path, tool="act"):
    return guard.text(tool, code=f"answer = text(open({str(tmp_path / 'env')!r}).read())")


def test_credentials_that_no_server_has_needed_are_removed_from_answers_and_records(
    session, setting, tmp_path
):
    servers, more = setting
    guard = session(servers, **more)
    refused = guard.call("files__act", code=f"answer = text({VALUES!r}[0])")
    assert "not for" in json.dumps(refused)
    answer = shown(guard, tmp_path, "files__act")
    assert "[REDACTED:credential:" in answer
    for value in VALUES:
        assert value not in answer
        assert value.encode() not in bytes(guard.received) + guard.stderr + guard.audit_bytes
    (read,) = [one for one in guard.records("notice") if one["what"] == "credentials-read"]
    assert {"env:ONE", "env:TWO"} <= set(read["detail"].split(", "))


def test_what_a_client_says_at_once_is_recorded_without_them(start, setting, tmp_path):
    servers, more = setting
    guard = start(servers, **more)
    about = {"protocolVersion": "2025-11-25", "capabilities": {}}
    asked = [
        ("initialize", {**about, "clientInfo": {"name": FILE, "version": ENV}}),
        ("tools/call", {"name": OTHER, "arguments": {"text": PART}}),
        ("resources/read", {"uri": f"x:{FILE}"}),
        ("tools/list", {}),
    ]
    lines = [
        {"jsonrpc": "2.0", "id": n, "method": method, "params": params}
        for n, (method, params) in enumerate(asked)
    ]
    guard.pump("".join(json.dumps(line) + "\n" for line in lines).encode())
    for line in lines:
        guard.answer(line["id"])
    assert guard.end() == 0
    for value in VALUES:
        assert value.encode() not in guard.stderr + guard.audit_bytes


def test_a_secret_among_the_arguments_of_a_server_is_removed_and_goes_to_no_other(session, tmp_path):
    servers = {"keyed": puppet("--api-key", ENV, "--region", "us-east-1"), "files": puppet()}
    guard = session(servers)
    said = guard.text("keyed__act", code="answer = text(' '.join(sys.argv[1:]))")
    assert said == "--api-key [REDACTED:credential:keyed/args.3#1] --region us-east-1"
    assert guard.text("keyed__act", code=f"answer = text({ENV!r}[::-1])") != ENV[::-1]
    assert "not for" in json.dumps(guard.call("files__act", code=f"answer = text({ENV!r})"))
    assert ENV.encode() not in bytes(guard.received) + guard.stderr + guard.audit_bytes


def test_over_http_they_are_known_before_the_first_answer(setting, tmp_path):
    servers, more = setting
    guard = HttpGuard(tmp_path, servers, env=more["env"], credentials=more["credentials"])
    try:
        client = guard.modern()
        code = f"answer = text(open({str(tmp_path / 'env')!r}).read())"
        answer = json.dumps(client.open("tools/call", name="files__act", arguments={"code": code}).message())
    finally:
        guard.dispose()
    assert "[REDACTED:" in answer
    assert not [value for value in VALUES if value in answer]


def test_a_source_that_fails_is_reported_and_refuses_nothing(session, tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    entries = {"asked": {"servers": ["late"], "command": ["/bin/echo", "x"]}}
    servers = {"files": puppet(), "late": puppet(env={"T": "${env:NOT_SET}", "U": "${credential:asked}"})}
    guard = session(servers, env=state, credentials=entries)
    assert guard.text("files__act", code="answer = text('fine')") == "fine"
    guard.wait_stderr(
        "a credential that cannot be read is not removed from answers until a server needs it: "
        "env:NOT_SET is not set"
    )

    def status():
        done = warm.command("status", "--json", environment=state)
        return [one["unrecognised"] for one in json.loads(done.stdout)["running"]]

    assert eventually(lambda: any(status()) and status(), "a status that says so")[0].startswith(
        "a credential that cannot be read is not removed"
    )
    (known,) = [one for one in guard.records("notice") if one["what"] == "credentials-recognised"]
    assert "once a server needs them: credential:asked; could not be read: env:NOT_SET (" in known["detail"]


def test_a_changed_configuration_or_file_is_read_again(session, tmp_path):
    path = tmp_path / "token"
    path.write_text(ENV)
    path.chmod(0o600)
    (tmp_path / "env").write_text(f"a {FILE} {OTHER} b")
    servers = {"files": puppet(), "off": puppet(disabled=True, env={"T": f"${{file:{path}}}"})}
    guard = session(servers, env={"TWO": OTHER})
    assert FILE in shown(guard, tmp_path)
    path.write_text(FILE)
    eventually(lambda: FILE not in shown(guard, tmp_path), "the new value of the file is recognised")
    assert OTHER in shown(guard, tmp_path)
    write_config(tmp_path, {**servers, "more": puppet(disabled=True, env={"T": "${env:TWO}"})})
    eventually(lambda: OTHER not in shown(guard, tmp_path), "the value of the new server is recognised")

    def recognised():
        return [one for one in guard.records("notice") if one["what"] == "credentials-recognised"]

    eventually(lambda: len(recognised()) == 3, "a record of each time")
