"""Policies: the YAML that an author writes, compiled to an index of rules.

Law of this file: what cannot be served is refused at load with its place, never skipped; a rule that
is in force has been compiled, and only rules that can match a request are evaluated for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from itertools import pairwise
from typing import Literal

import msgspec
from msgspec import Struct

from mcpguard.core.cel import Condition, ConditionError, Engine, engine
from mcpguard.core.document import Document, Path
from mcpguard.core.errors import PolicyError, Problem

Effect = Literal["allow", "ask", "deny"]

EXTENSION = "extension"
"""The action of each method of an extension that a server's configuration declares."""

ANY_ACTION = "*"
"""In a rule: every action."""

ACTIONS = frozenset(
    {
        "tools/call",
        "resources/read",
        "resources/subscribe",
        "prompts/get",
        "completion/complete",
        "tasks/get",
        "tasks/result",
        "tasks/update",
        "tasks/cancel",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        EXTENSION,
    }
)
"""What a rule can decide: the DECIDED rows of `protocol/methods.py` (a test compares), by method."""

CACHE_LIMIT = 4096
"""How many (server, tool, action) keys keep their candidates; tool names come from upstreams."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule as written. `server` and `tools` are globs (`*`, `?`, `[seq]`; case counts), left out
    they match all; `tools` are the upstream's own names; `redact` are kinds of detectors."""

    id: str
    """Its name, unique in the policy; records and refusals call it `POLICY/ID`."""
    effect: Effect
    """Deny overrides ask overrides allow; where no rule holds, the call is refused."""
    server: str | tuple[str, ...] = "*"
    """Globs of server names."""
    tools: tuple[str, ...] | None = None
    """Globs of tool names, as the upstream itself calls them."""
    action: tuple[str, ...] = ("tools/call",)
    """The methods that the rule speaks of; `*` is all of them, `extension` those that a server's
    configuration declares."""
    when: str | None = None
    """A CEL condition, which must be a boolean. Left out: the rule always holds."""
    redact: tuple[str, ...] = ()
    """Kinds of personal data to take out of whatever leaves because of a call that this rule allows: its
    result, its progress, log messages and questions meanwhile, its task."""
    message: str = ""
    """What the model is told when this rule refuses."""
    on: Literal["call", "result"] = "call"
    """`result` is reserved and refused in this version."""


class Policy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One policy file as written (format version 1)."""

    version: Literal[1]
    """The version of this format."""
    policy: str
    """Its name, unique among the policies of a configuration."""
    rules: tuple[Rule, ...]
    """At least one."""
    owner: str = ""
    """Who answers for it; for readers."""
    description: str = ""
    """What it is for; for readers."""


class CompiledRule:
    """A rule in force. `name` is "policy/rule"; `condition` is None where the rule has no `when`."""

    __slots__ = ("_actions", "_servers", "_tools", "condition", "effect", "message", "name", "redact")

    def __init__(self, policy: str, rule: Rule, condition: Condition | None) -> None:
        self.name = f"{policy}/{rule.id}"
        self.effect: Effect = rule.effect
        self.condition = condition
        self.message = rule.message.strip()
        self.redact = rule.redact
        self._actions = ACTIONS if ANY_ACTION in rule.action else frozenset(rule.action)
        self._servers = _globs(_as_tuple(rule.server))
        self._tools = None if rule.tools is None else _globs(rule.tools)

    def can_match(self, server: str, tool: str | None, action: str) -> bool:
        """Whether the rule speaks of such requests, whatever its condition says. One with `tools`
        never speaks of a request without a tool."""
        if action not in self._actions or not self._servers.match(server):
            return False
        return self._tools is None or (tool is not None and self._tools.match(tool) is not None)


class CompiledPolicy(Struct, frozen=True):
    """A policy that is right in itself; `document` is where it stands."""

    policy: Policy
    rules: tuple[CompiledRule, ...]
    document: Document


class Candidates(Struct, frozen=True):
    """The rules that can match one kind of request, by effect, each in the order of their names.

    `cel` is the engine of their conditions, None where none has one.
    """

    cel: Engine | None
    deny: tuple[CompiledRule, ...]
    ask: tuple[CompiledRule, ...]
    allow: tuple[CompiledRule, ...]


class PolicySet:
    """All policies in force, immutable.

    `digest` is the sha256 (hex) of their content: it does not change with the order of the policies,
    comments or layout. `rules` are in the order of their names. Raises PolicyError where two policies
    have one name.
    """

    def __init__(self, policies: Iterable[CompiledPolicy] = ()) -> None:
        ordered = sorted(policies, key=lambda one: one.policy.policy)
        _check_unique(ordered)
        self.names = tuple(one.policy.policy for one in ordered)
        self.digest = _digest(one.policy for one in ordered)
        self.rules = tuple(
            sorted((rule for one in ordered for rule in one.rules), key=lambda rule: rule.name)
        )
        self._candidates: dict[tuple[str, str | None, str], Candidates] = {}

    def candidates(self, server: str, tool: str | None, action: str) -> Candidates:
        """The rules to evaluate for a request; `tool` is the upstream's own name."""
        key = (server, tool, action)
        found = self._candidates.get(key)
        if found is None:
            if len(self._candidates) >= CACHE_LIMIT:
                self._candidates.clear()
            found = self._candidates[key] = self._find(*key)
        return found

    def _find(self, server: str, tool: str | None, action: str) -> Candidates:
        found: dict[Effect, list[CompiledRule]] = {"deny": [], "ask": [], "allow": []}
        for rule in self.rules:
            if rule.can_match(server, tool, action):
                found[rule.effect].append(rule)
        conditions = [rule.condition for rules in found.values() for rule in rules if rule.condition]
        cel = conditions[0].engine if conditions else None
        return Candidates(cel, tuple(found["deny"]), tuple(found["ask"]), tuple(found["allow"]))


def compile_policy(
    text: str, source: str, kinds: frozenset[str], cel: Engine | None = None
) -> CompiledPolicy:
    """The policy in the YAML `text`, called `source` in messages.

    `kinds` are the names that `redact` may hold. `cel` is the engine, by default the fastest there
    is; a policy without conditions does not import one. Raises PolicyError with all mistakes.
    """
    document = Document(text, source, PolicyError)
    policy = document.read(Policy)
    problems = list(_policy_problems(document, policy))
    rules: list[CompiledRule] = []
    for index, rule in enumerate(policy.rules):
        problems += _rule_problems(document, ("rules", index), rule, kinds)
        condition: Condition | None = None
        if rule.when is not None:
            try:
                condition = (cel or engine()).compile(rule.when)
            except ConditionError as error:
                path = ("rules", index, "when")
                problems += [document.problem(path, sentence, offset) for offset, sentence in error.mistakes]
        rules.append(CompiledRule(policy.policy, rule, condition))
    if problems:
        document.fail(problems)
    return CompiledPolicy(policy, tuple(rules), document)


def _policy_problems(document: Document, policy: Policy) -> Iterator[Problem]:
    if not _NAME.fullmatch(policy.policy):
        yield document.problem(("policy",), _BAD_NAME)
    if not policy.rules:
        yield document.problem(("rules",), "a policy needs at least one rule")
    seen: set[str] = set()
    for index, rule in enumerate(policy.rules):
        if not _NAME.fullmatch(rule.id):
            yield document.problem(("rules", index, "id"), _BAD_NAME)
        elif rule.id in seen:
            yield document.problem(("rules", index, "id"), f"rule `{rule.id}` stands twice in this policy")
        seen.add(rule.id)


_BAD_NAME = "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit"
_NOT_YET = "rules on results are not served yet: only `on: call`"
_REDACT_DENY = "a `deny` rule lets nothing back, so it has nothing to redact"


def _rule_problems(document: Document, at: Path, rule: Rule, kinds: frozenset[str]) -> Iterator[Problem]:
    if rule.on == "result":
        yield document.problem((*at, "on"), _NOT_YET)
    if rule.redact and rule.effect == "deny":
        yield document.problem((*at, "redact"), _REDACT_DENY)
    yield from _unknown(document, (*at, "redact"), rule.redact, kinds)
    yield from _unknown(document, (*at, "action"), rule.action, ACTIONS | {ANY_ACTION})
    for key, globs in (("server", _as_tuple(rule.server)), ("tools", rule.tools), ("action", rule.action)):
        if globs is not None and not all(globs or [""]):
            yield document.problem((*at, key), f"`{key}` must not be empty: leave it out to match all")
    if rule.tools is not None and not {"tools/call", ANY_ACTION} & set(rule.action):
        yield document.problem((*at, "tools"), "`tools` can match only the action tools/call")


def _unknown(
    document: Document, at: Path, names: tuple[str, ...], known: frozenset[str]
) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name not in known:
            choices = ", ".join(sorted(known))
            yield document.problem((*at, index), f"unknown name; known are {choices}")


def _check_unique(ordered: list[CompiledPolicy]) -> None:
    problems = [
        two.document.problem(("policy",), f"`{two.policy.policy}` is the name of {one.document.source} too")
        for one, two in pairwise(ordered)
        if one.policy.policy == two.policy.policy
    ]
    if problems:
        raise PolicyError(problems)


def _as_tuple(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _globs(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))


def _digest(policies: Iterable[Policy]) -> str:
    digest = hashlib.sha256()
    for policy in policies:
        digest.update(msgspec.json.encode(policy, order="deterministic") + b"\n")
    return digest.hexdigest()
