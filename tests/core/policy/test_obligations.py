"""What rules that allow want done: limits, labels, facts, arguments, a credential; and rules in shadow mode."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.errors import PolicyError
from mcpguard.core.model import Cause, Deny, Permit, Principal
from mcpguard.core.policy import pdp, visibility
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.session import Session, StoredSession
from tests.core.policy.test_pdp import call
from tests.rows import each

KINDS = frozenset({"email"})


def policies(*rules: str, head: str = "") -> PolicySet:
    lines = "".join(f"  - {{{rule}}}\n" for rule in rules)
    return PolicySet([compile_policy(f"version: 1\npolicy: p\n{head}rules:\n{lines}", "p", KINDS)])


def decide(*rules: str, args: Any = None, session: Session | None = None, head: str = "") -> Permit | Deny:
    return pdp.decide(policies(*rules, head=head), call(args or {}), session)


def test_labels_of_failing_allows_count_and_facts_do_not() -> None:
    verdict = decide(
        "id: a, effect: allow, label: [x], fact: [f]",
        "id: b, effect: allow, label: [y], fact: [g], when: args.nope == 1",
        "id: c, effect: allow, label: [z], when: 'false'",
        session=Session(),
    )
    assert isinstance(verdict, Permit)
    assert (verdict.rules, verdict.labels, verdict.facts) == (("p/a",), ("x", "y"), ("f",))


def test_what_the_session_did_decides() -> None:
    rules = (
        "id: push, effect: allow, when: \"'tests-passed' in session.facts\"",
        "id: leak, effect: deny, when: \"'private' in session.labels\"",
    )
    verdicts = [
        decide(*rules, session=Session(kept))
        for kept in (
            StoredSession(),
            StoredSession(facts=["tests-passed"]),
            StoredSession(facts=["tests-passed"], labels=["private"]),
        )
    ]
    assert [getattr(verdict, "cause", None) for verdict in verdicts] == [Cause.NO_RULE, None, Cause.RULE]


def test_without_a_session_what_depends_on_it_is_refused() -> None:
    limited = decide("id: a, effect: allow, limit: {per: 1h, calls: 1}")
    reading = decide("id: a, effect: allow", "id: d, effect: deny, when: session.calls > 5")
    assert isinstance(limited, Deny)
    assert isinstance(reading, Deny)
    assert (limited.cause, limited.message, reading.cause) == (Cause.ERROR, pdp.NO_SESSION, Cause.ERROR)
    assert pdp.no_session(call({})) == limited


def test_a_client_over_http_is_told_that_an_operator_can_make_room() -> None:
    session, known = Session(), policies("id: a, effect: allow, limit: {per: session, calls: 1}")
    remote = structs.replace(call({}), principal=Principal("ada", "https://login.example"))
    permit = pdp.decide(known, remote, session)
    assert isinstance(permit, Permit)
    session.admit(permit)
    refusal = pdp.decide(known, remote, session)
    assert isinstance(refusal, Deny)
    assert "An operator of this gateway can reset it with `mcpguard session clear p/a`" in refusal.message


@each(
    ("rule", "said"),
    [
        (
            "limit: {per: 1h, calls: 2}",
            "the limit of 2 calls in 1h is reached. Try again at 2026-01-02T01:01:00Z",
        ),
        (
            "limit: {per: session, calls: 2}",
            "the limit of 2 calls in this session is reached. A person can reset it with `mcpguard session "
            "clear p/a`",
        ),
        (
            "limit: {per: 1h, units: 9, cost: 4}",
            "the limit of 9 units in 1h is reached. Try again at 2026-01-02T01:01:00Z",
        ),
        (
            "limit: {per: 1h, units: 2, cost: args.n}",
            "the limit of 2 units in 1h is reached. Try again at 2026-01-02T01:01:00Z",
        ),
        (
            "limit: {per: 1h, calls: 2}, message: Slow down.",
            "the limit of 2 calls in 1h is reached. Try again at 2026-01-02T01:01:00Z. Slow down.",
        ),
    ],
)
def test_beyond_its_limit_a_rule_refuses(rule: str, said: str) -> None:
    session, verdicts = Session(), []
    for _ in range(3):
        verdict = decide(f"id: a, effect: allow, {rule}", args={"n": 1}, session=session)
        verdicts.append(verdict)
        if isinstance(verdict, Permit):
            session.admit(verdict)
    assert [type(verdict) for verdict in verdicts] == [Permit, Permit, Deny]
    last = verdicts[-1]
    assert isinstance(last, Deny)
    assert (last.cause, last.rules, last.message) == (Cause.LIMIT, ("p/a",), said)


def test_a_call_that_is_more_than_its_limit_is_told_so() -> None:
    verdict = decide("id: a, effect: allow, limit: {per: 1h, units: 1, cost: 7}", session=Session())
    assert isinstance(verdict, Deny)
    assert verdict.message == "the limit of 1 unit in 1h is reached. This call alone would exceed it"


@each("args", [{}, {"n": 0}, {"n": -1}, {"n": True}, {"n": 1.5}, {"n": "2"}, {"n": {"n": 1}}, {"n": 1 << 60}])
def test_a_cost_that_is_no_whole_number_is_an_error(args: Any) -> None:
    verdict = decide(
        "id: a, effect: allow, limit: {per: 1h, units: 9, cost: args.n}", args=args, session=Session()
    )
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.ERROR
    assert (
        verdict.message
        == "A limit counts `args.n`, which has to be a whole number from 1 to 9007199254740992."
    )


def test_a_cost_may_be_any_whole_number_that_each_client_can_write() -> None:
    most = 1 << 53
    rule = f"id: a, effect: allow, limit: {{per: 1h, units: {most}, cost: args.n}}"
    assert isinstance(decide(rule, args={"n": 1}, session=Session()), Permit)
    assert isinstance(decide(rule, args={"n": most}, session=Session()), Permit)
    verdict = decide(rule, args={"n": most + 1}, session=Session())
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.ERROR


def test_arguments_that_a_rule_sets_are_decided_and_sent() -> None:
    verdict = decide(
        "id: a, effect: allow, argument: {limit: 10, deep: {x: [1]}}", args={"q": "a", "limit": 99}
    )
    assert isinstance(verdict, Permit)
    assert verdict.invocation.args == {"q": "a", "limit": 10, "deep": {"x": [1]}}
    assert verdict.invocation.params == {"arguments": verdict.invocation.args}


def test_a_deny_sees_the_arguments_that_are_sent() -> None:
    rules = ("id: a, effect: allow, argument: {limit: 10}", "id: d, effect: deny, when: args.limit == 10")
    verdict = decide(*rules, args={"limit": 1})
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.RULE


@each(
    ("deny", "args", "sent"),
    [
        ("'!has(args.dry) || args.dry != true'", {}, {"dry": True}),
        ("'!has(args.dry) || args.dry != true'", {"dry": False}, {"dry": True}),
        ("args.dry == false", {"dry": False}, {"dry": True}),
        ("args.other == 1", {"dry": True, "other": 1}, None),
        ("args.dry == true", {}, None),
    ],
)
def test_a_deny_sees_only_the_arguments_that_are_sent(deny: str, args: Any, sent: Any) -> None:
    for effect, approved in (("allow", []), ("ask", ["p/a"])):
        found = policies(
            f"id: a, effect: {effect}, argument: {{dry: true}}", f"id: d, effect: deny, when: {deny}"
        )
        verdict = pdp.decide(found, call(args), approved=frozenset(approved))
        assert (verdict.invocation.args if isinstance(verdict, Permit) else None) == sent


def test_a_person_is_asked_about_a_call_as_it_came() -> None:
    rules = ("id: a, effect: ask, argument: {dry: true}", "id: d, effect: deny, when: args.dry == false")
    verdict = decide(*rules, args={"dry": False})
    assert isinstance(verdict, Deny)
    assert (verdict.cause, verdict.invocation.args) == (Cause.APPROVAL, {"dry": False})


@each(
    "rules",
    [
        ("id: a, effect: allow, argument: {n: 1}", "id: b, effect: allow, argument: {n: 2}"),
        ("id: a, effect: allow, argument: {n: 1}", "id: b, effect: allow, argument: {n: true}"),
        (
            "id: a, effect: allow, argument: {n: 1}",
            "id: b, effect: allow, when: args.n == 1, argument: {m: 2}",
        ),
        ("id: a, effect: allow, argument: {n: [1]}", "id: b, effect: allow, argument: {n: [true]}"),
        (
            "id: a, effect: allow, argument: {n: 1}",
            "id: b, effect: allow, when: args.n == 1, argument: {n: true}",
        ),
        ("id: a, effect: allow, credential: x", "id: b, effect: allow, credential: y"),
    ],
)
def test_rules_that_want_different_things_are_an_error(rules: tuple[str, ...]) -> None:
    verdict = decide(*rules, args={"n": 5})
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.ERROR


def test_a_credential_is_chosen_by_the_rules_that_allow() -> None:
    verdict = decide("id: a, effect: allow, credential: x", "id: b, effect: allow, credential: x")
    assert isinstance(verdict, Permit)
    assert verdict.credential == "x"
    other = decide("id: a, effect: allow")
    assert isinstance(other, Permit)
    assert other.credential == ""


def test_an_expired_allow_does_not_allow_and_a_deny_goes_on() -> None:
    head = "expires: '2026-01-02'\n"
    found = policies("id: a, effect: allow", "id: d, effect: deny, when: args.x == 1", head=head)
    today = call({"x": 2})
    later = structs.replace(today, now=datetime(2026, 1, 3, tzinfo=UTC))
    assert isinstance(pdp.decide(found, structs.replace(today, now=later.now - timedelta(seconds=1))), Permit)
    over = pdp.decide(found, later)
    denied = pdp.decide(found, structs.replace(later, args={"x": 1}))
    assert isinstance(over, Deny)
    assert isinstance(denied, Deny)
    assert (over.cause, denied.cause) == (Cause.NO_RULE, Cause.RULE)
    assert (visibility.visible(found, today), visibility.visible(found, later)) == (True, False)


def test_a_whole_policy_can_be_in_shadow_mode() -> None:
    verdict = decide("id: a, effect: allow", head="mode: shadow\n")
    assert isinstance(verdict, Deny)
    assert (verdict.cause, verdict.shadow) == (Cause.NO_RULE, "allow p/a")


@each(
    ("rules", "shadow"),
    [
        (("id: a, effect: allow", "id: d, effect: deny, mode: shadow"), "deny (rule) p/d"),
        (("id: a, effect: allow", "id: d, effect: deny, mode: shadow, when: args.x == 1"), ""),
        (("id: a, effect: allow", "id: b, effect: allow, mode: shadow"), "allow p/a p/b"),
        (("id: a, effect: allow, mode: shadow", "id: x, effect: deny, when: 'false'"), "allow p/a"),
        (("id: a, effect: deny", "id: b, effect: allow, mode: shadow"), ""),
    ],
)
def test_rules_in_shadow_mode_change_nothing_and_say_what_they_would_do(
    rules: tuple[str, ...], shadow: str
) -> None:
    plain = decide(*(rule for rule in rules if "shadow" not in rule), args={"x": 2})
    verdict = decide(*rules, args={"x": 2})
    assert verdict.shadow == shadow
    assert structs.replace(verdict, shadow="") == plain


def test_what_a_client_says_of_itself_can_be_read_to_refuse_only() -> None:
    rules = ("id: a, effect: allow", "id: d, effect: deny, when: client.claims.name == 'bad'")
    invocation = call({})
    named = structs.replace(invocation, caller=structs.replace(invocation.caller, name="bad"))
    assert isinstance(pdp.decide(policies(*rules), invocation), Permit)
    assert isinstance(pdp.decide(policies(*rules), named), Deny)


def test_groups_and_claims_of_a_verified_token_decide() -> None:
    rule = "id: a, effect: allow, when: \"'ops' in principal.groups && principal.claims.tenant == 'acme'\""
    invocation = call({})
    principal = structs.replace(invocation.principal, groups=("ops",), claims={"tenant": "acme"})
    assert isinstance(pdp.decide(policies(rule), invocation), Deny)
    assert isinstance(pdp.decide(policies(rule), structs.replace(invocation, principal=principal)), Permit)


def test_a_tool_stays_listed_where_only_the_session_decides() -> None:
    reading = policies("id: a, effect: allow, when: \"'f' in session.facts\"")
    denying = policies("id: a, effect: allow", "id: d, effect: deny, when: session.calls > 3")
    assert visibility.visible(reading, call())
    assert visibility.visible(denying, call())


def test_what_stays_in_results_is_said_by_the_rules_that_hold_and_by_no_other() -> None:
    verdict = decide(
        "id: a, effect: allow, unredacted: [jwt, {kind: github-token, path: '/content/*/text'}]",
        "id: b, effect: allow, unredacted: [jwt, npm-token]",
        "id: c, effect: allow, unredacted: [slack-token], when: args.nope == 1",
        "id: d, effect: allow, unredacted: [slack-token], when: 'false'",
    )
    assert isinstance(verdict, Permit)
    assert verdict.unredacted == ("-github-token /content/*/text", "-jwt", "-npm-token")


def test_texts_are_marked_if_one_rule_says_so_even_one_that_fails() -> None:
    for rule, marked in (
        ("spotlight: true", True),
        ("spotlight: true, when: args.nope == 1", True),
        ("spotlight: true, when: 'false'", False),
        ("spotlight: false", False),
    ):
        verdict = decide("id: a, effect: allow", f"id: b, effect: allow, {rule}")
        assert isinstance(verdict, Permit)
        assert verdict.spotlight is marked
    verdict = pdp.decide(
        policies("id: a, effect: ask, spotlight: true"), call({}), approved=frozenset(["p/a"])
    )
    assert isinstance(verdict, Permit)
    assert verdict.spotlight


@each(
    ("rule", "said"),
    [
        ("effect: allow, unredacted: [githb-token]", "did you mean `github-token`?"),
        ("effect: allow, unredacted: [zzzz]", "`mcpguard help detectors` lists them"),
        ("effect: allow, unredacted: [email]", "no kind of secret is called `email`"),
        ("effect: allow, unredacted: ['credential:x']", "a value that mcpguard holds is always removed"),
        ("effect: allow, unredacted: [{kind: jwt, path: content}]", "a JSON Pointer, such as"),
        ("effect: deny, unredacted: [jwt]", "lets nothing through"),
        ("effect: deny, spotlight: true", "lets nothing through"),
        ("effect: ask, unredacted: [jwt]", "belongs to a rule with `effect: allow`"),
        ("effect: allow, on: result, unredacted: [jwt]", "belongs to a rule on calls"),
    ],
)
def test_what_cannot_stay_or_be_marked_is_a_mistake(rule: str, said: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(said)):
        policies(f"id: a, {rule}")


def test_a_cost_that_is_written_as_a_float_and_is_whole_counts_as_what_it_is() -> None:
    rule = "id: a, effect: allow, limit: {per: 1h, units: 9, cost: args.n}"
    verdict = decide(rule, args={"n": 4.0}, session=Session())
    assert isinstance(verdict, Permit)
    assert [(type(one.amount), one.amount) for one in verdict.charges] == [(int, 4)]
    assert isinstance(decide(rule, args={"n": 10.0}, session=Session()), Deny)
