"""What can be wrong in a policy although it has the right form: each mistake at its place.

Law of this file: a key that would have no effect is a mistake, since its author believes in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.document.reading import Document, Path
from mcpguard.core.errors import Problem
from mcpguard.core.policy.placeholders import problems_in
from mcpguard.core.policy.written import ACTIONS, ANY_ACTION, ASKED, OBLIGATIONS, Limit, Policy, Rule

MAX_WINDOW = 31 * 86_400
"""The longest window of a limit, in seconds."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PER = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ARGUMENT = re.compile(r"args((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
_UNITS = ("calls", "bytes", "units")

_BAD_NAME = "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit"
_LETS_NOTHING = "a `deny` rule lets nothing through, so `{key}` has no effect"
_ON_CALL = "`{key}` belongs to a rule on calls: leave out `on: result`"
_ON_RESULT = "only a rule with `on: result` can read `{name}`"
_CLAIM = (
    "an `allow` rule can read `client.agent` only: what a client says of itself must not be what allows it"
)


def policy_problems(document: Document, policy: Policy) -> Iterator[Problem]:
    """What is wrong with the policy as a whole, and with its rules' names."""
    if not _NAME.fullmatch(policy.policy):
        yield document.problem(("policy",), _BAD_NAME)
    if not policy.rules:
        yield document.problem(("rules",), "a policy needs at least one rule")
    if policy.expires is not None and end_of(policy.expires) is None:
        yield document.problem(("expires",), "a day is written YYYY-MM-DD")
    seen: set[str] = set()
    for index, rule in enumerate(policy.rules):
        if not _NAME.fullmatch(rule.id):
            yield document.problem(("rules", index, "id"), _BAD_NAME)
        elif rule.id in seen:
            yield document.problem(("rules", index, "id"), f"rule `{rule.id}` stands twice in this policy")
        seen.add(rule.id)


def rule_problems(document: Document, at: Path, rule: Rule, kinds: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with one rule but for its condition; `kinds` are the names that `redact` may hold."""
    yield from _unknown(document, (*at, "redact"), rule.redact, kinds)
    yield from _unknown(document, (*at, "action"), rule.action, ACTIONS | {ANY_ACTION})
    for key, globs in (("server", as_tuple(rule.server)), ("tools", rule.tools), ("action", rule.action)):
        if globs is not None and not all(globs or [""]):
            yield document.problem((*at, key), f"`{key}` must not be empty: leave it out to match all")
    if rule.tools is not None and not {"tools/call", ANY_ACTION} & set(rule.action):
        yield document.problem((*at, "tools"), "`tools` can match only the action tools/call")
    for key in ("label", "fact"):
        for index, name in enumerate(getattr(rule, key)):
            if not _NAME.fullmatch(name):
                yield document.problem((*at, key, index), _BAD_NAME)
    yield from _without_effect(document, at, rule)
    for place, said in problems_in(rule.argument):
        yield document.problem((*at, "argument", *place), said)
    if rule.limit is not None:
        yield from _limit_problems(document, (*at, "limit"), rule.limit)


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


def _without_effect(document: Document, at: Path, rule: Rule) -> Iterator[Problem]:
    for key in OBLIGATIONS:
        if not getattr(rule, key):
            continue
        if rule.effect == "deny":
            yield document.problem((*at, key), _LETS_NOTHING.format(key=key))
        elif rule.on == "result" and key in ("limit", "argument", "credential"):
            yield document.problem((*at, key), _ON_CALL.format(key=key))
    if rule.credential and set(rule.action) <= ASKED:
        said = "the client answers this, so there is no server to use a credential with"
        yield document.problem((*at, "credential"), said)
    if rule.on == "result":
        yield from _result_problems(document, at, rule)
    elif rule.argument and set(rule.action) != {"tools/call"}:
        yield document.problem((*at, "argument"), "`argument` goes with the action tools/call alone")


def _result_problems(document: Document, at: Path, rule: Rule) -> Iterator[Problem]:
    if rule.effect == "ask":
        yield document.problem((*at, "effect"), "nobody is asked about a result: it is allowed or denied")
    if rule.effect == "allow" and not (rule.redact or rule.label or rule.fact):
        said = "an `allow` rule on results changes nothing without `redact`, `label` or `fact`"
        yield document.problem(at, said)
    for index, action in enumerate(rule.action):
        if action in ASKED:
            said = "the client answers this, so there is no result of a server"
            yield document.problem((*at, "action", index), said)


def _limit_problems(document: Document, at: Path, limit: Limit) -> Iterator[Problem]:
    given = [unit for unit in _UNITS if getattr(limit, unit) is not None]
    if len(given) != 1:
        yield document.problem(at, "a limit has exactly one of `calls`, `bytes` and `units`")
    for unit in given:
        if not 0 < getattr(limit, unit) <= 1 << 53:
            yield document.problem((*at, unit), "a limit is a whole number above 0")
    if window_of(limit.per) is None:
        said = "a window is `session`, or a number with s, m, h or d, at most 31d"
        yield document.problem((*at, "per"), said)
    if limit.cost != 1 and limit.units is None:
        yield document.problem((*at, "cost"), "`cost` belongs to a limit of `units`")
    elif not (limit.cost > 0 if isinstance(limit.cost, int) else _ARGUMENT.fullmatch(limit.cost)):
        yield document.problem((*at, "cost"), "a cost is a whole number above 0, or an argument: args.NAME")


def window_of(per: str) -> int | None:
    """The seconds of a window, 0 for the whole session, None for what is none."""
    if per == "session":
        return 0
    found = _PER.fullmatch(per)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else MAX_WINDOW + 1
    return seconds if seconds <= MAX_WINDOW else None


def end_of(expires: str | None) -> datetime | None:
    """The first moment after the day `expires`, in UTC; None without one, and for what is no day."""
    if expires is None or len(expires) != 10:
        return None
    try:
        return datetime.fromisoformat(expires).replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError:
        return None


def as_tuple(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """One text is a list of one."""
    return (value,) if isinstance(value, str) else value


def _unknown(
    document: Document, at: Path, names: tuple[str, ...], known: frozenset[str]
) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name not in known:
            choices = ", ".join(sorted(known))
            yield document.problem((*at, index), f"unknown name; known are {choices}")
