"""Every reader of evidence reads chains that were rotated, compressed and partly removed, as one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit import retention
from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.console.evidence import Evidence
from mcpguard.core.evidence.records import Record
from tests.adapters.audit.audit_records import CLOSED, OPENED
from tests.cli.audit.test_story import CALL, DONE

Capture = pytest.CaptureFixture[str]
POLICY = "version: 1\npolicy: git\nrules: [{id: read, effect: allow}]\n"


def written(folder: Path, *records: Record) -> AuditFile:
    sink = AuditFile(folder)
    for record in records:
        sink.write(record)
    sink.commit()
    return sink


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A chain that was removed, a compressed one, and one that goes on from that and is still written: a call
    that was allowed in the one ends in the other, where a second one is denied."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    folder, now = tmp_path / "audit", datetime.now(UTC) - timedelta(seconds=9)
    Path("git.yaml").write_text(POLICY)
    config = {"version": 1, "servers": {"github": {"command": "x"}}, "audit": {"path": "audit"}}
    Path("mcpguard.yaml").write_text(json.dumps({**config, "policies": ["git.yaml"]}))
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    call = structs.replace(CALL, at=now)
    gone = written(folder, OPENED, structs.replace(call, id="n-0"))
    gone.close(CLOSED)
    packed = written(folder, OPENED, structs.replace(call, id="n-1"))
    packed.close(structs.replace(CLOSED, reason="rotated"))
    denied = structs.replace(call, id="n-2", effect="deny", cause="no-rule", rules=())
    done = structs.replace(DONE, id="n-1", at=now)
    last = written(folder, structs.replace(OPENED, continues=packed.path.name), done, denied)
    gone.path.unlink()
    last.checkpoint((), 1, gone.path.name)
    last.commit()
    retention.compress(packed.path)
    assert sorted(one.name for one in folder.iterdir()) == [f"{packed.path.name}.gz", last.path.name]
    yield folder
    last.close(CLOSED)


def said(capfd: Capture, *words: str, code: int = 0) -> str:
    assert main(list(words)) == code, capfd.readouterr()
    return capfd.readouterr().out


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("audit", "query", "--json"), '"status":"ok"'),
        (("audit", "show", "-n", "9"), "n-1"),
        (("audit", "show", "--server", "github"), "n-1"),
        (("audit", "show", "n-1"), "removed"),
        (("audit", "tail"), "n-1"),
        (("audit", "export", "--format", "csv"), '"n-1","allow","ok"'),
        (("explain", "n-1"), "git/read"),
        (("report", "--json"), '{"kind":"email","count":1,"servers":["github"]}'),
        (("doctor",), ""),
    ],
)
def test_a_reader_knows_the_call_of_the_compressed_chain_and_its_end(
    audit: Path, capfd: Capture, words: tuple[str, ...], expected: str
) -> None:
    assert expected in said(capfd, *words)


def test_figures_and_pictures_count_the_calls_of_all_chains(audit: Path, capfd: Capture) -> None:
    stats = said(capfd, "audit", "stats").split()
    assert stats
    top = said(capfd, "top", "--once")
    assert "github/get" in top
    assert " 2 " in top
    report = json.loads(said(capfd, "replay", "--json", "--policy", "git.yaml", code=1))
    assert (report["decisions"], report["loosened"]) == (2, 1)
    assert said(capfd, "audit", "verify").count("intact") == 2


def test_what_follows_and_the_console_read_them_too(audit: Path) -> None:
    following = Following(audit, from_start=True)
    following.begin()
    assert sum(b'"id":"n-1"' in line.data for line in following.read(99)) == 2
    following.close()
    seen = Evidence(audit)
    assert seen.poll()
    assert [(one.decision.id, one.outcome is not None) for one in seen.calls] == [
        ("n-1", True),
        ("n-2", False),
    ]
    assert (seen.unreadable, seen.partly) == (0, False)
    assert not seen.poll()


def test_the_console_goes_on_in_a_chain_that_was_compressed_meanwhile(tmp_path: Path) -> None:
    sink = written(tmp_path, OPENED, CALL)
    seen = Evidence(tmp_path)
    seen.poll()
    sink.write(DONE)
    sink.close(CLOSED)
    packed = retention.compress(sink.path)
    assert seen.poll()
    assert [(one.decision.id, one.outcome is not None) for one in seen.calls] == [("n-7", True)]
    packed.unlink()
    assert not Evidence(tmp_path).poll()


def test_a_damaged_compressed_chain_is_counted_by_the_console(tmp_path: Path) -> None:
    sink = written(tmp_path, OPENED, CALL)
    sink.close(CLOSED)
    packed = retention.compress(sink.path)
    os.truncate(packed, 40)
    seen = Evidence(tmp_path)
    assert not seen.poll()
    assert seen.unreadable == 1
