"""Policies that are only observed: what rules refuse goes on and says so, until a day; nothing else changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.model import Cause, Deny, Detection, Permit
from mcpguard.core.policy import pdp, visibility
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.egress import Egress
from mcpguard.core.policy.review import Review, review, settle
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.policy.terms import Observation
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call
from tests.rows import each

END = datetime(2026, 1, 10, tzinfo=UTC)
"""The calls are of 2026-01-02, for the server `s`."""
ON = Observation(frozenset({"s"}), END)
RESULT = {"content": [{"type": "text", "text": "hello"}]}


def made(*rules: str) -> PolicySet:
    return policies(*rules) if rules else PolicySet()


def observing(*rules: str, observation: Observation = ON) -> PolicySet:
    return made(*rules).observing(observation)


def permitted(found: PolicySet, args: Any = None, session: Session | None = None) -> Permit:
    verdict = pdp.decide(found, call(args or {"a": "x"}), session)
    assert isinstance(verdict, Permit)
    return verdict


def would(permit: Permit) -> tuple[Cause, tuple[str, ...], str]:
    assert permit.observed is not None
    return permit.observed.cause, permit.observed.rules, permit.observed.message


@each(
    ("rules", "refused", "rules_of_permit"),
    [
        ((), (Cause.NO_RULE, (), ""), ()),
        (("id: a, effect: allow, when: 'false'",), (Cause.NO_RULE, (), ""), ()),
        (("id: d, effect: deny, message: No.",), (Cause.RULE, ("p/d",), "No."), ()),
        (("id: a, effect: allow", "id: d, effect: deny"), (Cause.RULE, ("p/d",), ""), ("p/a",)),
        (("id: d, effect: deny, when: args.no == 1",), (Cause.ERROR, ("p/d",), ""), ()),
        (
            ("id: a, effect: allow", "id: q, effect: ask"),
            (Cause.APPROVAL, ("p/q",), pdp.NEEDS_APPROVAL),
            ("p/q", "p/a"),
        ),
    ],
)
def test_what_rules_refuse_goes_on_and_says_what_would_have_been(
    rules: tuple[str, ...], refused: Any, rules_of_permit: tuple[str, ...]
) -> None:
    permit = permitted(observing(*rules))
    assert would(permit) == refused
    assert permit.rules == rules_of_permit
    enforced = pdp.decide(made(*rules), call({"a": "x"}))
    assert enforced == permit.observed


def test_what_rules_read_and_the_tool_does_not_have_goes_on_as_well() -> None:
    rules = ("id: a, effect: allow, when: args.b == 1",)
    for schema, cause in (({"properties": {"a": {}}}, Cause.ARGUMENTS), ({"type": "object"}, None)):
        asked = call({"a": "x", "b": 1})
        assert asked.target is not None
        asked = structs.replace(asked, target=structs.replace(asked.target, about={"inputSchema": schema}))
        permit = pdp.decide(observing(*rules), asked)
        assert isinstance(permit, Permit)
        assert (permit.observed and permit.observed.cause) == cause
        assert isinstance(pdp.decide(made(*rules), asked), Permit) is (cause is None)


def test_what_the_policies_allow_is_allowed_as_ever() -> None:
    rules = ("id: a, effect: allow, fact: [seen]", "id: d, effect: deny, when: args.a == 'y'")
    assert permitted(observing(*rules)) == pdp.decide(policies(*rules), call({"a": "x"}))


def test_a_limit_that_is_reached_refuses_nothing_and_goes_on_counting() -> None:
    found = observing("id: a, effect: allow, limit: {calls: 1, per: 1h}")
    session = Session()
    first = permitted(found, session=session)
    assert first.observed is None
    session.admit(first)
    second = permitted(found, session=session)
    assert would(second)[0] is Cause.LIMIT
    session.admit(second)
    (charge,) = second.charges
    assert session.used(charge, second.invocation.now) == 2


def test_obligations_of_the_rules_that_hold_or_fail_apply_and_facts_are_not_stated() -> None:
    permit = permitted(
        observing(
            "id: d, effect: deny",
            "id: q, effect: ask, label: [asked]",
            "id: a, effect: allow, label: [private], fact: [seen], credential: c",
            "id: e, effect: allow, when: args.no == 1, redact: [email], label: [maybe]",
        )
    )
    assert (permit.redact, permit.labels, permit.facts, permit.credential) == (
        ("email",),
        ("asked", "maybe", "private"),
        (),
        "c",
    )


def test_a_call_that_no_rule_allows_has_no_chosen_credential_and_sets_no_argument() -> None:
    permit = permitted(observing("id: a, effect: allow, when: 'false', credential: c, argument: {b: 2}"))
    assert (permit.credential, permit.invocation.args) == ("", {"a": "x"})


def test_arguments_that_rules_set_are_set() -> None:
    permit = permitted(observing("id: d, effect: deny", "id: a, effect: allow, argument: {b: 2}"))
    assert permit.invocation.args == {"a": "x", "b": 2}


def test_what_is_no_refusal_of_a_rule_stays_refused() -> None:
    both = ("id: a, effect: allow, credential: c", "id: b, effect: allow, credential: e")
    conflict = pdp.decide(observing("id: d, effect: deny", *both), call({"a": "x"}))
    assert isinstance(conflict, Deny)
    assert (conflict.cause, conflict.rules) == (Cause.ERROR, ("p/a", "p/b"))
    limited = observing("id: d, effect: deny", "id: a, effect: allow, limit: {calls: 1, per: 1h}")
    lost = pdp.decide(limited, call({"a": "x"}))
    assert isinstance(lost, Deny)
    assert (lost.cause, lost.message) == (Cause.ERROR, pdp.NO_SESSION)


def test_arguments_that_do_not_fit_the_schema_stay_refused() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asked = call({"a": "x"})
    assert asked.target is not None
    target = structs.replace(asked.target, about={**asked.target.about, "inputSchema": schema})
    verdict = pdp.decide(observing("id: d, effect: deny"), structs.replace(asked, target=target))
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.ARGUMENTS


def test_a_held_secret_goes_to_no_other_server() -> None:
    redactor = Redactor(b"k" * 32)
    redactor.hold("env:OTHER", Secret("canary-9f2b71c0de"))
    egress = Egress(redactor, {"s": frozenset(), "t": frozenset({"env:OTHER"})})
    args = {"a": "take canary-9f2b71c0de"}
    asked = structs.replace(call(args), params={"name": "t", "arguments": args})
    verdict = pdp.decide(observing(), asked, None, egress)
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.CREDENTIAL
    asked = structs.replace(call({"a": "x"}), params={"name": "t", "arguments": {"a": "x"}})
    setting = observing("id: d, effect: deny", "id: a, effect: allow, argument: {a: take canary-9f2b71c0de}")
    verdict = pdp.decide(setting, asked, None, egress)
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.CREDENTIAL


def test_another_server_is_not_observed_whatever_it_is_called_in_the_call() -> None:
    found = observing("id: d, effect: deny")
    for name in ("S", "s ", "other", ""):
        assert isinstance(pdp.decide(found, structs.replace(call({}), server=name)), Deny)


DAY = timedelta(days=1)


@each(
    ("now", "state"),
    [
        (END - 32 * DAY - timedelta(microseconds=1), "too far ahead"),
        (END - 32 * DAY, "on"),
        (END - timedelta(microseconds=1), "on"),
        (END, "over"),
        (END + 400 * DAY, "over"),
    ],
)
def test_it_is_on_for_the_days_before_its_end_and_at_no_other_time(now: datetime, state: str) -> None:
    assert ON.at(now) == state
    verdict = pdp.decide(observing("id: d, effect: deny"), structs.replace(call({"a": "x"}), now=now))
    assert isinstance(verdict, Permit) == (state == "on")


def test_it_says_its_servers_and_its_last_day() -> None:
    assert Observation(frozenset({"b", "a"}), END).said == "a, b until the end of 2026-01-09 (UTC)"


def test_lists_show_everything_of_an_observed_server_and_mark_nothing_as_asked() -> None:
    for rules in (("id: d, effect: deny",), ("id: q, effect: ask",), ()):
        found = observing(*rules)
        assert visibility.visible(found, call())
        assert not visibility.always_asked(found, call())
        assert not visibility.lasting(found, call())
        over = structs.replace(call(), now=END)
        assert visibility.visible(found, over) == visibility.visible(made(*rules), call())
        assert visibility.always_asked(found, over) == visibility.always_asked(made(*rules), call())
    other = structs.replace(call(), server="other")
    assert visibility.lasting(observing("id: d, effect: deny"), other)


def test_the_same_policies_stay_enforced_where_nothing_is_observed() -> None:
    enforced = policies("id: d, effect: deny")
    found = enforced.observing(ON)
    assert (enforced.observation, found.observation) == (None, ON)
    assert found.digest == enforced.digest
    assert isinstance(pdp.decide(found.observing(None), call({})), Deny)


def test_rules_in_shadow_mode_are_compared_with_what_would_have_been() -> None:
    rules = ("id: d, effect: deny", "id: s, effect: deny, mode: shadow")
    assert permitted(observing(*rules)).shadow == "deny (rule) p/d p/s"
    assert permitted(observing("id: d, effect: deny", "id: s, effect: allow, mode: shadow")).shadow == ""


# --- results ----------------------------------------------------------------------------------------

ALLOW = "id: a, effect: allow"
KEEP = "id: keep, effect: deny, on: result, message: Too much."
MARK = "id: mark, effect: allow, on: result, redact: [email], label: [private], fact: [seen]"
FAILING = "id: keep, effect: deny, on: result, when: result.no == 1"


@pytest.mark.parametrize(("rule", "cause"), [(KEEP, Cause.RULE), (FAILING, Cause.ERROR)])
def test_no_result_is_withheld_and_what_else_rules_want_is_done(rule: str, cause: Cause) -> None:
    found = review(observing(ALLOW, rule, MARK), call({"a": "x"}), RESULT, ())
    assert found.denied is None
    assert found.observed is not None
    assert (found.observed.cause, found.observed.rules) == (cause, ("p/keep",))
    assert (found.rules, found.redact, found.labels, found.facts) == (
        ("p/mark",),
        ("email",),
        ("private",),
        (),
    )


def test_a_result_that_nothing_withholds_is_as_ever() -> None:
    found = review(observing(ALLOW, MARK), call({"a": "x"}), RESULT, (Detection("email", "/a"),))
    assert found == Review(("p/mark",), None, ("email",), ("private",), ("seen",))


def test_a_call_that_would_have_been_refused_brings_labels_and_no_facts() -> None:
    found = observing("id: d, effect: deny", MARK)
    permit, session = permitted(found), Session()
    reviewed = review(found, permit.invocation, RESULT, (), session)
    kept = settle(found, permit, reviewed, session, 10, permit.invocation.now)
    assert (kept.labels, kept.facts) == (("private",), ())
    assert (session.kept.labels, session.kept.facts) == (["private"], [])


def test_bytes_beyond_a_limit_are_counted_and_withhold_nothing() -> None:
    found = observing("id: a, effect: allow, limit: {bytes: 5, per: session}", MARK)
    session = Session(StoredSession())
    permit = permitted(found, session=session)
    reviewed = review(found, permit.invocation, RESULT, (), session)
    kept = settle(found, permit, reviewed, session, 10, permit.invocation.now)
    assert kept.denied is None
    assert kept.observed is not None
    assert (kept.observed.cause, kept.observed.rules, kept.facts) == (Cause.LIMIT, ("p/a",), ())
    assert session.used(permit.charges[0], permit.invocation.now) == 10
    assert would(permitted(found, session=session))[0] is Cause.LIMIT
