"""Fixtures of the tests of evidence in files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.errors import AuditError
from tests.adapters.audit.audit_records import CLOSED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit"


@pytest.fixture
def sink(folder: Path) -> Iterator[AuditFile]:
    sink = AuditFile(folder)
    yield sink
    try:
        sink.close(CLOSED)
    except AuditError:
        pass
