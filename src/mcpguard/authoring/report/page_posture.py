"""The sections of the page about controls (posture, the enforcement matrix) and about mcpguard itself:
what it covers, and how its evidence stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.html import (
    MOST_ROWS,
    BarCell,
    Content,
    Markup,
    element,
    mark,
    moment,
    name_of,
    note,
    prose,
    share,
    stacked,
    table,
)
from mcpguard.authoring.report.review import AccessReview, EnforcedCell, ReviewedTier, State

STATES: dict[State, str] = {
    "met": "good",
    "partly": "look",
    "not met": "bad",
    "not applicable": "none",
    "a proxy cannot": "none",
}
"""How a control stands -> its colour."""
_SAID = (
    "Anthropic's zero-trust framework for agents, in our words, judged by this configuration, these records "
    "and this machine. `a proxy cannot` says what has to be done elsewhere. Tests are those of mcpguard's "
    "own suite."
)
_MATRIX = (
    "Every method of MCP that mcpguard knows, by sender, in each era over each transport. Anything "
    "else is refused. Made from the tables that the gateway works by."
)


def posture(review: AccessReview) -> Content:
    """The controls with their tiers."""
    return [
        note(_SAID),
        element("ul", [_share(review, index) for index in range(3)], class_="tiers"),
        [
            element("div", element("h3", one.name), element("div", map(_tier, one.tiers)), class_="control")
            for one in review.posture
        ],
    ]


def _share(review: AccessReview, index: int) -> Markup:
    tiers = [one.tiers[index] for one in review.posture]
    counts = Counter(one.state for one in tiers)
    parts = [(counts[state], "dim" if state == "a proxy cannot" else name) for state, name in STATES.items()]
    said = [mark(f"{counts[state]} {state}", name) for state, name in STATES.items() if counts[state]]
    return element(
        "li",
        element("b", tiers[0].tier),
        stacked(parts, f"{tiers[0].tier}: how many controls are met"),
        element("span", said, class_="legend"),
    )


def _tier(tier: ReviewedTier) -> Markup:
    proof = [element("li", name_of(name.partition("::")[2])) for name in tier.tests]
    for what, names in (("settings", tier.settings), ("records", tier.records)):
        if names:
            proof.append(element("li", f"{what}: ", element("code", ", ".join(names))))
    return element(
        "div",
        element("span", tier.tier, class_="name"),
        element("span", tier.asks),
        mark(tier.state, STATES[tier.state]),
        element("span", prose(tier.why), class_="soft small"),
        element("ul", proof, class_="proof") if proof else (),
        class_="tier",
    )


def enforcement(review: AccessReview) -> Content:
    """The matrix: a table for each direction, a row for each method."""
    shown: list[Content] = [note(_MATRIX)]
    for direction, cells in groupby(review.enforcement, lambda one: one.direction):
        columns = ("method", "eras and transports", "decided", "inspected", "recorded", "tests")
        rows = [_method(list(group)) for _, group in groupby(cells, lambda one: one.method)]
        shown += [element("h3", direction[0].upper() + direction[1:]), table(columns, rows)]
    return shown


def _method(cells: list[EnforcedCell]) -> list[Content]:
    first = cells[0]
    eras = dict.fromkeys(one.era for one in cells)
    transports = dict.fromkeys(one.transport for one in cells)
    tests = dict.fromkeys(name for one in cells for name in one.tests)
    return [
        name_of(first.method),
        f"{' and '.join(eras)}, over {' and '.join(transports)}",
        first.decided,
        first.inspected,
        first.recorded,
        element("ul", [element("li", name_of(name.partition("::")[2])) for name in tests], class_="proof"),
    ]


def coverage(review: AccessReview) -> Content:
    """The shares, and what doctor found."""
    columns = ("what", "#share", "", "how it is counted")
    rows = []
    for one in review.coverage:
        percent = 100 * one.part / one.whole if one.whole else None
        name = "good" if one.part >= one.whole else "look"
        rows.append(
            (
                one.name,
                "none yet" if percent is None else f"{one.part:,} of {one.whole:,} ({percent:.0f} %)",
                BarCell(share(one.part, one.whole, name, one.name)),
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
        shown += [element("h3", "What doctor found on this machine"), table(_FOUND, found)]
    shown += [element("p", f"Not checked: {one}", class_="soft small") for one in review.unchecked]
    return shown


_FOUND = ("!severity", "!code", "what", "what to do")
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
