"""What was expected against what came: only what is named counts, and engines differ by a refusal alone."""

from __future__ import annotations

from typing import Any

from mcpguard.authoring.tests.cases import CallEntry, Case, Expect
from mcpguard.authoring.tests.rehearsal import (
    CaseOutcome,
    Judgement,
    Reason,
    UnexpectedValue,
    differences,
    judge,
    reasons,
    rehearse,
)
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

ALLOWED = CaseOutcome(
    effect="allow", rules=("p/a", "p/b"), redact=("email",), arguments={"n": 1}, output={"x": True}
)
DENIED = CaseOutcome(effect="deny", rules=("p/d",), cause="rule", message="Use a branch.")


@each(
    ("expected", "outcome", "keys"),
    [
        (Expect(effect="allow"), ALLOWED, []),
        (Expect(effect="deny"), ALLOWED, ["effect"]),
        (Expect(rules=("p/b", "p/a")), ALLOWED, []),
        (Expect(rules=("p/a",)), ALLOWED, ["rules"]),
        (Expect(redact=(), labels=(), facts=()), ALLOWED, ["redact"]),
        (Expect(arguments={"n": 1}, output={"x": True}), ALLOWED, []),
        (Expect(arguments={"n": True}, output={"x": 1}), ALLOWED, ["arguments", "output"]),
        (Expect(arguments={}), DENIED, ["arguments"]),
        (Expect(cause="rule", message="branch"), DENIED, []),
        (Expect(cause="limit", message="tree", credential="c", shadow="x"), DENIED, ["cause", "message", "credential", "shadow"]),
        (Expect(shadow="", credential=""), DENIED, []),
    ],
)  # fmt: skip
def test_only_what_is_named_is_compared(expected: Expect, outcome: CaseOutcome, keys: list[str]) -> None:
    assert [one.key for one in differences(expected, outcome)] == keys


def test_a_difference_shows_both_sides_in_one_order() -> None:
    assert list(differences(Expect(rules=("p/z", "p/c")), ALLOWED)) == [
        UnexpectedValue(key="rules", expected=["p/c", "p/z"], got=["p/a", "p/b"])
    ]


@each(
    ("expected", "met"),
    [
        (Expect(via=("terminal", "client"), timeout="2h"), True),
        (Expect(timeout="120m"), True),
        (Expect(via=("client",)), False),
        (Expect(timeout=""), False),
        (Expect(timeout="1h"), False),
    ],
)
def test_how_a_call_is_asked_about_is_compared(expected: Expect, met: bool) -> None:
    asked = CaseOutcome(effect="ask", via=("client", "terminal"), timeout="7200s")
    assert (not list(differences(expected, asked))) == met
    assert not list(differences(Expect(timeout=""), CaseOutcome(effect="ask")))


FAILED = CaseOutcome(effect="deny", rules=(), cause="error")
ASKED = CaseOutcome(effect="ask", rules=(), cause="approval")
WITHHELD = CaseOutcome(effect="withhold", rules=("p/w",), cause="rule")


@each(
    ("expected", "first", "second", "judgement"),
    [
        (Expect(effect="allow"), ALLOWED, None, Judgement()),
        (Expect(effect="allow"), ALLOWED, ALLOWED, Judgement()),
        (Expect(effect="allow"), ALLOWED, FAILED, Judgement((), "the Python engine refuses: deny (error)")),
        (Expect(effect="allow"), ALLOWED, WITHHELD, Judgement((), "the Python engine refuses: withhold (rule)")),
        (Expect(effect="allow"), ALLOWED, CaseOutcome(effect="deny", broken="call 1"), Judgement((), "the Python engine refuses: call 1")),
        (Expect(cause="rule"), DENIED, FAILED, Judgement((), "the Python engine refuses: deny (error)")),
        (Expect(effect="deny"), DENIED, FAILED, Judgement()),
        (Expect(effect="deny"), DENIED, ALLOWED, Judgement((UnexpectedValue(key="engines", expected="deny", got="allow by the Python engine"), UnexpectedValue(key="effect", expected="deny", got="allow")))),
        (Expect(message=""), DENIED, ALLOWED, Judgement((UnexpectedValue(key="engines", expected="deny", got="allow by the Python engine"),))),
        (Expect(message=""), DENIED, ASKED, Judgement((UnexpectedValue(key="engines", expected="deny", got="ask (approval) by the Python engine"),))),
        (Expect(redact=("email",)), ALLOWED, CaseOutcome(effect="allow"), Judgement((UnexpectedValue(key="engines", expected="allow", got="allow by the Python engine"), UnexpectedValue(key="redact", expected=["email"], got=[])))),
        (Expect(effect="deny"), ALLOWED, DENIED, Judgement((UnexpectedValue(key="effect", expected="deny", got="allow"),))),
    ],
)  # fmt: skip
def test_the_engines_may_differ_by_a_refusal_alone(
    expected: Expect, first: CaseOutcome, second: CaseOutcome | None, judgement: Judgement
) -> None:
    assert judge(expected, first, second) == judgement
    assert judgement.passed == (not judgement.differences)


def said(
    rules: str, args: dict[str, Any], result: dict[str, Any] | None = None, head: str = ""
) -> list[Reason]:
    text = f"version: 1\npolicy: p\n{head}rules:\n{rules}"
    policies = PolicySet([compile_policy(text, "p.yaml", OPT_IN)])
    case = Case(name="a", call=CallEntry(server="s", tool="t", args=args), expect="allow", result=result)
    return reasons(rehearse(policies, case, Redactor(b"k" * 32)).looks)


def one(when: str, **args: Any) -> tuple[str, tuple[str, ...]]:
    (reason,) = said(f"  - id: r\n    effect: allow\n    when: >-\n      {when}\n", args)
    return reason.state, reason.because


@each(
    ("when", "state", "because"),
    [
        ("args.a == 1", "held", []),
        ("args.a == 2", "not-held", ["args.a == 2 is false"]),
        ("args.a == 1 && args.b == 2 && args.a == 3", "not-held", ["args.b == 2 is false", "args.a == 3 is false"]),
        ("args.a == 2 || (args.b == 2 && args.a == 1)", "not-held", ["args.a == 2 is false", "args.b == 2 is false"]),
        ("!(args.a == 1 && args.b == 1)", "not-held", ["!(args.a == 1 && args.b == 1) is false"]),
        ("args.a == 2 ? true : false", "not-held", ["args.a == 2 ? true : false is false"]),
        ("args.none && args.a == 1", "failed", ["args.none cannot be evaluated"]),
        ("args.a", "failed", ["args.a cannot be evaluated"]),
    ],
)  # fmt: skip
def test_a_rule_says_which_parts_of_its_condition_decided(when: str, state: str, because: list[str]) -> None:
    assert one(when, a=1, b=1) == (state, tuple(because))


def test_all_candidates_of_the_call_and_of_its_result_are_told_shadow_rules_too() -> None:
    rules = (
        "  - {id: a, effect: allow}\n  - {id: d, effect: deny, when: args.x}\n"
        "  - {id: s, effect: deny, mode: shadow}\n  - {id: o, effect: deny, server: other}\n"
        "  - {id: r, effect: deny, on: result, when: 'result.y'}\n"
    )
    assert said(rules, {"x": False}, {"y": False}) == [
        Reason(rule="p/d", effect="deny", state="not-held", because=("args.x is false",)),
        Reason(rule="p/s", effect="deny", state="held"),
        Reason(rule="p/a", effect="allow", state="held"),
        Reason(rule="p/r", effect="deny", state="not-held", because=("result.y is false",)),
    ]


def test_an_expired_rule_says_so() -> None:
    found = said("  - {id: a, effect: allow}\n", {}, head="expires: 2025-12-31\n")
    assert found == [
        Reason(rule="p/a", effect="allow", state="not-held", because=("its policy has expired",))
    ]
