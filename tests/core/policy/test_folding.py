"""Conditions that are evaluated as one decide as they do one by one, with fewer evaluations."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from mcpguard.core.conditions.cel import ERROR, FALSE, Bound, ConditionError, Verdict
from mcpguard.core.conditions.engines import engine
from mcpguard.core.model import Deny, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.folding import AFTER, AT_ONCE, WORTH, Folded
from tests.core.conditions.asked import NOW, Conditions
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call

NEVER = ["false"] * WORTH


class Rule:
    """A rule as far as folding needs it; `evaluated` counts evaluations of its condition by itself."""

    def __init__(self, name: str, text: str | None, on: Any = None) -> None:
        self.name = name
        self.condition = None if text is None else engine(on).compile(text)


def verdict(rule: Rule, view: dict[str, Any]) -> Verdict:
    assert rule.condition is not None
    return rule.condition.verdict(Bound(view))


def folded(rules: list[Rule]) -> Folded[Rule]:
    """Rules that have been used until all that can be folded is."""
    made = Folded(tuple(rules))
    for _ in range(AFTER + len(rules) // AT_ONCE + 1):
        made.open(Bound({}))
    return made


def names(some: Any) -> list[str]:
    return [rule.name for rule in some]


def test_rules_whose_conditions_are_false_are_left_out_together() -> None:
    rules = folded([Rule(f"r{n:03}", f"args.n == {n}") for n in range(100)])
    assert names(rules.open(Bound({"args": {"n": -1}}))) == []


def test_a_group_with_one_that_is_not_false_is_left_in_by_itself_in_the_order_of_names() -> None:
    rules = [Rule(f"r{n:03}", f"args.n == {n}") for n in range(3 * AT_ONCE)]
    inside = folded([*rules, Rule("s", None)])
    left = inside.open(Bound({"args": {"n": AT_ONCE + 1}}))
    assert names(left) == [f"r{n:03}" for n in range(AT_ONCE, 2 * AT_ONCE)] + ["s"]
    assert names(inside.open(Bound({}))) == names(inside.rules)


@pytest.mark.parametrize(
    "apart",
    [
        Rule("z", None),
        Rule("z", "args.n == 1", "python"),
        Rule("z", "sql(args.query, 'postgres').writes"),
    ],
)
def test_what_needs_no_condition_another_engine_or_a_call_stays_apart(apart: Rule) -> None:
    rules = folded([apart, *[Rule(f"r{n}", f"args.n == {n}") for n in range(WORTH)]])
    assert names(rules.open(Bound({"args": {"n": -1}}))) == ["z"]


def test_few_rules_and_rules_that_are_used_seldom_are_not_folded() -> None:
    few = folded([Rule(f"r{n}", f"args.n == {n}") for n in range(WORTH - 1)])
    assert few.open(Bound({"args": {"n": -1}})) is few.rules
    seldom = Folded(tuple(Rule(f"r{n}", f"args.n == {n}") for n in range(WORTH)))
    for _ in range(AFTER):
        assert seldom.open(Bound({"args": {"n": -1}})) is seldom.rules
    assert names(seldom.open(Bound({"args": {"n": -1}}))) == []


def test_a_condition_that_ends_in_a_comment_or_spans_lines_is_folded() -> None:
    texts = ["args.n == 0 // none", "args.n ==\n1", "args.n == 2 || // or\n args.n == 3", *NEVER]
    rules = folded([Rule(f"r{n:02}", text) for n, text in enumerate(texts)])
    assert names(rules.open(Bound({"args": {"n": 9}}))) == []
    assert names(rules.open(Bound({"args": {"n": 3}}))) == [f"r{n:02}" for n in range(len(texts))]


def test_conditions_that_are_too_long_together_stay_apart() -> None:
    long = " || ".join([f"args.name == '{'x' * 60}{n}'" for n in range(50)])
    rules = folded([Rule(f"r{n:02}", f"{long} || args.n == {n}") for n in range(AT_ONCE)])
    assert len(long) * AT_ONCE > 100_000
    assert names(rules.open(Bound({"args": {"name": "y", "n": -1}}))) == names(rules.rules)


@pytest.mark.uncounted
@pytest.mark.parametrize("share", range(4))
def test_conditions_made_by_chance_are_left_out_only_where_each_of_them_is_false(share: int) -> None:
    left_out = 0
    for seed in range(share * 40, share * 40 + 40):
        made = Conditions(Random(seed))
        views = [{"args": made.values(), "action": "tools/call", "now": NOW} for _ in range(4)]
        rules = [Rule(f"never{n}", text) for n, text in enumerate(NEVER)]
        while len(rules) < len(NEVER) + 3:
            try:
                rule = Rule(f"r{len(rules)}", made.condition(2))
            except ConditionError:
                continue
            # Most conditions made by chance are errors, which says nothing about the others.
            if verdict(rule, views[0]) is not ERROR:
                rules.append(rule)
        inside = folded(rules)
        for view in views:
            left = inside.open(Bound(view))
            hidden = [rule for rule in rules if rule not in left]
            assert all(verdict(rule, view) is FALSE for rule in hidden), seed
            left_out += len(hidden)
    assert left_out


def test_a_decision_with_folded_rules_is_that_without() -> None:
    rules = policies(
        "id: all, effect: allow",
        *[f"id: d{n}, effect: deny, when: args.n == {n}" for n in range(40)],
        "id: e, effect: deny, when: args.missing == 1 && args.n == 100",
    )
    for _ in range(2 * AFTER):
        assert isinstance(pdp.decide(rules, call({"n": -1, "missing": 0})), Permit)
    denied = pdp.decide(rules, call({"n": 7, "missing": 0}))
    assert isinstance(denied, Deny)
    assert denied.rules == ("p/d7",)
    failed = pdp.decide(rules, call({"n": 100}))
    assert isinstance(failed, Deny)
    assert failed.rules == ("p/e",)


def test_a_few_deny_rules_are_evaluated_as_one() -> None:
    denies = [f"id: d{n}, effect: deny, when: args.n == {n}" for n in range(3)]
    rules = policies("id: all, effect: allow", *denies, 'id: s, effect: deny, when: "args.n == 9"')
    for _ in range(2 * AFTER):
        assert isinstance(pdp.decide(rules, call({"n": -1})), Permit)
    denied = [pdp.decide(rules, call({"n": n})) for n in (1, 9)]
    assert [one.rules for one in denied if isinstance(one, Deny)] == [("p/d1",), ("p/s",)]


def test_an_engine_in_python_folds_nothing() -> None:
    slow = engine("python")
    assert slow.either([slow.compile("true")]) is None
    assert engine("cpp").compile("args.a").verdict(Bound({"args": {"a": 1}})) is ERROR
