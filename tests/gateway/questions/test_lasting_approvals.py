"""Approvals for a session or a time: the calls that they are about go on, each with evidence; no other does."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.evidence.records import Decided
from mcpguard.core.model import Json, Principal
from mcpguard.core.policy.session import StoredSession
from mcpguard.core.policy.tickets import Lasting, TicketAnswer
from tests.fakes import SECRET, START, World, text, tool
from tests.gateway.questions.test_approvals import (
    ASK,
    NOW,
    WAITING,
    asking,
    push,
    put_in_force,
    said,
    sent,
    ticket,
)
from tests.gateway.questions.test_approvals import answer as answered
from tests.gateway.questions.test_approvals_attacked import READ, asks
from tests.gateway.scenes import ACCEPTED, last, modern
from tests.gateway.scenes import call as modern_call
from tests.rows import each

UNTIL = START.timestamp() + 600
BRANCH = {"branch": "main", "force": False}


def call(world: World, era: str = "legacy", **arguments: Json) -> Any:
    world.client.sent.clear()
    return push(world, era, {"name": "push", "arguments": arguments})


def approved(
    lasts: Lasting = "time", *free: str, era: str = "legacy", rules: str = ASK, **first: Json
) -> World:
    """Somebody approved the first call, with these arguments."""
    world = asking(era=era, rules=rules)
    call(world, era, **(first or BRANCH))
    given = TicketAnswer("approved", "os-user:ada", "terminal", lasts=lasts, until=UNTIL, free=free)
    assert world.store.answer(ticket(world).id, given)
    return world


def went_on(answer: Any) -> bool:
    if not answer.get("isError"):
        return bool(answer["content"] == text("pushed")["content"])
    assert "A person was asked and has not answered yet" in said(answer)
    return False


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("lasts", ["session", "time"])
def test_the_same_call_goes_on_each_time_with_evidence_of_the_use(era: str, lasts: Lasting) -> None:
    world = approved(lasts, era=era)
    for _ in range(3):
        assert went_on(call(world, era, **BRANCH))
    assert ticket(world).uses == 3
    by = f"{ticket(world).id} by os-user:ada (terminal), use"
    decided = [one for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert [one.approval for one in decided] == ["", f"{by} 1", f"{by} 2", f"{by} 3"]


def test_without_a_free_argument_another_call_is_asked_about() -> None:
    world = approved()
    assert not went_on(call(world, **{**BRANCH, "branch": "b"}))
    assert went_on(call(world, force=False, branch="main"))
    assert sent(world) == ["push"]


@pytest.mark.parametrize("actor", ["", "bot-8"])
def test_an_approval_of_who_acts_for_another_is_not_one_of_who_acts_next(actor: str) -> None:
    world = asking()
    recorder = world.scope.recorder
    recorder.principal = Principal("ada", "os-user", actor="bot-7")
    call(world, **BRANCH)
    given = TicketAnswer("approved", "os-user:ada", "terminal", lasts="time", until=UNTIL, free=("branch",))
    assert world.store.answer(ticket(world).id, given)
    recorder.principal = Principal("ada", "os-user", actor=actor)
    assert not went_on(call(world, **BRANCH))
    recorder.principal = Principal("ada", "os-user", actor="bot-7")
    assert went_on(call(world, **{**BRANCH, "branch": "b"}))


def test_a_free_argument_may_have_any_value() -> None:
    world = approved("session", "branch")
    for value in ("b", 1, None, {"deep": [1, {"er": "\u202e"}]}, ["*"], ""):
        assert went_on(call(world, branch=value, force=False))
    assert len(world.store.tickets) == 1


@each(
    "arguments",
    [
        {"branch": "b", "force": True},
        {"branch": "b", "force": 0},
        {"branch": "b"},
        {"force": False},
        {"branch": "b", "force": False, "more": 1},
        {"br\u0430nch": "b", "force": False},
        {"branch": "b", "force": False, "br\u0430nch": "c"},
        {"Branch": "b", "force": False},
        {},
    ],
)
def test_whatever_else_differs_is_asked_about(arguments: dict[str, Json]) -> None:
    world = approved("time", "branch")
    assert not went_on(call(world, **arguments))
    assert sent(world) == []


def test_nested_values_are_the_same_in_any_order_and_other_numbers_are_not() -> None:
    world = approved("time", "branch", branch="b", options={"a": 1, "b": [{"x": 1, "y": 2}]})
    assert went_on(call(world, options={"b": [{"y": 2, "x": 1}], "a": 1}, branch="c"))
    for other in (
        {"a": 1.0, "b": [{"x": 1, "y": 2}]},
        {"a": 1, "b": [{"x": 1, "y": "2"}]},
        {"a": 1, "b": [[]]},
    ):
        assert not went_on(call(world, options=other, branch="c"))


def test_with_every_argument_free_it_is_still_that_tool_with_those_arguments() -> None:
    world = approved("time", "branch", "force")
    assert went_on(call(world, branch="b", force=True))
    assert not went_on(call(world, branch="b", force=True, more=1))
    assert not went_on(call(world))


def test_it_ends_exactly_when_it_says() -> None:
    world = approved()
    (one,) = world.store.tickets.values()
    start = world.clock.now().timestamp()
    given = TicketAnswer("approved", "os-user:ada", "terminal", lasts="time", until=start)
    world.store.tickets[one.id] = structs.replace(one, answer=given)
    assert not went_on(call(world, **BRANCH))
    assert len(world.store.tickets) == 2


def test_it_ends_with_its_session() -> None:
    world = approved("session")
    assert went_on(call(world, **BRANCH))
    for kept in world.store.kept:
        world.store.kept[kept] = StoredSession()
    assert not went_on(call(world, **BRANCH))
    assert sent(world) == ["push"]


def test_a_person_who_ends_it_is_asked_again() -> None:
    world = approved()
    assert went_on(call(world, **BRANCH))
    assert world.store.end(ticket(world).id)
    assert not went_on(call(world, **BRANCH))


def test_a_call_that_waits_while_its_approval_is_ended_hears_so() -> None:
    world = asking()
    call(world, **BRANCH)
    answered(world, "approved")
    one = ticket(world)
    world.store.tickets[one.id] = structs.replace(one, state="ended")
    world.store.ask = lambda _: world.store.ticket(one)  # type: ignore[method-assign]
    assert "A person ended the approval: make the call again" in said(call(world, **BRANCH))


def test_other_policies_void_it() -> None:
    world = approved("session", "branch")
    put_in_force(world, ASK.replace("seen by others", "seen by all"))
    assert not went_on(call(world, **BRANCH))


def test_a_rule_that_only_approves_another_call_in_advance_does_not() -> None:
    world = approved("session")
    more = "  - {id: mine, effect: allow, tools: [push], when: args.force, approves: [p/push], message: m}\n"
    put_in_force(world, ASK + more)
    assert went_on(call(world, **BRANCH))
    put_in_force(world, ASK + more.replace("message: m", "label: [seen]"))
    assert not went_on(call(world, **BRANCH))


def test_what_another_rule_asks_about_is_asked_about() -> None:
    rules = ASK + "  - {id: forced, effect: ask, tools: [push], when: args.force}\n"
    world = approved("time", "force", rules=rules)
    assert went_on(call(world, **BRANCH))
    assert not went_on(call(world, branch="main", force=True))


def test_a_deny_still_refuses_and_the_approval_stays() -> None:
    rules = ASK + "  - {id: no, effect: deny, tools: [push], when: args.branch == 'prod', message: Never.}\n"
    world = approved("time", "branch", rules=rules)
    assert "Never." in said(call(world, branch="prod", force=False))
    assert went_on(call(world, **BRANCH))


def test_a_limit_that_fills_up_between_refuses_and_says_nothing_of_a_used_approval() -> None:
    rules = ASK + "  - {id: some, effect: allow, tools: [push], limit: {calls: 1, per: 1h}}\n"
    world = approved(rules=rules)
    foreseen = world.judge.decide

    async def filled(*args: Any, **more: Any) -> Any:
        verdict = await foreseen(*args, **more)
        if more.get("foresee") and ticket(world).answer is not None:
            for kept in world.store.kept.values():
                kept.spent = {"p/some calls 1h": [(int(START.timestamp() * 60 // 3600), 1)]}
        return verdict

    world.judge.decide = filled  # type: ignore[method-assign]
    refused = said(call(world, **BRANCH))
    assert "the limit of 1 call in" in refused
    assert "used up" not in refused


def test_calls_that_wait_go_on_when_one_of_them_is_approved_for_all() -> None:
    world = asking()
    for branch in ("a", "b", "c"):
        call(world, branch=branch, force=False)
    first, *_ = world.store.tickets
    given = TicketAnswer("approved", "os-user:ada", "terminal", lasts="time", until=UNTIL, free=("branch",))
    world.store.answer(first, given)
    assert list(world.store.tickets) == [first]
    for branch in ("a", "b", "c"):
        assert went_on(call(world, branch=branch, force=False))


def test_a_call_whose_server_asks_first_goes_on_with_its_own_arguments_only() -> None:
    world = World(READ, approvals=NOW)
    world.upstreams["one"].modern = True
    modern(world, "tools/list")
    modern_call(world, "read", 1)
    given = TicketAnswer("approved", "os-user:ada", "terminal", lasts="time", until=UNTIL, free=("a",))
    world.store.answer(ticket(world).id, given)
    modern_call(world, "read", 2)
    world.answer(asks())
    more = {"requestState": last(world)["requestState"], "inputResponses": {"branch": ACCEPTED}}
    requests = len(world.upstreams["one"].requests)
    modern(world, "tools/call", {"name": "read", "arguments": {"a": 2}, **more}, 3)
    assert len(world.upstreams["one"].requests) == requests
    modern_call(world, "read", 4, **more)
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]
    assert ticket(world).uses == 1


def test_what_a_rule_approves_in_advance_asks_nobody_and_is_in_evidence() -> None:
    rules = (
        ASK + "  - {id: mine, effect: allow, tools: [push], approves: [p/push], when: args.branch == 'b'}\n"
    )
    world = asking(rules=rules)
    assert went_on(call(world, branch="b"))
    assert world.store.tickets == {}
    assert not went_on(call(world, branch="c"))
    decided = [one for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert [(one.effect, one.rules) for one in decided] == [
        ("allow", ("p/push", "p/mine")),
        ("deny", ("p/push",)),
    ]


def test_a_person_is_asked_for_what_is_left_and_a_call_goes_on_by_both() -> None:
    rules = (
        ASK
        + "  - {id: more, effect: ask, tools: [push]}\n"
        + "  - {id: mine, effect: allow, tools: [push], approves: [p/push]}\n"
    )
    world = approved(rules=rules)
    assert ticket(world).rules == ("p/more",)
    assert went_on(call(world, **BRANCH))


MINE = ASK + "  - {id: mine, effect: allow, tools: [push], approves: [p/push]}\n"


@pytest.mark.parametrize("state", ["waiting", "approved", "denied"])
def test_a_call_that_waits_goes_on_by_a_rule_that_comes_meanwhile(state: str) -> None:
    world = asking(WAITING)
    world.clock.slow = True
    assert push(world) is None
    put_in_force(world, MINE)
    if state != "waiting":
        answered(world, "approved" if state == "approved" else "denied")
    for _ in range(200):
        world.clock.ring()
    world.turn()
    if state == "denied":
        assert "A person refused this call" in said(last(world))
    else:
        assert went_on(last(world))
    # A person's answer counts beside such a rule.
    assert ticket(world).state == ("used" if state == "approved" else state)


def test_a_lasting_approval_that_new_policies_void_is_not_used_by_a_call_that_goes_on() -> None:
    world = asking(WAITING)
    world.clock.slow = True
    push(world)
    put_in_force(world, MINE + "  - {id: pulling, effect: deny, tools: [pull]}\n")
    answered(world, "approved", lasts="time", until=world.clock.now().timestamp() + 60)
    for _ in range(200):
        world.clock.ring()
    world.turn()
    assert went_on(last(world))
    assert (ticket(world).state, ticket(world).uses) == ("approved", 0)


def test_what_is_listed_otherwise_does_not_go_on_by_a_rule_that_comes_meanwhile() -> None:
    world = asking(WAITING).listed()
    world.clock.slow = True
    push(world)
    put_in_force(world, MINE)
    world.upstreams["one"].tools = [{**tool("push"), "description": "does harm"}]
    world.send("tools/list", {}, 8)
    answered(world, "approved")
    for _ in range(200):
        world.clock.ring()
    world.turn()
    assert sent(world) == []


ONE_HOST = ASK.replace("effect: ask,", "effect: ask, ask: {same_host: [url]},")


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_an_address_that_is_free_stays_on_its_host(era: str) -> None:
    world = approved("session", "url", era=era, rules=ONE_HOST, url="https://example.com/a", raw=False)
    assert went_on(call(world, era, url="https://EXAMPLE.com/b?c=d", raw=False))
    assert went_on(call(world, era, url="https://example.com:443/b", raw=False))
    assert not went_on(call(world, era, url="https://evil.example/a", raw=False))
    assert not went_on(call(world, era, url="http://example.com/a", raw=False))
    assert not went_on(call(world, era, url="https://example.com:8443/a", raw=False))
    assert not went_on(call(world, era, url="https://ada@example.com/a", raw=False))
    assert not went_on(call(world, era, url="https://example.com@evil.example/", raw=False))
    assert not went_on(call(world, era, url="https://example.com/a", raw=True))


def test_an_address_that_cannot_be_read_is_that_address_alone() -> None:
    world = approved("session", "url", rules=ONE_HOST, url="//example.com/a")
    assert went_on(call(world, url="//example.com/a"))
    for url in ("//example.com/b", "https://example.com/a", ["//example.com/a"]):
        assert not went_on(call(world, url=url))


def test_a_ticket_has_the_names_of_arguments_as_a_person_sees_them() -> None:
    world = approved("time", "branch", branch="b", **{SECRET: 1})
    assert SECRET not in repr(world.store.tickets)
    (hidden,) = set(ticket(world).parts) - {"branch"}
    assert hidden.startswith("[REDACTED:")
    assert went_on(call(world, branch="c", **{SECRET: 1}))
    assert not went_on(call(world, branch="c", **{SECRET: 2}))
    assert not went_on(call(world, branch="c", **{f"{SECRET}x": 1}))


def test_arguments_of_one_name_to_a_person_are_one_to_an_approval() -> None:
    world = approved("time", "branch", branch="b", **{SECRET: 1})
    (hidden,) = set(ticket(world).parts) - {"branch"}
    rules = ASK.replace("message:", "placeholders: true, message:")
    world = approved("time", "branch", rules=rules, branch="b", **{SECRET: 1, hidden: 2})
    assert set(ticket(world).parts) == {"branch", hidden}
    assert went_on(call(world, branch="c", **{SECRET: 1, hidden: 2}))
    assert not went_on(call(world, branch="c", **{SECRET: 2, hidden: 1}))
    assert not went_on(call(world, branch="c", **{SECRET: 1}))
