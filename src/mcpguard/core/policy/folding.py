"""Conditions that need not be evaluated one by one in each decision: many are folded to one, since `(a) ||
(b)` is false only where each of them is, and of those that only read what a server lists the verdicts are
kept.

    1,000 conditions of which none holds: 32 evaluations of 32 joined ones, instead of 1,000

Law of this file: it changes only how long a decision takes. A joined condition is trusted only if it is
FALSE; otherwise its rules are evaluated one by one. A verdict is kept only if it is certain, for one tool as
it is listed; if one of them fails, all are evaluated in each decision, so that refusals are the same.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from mcpguard.core.conditions.cel import ERROR, FALSE, Bound, Condition, Verdict
from mcpguard.core.conditions.hoisting import Members, joined
from mcpguard.core.model import Listed

WORTH = 8
"""From this many conditions on, folding saves time."""

FEW_WORTH = 2
"""The same for rules that nearly never hold, such as those that deny: of a joined condition that is not
FALSE, each one is evaluated again."""

AFTER = 32
"""How often rules are evaluated before their conditions are folded: compiling a condition once more costs as
much as evaluating it this often."""

AT_ONCE = 32
"""How many conditions are joined to one. Each use of the rules folds one more such group, so that no decision
waits for more than that."""

LISTED = frozenset({"action", "server", "tool"})
"""The names whose values are the same for each call of a tool."""

FEW = 8
"""Of more conditions of rules of one effect none is kept: they are folded (`Folded`), and what is
kept for each tool stays small."""


class FoldedRule(Protocol):
    """What is folded: a rule."""

    name: str
    condition: Condition | None


R = TypeVar("R", bound=FoldedRule)


class Folded(Generic[R]):
    """The rules of one effect that can match one kind of request, in the order of their names. True
    where enough of their conditions can be folded."""

    __slots__ = ("_folded", "_uses", "_waiting", "apart", "only", "rules")

    def __init__(self, rules: tuple[R, ...], worth: int = WORTH, but: Container[Condition] = ()) -> None:
        """`worth` is how many there must be, without the conditions `but`, whose verdicts are known."""
        self.rules = rules
        plain = [
            rule for rule in rules if (one := rule.condition) is not None and one not in but and is_plain(one)
        ]
        ready = plain if len(plain) >= worth else []
        self._waiting = [ready[at : at + AT_ONCE] for at in range(0, len(ready), AT_ONCE)]
        self._folded: list[tuple[Condition, list[R]]] = []
        self.apart: Sequence[R] = rules
        """Those that are not folded."""
        self.only: Condition | None = None
        """That of all others, where one is all there is."""
        self._uses = 0

    def __bool__(self) -> bool:
        return bool(self._waiting or self._folded)

    def open(self, bound: Bound) -> Sequence[R]:
        """The rules that are not known to have a false condition, in the order of their names."""
        if self._waiting:
            self._uses += 1
            if self._uses > AFTER:
                self._fold(self._waiting.pop())
        if not self._folded:
            return self.rules
        found = [*self.apart]
        for condition, rules in self._folded:
            if condition.verdict(bound) is not FALSE:
                found += rules
        return sorted(found, key=attrgetter("name")) if len(found) > len(self.apart) else self.apart

    def _fold(self, rules: list[R]) -> None:
        conditions = [rule.condition for rule in rules if rule.condition is not None]
        folded = conditions[0].engine.either(conditions)
        if folded is not None:
            self._folded.append((folded, rules))
            inside = {rule for _, some in self._folded for rule in some}
            self.apart = [rule for rule in self.rules if rule not in inside]
        self.only = self._folded[0][0] if len(self._folded) == 1 and not self._waiting else None


def is_plain(condition: Condition) -> bool:
    """Whether no function is called in it that may know more than what it is given: all is computed before
    anything is evaluated. What the other engine calls does not stand in `calls`."""
    return condition.engine.name == "cpp" and all(call.cheap for call in condition.calls)


def constant_of(conditions: Sequence[Condition | None]) -> list[Condition]:
    """Those of `conditions`, of the rules of one effect, whose verdicts are kept."""
    found = [one for one in conditions if one is not None and one.reads <= LISTED and is_plain(one)]
    return found if len(found) <= FEW else []


class ToolVerdicts:
    """The verdicts of some conditions on the calls of the tool for which they were asked last."""

    __slots__ = ("_conditions", "_failed", "members", "target", "verdicts")

    def __init__(self, conditions: Sequence[Condition], others: Iterable[Condition]) -> None:
        """`others` are evaluated in the same decisions, each time."""
        self._conditions = conditions
        self.members: Members = joined(one.members for one in others)
        """What a decision of which the verdicts are known still has to read."""
        self.target: Listed | None = None
        """The tool whose verdicts these are."""
        self.verdicts: Mapping[Condition, Verdict] = {}
        self._failed: Listed | None = None

    def ask(self, target: Listed | None, bound: Bound) -> bool:
        """Evaluate them for `target`, whose call `bound` is of; whether all verdicts are certain."""
        if target is None or target.kind != "tool" or target is self._failed:
            return False
        verdicts = {one: one.verdict(bound) for one in self._conditions}
        if ERROR in verdicts.values():
            self._failed = target
            return False
        self.target, self.verdicts = target, verdicts
        return True
