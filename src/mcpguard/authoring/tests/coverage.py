"""Which rules and which branches of their conditions the tests have seen.

Law of this file: a branch counts as seen only for a request that its rule was asked about, and only with the
value that it has by itself; an error is neither true nor false.
"""

from collections.abc import Iterable, Iterator

from pydantic import Field

from mcpguard.authoring.tests.rehearsal import Look
from mcpguard.core.conditions.cel import TRUE
from mcpguard.core.conditions.tree import parts_of, value_of
from mcpguard.core.document.printed import Printed
from mcpguard.core.policy.compiled import CompiledPolicy, CompiledRule
from mcpguard.core.policy.terms import ANY_ACTION, as_tuple

DECIDED = "decided"
LEFT = "left"
"""The rule had no say in a case: its condition did not hold, or it applies to other calls."""


class Goal(Printed):
    """One thing that tests should show."""

    source: str = Field(description="The file of the policy.")
    line: int = Field(description="The line, from 1.")
    column: int = Field(description="The column, from 1.")
    missing: str = Field(description="What no case showed; empty where one did.")


class Coverage:
    """What was seen so far, of any number of test files. A policy is known by its source."""

    def __init__(self) -> None:
        self._policies: dict[str, CompiledPolicy] = {}
        self._seen: set[tuple[str, str, object]] = set()

    def add(self, policies: Iterable[CompiledPolicy], looks: Iterable[Look]) -> None:
        """Count the decisions of one case, which was run with `policies`."""
        decisions = tuple(looks)
        for policy in policies:
            self._policies.setdefault(policy.document.source, policy)
            for rule in policy.rules:
                for look in decisions:
                    if look.on == rule.written.on:
                        self._count(policy.document.source, rule, look)

    def goals(self) -> list[Goal]:
        """All of them, by policy, in the order of the text."""
        return [
            goal
            for _, policy in sorted(self._policies.items())
            for index, rule in enumerate(policy.rules)
            for goal in self._goals(policy, index, rule)
        ]

    def _count(self, source: str, rule: CompiledRule, look: Look) -> None:
        known = look.candidates.trial or look.candidates
        if rule.name in look.decided:
            self._seen.add((source, rule.name, DECIDED))
        if all(one.name != rule.name for one in known.all):
            if rule.condition is None:
                self._seen.add((source, rule.name, LEFT))
            return
        if rule.condition is None:
            return
        left = (source, rule.name, LEFT)
        if left not in self._seen and rule.condition.verdict(look.bound) is not TRUE:
            self._seen.add(left)
        for start, end, text in _branches(rule):
            shown = {value: (source, rule.name, (start, end, value)) for value in (True, False)}
            if self._seen.issuperset(shown.values()):
                continue
            value = value_of(text, look.bound)
            if isinstance(value, bool):
                self._seen.add(shown[value])

    def _goals(self, policy: CompiledPolicy, index: int, rule: CompiledRule) -> Iterator[Goal]:
        source, name = policy.document.source, rule.name

        def goal(path: tuple[str | int, ...], key: object, missing: str, offset: int | None = None) -> Goal:
            place = policy.document.problem(path, "", offset)
            seen = (source, name, key) in self._seen
            return Goal(source=source, line=place.line, column=place.column, missing="" if seen else missing)

        at = ("rules", index)
        yield goal((*at, "id"), DECIDED, f"rule {name} never decided")
        if rule.condition is not None:
            yield goal(
                (*at, "when"), LEFT, f"the condition of rule {name} was true in every case that reached it"
            )
        elif not _speaks_of_all(rule):
            yield goal((*at, "id"), LEFT, f"rule {name} applied to the call in every case")
        for start, end, _ in _branches(rule):
            for value in (True, False):
                missing = f"never {str(value).lower()}: {(rule.written.when or '')[start:end]}"
                yield goal((*at, "when"), (start, end, value), missing, start)


def percent(goals: list[Goal]) -> float:
    """How many of `goals` were reached, in percent; 100 where there are none."""
    reached = sum(not goal.missing for goal in goals)
    return 100.0 * reached / len(goals) if goals else 100.0


def _branches(rule: CompiledRule) -> Iterator[tuple[int, int, str]]:
    """Where each is in the condition as written, and what is evaluated of it; without the whole condition,
    which the rule itself stands for."""
    if rule.placed is not None:
        for part in parts_of(rule.placed.text):
            if part.branch and part.role != "whole":
                yield rule.placed.origin(part.start), rule.placed.origin(part.end), part.text


def _speaks_of_all(rule: CompiledRule) -> bool:
    written = rule.written
    return "*" in as_tuple(written.server) and written.tools is None and ANY_ACTION in written.action
