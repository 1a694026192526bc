"""Many conditions are evaluated as one: `(a) || (b)` is false only where each of them is.

    1,000 conditions of which none holds: 32 evaluations of 32 joined ones, instead of 1,000

Law of this file: a joined condition is trusted only if it is FALSE; otherwise its rules are evaluated
one by one, so that folding changes only how long a decision takes.
"""

from collections.abc import Container, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from mcpguard.core.conditions.cel import FALSE, Bound, Condition

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
        joined = conditions[0].engine.either(conditions)
        if joined is not None:
            self._folded.append((joined, rules))
            inside = {rule for _, some in self._folded for rule in some}
            self.apart = [rule for rule in self.rules if rule not in inside]
        self.only = self._folded[0][0] if len(self._folded) == 1 and not self._waiting else None


def is_plain(condition: Condition) -> bool:
    """Whether no function is called in it that may know more than what it is given: all is computed before
    anything is evaluated. What the other engine calls does not stand in `calls`."""
    return condition.engine.name == "cpp" and all(call.cheap for call in condition.calls)
