"""What an explanation says: the form of `mcpguard explain --json`, and the same as lines for a person.

Law of this file: nothing in it is a value of an argument or of a result. Conditions, names of rules and
messages are the author's text, for the operator.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mcpguard.core.document.printed import Sparse
from mcpguard.core.model import Json
from mcpguard.core.policy.terms import Effect
from mcpguard.protocol.jsonrpc import encode

Outcome = Literal["held", "did not hold", "could not be evaluated", "ended", "not known"]
Told = Literal["allow", "ask", "deny", "unknown"]
Must = Literal["hold", "not hold", "have room", "be approved", "agree", "be written"]


class Operand(Sparse):
    """A condition or a part of it under &&, ||, ! and ?:."""

    text: str = Field(description="As written in the condition.")
    depth: int = Field(description="How many operands enclose it.")
    value: Literal["true", "false", "error", "unknown"] = Field(
        description="What it evaluated to on its own; `unknown`: it reads what is not known."
    )
    reason: str = Field(
        "", description="Why: which members are there, and of which type; never their values."
    )


class ConsideredRule(Sparse):
    """A rule that applies to such a request."""

    rule: str = Field(description="`POLICY/ID`.")
    place: str = Field("", description="Where it stands: FILE:LINE.")
    effect: Effect = Field(description="Of the rule.")
    outcome: Outcome = Field(
        description="What its condition evaluated to; `ended`: its policy has expired; `not known`: that "
        "depends on what is listed under `unknown`."
    )
    decided: bool = Field(description="Whether it determined the verdict.")
    shadow: bool = Field(False, description="Whether it is in shadow mode: reported, but without effect.")
    operands: tuple[Operand, ...] = Field(
        (), description="Its condition, each operand before those inside it; empty without `when`."
    )


class WantedOperand(Sparse):
    """An operand that would have to evaluate to something else."""

    text: str = Field(description="As written in the condition.")
    must_be: bool = Field(description="What it would have to be.")
    reason: str = Field("", description="Why it is not.")


class Change(Sparse):
    """What would have to be different about one rule for the call to be allowed."""

    rule: str = Field(description="`POLICY/ID`, empty where a rule is missing.")
    must: Must = Field(
        description="What the rule would have to do; `agree`: with the others that allow the call."
    )
    operands: tuple[WantedOperand, ...] = Field(
        (), description="The fewest operands that would have to evaluate to something else."
    )
    note: str = Field(
        "",
        description="Further information: that no argument can achieve it, or when a limit allows the call "
        "again.",
    )


class Done(Sparse):
    """What is done with a call, or with a result, that goes through."""

    redact: tuple[str, ...] = Field((), description="Kinds of personal data that are redacted.")
    unredacted: tuple[str, ...] = Field((), description="What stays in the result, `KIND` or `KIND PATH`.")
    spotlight: bool = Field(False, description="Whether the texts of the result are marked.")
    labels: tuple[str, ...] = Field((), description="Added to the session's labels.")
    facts: tuple[str, ...] = Field((), description="Added to the session's facts.")
    arguments: tuple[str, ...] = Field((), description="Names of the arguments that rules set.")
    credential: str = Field("", description="The name of the credential that is used.")
    limits: tuple[str, ...] = Field((), description="What is charged to which limit.")


class WouldRefuse(Sparse):
    """What policies that are only observed would have refused."""

    cause: str = Field(description="Why: rule, no-rule, error, approval or limit.")
    rules: tuple[str, ...] = Field((), description="The rules that would have refused.")
    message: str = Field("", description="The message that the model would have got.")


class ResultDecision(Sparse):
    """The second decision, on a result."""

    effect: Literal["allow", "withhold"] = Field(description="What happens to the result.")
    why: str = Field(description="A sentence.")
    rules: tuple[str, ...] = Field((), description="The rules that contributed to the decision.")
    message: str = Field("", description="The message that the model gets.")
    findings: tuple[str, ...] = Field(
        (), description="Kinds of secrets and personal data that were redacted before."
    )
    candidates: tuple[ConsideredRule, ...] = Field(
        (), description="The rules with `on: result` that apply to it."
    )
    done: Done = Field(Done(), description="What is done with it.")
    shadow: str = Field("", description="What rules in shadow mode would have done otherwise.")
    observed: WouldRefuse | None = Field(
        None, description="What would have withheld it, if its server were not only observed."
    )


class Explanation(Sparse):
    """Why a request is allowed or denied."""

    effect: Told = Field(
        description="The verdict; `unknown` where it depends on what is listed under `unknown`."
    )
    why: str = Field(description="The reason for this verdict, as a sentence.")
    rules: tuple[str, ...] = Field((), description="The rules that decided.")
    cause: str = Field(
        "",
        description="Of a refusal: rule, no-rule, arguments, error, approval, limit, credential or "
        "placeholder; `unknown` where there is nothing of that name.",
    )
    message: str = Field("", description="The message that the model gets.")
    approval: str = Field("", description="The ticket of this very call, and how it was answered.")
    unknown: tuple[str, ...] = Field(
        (), description="What the decision depends on and is unknown, and how to supply it."
    )
    assumed: tuple[str, ...] = Field(
        (), description="The assumptions of the verdict; if one is false, the call is refused."
    )
    listed: bool = Field(
        True,
        description="Whether lists show the request's target; if not, it is refused as if it did not exist.",
    )
    candidates: tuple[ConsideredRule, ...] = Field(
        (), description="The rules that apply to such a request: deny, then ask, then allow."
    )
    done: Done = Field(Done(), description="What is done with the call.")
    changes: tuple[Change, ...] = Field(
        (), description="The smallest change that would have allowed it: all of these."
    )
    shadow: str = Field("", description="What rules in shadow mode would have done otherwise.")
    observed: WouldRefuse | None = Field(
        None, description="What would have refused it, if its server were not only observed."
    )
    result: ResultDecision | None = Field(None, description="The decision on the result that was given.")


class Recorded(Sparse):
    """A recorded call; unless stated otherwise, the fields are those of the decision record."""

    id: str = Field(description="Of the invocation.")
    at: str = Field(description="When.")
    principal: str = Field(description="`SOURCE:ID` of the caller.")
    method: str = Field(description="The MCP method.")
    effect: str = Field(description="`allow` or `deny`.")
    same_policies: bool = Field(
        description="Whether the policies in force then are the current ones, by their digest."
    )
    server: str = Field("", description="The upstream.")
    tool: str = Field("", description="The tool.")
    subject: str = Field("", description="The prompt or the URI.")
    agent: str | None = Field(None, description="The agent.")
    cause: str = Field("", description="Why it was refused.")
    rules: tuple[str, ...] = Field((), description="The rules that decided then.")
    places: tuple[str, ...] = Field((), description="Where these stand now: FILE:LINE of each that is there.")
    approval: str = Field("", description="The ticket by which a person approved it, and who that was.")
    ticket: str = Field("", description="The ticket by which a person was asked.")
    client: str = Field("", description="What the client calls itself.")
    human: str = Field("", description="The person for whom an agent acts, as a verified token says.")
    actor: str = Field("", description="That agent.")
    groups: tuple[str, ...] | None = Field(
        None, description="The groups of the token, if they are on record."
    )
    claims: dict[str, Json] | None = Field(None, description="Its claims, if they are on record.")
    session: str = Field("", description="The session.")
    session_labels: tuple[str, ...] = Field((), description="The labels that the session had before.")
    label_causes: dict[str, str] = Field({}, description="Each of them -> the call that set it.")
    credentials: tuple[str, ...] = Field((), description="The names of the credentials.")
    arguments: dict[str, Any] | None = Field(None, description="The arguments, redacted.")
    message: str = Field("", description="Why it was refused, as the client was told.")
    observed: WouldRefuse | None = Field(
        None,
        description="What would have refused it; it was let through, since its server was only observed.",
    )
    outcome: str = Field("", description="The status of its outcome, empty if there is none.")
    error: str = Field("", description="What went wrong with it, as its outcome says.")
    result_rules: tuple[str, ...] = Field((), description="The rules that decided about its result.")
    result_message: str = Field("", description="Why its result was withheld, as the client was told.")
    findings: dict[str, int] = Field({}, description="`KIND PATH` -> how often it was removed there.")
    unredacted: dict[str, int] = Field({}, description="As `findings`, for values that a rule exempted.")
    neutralised: dict[str, int] = Field({}, description="Kind -> how many hidden characters became visible.")
    altered: str = Field(
        "",
        description="Where the file with its record was altered, as `mcpguard audit verify` says; empty if "
        "it was not.",
    )
    notes: tuple[str, ...] = Field((), description="What was not recorded, and how to supply it.")
    explanation: Explanation | None = Field(
        None, description="How it would be decided now, if the arguments are known."
    )


MOST_SHOWN = 500
"""Characters of the arguments of a recorded call."""


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
            yield f"         {each.value:<5}  {'  ' * each.depth}{one_line(each.text)}{reason}"


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
            yield f"    {str(one.must_be).lower():<5}  {one_line(one.text)}{reason}"


def _near(place: str) -> str:
    """FILE:LINE, from the working folder where it is in there."""
    file, _, line = place.rpartition(":")
    here = Path.cwd()
    return f"{Path(file).relative_to(here)}:{line}" if Path(file).is_relative_to(here) else place


def one_line(text: str) -> str:
    """A condition without its line breaks."""
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
    yield from _named("groups", found.groups or ())
    yield from _named("claims", found.claims or ())
    yield from _named("client", (found.client,))
    yield from _named("arguments", (_arguments(found),))
    yield from _named("session labels", map(partial(_caused, found), found.session_labels))
    yield from _named("credentials", found.credentials)
    yield from _would("refused", found.observed)
    yield from _named("outcome", (": ".join(filter(None, (found.outcome, found.error))),))
    yield from _named("rules on the result", found.result_rules)
    yield from _named("message about the result", (found.result_message,))
    yield from _named("removed from the result", found.findings)
    yield from _named("left in the result", found.unredacted)
    yield from _named("hidden characters neutralised", found.neutralised)
    yield f"  policies: {'the current ones' if found.same_policies else 'not the current ones'}"
    for note in found.notes:
        yield f"  note: {note}"
    if found.explanation is not None:
        yield ""
        yield from _explanation(found.explanation)
