"""Threat: an upstream, its launcher or its children outlive mcpguard (law 9)."""

import os
import shlex
import signal
import sys
import time

import pytest

from tests.attack.processes import family, needs_proc, orphanage
from tests.wire.session import SERVERS, eventually, puppet

pytestmark = needs_proc

IGNORE_ALL = (
    "import signal\n"
    "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
    "state['stubborn'] = True\n"
)
"""The server ignores the usual signals and, when its input has ended, stays."""

LEFT_ALONE = 2.0
"""Seconds after which nothing may be alive."""


@pytest.fixture(autouse=True)
def _orphanage():
    with orphanage():
        yield


def launcher(start=IGNORE_ALL):
    """A server behind a shell that stays its parent and ignores what would end it."""
    words = [sys.executable, str(SERVERS / "puppet.py"), "--start", start]
    script = f"trap '' TERM HUP INT; {shlex.join(words)}; exit"
    return {"command": "/bin/sh", "args": ["-c", script]}


def alone(before):
    """Wait until nobody is left, within the promised time; SIGKILL whoever is, and name them."""
    end = time.monotonic() + LEFT_ALONE
    while left := {pid: line for pid, line in family().items() if pid not in before}:
        if time.monotonic() > end:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"alive after {LEFT_ALONE} s: {left}")
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_leaves_no_process_of_a_launcher_that_ignores_everything(session, number):
    before = family()
    guard = session({"stuck": launcher(), "other": launcher()})
    assert len(guard.tools()) == 8
    assert sum("puppet.py" in line for line in family().values()) >= 4
    guard.signal(number)
    alone(before)


def test_the_end_of_input_leaves_no_process_of_a_launcher_that_ignores_everything(session):
    before = family()
    guard = session({"stuck": launcher(), "other": launcher()})
    assert len(guard.tools()) == 8
    guard.process.stdin.close()
    alone(before)
    assert guard.process.wait(1) == 0


def test_a_client_that_closes_its_end_of_the_output_leaves_no_process(session):
    before = family()
    guard = session({"stuck": launcher()})
    assert guard.tools()
    guard.request("tools/list")
    guard.process.stdout.close()
    guard.stalled = True
    guard.send({"jsonrpc": "2.0", "id": 99, "method": "ping"})
    alone(before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_with_a_call_in_flight_leaves_no_process(session, number):
    before = family()
    guard = session({"stuck": launcher()})
    assert guard.tools()
    guard.request("tools/call", {"name": "act", "arguments": {"code": "say('in'); time.sleep(60)"}})
    guard.wait_stderr("[stuck] in")
    guard.signal(number)
    alone(before)


def test_the_end_of_input_with_a_call_that_never_ends_leaves_no_process_soon_after_the_drain(session):
    before = family()
    guard = session({"stuck": launcher()})
    assert guard.tools()
    guard.request("tools/call", {"name": "act", "arguments": {"code": "say('in'); time.sleep(60)"}})
    guard.wait_stderr("[stuck] in")
    guard.process.stdin.close()
    assert guard.process.wait(10) == 0
    alone(before)


@pytest.mark.parametrize("moment", range(24))
def test_sigkill_in_the_middle_of_a_start_leaves_no_process(start, moment):
    before = family()
    guard = start({"stuck": launcher(), "other": launcher()})
    hello = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}\n'
        b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
    )
    guard.pump(hello)
    guard.pump(until=lambda: guard.messages)
    end = time.monotonic() + moment * 0.002
    while time.monotonic() < end:
        pass
    guard.signal(signal.SIGKILL)
    alone(before)


def test_sigkill_as_soon_as_the_first_child_exists_leaves_no_process(start):
    for _ in range(5):
        before = family()
        guard = start({"stuck": launcher()})
        guard.pump(
            b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}\n'
            b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
        )
        eventually(lambda: len(family()) > len(before) + 1, "a child")  # noqa: B023
        guard.signal(signal.SIGKILL)
        alone(before)


def test_an_upstream_that_is_replaced_leaves_no_process_of_its_first_life(session):
    before = family()
    guard = session({"stuck": puppet("--start", IGNORE_ALL)})
    assert guard.tools()
    first = {pid for pid, line in family().items() if "puppet.py" in line and pid not in before}
    assert "error" in guard.call("act", code="os.close(1); time.sleep(60)")
    eventually(lambda: not first & family().keys(), "the end of the first life", 5)
    guard.signal(signal.SIGKILL)
    alone(before)


def test_a_watchdog_that_was_killed_is_replaced_and_knows_every_upstream(session):
    before = family()
    guard = session({"a": launcher(), "b": launcher(), "c": launcher()})
    assert guard.text("a__echo", text="x") == "x"
    watchdog = next(
        pid for pid, line in family().items() if "mcpguard-watchdog" in line and pid not in before
    )
    os.kill(watchdog, signal.SIGKILL)
    eventually(lambda: watchdog not in family(), "the end of the watchdog")
    assert guard.text("b__echo", text="x") == "x"
    guard.signal(signal.SIGKILL)
    alone(before)


DAEMON = IGNORE_ALL + (
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        for number in (0, 1, 2): os.close(number)\n"
    "        time.sleep(60)\n"
    "    os._exit(0)\n"
)
"""A process that left the group, the session, its parent and its descriptors."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_of_an_upstream_ends_with_mcpguard_on_linux(session, number):
    before = family()
    guard = session({"daemon": launcher(DAEMON)})
    assert guard.tools()
    guard.signal(number)
    alone(before)


def test_a_daemon_of_an_upstream_ends_at_the_end_of_input_on_linux(session):
    before = family()
    guard = session({"daemon": launcher(DAEMON)})
    assert guard.tools()
    guard.process.stdin.close()
    alone(before)


def test_sigkill_leaves_a_daemon_of_an_upstream_and_nothing_else_which_the_guide_says(session):
    before = family()
    guard = session({"daemon": launcher(DAEMON)})
    assert guard.tools()
    guard.signal(signal.SIGKILL)
    eventually(lambda: len(family().keys() - before.keys()) == 1, "the end of all but the daemon", LEFT_ALONE)
    for pid in family().keys() - before.keys():
        os.kill(pid, signal.SIGKILL)
    alone(before)
