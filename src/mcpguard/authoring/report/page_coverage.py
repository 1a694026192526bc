"""The two sections of the page about mcpguard itself: what it covers, and how its evidence stands."""

from __future__ import annotations

from collections.abc import Iterable

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report import plots
from mcpguard.authoring.report.html import Content, element, prose
from mcpguard.authoring.report.page_table import MOST_ROWS, BarCell, Column, mark, moment, table
from mcpguard.authoring.report.review import AccessReview


def coverage(review: AccessReview) -> Content:
    """The shares, and what doctor found."""
    columns = [Column("what"), Column("share", number=True), Column(""), Column("how it is counted")]
    rows = []
    for one in review.coverage:
        percent = 100 * one.part / one.whole if one.whole else None
        name = "good" if one.part >= one.whole else "look"
        rows.append(
            (
                one.name,
                "none yet" if percent is None else f"{one.part:,} of {one.whole:,} ({percent:.0f} %)",
                BarCell(plots.share(one.part, one.whole, name, one.name)),
                element("span", prose(one.note), class_="soft small"),
            )
        )
    shown: list[Content] = [table(columns, rows)]
    if review.bypasses:
        found = [
            (
                mark(one.severity, _SEVERITIES.get(one.severity, "none")),
                element("code", one.code),
                prose(one.message),
                prose(one.fix),
            )
            for one in review.bypasses[:MOST_ROWS]
        ]
        shown += [
            element("h3", "What doctor found on this machine"),
            table(_FOUND, found),
        ]
    shown += [element("p", f"Not checked: {one}", class_="soft small") for one in review.unchecked]
    return shown


_FOUND = (
    Column("severity", tight=True),
    Column("code", tight=True),
    Column("what"),
    Column("what to do"),
)
_SEVERITIES = {"error": "bad", "warning": "look"}


def evidence(review: AccessReview) -> Content:
    """How the chains stand."""
    one = review.evidence
    state = mark("intact", "good") if one.intact else mark("altered or missing", "bad")
    said = f"{counted(one.chains, 'chain')} with {counted(one.records, 'record')}"
    begins: Content = (", since ", moment(one.begins)) if one.begins else ""
    lines: Iterable[Content] = [
        (state, " ", said, begins),
        *(f"Altered, so it does not count here: {name}" for name in one.altered),
        *(f"Missing: {name}" for name in one.missing),
        *(f"Gap: {name}" for name in one.gaps),
        f"{counted(one.unclosed, 'chain')} still written, or ended by a crash; "
        f"{counted(one.unfinished, 'allowed call')} without an outcome.",
    ]
    return element("ul", [element("li", line) for line in lines])
