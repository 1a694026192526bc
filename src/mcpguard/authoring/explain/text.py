"""An explanation, and what a principal can reach, as lines for a person."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from mcpguard.authoring.explain.explanation import (
    Change,
    ConsideredRule,
    Done,
    Explanation,
    Recorded,
    ResultDecision,
    WouldRefuse,
)
from mcpguard.authoring.explain.reach import IS_GLOB, Clause, Reach
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.protocol.jsonrpc import encode

MOST_SHOWN = 500
"""Characters of the arguments of a recorded call."""

UNLESS = "`unless` includes conditions that cannot be evaluated; what rules on results withhold is not listed"
PATTERNS = "rules match tools by pattern: add --snapshot FILE to list them"


def lines_of(found: Explanation | Recorded) -> Iterator[str]:
    """The lines, without colours: whoever prints them inspects them first."""
    return _recorded(found) if isinstance(found, Recorded) else _explanation(found)


def _explanation(found: Explanation) -> Iterator[str]:
    cause = f" ({found.cause})" if found.cause else ""
    yield f"{found.effect}{cause}: {found.why}"
    yield from _named("by", found.rules)
    yield from _named("the client is told", (found.message,))
    yield from _named("approval", (found.approval,))
    yield from _would("refused", found.observed)
    if not found.listed:
        yield "  not listed: it is refused as if it did not exist"
    for said in found.unknown:
        yield f"  not known: {said}"
    for said in found.assumed:
        yield f"  provided that {said}"
    yield from _done(found.done)
    yield from _candidates(found.candidates, "rules that apply to it, deny before ask before allow")
    yield from _changes(found.changes)
    yield from _named("rules in shadow mode would have made it", (found.shadow,))
    if found.result is not None:
        yield from _returned(found.result)


def _returned(found: ResultDecision) -> Iterator[str]:
    yield ""
    yield f"the result: {found.effect}: {found.why}"
    yield from _named("by", found.rules)
    yield from _named("the client is told", (found.message,))
    yield from _would("withheld", found.observed)
    yield from _named("redacted before", found.findings)
    yield from _done(found.done)
    yield from _candidates(found.candidates, "rules on results that apply to it")
    yield from _named("rules in shadow mode would have made it", (found.shadow,))


def _named(name: str, values: Iterable[str]) -> Iterator[str]:
    told = ", ".join(value for value in values if value)
    if told:
        yield f"  {name}: {told}"


def _would(what: str, found: WouldRefuse | None) -> Iterator[str]:
    if found is not None:
        by = f" by {', '.join(found.rules)}" if found.rules else ""
        said = f": {found.message}" if found.message else ""
        yield f"  would be {what} ({found.cause}){by}{said}"


def _done(done: Done) -> Iterator[str]:
    yield from _named("redacts", done.redact)
    yield from _named("leaves in the result", done.unredacted)
    yield from _named("marks", ("the texts of the result as data of the server",) if done.spotlight else ())
    yield from _named("labels the session", done.labels)
    yield from _named("adds facts to the session", done.facts)
    yield from _named("sets the arguments", done.arguments)
    yield from _named("uses the credential", (done.credential,))
    yield from _named("charges", done.limits)


def _candidates(candidates: tuple[ConsideredRule, ...], head: str) -> Iterator[str]:
    yield ""
    yield f"{head}:" if candidates else "no rule applies to it"
    for one in candidates:
        marks = "  <- decided" if one.decided else "  (shadow: no effect)" if one.shadow else ""
        outcome = one.outcome if one.operands or one.outcome != "held" else "held (it has no condition)"
        place = f"  ({_near(one.place)})" if one.place else ""
        yield f"  {one.effect:<5}  {one.rule}: {outcome}{marks}{place}"
        for each in one.operands:
            reason = f"   ({each.reason})" if each.reason else ""
            yield f"         {each.value:<5}  {'  ' * each.depth}{_one_line(each.text)}{reason}"


def _changes(changes: tuple[Change, ...]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield "it would be allowed if all of this changed and nothing else did:"
    for change in changes:
        note = f" ({change.note})" if change.note else ""
        yield f"  {change.rule or 'an allow rule'} must {change.must}{note}"
        for one in change.operands:
            reason = f"   ({one.reason})" if one.reason else ""
            yield f"    {str(one.must_be).lower():<5}  {_one_line(one.text)}{reason}"


def _near(place: str) -> str:
    """FILE:LINE, from the working folder where it is in there."""
    file, _, line = place.rpartition(":")
    here = Path.cwd()
    return f"{Path(file).relative_to(here)}:{line}" if Path(file).is_relative_to(here) else place


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _arguments(found: Recorded) -> str:
    if not found.arguments:
        return ""
    text = encode(found.arguments).decode()
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _caused(found: Recorded, label: str) -> str:
    cause = found.label_causes.get(label)
    return f"{label} (by {cause})" if cause else label


def _recorded(found: Recorded) -> Iterator[str]:
    what = "/".join(part for part in (found.server, found.tool or found.subject) if part)
    cause = f" ({found.cause})" if found.cause else ""
    if found.altered:
        yield f"do not trust this record: its file was altered: {found.altered}"
    yield f"recorded: {found.effect}{cause}  {found.method} {what}".rstrip()
    yield f"  at {found.at} by {found.principal}{f' with {found.agent}' if found.agent else ''}"
    yield from _named("rules", found.rules)
    yield from _named("written in", map(_near, found.places))
    yield from _named("message", (found.message,))
    yield from _named("approval", (found.approval or found.ticket,))
    yield from _named("on behalf of", (f"{found.human} by {found.actor}" if found.actor else "",))
    yield from _named("client", (found.client,))
    yield from _named("arguments", (_arguments(found),))
    yield from _named("session labels", map(partial(_caused, found), found.session_labels))
    yield from _named("credentials", found.credentials)
    yield from _would("refused", found.observed)
    yield from _named("outcome", (": ".join(filter(None, (found.outcome, found.error))),))
    yield from _named("removed from the result", found.findings)
    yield from _named("left in the result", found.unredacted)
    yield from _named("hidden characters neutralised", found.neutralised)
    yield f"  policies: {'the current ones' if found.same_policies else 'not the current ones'}"
    for note in found.notes:
        yield f"  note: {note}"
    if found.explanation is not None:
        yield ""
        yield from _explanation(found.explanation)


def reach_lines(found: list[Reach], policies: PolicySet, complete: bool) -> Iterator[str]:
    """The lines for a person; `complete` says that all tools are known."""
    for server in dict.fromkeys(one.server for one in found):
        here = [one for one in found if one.server == server]
        count = Counter(one.answer for one in here)
        yield f"{server}: {count['yes']} yes, {count['if']} if, {count['no']} no"
        if any(one.observed for one in here):
            yield "  only observed now: what is refused here is recorded and let through"
        for one in here:
            what = one.name if one.kind == "tool" else f"{one.kind} {one.name}"
            yield f"  {one.answer:<3}  {what}"
            yield from _terms(one) if one.answer != "no" else ()
    if any(one.unless for one in found):
        yield UNLESS
    if not found:
        yield "there is nothing to list: no rule names a server and a tool"
    by_pattern = any(IS_GLOB(name) for rule in policies.rules for name in rule.written.tools or ("*",))
    if by_pattern and not complete:
        yield PATTERNS


def _terms(one: Reach) -> Iterator[str]:
    if one.answer == "if":
        yield from _clauses("if", one.allowed_by)
    yield from _clauses("unless", one.unless)
    yield from _clauses("approval", one.approval)
    yield from [f"       limit  {limit}" for limit in one.limits]
    if one.conflict:
        yield "       rules that allow it may set different arguments or credentials; then it is refused"


def _clauses(word: str, clauses: Iterable[Clause]) -> Iterator[str]:
    for one in clauses:
        when = _one_line(one.when) or "always"
        ahead = f", unless {' or '.join(one.approved_by)} approves" if one.approved_by else ""
        yield f"       {word}  {when}  ({one.rule}{ahead})"
