"""Approvals under attack: what the person saw is what goes on, an approval is not lost in silence, and nobody
is asked in vain."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.evidence.records import Decided, Noticed
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.tickets import AnswerTerms, Ticket, TicketAnswer
from mcpguard.core.redaction.redactor import KINDS
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.questions.approvals import MOST_WAITING
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.protocol.jsonrpc import encode
from tests.fakes import SECRET, World, text
from tests.gateway.questions.parking import BAD_STATE
from tests.gateway.questions.test_approvals import (
    ARGS,
    ASK,
    NOW,
    PROVEN,
    WAITING,
    answer,
    asking,
    push,
    replaced,
    said,
    sent,
    ticket,
)
from tests.gateway.questions.test_input_required import asks
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    FORM,
    ask,
    call,
    last,
    legacy,
    modern,
    put_in_force,
)
from tests.rows import each


def arguments(world: World) -> Any:
    return world.upstreams["one"].requests[-1].invocation.params["arguments"]


def test_a_call_with_its_arguments_in_another_order_is_the_same_call() -> None:
    world = asking()
    push(world, args={"name": "push", "arguments": {"to": "main", "o": {"a": 1, "b": 2}}})
    answer(world, "approved")
    push(world, args={"name": "push", "arguments": {"o": {"b": 2, "a": 1}, "to": "main"}})
    assert sent(world) == ["push"]


@each(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, -0.0), ("\u00e9", "e\u0301"), ("a", "a\u200b"), (None, "null"), ([], {})],
)
def test_arguments_that_only_look_alike_are_another_call(one: Any, other: Any) -> None:
    world = asking()
    push(world, args={"name": "push", "arguments": {"to": one}})
    answer(world, "approved")
    assert "A person was asked" in said(push(world, args={"name": "push", "arguments": {"to": other}}))
    assert sent(world) == []


def test_the_person_is_shown_the_arguments_that_rules_set_and_these_are_sent() -> None:
    world = asking(rules=ASK.replace("message:", "argument: {to: staging, force: false}, message:"))
    push(world)
    assert ticket(world).shown == '{"to":"staging","force":false}'
    answer(world, "approved")
    push(world)
    assert arguments(world) == {"to": "staging", "force": False}


def test_a_rule_that_asks_only_about_what_others_set_is_asked_about_at_once() -> None:
    more = "  - {id: also, effect: ask, tools: [push], when: \"args.to == 'staging'\"}\n"
    world = asking(rules=ASK.replace("message:", "argument: {to: staging}, message:") + more)
    push(world)
    assert ticket(world).rules == ("p/also", "p/push")
    answer(world, "approved")
    push(world)
    assert arguments(world) == {"to": "staging"}


def test_what_an_allow_sets_before_a_person_is_asked_is_sent_as_shown() -> None:
    rules = (
        "  - {id: set, effect: allow, tools: [push], when: '!has(args.force)', argument: {force: true}}\n"
        "  - {id: forced, effect: ask, tools: [push], when: has(args.force)}\n"
    )
    world = asking(rules=rules)
    push(world)
    assert ticket(world).shown == '{"to":"main","force":true}'
    answer(world, "approved")
    push(world)
    assert arguments(world) == {"to": "main", "force": True}


def test_nobody_is_asked_about_what_a_limit_refuses_anyway() -> None:
    world = asking(rules=ASK.replace("message:", "limit: {calls: 1, per: 1h}, message:"))
    push(world)
    answer(world, "approved")
    push(world)
    assert sent(world) == ["push"]
    assert "(p/push)" in said(push(world))
    assert "A person" not in said(last(world))
    assert len(world.store.tickets) == 1


def test_an_approval_outlives_a_limit_that_became_full_while_the_call_waited() -> None:
    rules = "  - {id: few, effect: ask, tools: [push], limit: {calls: 1, per: 1h}}\n"
    world = asking(ApprovalTerms(30.0, 7200.0), rules=rules)
    world.clock.slow = True
    push(world)
    world.send("tools/call", {"name": "push", "arguments": {"to": "other"}}, 8)
    first, second = world.store.tickets.values()
    for one in (first, second):
        world.store.tickets[one.id] = structs.replace(
            one, state="approved", answer=TicketAnswer("approved", "os-user:ada", "terminal")
        )
    world.clock.ring()
    world.turn()
    assert sent(world) == ["push"]
    assert {one.state for one in world.store.tickets.values()} == {"used", "approved"}
    world.clock.wind(3700)
    world.send("tools/call", {"name": "push", "arguments": {"to": "other"}}, 9)
    assert sent(world) == ["push", "push"]


def test_an_approval_that_is_lost_since_others_were_quicker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = asking(rules=ASK + "  - {id: no, effect: deny, tools: [push], when: session.calls > 0}\n")
    push(world)
    answer(world, "approved")
    use = world.store.use

    def quicker(*given: Any) -> Any:
        for kept in world.store.kept.values():
            kept.calls += 1
        return use(*given)

    monkeypatch.setattr(world.store, "use", quicker)
    assert "The approval is used up." in said(push(world))
    assert "(p/no)" in said(last(world))
    assert sent(world) == []


def test_policies_that_come_while_the_approval_is_being_used_void_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    use = world.store.use

    def reloaded(*given: Any) -> Any:
        put_in_force(world, ASK.replace("seen by others", "seen by all"))
        return use(*given)

    monkeypatch.setattr(world.store, "use", reloaded)
    assert "has changed since" in said(push(world))
    assert sent(world) == []


@pytest.mark.parametrize(
    ("rules", "blamed"),
    [
        (ASK.replace("id: push", "id: other"), ("p/other",)),
        (ASK + "  - {id: no, effect: deny, tools: [push], when: args.to == 'main'}\n", ("p/no",)),
        ("  - {id: all, effect: allow}\n", ()),
    ],
)
def test_a_denial_while_policies_change_is_recorded_with_the_rules_of_those_that_came(
    rules: str, blamed: tuple[str, ...]
) -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    answer(world, "denied")
    put_in_force(world, rules)
    world.clock.ring()
    world.turn()
    assert "A person refused this call" in said(last(world))
    assert "()" not in said(last(world))
    record = [one for one in world.audit.records if isinstance(one, Decided)][-1]
    assert (record.effect, record.rules) == ("deny", blamed)
    assert record.policy_digest == world.judge.policies.digest
    assert sent(world) == []


def test_of_two_calls_that_wait_on_one_ticket_one_goes_on_and_the_other_hears_why() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.send("tools/call", {"name": "push", "arguments": {"to": "main"}}, 8)
    answer(world, "approved")
    world.clock.ring()
    world.turn()
    assert sent(world) == ["push"]
    refused = next(one["result"] for one in world.client.sent if "isError" in one["result"])
    assert "The approval was used by the same call" in said(refused)


def test_a_call_that_finds_its_approval_used_when_it_uses_it_hears_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    use = world.store.use
    monkeypatch.setattr(world.store, "use", lambda *given: (use(*given), use(*given))[1])
    assert "The approval was used by the same call" in said(push(world))
    assert sent(world) == []


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [("{id: also, effect: ask", "has changed since"), ("{id: no, effect: deny", "(p/no)")],
)
def test_a_rule_that_begins_to_count_while_a_call_waits_refuses_it_and_keeps_the_approval(
    rule: str, becomes: str
) -> None:
    world = asking(WAITING, rules=f"{ASK}  - {rule}, tools: [push], when: session.calls > 0}}\n")
    world.clock.slow = True
    push(world)
    answer(world, "approved")
    for kept in world.store.kept.values():
        kept.calls += 1
    world.clock.ring()
    world.turn()
    assert becomes in said(last(world))
    assert ticket(world).state == "approved"


def test_a_rule_that_ended_while_the_call_waited_does_not_allow_it() -> None:
    rules = "  - {id: day, effect: ask, tools: [push], when: 'now.getHours() < 10'}\n"
    world = asking(WAITING, rules=rules)
    world.clock.slow = True
    push(world)
    answer(world, "approved")
    one = ticket(world)
    world.store.tickets[one.id] = structs.replace(one, expires=one.expires + 7200)
    world.clock.wind(3700)
    world.clock.ring()
    world.turn()
    assert sent(world) == []


def test_a_ticket_that_is_gone_with_its_file_is_not_waited_for() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.store.tickets.clear()
    world.clock.ring()
    world.turn()
    assert "cannot see at the moment" in said(last(world))
    assert any("is gone" in one for one in world.reports)


def test_a_store_that_fails_while_a_call_waits_is_not_taken_for_nobody_asked() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    answer(world, "approved")
    world.store.down = "no disk"
    world.clock.ring()
    world.turn()
    assert "cannot see at the moment" in said(last(world))
    world.store.down = ""
    push(world)
    assert sent(world) == ["push"]


def test_a_call_does_not_wait_longer_than_its_ticket_lives() -> None:
    world = asking(ApprovalTerms(600.0, 1.0))
    world.clock.slow = True
    push(world)
    for _ in range(4):
        assert world.client.sent == []
        world.clock.ring()
    world.turn()
    assert "has not answered" in said(last(world))


def test_nobody_is_asked_about_arguments_that_are_not_shown_whole() -> None:
    world = asking()
    refused = said(push(world, args={"name": "push", "arguments": {"to": "x" * 70_000, "force": True}}))
    assert "longer than a person can be shown" in refused
    assert not world.store.tickets


def test_a_secret_in_the_name_of_a_resource_is_neither_shown_nor_kept() -> None:
    world = World("  - {id: see, effect: ask, action: [resources/read]}\n", approvals=NOW)
    world.upstreams["one"].answers["resources/read"] = {"contents": []}
    uri = {"uri": "file:///a?key=AKIAIOSFODNN7EXAMPLQ"}
    modern(world, "resources/read", uri)
    assert "AKIA" not in str(world.store.tickets)
    assert SECRET not in str(world.store.tickets)
    answer(world, "approved")
    modern(world, "resources/read", {"uri": "file:///a?key=AKIAIOSFODNN7EXAMPLZ"})
    assert "A person was asked" in str(last(world))
    modern(world, "resources/read", uri)
    assert last(world)["contents"] == []


def test_many_calls_by_one_ticket_do_not_all_wait() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    for number in range(MOST_WAITING + 1):
        world.send("tools/call", ARGS, 100 + number)
    assert len(world.client.sent) == 1
    assert "has not answered yet" in said(last(world))
    answer(world, "denied")
    world.clock.ring()
    world.turn()
    assert len(world.client.sent) == MOST_WAITING + 1
    world.client.sent.clear()
    put_in_force(world, ASK.replace("seen by others", "seen by all"))
    push(world)
    assert world.client.sent == []


@pytest.mark.parametrize("changed", [False, True])
def test_a_prompt_is_asked_about_as_it_was_listed(changed: bool) -> None:
    world = asking(WAITING, rules="  - {id: see, effect: ask, action: [prompts/get]}\n")
    one: dict[str, Any] = {"name": "greet", "description": "x"}
    world.upstreams["one"].answers["prompts/list"] = {"prompts": [one]}
    world.upstreams["one"].answers["prompts/get"] = {"messages": []}
    world.send("prompts/list", {}, 5)
    world.client.sent.clear()
    world.clock.slow = True
    world.send("prompts/get", {"name": "greet", "arguments": {"a": "b"}}, 7)
    if changed:
        world.upstreams["one"].answers["prompts/list"] = {"prompts": [{**one, "description": "y"}]}
    world.gateway.notified("one", "notifications/prompts/list_changed", {})
    world.send("prompts/list", {}, 6)
    world.client.sent.clear()
    answer(world, "approved")
    world.clock.ring()
    world.turn()
    assert ("has changed since" in str(world.client.sent)) is changed
    assert ticket(world).state == ("approved" if changed else "used")


def test_a_method_of_an_extension_is_asked_about_with_all_that_it_carries() -> None:
    world = World("  - {id: see, effect: ask, action: [extension]}\n", approvals=NOW)
    world.upstreams["one"].answers["skills/list"] = {"skills": []}
    modern(world, "skills/list", {"a": 1})
    assert (ticket(world).target, ticket(world).shown) == ("", '{"a":1}')
    answer(world, "approved")
    modern(world, "skills/list", {"a": 2})
    assert "A person was asked" in str(last(world))
    modern(world, "skills/list", {"a": 1})
    assert last(world)["skills"] == []


def test_an_ask_in_shadow_mode_asks_nobody() -> None:
    world = World("  - {id: all, effect: allow}\n", approvals=NOW)
    trial = "version: 1\npolicy: q\nmode: shadow\nrules: [{id: ask, effect: ask}]\n"
    rules = "version: 1\npolicy: p\nrules: [{id: all, effect: allow}]\n"
    both = [compile_policy(rules, "p.yaml", KINDS), compile_policy(trial, "q.yaml", KINDS)]
    world.judge.policies = PolicySet(both)
    legacy(world)
    world.upstreams["one"].answers["push"] = text("pushed")
    assert push(world)["content"] == text("pushed")["content"]
    assert not world.store.tickets
    shadows = [one.shadow for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert shadows == ["deny (approval) q/ask"]


def test_evidence_says_which_call_a_person_was_asked_about_though_it_is_never_decided() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.send("notifications/cancelled", {"requestId": 7})
    (asked,) = [
        one for one in world.audit.records if isinstance(one, Noticed) and one.what == "approval-asked"
    ]
    assert f"ticket {ticket(world).id} for the call n-2 of os-user:ada: tools/call push, " in asked.detail
    assert sha256(encode({"to": "main"})).hexdigest() in asked.detail


# --- a call that goes on in several requests ------------------------------------------------------


def approved_read(rules: str, modern_upstream: bool) -> tuple[World, str]:
    """A modern client's call that a person approved and whose upstream then asked; the state."""
    world = World(rules, approvals=NOW)
    world.upstreams["one"].modern = modern_upstream
    modern(world, "tools/list")
    call(world, "read", 1)
    answer(world, "approved")
    call(world, "read", 2)
    if modern_upstream:
        world.answer(asks())
    else:
        ask(world, "elicitation/create", FORM)
    return world, last(world)["requestState"]


READ = (
    "  - {id: see, effect: ask, tools: [read]}\n  - {id: form, effect: allow, action: [elicitation/create]}\n"
)


@pytest.mark.parametrize("modern_upstream", [True, False])
def test_an_approved_call_goes_on_once_when_its_upstream_asks_first(modern_upstream: bool) -> None:
    world, state = approved_read(READ, modern_upstream)
    key = "branch" if modern_upstream else "question-1"
    more: Any = {"requestState": state, "inputResponses": {key: ACCEPTED}}
    call(world, "read", 3, **more)
    if modern_upstream:
        world.answer(asks())
        more["requestState"] = last(world)["requestState"]
        call(world, "read", 4, **more)
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]
    requests = len(world.upstreams["one"].requests)
    call(world, "read", 5, **more)
    assert BAD_STATE in str(last(world)) or "(p/see)" in str(last(world))
    assert len(world.upstreams["one"].requests) == requests
    decided = [one for one in world.audit.records if isinstance(one, Decided) and one.effect == "allow"]
    assert {one.approval.partition(" ")[0] for one in decided if one.tool == "read"} == {ticket(world).id}


@pytest.mark.parametrize("modern_upstream", [True, False])
def test_other_policies_void_the_approval_of_a_call_that_goes_on(modern_upstream: bool) -> None:
    world, state = approved_read(READ, modern_upstream)
    put_in_force(world, READ.replace("tools: [read]", "tools: [read, write]"))
    before = len(world.upstreams["one"].requests)
    call(world, "read", 3, requestState=state, inputResponses={"branch": ACCEPTED})
    assert "has changed since" in said(last(world))
    assert len(world.upstreams["one"].requests) == before


def test_a_deny_stops_an_approved_call_that_goes_on() -> None:
    world, state = approved_read(READ, modern_upstream=True)
    put_in_force(world, READ + "  - {id: no, effect: deny, tools: [read]}\n")
    call(world, "read", 3, requestState=state, inputResponses={"branch": ACCEPTED})
    assert len(world.upstreams["one"].requests) <= 2


def test_another_call_does_not_go_on_by_the_state_of_an_approved_one() -> None:
    world, state = approved_read(READ, modern_upstream=True)
    params = {"name": "read", "arguments": {"a": 2}, "requestState": state}
    modern(world, "tools/call", params, 3, capabilities=ALL_CAPABILITIES)
    assert "(p/see)" in said(last(world))


# --- what is read is not believed ----------------------------------------------------------------


def read_as(world: World, monkeypatch: pytest.MonkeyPatch, **forged: Any) -> None:
    """The store gives the ticket of the next call so, approved, whatever the call is."""
    answer = TicketAnswer("approved", "os-user:ada", "console", lasts=forged.pop("lasts", "once"), until=1.0)
    one = structs.replace(ticket(world), **{"state": "approved", "answer": answer, **forged})
    given: Wait[Ticket] = Wait()
    given.set(one)
    monkeypatch.setattr(world.store, "ask", lambda _mine: given)


def test_that_a_rule_wants_a_passkey_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = asking(rules=PROVEN)
    push(world)
    read_as(world, monkeypatch, terms=AnswerTerms())
    assert "asks for a passkey" in said(push(world))
    assert sent(world) == []


@pytest.mark.parametrize("forged", [{"rules": ("p/more", "p/push")}, {"session": "x"}, {"args": "x"}])
def test_a_ticket_that_is_about_another_call_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, forged: dict[str, Any]
) -> None:
    world = asking()
    push(world)
    read_as(world, monkeypatch, **forged)
    assert "has changed since" in said(push(world))
    assert sent(world) == []


@pytest.mark.parametrize("forged", [{"lasts": "time"}, {"expires": 1.0}])
def test_an_approval_that_has_ended_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, forged: dict[str, Any]
) -> None:
    world = asking()
    push(world)
    read_as(world, monkeypatch, **forged)
    assert "has expired or was ended" in said(push(world))
    assert sent(world) == []


def test_an_approval_of_one_call_is_used_once_whatever_the_store_says_later() -> None:
    world = asking(ApprovalTerms(0.0, 900.0))
    push(world)
    answer(world, "approved")
    push(world)
    replaced(world, state="approved", uses=0)
    assert "was used by the same call" in said(push(world))
    assert sent(world) == ["push"]


def test_what_was_used_is_known_until_it_has_expired() -> None:
    terms = ApprovalTerms(0.0, 900.0)
    world = asking(terms)
    for _ in range(3):
        push(world)
        answer(world, "approved")
        push(world)
        assert len(terms.used) == 1
        world.clock.wind(1000)
        world.store.tickets.clear()
    assert sent(world) == ["push"] * 3
