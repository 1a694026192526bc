"""What a principal can reach: for each thing that a server offers yes, no, or under which conditions. And the
same as lines for a person.

Law of this file: `no` is said exactly where no list shows it (`visibility.visible`), and `yes` only where
every call is allowed, whatever its arguments and the session are. Of a server that is only observed it says
what will be so once its policies are enforced.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import structs
from pydantic import Field

from mcpguard.authoring.explain.explanation import one_line
from mcpguard.authoring.explain.hypothesis import in_snapshot, listed
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.conditions.cel import FALSE, TRUE, Bound
from mcpguard.core.conditions.tree import DecidedTree, LogicNode, tree_of
from mcpguard.core.document.printed import Sparse
from mcpguard.core.model import Invocation, Listed
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.obligations import ObligationError, arguments_of, credential_of
from mcpguard.core.policy.pdp import bind, over
from mcpguard.core.policy.terms import LimitTerms, as_tuple
from mcpguard.core.policy.visibility import REACHED_BY, at_list_time, visible
from mcpguard.protocol.catalogue import KINDS

_JOINED = {"and": " && ", "or": " || "}

_IS_GLOB = re.compile(r"[*?\[]").search


class Clause(Sparse):
    """A rule that matters, with what remains of its condition once everything that is known is left out."""

    rule: str = Field(description="`POLICY/ID`.")
    when: str = Field("", description="What remains to be decided for each call; empty if nothing does.")
    approved_by: tuple[str, ...] = Field(
        (), description="Rules that approve in advance where they hold, so that nobody is asked."
    )


class Reach(Sparse):
    """What one principal can do with one thing."""

    server: str = Field(description="The upstream.")
    kind: str = Field(description="tool, prompt, resource or template.")
    name: str = Field(description="The upstream's own name for it, or its URI.")
    answer: Literal["yes", "no", "if"] = Field(
        description="`yes`: every call is allowed. `no`: no call can be, and it is not listed. `if`: see "
        "the other keys."
    )
    allowed_by: tuple[Clause, ...] = Field((), description="Rules of which at least one must match.")
    unless: tuple[Clause, ...] = Field((), description="Rules that refuse, also if they cannot be evaluated.")
    approval: tuple[Clause, ...] = Field((), description="Rules that require a person's approval.")
    limits: tuple[str, ...] = Field((), description="How much the rules allow.")
    conflict: bool = Field(
        False,
        description="Whether rules that allow it may set different arguments or credentials; then it is "
        "refused.",
    )
    observed: bool = Field(
        False,
        description="Whether the server is only observed now: the other keys say what the policies say; what "
        "they refuse is recorded and let through.",
    )


class ReachReport(Sparse):
    """What `mcpguard explain --reach --json` prints."""

    reach: tuple[Reach, ...] = Field(description="One for each thing that the servers offer.")


def servers_of(policies: PolicySet, configured: tuple[str, ...], only: str) -> tuple[str, ...]:
    """The servers to list: the one that is asked for, those of the configuration, else those that rules
    name."""
    if only:
        return (only,)
    named = {name for rule in policies.rules for name in as_tuple(rule.written.server)}
    return configured or tuple(sorted(name for name in named if not _IS_GLOB(name)))


def offered(policies: PolicySet, servers: tuple[str, ...], snapshot: Snapshot | None) -> Iterator[Listed]:
    """All that the servers list: by the snapshot; of a server that it does not have, the tools that rules
    name literally."""
    known = {} if snapshot is None else snapshot.servers
    for server in servers or known:
        if snapshot is not None and server in known:
            for kind in KINDS:
                yield from in_snapshot(snapshot, server, kind)
            continue
        names = {
            name
            for rule in policies.rules
            for name in rule.written.tools or ()
            if not _IS_GLOB(name) and rule.can_match(server, name, "tools/call")
        }
        yield from listed(server, "tool", [{"name": name} for name in sorted(names)])


def reach(policies: PolicySet, asking: Invocation, target: Listed) -> Reach:
    """What the principal of `asking` can do with `target`; nothing else of `asking` counts but its agent, its
    client and its time."""
    call = structs.replace(
        asking, server=target.server, target=target, method=REACHED_BY[target.kind], args=None
    )
    if not visible(policies.observing(None), call):
        found = Reach(server=target.server, kind=target.kind, name=target.name, answer="no")
    else:
        candidates = policies.candidates_of(call)
        found = _reach(target, candidates, call, bind(candidates, call))
    return found.model_copy(update={"observed": True}) if policies.observes(call) else found


def _reach(target: Listed, candidates: Candidates, call: Invocation, bound: Bound) -> Reach:
    offering = [rule for rule in candidates.allow if not over(rule, call)]
    allow, deny, ask = (
        [rule for rule in rules if at_list_time(rule, bound)[0]]
        for rules in (offering, candidates.deny, candidates.ask)
    )
    certain = [rule for rule in allow if at_list_time(rule, bound)[1]]
    ask = [rule for rule in ask if not any(rule.name in one.approves for one in certain)]
    limits = tuple(_limit(rule.name, rule.written.limit) for rule in allow if rule.written.limit)
    conflict = _conflict(allow, certain)
    return Reach(
        server=target.server,
        kind=target.kind,
        name=target.name,
        answer="yes" if certain and not (deny or ask or limits or conflict) else "if",
        allowed_by=tuple(_clause(rule, bound) for rule in certain or allow),
        unless=tuple(_clause(rule, bound) for rule in deny),
        approval=tuple(_approval(rule, bound, allow) for rule in ask),
        limits=limits,
        conflict=conflict,
    )


def _conflict(allow: list[CompiledRule], certain: list[CompiledRule]) -> bool:
    """Whether they may want different things, or arguments that only some calls are made with."""
    try:
        credential_of(allow)
        return bool(arguments_of(allow) != arguments_of(certain))
    except ObligationError:
        return True


def _limit(name: str, limit: LimitTerms) -> str:
    unit = next(unit for unit in ("calls", "bytes", "units") if getattr(limit, unit) is not None)
    per = "a session" if limit.per == "session" else f"in {limit.per}"
    return f"{getattr(limit, unit)} {unit} {per} ({name})"


def _approval(rule: CompiledRule, bound: Bound, allow: list[CompiledRule]) -> Clause:
    ahead = tuple(one.name for one in allow if rule.name in one.approves)
    return _clause(rule, bound).model_copy(update={"approved_by": ahead})


def _clause(rule: CompiledRule, bound: Bound) -> Clause:
    if rule.condition is None or rule.when is None or at_list_time(rule, bound)[1]:
        return Clause(rule=rule.name)
    decided = DecidedTree(rule.condition.engine, bound)
    return Clause(rule=rule.name, when=left_of(tree_of(rule.when), decided))


def left_of(node: LogicNode, decided: DecidedTree) -> str:
    """What is left of a condition once the operands that are known are left out. A conjunction forgets what
    is true and a disjunction what is false; neither changes the value of the whole."""
    if node.logic not in _JOINED:
        return node.text
    idle = TRUE if node.logic == "and" else FALSE
    left = [one for one in node.nodes if decided.verdict(one) is not idle]
    if len(left) == 1:
        return left_of(left[0], decided)
    return _JOINED[node.logic].join(_grouped(one, decided) for one in left or node.nodes)


def _grouped(node: LogicNode, decided: DecidedTree) -> str:
    text = left_of(node, decided)
    changed = text != node.text
    return f"({text})" if changed and tree_of(text).logic in ("and", "or", "choice") else text


_UNLESS = (
    "`unless` includes conditions that cannot be evaluated; what rules on results withhold is not listed"
)
_PATTERNS = "rules match tools by pattern: add --snapshot FILE to list them"


def reach_lines(found: list[Reach], policies: PolicySet, unlisted: Sequence[str] | None) -> Iterator[str]:
    """The lines for a person; `unlisted` are the servers that the snapshot does not have, None where there is
    no snapshot."""
    for server in dict.fromkeys(one.server for one in found):
        here = [one for one in found if one.server == server]
        count = Counter(one.answer for one in here)
        yield f"{server}: {count['yes']} yes, {count['if']} if, {count['no']} no"
        if any(one.observed for one in here):
            yield "  only observed now: calls refused here are recorded and let through"
        for one in here:
            what = one.name if one.kind == "tool" else f"{one.kind} {one.name}"
            yield f"  {one.answer:<3}  {what}"
            yield from _terms(one) if one.answer != "no" else ()
    if any(one.unless for one in found):
        yield _UNLESS
    if not found:
        yield "there is nothing to list: no rule names a server and a tool"
    by_pattern = any(_IS_GLOB(name) for rule in policies.rules for name in rule.written.tools or ("*",))
    if by_pattern and unlisted is None:
        yield _PATTERNS
    if unlisted:
        yield (
            f"the snapshot does not have {', '.join(unlisted)}: for it, only tools named in rules are listed"
        )


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
        when = one_line(one.when) or "always"
        ahead = f", unless {' or '.join(one.approved_by)} approves" if one.approved_by else ""
        yield f"       {word}  {when}  ({one.rule}{ahead})"
