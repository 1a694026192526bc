"""`kill -9` of the process that serves and of the one that answers, at random moments: no effect without an
approval in evidence, and no approval used twice. MCPGUARD_KILLS says how many rounds."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from threading import Timer

import pytest

from tests.wire.session import DEADLINE, Guard, eventually, puppet

ROUNDS = int(os.environ.get("MCPGUARD_KILLS", "12"))
SEED = int(os.environ.get("MCPGUARD_KILL_SEED", "11"))
ROOT = Path(__file__).parents[2]
RULES = [{"id": "act", "effect": "ask", "tools": ["act"]}]

ANSWERS = """
import builtins, sys, time
from mcpguard.cli import approvals, main
from mcpguard.cli.parser import configured
from mcpguard.serve.interventions import store_of
approvals.at_terminal = lambda: True
builtins.input = lambda _prompt: "y"
while True:
    for ticket in store_of(configured(sys.argv[1])).waiting():
        main(["approve", ticket.id, "--config", sys.argv[1]])
    time.sleep(0.01)
"""


class Person:
    """A process that approves whatever waits, and is started anew whenever it was killed."""

    def __init__(self, config):
        self._command = [sys.executable, "-c", ANSWERS, str(config)]
        self._running = self._started()

    def _started(self):
        return subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def killed(self):
        self.end()
        self._running = self._started()

    def end(self):
        self._running.kill()
        self._running.wait(DEADLINE)


def code(effects, number):
    return f"open({str(effects)!r}, 'a').write('{number}\\n'); answer = text('done')"


def records(folder):
    for file in (folder / "audit").glob("*.jsonl"):
        for line in file.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # The last line of a process that was killed.
                continue


def verdicts(folder):
    """The tickets that a person approved, and those of each allowed call, by the digest of its arguments."""
    given, allowed = set(), {}
    for one in records(folder):
        if one["kind"] == "notice" and one["what"] == "approval-given":
            given.add(one["detail"].split()[1])
        elif one["kind"] == "decision" and one.get("approval"):
            allowed.setdefault(one["args"], []).append(one["approval"].split()[0])
    return given, allowed


@pytest.mark.timeout(90 + 3 * ROUNDS)
def test_whoever_is_killed_no_effect_lacks_an_approval_and_none_counts_twice(tmp_path):
    chance, effects = random.Random(SEED), tmp_path / "effects"
    more = {"approvals": {"wait_seconds": 60}, "session": {"path": str(tmp_path / "s")}}
    person, number, open_calls = None, 0, []
    try:
        for turn in range(ROUNDS):
            guard = Guard(tmp_path, {"p": puppet()}, RULES, **more)
            try:
                person = person or Person(guard.config)
                guard.hello()
                again = chance.sample(open_calls, min(2, len(open_calls)))
                open_calls = [number + 1, number + 2, number + 3, *again]
                number += 3
                for one in open_calls:
                    guard.request("tools/call", {"name": "act", "arguments": {"code": code(effects, one)}})
                moments = [Timer(chance.random() * 0.7, guard.signal, (9,))]
                if turn % 3 == 0:
                    moments.append(Timer(chance.random() * 0.7, person.killed))
                for moment in moments:
                    moment.start()
                for moment in moments:
                    moment.join(DEADLINE)
                guard.wait()
            finally:
                guard.dispose()
        # Those who are left go on, so that the calls which were killed in between do not stay for ever.
        guard = Guard(tmp_path, {"p": puppet()}, RULES, **more)
        try:
            guard.hello()
            assert "done" in str(guard.call("act", seconds=60, code=code(effects, "last")))
        finally:
            guard.dispose()
    finally:
        if person is not None:
            person.end()
    eventually(lambda: "last" in effects.read_text(), "the last effect")
    given, allowed = verdicts(tmp_path)
    used = [ticket for tickets in allowed.values() for ticket in tickets]
    assert len(used) == len(set(used))
    assert set(used) <= given
    happened = Counter(effects.read_text().split())
    assert len(happened) > 1
    for one, times in happened.items():
        args = json.dumps({"code": code(effects, one)}, separators=(",", ":")).encode()
        assert times <= len(allowed.get(sha256(args).hexdigest(), [])), one
