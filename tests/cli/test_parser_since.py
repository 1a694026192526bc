"""`--since` takes the same times, whatever the verb."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module

from mcpguard.adapters.audit.indexing import microseconds
from mcpguard.cli import VERBS
from mcpguard.cli.parser import Parser
from tests.rows import each

LEADING = {"replay": [], "report": [], "suggest": [], "audit": ["query"]}


@each("verb", [*LEADING, "audit export"])
@each(
    ("text", "age"),
    [
        ("30m", timedelta(minutes=30)),
        ("3d", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
        ("2026-01-31", None),
    ],
)
def test_since_is_a_date_or_an_age(verb: str, text: str, age: timedelta | None) -> None:
    name, *words = verb.split()
    parser = Parser()
    import_module(f"mcpguard.cli.{VERBS[name][0]}").add_arguments(parser)
    begun = datetime.now(UTC)
    since = parser.parse_args([*(words or LEADING[name]), "--since", text]).since
    found = since if isinstance(since, int) else microseconds(since)
    least = microseconds(datetime(2026, 1, 31, tzinfo=UTC) if age is None else begun - age)
    assert least <= found <= (least if age is None else least + 60_000_000)
