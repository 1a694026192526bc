"""Alerts over the wire: somebody hears of a call that waits, once, and no call waits for that."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.adapters.approvals.test_notifying import FAKE, receiver
from tests.wire.session import eventually, puppet
from tests.wire.warm import command

__all__ = ["receiver"]

SECRET = "canary-9f2b71c0de"
RULES = [
    {
        "id": "push",
        "effect": "ask",
        "tools": ["echo"],
        "message": "Others see it.",
        "ask": {"show": ["text"]},
    },
    {"id": "rest", "effect": "allow"},
]


def fake(folder, more=""):
    """A notify-send in a folder of its own; gives the PATH to find it by, and what it was started with."""
    folder.mkdir()
    program = folder / "notify-send"
    program.write_text(FAKE.format(python=sys.executable, place=str(folder / "said"), more=more))
    program.chmod(0o700)

    def said():
        return [
            json.loads(line) for one in folder.glob("said.[0-9]*") for line in one.read_text().splitlines()
        ]

    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}, said


@pytest.mark.skipif(sys.platform == "darwin", reason="the fake is a notify-send")
def test_a_new_ticket_alerts_the_desktop_once(start, tmp_path):
    env, said = fake(tmp_path / "bin")
    more = {"approvals": {"wait_seconds": 0, "notify": ["desktop"]}, "session": {"path": str(tmp_path / "s")}}
    server = puppet(env={"TOKEN": "${env:MY_SECRET}"})
    guard = start({"p": server}, RULES, env={**env, "MY_SECRET": SECRET}, **more)
    guard.hello()
    guard.call("echo", text="hello")
    guard.call("echo", text="hello")
    (words,) = eventually(said, "an alert")
    assert "tools/call p/echo" in words[-1]
    assert "Others see it." in words[-1]
    assert "hello" not in words[-1]
    assert guard.end() == 0
    assert len(said()) == 1


def test_a_url_out_of_a_variable_is_posted_to_with_the_arguments_that_the_rule_shows(
    start, tmp_path, receiver
):
    notify = [{"to": "${env:CHAT}", "arguments": "shown"}]
    more = {"approvals": {"wait_seconds": 0, "notify": notify}, "session": {"path": str(tmp_path / "s")}}
    url = f"json://127.0.0.1:{receiver.server_port}/token-5150"
    server = puppet(env={"TOKEN": "${env:MY_SECRET}", "OTHER": "x"})
    rules = [*RULES[:1], {"id": "rest", "effect": "allow"}]
    guard = start({"p": server}, rules, env={"CHAT": url, "MY_SECRET": SECRET}, **more)
    guard.hello()
    guard.call("act", code="answer = text('started')")
    guard.call("echo", text="hello", note=SECRET)
    (posted,) = eventually(lambda: receiver.received, "an alert")
    assert 'text: "hello"' in posted["message"]
    assert SECRET not in str(posted)
    assert b"token-5150" not in guard.received
    assert "token-5150" not in str(guard.call("act", code="import os; answer = text(str(dict(os.environ)))"))


@pytest.mark.skipif(sys.platform == "darwin", reason="the fake is a notify-send")
def test_a_notifier_that_hangs_holds_nothing_up_and_does_not_outlive_mcpguard(start, tmp_path):
    env, said = fake(tmp_path / "bin", "time.sleep(600)")
    more = {"approvals": {"wait_seconds": 0, "notify": ["desktop"]}, "session": {"path": str(tmp_path / "s")}}
    guard = start({"p": puppet()}, RULES, env=env, **more)
    guard.hello()
    guard.call("echo", text="hello")
    eventually(said, "an alert")
    begun = time.monotonic()
    for number in range(20):
        guard.call("echo", text=str(number))
    assert time.monotonic() - begun < 20
    (file,) = (tmp_path / "bin").glob("said.[0-9]*")
    guard.signal(9)
    guard.wait()

    def gone():
        # One that ended may stay a zombie for as long as whoever took it over does not look.
        try:
            state = (Path("/proc") / file.suffix[1:] / "stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state in "ZX"

    eventually(gone, "the end of the notifier")


def test_a_missing_program_is_one_line(start, tmp_path):
    (tmp_path / "bin").mkdir()
    env = {"PATH": str(tmp_path / "bin")}
    more = {"approvals": {"wait_seconds": 0, "notify": ["desktop"]}, "session": {"path": str(tmp_path / "s")}}
    guard = start({"p": puppet()}, RULES, env=env, **more)
    guard.hello()
    for number in range(3):
        guard.call("echo", text=str(number))
    guard.wait_stderr("was not found")

    def lost():
        running = json.loads(command("status", "--json").stdout)["running"]
        return [alert for one in running if one["pid"] == guard.pid for alert in one["alerts"]]

    assert eventually(lost, "lost alerts in the status")[0]["to"] == "desktop"
    assert guard.end() == 0
    assert guard.stderr.count(b"alerts to desktop are failing (reported once)") == 1
