"""What the tests of evidence share: records, and what became of a wait."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from mcpguard.adapters.audit.reader import lines
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Closed, Decided, Opened, Outcome
from mcpguard.gateway.flight import Wait

NOW = datetime(2026, 8, 1, 7, 0, tzinfo=UTC)
OPENED = Opened(NOW, "0.1.0", 7, "os-user:1000", ("github",), "d" * 64)
DECIDED = Decided(NOW, "n-1", "os-user:1000", "tools/call", "allow", server="github", tool="get")
OUTCOME = Outcome(NOW, "n-1", "ok", 1.5)
CLOSED = Closed(NOW, "eof")


def failure(wait: Wait[None]) -> str:
    """The sentence with which `wait` failed, or "" where it did not."""
    assert wait.done
    try:
        for _ in wait.__await__():
            pass
    except AuditError as error:
        return str(error)
    return ""


def stored(wait: Wait[None]) -> bool:
    """Whether `wait` is over and well."""
    return wait.done and not failure(wait)


def kinds(path: Path) -> list[str]:
    """The kinds of the records in `path`, in order."""
    return [json.loads(line)["kind"] for line in lines(path)]
