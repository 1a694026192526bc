"""A call with a placeholder of mcpguard in it is refused, unless a rule wants that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import structs

from mcpguard.core.model import Cause, Deny, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.terms import Observation
from mcpguard.core.redaction.removal.placeholder import carries_placeholder
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call
from tests.rows import each

MARK = "[REDACTED:github-token#1]"
ALLOW = "id: a, effect: allow"


def decided(*rules: str, args: Any = None, observe: bool = False, **more: Any) -> Permit | Deny:
    args = {"text": f"token: {MARK}\n"} if args is None else args
    invocation = structs.replace(call(args), params={"arguments": args})
    known = policies(*rules)
    if observe:
        known = known.observing(
            Observation(frozenset({invocation.server}), invocation.now + timedelta(days=2))
        )
    return pdp.decide(known, invocation, **more)


def cause(*rules: str, **more: Any) -> Cause | None:
    verdict = decided(*rules, **more)
    return verdict.cause if isinstance(verdict, Deny) else None


@each(
    "args",
    [
        {"text": MARK},
        {MARK: 1},
        {"edits": [{"new": f"a\nb {MARK}"}]},
        {"text": "[REDACTED:credential:env:A_NAME/that-nothing.has:now#12]"},
        {"text": "[REDACTED:email#3]"},
        {"uri": "x:%5BREDACTED%3Agithub-token%231%5D"},
        {"uri": "x:%5bREDACTED%3acredential%3akey%231%5d"},
        {"text": "x[U+202E]y"},
        {"[U+E0049 and 41 more hidden characters]": 1},
        {"text": f"[REDACTED:nothing#1] REDACTED: {MARK}"},
    ],
)
def test_it_is_found_in_strings_and_in_the_names_of_members(args: Any) -> None:
    assert carries_placeholder(args)
    assert cause(ALLOW, args=args) is Cause.PLACEHOLDER


@each(
    "text",
    [
        "[REDACTED]",
        "[REDACTED:secret-of-others#1]",
        "[U+0041]",
        "[U+FFFFFF]",
        "U+202E",
        "REDACTED:github-token#1]",
        "[REDACTED:github-token]",
        "x",
    ],
)
def test_text_that_only_looks_like_one_passes(text: str) -> None:
    assert cause(ALLOW, args={"text": text, text: 1}) is None


def test_a_rule_that_lets_the_call_through_may_want_it() -> None:
    assert cause(ALLOW, "id: b, effect: allow, placeholders: true") is None
    assert cause(ALLOW, "id: b, effect: ask, placeholders: true") is Cause.APPROVAL
    assert cause(ALLOW, "id: b, effect: ask, placeholders: true", approved=frozenset({"p/b"})) is None


def test_a_rule_that_does_not_hold_or_cannot_be_evaluated_changes_nothing() -> None:
    for when in ("'false'", "args.nope == 1"):
        assert cause(ALLOW, f"id: b, effect: allow, placeholders: true, when: {when}") is Cause.PLACEHOLDER


def test_nobody_is_asked_about_it() -> None:
    assert cause("id: a, effect: ask") is Cause.PLACEHOLDER


def test_what_rules_refuse_anyway_keeps_its_cause() -> None:
    assert cause(ALLOW, "id: d, effect: deny") is Cause.RULE
    assert cause("id: a, effect: allow, when: 'false'") is Cause.NO_RULE


def test_a_server_that_is_only_observed_does_not_get_it() -> None:
    assert cause(ALLOW, "id: d, effect: deny", observe=True) is Cause.PLACEHOLDER


def test_the_message_says_what_happened_and_who_can_allow_it() -> None:
    verdict = decided(ALLOW)
    assert isinstance(verdict, Deny)
    assert verdict.rules == ()
    assert "nothing was sent" in verdict.message
    assert "the owner of the policy can allow it with `placeholders: true`" in verdict.message


def test_without_params_there_is_nothing_to_look_at() -> None:
    assert isinstance(pdp.decide(policies(ALLOW), call({"text": MARK})), Permit)
