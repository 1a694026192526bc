"""Threat: whoever can write to the audit folder, and not to where heads are kept, removes what happened: whole chains,
the ends of chains, or chains with a record that says that it was on purpose."""

import gzip
import json
import os
import signal
from datetime import UTC, datetime

import pytest

from mcpguard.adapters.audit.reader import chain_files, lines, proof
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import Checkpoint
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME
from tests.wire.session import Guard, eventually, puppet, verify

LATER = "20991231T235959Z-1-a.jsonl"
"""A chain that somebody plants; its name is later than that of any other."""


@pytest.fixture
def begun(tmp_path):
    """`begun(**audit)` starts a process that has answered a call, with the folder and the heads of the others."""
    guards = []

    def begin(**audit):
        folder = tmp_path / f"process{len(guards)}"
        folder.mkdir()
        heads = {"file": str(tmp_path / "heads.txt")}
        guard = Guard(
            folder, {"p": puppet()}, audit={"path": str(tmp_path / "audit"), "heads": heads, **audit}
        )
        guard.harmed = True  # The tests verify, once they have kept what it wrote.
        guards.append(guard)
        guard.hello()
        assert guard.text("echo", text="x") == "x"
        return guard

    yield begin
    for guard in guards:
        guard.dispose()


def kept(tmp_path):
    found = {}
    for line in (tmp_path / "heads.txt").read_text().split():
        name, _, head = line.partition(":")
        found.setdefault(name, set()).add(head)
    return found


def unnoticed(folder, heads):
    """What can be removed of one chain, or of all chains since one, without anybody noticing."""
    files = chain_files(folder)
    whole = {file: file.read_bytes() for file in files}
    found = []
    for number, file in enumerate(files):
        each = list(lines(file))
        for keep in range(len(each)):
            left = b"".join(each[:keep])
            for others in ((), files[number + 1 :]):
                file.write_bytes(gzip.compress(left) if file.suffix == ".gz" else left)
                for one in (*others, *(() if keep else (file,))):
                    one.unlink()
                here = proof(folder, heads)
                if not here.missing and all(report.intact for report in here.reports.values()):
                    found.append((file.name, keep, len(others)))
                for one, data in whole.items():
                    one.write_bytes(data)
    return found


def test_nothing_can_be_removed_of_processes_that_were_killed_rotated_and_compressed(tmp_path, begun):
    first, second = begun(), begun(rotate={"seconds": 1})
    first.signal(signal.SIGKILL)
    first.process.wait(10)
    folder = tmp_path / "audit"
    eventually(lambda: len(chain_files(folder)) > 2, "a rotation")
    assert second.text("echo", text="y") == "y"
    second.signal(signal.SIGKILL)
    second.process.wait(10)
    third = begun(compress=True)
    eventually(lambda: any(file.suffix == ".gz" for file in chain_files(folder)), "a compressed chain")
    assert third.end() == 0
    heads = kept(tmp_path)
    assert verify(folder, "--heads", str(tmp_path / "heads.txt"))[0] == 0
    assert unnoticed(folder, heads) == []


def old_chains(folder):
    """Chains of August, as they would be today."""
    paths = []
    for day in (1, 2, 3):
        sink = AuditFile(folder)
        for record in (OPENED, DECIDED, OUTCOME):
            sink.write(record)
        sink.close(CLOSED)
        paths.append(sink.path.rename(folder / f"202608{day:02}T070000Z-1-{day}.jsonl"))
        os.utime(paths[-1], (1.0, 1.0))
    return paths


def test_only_what_mcpguard_removed_on_purpose_may_be_gone(tmp_path, begun):
    folder, heads = tmp_path / "audit", tmp_path / "heads.txt"
    old = old_chains(folder)
    heads.write_text("".join(f"{path.name}:{json.loads([*lines(path)][-1])['hash']}\n" for path in old))
    guard = begun(keep_days=6)
    eventually(lambda: not old[-1].exists(), "the removal")
    guard.signal(signal.SIGKILL)
    guard.process.wait(10)
    status, said = verify(folder, "--heads", str(heads))
    assert (status, f"removed on purpose, as the evidence says: all chains up to {old[-1].name}" in said) == (
        0,
        True,
    )
    # What it was not is said by a chain whose head nobody kept.
    (killed,) = chain_files(folder)
    assert begun().end() == 0
    killed.unlink()
    planted = Chain()
    statement = Checkpoint(datetime.now(UTC), (), 1, killed.name)
    (folder / LATER).write_bytes(planted.seal(OPENED) + planted.seal(statement))
    status, said = verify(folder, "--heads", str(heads))
    assert (status, f"MISSING {killed.name}" in said) == (1, True)
    assert "no kept head proves that chains up to" in said


def test_a_chain_without_a_kept_head_is_proven_by_the_next_process_that_has_one(tmp_path, begun):
    folder, heads = tmp_path / "audit", tmp_path / "heads.txt"
    killed = begun(heads={"stdout": True})
    killed.signal(signal.SIGKILL)
    killed.process.wait(10)
    (chain,) = chain_files(folder)
    assert begun().end() == 0
    assert chain.name not in kept(tmp_path)
    assert unnoticed(folder, kept(tmp_path)) == []
    chain.unlink()
    planted = Chain()
    statement = Checkpoint(datetime.now(UTC), (), 1, chain.name)
    (folder / LATER).write_bytes(planted.seal(OPENED) + planted.seal(statement))
    status, said = verify(folder, "--heads", str(heads))
    assert (status, f"MISSING {chain.name}: another chain holds its head" in said) == (1, True)
