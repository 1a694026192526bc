"""Conditions that say the same for each call of a tool, since they read nothing but what its server lists.

Law of this file: such a condition is evaluated as any other, once for each time that the tool is listed, and
only what is certain is kept. Where one of them fails, all are evaluated in each decision, so that a refusal
says the same as without this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mcpguard.core.conditions.cel import ERROR, Bound, Condition, Verdict
from mcpguard.core.conditions.hoisting import Members, joined
from mcpguard.core.model import Listed

LISTED = frozenset({"action", "server", "tool"})
"""The names whose values are the same for each call of a tool."""

FEW = 8
"""Of more conditions of rules of one effect none is kept: they are folded (`folding.Folded`), and what is
kept for each tool stays small."""

_NOTHING: Mapping[Condition, Verdict] = {}


def constant_of(conditions: Sequence[Condition | None]) -> list[Condition]:
    """Those of `conditions`, of the rules of one effect, whose verdicts are kept."""
    found = [one for one in conditions if one is not None and one.reads <= LISTED and _is_plain(one)]
    return found if len(found) <= FEW else []


def _is_plain(condition: Condition) -> bool:
    """Whether no function is called in it that may know more than what it is given."""
    return all(call.cheap for call in condition.calls)


class ToolVerdicts:
    """The verdicts of some conditions on the calls of the tool for which they were asked last."""

    __slots__ = ("_conditions", "_members", "_target", "_verdicts")

    def __init__(self, conditions: Sequence[Condition], others: Iterable[Condition]) -> None:
        """`others` are evaluated in the same decisions, each time."""
        self._conditions = conditions
        self._members: Members = joined(one.members for one in others)
        self._target: Listed | None = None
        self._verdicts = _NOTHING

    def give(self, target: Listed | None, bound: Bound) -> None:
        """Have `bound`, of a call of `target`, know the verdicts, and read only what the others need."""
        if target is None or target.kind != "tool":
            return
        if target is not self._target:
            self._verdicts = self._evaluated(bound)
            self._target = target
        if self._verdicts:
            bound.known, bound.members = self._verdicts, self._members

    def _evaluated(self, bound: Bound) -> Mapping[Condition, Verdict]:
        verdicts = {one: one.verdict(bound) for one in self._conditions}
        return _NOTHING if ERROR in verdicts.values() else verdicts
