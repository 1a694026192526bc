"""Threat: a disk that does not respond. Whoever watches mcpguard is answered, and it can be ended."""

import json
import signal
import time

import pytest

from tests.attack.processes import needs_proc, running
from tests.wire.http_session import HttpGuard
from tests.wire.session import Guard, eventually, puppet, replace

HANGING = """
import os, stat, time
write, flag = os.write, os.environ["HANGS"]

def hanging(file, data):
    if stat.S_ISREG(os.fstat(file).st_mode) and b'"seq":' in bytes(data):
        while os.path.exists(flag):
            open(flag + ".on", "w").close()
            time.sleep(0.01)
    return write(file, data)

os.write = hanging
"""
"""What makes each write of evidence hang, as long as there is a file."""
STORE_HANGING = """
import os, sqlite3, time
connect, flag = sqlite3.connect, os.environ["HANGS"]

class Hanging(sqlite3.Connection):
    def execute(self, *about):
        while os.path.exists(flag):
            open(flag + ".on", "w").close()
            time.sleep(0.01)
        return super().execute(*about)

sqlite3.connect = lambda *about, **more: connect(*about, factory=Hanging, **more)
"""
"""The same for the file of sessions, in the loop and in threads."""
CONFIG_HANGING = """
import os, pathlib, time
stat, opened, flag = os.stat, pathlib.Path.open, os.environ["HANGS"]

def waited(path):
    while str(path).endswith("policy.yaml") and os.path.exists(flag):
        open(flag + ".on", "w").close()
        time.sleep(0.01)

os.stat = lambda path, *about, **more: waited(path) or stat(path, *about, **more)
pathlib.Path.open = lambda path, *about, **more: waited(path) or opened(path, *about, **more)
"""
"""The same for each look at a policy, and each read of one."""
FEW = [{"id": "few", "effect": "allow", "tools": ["*"], "limit": {"calls": 100, "per": "1h"}}]


@pytest.fixture
def disk(tmp_path):
    """`disk.touch()` makes it hang, `disk.unlink()` lets it go on."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HANGING)
    return tmp_path / "hangs"


def guard_on(kind, disk, rules=None, **more):
    env = {"PYTHONPATH": str(disk.parent / "site"), "HANGS": str(disk)}
    servers = {"p": puppet("--log", str(disk.parent / "calls"))}
    return kind(disk.parent, servers, rules, env=env, cold=True, **more)


def hangs(disk):
    """Wait until a write does."""
    eventually(disk.with_name("hangs.on").exists, "a write that hangs")


@pytest.fixture
def ended():
    guards = []
    yield guards.append
    for guard in guards:
        guard.dispose()


def test_probes_are_answered_while_the_disk_hangs_and_calls_go_on_afterwards(disk, ended):
    guard = guard_on(HttpGuard, disk)
    ended(guard)
    client = guard.modern()
    assert client.text("echo", text="before") == "before"
    disk.touch()
    call = client.open_call("echo", text="during")
    hangs(disk)
    for path in ("/livez", "/healthz"):
        probe = guard.open("GET", path)
        probe.deadline(5)
        assert (probe.status, probe.body()) == (200, b"ok")
    guard.wait_stderr("the event loop is blocked")
    other = guard.open("GET", "/mcp")
    other.deadline(5)
    assert other.status == 503
    assert other.header("retry-after") == "1"
    disk.unlink()
    assert call.answer()["result"]["content"][0]["text"] == "during"
    guard.wait_stderr("info mcpguard: the event loop runs again")
    assert guard.open("GET", "/healthz").status == 200


def test_calls_are_refused_after_a_while_with_a_sentence_and_served_when_the_disk_is_there_again(disk, ended):
    guard = guard_on(Guard, disk)
    ended(guard)
    guard.hello()
    assert guard.text("echo", text="before") == "before"
    time.sleep(0.1)  # A write that follows another at once is trusted to end.
    disk.touch()
    for text in ("during", "after"):
        assert "cannot write its audit log" in guard.call("echo", text=text)["error"]["message"]
    guard.wait_stderr("the disk has not responded for several seconds")
    disk.unlink()
    eventually(lambda: "result" in guard.call("echo", text="again"), "evidence")


@needs_proc
@pytest.mark.parametrize("kind", [Guard, HttpGuard])
def test_a_signal_ends_it_while_the_disk_hangs_and_no_upstream_is_left(disk, ended, kind):
    guard = guard_on(kind, disk)
    ended(guard)
    log = str(disk.parent / "calls")
    if kind is Guard:
        guard.hello()
        assert guard.text("echo", text="before") == "before"
        disk.touch()
        guard.request("tools/call", {"name": "echo", "arguments": {"text": "during"}})
    else:
        client = guard.modern()
        assert client.text("echo", text="before") == "before"
        disk.touch()
        client.open_call("echo", text="during")
    hangs(disk)
    assert running(log)
    began = time.monotonic()
    guard.signal(signal.SIGTERM)
    assert guard.process.wait(10) == 1
    assert time.monotonic() - began < 10
    assert b"stopping without the last records" in guard.stderr
    eventually(lambda: not running(log), "the end of the upstream")


@needs_proc
def test_what_is_stored_in_a_thread_holds_up_neither_probes_nor_the_end(disk, ended):
    guard = guard_on(HttpGuard, disk, audit={"path": "audit", "durability": "group"})
    ended(guard)
    client = guard.modern()
    assert client.text("echo", text="before") == "before"
    disk.touch()
    client.open_call("echo", text="during")
    assert guard.open("GET", "/healthz").status == 200
    guard.wait_stderr("no evidence can be written, so every request is refused until it can")
    assert "audit" in client.call("echo", text="refused")["error"]["message"]
    guard.signal(signal.SIGTERM)
    assert guard.process.wait(15) == 1
    eventually(lambda: not running(str(disk.parent / "calls")), "the end of the upstream")


@needs_proc
def cause(answer):
    """Why a call was refused, "" where it was not."""
    return answer["result"].get("_meta", {}).get("mcpguard/decision", {}).get("cause", "")


def test_a_disk_that_hangs_under_the_state_is_said_and_holds_up_neither_probes_nor_the_end(disk, ended):
    (disk.parent / "site" / "sitecustomize.py").write_text(STORE_HANGING)
    guard = guard_on(HttpGuard, disk, FEW)
    ended(guard)
    client = guard.modern()
    assert client.text("echo", text="before") == "before"
    disk.touch()
    call = client.open_call("echo", text="during")
    hangs(disk)
    guard.wait_stderr("the event loop is blocked, for example by a disk that does not respond")
    for path, status in (("/livez", 200), ("/readyz", 503)):
        probe = guard.open("GET", path)
        probe.deadline(5)
        assert probe.status == status
    disk.unlink()
    assert "result" in call.answer()  # It was made, or refused where that took 10 seconds.
    guard.wait_stderr("info mcpguard: the event loop runs again")
    eventually(lambda: cause(client.call("echo", text="after")) == "", "the state")
    disk.touch()
    client.open_call("echo", text="again")
    eventually(lambda: guard.stderr.count(b"the event loop is blocked") == 2, "the second time")
    guard.signal(signal.SIGTERM)
    assert guard.process.wait(20) in (0, 1)  # By the loop, where it was let go before.
    eventually(lambda: not running(str(disk.parent / "calls")), "the end of the upstream")


def test_while_a_disk_hangs_under_the_state_calls_that_need_it_are_refused_and_then_served_again(disk, ended):
    (disk.parent / "site" / "sitecustomize.py").write_text(STORE_HANGING)
    guard = guard_on(Guard, disk, FEW)
    ended(guard)
    guard.hello()
    assert guard.text("echo", text="before") == "before"
    time.sleep(0.1)  # What follows an answer of the disk at once is trusted to end.
    disk.touch()
    for text in ("during", "after"):
        assert cause(guard.call("echo", text=text)) == "error"
    guard.wait_stderr(
        "not ready, store: the session's state is unavailable: the disk has not responded for several seconds"
    )
    assert guard.ask("ping")["result"] == {}
    disk.unlink()
    eventually(lambda: cause(guard.call("echo", text="again")) == "", "the state")


def test_a_disk_that_hangs_under_the_policies_is_said_and_holds_nobody_up(disk, ended):
    (disk.parent / "site" / "sitecustomize.py").write_text(CONFIG_HANGING)
    guard = guard_on(HttpGuard, disk)
    ended(guard)
    client = guard.modern()
    assert client.text("echo", text="x") == "x"
    disk.touch()
    hangs(disk)
    assert client.text("echo", text="y") == "y"
    assert b"is blocked" not in guard.stderr
    said = "reading the files of the configuration and the policies has taken more than 10 seconds so far"
    guard.wait_stderr(said)
    about = guard.open("GET", "/readyz").json()
    assert about["ready"]
    assert about["needs"]["policies"]["warning"].startswith(said)
    denied = {"version": 1, "policy": "p", "owner": "t", "rules": [{"id": "no", "effect": "deny"}]}
    replace(guard.folder / "policy.yaml", json.dumps(denied))
    disk.unlink()
    guard.wait_stderr("the files of the configuration and the policies can be read again")
    guard.wait_stderr("changed policies are now in force")
    assert "error" in client.call("echo", text="z")
    assert guard.open("GET", "/readyz").json()["needs"]["policies"]["warning"] == ""
