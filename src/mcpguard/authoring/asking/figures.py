"""Figures of the calls on record, by one of their properties.

Law of this file: durations are exact, of calls with an outcome, and a call that several rules decided counts
for each of them. Lists do not count as calls.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from msgspec import Struct
from pydantic import Field

from mcpguard.adapters.audit.index import AuditIndex
from mcpguard.adapters.audit.indexing import CallFacts
from mcpguard.authoring.asking.question import CallQuestion
from mcpguard.core.document.printed import Printed
from mcpguard.core.evidence.bounds import NO_CALLS
from mcpguard.core.evidence.records import DENIED_IN_SHADOW, ObservedRefusal

PARTS = 24
"""Into this many equal parts the time is divided."""
NONE = "(none)"


class AuditFigures(Printed):
    """Figures of the calls with one name."""

    name: str = Field(description="What `by` names; `(none)` without one.")
    calls: int = Field(description="How many calls there were.")
    denied: int = Field(description="How many of them were denied.")
    withheld: int = Field(description="Of how many the result was withheld.")
    observed: int = Field(
        description="How many were let through although policies that are only observed, or rules in shadow "
        "mode, would have refused them or withheld their results."
    )
    p50: float | None = Field(description="The median duration in milliseconds; null without an outcome.")
    p95: float | None = Field(description="The duration that 95 % do not exceed, likewise.")
    bytes: int = Field(description="Bytes to servers and from them.")
    over_time: tuple[int, ...] = Field(
        description="Calls in each of 24 equal parts of the time from the first call to the last."
    )


def _let_through(facts: CallFacts) -> str:
    """What would have refused a call that was allowed: cause and rules."""
    if facts.effect != "allow":
        return ""
    if cause := facts.observed or facts.withheld:
        return ObservedRefusal(cause[0], cause[1:]).text
    return next((one for one in (facts.shadow, facts.result_shadow) if DENIED_IN_SHADOW in one), "")


class _Sum(Struct):
    calls: int = 0
    denied: int = 0
    withheld: int = 0
    observed: int = 0
    bytes: int = 0
    times: array[int] = array("q")
    durations: array[int] = array("q")


_BY: dict[str, Callable[[CallFacts], Iterable[str]]] = {
    "server": lambda facts: (facts.server,),
    "tool": lambda facts: ("/".join(filter(None, (facts.server, facts.tool or facts.method))),),
    "principal": lambda facts: (facts.principal,),
    "actor": lambda facts: (facts.actor,),
    "rule": lambda facts: facts.rules or ("",),
    "cause": lambda facts: (facts.cause,),
    "client": lambda facts: (facts.client,),
    "observed": lambda facts: (_let_through(facts),),
}


def figures_by(index: AuditIndex, question: CallQuestion, by: str) -> list[AuditFigures]:
    """Those of the calls that match, most calls first; `by` is one of `_BY`. The question is one of
    filters alone."""
    sums: dict[str, _Sum] = {}
    for number, facts in index.facts().items():
        if facts.method not in NO_CALLS and question.may_match(facts):
            rows = list(index.durations(number, question.since, question.until))
            for name in dict.fromkeys(_BY[by](facts)) if rows else ():
                _add(sums.setdefault(name or NONE, _Sum(times=array("q"), durations=array("q"))), facts, rows)
    first = min((min(one.times) for one in sums.values()), default=0)
    last = max((max(one.times) for one in sums.values()), default=0)
    step = (last - first) // PARTS + 1
    found = [_figures(name, one, first, step) for name, one in sums.items()]
    return sorted(found, key=lambda one: (-one.calls, one.name))


def _add(to: _Sum, facts: CallFacts, rows: list[tuple[int, int | None, int]]) -> None:
    to.calls += len(rows)
    to.denied += len(rows) if facts.effect == "deny" else 0
    to.withheld += len(rows) if facts.status == "withheld" else 0
    to.observed += len(rows) if _let_through(facts) else 0
    to.bytes += sum(size for _, _, size in rows)
    to.times.extend(at for at, _, _ in rows)
    to.durations.extend(took for _, took, _ in rows if took is not None)


def _figures(name: str, one: _Sum, first: int, step: int) -> AuditFigures:
    durations = sorted(one.durations)
    parts = [0] * PARTS
    for at in one.times:
        parts[(at - first) // step] += 1
    return AuditFigures(
        name=name,
        calls=one.calls,
        denied=one.denied,
        withheld=one.withheld,
        observed=one.observed,
        p50=_percentile(durations, 50),
        p95=_percentile(durations, 95),
        bytes=one.bytes,
        over_time=tuple(parts),
    )


def _percentile(values: list[int], percent: int) -> float | None:
    """The smallest value that this many percent do not exceed, in milliseconds."""
    if not values:
        return None
    return values[max(0, -(-len(values) * percent // 100) - 1)] / 1000
