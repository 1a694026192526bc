"""What a row of the ledger is: one or more sentences of a page, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Row(NamedTuple):
    """Sentences of one page, by number. Exactly one of `tests`, `not_ours` and `gap` is there."""

    numbers: str
    """Such as `3`, `3-5` or `3,7-9`."""
    section: str
    """The heading above the first sentence; empty at the top of a page."""
    says: str
    """The sentences in our words."""
    tests: tuple[str, ...] = ()
    """The tests that prove it, as `path::name` below `tests/`."""
    not_ours: str = ""
    """Why it is nothing that mcpguard could keep or break."""
    gap: str = ""
    """Why mcpguard does not keep it."""

    def sentences(self) -> Iterator[int]:
        """The numbers one by one."""
        for part in self.numbers.split(","):
            first, _, end = part.partition("-")
            yield from range(int(first), int(end or first) + 1)


class Page(NamedTuple):
    """A page of the specification with its number of normative sentences (see `ledger`)."""

    revision: str
    name: str
    count: int
    rows: tuple[Row, ...]


def ours(numbers: str, section: str, says: str, *tests: str) -> Row:
    """Sentences that mcpguard keeps, as these tests prove."""
    return Row(numbers, section, says, tests=tests)


def other(numbers: str, section: str, says: str, why: str) -> Row:
    """Sentences that are for somebody else."""
    return Row(numbers, section, says, not_ours=why)


def gap(numbers: str, section: str, says: str, why: str) -> Row:
    """Sentences that mcpguard does not keep, with the reason."""
    return Row(numbers, section, says, gap=why)
