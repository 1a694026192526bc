"""Calls that a person approves: what was shown is what goes on, once; everything else is refused."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.evidence.records import Decided, Noticed
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, Verdict
from mcpguard.gateway.gateway import STOPPED_WAITING
from mcpguard.gateway.questions.approvals import LOOK_SECONDS
from mcpguard.gateway.scope import ApprovalTerms
from tests.fakes import SECRET, World, text, tool
from tests.gateway.scenes import last, legacy, modern, put_in_force
from tests.rows import each

ASK = (
    "  - {id: all, effect: allow, tools: [read]}\n"
    "  - {id: push, effect: ask, tools: [push], message: Pushing is seen by others.}\n"
)
NOW, WAITING = ApprovalTerms(0.0, 900.0), ApprovalTerms(30.0, 900.0)
ARGS = {"name": "push", "arguments": {"to": "main"}}


def asking(terms: ApprovalTerms = NOW, rules: str = ASK, era: str = "legacy") -> World:
    world = World(rules, approvals=terms)
    world.upstreams["one"].answers["push"] = text("pushed")
    return legacy(world) if era == "legacy" else world


def push(world: World, era: str = "legacy", args: Any = ARGS) -> Any:
    if era == "modern":
        modern(world, "tools/call", args)
    else:
        world.send("tools/call", args, 7)
    return last(world) if world.client.sent else None


def said(answer: Any) -> str:
    assert answer["isError"]
    return str(answer["content"][0]["text"])


def ticket(world: World) -> Ticket:
    (one,) = world.store.tickets.values()
    return one


def answer(world: World, verdict: Verdict, **more: Any) -> None:
    said = TicketAnswer(verdict, "os-user:ada", "terminal", **more)
    replaced(world, state=verdict, answer=said)


def replaced(world: World, **fields: Any) -> None:
    one = ticket(world)
    world.store.tickets[one.id] = structs.replace(one, **fields)


def sent(world: World) -> list[str]:
    return [
        one.invocation.params["name"]
        for one in world.upstreams["one"].requests
        if one.invocation.method == "tools/call"
    ]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_call_is_refused_with_its_ticket_and_the_same_call_goes_on_once_approved(era: str) -> None:
    world = asking(era=era)
    refused = said(push(world, era))
    one = ticket(world)
    assert "Pushing is seen by others. A person was asked and has not answered yet" in refused
    assert one.id in refused
    assert "mcpguard approve" not in refused
    assert sent(world) == []
    answer(world, "approved")
    world.client.sent.clear()
    assert push(world, era)["content"] == text("pushed")["content"]
    assert sent(world) == ["push"]
    assert ticket(world).state == "used"
    decided = [one for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert [(one.effect, one.cause, one.approval) for one in decided] == [
        ("deny", "approval", ""),
        ("allow", "", f"{one.id} by os-user:ada (terminal)"),
    ]


def test_an_approval_counts_for_one_call() -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    push(world)
    assert "A person was asked" in said(push(world))
    assert sent(world) == ["push"]
    assert len(world.store.tickets) == 2


def test_evidence_says_who_was_asked_before_anybody_can_answer() -> None:
    world = asking()
    push(world)
    (asked,) = [
        one for one in world.audit.records if isinstance(one, Noticed) and one.what == "approval-asked"
    ]
    assert ticket(world).id in asked.detail
    assert f"one: tools/call push needs an approval: `mcpguard approve {ticket(world).id}`" in world.reports


@pytest.mark.parametrize(
    ("via", "how"), [("terminal", "approve {} --config /c.yaml"), ("console", "console --config /c.yaml")]
)
def test_the_operator_reads_which_configuration_a_command_needs(via: str, how: str) -> None:
    rules = ASK.replace("message:", f"ask: {{via: {via}}}, message:")
    world = asking(structs.replace(NOW, option=lambda: " --config /c.yaml"), rules)
    push(world)
    said = f"one: tools/call push needs an approval: `mcpguard {how.format(ticket(world).id)}`"
    assert said in world.reports


def test_a_call_that_waits_goes_on_when_a_person_approves() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    assert push(world) is None
    answer(world, "approved")
    world.clock.ring()
    world.turn()
    assert last(world)["content"] == text("pushed")["content"]


def test_a_call_that_waits_is_refused_when_a_person_denies() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    answer(world, "denied", reason="Use staging.")
    world.clock.ring()
    world.turn()
    assert "A person refused this call: Use staging." in said(last(world))
    world.client.sent.clear()
    assert "A person refused this call: Use staging." in said(push(world))
    assert sent(world) == []


@pytest.mark.parametrize("method", ["tools/call", "resources/read"])
def test_a_secret_that_a_person_typed_into_a_reason_does_not_leave(method: str) -> None:
    rules = "  - {id: all, effect: ask, action: [tools/call, resources/read]}\n"
    world = asking(rules=rules)
    params = ARGS if method == "tools/call" else {"uri": "file:///a"}
    world.send(method, params, 7)
    answer(world, "denied", reason=f"It is {SECRET}, AKIAIOSFODNN7EXAMPLQ.")
    world.send(method, params, 8)
    assert "A person refused this call: It is " in str(world.client.sent[-1])
    assert SECRET not in str(world.client.sent)
    assert "AKIA" not in str(world.client.sent)


def test_a_refusal_without_a_reason_says_so() -> None:
    world = asking()
    push(world)
    answer(world, "denied")
    assert "A person refused this call. It can be asked about again from 2026-08-01T09:15:00Z on. [" in said(
        push(world)
    )


def test_the_time_to_wait_ends_and_the_ticket_stays() -> None:
    world = asking(WAITING)
    assert "Make the same call again later" in said(push(world))
    assert ticket(world).state == "waiting"


def test_a_client_that_gave_a_token_hears_that_it_waits() -> None:
    world = asking(WAITING)
    push(world, args={**ARGS, "_meta": {"progressToken": "t"}})
    told = [one["params"] for one in world.client.sent if one.get("method") == "notifications/progress"]
    assert told[0]["message"] == f"waiting for a person's approval (ticket {ticket(world).id})"
    assert [one["progress"] for one in told] == sorted({one["progress"] for one in told})
    assert all(one["progress"] < 1 for one in told)
    assert len(told) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {"to": "other"}},
        {"arguments": {"to": "main", "force": True}},
        {"arguments": {}},
    ],
)
def test_other_arguments_are_another_call(change: Any) -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    assert "A person was asked" in said(push(world, args={**ARGS, **change}))
    assert sent(world) == []


def test_another_policy_voids_what_was_approved() -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    put_in_force(world, ASK.replace("seen by others", "seen by all"))
    assert "A person was asked" in said(push(world))
    assert sent(world) == []


def test_a_policy_that_changes_while_a_call_waits_voids_it() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    answer(world, "approved")
    put_in_force(world, ASK.replace("seen by others", "seen by all"))
    world.clock.ring()
    world.turn()
    assert "What was approved has changed since" in said(last(world))
    assert sent(world) == []


@pytest.mark.parametrize(
    ("rules", "said_so", "cause", "rule"),
    [
        (
            ASK + "  - {id: never, effect: deny, when: args.to == 'main', message: Never push.}\n",
            "Never push.",
            "rule",
            "p/never",
        ),
        (ASK.replace("id: push", "id: asking-anew"), "has changed since", "approval", "p/asking-anew"),
    ],
)
def test_a_call_that_waits_while_policies_change_is_refused_by_those_of_now(
    rules: str, said_so: str, cause: str, rule: str
) -> None:
    """What is recorded names rules and policies that belong together, and what is said is true."""
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    put_in_force(world, rules)
    while not world.client.sent:
        world.clock.ring()
        world.turn()
    assert said_so in said(last(world))
    assert "once a person has approved it" not in said(last(world))
    record = next(one for one in reversed(world.audit.records) if isinstance(one, Decided))
    assert (record.effect, record.cause, record.rules) == ("deny", cause, (rule,))
    assert record.policy_digest == world.judge.policies.digest


def test_a_tool_that_is_listed_differently_voids_what_was_approved() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.upstreams["one"].tools = [tool("read"), {**tool("push"), "description": "does something else"}]
    world.gateway.notified("one", "notifications/tools/list_changed", {})
    world.clock.ring()
    world.turn()
    answer(world, "approved")
    world.clock.ring()
    world.turn()
    assert "What was approved has changed since" in said(last(world))
    assert sent(world) == []


def test_an_approval_that_has_expired_or_is_used_counts_for_nothing() -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    replaced(world, expires=0.0)
    assert "A person was asked" in said(push(world))
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    answer(world, "approved")
    replaced(world, expires=0.0)
    world.clock.ring()
    world.turn()
    assert "or it has expired" in said(last(world))
    assert sent(world) == []


def test_a_deny_is_not_asked_about_and_stays_one_after_the_approval() -> None:
    rules = ASK + "  - {id: no, effect: deny, tools: [push], when: \"'private' in session.labels\"}\n"
    world = asking(rules=rules.replace("tools: [read]}", "tools: [read], label: [private]}"))
    push(world)
    answer(world, "approved")
    world.upstreams["one"].answers["read"] = text("x")
    world.call("read")
    assert "(p/no)" in said(push(world))
    assert sent(world) == ["read"]
    assert ticket(world).state == "approved"


def test_a_rule_that_begins_to_ask_is_asked_about_too() -> None:
    more = "  - {id: also, effect: ask, tools: [push], when: session.calls > 0}\n"
    world = asking(rules=ASK + more)
    push(world)
    answer(world, "approved")
    world.upstreams["one"].answers["read"] = text("x")
    world.call("read")
    assert "(p/also, p/push)" in said(push(world))
    assert sent(world) == ["read"]


def test_what_a_rule_that_asks_adds_is_added_once_approved() -> None:
    world = asking(rules=ASK.replace("message:", "label: [pushed], message:"))
    push(world)
    assert [kept.labels for kept in world.store.kept.values()] == [[]]
    answer(world, "approved")
    push(world)
    assert [kept.labels for kept in world.store.kept.values()] == [["pushed"]]


def test_the_person_is_shown_the_arguments_without_secrets() -> None:
    world = asking(rules=ASK)
    world.send("tools/call", {"name": "push", "arguments": {"to": "main", "note": "AKIAIOSFODNN7EXAMPLQ"}}, 7)
    assert '"to":"main"' in ticket(world).shown
    assert "AKIA" not in ticket(world).shown
    assert SECRET not in str(world.store.tickets)


def test_a_store_that_is_down_refuses_and_says_so() -> None:
    world = asking()
    world.send("tools/list", {}, 6)
    world.store.down = "no disk"
    assert "A person could not be asked." in said(push(world))
    assert any("a person could not be asked: no disk" in one for one in world.reports)


@pytest.mark.parametrize("end", ["approved", "denied", "cancelled", "patience"])
def test_people_see_that_a_call_waits_until_it_does_no_longer(end: Any) -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    assert [one for one, _ in world.store.waited_for] == [ticket(world).id]
    if end == "cancelled":
        world.send("notifications/cancelled", {"requestId": 7})
    elif end != "patience":
        answer(world, end)
    for _ in range(int(WAITING.wait_seconds / LOOK_SECONDS)):
        world.clock.ring()
        world.turn()
    assert world.store.waited_for == []


def test_a_call_by_an_approval_that_is_there_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = asking()
    push(world)
    answer(world, "approved")
    monkeypatch.setattr(world.store, "waits", None)
    assert push(world)["content"] == text("pushed")["content"]


def test_a_call_that_is_cancelled_while_it_waits_is_not_made() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.send("notifications/cancelled", {"requestId": 7})
    answer(world, "approved")
    world.clock.ring()
    world.turn()
    assert sent(world) == []
    assert ticket(world).state == "approved"


def test_a_call_that_waits_when_mcpguard_stops_hears_that_nothing_was_sent() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.clock.wind(4)
    world.gateway.drain()
    world.gateway.abandon("abandoned")
    world.turn()
    waits, over = [one for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert (over.effect, over.cause, over.ticket) == ("deny", "abandoned", ticket(world).id)
    assert (over.at - waits.at).total_seconds() >= 4
    heard = world.client.sent[-1]["error"]["message"]
    assert heard == STOPPED_WAITING.format(ticket(world).id)
    assert (sent(world), ticket(world).state) == ([], "waiting")


@pytest.mark.parametrize("verdict", ["denied", None])
def test_a_late_refusal_is_dated_when_it_was_decided(verdict: Verdict | None) -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.clock.wind(31)
    if verdict is not None:
        answer(world, verdict)
    while world.clock.alarms:
        world.clock.ring()
        world.turn()
    waits, over = [one for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert (over.effect, over.cause) == ("deny", "approval")
    assert (over.at - waits.at).total_seconds() >= 31


def test_a_call_whose_ticket_expires_as_the_clock_is_set_is_answered_at_the_next_look() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    asked = ticket(world)
    world.clock.set = asked.expires - asked.created
    assert world.clock.alarms
    world.clock.ring()
    world.turn()
    assert f"Nobody answered in time (ticket {asked.id})" in str(last(world))
    assert (sent(world), world.clock.alarms, world.store.waited_for) == ([], [], [])


def test_the_time_that_looks_take_is_time_that_a_call_waits() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    world.clock.wind(WAITING.wait_seconds)  # As with a database that is slow to answer.
    world.clock.ring()
    world.turn()
    assert "has not answered yet" in str(last(world))
    assert (sent(world), world.clock.alarms, world.store.waited_for) == ([], [], [])


def test_other_methods_are_asked_about_as_well() -> None:
    rules = "  - {id: see, effect: ask, action: [resources/read], message: Look first.}\n"
    world = World(rules, approvals=NOW)
    world.upstreams["one"].answers["resources/read"] = {"contents": []}
    modern(world, "resources/read", {"uri": "file:///a"})
    assert "A person was asked" in str(last(world))
    answer(world, "approved")
    modern(world, "resources/read", {"uri": "file:///a"})
    assert last(world)["contents"] == []


def test_without_anybody_to_ask_it_is_refused_as_before() -> None:
    world = legacy(World(ASK))
    assert "A person" not in said(push(world))


# --- how the rules want it approved --------------------------------------------------------------


PROVEN = (
    "  - {id: all, effect: allow, tools: [read]}\n"
    "  - {id: push, effect: ask, tools: [push], ask: {via: console, proof: passkey}}\n"
)


def proven(against: str) -> ApprovalTerms:
    async def unproven(_ticket: Ticket, _answer: TicketAnswer) -> str:
        return against

    return ApprovalTerms(0.0, 900.0, unproven)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_an_approval_with_a_passkey_counts_once_it_is_proven(era: str) -> None:
    world = asking(proven(""), PROVEN, era)
    push(world, era)
    replaced(world, state="approved", answer=TicketAnswer("approved", "a:b", "console", assertion="{}"))
    world.client.sent.clear()
    assert push(world, era)["content"] == text("pushed")["content"]
    (one,) = [one for one in world.audit.records if isinstance(one, Decided) and one.approval]
    assert one.approval == f"{ticket(world).id} by a:b (console, passkey)"


@each(
    ("terms", "answer", "why"),
    [
        (proven("the passkey did not sign this approval"), {"assertion": "{}"}, "did not sign this approval"),
        (NOW, {"assertion": "{}"}, "passkeys cannot be checked here"),
        (proven(""), {}, "asks for a passkey, and this approval has none"),
        (proven(""), {"assertion": "{}", "via": "terminal"}, "on the console, not at a terminal"),
        (proven(""), {"assertion": "{}", "via": "client"}, "on the console, not through the client"),
    ],
)
def test_an_approval_that_is_not_as_the_rule_wants_it_does_not_count(
    terms: ApprovalTerms, answer: dict[str, str], why: str
) -> None:
    world = asking(terms, PROVEN)
    push(world)
    replaced(world, state="approved", answer=TicketAnswer("approved", "a:b", **{"via": "console", **answer}))
    assert f"The approval is not valid: its rule {why}" in said(push(world)) or why in said(last(world))
    assert sent(world) == []


def test_rules_that_agree_on_no_channel_have_nobody_asked() -> None:
    rules = (
        "  - {id: one, effect: ask, tools: [push], ask: {via: console}}\n"
        "  - {id: two, effect: ask, tools: [push], ask: {via: terminal}}\n"
    )
    world = asking(rules=rules)
    assert "allow no common channel for an answer" in said(push(world))
    assert world.store.tickets == {}


def test_the_shortest_time_of_the_rules_is_how_long_a_ticket_lives() -> None:
    world = asking(rules=ASK.replace("tools: [push]", "tools: [push], ask: {timeout: 90s}"))
    push(world)
    assert ticket(world).expires - ticket(world).created == 90


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_who_waits_longer_than_the_ticket_lives_is_told_that_nobody_can_approve_it_any_more(era: str) -> None:
    rules = ASK.replace("tools: [push]", "tools: [push], ask: {timeout: 90s}")
    world = asking(ApprovalTerms(600.0, 900.0), rules, era)
    world.clock.slow = True
    push(world, era)
    while not world.client.sent:  # A look at the ticket each.
        world.clock.wind(LOOK_SECONDS)
        world.clock.ring()
        world.turn()
    refused = said(last(world))
    assert f"Nobody answered in time (ticket {ticket(world).id})." in refused
    assert "an approval counts" not in refused
    assert len(world.store.tickets) == 1
