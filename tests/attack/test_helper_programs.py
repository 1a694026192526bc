"""Threat: a program that gives credentials tells them, fails, hangs or never ends, or gives them to others."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.attack.processes import needs_proc
from tests.attack.test_leaks import PLAIN, SECRET, assert_clean
from tests.wire.session import eventually, puppet

TELL = "answer = text(' '.join(forms(environ['TOKEN'])))"


def helper(folder, script):
    """A program `helper` that has the secret in a file, and the `command` that starts it."""
    (folder / "secret").write_text(SECRET, encoding="utf-8")
    program = folder / "helper"
    program.write_text(f"#!/bin/sh\ncd {folder}\necho run >> runs\n{script}\n")
    program.chmod(0o700)
    return [str(program)]


def runs(folder):
    path = folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def bound(command, servers=("p",), **more):
    return {"credentials": {"key": {"command": command, "servers": list(servers), **more}}}


def program():
    return puppet(env={"TOKEN": "${credential:key}"})


def is_alive(pid):
    """Where a test process adopts orphans, one that has ended stays as a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def test_a_helper_that_tells_the_secret_everywhere_tells_it_to_the_server_only(session, tmp_path):
    noisy = helper(tmp_path, "cat secret >&2; sleep 600 & echo $! > child; cat secret")
    guard = session({"p": program()}, **bound(noisy))
    assert "[REDACTED:credential:key#" in guard.text("act", code=TELL)
    assert guard.text("act", code="answer = text(str(len(environ['TOKEN'])))") == str(len(SECRET))
    eventually(lambda: not is_alive(int((tmp_path / "child").read_text())), "the end of what it left behind")
    assert runs(tmp_path) == 1
    assert_clean(guard)
    (decided,) = guard.records("decision")[:1]
    assert decided["credentials"] == ["credential:key"]


def test_a_helper_that_fails_refuses_the_call_with_evidence_until_it_works_again(session, tmp_path):
    failing = helper(tmp_path, "[ -e fixed ] || { cat secret; cat secret >&2; exit 7; }\ncat secret")
    guard = session({"p": program(), "other": puppet()}, **bound(failing))
    refused = guard.call("p__act", code="answer = text('x')")
    assert "credential:key is unavailable" in json.dumps(refused)
    assert "ended with status 7" in json.dumps(refused)
    assert guard.text("other__act", code="answer = text('x')") == "x"
    assert guard.records("decision")
    (tmp_path / "fixed").touch()
    eventually(lambda: "result" in guard.call("p__act", code="answer = text('x')"), "a call that works again")
    assert_clean(guard)


@pytest.mark.parametrize("script", ["yes $(cat secret)", "head -c 100 /dev/zero | tr '\\0' '\\377'", "true"])
def test_what_is_no_credential_reaches_nobody(session, tmp_path, script):
    guard = session({"p": program(), "other": puppet()}, **bound(helper(tmp_path, script)))
    assert "credential:key is unavailable" in json.dumps(guard.call("p__act", code=TELL))
    assert guard.text("other__act", code="answer = text('x')") == "x"
    assert_clean(guard)


def test_for_others_than_it_is_bound_to_the_helper_does_not_even_run(session, tmp_path):
    more = bound(helper(tmp_path, "cat secret"), principals=["nobody-here", "group:nobody"])
    guard = session({"p": program()}, **more)
    refused = guard.call("act", code=TELL)
    assert "credential:key is not bound to the principal" in json.dumps(refused)
    assert runs(tmp_path) == 0


def test_a_reference_to_an_entry_in_an_argument_or_a_result_stays_text(session, tmp_path):
    guard = session({"p": program()}, **bound(helper(tmp_path, "cat secret")))
    said = "${credential:key} ${keyring:x} {{secret:key}}"
    assert guard.text("act", code=f"answer = text({said!r})", text=said) == said
    assert_clean(guard)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_helper_that_hangs_ends_with_mcpguard(session, tmp_path, number):
    hanging = helper(tmp_path, "echo $$ > mine; mv mine pid; sleep 600 & wait")
    guard = session({"p": program()}, **bound(hanging))
    guard.request("tools/call", {"name": "act", "arguments": {"code": TELL}})
    eventually((tmp_path / "pid").exists, "a helper that runs")
    guard.process.send_signal(number)
    guard.process.wait(20)
    eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the end of the helper")


def test_many_helpers_that_hang_do_not_keep_other_credentials_waiting(session, tmp_path):
    slow = helper(tmp_path, "until [ -e go ]; do sleep 0.05; done; cat secret")
    token = tmp_path / "token"
    token.write_text(PLAIN)
    token.chmod(0o600)
    names = [f"p{number}" for number in range(12)]
    servers = {name: puppet(env={"TOKEN": f"${{credential:{name}}}"}) for name in names}
    servers["other"] = puppet(env={"TOKEN": f"${{file:{token}}}"})
    entries = {name: {"command": list(slow), "servers": [name]} for name in names}
    guard = session(servers, credentials=entries)
    waiting = [
        guard.request("tools/call", {"name": f"{name}__act", "arguments": {"code": "answer = text('x')"}})
        for name in names
    ]
    eventually(lambda: runs(tmp_path) == len(names), "helpers that all run")
    assert guard.text("other__act", code="answer = text('x')") == "x"
    (tmp_path / "go").touch()
    for one in waiting:
        assert "result" in guard.answer(one, 60)
    assert_clean(guard)
