"""A remembered verdict is that of the very same values, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.authoring.tests.running import RememberingEngine
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Condition, Verdict
from mcpguard.core.conditions.engines import engine
from mcpguard.core.functions import nothing_held


class Counting:
    """An engine that counts how often its conditions are evaluated."""

    name = "python"

    def __init__(self) -> None:
        self.asked = 0

    def compile(self, text: str) -> Condition:
        condition, owner = engine("python").compile(text), self

        class Counted:
            engine, text, reads = owner, condition.text, condition.reads
            calls, members = condition.calls, condition.members

            def verdict(self, bound: Bound) -> Verdict:
                owner.asked += 1
                return condition.verdict(bound)

        return Counted()

    def either(self, conditions: Any) -> None:
        raise AssertionError


def test_the_same_values_are_read_once_whatever_else_there_is() -> None:
    counting = Counting()
    condition = RememberingEngine(counting).compile("args.a == 1")
    args = {"a": 1}
    for calls in range(3):
        assert condition.verdict(Bound({"args": args, "session": {"calls": calls}})) is TRUE
    assert counting.asked == 1


@pytest.mark.parametrize("other", [True, 1.0, 2, "1"])
def test_an_equal_value_is_not_the_same(other: Any) -> None:
    condition = RememberingEngine(Counting()).compile("type(args.a) == int && args.a == 1")
    said = [condition.verdict(Bound({"args": {"a": value}})) for value in (1, other, 1)]
    assert said == [TRUE, FALSE, TRUE]


def test_a_session_that_has_changed_is_read_again() -> None:
    condition = RememberingEngine(Counting()).compile("session.calls < 2")
    said = [condition.verdict(Bound({"args": {}, "session": {"calls": calls}})) for calls in range(4)]
    assert said == [TRUE, TRUE, FALSE, FALSE]


def test_a_value_that_is_gone_is_no_longer_remembered() -> None:
    condition = RememberingEngine(Counting()).compile("args.a == 1")
    assert [condition.verdict(Bound(view)) for view in ({"args": {"a": 1}}, {})] == [TRUE, ERROR]


def test_what_is_held_is_searched_again_where_another_is_asked() -> None:
    condition = RememberingEngine(Counting()).compile("detect(args, 'held') == []")
    args = {"a": "wPw5k4aXcaT4fNP0"}
    said = [condition.verdict(Bound({"args": args}, None, holds)) for holds in (nothing_held, lambda _: True)]
    assert said == [TRUE, FALSE]


def test_it_joins_no_conditions() -> None:
    remembering = RememberingEngine(Counting())
    assert remembering.either([remembering.compile("true")]) is None
