"""An explanation: the verdict of `decide`, what each rule came to, why, and nothing of the arguments."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mcpguard.authoring.explain.explainer import InspectedResult, explain
from mcpguard.authoring.explain.explanation import ConsideredRule, Done, Operand
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.model import Deny, Detection, Permit
from mcpguard.core.policy.pdp import NEEDS_APPROVAL, decide
from mcpguard.core.policy.session import Session, StoredSession
from tests.authoring.explain.explaining import call, explained, policies, tool
from tests.rows import each


def outcomes(candidates: tuple[ConsideredRule, ...]) -> list[str]:
    return [f"{one.rule} {one.outcome}{' *' if one.decided else ''}" for one in candidates]


@pytest.mark.parametrize("engine", ["cpp", "python"])
def test_the_rules_stand_in_the_order_of_their_effects_with_what_each_came_to(engine: EngineName) -> None:
    found = explained(
        policies(
            "effect: allow",
            "effect: allow, when: args.n == 2",
            "effect: ask, when: args.gone",
            "effect: deny, when: args.n == 1, message: Not one.",
            "effect: deny, when: args.gone, mode: shadow",
            "effect: deny, server: other",
            engine=engine,
        ),
        {"n": 1},
    )
    assert (found.effect, found.cause, found.rules, found.message) == ("deny", "rule", ("p/r3",), "Not one.")
    assert outcomes(found.candidates) == [
        "p/r3 held *",
        "p/r4 could not be evaluated",
        "p/r2 could not be evaluated",
        "p/r0 held",
        "p/r1 did not hold",
    ]
    assert [one.rule for one in found.candidates if one.shadow] == ["p/r4"]
    assert found.why == "a matching deny rule overrides every ask rule and every allow rule"


def test_each_operand_is_told_with_its_value_and_its_reason() -> None:
    found = explained(policies("effect: allow, when: 'has(args.a) && (args.b || !args.c)'"), {"c": "x"})
    assert found.candidates[0].operands == (
        Operand(text="has(args.a) && (args.b || !args.c)", depth=0, value="false"),
        Operand(text="has(args.a)", depth=1, value="false", reason="there is no `args.a`"),
        Operand(text="(args.b || !args.c)", depth=1, value="error"),
        Operand(text="args.b", depth=2, value="error", reason="there is no `args.b`"),
        Operand(text="!args.c", depth=2, value="error"),
        Operand(text="args.c", depth=3, value="error", reason="`args.c` is a string"),
    )


@each(
    ("rules", "effect", "cause", "why"),
    [
        (["effect: allow"], "allow", "", "no deny rule and no ask rule matches, and an allow rule does"),
        (["effect: deny, when: args.gone"], "deny", "error", "a deny rule that cannot be evaluated refuses"),
        (["effect: ask"], "ask", "approval", "a person must approve"),
        (["effect: allow, when: args.gone"], "deny", "no-rule", "no allow rule matches"),
        (
            ["effect: allow, limit: {calls: 1, per: session}"],
            "deny",
            "limit",
            "one of their limits is reached",
        ),
        (
            ["effect: allow, argument: {a: 1}", "effect: allow, argument: {a: 2}"],
            "deny",
            "error",
            "the same argument to different values",
        ),
        (
            ["effect: allow, credential: a", "effect: allow, credential: b"],
            "deny",
            "error",
            "different credentials",
        ),
        (
            ["effect: allow, limit: {units: 9, per: 1h, cost: args.gone}"],
            "deny",
            "error",
            "its cost is not a whole number",
        ),
        (
            ["effect: allow, argument: {a: 1}", "effect: allow, when: args.a == 1, argument: {b: 1}"],
            "deny",
            "error",
            "with the arguments that they set, other rules set other arguments",
        ),
    ],
)
def test_it_says_why_this_verdict_and_no_other(rules: list[str], effect: str, cause: str, why: str) -> None:
    spent = StoredSession(spent={"p/r0 calls session": [(0, 1)]})
    found = explained(policies(*rules), {"b": 0}, spent)
    assert (found.effect, found.cause) == (effect, cause)
    assert why in found.why


def test_a_call_with_a_placeholder_of_ours_is_explained_as_that() -> None:
    found = explained(policies("effect: allow"), {"b": "[REDACTED:email#1]"})
    assert (found.effect, found.cause, found.rules) == ("deny", "placeholder", ())
    assert "overwrite the original" in found.why
    assert "`placeholders: true`" in found.message
    assert found.changes == ()


def test_what_is_done_with_an_allowed_call_is_told_by_names_alone() -> None:
    found = explained(
        policies(
            "effect: allow, redact: [email], label: [private], fact: [seen], argument: {limit: 71}, credential: c,"
            " limit: {calls: 3, per: 1h}",
            "effect: allow, limit: {bytes: 10, per: session}",
        ),
        {"limit": 72},
        StoredSession(spent={"p/r1 bytes session": [(0, 4)]}),
    )
    assert found.done == Done(
        redact=("email",),
        labels=("private",),
        facts=("seen",),
        arguments=("limit",),
        credential="c",
        limits=(
            "calls: 1; 0 of 3 in 1h were used before",
            "bytes: those of the result; 4 of 10 in this session were used before",
        ),
    )
    assert "71" not in found.model_dump_json()
    assert "72" not in found.model_dump_json()


def test_where_rules_set_arguments_what_is_sent_is_explained() -> None:
    found = explained(
        policies("effect: allow, argument: {force: true}", "effect: deny, when: args.force"), {"force": False}
    )
    assert (found.effect, found.rules) == ("deny", ("p/r1",))
    assert outcomes(found.candidates) == ["p/r1 held *", "p/r0 held"]


def test_a_rule_of_an_expired_policy_has_ended() -> None:
    found = explained(policies("effect: allow", "effect: deny, when: 'false'", head="expires: 2026-01-01"))
    assert outcomes(found.candidates) == ["p/r1 did not hold", "p/r0 ended"]


def test_it_says_whether_lists_show_it() -> None:
    one = policies("effect: allow, tools: [t]")
    assert explained(one).listed
    assert not explain(one, call(None, tool("u")), Session()).listed
    asked = call()
    assert explain(one, type(asked)(asked.id, "roots/list", asked.principal, asked.now), Session()).listed


def test_shadow_rules_are_told_and_what_they_would_have_done() -> None:
    found = explained(policies("effect: allow", "effect: deny, mode: shadow"))
    assert (found.effect, found.shadow) == ("allow", "deny (rule) p/r1")
    assert found.candidates[0].shadow
    assert not found.candidates[0].decided
    assert found.candidates[0].operands == ()


@pytest.mark.parametrize("denied", [False, True])
def test_a_result_is_explained_as_the_next_decision_of_the_same_session(denied: bool) -> None:
    result = InspectedResult({"content": ["hush"]}, (Detection("email", "/content/0"),))
    kept = StoredSession()
    found = explained(
        policies(
            "effect: allow, label: [private]",
            "on: result, effect: allow, when: '\"private\" in session.labels', redact: [iban], label: [mail], fact: [f]",
            "on: result, effect: deny, when: '\"email\" in findings', message: No mail."
            + ("" if denied else ", mode: shadow"),
        ),
        None,
        kept,
        result,
    )
    told = found.result
    assert told is not None
    assert told.findings == ("email",)
    assert outcomes(told.candidates)[0] == ("p/r2 held *" if denied else "p/r2 held")
    if denied:
        assert (told.effect, told.message, told.done) == ("withhold", "No mail.", Done())
        assert told.why == "a matching deny rule overrides every ask rule and every allow rule"
    else:
        assert (told.effect, told.shadow) == ("allow", "deny (rule) p/r2")
        assert told.done == Done(redact=("iban",), labels=("mail",), facts=("f",))
    assert kept == StoredSession()
    assert "hush" not in found.model_dump_json()


def test_a_refused_call_has_no_result() -> None:
    assert explained(policies("effect: deny"), result=InspectedResult({})).result is None


POOL = [
    "args.a == 'x'",
    "has(args.a) && args.a != ''",
    "args.a",
    "size(args.a) > 3",
    "args.b < 10",
    "url(args.a).host == 'h'",
    "!(glob(args.a, 'x*') || args.b == 1)",
    "sql(args.a, 'postgres').writes",
    "args.l.all(x, x != 'a')",
    "args.a.matches('^x')",
    "detect(args) == []",
    "json(args.a).k == 1",
    "shell(args.a).programs == ['ls']",
    "pathWithin(args.a, '/srv')",
    "'private' in session.labels || args.a in args.l",
]
SECRETS = [
    "zq7hush zq7",
    "http://zq7hush.example/zq7?zq7",
    "SELECT zq7hush FROM zq7",
    '{"k": "zq7hush"}',
    "/srv/zq7hush",
]
VALUES = st.one_of(
    st.sampled_from([*SECRETS, 771177117, -771177117, 77.1177, True, None]),
    st.lists(st.sampled_from(SECRETS), max_size=2),
    st.fixed_dictionaries({"zq7hush": st.sampled_from(SECRETS)}),
)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            'effect: {}, when: "{}"{}'.format,
            st.sampled_from(["allow", "ask", "deny"]),
            st.sampled_from(POOL),
            st.sampled_from(["", ", mode: shadow"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "l": VALUES, "zq7hush": VALUES}),
    st.lists(st.sampled_from(["private", "x"]), max_size=1),
    st.sampled_from(["cpp", "python"]),
)
def test_it_is_the_verdict_of_decide_and_shows_nothing_of_the_arguments(
    rules: list[str], args: dict[str, Any], labels: list[str], engine: EngineName
) -> None:
    found, kept = policies(*rules, engine=engine), StoredSession(labels=labels)
    verdict = decide(found, call(args), Session(kept))
    told = explained(found, args, kept, InspectedResult(args))
    assert (told.effect == "allow") is isinstance(verdict, Permit)
    assert told.rules == verdict.rules
    assert told.shadow == verdict.shadow
    if isinstance(verdict, Deny):
        said = verdict.message if told.listed else "Unknown tool: t"
        assert (told.cause, told.message) == (verdict.cause.value, said)
    written = told.model_dump_json()
    for value in ("zq7", "7711", "77.1"):
        assert value not in written
    assert kept == StoredSession(labels=labels)
    assert all(one.decided == (one.rule in verdict.rules) for one in told.candidates if not one.shadow)


def test_the_message_is_that_of_the_refusal() -> None:
    assert explained(policies("effect: ask")).message == NEEDS_APPROVAL


@pytest.mark.parametrize(
    ("cost", "told"),
    [("args.size", "units: args.size;"), ("3", "units: 3;"), ("args.deep.size", "units: args.deep.size;")],
)
def test_a_cost_that_is_an_argument_is_told_by_its_name(cost: str, told: str) -> None:
    rule = f"effect: allow, limit: {{units: 9000, per: 1h, cost: {cost}}}"
    found = explained(policies(rule), {"size": 4711, "deep": {"size": 4711}})
    assert found.done.limits[0].startswith(told)
    assert "4711" not in repr(found)
