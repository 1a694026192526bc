"""What sinks have not received of chains that are removed is counted, and said where an operator looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpguard.adapters.telemetry import exporting
from mcpguard.config.loading import SinkTerms, Telemetry
from mcpguard.gateway.ports import AuditHealth
from mcpguard.serve.evidence import Exporting, SinkGate
from tests.adapters.telemetry.telemetry_records import DECIDED, OUTCOME, chain
from tests.fakes import MemoryAudit

pytestmark = pytest.mark.anyio


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0.005)


async def test_records_that_a_sink_never_gets_are_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(exporting, "LOOK_SECONDS", 0.01)
    folder = tmp_path / "audit"
    folder.mkdir()
    lines: list[str] = []
    noted: list[tuple[str, str]] = []
    found = Exporting(
        SinkGate(MemoryAudit([])),
        None,  # type: ignore[arg-type]  # no header has a reference
        lambda line, _level: lines.append(line),
        lambda what, detail: noted.append((what, detail)),
        lambda: None,
        "host",
        AuditHealth,
    )
    to = SinkTerms("http://127.0.0.1:9/in", "jsonl")
    found.follow(folder, Telemetry(sinks=(to, SinkTerms(str(tmp_path / "out"), "csv"))), None, ())
    old = chain(folder, DECIDED, OUTCOME)
    name = "jsonl to http://127.0.0.1:9/in"
    # A sink that has not begun has nothing unsent either.
    out = tmp_path / "out"
    await until(lambda: out.exists() and DECIDED.id in out.read_text() and found.unsent(old) == (name,))
    found.lose([old], old.name)
    await until(lambda: bool(noted))
    why = "removed by `audit.keep_days` or `audit.keep_bytes` before they had arrived"
    assert noted == [("telemetry-lost", f"4 records were {why}: {name}; chains up to {old.name}")]
    assert f"4 records were {why}: {name}" in lines
    assert [state.removed for state in found.states] == [4, 0]
    found.close()
