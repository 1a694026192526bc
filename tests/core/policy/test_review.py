"""Rules on results: withhold, take more out, remember; errors only tighten."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.model import Cause, Detection
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.review import UNTOUCHED, Review, foreseen, review
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.redaction.redactor import OPT_IN as KINDS
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call

RESULT = {"content": [{"type": "text", "text": "hello"}], "isError": False}
ALLOW = "id: a, effect: allow"
BIG = "id: big, effect: deny, on: result, when: size(result.content) > 1, message: Too much."
MARK = "id: mark, effect: allow, on: result, redact: [email], label: [private], fact: [seen]"


def judged(*rules: str, result: Any = RESULT, findings: Any = (), session: Any = None) -> Review:
    return review(policies(ALLOW, *rules), call({"q": "x"}), result, findings, session)


def test_without_rules_on_results_nothing_is_done() -> None:
    assert judged() is UNTOUCHED


def test_a_deny_withholds_with_its_message() -> None:
    found = judged(BIG, MARK, result={**RESULT, "content": [1, 2]})
    assert found.denied is not None
    assert (found.denied.cause, found.denied.message) == (Cause.RULE, "Too much.")
    assert (found.rules, found.labels, found.facts) == (("p/big",), (), ())


def test_an_allow_adds_what_it_says() -> None:
    assert judged(BIG, MARK) == Review(("p/mark",), None, ("email",), ("private",), ("seen",))


@pytest.mark.parametrize("result", [{"error": {"code": 1, "message": "m"}}, {"content": 5}, {}])
def test_an_erroring_deny_withholds(result: Any) -> None:
    found = judged(BIG, result=result)
    assert found.denied is not None
    assert (found.denied.cause, found.denied.message) == (Cause.ERROR, "Its message: Too much.")


def test_an_erroring_allow_redacts_and_labels_and_states_no_fact() -> None:
    found = judged(f"{MARK}, when: result.nope == 1")
    assert (found.redact, found.labels, found.facts) == (("email",), ("private",), ())


def test_an_allow_that_has_ended_redacts_and_labels_and_states_no_fact() -> None:
    ended = PolicySet(
        [compile_policy(f"version: 1\npolicy: p\nexpires: 2020-01-01\nrules: [{{{MARK}}}]\n", "p", KINDS)]
    )
    found = review(ended, call({}), RESULT, ())
    assert (found.redact, found.labels, found.facts) == (("email",), ("private",), ())


def test_what_was_taken_out_and_what_was_asked_can_be_read() -> None:
    rule = f"{MARK}, when: \"'github-token' in findings && args.q == 'x'\""
    hit = (Detection("github-token", "/a"), Detection("github-token", "/b"))
    assert judged(rule, findings=hit).labels == ("private",)
    assert judged(rule).labels == ()


def test_the_session_can_be_read() -> None:
    rule = "id: d, effect: deny, on: result, when: session.calls > 1"
    assert judged(rule, session=Session()).denied is None
    assert judged(rule, session=Session(StoredSession(calls=2))).denied is not None


@pytest.mark.parametrize(
    ("rules", "shadow"),
    [
        ((f"{BIG}, mode: shadow",), ""),
        (("id: all, effect: deny, on: result, mode: shadow",), "deny (rule) p/all"),
        ((f"{MARK}, mode: shadow",), "allow p/mark"),
    ],
)
def test_rules_in_shadow_mode_change_no_result(rules: tuple[str, ...], shadow: str) -> None:
    found = judged(*rules)
    assert found == Review(shadow=shadow)


def foretold(*rules: str, session: Any = None) -> Review:
    return foreseen(policies(ALLOW, *rules), call({"q": "x"}), session)


def test_before_there_is_a_result_its_rules_label_and_do_nothing_else() -> None:
    assert foretold(MARK, BIG) == Review(rules=("p/mark",), labels=("private",))


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        (f'{MARK}, when: "size(result.content) > 7"', ("private",)),
        (f'{MARK}, when: "has(result.error)"', ("private",)),
        (f"{MARK}, when: \"'github-token' in findings\"", ("private",)),
        (f"{MARK}, when: \"args.q == 'y' && size(result.content) > 7\"", ()),
        (f"{MARK}, when: \"args.q == 'x'\"", ("private",)),
        (f"{MARK}, when: session.calls > 1", ()),
        (f"{MARK}, mode: shadow", ()),
        ("id: mark, effect: allow, on: result, redact: [email]", ()),
    ],
)
def test_what_a_rule_cannot_know_yet_labels_and_what_it_knows_decides(
    rule: str, labels: tuple[str, ...]
) -> None:
    assert foretold(rule, session=Session()).labels == labels


def test_what_withholds_the_result_keeps_no_label_back() -> None:
    deny = "id: no, effect: deny, on: result"
    assert foretold(MARK, deny).labels == ("private",)
