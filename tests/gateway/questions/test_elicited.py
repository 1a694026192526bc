"""The client itself is asked whether a call may be made, in both eras, where the rules allow it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.errors import SessionError
from mcpguard.core.evidence.records import Decided, Noticed
from mcpguard.core.policy.tickets import AnswerTerms, Ticket, TicketAnswer, Verdict
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.questions.approvals import MOST_WAITING
from mcpguard.gateway.questions.elicited import MOST_REASON, READABLE, ClientChannel
from mcpguard.gateway.questions.round_trips import MAX_PARKED
from mcpguard.gateway.scope import ApprovalTerms
from tests.fakes import SECRET, World, text
from tests.gateway.scenes import FORMS, last, legacy, modern, put_in_force

RULE = "  - {{id: push, effect: ask, tools: [push], message: Others see it., ask: {{via: {via}{more}}}}}\n"
ONLY, ALSO, NOT = "client", "[client, terminal]", "terminal"
ARGS: dict[str, Any] = {"name": "push", "arguments": {"to": "main"}}
YES: dict[str, Any] = {"action": "accept", "content": {"decision": "approve"}}
NO: dict[str, Any] = {"action": "accept", "content": {"decision": "deny", "reason": "Use\nstaging."}}
DECLINE, CANCEL = {"action": "decline"}, {"action": "cancel"}
NONSENSE: list[Any] = [
    None,
    [],
    {"action": "accept"},
    {"action": "accept", "content": {"decision": "yes"}},
    {"action": "accept", "content": {"approve": True}},
    {"action": ["accept"], "content": {"decision": "approve"}},
]


def rules(via: str = ONLY, more: str = "") -> str:
    return RULE.format(via=via, more=more)


def asking(era: str, via: str = ONLY, more: str = "", capabilities: Any = FORMS, wait: float = 30.0) -> World:
    world = World(rules(via, more), approvals=ApprovalTerms(wait, 900.0))
    world.upstreams["one"].answers["push"] = text("pushed")
    world.clock.slow = True
    return legacy(world, capabilities) if era == "legacy" else world


def push(world: World, era: str, args: Any = ARGS, capabilities: Any = FORMS, request_id: int = 7) -> None:
    if era == "legacy":
        world.send("tools/call", args, request_id)
    else:
        modern(world, "tools/call", args, request_id, capabilities=capabilities)


def question(world: World) -> Any:
    """What the client is asked: the params of the one elicitation."""
    sent = world.client.sent[-1]
    if "method" in sent:
        assert sent["method"] == "elicitation/create"
        return sent["params"]
    assert sent["result"]["resultType"] == "input_required"
    (one,) = sent["result"]["inputRequests"].values()
    assert one["method"] == "elicitation/create"
    return one["params"]


def say(world: World, response: Any, args: Any = ARGS) -> None:
    """The client answers its question, as its era does."""
    sent = world.client.sent[-1]
    if "method" in sent:
        world.gateway.receive({"jsonrpc": "2.0", "id": sent["id"], "result": response})
        world.turn()
    else:
        retry(world, sent["result"]["requestState"], {"approval": response}, args)
    look(world)


def look(world: World) -> None:
    """The calls that wait look whether somebody has answered."""
    for alarm in [one for one in world.clock.alarms if one[0] < 1]:
        world.clock.alarms.remove(alarm)
        alarm[1]()
    world.turn()


def retry(world: World, state: Any, responses: Any, args: Any = ARGS, request_id: int = 8) -> None:
    params = {**args, "requestState": state, "inputResponses": responses}
    modern(world, "tools/call", params, request_id, capabilities=FORMS)


def ticket(world: World) -> Ticket:
    (one,) = world.store.tickets.values()
    return one


def elsewhere(world: World, verdict: Verdict) -> None:
    """Somebody answers at a terminal."""
    one = ticket(world)
    said = TicketAnswer(verdict, "os-user:grace", "terminal", reason="No.")
    world.store.tickets[one.id] = structs.replace(one, state=verdict, answer=said)


def pushes(world: World) -> int:
    return sum(one.invocation.method == "tools/call" for one in world.upstreams["one"].requests)


def noted(world: World) -> list[str]:
    notes = [one for one in world.audit.records if isinstance(one, Noticed)]
    return [one.what for one in notes if one.what.startswith("approval")]


both = pytest.mark.parametrize("era", ["legacy", "modern"])


@both
def test_what_the_client_approves_is_made_with_the_client_as_evidence(era: str) -> None:
    world = asking(era)
    push(world, era)
    asked = question(world)
    assert asked["requestedSchema"]["properties"]["decision"]["enum"] == ["approve", "deny"]
    assert pushes(world) == 0
    say(world, YES)
    assert last(world)["content"] == text("pushed")["content"]
    waited, decided = [one for one in world.audit.records if isinstance(one, Decided) and one.tool == "push"]
    assert (waited.effect, waited.ticket, decided.ticket) == ("ask", ticket(world).id, ticket(world).id)
    assert decided.approval == f"{ticket(world).id} by os-user:ada (client)"
    assert noted(world) == ["approval-asked", "approval-elicited", "approval-given"]
    assert ticket(world).state == "used"


@both
def test_the_question_shows_the_call_and_nothing_in_it_hides_or_steers(era: str) -> None:
    world = asking(era, more=", show: [to]")
    args = {"name": "push", "arguments": {"a\n\nmcpguard": "x\u202e\x1b[2J", "to": "main", "key": SECRET}}
    args["arguments"]["key"] = "AKIAIOSFODNN7EXAMPLQ"  # type: ignore[index]
    push(world, era, args)
    shown = question(world)["message"]
    lines = shown.split("\n")
    assert lines[0] == "mcpguard asks whether this call may be made."
    assert lines[-1] == "Others see it."
    inside = lines[2:-2]
    assert all(line.startswith("    ") for line in inside)
    assert "    call       tools/call one/push" in inside
    assert "    by         os-user:ada with desk" in inside
    assert inside[5] == '      to: "main"'
    assert "AKIA" not in shown
    assert not {"\u202e", "\x1b"} & set(shown)
    assert r"\\u001b[2J" in shown or r"\u001b[2J" in shown


@both
@pytest.mark.parametrize(("response", "why"), [(NO, ": Use staging."), (DECLINE, ".")])
def test_what_the_client_denies_is_refused(era: str, response: Any, why: str) -> None:
    world = asking(era)
    push(world, era)
    say(world, response)
    assert (
        f"A person refused this call{why} It can be asked about again from "
        in last(world)["content"][0]["text"]
    )
    assert pushes(world) == 0
    assert noted(world)[-1] == "approval-refused"


@both
def test_a_secret_in_a_reason_reaches_neither_the_store_nor_the_model(era: str) -> None:
    world = asking(era)
    push(world, era)
    say(world, {"action": "accept", "content": {"decision": "deny", "reason": f"it is {SECRET}"}})
    assert "A person refused this call: it is" in str(last(world))
    assert SECRET not in str(world.store.tickets)
    assert SECRET not in str(world.client.sent)


@both
def test_a_client_that_dismisses_the_question_leaves_it_open_and_is_asked_again_with_the_call(
    era: str,
) -> None:
    world = asking(era)
    push(world, era)
    say(world, CANCEL)
    assert "The user was asked and has not answered" in str(last(world))
    assert ticket(world).state == "waiting"
    push(world, era)
    say(world, YES)
    assert pushes(world) == 1


def test_nonsense_of_a_legacy_client_counts_as_no_answer() -> None:
    for response in NONSENSE:
        world = asking("legacy")
        push(world, "legacy")
        say(world, response)
        assert "has not answered" in str(last(world)), response
        assert pushes(world) == 0


def test_an_error_of_a_legacy_client_counts_as_no_answer() -> None:
    world = asking("legacy")
    push(world, "legacy")
    error = {"code": -1, "message": "no"}
    world.gateway.receive({"jsonrpc": "2.0", "id": world.client.sent[-1]["id"], "error": error})
    look(world)
    assert "has not answered" in str(last(world))


def test_nonsense_of_a_modern_client_has_it_asked_again() -> None:
    for response in NONSENSE:
        world = asking("modern")
        push(world, "modern")
        say(world, response)
        assert question(world), response
        assert pushes(world) == 0
        say(world, YES)
        assert pushes(world) == 1


@both
def test_after_a_dismissal_the_other_channels_still_count(era: str) -> None:
    world = asking(era, ALSO)
    push(world, era)
    say(world, CANCEL)
    elsewhere(world, "approved")
    look(world)
    assert pushes(world) == 1


def test_somebody_else_is_quicker_and_the_question_is_withdrawn() -> None:
    world = asking("legacy", ALSO)
    push(world, "legacy")
    asked = world.client.sent[-1]["id"]
    elsewhere(world, "approved")
    look(world)
    withdrawn = {"method": "notifications/cancelled", "params": {"requestId": asked}}
    assert withdrawn in world.client.sent
    assert pushes(world) == 1
    world.gateway.receive({"jsonrpc": "2.0", "id": asked, "result": DECLINE})
    assert ticket(world).state == "used"


@both
def test_somebody_else_denied_before_the_client_approves(era: str) -> None:
    world = asking(era, ALSO)
    push(world, era)
    elsewhere(world, "denied")
    say(world, YES)
    assert "A person refused this call: No." in str(last(world))
    assert pushes(world) == 0


@both
def test_somebody_else_approved_and_the_client_declines_so_this_call_is_not_made(era: str) -> None:
    world = asking(era, ALSO)
    push(world, era)
    elsewhere(world, "approved")
    say(world, DECLINE)
    assert "The user of the client refused this call." in str(last(world))
    assert pushes(world) == 0
    assert ticket(world).state == "approved"


def test_somebody_else_approved_and_the_modern_client_dismisses() -> None:
    world = asking("modern", ALSO)
    push(world, "modern")
    elsewhere(world, "approved")
    say(world, CANCEL)
    assert pushes(world) == 1


@both
def test_a_lost_race_leaves_evidence_and_the_other_answer_counts(era: str) -> None:
    world = asking(era, ALSO)
    push(world, era)
    plain = world.store.answered

    def slower(*given: Any) -> Any:
        elsewhere(world, "approved")
        return plain(*given)

    world.store.answered = slower  # type: ignore[method-assign]
    say(world, YES)
    given, void = [one for one in world.audit.records if isinstance(one, Noticed)][-2:]
    assert (given.what, void.what) == ("approval-given", "approval-void")
    assert void.detail == f"approval-given: {given.detail}: somebody else answered, or it has expired"
    assert pushes(world) == 1
    assert ticket(world).answer.by == "os-user:grace"  # type: ignore[union-attr]


@both
def test_a_store_that_fails_leaves_evidence_and_refuses(era: str) -> None:
    world = asking(era)
    push(world, era)
    lost: Wait[bool] = Wait()
    lost.fail(SessionError("no disk"))
    world.store.answered = lambda *_given: lost  # type: ignore[method-assign]
    say(world, YES)
    assert any("no disk" in one for one in world.reports)
    assert noted(world)[-2:] == ["approval-given", "approval-void"]
    assert ("cannot see at the moment" if era == "modern" else "has not answered") in str(last(world))
    assert pushes(world) == 0


@both
def test_an_answer_without_evidence_does_not_count(era: str) -> None:
    world = asking(era)
    push(world, era)
    world.audit.fail = True
    say(world, YES)
    assert ticket(world).state == "waiting"
    assert pushes(world) == 0


def test_the_question_times_out_and_is_withdrawn() -> None:
    world = asking("legacy")
    push(world, "legacy")
    asked = world.client.sent[-1]["id"]
    late = max(world.clock.alarms, key=lambda alarm: alarm[0])
    world.clock.alarms.remove(late)
    late[1]()
    look(world)
    assert {"method": "notifications/cancelled", "params": {"requestId": asked}} in world.client.sent
    assert "has not answered" in str(last(world))


def test_the_call_waits_no_longer_than_its_ticket_lives() -> None:
    world = asking("legacy", more=", timeout: 60s")
    push(world, "legacy")
    for _ in range(60 * 4):
        assert world.client.sent[-1].get("method") == "elicitation/create"
        look(world)
    assert "has not answered" in str(last(world))
    assert world.client.sent[-2]["method"] == "notifications/cancelled"


def test_a_call_that_is_cancelled_withdraws_its_question() -> None:
    world = asking("legacy")
    push(world, "legacy")
    asked = world.client.sent[-1]["id"]
    world.send("notifications/cancelled", {"requestId": 7})
    assert world.client.sent[-1] == {"method": "notifications/cancelled", "params": {"requestId": asked}}
    world.gateway.receive({"jsonrpc": "2.0", "id": asked, "result": YES})
    world.turn()
    assert ticket(world).state == "waiting"


def test_an_answer_that_is_being_recorded_while_the_call_ends_is_stored_for_the_same_call() -> None:
    world = asking("legacy")
    push(world, "legacy")
    world.gateway.receive({"jsonrpc": "2.0", "id": world.client.sent[-1]["id"], "result": YES})
    world.gateway.receive({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
    world.turn()
    assert ticket(world).state == "approved"
    push(world, "legacy")
    assert pushes(world) == 1


def test_the_same_call_made_twice_at_a_time_is_asked_about_once() -> None:
    world = asking("legacy")
    push(world, "legacy", request_id=7)
    push(world, "legacy", request_id=9)
    asked = [one for one in world.client.sent if one.get("method") == "elicitation/create"]
    assert len(asked) == 1
    world.send("notifications/cancelled", {"requestId": 9})
    assert world.client.sent[-1] == asked[0]
    say(world, YES)
    assert pushes(world) == 1


@both
@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {"url": {}}}, {"elicitation": True}])
def test_a_client_that_cannot_be_asked_is_told_whom_to_turn_to(era: str, capabilities: Any) -> None:
    world = asking(era, capabilities=capabilities)
    push(world, era, capabilities=capabilities)
    said = last(world)["content"][0]["text"]
    assert "this client cannot show its user a form" in said
    assert "ask the owner of the policy to allow another channel (`ask.via`)" in said
    assert world.store.tickets == {}


@both
def test_a_client_that_cannot_be_asked_leaves_the_other_channels(era: str) -> None:
    world = asking(era, ALSO, capabilities={}, wait=0.0)
    push(world, era, capabilities={})
    assert "A person was asked and has not answered yet" in str(last(world))
    assert ticket(world).state == "waiting"


@both
def test_arguments_too_long_for_a_form_are_for_the_other_channels(era: str) -> None:
    long = {"name": "push", "arguments": {"to": "x" * READABLE}}
    world = asking(era, ALSO, wait=0.0)
    push(world, era, long)
    assert "A person was asked and has not answered yet" in str(last(world))
    world = asking(era)
    push(world, era, long)
    assert "longer than a person can be shown" in str(last(world))


def test_a_modern_request_that_cannot_carry_a_question() -> None:
    rule = "  - {id: t, effect: ask, action: [completion/complete], message: M., ask: {via: client}}\n"
    world = World(rule + "  - {id: p, effect: allow, action: [prompts/get]}\n", approvals=ApprovalTerms())
    world.upstreams["one"].lists["prompts/list"] = {"prompts": [{"name": "greet"}]}
    params = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "n", "value": "a"}}
    modern(world, "completion/complete", params, capabilities=FORMS)
    assert "this revision of the protocol cannot ask about completion/complete" in str(last(world))


def test_a_modern_client_with_too_many_open_questions() -> None:
    world = asking("modern")
    for number in range(MAX_PARKED):
        world.gateway._trips.parked._parked[str(number)] = None  # type: ignore[assignment]
    push(world, "modern")
    assert "too many questions are open" in str(last(world))


def test_a_flood_of_the_same_call_asks_once_and_is_bounded() -> None:
    world = asking("legacy", wait=0.0)
    for number in range(MOST_WAITING + 1):
        push(world, "legacy", request_id=100 + number)
    assert sum(one.get("method") == "elicitation/create" for one in world.client.sent) == 1
    assert "has not answered" in str(last(world))


@both
def test_rules_that_do_not_name_the_client_do_not_ask_it(era: str) -> None:
    world = asking(era, NOT, wait=0.0)
    push(world, era)
    assert "A person was asked" in str(last(world))
    assert all(one.get("method") != "elicitation/create" for one in world.client.sent)


@both
def test_two_rules_that_ask_must_both_allow_the_client(era: str) -> None:
    world = asking(era)
    put_in_force(world, rules(ALSO) + rules(NOT).replace("id: push", "id: more"))
    push(world, era)
    elsewhere(world, "approved")
    look(world)
    assert pushes(world) == 1
    assert "approval-elicited" not in noted(world)


def test_a_rule_that_wants_somebody_else_does_not_ask_the_client() -> None:
    world = asking("modern", ALSO, wait=0.0)
    more = ', approvers: ["os-user:grace"]'
    put_in_force(world, rules(ALSO) + rules(NOT, more).replace("id: push", "id: more"))
    push(world, "modern")
    assert "A person was asked" in str(last(world))


# --- answers that were not asked for --------------------------------------------------------------


@pytest.mark.parametrize("via", [NOT, ALSO])
def test_an_unasked_answer_of_a_modern_client_counts_for_nothing(via: str) -> None:
    world = asking("modern", via, wait=0.0)
    params = {**ARGS, "inputResponses": {"approval": YES}}
    modern(world, "tools/call", params, 7, capabilities=FORMS)
    assert ticket(world).state == "waiting"
    retry(world, "made-up", {"approval": YES})
    assert "`requestState` is unknown" in str(last(world))
    assert ticket(world).state == "waiting"
    assert pushes(world) == 0


@pytest.mark.parametrize("question_id", ["mcpguard-1", "mcpguard-2", 1])
def test_an_unasked_answer_of_a_legacy_client_counts_for_nothing(question_id: Any) -> None:
    world = asking("legacy", NOT)
    push(world, "legacy")
    world.gateway.receive({"jsonrpc": "2.0", "id": question_id, "result": YES})
    look(world)
    assert ticket(world).state == "waiting"
    assert pushes(world) == 0


def test_an_answer_counts_once() -> None:
    world = asking("modern")
    push(world, "modern")
    state = last(world)["requestState"]
    retry(world, state, {"approval": YES})
    assert pushes(world) == 1
    retry(world, state, {"approval": YES}, request_id=9)
    assert pushes(world) == 1
    push(world, "modern")
    assert last(world)["resultType"] == "input_required"


def test_an_answer_counts_for_no_other_call() -> None:
    world = asking("modern")
    push(world, "modern")
    state = last(world)["requestState"]
    other = {"name": "push", "arguments": {"to": "elsewhere"}}
    retry(world, state, {"approval": YES}, other)
    assert pushes(world) == 0
    assert [one.state for one in world.store.tickets.values()] == ["waiting"] * len(world.store.tickets)


def test_an_answer_to_a_ticket_that_has_expired_has_the_client_asked_again() -> None:
    world = asking("modern")
    push(world, "modern")
    state = last(world)["requestState"]
    one = ticket(world)
    world.store.tickets[one.id] = structs.replace(one, expires=0.0)
    retry(world, state, {"approval": YES})
    assert last(world)["resultType"] == "input_required"
    assert pushes(world) == 0


def test_a_late_decline_is_heeded_though_its_ticket_has_expired() -> None:
    world = asking("modern")
    push(world, "modern")
    state = last(world)["requestState"]
    one = ticket(world)
    world.store.tickets[one.id] = structs.replace(one, expires=0.0)
    retry(world, state, {"approval": DECLINE})
    assert "The user of the client refused this call." in str(last(world))


@both
def test_a_reason_is_cut_before_anything_is_made_of_it(era: str) -> None:
    world = asking(era)
    push(world, era)
    say(world, {"action": "accept", "content": {"decision": "deny", "reason": "\u202e" * 1_000_000}})
    answer = ticket(world).answer
    assert answer is not None
    assert len(answer.reason) <= 10 * MOST_REASON


def test_a_policy_that_denies_meanwhile_refuses_the_retry() -> None:
    world = asking("modern")
    push(world, "modern")
    state = last(world)["requestState"]
    put_in_force(world, "  - {id: no, effect: deny, when: args.to == 'main'}\n  - {id: a, effect: allow}\n")
    retry(world, state, {"approval": YES})
    assert "(p/no)" in str(last(world))
    assert pushes(world) == 0


def test_the_answer_is_not_sent_to_the_server() -> None:
    world = asking("modern")
    push(world, "modern")
    say(world, YES)
    (sent,) = [one for one in world.upstreams["one"].requests if one.invocation.method == "tools/call"]
    assert sent.invocation.params == {"name": "push", "arguments": {"to": "main"}}


def test_a_server_that_asks_something_too_is_answered_in_its_own_round() -> None:
    world = asking("modern")
    asks = {
        "resultType": "input_required",
        "requestState": "s",
        "inputRequests": {"approval": {"method": "elicitation/create", "params": {"message": "Branch?"}}},
    }
    put_in_force(world, rules() + '  - {id: q, effect: allow, action: ["elicitation/create"]}\n')
    world.upstreams["one"].modern = True
    world.upstreams["one"].answers["push"] = asks
    push(world, "modern")
    say(world, YES)
    assert question(world)["message"] == "Branch?"
    world.upstreams["one"].answers["push"] = text("pushed")
    say(world, {"action": "accept", "content": {"branch": "x"}})
    assert last(world)["content"] == text("pushed")["content"]
    assert len(world.store.tickets) == 1


@pytest.mark.parametrize("terms", [AnswerTerms(), AnswerTerms(via=("client",), passkey=True)])
def test_an_answer_that_the_rules_do_not_take_is_not_stored_whoever_brings_it(terms: AnswerTerms) -> None:
    world = asking("legacy", ALSO)
    push(world, "legacy", request_id=7)
    kept = world.store.tickets[ticket(world).id] = structs.replace(ticket(world), terms=terms)
    channel = ClientChannel(world.scope, world.gateway._questions, world.gateway._trips.parked)
    flight = Flight(channel.take(world.store, kept, YES))
    world.turn()
    assert flight.over
    assert ticket(world).state == "waiting"
    assert "approval-given" not in noted(world)
