"""A request about a task is allowed by what allowed the call that began it, where no rule is about such requests."""

from __future__ import annotations

import pytest
from msgspec import structs

from mcpguard.core.model import Cause, Deny, Invocation, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.session import Session, StoredSession
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_observation import ON
from tests.core.policy.test_pdp import call

CALLS = "id: ok, effect: allow, tools: [t]"


def about(begun: Permit) -> Invocation:
    """A request about the task that the call `begun` began."""
    return structs.replace(call(None), id="i2", method="tasks/get", target=None, params={}, begun=begun)


def began(found: PolicySet, *approved: str) -> Permit:
    verdict = pdp.decide(found, call({}), approved=frozenset(approved))
    assert isinstance(verdict, Permit)
    return verdict


def test_the_permit_names_the_rules_of_the_call_and_the_call() -> None:
    found = policies(CALLS)
    verdict = pdp.decide(found, about(began(found)))
    assert isinstance(verdict, Permit)
    assert (verdict.rules, verdict.began) == (("p/ok",), "i1")


def test_a_call_that_a_person_approved_counts_as_one_that_its_rule_allows() -> None:
    found = policies(CALLS.replace("allow", "ask"))
    verdict = pdp.decide(found, about(began(found, "p/ok")))
    assert isinstance(verdict, Permit)
    assert verdict.began == "i1"


@pytest.mark.parametrize(
    "rules",
    [
        (CALLS.replace("ok", "other"),),
        (CALLS.replace("[t]", "[u]"),),
        (CALLS, "id: get, effect: allow, action: [tasks/get], when: 'false'"),
        (CALLS, "id: get, effect: ask, action: ['*'], when: 'false'"),
    ],
)
def test_no_rule_allows_it_where_that_rule_is_gone_or_others_are_about_such_requests(
    rules: tuple[str, ...],
) -> None:
    verdict = pdp.decide(policies(*rules), about(began(policies(CALLS))))
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.NO_RULE


def test_a_deny_overrides_it_and_an_allow_of_its_own_names_no_call() -> None:
    begun = began(policies(CALLS))
    denied = pdp.decide(policies(CALLS, "id: no, effect: deny, action: [tasks/get]"), about(begun))
    allowed = pdp.decide(policies(CALLS, "id: get, effect: allow, action: [tasks/get]"), about(begun))
    assert isinstance(denied, Deny)
    assert isinstance(allowed, Permit)
    assert (denied.rules, allowed.rules, allowed.began) == (("p/no",), ("p/get",), "")


def test_the_task_of_a_call_that_was_only_observed_is_only_observed() -> None:
    found = policies("id: no, effect: deny, tools: [t]").observing(ON)
    verdict = pdp.decide(found, about(began(found)))
    assert isinstance(verdict, Permit)
    assert verdict.observed is not None
    assert (verdict.observed.cause, verdict.began) == (Cause.NO_RULE, "")


def test_nothing_is_carried_over_from_what_needed_no_rule() -> None:
    begun = pdp.permit_protocol(call({}))
    verdict = pdp.decide(policies(CALLS), about(begun))
    assert isinstance(verdict, Deny)


@pytest.mark.parametrize(
    ("method", "labels", "allowed"),
    [
        ("tasks/update", [], True),
        ("tasks/update", ["private"], False),
        ("tasks/unheard-of", ["private"], False),
        *((method, ["private"], True) for method in ("tasks/get", "tasks/result", "tasks/cancel")),
    ],
)
def test_what_sends_more_to_a_task_is_refused_where_its_call_would_be_by_now(
    method: str, labels: list[str], allowed: bool
) -> None:
    found = policies(
        "id: ok, effect: allow, tools: [t], limit: {calls: 1, per: 1h}",
        "id: no, effect: deny, tools: [t], when: '\"private\" in session.labels'",
    )
    begun = pdp.decide(found, call({}), Session())
    assert isinstance(begun, Permit)
    session = Session(StoredSession(labels=labels))
    session.admit(begun)
    asked = structs.replace(about(begun), method=method)
    verdict = pdp.decide(found, asked, session)
    assert isinstance(verdict, Permit) is allowed
    assert verdict.invocation is asked
    if isinstance(verdict, Deny):
        assert (verdict.cause, verdict.rules) == (Cause.RULE, ("p/no",))


def test_an_update_without_a_session_is_allowed_where_no_rule_needs_one() -> None:
    found = policies(CALLS)
    asked = structs.replace(about(began(found)), method="tasks/update")
    assert isinstance(pdp.decide(found, asked), Permit)
