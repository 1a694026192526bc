"""What every section of the page is made of: sections, tables, marks, times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from mcpguard.authoring.report.html import Content, Markup, element, prose

MOST_ROWS = 40
"""So many rows of what may be long are shown; JSON has all of them."""


class Column(Struct, frozen=True):
    """A column: its heading, whether it has numbers, and whether it is never broken."""

    title: str
    number: bool = False
    tight: bool = False

    @property
    def style(self) -> str | None:
        """The class of its cells."""
        return "num" if self.number else "tight" if self.tight else None


class BarCell(Struct, frozen=True):
    """A cell that is a plot, or empty."""

    plot: Content


def section(name: str, title: str, content: Content) -> Markup:
    """A part of the page with its anchor."""
    return element("section", element("h2", title), content, id=name)


def table(columns: Sequence[Column], rows: Iterable[Sequence[Content | BarCell]]) -> Markup:
    """A table; where it is narrow each row is a block, and each cell says which column it is of."""
    head = [element("th", one.title, class_=one.style, scope="col") for one in columns]
    body = [
        element("tr", [_cell(column, cell) for column, cell in zip(columns, row, strict=True)])
        for row in rows
    ]
    return element("table", element("thead", element("tr", head)), element("tbody", body))


def _cell(column: Column, cell: Content | BarCell) -> Markup:
    if isinstance(cell, BarCell):
        return element("td", cell.plot, class_="bar-cell")
    return element("td", cell, class_=column.style, data_label=column.title)


def mark(text: str, name: str) -> Markup:
    """A word with a dot in its colour: the colour never says anything alone."""
    return element("span", text, class_=f"mark {name}")


def moment(at: datetime) -> Markup:
    """A time to the minute, in UTC."""
    utc = at.astimezone(UTC)
    return element("time", f"{utc:%Y-%m-%d %H:%M}", datetime=utc.isoformat(timespec="seconds"))


def empty(text: str) -> Markup:
    """What stands where there is nothing to show."""
    return element("p", prose(text), class_="soft")


def note(text: str) -> Markup:
    """What explains the section, under its heading."""
    return element("p", prose(text), class_="soft")
