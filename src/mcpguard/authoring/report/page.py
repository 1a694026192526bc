"""The access review as one HTML page: no script, no request, readable on a phone, in the dark and on paper.

`page.html` shows what the model has; here is what it needs besides. Law of this file: the template engine
escapes every value, and before that a character that is not seen becomes its code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.review import AccessReview, DayOfCalls, ReachedThing, looks
from mcpguard.core.legible import utc


def page(review: AccessReview) -> str:
    """The whole document."""
    shown = templates().get_template("page.html")
    return shown.render(review=review, looks=looks(review), days=_every_day(review.days))


@cache
def templates() -> Environment:
    """The template engine, with how the page prints times, names and numbers."""
    found = Environment(
        loader=PackageLoader("mcpguard.authoring", "report"),
        autoescape=True,
        finalize=lambda value: _visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "busiest_first": _busiest_first,
        "counted": counted,
        "lasted": lasted,
        "moment": _moment,
        "name": _name,
        "number": "{:,}".format,
        "prose": _prose,
    }
    return found


def _visible(text: str) -> str:
    """A control character, or one that changes the direction of a text, as its code."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"[U+{ord(one):04X}]" for one in text)


def _prose(text: str) -> Markup:
    """Text in which what stands between backticks is code."""
    parts = _visible(text).split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if index % 2 else part for index, part in enumerate(parts))


def _name(text: str) -> Markup:
    """A name as code, which may be broken behind `_` and `/`."""
    parts = re.split(r"(?<=[_/])", _visible(text))
    return Markup("<code>{}</code>").format(Markup("<wbr/>").join(parts))


def _moment(at: datetime) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(utc(at), utc(at, "minutes"))


def lasted(seconds: float) -> str:
    """A time span for people: `40 s`, `12 min`, `3 h`, `9 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _busiest_first(reach: Sequence[ReachedThing]) -> list[ReachedThing]:
    return sorted(reach, key=lambda one: (-one.allowed - one.refused, one.answer == "no"))


def _every_day(days: Sequence[DayOfCalls]) -> dict[str, tuple[int, int, int]]:
    """From the first day with a request to the last -> how many were allowed, refused and asked about."""
    known = {date.fromisoformat(one.day): (one.allowed, one.refused, one.asked) for one in days}
    if not known:
        return {}
    first, last = min(known), max(known)
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return {day.isoformat(): known.get(day, (0, 0, 0)) for day in every}
