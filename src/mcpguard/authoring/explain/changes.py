"""The smallest change that would have allowed a call, rule by rule.

Law of this file: it says what decides, not how to get around it: of arguments only what an operand of the
author's condition would have to come to; and nothing that was not tried (`authoring/explain/ways.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mcpguard.authoring.explain.explanation import Change, WantedOperand
from mcpguard.authoring.explain.reasons import reason_of
from mcpguard.authoring.explain.ways import Decide, Supposed
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.tree import DecidedTree, tree_of
from mcpguard.core.model import Cause, Deny, Invocation
from mcpguard.core.policy.compiled import Candidates, CompiledRule
from mcpguard.core.policy.obligations import charges_of
from mcpguard.core.policy.pdp import over
from mcpguard.core.policy.session import Session

NO_ARGUMENT = "no argument can change it"
NOT_WRITTEN = "no allow rule applies to such a request"


class Changes:
    """What would have to change for one refused request. `bound` is what its conditions read; `decide`
    decides on another one, under the same policies and in the same session."""

    def __init__(
        self, candidates: Candidates, invocation: Invocation, bound: Bound, session: Session, decide: Decide
    ) -> None:
        self._candidates = candidates
        self._invocation = invocation
        self._bound = bound
        self._session = session
        self._decide = decide
        self._blind = Bound({name: value for name, value in bound.view.items() if name != "args"})

    def of(self, verdict: Deny) -> tuple[Change, ...]:
        """All changes that are needed together, while nothing else changes; none where none are known."""
        if verdict.cause is Cause.LIMIT:
            return tuple(self._room([rule for rule in self._candidates.allow if rule.name in verdict.rules]))
        refusing = {rule.name for rule in self._candidates.deny + self._candidates.ask}
        if verdict.cause is Cause.ERROR and not refusing & set(verdict.rules):
            return tuple(Change(rule=rule, must="agree") for rule in verdict.rules)
        stopping = tuple(self._stopping())
        if not self._candidates.allow:
            return (*stopping, Change(rule="", must="be written", note=NOT_WRITTEN))
        for way in self._ways():
            changes = stopping + way
            supposed = Supposed(changes, self._invocation, self._session)
            allowing = supposed.allowing(self._candidates, self._bound)
            if allowing and supposed.proved(self._decide):
                return (*changes, *self._room(allowing))
        return ()

    def _stopping(self) -> Iterator[Change]:
        for rule in self._candidates.deny + self._candidates.ask:
            if verdict_of(rule, self._bound) is FALSE:
                continue
            if rule.effect == "ask":
                yield Change(rule=rule.name, must="be approved")
            else:
                note = NO_ARGUMENT if self._fixed(rule, FALSE) else ""
                yield Change(rule=rule.name, must="not hold", operands=self._needs(rule, False), note=note)

    def _ways(self) -> Iterator[tuple[Change, ...]]:
        """What makes an allow hold, the smallest first; nothing where one does."""
        allow = self._candidates.allow
        if any(verdict_of(rule, self._bound) is TRUE and not over(rule, self._invocation) for rule in allow):
            yield ()
        ways = [self._way(rule) for rule in allow]
        for way in sorted(ways, key=lambda change: (change.note != "", len(change.operands), change.rule)):
            yield (way,)

    def _way(self, rule: CompiledRule) -> Change:
        note = NO_ARGUMENT if self._fixed(rule, TRUE) else ""
        if over(rule, self._invocation):
            note = f"it expired {day_of(rule.until)}, with its policy"
        return Change(rule=rule.name, must="hold", operands=self._needs(rule, True), note=note)

    def _needs(self, rule: CompiledRule, value: bool) -> tuple[WantedOperand, ...]:
        """The operands of the rule's condition that must change; none where it has no condition."""
        if rule.condition is None or rule.written.when is None:
            return ()
        decided = DecidedTree(rule.condition.engine, self._bound)
        tree = tree_of(rule.written.when)
        verdicts = {node.text: decided.verdict(node) for _, node in tree.walk()}
        return tuple(
            WantedOperand(
                text=one.text,
                must_be=one.value,
                reason=reason_of(one.text, verdicts[one.text], self._bound.view),
            )
            for one in decided.needs(tree, value)
        )

    def _fixed(self, rule: CompiledRule, wanted: Verdict) -> bool:
        """Whether the rule does not come to `wanted`, whatever the arguments are."""
        verdict = verdict_of(rule, self._blind)
        if verdict is ERROR and rule.condition is not None and "args" in rule.condition.reads:
            return False
        return verdict is not wanted

    def _room(self, allowing: list[CompiledRule]) -> Iterator[Change]:
        """What must have room, of the limits of rules that allow it."""
        call, session = self._invocation, self._session
        for rule, charge in charges_of(allowing, call).items():
            if session.room(charge, call.now):
                continue
            free = session.free_at(charge, call.now)
            note = "waiting does not make room for this call"
            if free:
                note = f"it has room again at {free.isoformat()}"
            if not charge.seconds:
                note = "a new session has room"
            if charge.amount > charge.most:
                note = "it never has room for this much at once"
            yield Change(rule=rule.name, must="have room", note=note)


def verdict_of(rule: CompiledRule, bound: Bound) -> Verdict:
    """What the rule's condition comes to; TRUE where it has none."""
    return TRUE if rule.condition is None else rule.condition.verdict(bound)


def day_of(moment: datetime | None) -> str:
    """The day, for a sentence."""
    return "" if moment is None else moment.date().isoformat()
