"""Conditions with the same value for each call of a tool, since they only read what its server lists.

Law of this file: such a condition is evaluated like any other, once each time that the tool is listed, and
only certain values are kept. If one of them fails, all are evaluated in each decision, so that refusals are
the same as without this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mcpguard.core.conditions.cel import ERROR, Bound, Condition, Verdict
from mcpguard.core.conditions.hoisting import Members, joined
from mcpguard.core.model import Listed
from mcpguard.core.policy.folding import is_plain

LISTED = frozenset({"action", "server", "tool"})
"""The names whose values are the same for each call of a tool."""

FEW = 8
"""Of more conditions of rules of one effect none is kept: they are folded (`folding.Folded`), and what is
kept for each tool stays small."""


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
