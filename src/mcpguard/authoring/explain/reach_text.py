"""What the servers offer, for `mcpguard explain --reach`, and the answer as lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from mcpguard.authoring.explain.hypothesis import in_snapshot, listed
from mcpguard.authoring.explain.reach import Clause, Reach
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.model import Listed
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.written import as_tuple
from mcpguard.protocol.catalogue import KINDS

_GLOB = re.compile(r"[*?\[]")
UNLESS = "`unless` includes conditions that cannot be evaluated; what rules on results withhold is not listed"
PATTERNS = "rules match tools by pattern: add --snapshot FILE to list them"


def servers_of(policies: PolicySet, configured: tuple[str, ...], only: str) -> tuple[str, ...]:
    """The servers to list: the one that is asked for, those of the configuration, else those that rules
    name."""
    if only:
        return (only,)
    named = {name for rule in policies.rules for name in as_tuple(rule.written.server)}
    return configured or tuple(sorted(name for name in named if not _GLOB.search(name)))


def offered(policies: PolicySet, servers: tuple[str, ...], snapshot: Snapshot | None) -> Iterator[Listed]:
    """All that the servers list: by the snapshot, else the tools that rules name literally."""
    if snapshot is not None:
        for server in servers or snapshot.servers:
            for kind in KINDS:
                yield from in_snapshot(snapshot, server, kind)
        return
    for server in servers:
        names = {
            name
            for rule in policies.rules
            for name in rule.written.tools or ()
            if not _GLOB.search(name) and rule.can_match(server, name, "tools/call")
        }
        yield from listed(server, "tool", [{"name": name} for name in sorted(names)])


def reach_lines(found: list[Reach], policies: PolicySet, complete: bool) -> list[str]:
    """The answer for a person; `complete` says that all tools are known."""
    return list(_lines(found, policies, complete))


def _lines(found: list[Reach], policies: PolicySet, complete: bool) -> Iterator[str]:
    for server in dict.fromkeys(one.server for one in found):
        here = [one for one in found if one.server == server]
        count = Counter(one.answer for one in here)
        yield f"{server}: {count['yes']} yes, {count['if']} if, {count['no']} no"
        for one in here:
            what = one.name if one.kind == "tool" else f"{one.kind} {one.name}"
            yield f"  {one.answer:<3}  {what}"
            yield from _terms(one) if one.answer != "no" else ()
    if any(one.unless for one in found):
        yield UNLESS
    if not found:
        yield "there is nothing to list: no rule names a server and a tool"
    by_pattern = any(_GLOB.search(name) for rule in policies.rules for name in rule.written.tools or ("*",))
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
        when = " ".join(one.when.split()) or "always"
        yield f"       {word}  {when}  ({one.rule})"
