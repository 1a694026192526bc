"""The ledger as a page of the reference: a table for each page of the specification."""

from __future__ import annotations

from tests.requirements.ledger import ADVICE, OLDER, PAGES
from tests.requirements.rows import Page, Row

INTRODUCTION = """# Requirements

Each sentence of the MCP specification that says MUST, REQUIRED or SHALL on a page that concerns a server, a client or \
a proxy, and the test that proves that mcpguard keeps it. The sentences are in our words, numbered within their page. \
How they were found: [`tests/requirements/ledger.py`](../../tests/requirements/ledger.py)."""


def markdown() -> str:
    """The page."""
    kept = sum(len(list(row.sentences())) for page in PAGES for row in page.rows if row.tests)
    others = sum(len(list(row.sentences())) for page in PAGES for row in page.rows if row.not_ours)
    total = sum(page.count for page in PAGES)
    counts = f"Of {total} sentences {kept} are kept, {others} are not ours, and {total - kept - others} are not kept."
    gaps = [(page, row) for page in (*PAGES, *ADVICE, *OLDER) for row in page.rows if row.gap]
    parts = [INTRODUCTION, counts, "## What is not kept", "\n".join(_gap(page, row) for page, row in gaps)]
    for page in PAGES:
        parts += [f"## {page.revision} {page.name}", _table(page)]
    parts.append("## Advice")
    parts.append("What the specification advises (SHOULD), where it matters to a proxy.")
    for page in ADVICE:
        parts += [f"### {page.revision} {page.name}, advice", _table(page)]
    parts += ["## Older revisions", "What an older revision asks and newer ones do not."]
    for page in OLDER:
        parts += [f"### {page.revision} {page.name}, older", _table(page)]
    return "\n\n".join(parts)


def _gap(page: Page, row: Row) -> str:
    return f"- {page.revision}, {page.name}: {row.says}; {row.gap}."


def _table(page: Page) -> str:
    lines = ["| | section | what is asked | proof, or why not |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.numbers} | {row.section} | {row.says} | {_proof(row)} |" for row in page.rows]
    return "\n".join(lines)


def _proof(row: Row) -> str:
    if row.tests:
        return ", ".join(_link(test) for test in row.tests)
    return f"not ours: {row.not_ours}" if row.not_ours else f"not kept: {row.gap}"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[`{name}`](../../tests/{path})"
