"""The work that a value may make: a fixed part, and a part that grows with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import HITS, READ, TRIGGERS, VIEWS, Allowance, Budget

SIZE = 100_000


@pytest.mark.parametrize(
    ("allowance", "spend", "what"),
    [
        (READ, Budget.read, "bytes of disguised or packed text"),
        (TRIGGERS, Budget.trigger, "beginnings of secrets"),
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
