"""A time that a person reads is in UTC and says so, and there is one way to write it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mcpguard.core.legible import utc

SOURCE = Path(__file__).parents[2] / "src" / "mcpguard"

OTHERS = {
    "adapters/audit/bounded.py",  # The detail of a record, which says UTC.
    "adapters/audit/chain_file.py",  # The name of a chain, and the detail of a record; both end in Z.
    "adapters/audit/checking.py",  # Compared with bytes of records.
    "cli/onboarding/import.py",  # A day of the configuration.
    "cli/report.py",  # Two days.
}
"""Files that write a time in another way."""

_FORMATS = re.compile(r"%[HMSYIpcxXd]")
_SIGNS = re.compile(f"{_FORMATS.pattern}|strftime|ctime|localtime|astimezone|fromtimestamp|now")
"""What a file has in which `_written` finds anything: to parse all takes seconds."""


def _written(tree: ast.AST) -> Iterator[str]:
    """How `tree` makes a text of a time, or a time of this machine's zone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            spec = ast.unparse(node.format_spec)
            if _FORMATS.search(spec):
                yield spec
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, given = node.func.attr, len(node.args) + len(node.keywords)
            if name in ("strftime", "ctime", "localtime"):
                yield name
            if (name, given) in (
                ("astimezone", 0),
                ("fromtimestamp", 1),
                ("now", 0),
            ) and "datetime" in ast.unparse(node.func):
                yield f"{name} of this machine's zone"


@pytest.mark.uncounted
def test_no_other_code_writes_a_time() -> None:
    found = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if path.name != "legible.py"
        and _SIGNS.search(text := path.read_text())
        and any(_written(ast.parse(text)))
    }
    assert found == OTHERS


@pytest.mark.parametrize(
    ("at", "to", "said"),
    [
        (1_785_574_800, "seconds", "2026-08-01T09:00:00Z"),
        (1_785_574_800.9, "seconds", "2026-08-01T09:00:00Z"),
        (datetime(2026, 8, 1, 9, 0, 0, 123_456, UTC), "milliseconds", "2026-08-01T09:00:00.123Z"),
        (datetime(2026, 8, 1, 4, tzinfo=timezone(timedelta(hours=-5))), "minutes", "2026-08-01T09:00Z"),
        (1e300, "seconds", "?"),
        (float("nan"), "seconds", "?"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), "seconds", "?"),
    ],
)
def test_a_time_is_written_as_in_evidence(at: datetime | float, to: str, said: str) -> None:
    assert utc(at, to) == said  # type: ignore[arg-type]
