"""What the tests of a policy have seen: rules, and the branches of their conditions."""

from __future__ import annotations

from typing import Any

from mcpguard.authoring.tests.cases import CallEntry, Case
from mcpguard.authoring.tests.rehearsal import rehearse
from mcpguard.authoring.tests.running import Coverage, percent, unseen
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor

REDACTOR = Redactor(b"k" * 32)
CALL = CallEntry(server="s", tool="t")


def covered(text: str, *cases: Case, source: str = "p.yaml", coverage: Coverage | None = None) -> Coverage:
    coverage = coverage or Coverage()
    compiled = compile_policy(f"version: 1\npolicy: p\nrules:\n{text}", source, OPT_IN)
    for case in cases:
        coverage.add([compiled], rehearse(PolicySet([compiled]), case, REDACTOR).looks)
    return coverage


def missing(coverage: Coverage) -> list[str]:
    return [f"{one.line}:{one.column} {one.missing}" for one in coverage.goals() if one.missing]


def call(server: str = "s", result: dict[str, Any] | None = None, **args: Any) -> Case:
    return Case(name="a", call=CallEntry(server=server, tool="t", args=args), expect="allow", result=result)


def test_a_rule_must_decide_once_and_leave_one_case_alone() -> None:
    rule = "  - {id: r, effect: allow, server: s}\n"
    assert missing(covered(rule, call())) == ["4:10 rule p/r applied to the call in every case"]
    assert missing(covered(rule, call("other"))) == ["4:10 no case reached rule p/r"]
    both = covered(rule, call(), call("other"))
    assert missing(both) == []
    assert percent(both.goals()) == 100


def test_a_rule_that_speaks_of_everything_need_not_leave_any_alone() -> None:
    assert missing(covered("  - {id: r, effect: allow, action: ['*']}\n", call())) == []


def test_a_condition_must_not_hold_in_a_case_that_its_rule_was_asked_about() -> None:
    rule = "  - {id: r, effect: allow, server: s, when: args.x}\n"
    said = "4:45 the condition of rule p/r was true in every case that reached it"
    assert missing(covered(rule, call(x=True), call("other"))) == [said]
    assert missing(covered(rule, call(x=True), call(x=False))) == []


def test_a_rule_that_no_case_reached_is_listed_once() -> None:
    rule = "  - {id: r, effect: allow, server: s, when: args.x || args.y}\n"
    goals = covered(rule, call("other")).goals()
    assert len(goals) == 6
    assert percent(goals) == 0
    assert [one.missing for one in unseen(goals)] == ["no case reached rule p/r"]
    assert len(unseen(covered(rule, call(x=False, y=False)).goals())) == 3


def test_a_rule_that_is_overridden_did_not_decide() -> None:
    rules = "  - {id: r, effect: allow}\n  - {id: d, effect: deny, server: s}\n"
    assert "4:10 rule p/r never decided" in missing(covered(rules, call()))


def test_each_branch_must_be_true_once_and_false_once_at_its_place() -> None:
    rule = "  - id: r\n    effect: allow\n    when: >-\n      args.a &&\n      (args.b || args.c)\n"
    found = covered(rule, call(a=True, b=True, c=False), call(a=True, b=False, c=False))
    assert missing(found) == ["7:7 never false: args.a", "8:18 never true: args.c"]
    assert round(percent(found.goals())) == 80


def test_a_branch_that_was_seen_both_ways_stays_seen() -> None:
    rule = "  - {id: r, effect: allow, server: s, when: args.a && args.b}\n"
    cases = [call(a=a, b=b) for a, b in [(True, True), (True, False), (False, True), (False, 1)]]
    assert missing(covered(rule, *cases)) == []


def test_an_error_is_neither_true_nor_false() -> None:
    rule = "  - {id: r, effect: allow, when: has(args.a) && args.a}\n"
    assert missing(covered(rule, call(), call(a=True))) == ["4:49 never false: args.a"]


def test_rules_on_results_are_counted_on_results() -> None:
    rules = "  - {id: a, effect: allow, action: ['*']}\n  - {id: r, effect: deny, on: result, server: s}\n"
    assert missing(covered(rules, call())) == [
        "5:10 no case reached rule p/r",
        "5:10 no case reached rule p/r",
    ]
    assert missing(covered(rules, call(result={}), call("other", {}))) == []


def test_shadow_rules_count_by_what_they_would_have_done() -> None:
    rules = (
        "  - {id: a, effect: allow, action: ['*']}\n  - {id: d, effect: deny, mode: shadow, when: args.x}\n"
    )
    assert missing(covered(rules, call(x=True), call(x=False))) == []


def test_files_with_one_policy_are_counted_together_and_others_apart() -> None:
    rule = "  - {id: r, effect: allow, server: s}\n"
    coverage = covered(rule, call())
    assert missing(covered(rule, call("other"), coverage=coverage)) == []
    covered(rule, call(), source="q.yaml", coverage=coverage)
    assert [one.source for one in coverage.goals() if one.missing] == ["q.yaml"]


def test_nothing_to_cover_is_covered_wholly() -> None:
    assert percent([]) == 100
