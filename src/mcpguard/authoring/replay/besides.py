"""A call under other policies beside what it was: its effect, its obligations, how a person answers.

    PastDecision, Again -> Divergence

Law of this file: it is the same only where both sides are known and equal. What may be less than it was is
never the same, whatever else is more.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from msgspec import structs

from mcpguard.authoring.replay.judging import Again, Judging
from mcpguard.authoring.replay.past import PastDecision
from mcpguard.authoring.replay.request import Then
from mcpguard.authoring.replay.results import of_results
from mcpguard.authoring.replay.strictness import (
    EFFECT,
    NOTHING,
    Divergence,
    Obligations,
    difference,
    either,
    obligations_of,
    unchanged,
)
from mcpguard.core.evidence.records import FORMAT
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.terms import ACTIONS, EXTENSION, Effect

NOT_AT_HAND = (
    "the policies in force then are not available (--config), so what else their rules required is unknown"
)
MAY_ADD = "whether a rule holds that adds something depends on what is not on record"
STRICT: dict[Effect, int] = {"allow": 0, "ask": 1, "deny": 2}
_BARE = Obligations(credential=None, spotlight=None, placeholders=None, arguments=None, limits=None)


class Sides:
    """The old policies, None if they are not available, and the new ones."""

    def __init__(self, old: PolicySet | None, known: Iterable[PolicySet], new: PolicySet) -> None:
        self.old, self.new = old, new
        self.names = {} if old is None else {rule.name: rule for rule in old.rules}
        self.kept = frozenset[str]() if old is None else unchanged(old, new)
        """The rules that both have."""
        self.limiting = frozenset(name for name in self.kept if self.names[name].written.limit)
        self._judging = None if old is None else Judging(old, known)

    def before(self, past: PastDecision, then: Then) -> Again:
        assert self._judging is not None  # noqa: S101 - who calls has looked
        return self._judging.again(past, then)


def besides(past: PastDecision, then: Then, again: Again, sides: Sides, observed: bool = False) -> Divergence:
    """How the verdict `again` differs from the one on record; `then` is the request. Where it would only be
    `observed` and has gone on, its effect makes no difference."""
    if observed:
        alike = all(one.redact == frozenset(past.record.redact) for one in again.wants)
        return _wants(past, then, again, sides) + of_results(past, then, sides.old, sides.new, alike)
    effects = {effect: _effect(past.effect, effect) for effect in again.effects}
    refused = [found for effect, found in effects.items() if "deny" in (effect, past.effect)]
    goes_on = [found for effect, found in effects.items() if "deny" not in (effect, past.effect)]
    if goes_on:
        alike = all(one.redact == frozenset(past.record.redact) for one in again.wants)
        wants = _wants(past, then, again, sides) + of_results(past, then, sides.old, sides.new, alike)
        goes_on = [found + wants for found in goes_on]
    return either(goes_on + refused, again.missing)


def _effect(then: Effect, now: Effect) -> Divergence:
    if STRICT[now] == STRICT[then]:
        return NOTHING
    return Divergence(stricter=(EFFECT,)) if STRICT[now] > STRICT[then] else Divergence(looser=(EFFECT,))


def _wants(past: PastDecision, request: Then, again: Again, sides: Sides) -> Divergence:
    """The same of what is wanted of a call that goes on."""
    record, old, new = past.record, sides.old, sides.new
    goes_on = record.effect == "allow" and record.observed is None
    told = _told(past, _BARE) if goes_on else None
    if not again.wants:
        return Divergence(unsaid=again.missing)
    if record.policy_digest == new.digest:
        # The same rules want the same.
        return difference(told, again.wants[0]) if told and len(again.wants) == 1 else NOTHING
    if old is None or not past.rules or not sides.names.keys() >= set(past.rules):
        found = [difference(told, one) for one in again.wants] if told else [NOTHING]
        return either(found, (MAY_ADD,)) + Divergence(unsaid=(NOT_AT_HAND,))
    then: tuple[Obligations, ...]
    if goes_on:
        rules = tuple([sides.names[name] for name in past.rules])
        asking = tuple([rule for rule in rules if rule.effect == past.effect == "ask"])
        wants = obligations_of(rules, asking)
        then = (_told(past, wants) or wants,)
    else:
        # Which rules allow what nobody has approved is not on record.
        then = sides.before(past, request).wants
    if len(then) == len(again.wants) == 1:
        return difference(then[0], again.wants[0])
    alike = len(then) == len(again.wants) and _adding(past, old) | _adding(past, new) <= sides.kept
    pairs = zip(then, again.wants, strict=True) if alike else product(then, again.wants)
    return either([difference(*pair) for pair in pairs] or [Divergence(unsaid=(MAY_ADD,))], (MAY_ADD,))


def _told(past: PastDecision, wants: Obligations) -> Obligations | None:
    """The same as the record has it, which knows of rules that failed; earlier formats do not have it."""
    record = past.record
    if past.format < FORMAT:
        return None
    # A request about a task is made with the credential of the call that began it.
    own = not record.method.startswith("tasks/")
    return structs.replace(
        wants,
        redact=frozenset(record.redact),
        labels=frozenset(record.labels),
        facts=frozenset(record.facts),
        credential=record.credential if own else None,
    )


def _adding(past: PastDecision, policies: PolicySet) -> frozenset[str]:
    """The rules that may want something of the call."""
    record = past.record
    action = record.method if record.method in ACTIONS else EXTENSION
    found = policies.candidates(record.server, record.tool or None, action)
    return frozenset(rule.name for rule in found.ask + found.allow if rule.adds)
