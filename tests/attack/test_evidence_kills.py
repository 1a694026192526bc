"""`kill -9` at random moments under load, while chains are signed, rotated and compressed: no effect without an
earlier record, and the chains verify. MCPGUARD_EVIDENCE_KILLS says how many processes die."""

import json
import os
import random
import signal
import time

import pytest

from mcpguard.adapters.audit.reader import chain_files, lines, proof
from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.core.secret import Secret
from tests.attack.processes import needs_proc, running
from tests.attack.test_audit_failure import calls_in
from tests.wire.session import Guard, eventually, puppet

KILLS = int(os.environ.get("MCPGUARD_EVIDENCE_KILLS", "5"))
SEED = int(os.environ.get("MCPGUARD_KILL_SEED", "11"))
CALLS = 120
TOGETHER = 20
"""So many processes use one folder, one after another."""


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_text(new_key())
    path.chmod(0o600)
    return path


def audit_of(key, durability):
    return {
        "path": "audit",
        "durability": durability,
        "key": f"${{file:{key}}}",
        "rotate": {"bytes": 16384},
        "compress": True,
    }


def records_of(folder):
    return [json.loads(line) for file in chain_files(folder) for line in lines(file) if line.endswith(b"\n")]


def burst(guard):
    calls = (
        {"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
         "params": {"name": "echo", "arguments": {"text": f"{n}"}}}
        for n in range(CALLS)
    )  # fmt: skip
    return b"".join(json.dumps(call).encode() + b"\n" for call in calls)


@needs_proc
@pytest.mark.timeout(60 + KILLS * 10)
def test_no_effect_lacks_an_earlier_record_and_the_chains_verify(tmp_path, key):
    chance = random.Random(SEED)
    for first in range(0, KILLS, TOGETHER):
        folder = tmp_path / f"from{first}"
        folder.mkdir()
        effects = sum(killed(folder, key, chance) for _ in range(min(TOGETHER, KILLS - first)))
        found = proof(folder / "audit", {})
        assert found.missing == []
        assert [report.flaws for report in found.reports.values() if report.flaws] == []
        records = records_of(folder / "audit")
        assert effects <= sum(one["kind"] == "decision" and one.get("tool") == "echo" for one in records)
        proven_by_the_last_one(folder, key)


def killed(folder, key, chance):
    """How many effects a process had that was killed; each has a record."""
    log = folder / f"calls{len(list(folder.iterdir()))}"
    audit = audit_of(key, chance.choice(["flush", "fsync", "group"]))
    guard = Guard(folder, {"p": puppet("--log", str(log))}, audit=audit)
    try:
        guard.hello()
        guard.tools()
        end = time.monotonic() + chance.uniform(0.0, 0.25)
        guard.try_write(burst(guard), 0.2)
        while time.monotonic() < end:
            guard.try_write(b"", 0.001)
        guard.signal(signal.SIGKILL)
        guard.process.wait(10)
        eventually(lambda: not running(str(log)), "the end of the upstream")
    finally:
        guard.dispose()
    return len(calls_in(log))


def proven_by_the_last_one(folder, key):
    """What those that were killed had not signed, one that ends in order holds: nothing else is said of it."""
    guard = Guard(folder, {"p": puppet()}, audit=audit_of(key, "flush"))
    try:
        guard.hello()
        guard.tools()
        eventually(lambda: b'"signature"' in guard.audit_bytes, "a signed checkpoint")
        assert guard.end() == 0
    finally:
        guard.dispose()
    public = SigningKey(Secret(key.read_text())).public
    found = proof(folder / "audit", {}, by=public.verifies)
    assert found.missing == []
    assert not [report.flaws for report in found.reports.values() if report.flaws]


def test_two_processes_that_rotate_under_load_hold_each_others_chains(tmp_path, key):
    audit = audit_of(key, "flush") | {"compress": False, "path": str(tmp_path / "audit")}
    guards = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            guards.append(Guard(tmp_path / name, {"p": puppet()}, audit=audit))
        for guard in guards:
            guard.hello()
            guard.tools()
        for _ in range(3):
            for guard in guards:
                guard.send(burst(guard)[:-1])
            for guard in guards:
                done = {1000 + n for n in range(CALLS)}
                guard.pump(until=lambda guard=guard, done=done: done <= guard._inbox.keys())
                guard._inbox.clear()
        assert [guard.end() for guard in guards] == [0, 0]
    finally:
        for guard in guards:
            guard.dispose()
    public = SigningKey(Secret(key.read_text())).public
    found = proof(tmp_path / "audit", {}, by=public.verifies)
    assert found.missing == []
    assert [report.flaws for report in found.reports.values() if report.flaws] == []
    assert all(report.closed and not report.unfinished for report in found.reports.values())
    records = records_of(tmp_path / "audit")
    assert sum(one["kind"] == "outcome" for one in records) >= 2 * 3 * CALLS
    rotated = [one for one in records if one.get("reason") == "rotated"]
    assert len(rotated) >= 4
    # Only the one that ended last can vanish unseen.
    held = {anchor.file for report in found.reports.values() for anchor, _ in report.held}
    assert len(found.reports.keys() - held) <= 1
