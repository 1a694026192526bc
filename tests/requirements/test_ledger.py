"""The ledger is whole, in order, and names tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.requirements.extract import sentences
from tests.requirements.ledger import ADVICE, OLDER, PAGES
from tests.requirements.page import markdown
from tests.requirements.rows import Page, Row

TESTS = Path(__file__).parents[1]
ROWS = [(page, row) for page in (*PAGES, *ADVICE, *OLDER) for row in page.rows]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.revision}-{page.name}")


@cache
def names_in(path: str) -> set[str]:
    """The names of the test functions of a file."""
    return set(re.findall(r"^ *(?:async )?def (test_\w+)\(", (TESTS / path).read_text("utf-8"), re.MULTILINE))


def said(page: Page, row: Row) -> str:
    """A row for a message."""
    return f"{page.revision}/{page.name}#{row.numbers}"


@pages
def test_every_sentence_of_a_page_has_exactly_one_row(page: Page) -> None:
    numbers = [number for row in page.rows for number in row.sentences()]
    assert sorted(numbers) == list(range(1, page.count + 1))


@pages
def test_the_rows_of_a_page_are_in_order(page: Page) -> None:
    first = [next(row.sentences()) for row in page.rows]
    assert first == sorted(first)


@pytest.mark.parametrize("table", [PAGES, ADVICE, OLDER], ids=["ledger", "advice", "older"])
def test_the_pages_are_in_order_and_each_is_there_once(table: tuple[Page, ...]) -> None:
    names = [(page.revision, page.name) for page in table]
    assert len(names) == len(set(names))
    assert names == sorted(names)


def test_a_row_is_kept_with_tests_or_has_a_reason() -> None:
    for page, row in ROWS:
        assert row.says, said(page, row)
        assert sum(map(bool, (row.tests, row.not_ours, row.gap))) == 1, said(page, row)


def test_every_test_that_a_row_names_exists() -> None:
    missing = []
    for page, row in ROWS:
        for name in row.tests:
            path, _, function = name.partition("::")
            if not (TESTS / path).exists() or function not in names_in(path):
                missing.append(f"{said(page, row)}: {name}")
    assert missing == []


def test_every_test_that_a_reason_names_exists() -> None:
    known = set().union(*(names_in(str(path.relative_to(TESTS))) for path in TESTS.rglob("test_*.py")))
    named = {name for _, row in ROWS for name in re.findall(r"\btest_\w+", row.not_ours + row.gap)}
    assert named - known == set()


def test_the_page_of_the_reference_has_every_row() -> None:
    page = markdown()
    for _, row in ROWS:
        assert row.says in page
        assert all(name.partition("::")[2] in page for name in row.tests)


def test_sentences_are_found_as_the_ledger_says() -> None:
    page = """# Title
One MUST begin. Two SHOULD not count: `three` MUST NOT be
cut by a line; **Four** is REQUIRED.

- Five [MUST](/x) stand
- alone and MUST too

```
code MUST not count
```
## Below
| six | SHALL be |
"""
    assert list(sentences(page)) == [
        ("Title", "One MUST begin."),
        ("Title", "`three` MUST NOT be cut by a line;"),
        ("Title", "Four is REQUIRED."),
        ("Title", "- Five MUST stand"),
        ("Title", "- alone and MUST too"),
        ("Below", "| six | SHALL be |"),
    ]
