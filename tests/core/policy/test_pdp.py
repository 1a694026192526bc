"""The decision: closed by default, deny over ask over allow, errors only tighten."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Struct, structs

from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.model import Cause, Deny, Invocation, Listed, Permit, Principal
from mcpguard.core.policy import pdp, visibility
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.session import Session, StoredSession
from tests.rows import each

Args = dict[str, Any]
KINDS = frozenset({"email", "iban", "phone"})


class R(Struct, frozen=True):
    """A rule: its effect, its condition, what it redacts, its message."""

    effect: str
    when: str = ""
    redact: tuple[str, ...] = ()
    message: str = ""


def policies(*rules: R, engine: EngineName = "cpp", order: list[int] | None = None) -> PolicySet:
    lines = ["version: 1", "policy: p", "rules:"]
    for index in order or range(len(rules)):
        rule = rules[index]
        lines += [f"  - id: r{index}", f"    effect: {rule.effect}"]
        lines += [f"    when: |\n      {rule.when}"] if rule.when else []
        lines += [f"    redact: [{', '.join(rule.redact)}]"] if rule.redact and rule.effect != "deny" else []
        lines += [f"    message: {rule.message}"] if rule.message else []
    if not rules:
        return PolicySet()
    return PolicySet([compile_policy("\n".join(lines) + "\n", "p.yaml", KINDS, engines.engine(engine))])


def call(args: dict[str, Any] | None = None, **annotations: Any) -> Invocation:
    facts = {"name": "t", "title": "", "description": "", "annotations": annotations}
    return Invocation(
        id="i1",
        method="tools/call",
        principal=Principal("1000", "os-user"),
        now=datetime(2026, 1, 2, tzinfo=UTC),
        agent="claude",
        server="s",
        target=Listed("s", "t", "s__t", {}, facts, "d"),
        args=args,
    )


T, F, E, A = "true", "false", "args.nope == 1", "args.ok"
NO, YES = R("deny", F), R("allow")


@each(
    ("rules", "expected"),
    [
        ([], (Cause.NO_RULE, (), "")),
        ([R("allow", F)], (Cause.NO_RULE, (), "")),
        ([R("allow", E)], (Cause.NO_RULE, (), "")),
        ([R("deny", F)], (Cause.NO_RULE, (), "")),
        ([YES], ("p/r0",)),
        ([R("allow", T), R("allow", F), R("allow", E), R("allow")], ("p/r0", "p/r3")),
        ([YES, R("deny", T, message="No.")], (Cause.RULE, ("p/r1",), "No.")),
        ([YES, R("deny")], (Cause.RULE, ("p/r1",), "")),
        (
            [YES, R("deny", T), R("deny", E, message="E."), R("deny", T, message="B.")],
            (Cause.RULE, ("p/r1", "p/r3"), "B."),
        ),
        ([YES, R("deny", E, message="Say where.")], (Cause.ERROR, ("p/r1",), "Its message: Say where.")),
        ([YES, R("deny", E)], (Cause.ERROR, ("p/r1",), "")),
        ([YES, R("deny", F)], ("p/r0",)),
        ([YES, R("ask", T)], (Cause.APPROVAL, ("p/r1",), pdp.NEEDS_APPROVAL)),
        ([YES, R("ask", E, message="Ask Ada.")], (Cause.APPROVAL, ("p/r1",), "Ask Ada.")),
        ([YES, R("ask", E), R("ask", T)], (Cause.APPROVAL, ("p/r1", "p/r2"), pdp.NEEDS_APPROVAL)),
        ([YES, R("ask", F)], ("p/r0",)),
        ([R("ask", T)], (Cause.APPROVAL, ("p/r0",), pdp.NEEDS_APPROVAL)),
        ([YES, R("ask", T), R("deny", T)], (Cause.RULE, ("p/r2",), "")),
        ([YES, R("ask", T), R("deny", E)], (Cause.ERROR, ("p/r2",), "")),
    ],
)
@each("engine", ["cpp", "python"])
def test_a_decision_is_deny_over_ask_over_allow(engine: EngineName, rules: list[R], expected: Any) -> None:
    invocation = call({"ok": True})
    verdict = pdp.decide(policies(*rules, engine=engine), invocation)
    assert verdict.invocation is invocation
    if isinstance(verdict, Permit):
        assert verdict.rules == expected
    else:
        assert (verdict.cause, verdict.rules, verdict.message) == expected


def test_what_is_redacted_is_the_union_over_the_allows_that_hold_or_fail() -> None:
    rules = [
        R("allow", T, ("iban",)),
        R("allow", A, ("email", "iban")),
        R("allow", F, ("phone",)),
        R("deny", F),
    ]
    verdict = pdp.decide(policies(*rules), call({"ok": True}))
    assert isinstance(verdict, Permit)
    assert verdict.redact == ("email", "iban")
    failing = pdp.decide(policies(*rules), call({}))
    assert isinstance(failing, Permit)
    assert (failing.rules, failing.redact) == (("p/r0",), ("email", "iban"))


@each(
    "when",
    [
        "action == 'tools/call' && server == 's'",
        "tool.name == 't' && tool.title == '' && tool.description == ''",
        "tool.annotations.readOnlyHint == true && !has(tool.annotations.destructiveHint)",
        "args == {'x': 1}",
        "principal.id == '1000' && principal.source == 'os-user'",
        "client.agent == 'claude'",
        "now == timestamp('2026-01-02T00:00:00Z')",
    ],
)
@each("engine", ["cpp", "python"])
def test_a_condition_sees_the_request(engine: EngineName, when: str) -> None:
    verdict = pdp.decide(policies(R("allow", when), engine=engine), call({"x": 1}, readOnlyHint=True))
    assert isinstance(verdict, Permit)


def test_a_principal_is_no_other_thing() -> None:
    ada = Principal("ada", "idp", ("admins",), {"a": 1})
    assert {ada} == {Principal("ada", "idp", ("admins",), {"a": 1})}
    assert ada not in (Principal("ada", "idp"), Principal("ada", "os-user", ("admins",), {"a": 1}), "ada")


def test_what_a_request_lacks_is_an_error_and_an_agent_without_label_is_an_empty_text() -> None:
    bare = Invocation("i", "tools/call", Principal("1", "os-user"), call().now, server="s")
    assert isinstance(pdp.decide(policies(R("allow", "client.agent == ''")), bare), Permit)
    for when in ["tool.name == 't'", "args.x == 1", "!has(tool.title)", "!has(args.x)"]:
        refusal = pdp.decide(policies(YES, R("deny", when)), bare)
        assert isinstance(refusal, Deny)
        assert refusal.cause is Cause.ERROR


def test_an_argument_that_no_engine_can_hold_refuses() -> None:
    for value in [2**70, "\ud800", object()]:
        refusal = pdp.decide(policies(YES, R("deny", "args.x == 'a'")), call({"x": value}))
        assert isinstance(refusal, Deny)
        assert refusal.cause is Cause.ERROR


@each(
    ("when", "cause"),
    [
        ("true", Cause.PIN),
        ("args.n == 1", Cause.PIN),
        ("args.n == 2", Cause.NO_RULE),
        ("args.m == 1", Cause.NO_RULE),
    ],
)
def test_a_call_of_what_is_held_is_refused_by_rules_where_they_refuse_it_and_else_for_its_pin(
    when: str, cause: Cause
) -> None:
    held = call({"n": 1})
    held = structs.replace(held, target=structs.replace(held.target, held=True))
    verdict = pdp.decide(policies(R("allow", when)), held)
    assert isinstance(verdict, Deny)
    assert (verdict.cause, verdict.invocation) == (cause, held)


def test_a_protocol_method_is_permitted_by_no_rule() -> None:
    invocation = call()
    assert pdp.permit_protocol(invocation) == Permit(invocation, (), ())


# --- lists ----------------------------------------------------------------------------------------


@each(
    ("rules", "expected"),
    [
        ([], False),
        ([R("allow", F)], False),
        ([R("allow", "tool.execution")], False),
        ([YES], True),
        ([R("allow", A)], True),
        ([R("allow", "args.x == 1 && false")], False),
        ([R("allow", "args.x == 1 && tool.name == 'other'")], False),
        ([YES, R("deny", T)], False),
        ([YES, R("deny", "tool.execution")], False),
        ([YES, R("deny", A)], True),
        ([YES, R("deny", "args.x == 1 || true")], False),
        ([YES, R("deny", "!has(args.x)")], True),
        ([R("ask")], True),
        ([R("ask", A)], True),
        ([R("ask", "tool.execution")], True),
        ([R("ask", F)], False),
        ([YES, R("ask")], True),
        ([R("ask"), R("deny")], False),
    ],
)
def test_a_list_shows_what_some_arguments_may_reach(rules: list[R], expected: bool) -> None:
    assert visibility.visible(policies(*rules), call()) is expected
    if not any("false" in rule.when or "other" in rule.when or "|| true" in rule.when for rule in rules):
        assert visibility.visible(policies(*rules, engine="python"), call()) is expected


def test_a_list_is_filtered_for_calls_whatever_method_asks_and_whatever_args_it_brings() -> None:
    listing = Invocation(
        "i", "tools/list", call().principal, call().now, server="s", target=call().target, args={"ok": False}
    )
    assert visibility.visible(policies(R("allow", "args.ok && action == 'tools/call'")), listing)


def targeted(kind: str, method: str, args: Args | None = None) -> Invocation:
    facts = {"name": "n", "title": "", "description": "", "annotations": {}, "uri": "x:1", "mimeType": ""}
    target = Listed("s", "n", "n", {}, facts, "d", kind)
    return Invocation("i", method, call().principal, call().now, server="s", target=target, args=args)


def acting(action: str, when: str, effect: str = "allow") -> PolicySet:
    text = f"version: 1\npolicy: p\nrules:\n  - {{id: r, effect: {effect}, action: [{action}], when: {when!r}}}\n"
    return PolicySet([compile_policy(text, "p.yaml", KINDS)])


@pytest.mark.parametrize(
    ("kind", "action", "seen"),
    [
        ("prompt", "prompts/get", "prompt.name == 'n'"),
        ("resource", "resources/read", "resource.uri == 'x:1'"),
        ("template", "resources/read", "resource.uri == 'x:1'"),
        ("tool", "tools/call", "tool.name == 'n'"),
    ],
)
def test_a_list_of_each_kind_is_filtered_for_what_reaches_it(kind: str, action: str, seen: str) -> None:
    assert visibility.visible(acting(action, seen), targeted(kind, ""))
    assert visibility.visible(acting(action, f"{seen} && args.x == 1"), targeted(kind, ""))
    assert not visibility.visible(acting(action, f"!({seen})"), targeted(kind, ""))
    others = {"prompts/get", "resources/read", "tools/call"} - {action}
    for other in others:
        assert not visibility.visible(acting(other, "true"), targeted(kind, ""))


def test_a_condition_on_one_kind_is_an_error_for_another() -> None:
    for when in ("tool.name == 'n'", "prompt.name == 'n'"):
        verdict = pdp.decide(acting("resources/read", when), targeted("resource", "resources/read", {}))
        assert isinstance(verdict, Deny)
        refusal = pdp.decide(
            acting("resources/read", when, "deny"), targeted("resource", "resources/read", {})
        )
        assert isinstance(refusal, Deny)
        assert refusal.cause is Cause.ERROR


def test_a_method_that_no_rule_can_name_is_decided_as_an_extension() -> None:
    rule = acting("extension", "action == 'skills/list' && args.a == 1")
    bare = Invocation("i", "skills/list", call().principal, call().now, server="s", args={"a": 1})
    assert isinstance(pdp.decide(rule, bare), Permit)
    assert isinstance(pdp.decide(acting("tools/call", "true"), bare), Deny)


def test_a_permit_is_used_again_with_the_same_right_and_other_params() -> None:
    permit = Permit(call({"x": 1}), ("p/r",), ("email",))
    again = pdp.again(permit, {"requestState": "s"})
    assert (again.rules, again.redact) == (permit.rules, permit.redact)
    assert again.invocation.params == {"requestState": "s"}
    assert (again.invocation.args, again.invocation.target) == (
        permit.invocation.args,
        permit.invocation.target,
    )


# --- laws -----------------------------------------------------------------------------------------

CONDITIONS = [
    *("", T, F, E, "args.a", "args.a == 1", "!has(args.a)", "has(args.a) && args.a", "args.a || args.b"),
    *(
        "args.a && args.b",
        "tool.annotations.readOnlyHint",
        "has(tool.annotations.readOnlyHint)",
        "tool.execution",
    ),
    *("args.a == 'x' || true", "args.a == 'x' && false", "args.a ? args.b : true", "size(args) > 1"),
]
rules_of = st.lists(
    st.builds(
        R,
        effect=st.sampled_from(["allow", "allow", "ask", "deny"]),
        when=st.sampled_from(CONDITIONS),
        redact=st.sampled_from([(), ("email",), ("iban", "phone")]),
    ),
    min_size=1,
    max_size=5,
)
values = st.one_of(st.booleans(), st.integers(), st.text(max_size=3), st.none())
args_of = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)
law = settings(deadline=None)


@given(rules=rules_of, more=st.sampled_from(CONDITIONS), args=args_of)
@law
def test_law_adding_a_deny_or_an_ask_never_makes_a_permit(rules: list[R], more: str, args: Args) -> None:
    before = pdp.decide(policies(*rules), call(args))
    for effect in ["deny", "ask"]:
        after = pdp.decide(policies(*rules, R(effect, more)), call(args))
        assert isinstance(before, Permit) or isinstance(after, Deny)


@given(rules=rules_of, args=args_of, seed=st.randoms(use_true_random=False))
@law
def test_law_the_order_of_rules_does_not_matter(rules: list[R], args: Args, seed: random.Random) -> None:
    order = list(range(len(rules)))
    seed.shuffle(order)
    invocation = call(args)
    assert pdp.decide(policies(*rules), invocation) == pdp.decide(policies(*rules, order=order), invocation)


@given(rules=rules_of, args=args_of, data=st.data())
@law
def test_law_an_error_in_a_rule_only_tightens(rules: list[R], args: Args, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rules) - 1))
    rule = rules[at]

    def with_condition(when: str) -> Permit | Deny:
        changed = [*rules[:at], R(rule.effect, when, rule.redact), *rules[at + 1 :]]
        return pdp.decide(policies(*changed), call(args))

    failing = with_condition(E)
    for answer in [with_condition(T), with_condition(F)]:
        if isinstance(failing, Permit):
            assert isinstance(answer, Permit)
            assert set(answer.redact) <= set(failing.redact)


@given(rules=rules_of, args=args_of, hint=st.sampled_from([{}, {"readOnlyHint": True}, {"readOnlyHint": 1}]))
@law
def test_law_a_tool_is_listed_whenever_some_arguments_are_allowed(
    rules: list[R], args: dict[str, Any], hint: dict[str, Any]
) -> None:
    for engine in ("cpp", "python"):
        made = policies(*rules, engine=engine)
        if isinstance(pdp.decide(made, call(args, **hint)), Permit):
            assert visibility.visible(made, call(**hint))


STATES = st.builds(
    StoredSession,
    calls=st.integers(0, 3),
    labels=st.lists(st.sampled_from(["a", "b"]), unique=True),
    facts=st.lists(st.sampled_from(["f"]), unique=True),
    spent=st.dictionaries(
        st.just("p/r0 calls 1h"), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)))
    ),
)
WHENS = [
    "",
    "'a' in session.labels",
    "'f' in session.facts",
    "session.calls > 1",
    "args.x == 1",
    "args.nope == 1",
]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["allow", "ask", "deny"]), st.sampled_from(WHENS)), min_size=1), STATES
)
def test_law_a_verdict_is_a_function_of_policies_request_and_session(rules: Any, kept: StoredSession) -> None:
    """What was recorded of the three decides the same again, also after it was written down and read back."""
    chosen = policies(*(R(effect, when) for effect, when in rules))
    invocation = call({"x": 1})
    before = msgspec.json.encode(kept)
    first = pdp.decide(chosen, invocation, Session(kept))
    assert msgspec.json.encode(kept) == before
    again = policies(*(R(effect, when) for effect, when in rules))
    assert pdp.decide(again, invocation, Session(msgspec.json.decode(before, type=StoredSession))) == first


@given(rules=rules_of, args=args_of)
@law
def test_law_both_engines_decide_the_same_or_one_refuses(rules: list[R], args: dict[str, Any]) -> None:
    fast = pdp.decide(policies(*rules), call(args))
    slow = pdp.decide(policies(*rules, engine="python"), call(args))
    if isinstance(fast, Permit) and isinstance(slow, Permit):
        # The fast engine holds 64 bits: a rule that reads a bigger integer fails there, and allows nothing.
        fits = all(type(value) is not int or -(2**63) <= value < 2**63 for value in args.values())
        assert fast.rules == slow.rules if fits else set(fast.rules) <= set(slow.rules)
    else:
        assert isinstance(fast, Deny) or isinstance(slow, Deny)


def test_law_every_table_of_three_rules_is_closed() -> None:
    outcomes = {T: "true", F: "false", E: "error"}
    for deny, ask, allow in itertools.product(outcomes, repeat=3):
        verdict = pdp.decide(policies(R("deny", deny), R("ask", ask), R("allow", allow)), call({}))
        assert isinstance(verdict, Permit) is ((deny, ask, allow) == (F, F, T))


def test_what_an_allow_that_has_ended_redacts_and_labels_goes_on_where_another_allows() -> None:
    ended = compile_policy(
        "version: 1\npolicy: old\nexpires: 2020-01-01\nrules:\n"
        "  - {id: a, effect: allow, redact: [email], label: [l], fact: [f], argument: {x: 1}}\n",
        "old",
        KINDS,
    )
    other = compile_policy("version: 1\npolicy: p\nrules: [{id: a, effect: allow}]\n", "p", KINDS)
    assert isinstance(pdp.decide(PolicySet([ended]), call({})), Deny)
    permit = pdp.decide(PolicySet([ended, other]), call({}))
    assert isinstance(permit, Permit)
    assert (permit.rules, permit.redact, permit.labels) == (("p/a",), ("email",), ("l",))
    assert (permit.facts, permit.invocation.args) == ((), {})


def test_a_verdict_does_not_hang_on_who_was_decided_on_before() -> None:
    policies = PolicySet(
        [
            compile_policy(
                "version: 1\npolicy: p\nrules: [{id: a, effect: allow, when: principal.claims.admin == true}]\n",
                "p",
                KINDS,
            )
        ]
    )
    verdicts = [
        type(
            pdp.decide(
                policies, structs.replace(call({}), principal=Principal("ada", "idp", (), {"admin": is_so}))
            )
        )
        for is_so in (True, 1, True, 1.0)
    ]
    assert verdicts == [Permit, Deny, Permit, Deny]


def test_principals_are_the_same_with_the_same_claims_and_types_only() -> None:
    ada = Principal("ada", "idp", ("ops",), {"a": 1, "b": [True]})
    assert ada == Principal("ada", "idp", ("ops",), {"b": [True], "a": 1})
    assert ada.__eq__("ada") is NotImplemented
    for claims in ({"a": True, "b": [True]}, {"a": 1.0, "b": [True]}, {"a": 1, "b": [1]}, {}):
        assert ada != Principal("ada", "idp", ("ops",), claims)
    assert ada != Principal("ada", "idp", (), ada.claims)


def test_a_constant_pattern_is_matched_before_conditions_are_evaluated() -> None:
    rules = policies(YES, R("deny", "args.x.matches('^rm')"))
    assert isinstance(pdp.decide(rules, call({"x": "ls"})), Permit)
    assert isinstance(pdp.decide(rules, call({"x": "rm -r"})), Deny)
    failed = pdp.decide(rules, call({"x": 1}))
    assert isinstance(failed, Deny)
    assert failed.cause is Cause.ERROR
