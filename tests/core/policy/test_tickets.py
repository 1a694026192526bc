"""What rules that ask want of an answer, and which answers count."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.tickets import (
    AnswerTerms,
    Lasting,
    Ticket,
    TicketAnswer,
    challenge_of,
    covers,
    hosts_of,
    latest_end,
    narrowed,
    objection,
)
from tests.adapters.store.test_store import TICKET
from tests.rows import each

ADA = TicketAnswer("approved", "os-user:ada", "terminal")
EVE = TicketAnswer("approved", "os-user:eve", "terminal", groups=("staff",))


def terms(*asks: str) -> AnswerTerms:
    rules = "".join(f"  - {{id: r{index}, effect: ask{ask}}}\n" for index, ask in enumerate(asks))
    text = f"version: 1\npolicy: p\nrules:\n{rules}"
    policies = PolicySet([compile_policy(text, "p.yaml", frozenset())])
    return policies.terms([f"p/r{index}" for index in range(len(asks))])


def against(answer: TicketAnswer, **wanted: Any) -> str:
    return objection(structs.replace(TICKET, terms=AnswerTerms(**wanted)), answer)


@each("other", [{"config": "/etc/other.yaml"}, {"reached": "another"}])
def test_an_approval_is_for_the_server_of_the_configuration_that_asked(other: Any) -> None:
    yes = structs.replace(ADA, lasts="session", until=TICKET.expires, free=tuple(TICKET.parts))
    approval = structs.replace(TICKET, state="approved", answer=yes)
    assert covers(approval, TICKET)
    assert not covers(approval, structs.replace(TICKET, **other))
    assert TICKET.question != structs.replace(TICKET, **other).question


def test_what_several_rules_want_counts_together() -> None:
    found = terms(
        ", ask: {timeout: 2h, via: [terminal, client], show: [branch], same_host: [url]}",
        ", ask: {timeout: 5m, approvers: [os-user:ada], same_host: [page, url]}",
        ", ask: {approvers: ['group:staff', os-user:bob], show: [branch, text]}",
    )
    assert found == AnswerTerms(
        seconds=300,
        via=("terminal",),
        approvers=(("os-user:ada",), ("group:staff", "os-user:bob")),
        show=("branch", "text"),
        same_host=("url", "page"),
    )


def test_without_ask_the_console_and_the_terminal_may_answer() -> None:
    assert terms("") == AnswerTerms()


def test_rules_without_a_channel_in_common_leave_none() -> None:
    assert terms(", ask: {via: console}", ", ask: {via: [terminal]}").via == ()
    assert against(ADA, via=()) == "the rules that ask have no channel in common"


def test_a_channel_that_its_rule_does_not_name_does_not_count() -> None:
    assert against(ADA, via=("console",)) == "its rule allows an answer on the console, not at a terminal"
    assert against(structs.replace(ADA, verdict="denied"), via=("console",))
    assert against(ADA) == ""


@pytest.mark.parametrize("caller", ["os-user:ada", "https://issuer.example:Ada"])
def test_who_made_the_call_is_not_its_approver(caller: str) -> None:
    asked = structs.replace(TICKET, principal=caller, terms=AnswerTerms(approvers=(("os-user:ada",),)))
    assert objection(asked, ADA) == "os-user:ada made the call, and its rule asks for somebody else"
    assert objection(asked, structs.replace(ADA, verdict="denied")) == ""


def test_who_acts_for_whoever_made_the_call_is_not_its_approver() -> None:
    asked = structs.replace(
        TICKET, principal="x:bob", actor="ada", terms=AnswerTerms(approvers=(("os-user:ada",),))
    )
    assert objection(asked, ADA) == "os-user:ada made the call, and its rule asks for somebody else"


def test_a_person_reads_who_calls_with_which_agent_and_who_acts() -> None:
    named = {("desk", ""): "desk", (None, "bot-7"): "bot-7", ("desk", "bot-7"): "desk as bot-7"}
    for (agent, actor), acting in named.items():
        assert (
            structs.replace(TICKET, principal="x:bob", agent=agent, actor=actor).who == f"x:bob with {acting}"
        )
    assert structs.replace(TICKET, principal="x:bob", agent=None).who == "x:bob"


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


# --- approvals that last ---------------------------------------------------------------------------

CALL = structs.replace(TICKET, args="all", parts={"branch": "b1", "force": "f1"})


def lasting(*free: str, lasts: Lasting = "time", **more: Any) -> TicketAnswer:
    return structs.replace(ADA, lasts=lasts, until=500.0, free=free, **more)


def approved(*free: str, **more: Any) -> Ticket:
    return structs.replace(CALL, state="approved", answer=lasting(*free, **more))


def other(**parts: str) -> Ticket:
    return structs.replace(CALL, id="t2", args=str(parts), parts=parts)


def test_an_approval_is_about_the_same_call() -> None:
    for ticket in (CALL, approved(), approved("branch")):
        assert covers(ticket, structs.replace(CALL, id="t2"))
        assert not covers(ticket, structs.replace(CALL, session="2"))


def test_where_it_lasts_arguments_that_are_free_may_have_other_values() -> None:
    assert covers(approved("branch"), other(branch="b2", force="f1"))
    assert covers(approved("branch", "force"), other(branch="b2", force="f2"))
    assert not covers(approved("branch"), other(branch="b2", force="f2"))
    assert not covers(approved(), other(branch="b2", force="f1"))


@each(
    "call",
    [
        other(force="f1"),
        other(branch="b1", force="f1", more="m"),
        other(branch="b1", force="f1", **{"br\u0430nch": "x"}),
        other(**{"br\u0430nch": "b1", "force": "f1"}),
        *(
            structs.replace(other(branch="b2", force="f1"), **{name: "x"})
            for name in ("server", "method", "target", "definition", "policies", "session", "actor")
        ),
        structs.replace(other(branch="b2", force="f1"), rules=("p/r", "p/s")),
    ],
)
def test_whatever_else_differs_is_another_call(call: Ticket) -> None:
    assert not covers(approved("branch"), call)


def test_the_origin_of_a_free_argument_stays_the_same() -> None:
    def at(url: Any) -> Ticket:
        return structs.replace(
            other(branch=str(url), force="f1"), hosts=hosts_of({"branch": url}, ["branch", "page"])
        )

    one = structs.replace(at("https://a.example/1"), state="approved", answer=lasting("branch"))
    assert covers(one, at("https://A.example:443/2"))
    others = ("https://b.example/1", "http://a.example/1", "https://a.example:81/1", "https://u@a.example/1")
    for url in (*others, "a.example", 1, ["https://a.example/1"]):
        assert not covers(one, at(url))
        assert covers(structs.replace(at(url), state="approved", answer=lasting("branch")), at(url))
    assert not covers(structs.replace(one, hosts={}), at("https://a.example/1?2"))


def test_what_was_approved_once_leaves_no_argument_open() -> None:
    forged = structs.replace(CALL, state="approved", answer=structs.replace(ADA, free=("branch",)))
    assert not covers(forged, other(branch="b2", force="f1"))


@each(
    ("answer", "said"),
    [
        (lasting("branch"), ""),
        (lasting(lasts="session"), ""),
        (structs.replace(ADA, free=("branch",)), "an approval of one call cannot leave arguments open"),
        (lasting(verdict="denied"), "only an approval can last"),
        (lasting("branch", "Branch"), "the call has no argument Branch; its arguments are: branch, force"),
        (lasting("br\u0430nch"), "the call has no argument 'br\\u0430nch'; its arguments are: branch, force"),
    ],
)
def test_an_answer_that_allows_too_much_does_not_count(answer: TicketAnswer, said: str) -> None:
    assert objection(CALL, answer) == said


def test_what_has_no_arguments_has_none_to_leave_open() -> None:
    assert objection(TICKET, lasting("x")) == "the call has no argument x; its arguments are: none"


def test_a_client_approves_no_more_than_the_call() -> None:
    asked = structs.replace(CALL, terms=AnswerTerms(via=("client",)))
    assert objection(asked, structs.replace(ADA, via="client")) == ""
    said = "a client can approve one call, and not those that follow"
    assert objection(asked, lasting(via="client")) == said


def test_an_approval_lasts_no_longer_than_it_may() -> None:
    assert latest_end(CALL, "once", 100.0) == CALL.expires
    assert latest_end(CALL, "time", 100.0) == 100.0 + 8 * 3600
    assert latest_end(CALL, "session", 100.0) == 100.0 + 24 * 3600
    bounded = structs.replace(CALL, terms=AnswerTerms(seconds=300))
    assert latest_end(bounded, "time", 100.0) == latest_end(bounded, "session", 100.0) == 400.0


def test_an_approval_ends_when_it_says() -> None:
    assert (CALL.lasts, CALL.ends) == ("once", 200.0)
    assert structs.replace(CALL, answer=ADA).ends == 200.0
    assert (approved().lasts, approved().ends) == ("time", 500.0)


def test_a_call_goes_on_with_its_own_arguments_only() -> None:
    used = narrowed(approved("branch"), other(branch="b2", force="f1"), 3)
    assert used.uses == 3
    assert covers(used, other(branch="b2", force="f1"))
    assert not covers(used, other(branch="b3", force="f1"))
    assert narrowed(CALL, CALL, 1).answer is None
