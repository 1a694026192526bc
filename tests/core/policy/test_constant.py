"""Conditions that read only what a server lists are evaluated once for each tool, and decide as the others do."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.hoisted import HoistedCall
from mcpguard.core.conditions.hoisting import Members
from mcpguard.core.model import Deny, Listed, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.folding import AFTER, FEW, ToolVerdicts, constant_of
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call

READS_TOOL = "tool.annotations.readOnlyHint == true"


class Counted:
    """A condition that counts how often it is evaluated."""

    calls: tuple[HoistedCall, ...] = ()
    reads = frozenset({"tool"})
    text = READS_TOOL

    def __init__(self, says: Verdict) -> None:
        self.engine = engine()
        self.members: Members = {"tool": frozenset({"annotations"})}
        self.says = says
        self.evaluated = 0

    def verdict(self, bound: Bound) -> Verdict:
        self.evaluated += 1
        return self.says


def tool(**annotations: Any) -> Listed:
    target = call({}, **annotations).target
    assert target is not None
    return target


def given(constant: ToolVerdicts, target: Listed | None) -> Bound:
    bound = Bound({"args": {}}, {"args": None, "tool": None})
    if target is constant.target or constant.ask(target, bound):
        bound.known, bound.members = constant.verdicts, constant.members
    return bound


def test_a_condition_on_the_tool_is_evaluated_once_for_each_time_that_it_is_listed() -> None:
    condition, one, two = Counted(TRUE), tool(), tool()
    constant = ToolVerdicts([condition], [engine().compile("args.n == 1")])
    assert given(constant, one).known == given(constant, one).known == {condition: TRUE}
    assert condition.evaluated == 1
    condition.says = FALSE
    assert given(constant, two).known == {condition: FALSE}
    assert condition.evaluated == 2


def test_what_is_known_is_not_read_again() -> None:
    constant = ToolVerdicts([Counted(TRUE)], [engine().compile("args.n == 1")])
    assert given(constant, tool()).members == {"args": frozenset({"n"})}


def test_where_one_of_them_fails_none_is_known() -> None:
    certain, failing = Counted(TRUE), Counted(ERROR)
    constant, target = ToolVerdicts([certain, failing], []), tool()
    for _ in range(2):
        bound = given(constant, target)
        assert (bound.known, bound.members) == ({}, {"args": None, "tool": None})
    assert failing.evaluated == 1


def test_nothing_is_known_of_what_is_no_tool() -> None:
    constant = ToolVerdicts([Counted(TRUE)], [])
    assert given(constant, None).known == {}
    assert given(constant, structs.replace(tool(), kind="resource")).known == {}


def test_a_condition_is_constant_that_reads_only_what_is_listed_and_asks_no_function_of_ours() -> None:
    texts = [
        READS_TOOL,
        "server == 's' && action == 'tools/call'",
        "matches(tool.name, '^get_')",
        "size(tool.description) > 3",
        "args.n == 1",
        "principal.id == '1000'",
        "now > timestamp('2026-01-01T00:00:00Z')",
        "'held' in detect(tool.description)",
        "'held' in detect(tool.description + tool.name)",
    ]
    conditions = [engine().compile(text) for text in texts]
    assert constant_of([None, *conditions]) == conditions[:4]


def test_of_many_none_is_kept_since_they_are_folded() -> None:
    many = [engine().compile(f"tool.name == 't{n}'") for n in range(FEW + 1)]
    assert constant_of(many[:FEW]) == many[:FEW]
    assert constant_of(many) == []


def test_a_tool_that_is_listed_anew_is_decided_anew() -> None:
    rules = policies(f"id: a, effect: allow, when: {READS_TOOL}", "id: d, effect: deny, when: args.n == 1")
    for _ in range(3):
        assert isinstance(pdp.decide(rules, call({"n": 0}, readOnlyHint=True)), Permit)
        assert isinstance(pdp.decide(rules, call({"n": 0}, readOnlyHint=False)), Deny)
        denied = pdp.decide(rules, call({"n": 1}, readOnlyHint=True))
        assert isinstance(denied, Deny)
        assert denied.rules == ("p/d",)


def test_a_condition_that_fails_for_one_tool_refuses_with_the_same_words_each_time() -> None:
    rules = policies("id: a, effect: allow", "id: d, effect: deny, when: tool.title.nope == 1 || args.n == 1")
    said = [pdp.decide(rules, call({"n": 0})) for _ in range(3)]
    assert all(isinstance(one, Deny) and one.rules == ("p/d",) for one in said)
    assert len({one.message for one in said if isinstance(one, Deny)}) == 1


def test_rules_in_shadow_mode_see_the_tool_too() -> None:
    rules = policies(
        f"id: a, effect: allow, when: {READS_TOOL}",
        "id: s, effect: deny, mode: shadow, when: 'tool.annotations.readOnlyHint == true && args.n == 1'",
    )
    for _ in range(2):
        verdict = pdp.decide(rules, call({"n": 1}, readOnlyHint=True))
        assert isinstance(verdict, Permit)
        assert verdict.shadow == "deny (rule) p/s"


@pytest.mark.uncounted
def test_decisions_are_those_that_are_made_without_anything_known(monkeypatch: pytest.MonkeyPatch) -> None:
    atoms = [
        READS_TOOL,
        "tool.name == 't'",
        "tool.title.nope == 1",
        "server == 's'",
        "args.n == 1",
        "has(args.text) && args.text == tool.name",
        "tool.annotations.readOnlyHint == true && args.n == 0",
    ]
    random = Random(7)
    for _ in range(60):
        effects = random.choices(("allow", "deny", "ask"), k=5)
        written = [
            f"id: r{n}, effect: {one}, when: {random.choice(atoms)!r}" for n, one in enumerate(effects)
        ]
        known, plain = policies(*written), policies(*written)
        calls = [
            call(
                {"n": random.randrange(3), "text": random.choice("tu\x00")},
                readOnlyHint=random.random() < 0.5,
            )
            for _ in range(4)
        ]
        with monkeypatch.context() as without:
            without.setattr(ToolVerdicts, "ask", lambda *_: False)
            expected = [pdp.decide(plain, one) for one in calls]
        for _ in range(AFTER + 4):
            assert [pdp.decide(known, one) for one in calls] == expected, written
