"""A small writer of HTML: elements nest, and every text is escaped. Then what sections are made of: tables,
marks, times, and plots as inline SVG, each stretched to its place and so without a text of its own.

Law of this file: a `str` is text and is escaped, wherever it stands; only what `element` made is markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

VOID = frozenset({"meta", "wbr", "rect"})
"""Elements without content: of HTML, and a shape of SVG."""


class Markup(Struct, frozen=True):
    """HTML that is complete in itself."""

    text: str


Content = str | Markup | Iterable["Content"]


def element(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """`<name ...>content</name>`. An attribute is left out where it is None; `class_` is `class`, and an
    underscore in any other name stands for a hyphen."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{joined(content).text}</{name}>")


def joined(content: Content) -> Markup:
    """Several side by side."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(html.escape(_visible(content)))
    return Markup("".join(joined(one).text for one in content))


def prose(text: str) -> Markup:
    """Text in which what stands between backticks is code."""
    parts = text.split("`")
    return joined(element("code", part) if index % 2 else part for index, part in enumerate(parts))


def name_of(text: str) -> Markup:
    """A name as code, which may be broken behind `_` and `/`."""
    parts: list[Content] = []
    for part in re.split(r"(?<=[_/])", text):
        parts += [part, element("wbr")]
    return element("code", parts[:-1])


def sheet(css: str) -> Markup:
    """A style sheet of our own. It is not text, so it is not escaped."""
    return Markup(f"<style>{css}</style>")


def _visible(text: str) -> str:
    """A control character, or one that changes the direction of a text, as its code."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"[U+{ord(one):04X}]" for one in text)


MOST_ROWS = 40
"""How many rows of what may be long are shown; JSON has all of them."""


_STYLES = {"#": "num", "!": "tight"}


class BarCell(Struct, frozen=True):
    """A cell that is a plot, or empty."""

    plot: Content


def section(name: str, title: str, content: Content) -> Markup:
    """A part of the page with its anchor."""
    return element("section", element("h2", title), content, id=name)


def table(headings: Sequence[str], rows: Iterable[Sequence[Content | BarCell]]) -> Markup:
    """A table; where it is narrow each row is a block, and each cell names its column. `#` before a
    heading is for a column of numbers, `!` for one that is never broken."""
    columns = [(one[1:], _STYLES[one[0]]) if one[:1] in _STYLES else (one, None) for one in headings]
    head = [element("th", title, class_=style, scope="col") for title, style in columns]
    body = [
        element("tr", [_cell(title, style, cell) for (title, style), cell in zip(columns, row, strict=True)])
        for row in rows
    ]
    return element("table", element("thead", element("tr", head)), element("tbody", body))


def _cell(title: str, style: str | None, cell: Content | BarCell) -> Markup:
    if isinstance(cell, BarCell):
        return element("td", cell.plot, class_="bar-cell")
    return element("td", cell, class_=style, data_label=title)


def mark(text: str, name: str) -> Markup:
    """A word with a dot in its colour: the colour never says anything alone."""
    return element("span", text, class_=f"mark {name}")


def moment(at: datetime) -> Markup:
    """A time to the minute, in UTC."""
    utc = at.astimezone(UTC)
    return element("time", f"{utc:%Y-%m-%d %H:%M}", datetime=utc.isoformat(timespec="seconds"))


def note(text: str) -> Markup:
    """What explains the section, or stands where there is nothing to show."""
    return element("p", prose(text), class_="soft")


HEIGHT = 100.0
GAP = 0.18
"""The part of a column that is left free."""


def bars(series: Sequence[Sequence[int]], classes: Sequence[str], label: str) -> Markup:
    """Stacked columns: `series` has a tuple for each column, `classes` the class of each of its parts."""
    highest = max((sum(parts) for parts in series), default=0) or 1
    shapes = []
    for index, parts in enumerate(series):
        top = HEIGHT
        for amount, name in zip(parts, classes, strict=True):
            size = HEIGHT * amount / highest
            top -= size
            if amount:
                shapes.append(_box(index + GAP / 2, top, 1 - GAP, size, name))
    return _picture("columns", f"0 0 {max(len(series), 1)} {HEIGHT:g}", shapes, label)


def share(part: float, whole: float, name: str, label: str) -> Markup:
    """A bar that is filled as far as `part` is of `whole`."""
    filled = HEIGHT * part / whole if whole else 0.0
    return _picture("bar", "0 0 100 1", [_box(0, 0, HEIGHT, 1, "rest"), _box(0, 0, filled, 1, name)], label)


def stacked(parts: Sequence[tuple[int, str]], label: str) -> Markup:
    """One bar of several parts, each an amount with its class."""
    whole = sum(amount for amount, _ in parts) or 1
    shapes, at = [], 0.0
    for amount, name in parts:
        size = HEIGHT * amount / whole
        if amount:
            shapes.append(_box(at, 0, size, 1, name))
        at += size
    return _picture("bar", "0 0 100 1", shapes, label)


def span(begin: float, end: float, name: str, label: str) -> Markup:
    """A bar from `begin` to `end`, both parts of the whole from 0 to 1; never too thin to be seen."""
    at, size = HEIGHT * begin, max(HEIGHT * (end - begin), 0.8)
    shapes = [_box(0, 0, HEIGHT, 1, "rest"), _box(min(at, HEIGHT - size), 0, size, 1, name)]
    return _picture("bar", "0 0 100 1", shapes, label)


def _box(x: float, y: float, width: float, height: float, name: str) -> Markup:
    sizes = {"x": x, "y": y, "width": width, "height": height}
    return element("rect", class_=name, **{key: f"{value:.3f}" for key, value in sizes.items()})


def _picture(name: str, box: str, shapes: Sequence[Markup], label: str) -> Markup:
    return element(
        "svg", shapes, class_=name, viewBox=box, preserveAspectRatio="none", role="img", aria_label=label
    )
