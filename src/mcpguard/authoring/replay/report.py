"""What a replay found: the model of `mcpguard replay --json`, and the same as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from mcpguard.adapters.system.terminal import counted
from mcpguard.core.document.printed import Printed

MOST_EXAMPLES = 3

Direction = Literal["loosened", "both", "credential", "tightened", "otherwise"]


class ReplayedVerdict(Printed):
    """The verdict of policies on a call."""

    effect: str = Field(
        description="`allow`, `ask` or `deny`; several joined by ` or ` if it is not certain which."
    )
    cause: str = Field(description="Why it is refused or asked, as in the evidence; empty for `allow`.")
    rules: tuple[str, ...] = Field(description="The rules that decide.")

    def text(self) -> str:
        cause = "" if self.cause in ("rule", "approval") else self.cause
        by = ", ".join(self.rules) or cause
        return f"{self.effect} {by}{f' ({cause})' if cause and self.rules else ''}".rstrip()


class ReplayChange(Printed):
    """Decisions of one kind that would be different."""

    direction: Direction = Field(
        description="`loosened`: more would be let through, or asked instead of refused; `both`: more "
        "of one thing and less of another; `credential`: "
        "allowed with another credential; `tightened`: less is let through; "
        "`otherwise`: the same effect for another reason."
    )
    server: str = Field(description="The upstream.")
    what: str = Field(description="The tool, by its own name, or the method if it is not a tool.")
    before: ReplayedVerdict = Field(description="The decision on record.")
    after: ReplayedVerdict = Field(description="The decision under the other policies.")
    note: str = Field(description="What else changes for calls that stay allowed; empty for nothing.")
    count: int = Field(description="How many decisions.")
    examples: tuple[str, ...] = Field(description="The invocation ids of the last of them, at most three.")


class ReplayUnsaid(Printed):
    """Decisions for which it cannot be determined whether they would be different."""

    server: str = Field(description="The upstream.")
    what: str = Field(description="The tool, by its own name, or the method if it is not a tool.")
    why: str = Field(description="What is missing, in a phrase.")
    count: int = Field(description="How many decisions.")
    examples: tuple[str, ...] = Field(description="The invocation ids of the last of them, at most three.")


class ReplayReport(Printed):
    """What `mcpguard replay --json` prints."""

    policies: tuple[str, ...] = Field(description="The names of the policies.")
    policy_digest: str = Field(description="sha256 (hex) of their content.")
    since: datetime | None = Field(description="The time from which decisions count; null for all.")
    decisions: int = Field(description="How many decisions were looked at.")
    no_rule_asked: int = Field(
        description="How many of them no rule decides: lists, and what is refused before rules are asked."
    )
    same: int = Field(description="How many would be the same, by the same rules.")
    loosened: int = Field(description="How many would let more through.")
    both: int = Field(description="How many would be less strict in one thing, and stricter in another.")
    credential: int = Field(description="How many would be made with another credential.")
    tightened: int = Field(description="How many would let less through.")
    otherwise: int = Field(description="How many would have the same effect for another reason.")
    unsaid: int = Field(description="For how many that cannot be determined.")
    folded: int = Field(
        description="How many more refusals were only counted (`refusals-folded`): no rule can decide them."
    )
    changes: tuple[ReplayChange, ...] = Field(description="What would change: loosened first, most first.")
    missing: tuple[ReplayUnsaid, ...] = Field(description="Why it cannot be determined, most frequent first.")
    altered: tuple[str, ...] = Field(
        description="Chains that were altered, or that a newer mcpguard wrote: none of them is replayed."
    )
    notes: tuple[str, ...] = Field(description="What the replay takes for granted.")

    @property
    def loosens(self) -> int:
        """How many would not be at least as strict as they were."""
        return self.loosened + self.both + self.credential

    def beyond(self, present: ReplayReport) -> ReplayReport:
        """The same without the changes that `present`, a replay of the same records, has as well: what these
        policies change, and not those that came into force since the records were written."""
        known = {_kind(one): one for one in present.changes}
        changes = tuple(one for each in self.changes if (one := _without(each, known.get(_kind(each)))).count)
        counts: dict[str, int] = dict.fromkeys(_TITLES, 0)
        for one in changes:
            counts[one.direction] += one.count
        return self.model_copy(update={**counts, "changes": changes})


def _without(change: ReplayChange, known: ReplayChange | None) -> ReplayChange:
    if known is None:
        return change
    examples = tuple(id_ for id_ in change.examples if id_ not in known.examples)
    return change.model_copy(update={"count": max(0, change.count - known.count), "examples": examples})


def _kind(change: ReplayChange) -> ReplayChange:
    return change.model_copy(update={"count": 0, "examples": ()})


HEAD = ("CALLS", "WHAT", "ON RECORD", "WOULD BE", "LAST CALLS")
_TITLES: dict[Direction, str] = {
    "loosened": "LOOSENED: more would be let through",
    "both": "LOOSENED in one thing, tightened in another",
    "credential": "ANOTHER CREDENTIAL",
    "tightened": "TIGHTENED: less would be let through",
    "otherwise": "the same effect for another reason",
}


def tables(report: ReplayReport) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """The title and the rows of each table, those that loosen first."""
    for direction, title in _TITLES.items():
        rows = [_row(one) for one in report.changes if one.direction == direction]
        if rows:
            yield title, [HEAD, *rows]


def unsaid(report: ReplayReport) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Why it cannot be determined for some decisions, each with the rows of a table of them."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for one in report.missing:
        row = (str(one.count), place_of(one.server, one.what), ", ".join(one.examples))
        found.setdefault(one.why, [("CALLS", "WHAT", "LAST CALLS")]).append(row)
    yield from found.items()


def _row(one: ReplayChange) -> tuple[str, ...]:
    after = f"{one.after.text()}; {one.note}" if one.note else one.after.text()
    place = place_of(one.server, one.what)
    return str(one.count), place, one.before.text(), after, ", ".join(one.examples)


def place_of(server: str, what: str) -> str:
    """What a decision is about, for a person."""
    return f"{server}/{what}" if server else what


def summary(report: ReplayReport) -> str:
    """All counts in one sentence."""
    changed = report.loosens + report.tightened
    said = f"{changed} of {counted(report.decisions, 'decision')} on record would change: "
    said += f"{report.loosened} loosened, {report.tightened} tightened"
    said += f", {report.both} both" if report.both else ""
    said += f", {report.credential} with another credential" if report.credential else ""
    more = [counted(report.same, "stays the same", "stay the same")]
    if report.otherwise:
        reason = "the same effect for another reason"
        more.append(counted(report.otherwise, f"has {reason}", f"have {reason}"))
    if report.no_rule_asked:
        more.append(counted(report.no_rule_asked, "is not decided by rules", "are not decided by rules"))
    if report.unsaid:
        more.append(f"{report.unsaid:,} cannot be determined")
    return f"{said}; {', '.join(more)}"
