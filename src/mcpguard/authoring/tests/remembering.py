"""Conditions that repeat their verdict while they read the very same values: a case may make one call two
hundred times to reach a limit, and only the session changes from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcpguard.core.conditions.cel import Bound, Condition, Engine, EngineName, Verdict

_ABSENT = object()


class RememberingEngine:
    """`engine`, whose conditions remember what they read last and what they said of it.

    A value is the same only if it is the same object, so nobody may change one that a decision has read.
    """

    def __init__(self, engine: Engine) -> None:
        self.name: EngineName = engine.name
        self._engine = engine

    def compile(self, text: str) -> Condition:
        return _Remembering(self, self._engine.compile(text))

    def either(self, conditions: Sequence[Condition]) -> None:
        """See `Engine.either`: what is joined would be remembered together only."""


class _Remembering:
    __slots__ = ("_condition", "_last", "calls", "engine", "members", "reads", "text")

    def __init__(self, owner: Engine, condition: Condition) -> None:
        self.engine = owner
        self.text = condition.text
        self.reads = condition.reads
        self.calls = condition.calls
        self.members = condition.members
        self._condition = condition
        self._last: tuple[list[Any], Verdict] | None = None

    def verdict(self, bound: Bound) -> Verdict:
        values = [bound.holds, *(bound.view.get(name, _ABSENT) for name in self.reads)]
        if self._last is not None:
            last, said = self._last
            if all(one is two for one, two in zip(values, last, strict=True)):
                return said
        said = self._condition.verdict(bound)
        self._last = values, said
        return said
