"""Rules that are proposed: for exactly the call that a person approves for good, and for what the evidence
has: calls that no rule allows, and those that people approved.

    records -> groups -> drafts -> Proposal

Law of this file: what is proposed is what its tests show. It never widens by itself: a call that a deny, a
limit, a pin or a credential refused is never suggested; which arguments are meant is closed until a person
fills it in.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct, structs
from pydantic import Field

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.reader import chain_files, chain_name, examined, lines
from mcpguard.authoring.own_policy import (
    Draft,
    OwnPolicy,
    Proposal,
    SuggestError,
    call_text,
    case_text,
    constant,
    drafted,
    glob_of,
    outcome,
    policy_at,
    rule_id,
    rule_text,
    shown_arguments,
    with_rules,
    write,
)
from mcpguard.authoring.replay.judging import ReplayJudge
from mcpguard.authoring.replay.past import past_of
from mcpguard.authoring.replay.request import Requests
from mcpguard.config.loading import evidence_folder
from mcpguard.config.policies import load_policies
from mcpguard.config.terms import OWN_POLICY
from mcpguard.core.document.printed import Printed
from mcpguard.core.errors import PolicyError, SessionError
from mcpguard.core.evidence.bounds import folded_about
from mcpguard.core.evidence.records import FORMAT, Decided, Noticed
from mcpguard.core.model import Json, split_principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.tickets import Ticket, no_argument
from mcpguard.core.redaction.detectors import OPT_IN

if TYPE_CHECKING:
    from mcpguard.config.loading import Config

_NOT_ALONE = (
    "even with this rule the call would not be allowed, since another rule sets its arguments, reads the "
    "session or what the server declares: write the rule yourself"
)
_ONE_HOST = (
    "an approval of this call is for one host, so a rule cannot leave `{0}` open: write one that approves "
    "with `hostIn(args.{0}, [HOST])` yourself"
)
_NO_TEST = (
    "a rule allows such calls with other arguments, and those of these calls are not on record, so no test "
    "can show what a new rule allows: write the rule yourself"
)


def proposal(own: OwnPolicy, ticket: Ticket, free: tuple[str, ...] = ()) -> Proposal:
    """The rule that approves the call of `ticket` for good, with any value of the arguments `free`, and its
    tests. Raises SuggestError where it cannot be written so, PolicyError where what is there does not
    load."""
    return drafted(own, [draft_of(own, ticket, free)])


def draft_of(own: OwnPolicy, ticket: Ticket, free: tuple[str, ...] = ()) -> Draft:
    """The rule and its tests. Raises as `proposal`."""
    if ticket.method != "tools/call":
        raise SuggestError(f"only calls of tools can be approved for good, not {ticket.method}")
    for name in free:
        if name not in ticket.parts:
            raise SuggestError(no_argument(ticket, name))
        if name in ticket.hosts:
            raise SuggestError(_ONE_HOST.format(name))
    shown = shown_arguments(ticket, free)
    rule = rule_text(ticket, shown, free)
    _, policies = with_rules(own, [rule])
    return Draft(rule_id(ticket.target, ticket.id), rule, _cases(ticket, policies, shown, free), ticket.rules)


def _cases(
    ticket: Ticket, policies: PolicySet, shown: dict[str, Json], free: tuple[str, ...]
) -> list[list[str]]:
    what = f"{ticket.target} as approved with ticket {ticket.id}"
    allowed = case_text(ticket, f"{what} is allowed", shown, "allow", ticket.agent)
    if outcome(policies, allowed, shown) != "allow":
        raise SuggestError(_NOT_ALONE)
    for name, args, agent in _changed(ticket, shown, free):
        case = case_text(ticket, f"{what}, but {name}, is asked about", args, "ask", agent)
        if outcome(policies, case, args) == "ask":
            return [allowed, case]
    return [allowed]


def _changed(
    ticket: Ticket, shown: dict[str, Json], free: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Json], str | None]]:
    """Calls that the rule is not about: what is different, the arguments, the agent."""
    for name, value in shown.items():
        if name not in free:
            yield f"with another {name}", {**shown, name: _other(value)}, ticket.agent
    yield "with one more argument", {**shown, "another_argument": "x"}, ticket.agent
    yield "by another agent", shown, f"{ticket.agent or ''}-other"


def _other(value: Json) -> Json:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}-other"
    return value + 1 if isinstance(value, int | float) else "other"


def apply(config: Config, ticket: Ticket, free: tuple[str, ...], by: str) -> Proposal:
    """Write it for `by` ("SOURCE:ID"). Raises as `own_policy.write`; then nothing is written."""
    who = f"by {by} for ticket {ticket.id} of {ticket.principal}"
    return write(config, "approval-standing", who, lambda own: proposal(own, ticket, free))


MOST_EXAMPLES = 3

Known = Callable[[str], Ticket | None]
"""The ticket of an id, None for one that is gone."""


class Suggestion(Printed):
    """Calls of one agent to one tool that no rule allows, or that people approved."""

    why: Literal["no-rule", "approved"] = Field(
        description="`no-rule`: they were refused for lack of a rule, or would have been, where the server "
        "is only observed. `approved`: people approved them."
    )
    principal: str = Field(description="`SOURCE:ID` of whoever made them.")
    agent: str | None = Field(description="The agent's label in the configuration, if it has one.")
    server: str = Field(description="The upstream.")
    tool: str = Field(description="The upstream's own name of the tool.")
    asked_by: tuple[str, ...] = Field(description="The rules that asked, for `approved`.")
    count: int = Field(
        description="How many calls there were that the present policies do not allow; all of them, where "
        "these allow each."
    )
    examples: tuple[str, ...] = Field(description="The invocation ids of the last of them, at most three.")
    rules: tuple[str, ...] = Field(description="The ids of the rules that are suggested.")
    closed: bool = Field(
        description="Whether the rule allows nothing until a person fills in which arguments are meant."
    )
    note: str = Field(description="Why no rule is suggested; else empty.")


class Suggestions(Printed):
    """What `mcpguard suggest --json` prints."""

    since: datetime = Field(description="The time from which records count.")
    suggestions: tuple[Suggestion, ...] = Field(description="The most frequent first.")
    altered: tuple[str, ...] = Field(
        description="Chains that were altered, or that a newer mcpguard wrote, so they do not count."
    )
    diff: str = Field(description="What would be written, as a unified diff; empty for nothing.")
    folded: int = Field(
        description="How many more refusals were only counted (`refusals-folded`), so they suggest nothing."
    )
    others: dict[str, int] = Field(
        description="Requests other than calls of tools that no rule allowed, by method: how many. For "
        "them a person writes a rule with this `action`."
    )


class _Key(Struct, frozen=True):
    why: Literal["no-rule", "approved"]
    principal: str
    agent: str | None
    server: str
    tool: str
    asked_by: tuple[str, ...] = ()


class AlikeCalls(Struct):
    """The calls that are alike: the ids of those that the present policies do not allow, and of those that
    they allow, oldest first; of the former the last arguments on record, and the tickets by which they were
    approved."""

    key: _Key
    calls: list[str] = []
    allowed: list[str] = []
    arguments: deque[dict[str, Json]] = deque(maxlen=MOST_EXAMPLES)
    tickets: dict[str, None] = {}
    observed: bool = False
    """Whether some of them went on, since their server is only observed."""


class _Found(Struct, frozen=True):
    """`groups`, the most frequent first, the files that were `altered`, how many refusals were only counted
    (`folded`), and what else no rule allowed (`others`), by method."""

    groups: list[AlikeCalls]
    altered: tuple[str, ...]
    folded: int
    others: Counter[str]


def groups_since(config: Config, since: datetime, server: str | None = None) -> _Found:
    """What the records since then have in common. Raises AuditError where there is no evidence."""
    groups = _Groups(config)
    others: Counter[str] = Counter()
    altered: list[str] = []
    folded = 0
    for file in chain_files(evidence_folder(config)):
        report = examined(file)
        if report.newer or not report.intact:
            altered.append(chain_name(file))
            continue
        for record in map(read_record, lines(file)):
            if isinstance(record, Noticed) and record.refusals is not None and record.at >= since:
                folded += folded_about(record.refusals, server or "")
            if not isinstance(record, Decided) or record.at < since or server not in (None, record.server):
                continue
            if record.server not in config.servers:
                continue  # Of `mcpguard wrap`, or of a server that was removed: a rule would match nothing.
            groups.take(record)
            if record.method != "tools/call" and _cause(record) == "no-rule":
                others[record.method] += 1
    ordered = sorted(groups.found.values(), key=lambda one: -len(one.calls or one.allowed))
    return _Found(ordered, tuple(altered), folded, others)


class _Groups:
    """Calls on record, by what they have in common, each decided again by the present policies."""

    def __init__(self, config: Config) -> None:
        policies = load_policies(config.policies, OPT_IN)
        self._judge, self._requests = ReplayJudge(policies, [policies]), Requests()
        self.found: dict[_Key, AlikeCalls] = {}

    def take(self, record: Decided) -> None:
        if (key := _key_of(record)) is None:
            return
        group = self.found.setdefault(key, AlikeCalls(key, arguments=deque(maxlen=MOST_EXAMPLES)))
        request = self._requests.of(record)
        if self._judge.decide(past_of(record, FORMAT), request).effects == {"allow"}:
            group.allowed.append(record.id)
            return
        group.calls.append(record.id)
        group.observed |= record.observed is not None
        if request.intact and request.invocation.args:
            group.arguments.append(request.invocation.args)
        if record.approval:
            group.tickets[record.approval.partition(" ")[0]] = None


def _cause(record: Decided) -> str:
    return record.cause if record.observed is None else record.observed.cause


def _key_of(record: Decided) -> _Key | None:
    """None for what suggests nothing."""
    if record.method != "tools/call" or not record.tool:
        return None
    place = record.principal, record.agent, record.server, record.tool
    if _cause(record) == "no-rule":
        return _Key("no-rule", *place)
    # A client that answered for its user is not a person whose choice could be made for good.
    by_client = record.approval.rpartition(" (")[2].startswith("client")
    if record.effect == "allow" and record.approval and not by_client:
        return _Key("approved", *place, record.rules)
    return None


def suggested(
    config: Config, since: datetime, server: str | None, known: Known
) -> tuple[Suggestions, Proposal | None]:
    """What the records since then suggest, for all servers or for one, and what would be written. Raises
    AuditError where there is no evidence, PolicyError where the present policies do not load."""
    own = policy_at(config, config.own_policy or config.path.parent / OWN_POLICY)
    of_records = groups_since(config, since, server)
    asking = frozenset(rule.name for one in own.others for rule in one.rules if rule.effect == "ask")
    drafts: dict[str, Draft] = {}
    found: list[Suggestion] = []
    for group in of_records.groups:
        # An allowed call names all the rules that had a say.
        group.key = structs.replace(
            group.key, asked_by=tuple(one for one in group.key.asked_by if one in asking)
        )
        mine, note, closed = _drafts(own, group, since, known)
        drafts.update((draft.id, draft) for draft in mine)
        calls = group.calls or group.allowed
        counts = {"count": len(calls), "examples": calls[-MOST_EXAMPLES:]}
        said = {"rules": [draft.id for draft in mine], "closed": closed, "note": note}
        found.append(Suggestion.model_validate(structs.asdict(group.key) | counts | said))
    proposal = drafted(own, list(drafts.values())) if drafts else None
    diff = "" if proposal is None else proposal.diff
    made = Suggestions(
        since=since,
        suggestions=tuple(found),
        altered=of_records.altered,
        diff=diff,
        folded=of_records.folded,
        others=dict(of_records.others.most_common()),
    )
    return made, proposal


def _drafts(
    own: OwnPolicy, group: AlikeCalls, since: datetime, known: Known
) -> tuple[list[Draft], str, bool]:
    """The rules for a group, why there are none, and whether they are closed."""
    if not group.calls:
        return [], "a rule allows such calls by now", True
    exact = list(_of_tickets(own, group, known))
    if exact:
        return exact, "", False
    if group.key.why == "approved" and not group.key.asked_by:
        return [], "the rules that asked are not among the policies any more", True
    draft = _closed(group, since)
    if draft.id in own.text:
        return [], f"the rule {draft.id} is in {own.path.name} already", True
    try:
        _, policies = with_rules(own, [draft.rule])
        case = _closed_case(group, draft.id, policies)
    except (PolicyError, SuggestError) as problem:
        return [], str(problem).partition("\n")[0], True
    return [Draft(draft.id, draft.rule, [case], draft.approves)], "", True


def _of_tickets(own: OwnPolicy, group: AlikeCalls, known: Known) -> Iterator[Draft]:
    """A rule for each call that was approved, as far as its ticket still says what that was."""
    seen: set[str] = set()
    for name in group.tickets:
        try:
            ticket = known(name)
            if ticket is None or ticket.args in seen or not _is_of(ticket, group.key):
                continue
            seen.add(ticket.args)
            draft = draft_of(own, ticket)
        except (SessionError, PolicyError, SuggestError):
            continue
        if draft.id not in own.text:
            yield draft


def _is_of(ticket: Ticket, key: _Key) -> bool:
    place = ticket.principal, ticket.agent, ticket.server, ticket.target
    return place == (key.principal, key.agent, key.server, key.tool)


def _closed(group: AlikeCalls, since: datetime) -> Draft:
    """A rule that allows nothing until a person fills in which arguments."""
    key, count = group.key, len(group.calls)
    rule = rule_id(key.tool, sha256(msgspec.json.encode(key)).hexdigest()[:8])
    became = "approved by a person"
    if key.why == "no-rule":
        them = "them" if count > 1 else "it"
        became = "allowed by no rule" if group.observed else f"refused because no rule allows {them}"
    calls = f"{count} calls were" if count > 1 else "1 call was"
    approves = [f"  approves: [{', '.join(key.asked_by)}]"] if key.asked_by else []
    lines_of = [
        f"# Since {since.date().isoformat()}, {calls} {became}; the last: {group.calls[-1]}.",
        "# Replace `false` with a condition on the arguments; `mcpguard audit show ID` has those of a call.",
        f"- id: {rule}",
        "  effect: allow",
        f"  server: {constant(key.server)}",
        f"  tools: [{constant(glob_of(key.tool))}]",
        *approves,
        "  when: |",
        f'    principal.source + ":" + principal.id == {constant(key.principal)}',
        f"    && client.agent == {constant(key.agent or '')}",
        "    && false",
    ]
    return Draft(rule, lines_of, [], key.asked_by)


def _closed_case(group: AlikeCalls, rule: str, policies: PolicySet) -> list[str]:
    """A test that the rule allows nothing: of a call without arguments, or, where another rule allows that,
    of one on record. Raises SuggestError if no test can show it."""
    key = group.key
    source, who = split_principal(key.principal)
    name = f"{rule} allows nothing until its condition is filled in"
    for args in ({}, *reversed(group.arguments)):
        given = f", args: {constant(args)}" if args else ""
        call = f"server: {constant(key.server)}, tool: {constant(key.tool)}{given}"
        case = call_text(name, (source, who), key.agent, call)
        if (effect := outcome(policies, [*case, "  expect: deny"], args)) != "allow":
            return [*case, f"  expect: {effect}"]
    raise SuggestError(_NO_TEST)


def named(suggestions: Iterable[Suggestion]) -> list[tuple[str, ...]]:
    """A row for each, for a table."""
    return [
        (
            str(one.count),
            "approved" if one.why == "approved" else "no rule",
            f"{one.server}/{one.tool}",
            one.principal,
            one.agent or "",
            ", ".join(one.rules) if one.rules else one.note,
            ", ".join(one.examples),
        )
        for one in suggestions
    ]
