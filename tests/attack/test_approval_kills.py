"""`kill -9` of the process that serves and of the one that answers, at random moments: no effect without an
approval in evidence, and no approval used twice. MCPGUARD_KILLS says how many of them die."""

import json
import os
import random
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from threading import Timer

import pytest

from mcpguard.config.loading import load_config
from mcpguard.core.policy.tickets import TicketAnswer, latest_end
from mcpguard.serve.interventions import give, store_of
from tests.wire import warm
from tests.wire.session import DEADLINE, Guard, eventually, puppet, write_config

KILLS = int(os.environ.get("MCPGUARD_KILLS", "50"))
SEED = int(os.environ.get("MCPGUARD_KILL_SEED", "11"))
AT_ONCE = 2
"""So many processes serve at the same time, with one state and one chain of approvals."""
WINDOW = 0.4
"""Seconds within which they are killed: a call is asked about, approved and made in a good half of that."""
RULES = [{"id": "act", "effect": "ask", "tools": ["act"]}]

ANSWERS = """
import builtins, sys, time
from mcpguard.cli import main
from mcpguard.cli import parser
from mcpguard.cli.parser import configured
from mcpguard.serve import interventions
from mcpguard.serve.interventions import store_of
parser.at_terminal = lambda: True
interventions.TAKEN_SECONDS = 0  # Most tickets are of processes that were killed.
builtins.input = lambda _prompt: "y"
while True:
    for ticket in store_of(configured(sys.argv[1])).waiting():
        main(["approve", ticket.id, "--config", sys.argv[1]])
    time.sleep(0.01)
"""


class Person:
    """A process that approves whatever waits, and is started anew whenever it was killed."""

    def __init__(self, config, said):
        self._config = config
        self._said = said
        self._running = self._started()

    def _started(self):
        place = warm.socket_of_mcpguard("mcpguard.cli.operating.approvals", "mcpguard.serve.interventions")
        words = ["-c", ANSWERS, str(self._config)]
        with open(self._said, "ab") as said:
            return warm.Warm(place, words, stdout=said, stderr=said, env=dict(os.environ))

    def killed(self):
        self.end()
        self._running = self._started()

    def end(self):
        assert self._running.poll() is None, Path(self._said).read_text()[-2000:]
        self._running.kill()
        self._running.wait(DEADLINE)
        self._running.stdin.close()


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


def begun(guard, numbers, effects):
    """The calls with these numbers are made, and wait for a person."""
    guard.hello()
    for one in numbers:
        guard.request("tools/call", {"name": "act", "arguments": {"code": code(effects, one)}})


@pytest.mark.timeout(90 + KILLS)
def test_whoever_is_killed_no_effect_lacks_an_approval_and_none_counts_twice(tmp_path):
    chance, effects, said = random.Random(SEED), tmp_path / "effects", tmp_path / "person"
    more = {"approvals": {"wait_seconds": 60}, "session": {"path": str(tmp_path / "s")}}
    config = write_config(tmp_path, {"p": puppet()}, RULES, **more)
    person, number, left, kills = Person(config, said), 0, [], 0
    try:
        while kills < KILLS:
            guards = []
            try:
                # Some are the calls that were open when the process before was killed, and of both at once.
                again = chance.sample(left, min(2, len(left)))
                left = [number + 1, number + 2, number + 3, *again]
                number += 3
                for _ in range(AT_ONCE):
                    guards.append(Guard(tmp_path, {"p": puppet()}, RULES, **more))
                    begun(guards[-1], chance.sample(left, min(3, len(left))), effects)
                moments = [Timer(chance.random() * WINDOW, guard.signal, (9,)) for guard in guards]
                if chance.random() < 0.3:
                    moments.append(Timer(chance.random() * WINDOW, person.killed))
                kills += len(moments)
                for moment in moments:
                    moment.start()
                for moment in moments:
                    moment.join(DEADLINE)
                for guard in guards:
                    guard.wait()
            finally:
                for guard in guards:
                    guard.dispose()
        # Whoever is left goes on, so that calls which were killed in between do not stay for ever.
        guard = Guard(tmp_path, {"p": puppet()}, RULES, **more)
        try:
            guard.hello()
            assert "done" in str(guard.call("act", code=code(effects, "last")))
        finally:
            guard.dispose()
    finally:
        person.end()
    eventually(lambda: "last" in effects.read_text(), "the last effect")
    given, allowed = verdicts(tmp_path)
    used = [ticket for tickets in allowed.values() for ticket in tickets]
    assert len(used) == len(set(used))
    assert set(used) <= given
    happened = Counter(effects.read_text().split())
    assert len(happened) > KILLS / 10
    for one, times in happened.items():
        args = json.dumps({"code": code(effects, one)}, separators=(",", ":")).encode()
        assert times <= len(allowed.get(sha256(args).hexdigest(), [])), one


def approve_for_session(config):
    """Somebody approves whatever waits, with any code, for as long as the session lasts."""
    config = load_config(config)
    store = store_of(config)
    (waiting,) = store.waiting()
    until = latest_end(waiting, "session", time.time())
    said = TicketAnswer("approved", "os-user:ada", "terminal", lasts="session", until=until, free=("code",))
    give(config, store, waiting, said)


@pytest.mark.timeout(90 + KILLS)
def test_of_an_approval_that_lasts_each_use_is_one_call_whoever_is_killed(tmp_path):
    chance, effects = random.Random(SEED), tmp_path / "effects"
    more = {"approvals": {"wait_seconds": 0}, "session": {"path": str(tmp_path / "s")}}
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    number = 0
    for turn in range(max(2, KILLS // 40)):
        guards = [Guard(folder, {"p": puppet()}, RULES, **more) for folder in folders]
        try:
            for guard in guards:
                guard.hello()
            if turn == 0:
                assert "A person was asked" in str(guards[0].call("act", code=code(effects, "first")))
                approve_for_session(guards[0].config)
            for guard in guards:
                for _ in range(4):
                    number += 1
                    guard.request("tools/call", {"name": "act", "arguments": {"code": code(effects, number)}})
            moments = [Timer(chance.random() * 0.5, guard.signal, (9,)) for guard in guards]
            for moment in moments:
                moment.start()
            for moment in moments:
                moment.join(DEADLINE)
            for guard in guards:
                guard.wait()
        finally:
            for guard in guards:
                guard.dispose()
    decisions = [one for folder in folders for one in records(folder) if one["kind"] == "decision"]
    used = [one["approval"].rpartition(" ")[2] for one in decisions if one.get("approval")]
    assert used
    assert len(used) == len(set(used))
    allowed = Counter(one["args"] for one in decisions if one.get("approval"))
    for one, times in Counter(effects.read_text().split() if effects.exists() else []).items():
        args = json.dumps({"code": code(effects, one)}, separators=(",", ":")).encode()
        assert times <= allowed[sha256(args).hexdigest()], one
