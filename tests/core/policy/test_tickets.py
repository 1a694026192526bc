"""What rules that ask want of an answer, and which answers count."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.tickets import AnswerTerms, TicketAnswer, challenge_of, objection
from tests.adapters.store.test_store import TICKET

ADA = TicketAnswer("approved", "os-user:ada", "terminal")
EVE = TicketAnswer("approved", "os-user:eve", "terminal", groups=("staff",))


def terms(*asks: str) -> AnswerTerms:
    rules = "".join(f"  - {{id: r{index}, effect: ask{ask}}}\n" for index, ask in enumerate(asks))
    text = f"version: 1\npolicy: p\nrules:\n{rules}"
    policies = PolicySet([compile_policy(text, "p.yaml", frozenset())])
    return policies.terms([f"p/r{index}" for index in range(len(asks))])


def against(answer: TicketAnswer, **wanted: Any) -> str:
    return objection(structs.replace(TICKET, terms=AnswerTerms(**wanted)), answer)


def test_what_several_rules_want_counts_together() -> None:
    found = terms(
        ", ask: {timeout: 2h, via: [terminal, client], show: [branch]}",
        ", ask: {timeout: 5m, approvers: [os-user:ada]}",
        ", ask: {approvers: ['group:staff', os-user:bob], show: [branch, text]}",
    )
    assert found == AnswerTerms(
        seconds=300,
        via=("terminal",),
        approvers=(("os-user:ada",), ("group:staff", "os-user:bob")),
        show=("branch", "text"),
    )


def test_without_ask_the_console_and_the_terminal_may_answer() -> None:
    assert terms("") == AnswerTerms()


def test_rules_without_a_channel_in_common_leave_none() -> None:
    assert terms(", ask: {via: console}", ", ask: {via: [terminal]}").via == ()
    assert against(ADA, via=()) == "its rule allows an answer by nothing, not by terminal"


def test_a_channel_that_its_rule_does_not_name_does_not_count() -> None:
    assert against(ADA, via=("console",)) == "its rule allows an answer by console, not by terminal"
    assert against(structs.replace(ADA, verdict="denied"), via=("console",))
    assert against(ADA) == ""


@pytest.mark.parametrize("caller", ["os-user:ada", "https://issuer.example:Ada"])
def test_who_made_the_call_is_not_its_approver(caller: str) -> None:
    asked = structs.replace(TICKET, principal=caller, terms=AnswerTerms(approvers=(("os-user:ada",),)))
    assert objection(asked, ADA) == "os-user:ada made the call, and its rule asks for somebody else"
    assert objection(asked, structs.replace(ADA, verdict="denied")) == ""


def test_each_list_of_approvers_has_to_be_met() -> None:
    assert against(EVE, approvers=(("group:staff",),)) == ""
    assert against(EVE, approvers=(("os-user:eve", "os-user:bob"), ("group:staff",))) == ""
    said = "os-user:eve is not among its approvers, os-user:bob, group:admin"
    assert against(EVE, approvers=(("group:staff",), ("os-user:bob", "group:admin"))) == said


def test_a_group_of_the_name_of_a_principal_is_not_that_principal() -> None:
    posing = structs.replace(EVE, groups=("os-user:bob",))
    assert against(posing, approvers=(("os-user:bob",),))


def test_where_a_passkey_is_asked_for_an_approval_without_one_does_not_count() -> None:
    said = "its rule asks for a passkey, and this approval has none"
    assert against(ADA, passkey=True) == said
    assert against(structs.replace(ADA, assertion="{}"), passkey=True) == ""
    assert against(structs.replace(ADA, verdict="denied"), passkey=True) == ""


def test_a_passkey_signs_one_answer_to_one_ticket() -> None:
    others = [
        challenge_of(structs.replace(TICKET, id="t2"), ADA),
        challenge_of(structs.replace(TICKET, args="b"), ADA),
        *(challenge_of(TICKET, structs.replace(ADA, **more)) for more in (
            {"verdict": "denied"}, {"lasts": "time"}, {"until": 1.0}, {"free": ("a",)},
        )),
    ]  # fmt: skip
    assert len({challenge_of(TICKET, ADA), *others}) == 1 + len(others)
    assert challenge_of(TICKET, structs.replace(ADA, assertion="x")) == challenge_of(TICKET, ADA)
