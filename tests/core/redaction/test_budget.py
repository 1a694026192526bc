"""The work that a value may make: a fixed part, and a part that grows with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import HITS, PIECES, READ, TRIGGERS, VIEWS, Allowance, Budget
from mcpguard.core.redaction.redactor import Redactor

SIZE = 100_000


@pytest.mark.parametrize(
    ("allowance", "spend", "what"),
    [
        (READ, Budget.read, "bytes of disguised or packed text"),
        (TRIGGERS, Budget.trigger, "beginnings of secrets"),
        (PIECES, Budget.piece, "pieces of disguised text"),
        (HITS, Budget.hit, "hits"),
    ],
)
def test_what_is_allowed_can_be_spent_and_no_more(
    allowance: Allowance, spend: Callable[[Budget, int], None], what: str
) -> None:
    budget, whole = Budget(SIZE), allowance[0] + int(SIZE * allowance[1])
    spend(budget, whole - 1)
    spend(budget, 1)
    with pytest.raises(InspectionError, match=f"^more than {whole:,} {what} in {SIZE:,} bytes$"):
        spend(budget, 1)


def test_each_view_counts_and_so_does_what_it_has() -> None:
    budget = Budget(SIZE)
    for _ in range(VIEWS[0] + int(SIZE * VIEWS[1])):
        budget.view(0)
    with pytest.raises(InspectionError, match=f"disguises in {SIZE:,} bytes"):
        budget.view(0)
    with pytest.raises(InspectionError, match="bytes of disguised or packed text"):
        Budget(SIZE).view(READ[0] + int(SIZE * READ[1]) + 1)


ROWS = 5_000


@pytest.mark.parametrize(
    "row",
    [
        lambda number: {"user": f"u{number}", "password": "********"},
        lambda number: {"name": f"S{number % 9}", "value": "********"},
        lambda number: {"token": f"word{number % 100}", "secret": ""},
        lambda number: {"id": f"key_{number:05}"},
        lambda number: {"id": f"sk-{number}"},
        lambda number: {"id": f"item-{number:08}", "n": number},
        lambda number: f"http://localhost:{8000 + number % 1000}/a",
    ],
)
def test_rows_of_an_ordinary_table_are_within_it(row: Callable[[int], Any]) -> None:
    rows = [row(number) for number in range(ROWS)]
    assert Redactor(b"key").inspect(rows).value is rows
