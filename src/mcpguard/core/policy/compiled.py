"""Policies: the YAML that an author writes, compiled to an index of rules.

Law of this file: a rule that cannot be enforced is refused at load with its location, never skipped. So are
an unknown name and a condition that reads something that must not decide. Every rule in force has been
compiled, and only rules that can match a request are evaluated for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from fnmatch import translate
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from mcpguard.core.conditions.cel import Bound, Condition, ConditionError, Engine, EngineName
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.hoisted import HoistedCall
from mcpguard.core.conditions.hoisting import Members, joined
from mcpguard.core.conditions.spelling import Spelling
from mcpguard.core.errors import PolicyError, Problem, did_you_mean
from mcpguard.core.model import Invocation, Json
from mcpguard.core.policy.folding import FEW_WORTH, WORTH, Folded, ToolVerdicts, constant_of
from mcpguard.core.policy.params import FilledCondition, params_in, placed, shown_in, with_values
from mcpguard.core.policy.terms import (
    ACTIONS,
    ANY_ACTION,
    EXTENSION,
    OBLIGATIONS,
    AskTerms,
    Effect,
    Moment,
    Observation,
    RuleTerms,
    as_tuple,
    end_of,
)
from mcpguard.core.policy.tickets import AnswerTerms, policy_digests, terms_of

if TYPE_CHECKING:
    from mcpguard.core.document.constraints import Path
    from mcpguard.core.document.reading import Document
    from mcpguard.core.policy.written import Policy, Rule

_ON_RESULT = "only a rule with `on: result` can read `{name}`"
_CLAIM = "an `allow` rule can read `client.agent` only: what a client says about itself must not allow a call"


def kind_problems(
    document: Document, at: Path, rule: Rule, kinds: frozenset[str] | None
) -> Iterator[Problem]:
    """The names in `redact` that are not among `kinds`, and those in `unredacted` that are not formats."""
    if not rule.redact and not rule.unredacted:
        return
    # Imported where it is needed: what reads the files of most policies needs no formats.
    from mcpguard.core.redaction.detectors import KINDS, OPT_IN

    kinds = OPT_IN if kinds is None else kinds
    formats = KINDS - OPT_IN
    for index, name in enumerate(rule.redact):
        if name not in kinds:
            known = ", ".join(sorted(kinds))
            yield document.problem((*at, "redact", index), f"unknown name; the known ones are {known}")
    for index, one in enumerate(rule.unredacted):
        name = one if isinstance(one, str) else one.kind
        if name not in formats:
            yield document.problem((*at, "unredacted", index), _no_format(name, formats))


def condition_problems(document: Document, at: Path, rule: Rule, reads: frozenset[str]) -> Iterator[Problem]:
    """What a condition may not read in this rule; `reads` are the names in it."""
    text = rule.when or ""
    tokens = tokens_of(text)
    for index, token in enumerate(tokens):
        if token.text in ("result", "findings") and token.text in reads and rule.on == "call":
            yield document.problem(at, _ON_RESULT.format(name=token.text), token.start)
        elif token.text == "client" and token.text in reads and rule.effect == "allow":
            selected = "".join(one.text for one in tokens[index + 1 : index + 3])
            if selected not in (".agent", '["agent"', "['agent'"):
                yield document.problem(at, _CLAIM, token.start)


CACHE_LIMIT = 4096
"""How many (server, tool, action) keys keep their candidates; tool names come from upstreams."""


class CompiledRule:
    """A rule in force. `name` is "policy/rule"; `condition` is None where the rule has no `when`; `until`
    is when an `allow` ends, `shadow` whether it changes nothing, `adds` whether it does more than to have its
    effect, `approves` which rules it answers in advance; `written` is the rule as written, `placed` its
    condition with the values of params in place, `unset` the params in it that have no value; `message` has
    them in place, too, and `quoted` are those in it. `place` is where it stands, FILE:LINE."""

    __slots__ = (
        "_actions", "_servers", "_tools", "adds", "approves", "condition", "effect", "message", "name",
        "place", "placed", "quoted", "shadow", "unset", "until", "written",
    )  # fmt: skip

    def __init__(
        self,
        policy: Policy,
        rule: Rule,
        condition: Condition | None,
        placed: FilledCondition | None = None,
        place: str = "",
        message: str | None = None,
    ) -> None:
        self.name = f"{policy.policy}/{rule.id}"
        self.effect: Effect = rule.effect
        self.condition = condition
        self.message = (rule.message if message is None else message).strip()
        self.shadow = "shadow" in (policy.mode, rule.mode)
        self.until = end_of(policy.expires) if rule.effect == "allow" else None
        self.adds = any(getattr(rule, key) for key in OBLIGATIONS)
        self.approves = frozenset(rule.approves)
        self.written = msgspec.convert(rule, RuleTerms, from_attributes=True)
        self.placed = placed
        self.place = place
        self.quoted = params_in(rule.message)
        self.unset = () if placed is None else tuple(sorted(placed.unset))
        self._actions = ACTIONS if ANY_ACTION in rule.action else frozenset(rule.action)
        self._servers = _globs(as_tuple(rule.server))
        self._tools = None if rule.tools is None else _globs(rule.tools)

    def __getstate__(self) -> dict[str, Any]:
        """All but the compiled condition, which serves in one process."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "condition"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.condition = None if self.when is None else engine().compile(self.when)

    def can_match(self, server: str, tool: str | None, action: str) -> bool:
        """Whether the rule applies to such requests, whatever its condition says. One with `tools`
        never applies to a request without a tool."""
        if action not in self._actions or not self._servers.match(server):
            return False
        return self._tools is None or (tool is not None and self._tools.match(tool) is not None)

    @property
    def when(self) -> str | None:
        """The condition that is evaluated: as written, with the values of params in place."""
        return None if self.placed is None else self.placed.text

    @property
    def by_arguments(self) -> tuple[str, ...]:
        """The texts that may name arguments by which it goes."""
        cost = "" if self.written.limit is None else self.written.limit.cost
        return tuple(text for text in (self.when, cost) if type(text) is str and text)

    @property
    def stateful(self) -> bool:
        """Whether it reads or changes what is known of the session."""
        rule = self.written
        reads = self.condition is not None and "session" in self.condition.reads
        return reads or bool(rule.label or rule.fact or rule.limit)


class CompiledPolicy(Struct, frozen=True):
    """A policy that is right in itself; `document` is where it stands."""

    policy: Policy
    rules: tuple[CompiledRule, ...]
    document: Document


class Candidates(Struct, frozen=True):
    """The rules that can match one kind of request, by effect, each in the order of their names.

    `conditional` says whether one of them has a condition. Rules in shadow mode stand only in `trial`,
    among the others; it is None where there are none.
    """

    conditional: bool
    deny: tuple[CompiledRule, ...]
    ask: tuple[CompiledRule, ...]
    allow: tuple[CompiledRule, ...]
    spelling: Spelling
    """The names of arguments that these rules are about, and those in shadow mode."""
    trial: Candidates | None = None
    cheap: tuple[HoistedCall, ...] = ()
    """Calls that are computed before it is known whether they are needed."""
    members: Members | None = None
    """What the conditions read, those in shadow mode included; None for everything."""
    lasting: bool = False
    """Whether time changes nothing: no condition reads `now`, and no rule ends."""
    setting: bool = False
    """Whether one of the rules sets arguments."""
    folded: Mapping[Effect, Folded[CompiledRule]] = {}
    """The effects with enough rules that their conditions are evaluated as one."""
    approving: bool = False
    """Whether one of the rules answers others in advance."""
    constant: ToolVerdicts | None = None
    """The conditions that say the same for each call of a tool, where there are some."""

    def open(self, effect: Effect, bound: Bound) -> Sequence[CompiledRule]:
        """The rules of that effect without those that are known to have a false condition."""
        fold = self.folded.get(effect)
        rules: tuple[CompiledRule, ...] = getattr(self, effect)
        return rules if fold is None else fold.open(bound)

    @property
    def all(self) -> tuple[CompiledRule, ...]:
        """Those in force, deny first."""
        return self.deny + self.ask + self.allow


class PolicySet:
    """All policies in force, immutable.

    `digest` is the sha256 (hex) of their content: it does not change with the order of the policies,
    comments or layout. `asking` is that of all but rules that only approve in advance. `rules` are in the
    order of their names. `stateful` says whether one reads or changes what is known of the session,
    `depends` whether one in force does, so that nothing is decided without it; `reviewing` says whether one
    applies to results. `observation` names the servers for which all this is only observed. Raises
    PolicyError where two policies have one name, and where a rule approves in advance what none of them
    asks, or what nobody may approve so.
    """

    def __init__(self, policies: Iterable[CompiledPolicy] = ()) -> None:
        ordered = sorted(policies, key=lambda one: one.policy.policy)
        _check_unique(ordered)
        _check_approvals(ordered)
        self.names = tuple(one.policy.policy for one in ordered)
        self.digest, self.asking = policy_digests([one.policy for one in ordered])
        self.rules = tuple(
            sorted((rule for one in ordered for rule in one.rules), key=lambda rule: rule.name)
        )
        self.places = {rule.name: rule.place for rule in self.rules}
        """Where each rule stands, FILE:LINE, by name: for people, since paths are not for a model."""
        self.stateful = any(rule.stateful for rule in self.rules)
        self.depends = any(rule.stateful for rule in self.rules if not rule.shadow)
        self.reviewing = any(rule.written.on == "result" for rule in self.rules)
        self.observation: Observation | None = None
        self.known: dict[_Key, Candidates] = {}
        """What `candidates_of` has found."""
        self._folded: dict[tuple[CompiledRule, ...], Folded[CompiledRule]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """All but the candidates, which are found again."""
        return {**self.__dict__, "known": {}, "_folded": {}}

    def candidates(self, server: str, tool: str | None, action: str, on: Moment = "call") -> Candidates:
        """The rules to evaluate for a request, or for what came back; `tool` is the upstream's own name."""
        return self._candidates_at((server, tool, action, on))

    def candidates_of(self, invocation: Invocation, on: Moment = "call") -> Candidates:
        target, method = invocation.target, invocation.method
        tool = target.name if target is not None and target.kind == "tool" else None
        key = (invocation.server, tool, method if method in ACTIONS else EXTENSION, on)
        return self.known.get(key) or self._candidates_at(key)

    def _candidates_at(self, key: _Key) -> Candidates:
        found = self.known.get(key)
        if found is None:
            if len(self.known) >= CACHE_LIMIT:
                self.known.clear()
                self._folded.clear()
            found = self.known[key] = self._find(*key)
        return found

    @property
    def engines(self) -> set[EngineName]:
        """Those that evaluate its conditions; none where no rule has one."""
        return {rule.condition.engine.name for rule in self.rules if rule.condition is not None}

    def observing(self, observation: Observation | None) -> PolicySet:
        """The same policies, observed so; these stay as they are."""
        found = copy(self)
        found.observation = observation
        return found

    def observes(self, call: Invocation) -> bool:
        """Whether what they refuse of `call` is recorded and let through."""
        return self.observation is not None and self.observation.covers(call.server, call.now)

    def terms(self, names: Iterable[str]) -> AnswerTerms:
        """What these rules, which ask, want of an answer."""
        wanted = frozenset(names)
        return terms_of(rule.written.ask for rule in self.rules if rule.name in wanted)

    def _find(self, server: str, tool: str | None, action: str, on: Moment) -> Candidates:
        matching = [rule for rule in self.rules if rule.can_match(server, tool, action)]
        here = [rule for rule in matching if rule.written.on == on]
        in_force = [rule for rule in here if not rule.shadow]
        trial = None if len(in_force) == len(here) else self._sorted(here)
        deciding = [text for rule in matching if not rule.shadow for text in rule.by_arguments]
        return self._sorted(in_force, trial, deciding)

    def _sorted(
        self, rules: list[CompiledRule], trial: Candidates | None = None, deciding: Sequence[str] = ()
    ) -> Candidates:
        deny, ask, allow = (
            tuple([rule for rule in rules if rule.effect == effect]) for effect in ("deny", "ask", "allow")
        )
        setting = any(rule.written.argument for rule in ask + allow)
        # What stands for the same rules is the same, whatever request they can match.
        by_effect: dict[Effect, tuple[CompiledRule, ...]] = {"deny": deny, "ask": ask, "allow": allow}
        kept = [one for some in by_effect.values() for one in constant_of([rule.condition for rule in some])]
        folds = {
            effect: self._folded.setdefault(
                some, Folded(some, FEW_WORTH if effect == "deny" else WORTH, kept)
            )
            for effect, some in by_effect.items()
        }
        folded = {effect: fold for effect, fold in folds.items() if fold}
        conditions = [rule.condition for rule in rules if rule.condition is not None]
        cheap = {call.key: call for one in conditions for call in one.calls if call.cheap}
        members = joined([*(one.members for one in conditions), (trial and trial.members) or {}])
        lasting = not any("now" in one.reads for one in conditions) and not any(rule.until for rule in rules)
        calls = tuple(cheap.values())
        approving = bool(ask) and any(rule.approves for rule in allow)
        # With rules in shadow mode a condition may be evaluated twice, and reads what both need.
        others = [one for one in conditions if one not in kept]
        constant = ToolVerdicts(kept, others) if kept and trial is None else None
        about = [*rules, *(trial.all if trial is not None else ())]
        spelling = Spelling(
            [one.when for one in about if one.when],
            {name for one in about for name in one.written.argument},
            deciding,
        )
        rest = lasting, setting, folded, approving, constant
        return Candidates(bool(conditions), deny, ask, allow, spelling, trial, calls, members, *rest)


_Key = tuple[str, str | None, str, Moment]


def compile_policy(
    text: str,
    source: str,
    kinds: frozenset[str] | None = None,
    cel: Engine | None = None,
    values: Mapping[str, Json] | None = None,
    misset: Callable[[str, str], Problem] | None = None,
) -> CompiledPolicy:
    """The policy in the YAML `text`, called `source` in messages.

    `kinds` are the names that `redact` may hold, by default all there are; `values` those of its params by
    name, and `misset` makes a problem of the name of one and of what is wrong with it. `cel` is the engine,
    by default the fastest there is; a policy without conditions does not import one. Raises PolicyError with
    all mistakes.
    """
    # Imported where it is needed: a process that is given its policies reads none.
    from mcpguard.core.document.reading import Document
    from mcpguard.core.policy.written import Policy

    document = Document(text, source, PolicyError)
    policy, problems = document.examine(Policy)
    if policy is None:
        document.fail(problems)
    params, misfits = with_values(policy.params, values or {})
    misset = misset or (lambda _, said: document.problem(("params",), said))
    problems += [misset(name, said) for name, said in misfits]
    policy = policy.model_copy(update={"params": params})
    rules: list[CompiledRule] = []
    unread = dict.fromkeys(params)
    for index, rule in enumerate(policy.rules):
        problems += kind_problems(document, ("rules", index), rule, kinds)
        condition: Condition | None = None
        when = None if rule.when is None else placed(rule.when, params)
        if when is not None:
            unread = {name: None for name in unread if name not in when.reads}
            at = ("rules", index, "when")
            problems += [document.problem(at, sentence, offset) for offset, sentence in when.mistakes]
            try:
                condition = (cel or engine()).compile(when.text)
                problems += condition_problems(document, at, rule, condition.reads)
            except ConditionError as error:
                problems += _at_origin(document, at, when, error)
        message, mistakes = shown_in(rule.message, params)
        problems += [document.problem(("rules", index, "message"), said) for said in mistakes]
        if not problems:
            where = document.place(("rules", index))
            rules.append(CompiledRule(policy, rule, condition, when, where, message))
    if not problems:  # What is wrong may be what reads it.
        problems += [document.problem(("params", name), "no condition reads this param") for name in unread]
    if problems:
        document.fail(problems)
    return CompiledPolicy(policy, tuple(rules), document)


def _at_origin(
    document: Document, at: Path, when: FilledCondition, error: ConditionError
) -> Iterator[Problem]:
    for offset, sentence in error.mistakes:
        yield document.problem(at, sentence, when.origin(offset))


def _check_unique(ordered: list[CompiledPolicy]) -> None:
    problems = [
        two.document.problem(("policy",), f"`{two.policy.policy}` is the name of {one.document.source} too")
        for one, two in pairwise(ordered)
        if one.policy.policy == two.policy.policy
    ]
    if problems:
        raise PolicyError(problems)


def _check_approvals(ordered: list[CompiledPolicy]) -> None:
    rules = [rule for one in ordered for rule in one.rules]
    asking = {rule.name: rule.written.ask or AskTerms() for rule in rules if rule.effect == "ask"}
    problems: list[Problem] = []
    for one in ordered:
        for index, rule in enumerate(one.policy.rules):
            for place, name in enumerate(rule.approves):
                said = _why_not(name, asking)
                if said:
                    problems.append(one.document.problem(("rules", index, "approves", place), said))
    if problems:
        raise PolicyError(problems)


def _why_not(name: str, asking: Mapping[str, AskTerms]) -> str:
    """Why nothing may approve the rule `name` in advance; "" where it may be."""
    ask = asking.get(name)
    if ask is None:
        hint = did_you_mean(name, asking) or f"these are: {', '.join(sorted(asking)) or 'none'}"
        return f"`{name}` is not a rule with `effect: ask` of the policies in force; {hint}"
    if (ask.proof or ask.approvers) and not ask.standing:
        wants = "a passkey" if ask.proof else "approvers"
        return f"`{name}` wants {wants} for each call; its author can allow this: `ask: {{standing: true}}`"
    return ""


def _no_format(name: str, formats: frozenset[str]) -> str:
    from mcpguard.core.redaction.removal.placeholder import CREDENTIAL

    if name.startswith(CREDENTIAL):
        return "a value that mcpguard holds is always removed"
    hint = did_you_mean(name, formats) or "`mcpguard help detectors` lists them"
    return f"no kind of secret is called `{name}`; {hint}"


def _globs(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))
