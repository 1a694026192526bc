"""The access review as one HTML page: no script, no request, readable on a phone, in the dark and on paper.

Law of this file: it shows what the model has, and every text goes through `html.joined`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from importlib.resources import files

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.html import (
    MOST_ROWS,
    BarCell,
    Content,
    Markup,
    bars,
    element,
    mark,
    moment,
    name_of,
    note,
    prose,
    section,
    share,
    sheet,
    span,
    stacked,
    table,
)
from mcpguard.authoring.report.page_posture import coverage, enforcement, evidence, posture
from mcpguard.authoring.report.review import AccessReview, DwellTime, ReachedThing, looks

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may do with the page: nothing but show it."""
_LOOKS = {"bad": "act", "look": "look", "good": "good"}


def page(review: AccessReview) -> str:
    """The whole document."""
    css = files("mcpguard.authoring.report").joinpath("page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", f"mcpguard: access review, {review.made:%Y-%m-%d}"),
        sheet(css),
    )
    parts = [(name, title, made(review)) for name, (title, made) in SECTIONS.items()]
    links = [element("a", title, href=f"#{name}") for name, title, _ in parts]
    body = element(
        "body",
        _header(review),
        element("nav", links, aria_label="Sections"),
        _figures(review),
        [section(name, title, content) for name, title, content in parts],
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en").text + "\n"


def _header(review: AccessReview) -> Markup:
    period = (
        "From ",
        moment(review.since),
        " to ",
        moment(review.made),
        " (UTC). Configuration ",
        element("code", review.config),
        f", policies {', '.join(review.policies) or 'none'}, mcpguard {review.version}.",
    )
    return element("header", element("h1", "Access review"), element("p", period, class_="soft"))


def _figures(review: AccessReview) -> Markup:
    days = review.days
    said = {
        "servers": sum(not one.disabled for one in review.servers),
        "principals": len(review.principals),
        "requests allowed": sum(one.allowed for one in days),
        "requests refused": sum(one.refused for one in days),
        "left to a person": sum(one.asked for one in days),
        "values removed": sum(one.count for one in review.detections),
        "unused grants": len(review.unused),
    }
    return element(
        "dl",
        [element("div", element("dt", name), element("dd", f"{count:,}")) for name, count in said.items()],
        class_="figures",
    )


def _looks(review: AccessReview) -> Content:
    rows = [
        element("li", mark(_LOOKS[one.level], one.level), element("a", one.text, href=f"#{one.section}"))
        for one in looks(review)
    ]
    return element("ul", rows, class_="looks")


def _days(review: AccessReview) -> Content:
    if not review.days:
        return note("No request was made in this period.")
    known = {one.day: (one.allowed, one.refused, one.asked) for one in review.days}
    first, last = date.fromisoformat(min(known)), date.fromisoformat(max(known))
    every = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    series = [known.get(day, (0, 0, 0)) for day in every]
    highest = max(map(sum, series))
    return [
        element(
            "p",
            mark("allowed", "good"),
            mark("refused", "bad"),
            mark("left to a person", "look"),
            element("span", f"at most {counted(highest, 'request')} a day", class_="soft"),
            class_="legend",
        ),
        bars(series, ("good", "bad", "look"), "Requests a day"),
        element("p", element("span", every[0]), element("span", every[-1]), class_="axis"),
    ]


def _connected(review: AccessReview) -> Content:
    columns = ("server", "kind", "state", "credentials", "#calls", "#starts", "#tools on record", "#changed")
    rows = [
        (
            one.name,
            "a program" if one.kind == "command" else "a URL",
            mark("disabled", "none")
            if one.disabled
            else mark("observed only", "bad")
            if one.observed
            else mark("enforced", "good"),
            ", ".join(one.credentials),
            f"{one.calls:,}",
            f"{one.starts:,}",
            f"{one.definitions:,}",
            mark(f"{one.changed:,}", "look") if one.changed else "0",
        )
        for one in review.servers
    ]
    said = (
        "Each record has the digest of the tool's definition at that time; a change is recorded before the "
        "client learns of it."
    )
    return [note(said), table(columns, rows)]


def _access(review: AccessReview) -> Content:
    source = "what the servers offer" if review.listed_from == "snapshot" else "what rules and records name"
    said = (
        f"By the policies in force, over {source}. `if`: it depends on arguments, the session or a person. "
        "Agents and clients are claims."
    )
    if review.listed_from != "snapshot":
        said += " What only a rule names may not exist: with `--snapshot` it is what the servers offer."
    shown: list[Content] = [note(said)]
    for one in review.principals:
        about = [
            f"{counted(one.allowed, 'request')} allowed, {one.refused:,} refused, "
            f"{one.asked:,} left to a person"
        ]
        about += [f"for {', '.join(one.humans)}"] if one.humans else []
        about += [f"agents {', '.join(one.agents)}"] if one.agents else []
        about += [f"clients {', '.join(one.clients)}"] if one.clients else []
        if one.groups_unknown:
            about.append("what is granted to groups or claims is not shown")
        shown += [element("h3", one.name), element("p", "; ".join(about), class_="soft small")]
        shown.append(_reach(one.reach))
    return shown if review.principals else note("Nobody made a request in this period.")


_ANSWERS = {"yes": ("yes", "good"), "if": ("if", "look"), "no": ("no", "none")}


def _reach(reach: Sequence[ReachedThing]) -> Content:
    columns = ("what", "reach", "#allowed", "#refused", "last used", "")
    things = sorted(reach, key=lambda one: (-one.allowed - one.refused, one.answer == "no"))
    most = max((one.allowed + one.refused for one in things), default=0)
    rows = [
        (
            name_of(f"{one.server}/{one.name}"),
            mark(*_ANSWERS[one.answer]),
            f"{one.allowed:,}",
            f"{one.refused:,}",
            moment(one.last) if one.last else element("span", "not used", class_="soft"),
            BarCell(
                stacked(
                    [(one.allowed, "good"), (one.refused, "bad"), (most - one.allowed - one.refused, "rest")],
                    "use",
                )
            ),
        )
        for one in things[:MOST_ROWS]
    ]
    return [table(columns, rows), _more(len(things))]


def _more(count: int) -> Content:
    if count <= MOST_ROWS:
        return ()
    return element("p", prose(f"{count - MOST_ROWS} more: `mcpguard report --json`"), class_="soft small")


def _unused(review: AccessReview) -> Content:
    if not review.unused:
        return note("Every rule that grants something, and every tool that somebody can reach, was used.")
    columns = ("grant", "name", "where, or who reaches it")
    all_of = ", ".join(one.name for one in review.principals)
    everybody = "everybody on record" if review.principals[1:] else all_of
    rows = [
        (one.kind, name_of(one.name), everybody if one.place == all_of else one.place)
        for one in review.unused[:MOST_ROWS]
    ]
    days = (review.made - review.since).days
    said = f"Not used in the {counted(days, 'day')} of this report. What nobody needs should not be granted."
    return [note(said), table(columns, rows), _more(len(review.unused))]


def _how_often(count: int, most: int, name: str) -> tuple[Content, BarCell]:
    """The number of times, and its bar."""
    return f"{count:,}", BarCell(share(count, most, name, "share of the most frequent"))


def _denied(review: AccessReview) -> Content:
    if not review.denied:
        return note("Nothing was refused.")
    most = review.denied[0].count
    rows = []
    for one in review.denied[:20]:
        why = (", ".join(one.rules) or one.cause, " ", element("code", one.example, class_="soft whole"))
        often = _how_often(one.count, most, "bad")
        rows.append((name_of(one.what), one.principal, why, moment(one.last), *often))
    return table(("what", "principal", "why", "last", "#times", ""), rows)


def _detections(review: AccessReview) -> Content:
    if not review.detections:
        return note("Nothing had to be removed from a result or a notification.")
    most = review.detections[0].count
    rows = [
        (element("code", one.kind), ", ".join(one.servers), *_how_often(one.count, most, "look"))
        for one in review.detections[:MOST_ROWS]
    ]
    return table(("kind", "from", "#times", ""), rows)


def _credentials(review: AccessReview) -> Content:
    if not review.credentials:
        return note("No server needs a credential.")
    oldest = max((one.age_days or 0 for one in review.credentials), default=0)
    columns = ("credential", "kind", "for", "#calls", "age", "")
    rows = []
    for one in review.credentials:
        if one.short_lived:
            age: Content = mark("renewed automatically", "good")
        elif one.age_days is None:
            age = element("span", "never used on record", class_="soft")
        else:
            age = f"at least {counted(one.age_days, 'day')}" if one.age_days else "changed today"
        plot = "" if one.age_days is None else share(one.age_days, max(oldest, 1), "look", "age")
        servers = ", ".join(one.servers)
        rows.append((name_of(one.name), one.kind, servers, f"{one.calls:,}", age, BarCell(plot)))
    said = (
        "Names only. The age counts from the last change on record, else from the first record that names it."
    )
    return [note(said), table(columns, rows)]


_VERDICTS = {"approved": "good", "denied": "bad", "void": "none", "ended": "none"}


def _approvals(review: AccessReview) -> Content:
    if not review.approvals:
        return note("No person answered a ticket.")
    who = ", ".join(f"{one.name} ({one.count})" for one in review.approvers)
    columns = ("when", "answer", "by", "whose call", "ticket", "#used")
    rows = [
        (
            moment(one.at),
            mark(one.verdict, _VERDICTS[one.verdict]),
            one.by,
            # Whoever answers may be whoever called: a reviewer wants to see it.
            (one.principal, " ", mark("own call", "none"))
            if one.by.partition(" (")[0] == one.principal
            else one.principal,
            element("code", one.ticket),
            f"{one.uses:,}",
        )
        for one in review.approvals[:MOST_ROWS]
    ]
    return [
        element("p", f"Answers by {who}.", class_="soft"),
        table(columns, rows),
        _more(len(review.approvals)),
    ]


def lasted(seconds: float) -> str:
    """A time span for people: `40 s`, `12 min`, `3 h`, `9 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _dwell(review: AccessReview) -> Content:
    definition = (
        "Dwell time runs from the first refusal of a session, or the first label that it has, to the moment "
        "that a person acts (answers a ticket of it, clears a label, ends the session) or the process that "
        "serves it ends. What begins after that is counted again."
    )
    shown: list[Content] = [note(definition)]
    if not review.exposures:
        return [*shown, note("No session had a refusal or a label.")]
    if review.median_dwell_seconds is not None:
        shown.append(
            element("p", f"Half of those that ended took {lasted(review.median_dwell_seconds)} at most.")
        )
    columns = ("session", "because", "began", "ended by", "#lasted", "")
    rows = [_exposure(one, review.since, review.made) for one in review.exposures[:20]]
    return [*shown, table(columns, rows)]


_ENDS = {"person": "good", "process end": "none", "open": "look"}


def _exposure(one: DwellTime, since: datetime, made: datetime) -> Sequence[Content | BarCell]:
    whole = max((made - since).total_seconds(), 1.0)
    begin = (one.began - since).total_seconds() / whole
    end = ((one.ended or made) - since).total_seconds() / whole
    return (
        (element("code", one.session[:8]), " ", one.principal),
        one.because,
        moment(one.began),
        mark(one.by, _ENDS[one.by]),
        lasted(one.seconds),
        BarCell(span(begin, end, _ENDS[one.by], "when in the period")),
    )


SECTIONS: dict[str, tuple[str, Callable[[AccessReview], Content]]] = {
    "first": ("What to look at first", _looks),
    "days": ("Requests", _days),
    "connected": ("What is connected", _connected),
    "access": ("Who can reach what, and what they used", _access),
    "unused": ("Unused grants", _unused),
    "denied": ("Most refused", _denied),
    "detections": ("What was removed", _detections),
    "credentials": ("Credentials", _credentials),
    "approvals": ("Approvals", _approvals),
    "dwell": ("Dwell time", _dwell),
    "coverage": ("Coverage", coverage),
    "evidence": ("Evidence", evidence),
    "posture": ("Posture: zero trust for agents", posture),
    "enforcement": ("Enforcement matrix", enforcement),
}
"""The parts of the page: an anchor -> its heading and what makes it."""
