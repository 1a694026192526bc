"""What rules want of a call that goes on, as a point in an order: at least as strict, or not.

Law of this file: each kind of obligation has an order of its own, and one is at least as strict as another
only where each kind is. So nothing that is stricter makes up for what is less strict. Two that cannot be
compared (another credential, another argument) are never at least as strict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct, json, structs

from mcpguard.core.policy.compiled import CompiledRule, PolicySet
from mcpguard.core.policy.obligations import exceptions_of
from mcpguard.core.policy.terms import ANY_ACTION, as_tuple
from mcpguard.core.policy.tickets import AnswerTerms, terms_of
from mcpguard.core.redaction.removal.unredacted import EXCEPT

EFFECT = "its effect"
OTHER_ARGUMENTS = "a rule now sets different arguments"
OTHER_TIME = "the time to answer was that of the configuration"

Scope = tuple[frozenset[str], ...]
"""To what a limit applies: globs of servers and of tools, actions, and the condition; an empty set stands for
all."""


class Divergence(Struct, frozen=True):
    """What is less strict than then, what is stricter, the credential if it is a different one, and why it
    cannot be said that the rest is the same."""

    looser: tuple[str, ...] = ()
    stricter: tuple[str, ...] = ()
    credential: str = ""
    unsaid: tuple[str, ...] = ()

    def __add__(self, other: Divergence) -> Divergence:
        if self is NOTHING or other is NOTHING:
            return other if self is NOTHING else self
        return Divergence(
            tuple(dict.fromkeys(self.looser + other.looser)),
            tuple(dict.fromkeys(self.stricter + other.stricter)),
            self.credential or other.credential,
            tuple(dict.fromkeys(self.unsaid + other.unsaid)),
        )


NOTHING = Divergence()


class Quota(Struct, frozen=True):
    """A limit of `most` in the window `per`, for what is in `scope`."""

    scope: Scope
    per: str
    unit: str
    cost: str
    most: int

    def within(self, other: Quota) -> bool:
        """Whether what this one allows is within what the other does, wherever that applies."""
        alike = (self.per, self.unit, self.cost) == (other.per, other.unit, other.cost)
        wide = all(
            not mine or (theirs and mine >= theirs)
            for mine, theirs in zip(self.scope, other.scope, strict=True)
        )
        return alike and wide and self.most <= other.most


class AnswerWanted(Struct, frozen=True):
    """What is asked of an answer: the terms, and the rules that others may answer in advance."""

    terms: AnswerTerms = AnswerTerms()
    standing: frozenset[str] = frozenset()


class Obligations(Struct, frozen=True):
    """All that rules want besides their effect; None for what is not known. `redact` has exceptions too, as
    records do; `credential` is "" for that of the server, `answer` None where nobody is asked."""

    redact: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    credential: str | None = ""
    spotlight: bool | None = False
    placeholders: bool | None = False
    arguments: Mapping[str, str] | None = {}
    limits: frozenset[Quota] | None = frozenset()
    answer: AnswerWanted | None = None


@lru_cache(maxsize=4096)
def obligations_of(rules: Sequence[CompiledRule], asking: Sequence[CompiledRule] = ()) -> Obligations:
    """What these rules want together; `asking` are those of them that a person answers."""
    credentials = sorted({rule.written.credential for rule in rules} - {""})
    return Obligations(
        redact=_all(rules, "redact") | frozenset(exceptions_of(rules)),
        labels=_all(rules, "label"),
        facts=_all(rules, "fact"),
        credential=", ".join(credentials),
        spotlight=any(rule.written.spotlight for rule in rules),
        placeholders=any(rule.written.placeholders for rule in rules),
        arguments={
            name: json.encode(value, order="deterministic").decode()
            for rule in rules
            for name, value in rule.written.argument.items()
        },
        limits=frozenset(_quotas(rules)),
        answer=_answer(asking) if asking else None,
    )


@lru_cache(maxsize=64)
def unchanged(old: PolicySet, new: PolicySet) -> frozenset[str]:
    """The names of the rules that both have, with all that decides when they hold and what they want."""
    then = {rule.name: rule for rule in old.rules}
    return frozenset(
        rule.name for rule in new.rules if rule.name in then and _content(rule) == _content(then[rule.name])
    )


def _content(rule: CompiledRule) -> tuple[object, ...]:
    return rule.written, rule.when, rule.until, rule.shadow


def added(wants: Obligations, failed: Sequence[CompiledRule]) -> Obligations:
    """The same with what rules want whose conditions failed, or that have ended."""
    if not failed:
        return wants
    return structs.replace(
        wants,
        redact=wants.redact | _all(failed, "redact"),
        labels=wants.labels | _all(failed, "label"),
        spotlight=wants.spotlight or any(rule.written.spotlight for rule in failed),
    )


def _all(rules: Sequence[CompiledRule], key: str) -> frozenset[str]:
    return frozenset(name for rule in rules for name in getattr(rule.written, key))


def _quotas(rules: Sequence[CompiledRule]) -> Iterator[Quota]:
    for rule in rules:
        limit = rule.written.limit
        if limit is None:
            continue
        for unit in ("calls", "bytes", "units"):
            most = getattr(limit, unit)
            if most is not None:
                yield Quota(_scope(rule), limit.per, unit, str(limit.cost), most)


def _scope(rule: CompiledRule) -> Scope:
    written = rule.written
    listed = (as_tuple(written.server), "*"), (written.tools or ("*",), "*"), (written.action, ANY_ACTION)
    globs = [frozenset[str]() if every in names else frozenset(names) for names, every in listed]
    return *globs, frozenset(() if rule.when is None else (rule.when,))


def _answer(asking: Sequence[CompiledRule]) -> AnswerWanted:
    asks = [rule.written.ask for rule in asking]
    standing = frozenset(rule.name for rule in asking if rule.written.ask and rule.written.ask.standing)
    return AnswerWanted(terms_of(asks), standing)


def difference(then: Obligations, now: Obligations) -> Divergence:
    """What is less strict and what is stricter `now`, as far as both sides are known."""
    if then == now:
        return NOTHING
    found = _redacted(then.redact, now.redact)
    # Labels are what later rules deny for, facts what they allow for.
    gone, new = _named("label", then.labels, now.labels)
    found += Divergence(looser=gone, stricter=new)
    gone, new = _named("fact", then.facts, now.facts)
    found += Divergence(looser=new, stricter=gone)
    for name in ("spotlight", "placeholders"):
        before, after = getattr(then, name), getattr(now, name)
        if None not in (before, after) and before != after:
            said = (f"{'with' if after else 'without'} `{name}`",)
            stricter = after is (name == "spotlight")
            found += Divergence(stricter=said) if stricter else Divergence(looser=said)
    if then.arguments is not None and now.arguments is not None:
        found += _arguments(then.arguments, now.arguments)
    if then.limits is not None and now.limits is not None:
        found += _limits(then.limits, now.limits)
    if None not in (then.credential, now.credential) and then.credential != now.credential:
        found += Divergence(credential=f"with the credential {now.credential or 'of the server'}")
    if then.answer is not None and now.answer is not None:
        found += _answered(then.answer, now.answer)
    return found


def _redacted(then: frozenset[str], now: frozenset[str]) -> Divergence:
    less = {one for one in then ^ now if one.startswith(EXCEPT) == (one in now)}
    more = (then ^ now) - less
    return Divergence(
        (f"redacts less ({', '.join(sorted(less))})",) if less else (),
        (f"redacts more ({', '.join(sorted(more))})",) if more else (),
    )


def _named(what: str, then: frozenset[str], now: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences about names that are gone, and about those that are new."""
    gone, new = ", ".join(sorted(then - now)), ", ".join(sorted(now - then))
    return (f"without the {what} {gone}",) if gone else (), (f"with the {what} {new}",) if new else ()


def _arguments(then: Mapping[str, str], now: Mapping[str, str]) -> Divergence:
    lost = sorted(name for name, value in then.items() if now.get(name) != value)
    if lost:
        return Divergence(looser=(f"no longer sets the argument {', '.join(lost)} so",))
    return NOTHING if then == now else Divergence(unsaid=(OTHER_ARGUMENTS,))


def _limits(then: frozenset[Quota], now: frozenset[Quota]) -> Divergence:
    if not all(any(new.within(old) for new in now) for old in then):
        return Divergence(looser=("the limit is higher, or another one" if now else "without the limit",))
    if not all(any(old.within(new) for old in then) for new in now):
        return Divergence(stricter=("the limit is lower" if then else "with a limit",))
    return NOTHING


def _answered(then: AnswerWanted, now: AnswerWanted) -> Divergence:
    """How a person answers."""
    old, new = then.terms, now.terms
    sides = (
        ("the channels", set(new.via) <= set(old.via), set(old.via) <= set(new.via)),
        ("the passkey", new.passkey >= old.passkey, old.passkey >= new.passkey),
        ("the approvers", _narrower(new, old), _narrower(old, new)),
        ("`same_host`", set(new.same_host) >= set(old.same_host), set(old.same_host) >= set(new.same_host)),
        ("`standing`", now.standing <= then.standing, then.standing <= now.standing),
    )
    found = Divergence(
        tuple(f"asks less of an answer ({what})" for what, within, _ in sides if not within),
        tuple(f"asks more of an answer ({what})" for what, within, back in sides if within and not back),
    )
    if old.seconds == new.seconds:
        return found
    if not old.seconds:
        return found + Divergence(unsaid=(OTHER_TIME,))
    if new.seconds and new.seconds < old.seconds:
        return found + Divergence(stricter=("less time to answer",))
    return found + Divergence(looser=("more time to answer",))


def _narrower(one: AnswerTerms, other: AnswerTerms) -> bool:
    """Whether each group of which `other` wants an approver has all of a group of `one`."""
    return all(any(set(mine) <= set(theirs) for mine in one.approvers) for theirs in other.approvers)


def either(possible: Sequence[Divergence], missing: tuple[str, ...]) -> Divergence:
    """What is certain, whichever of these it is; `missing` says why it is not known which."""
    first, *others = possible
    if all(one == first for one in others):
        return first
    looser, stricter, credential, unsaid = (
        [bool(getattr(one, key)) for one in possible] for key in Divergence.__struct_fields__
    )
    vague = any(unsaid) or any(any(some) and not all(some) for some in (looser, stricter, credential))
    found = sum(possible, NOTHING)
    return Divergence(
        found.looser if all(looser) else (),
        found.stricter if all(stricter) else (),
        found.credential if all(credential) else "",
        tuple(dict.fromkeys(missing + found.unsaid)) if vague else (),
    )
