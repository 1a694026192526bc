"""What a session did decides, on calls and on results; and what rules on results do on the path."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.evidence.records import Decided
from mcpguard.core.policy.session import StoredSession
from tests.fakes import World, text, tool
from tests.gateway.questions.parking import ELICIT, retry
from tests.gateway.scenes import ALLOW_ALL, FORM, ask, call, last, legacy, modern, offers, put_in_force, quiet
from tests.rows import each

LIMITED = (
    "  - {id: few, effect: allow, limit: {calls: 2, per: 1h}, action: [tools/call, elicitation/create]}\n"
)
READ = "  - {id: read, effect: allow, tools: [read]}\n"
TRIFECTA = (
    "  - {id: use, effect: allow}\n"
    "  - {id: seen, effect: allow, tools: [read], on: result, label: [private]}\n"
    "  - {id: leak, effect: deny, tools: [push], when: \"'private' in session.labels\", message: Not after that.}\n"
)
BIG = (
    "  - {id: use, effect: allow, action: ['*']}\n"
    "  - {id: big, effect: deny, action: ['*'], on: result, when: size(string(result.size)) > 1, message: Too big.}\n"
)


def outcomes(world: World) -> list[Any]:
    return [record for record in world.audit.records if type(record).__name__ == "Outcome"]


def refusal(world: World) -> tuple[str, str]:
    meta = last(world)["_meta"]["mcpguard/decision"]
    return meta["cause"], last(world)["content"][0]["text"]


def test_beyond_its_limit_a_call_is_refused_and_never_sent() -> None:
    world = World(LIMITED).listed()
    for request_id in (1, 2):
        world.call("read", request_id)
        world.answer(text("ok"))
    world.call("read", 3)
    cause, said = refusal(world)
    assert cause == "limit"
    assert "(p/few): the limit of 2 calls in 1h is reached" in said
    assert world.upstreams["one"].held == []


def test_a_limit_counts_calls_that_are_open_too() -> None:
    world = World(LIMITED).listed()
    for request_id in range(100):
        world.call("read", request_id)
    assert len(world.upstreams["one"].held) == 2
    assert len(world.client.sent) == 98


def test_the_first_call_after_private_data_was_read_finds_the_way_out_closed() -> None:
    world = World(TRIFECTA).listed()
    world.call("push", 1)
    world.answer(text("pushed"))
    world.call("read", 2)
    world.call("push", 3)  # Sent before the model can have seen anything.
    read, push = world.upstreams["one"].held
    assert push
    world.answer(text("private"))
    world.call("push", 4)
    assert refusal(world)[1].startswith("Refused by mcpguard (p/leak): Not after that.")
    assert outcomes(world)[-1].labels == ("private",)
    assert outcomes(world)[-1].rules == ("p/seen",)
    assert read


def test_another_server_of_the_session_is_cut_off_as_well() -> None:
    world = World(TRIFECTA, {"a": [tool("read")], "b": [tool("push")]}).listed()
    world.upstreams["a"].answers["read"] = text("private")
    world.call("a__read", 1)
    world.call("b__push", 2)
    assert refusal(world)[0] == "rule"
    assert world.upstreams["b"].held == []


def test_a_fact_of_a_result_allows_what_comes_later() -> None:
    world = World(
        "  - {id: test, effect: allow, tools: [read]}\n"
        "  - {id: passed, effect: allow, tools: [read], on: result, fact: [passed],"
        " when: \"result.content[0].text == 'passed'\"}\n"
        "  - {id: push, effect: allow, tools: [push], when: \"'passed' in session.facts\"}\n"
    ).listed()
    for answer, cause in (("failed", "no-rule"), ("passed", "")):
        world.call("read", 1)
        world.answer(text(answer))
        world.call("push", 2)
        assert (refusal(world)[0] if cause else "") == cause
    assert len(world.upstreams["one"].held) == 1


def test_what_is_withheld_leaves_no_label() -> None:
    rules = TRIFECTA + "  - {id: no, effect: deny, tools: [read], on: result}\n"
    world = World(rules).listed()
    world.call("read")
    world.answer(text("private"))
    assert refusal(world)[1].startswith(
        "The call was made, but mcpguard withheld its result (p/no): this result is"
    )
    assert next(iter(world.store.kept.values())).labels == []


def test_evidence_says_what_the_session_had_before_each_decision() -> None:
    rules = (
        "  - {id: read, effect: allow, tools: [read], label: [private], fact: [seen]}\n"
        "  - {id: leak, effect: deny, tools: [push], when: \"'private' in session.labels\"}\n"
    )
    world = World(rules).listed()
    world.upstreams["one"].answers["read"] = text("x")
    for name in ("read", "read", "push"):
        world.call(name)
    decided = [one for one in world.audit.records if isinstance(one, Decided) and one.tool]
    assert [(one.effect, one.session_labels, one.session_facts, one.labels) for one in decided] == [
        ("allow", (), (), ("private",)),
        ("allow", ("private",), ("seen",), ("private",)),
        ("deny", ("private",), ("seen",), ()),
    ]
    (kept,) = world.store.kept.values()
    assert kept.causes["private"].call == decided[0].id
    assert kept.causes["private"].rules == ("p/read",)
    assert kept.causes["private"].what == "one/read"


def test_a_result_that_a_rule_denies_is_withheld_whole_with_the_reason() -> None:
    world = World(BIG).listed()
    world.call("read")
    world.answer({**text("secret text"), "size": 100})
    assert refusal(world) == (
        "rule",
        f"The call was made, but mcpguard withheld its result (p/big): Too big. [invocation "
        f"{outcomes(world)[0].id}]",
    )
    assert "secret text" not in str(world.client.sent)
    (outcome,) = outcomes(world)
    assert (outcome.status, outcome.rules) == ("withheld", ("p/big",))
    assert outcome.result


@pytest.mark.parametrize(
    "answer", [text("no size"), {"error": {"code": -3, "message": "an error of the upstream"}}]
)
def test_a_rule_on_results_that_cannot_be_evaluated_withholds(answer: Any) -> None:
    world = World(BIG).listed()
    world.upstreams["one"].answers["read"] = answer
    world.call("read")
    assert refusal(world)[0] == "error"
    assert "the rule could not be evaluated for it" in refusal(world)[1]


def test_a_rule_on_results_sees_an_error_of_the_upstream_as_one() -> None:
    world = World(
        "  - {id: use, effect: allow}\n"
        "  - {id: no, effect: deny, on: result, when: 'has(result.error) && result.error.code == -3'}\n"
    ).listed()
    for code, withheld in ((-3, True), (-4, False)):
        world.upstreams["one"].answers["read"] = {"error": {"code": code, "message": "what happened"}}
        world.call("read")
        assert ("mcpguard withheld its result (p/no)" in str(last(world))) is withheld
        assert ("what happened" in str(last(world))) is not withheld


def test_results_of_other_methods_are_withheld_as_errors() -> None:
    world = World(BIG)
    offers(world, "one", prompts=[{"name": "p"}])
    world.upstreams["one"].answers["p"] = {"messages": [], "size": 12}
    modern(world, "prompts/get", {"name": "p"})
    assert last(world)["message"].startswith(
        "The call was made, but mcpguard withheld its result (p/big): Too big."
    )
    assert last(world)["data"]["effect"] == "withhold"
    assert "error" in world.client.sent[-1]


def test_a_rule_on_results_takes_out_more_and_nothing_twice() -> None:
    rules = "  - {id: use, effect: allow}\n  - {id: mail, effect: allow, on: result, redact: [email]}\n"
    world = World(rules).listed()
    world.call("read")
    world.answer(text("to jane@example.com"))
    assert last(world)["content"][0]["text"] == "to [REDACTED:email#1]"
    assert outcomes(world)[0].findings == {"email /content/0/text": 1}


def test_bytes_of_results_are_a_limit_and_what_would_exceed_it_is_withheld() -> None:
    world = World("  - {id: use, effect: allow, limit: {bytes: 500, per: session}}\n").listed()
    for size, cause in ((200, ""), (400, "limit"), (100, ""), (100, "limit")):
        world.call("read")
        world.answer(text("x" * size))
        if cause:
            assert refusal(world)[0] == cause
            assert "the limit of 500 bytes in this session would be exceeded" in refusal(world)[1]
        else:
            assert last(world)["content"][0]["text"] == "x" * size


def test_a_limit_of_calls_is_not_used_up_by_the_bytes_of_their_results() -> None:
    world = World("  - {id: use, effect: allow, label: [l], limit: {calls: 3, per: session}}\n").listed()
    for request_id in range(3):
        world.call("read", request_id)
        world.answer(text("x" * 200))
        assert last(world) == text("x" * 200)
    world.call("read", 3)
    assert refusal(world)[0] == "limit"


def test_a_result_above_a_limit_of_bytes_is_refused_with_the_message_of_that_limit() -> None:
    world = World(
        "  - {id: ample, effect: allow, limit: {bytes: 5000, per: session}, message: Not this one.}\n"
        "  - {id: narrow, effect: allow, limit: {bytes: 50, per: session}, message: Read less.}\n"
        "  - {id: other, effect: allow, tools: [write], message: Nor this one.}\n"
    ).listed()
    world.call("read")
    world.answer(text("x" * 200))
    assert refusal(world)[1].startswith(
        "The call was made, but mcpguard withheld its result (p/narrow): Read less."
    )


def test_where_the_session_cannot_be_had_what_depends_on_it_is_refused_and_the_operator_hears_it() -> None:
    world = World(LIMITED).listed()
    world.store.down = "no disk"
    world.call("read")
    assert refusal(world)[0] == "error"
    assert "mcpguard cannot determine what this session did before" in refusal(world)[1]
    assert world.reports == [": no disk", "one: refused tools/call read (error): `mcpguard explain n-6`"]


def test_where_the_session_cannot_be_had_for_a_result_it_is_withheld() -> None:
    world = World(TRIFECTA).listed()
    world.call("read")
    world.store.down = "no disk"
    world.answer(text("private"))
    assert refusal(world)[0] == "error"
    assert "private" not in str(world.client.sent)


def test_the_operator_hears_again_of_a_session_that_could_be_kept_in_between() -> None:
    world = World(TRIFECTA).listed()
    for request_id in range(3):
        world.call("read", request_id)
    for down in ("no disk", "", "no disk"):
        world.store.down = down
        world.answer(text("private"))
    assert world.reports.count(": no disk") == 2


def test_the_retry_of_a_suspended_call_is_no_further_call() -> None:
    rules = "  - {id: one, effect: allow, limit: {calls: 1, per: session}}\n"
    world = World(rules + "  - {id: ask, effect: allow, action: [elicitation/create]}\n")
    modern(world, "tools/list")
    call(world, "read")
    ask(world, ELICIT, FORM)
    retry(world, last(world)["requestState"])
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]
    call(world, "read", 3)
    assert refusal(world)[0] == "limit"


def test_a_suspended_call_that_may_not_go_on_without_a_session_is_over() -> None:
    world = World(LIMITED)
    modern(world, "tools/list")
    call(world, "read")
    ask(world, ELICIT, FORM)
    state = last(world)["requestState"]
    world.store.down = "no disk"
    retry(world, state)
    assert refusal(world)[0] == "error"
    assert "cancel denied" in world.trace


def test_a_retry_to_a_modern_upstream_is_a_call_of_its_own() -> None:
    world = World("  - {id: two, effect: allow, limit: {calls: 2, per: session}}\n")
    world.upstreams["one"].modern = True
    world.upstreams["one"].answers["read"] = {"resultType": "input_required", "requestState": "s"}
    modern(world, "tools/list")
    call(world, "read")
    state = last(world)["requestState"]
    for request_id in (2, 3):
        call(world, "read", request_id, requestState=state)
    assert refusal(world)[0] == "limit"


def test_a_request_that_is_refused_for_its_form_uses_up_nothing_and_states_no_fact() -> None:
    world = World("  - {id: use, effect: allow, label: [l], fact: [tested], limit: {calls: 1, per: 1h}}\n")
    modern(world, "tools/list")
    call(world, "read", requestState="made up")
    assert last(world)["code"] == -32602
    assert [kept for kept in world.store.kept.values() if kept != StoredSession()] == []
    call(world, "read", 2)
    assert len(world.upstreams["one"].held) == 1
    call(world, "read", 3, requestState="made up")
    assert refusal(world)[0] == "limit"


def test_without_conditions_on_the_session_a_suspended_call_is_decided_as_ever() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    call(world, "read")
    ask(world, ELICIT, FORM)
    retry(world, last(world)["requestState"])
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]


@each(
    ("method", "answer"),
    [
        ("tasks/result", text("private")),
        ("tasks/get", {"taskId": "t1", "status": "completed", "result": text("private")}),
        ("tasks/get", {"taskId": "t1", "status": "failed", "error": {"code": 1, "message": "private"}}),
        ("tasks/get", {"taskId": "t1", "result": {}, "error": {"code": 1, "message": "private"}}),
        ("tasks/get", {"taskId": "t1", "result": text("private"), "error": {"code": 1, "message": "m"}}),
    ],
)
def test_the_result_of_a_task_is_reviewed_as_that_of_the_call_that_began_it(method: str, answer: Any) -> None:
    rules = (
        "  - {id: use, effect: allow, action: ['*']}\n"
        "  - {id: no, effect: deny, tools: [read], on: result,"
        " when: has(result.content) || has(result.error)}\n"
    )
    world = legacy(World(rules))
    world.upstreams["one"].answers["read"] = {"task": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "read", "arguments": {}, "task": {}}, 1)
    world.upstreams["one"].answers["tasks/get"] = {"taskId": "t1", "status": "working"}
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert last(world)["status"] == "working"
    world.upstreams["one"].answers[method] = answer
    world.send(method, {"taskId": "t1"}, 3)
    assert "mcpguard withheld its result (p/no)" in last(world)["message"]
    assert "private" not in str(world.client.sent)


def test_both_reviews_of_a_task_count() -> None:
    rules = (
        "  - {id: use, effect: allow, action: ['*']}\n"
        "  - {id: tool, effect: allow, tools: [read], on: result, label: [a], fact: [c]}\n"
        "  - {id: task, effect: allow, action: [tasks/result], on: result, label: [b], fact: [d], redact: [email]}\n"
        "  - {id: one, effect: deny, tools: [read], on: result, when: has(result.content), mode: shadow}\n"
        "  - {id: two, effect: deny, action: [tasks/result], on: result, mode: shadow}\n"
    )
    world = legacy(World(rules))
    world.upstreams["one"].answers["read"] = {"task": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "read", "arguments": {}, "task": {}}, 1)
    world.upstreams["one"].answers["tasks/result"] = text("to jane@example.com")
    world.send("tasks/result", {"taskId": "t1"}, 2)
    outcome = outcomes(world)[-1]
    assert (outcome.rules, outcome.labels, outcome.facts) == (("p/task", "p/tool"), ("b", "a"), ("d", "c"))
    assert outcome.shadow == "deny (rule) p/two deny (rule) p/one"
    assert "jane" not in str(world.client.sent)


def test_a_result_of_a_task_that_a_rule_denies_is_withheld_whatever_the_call_that_began_it_allows() -> None:
    world = legacy(
        World(
            "  - {id: use, effect: allow, action: ['*']}\n"
            "  - {id: seen, effect: allow, tools: [read], on: result, label: [private]}\n"
            "  - {id: no, effect: deny, action: [tasks/result], on: result}\n"
        )
    )
    world.upstreams["one"].answers["read"] = {"task": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "read", "arguments": {}, "task": {}}, 1)
    world.upstreams["one"].answers["tasks/result"] = text("private")
    world.send("tasks/result", {"taskId": "t1"}, 2)
    assert "mcpguard withheld its result (p/no)" in last(world)["message"]
    assert outcomes(world)[-1].status == "withheld"


def test_what_rules_in_shadow_mode_would_do_is_on_record_and_changes_nothing() -> None:
    rules = (
        "  - {id: use, effect: allow, label: [l], fact: [f]}\n"
        "  - {id: no, effect: deny, mode: shadow}\n"
        "  - {id: hide, effect: deny, mode: shadow, on: result}\n"
    )
    world = World(rules).listed()
    world.call("read")
    world.answer(text("ok"))
    assert last(world) == text("ok")
    decision, outcome = world.audit.records
    assert (decision.effect, decision.labels, decision.facts) == ("allow", ("l",), ("f",))
    assert (decision.shadow, outcome.shadow) == ("deny (rule) p/no", "deny (rule) p/hide")


def test_a_session_that_only_rules_in_shadow_mode_want_refuses_nothing() -> None:
    shadow = "mode: shadow, when: session.calls > 100}\n"
    world = World(
        "  - {id: use, effect: allow, action: ['*']}\n"
        "  - {id: no, effect: deny, action: ['*'], "
        + shadow
        + "  - {id: hide, effect: deny, on: result, "
        + shadow
    )
    modern(world, "tools/list")
    world.store.down = "no disk"
    call(world, "read")
    ask(world, ELICIT, FORM)
    retry(world, last(world)["requestState"])
    world.answer(text("ok"))
    assert last(world)["content"] == text("ok")["content"]
    assert world.audit.records[-1].shadow == "deny (error) p/hide"
    assert set(world.reports) == {": no disk"}


def test_arguments_that_a_rule_sets_are_those_that_are_sent_and_recorded() -> None:
    world = World("  - {id: use, effect: allow, argument: {n: 10}}\n").listed()
    world.call("read", q="a", n=99)
    sent = world.upstreams["one"].requests[-1].invocation.params
    assert sent == {"name": "read", "arguments": {"q": "a", "n": 10}}


# --- policies that change ---------------------------------------------------------------------------


def test_the_next_call_is_under_the_new_policies_and_a_call_in_flight_ends_under_the_old() -> None:
    world = World(ALLOW_ALL).listed()
    world.call("push", 1)
    put_in_force(world, READ)
    world.call("push", 2)
    assert last(world)["code"] == -32602  # Hidden now, so as a missing one.
    world.answer(text("pushed"))
    assert last(world) == text("pushed")
    old, new = world.audit.records[0].policy_digest, world.audit.records[-2].policy_digest
    assert old != new


def test_a_client_whose_view_changed_is_told_and_another_is_not() -> None:
    world = World(ALLOW_ALL)
    put_in_force(world, READ)  # Nobody is there yet.
    put_in_force(world, ALLOW_ALL)
    assert world.client.sent == []
    world.listed()
    put_in_force(world, READ)
    assert [sent["method"] for sent in world.client.sent] == ["notifications/tools/list_changed"]
    quiet(world)
    put_in_force(world, READ + "  - {id: more, effect: deny, when: args.x == 1}\n")
    assert world.client.sent == []


FREE = "  - {id: use, effect: allow, when: session.calls < 9}\n"
CLOSED = f"{FREE}  - {{id: shut, effect: deny, tools: [read]}}\n"


def test_policies_that_come_while_a_decision_waits_for_the_store_are_those_of_the_decision() -> None:
    world = World(FREE).listed()
    world.store.busy = 1
    world.call("read", 1)
    put_in_force(world, CLOSED)
    world.store.proceed()
    world.turn()
    assert world.upstreams["one"].held == []
    (record,) = [one for one in world.audit.records if isinstance(one, Decided)]
    assert (record.effect, record.rules) == ("deny", ("p/shut",))
    assert record.policy_digest == world.judge.policies.digest


def test_a_result_is_judged_by_the_policies_of_the_decision() -> None:
    world = World(FREE).listed()
    world.store.busy = 1
    world.call("read", 1)
    put_in_force(world, f"{FREE}  - {{id: big, effect: deny, on: result, message: Too big.}}\n")
    world.store.proceed()
    world.turn()
    put_in_force(world, FREE)
    world.answer(text("big"))
    assert "Too big." in refusal(world)[1]


def test_a_call_that_goes_on_is_recorded_under_the_policies_that_allowed_it() -> None:
    rules = f"{FREE}  - {{id: asked, effect: allow, action: [{ELICIT}]}}\n"
    world = World(rules)
    world.upstreams["one"].modern = True
    modern(world, "tools/list")
    asked = {"q": {"method": ELICIT, "params": FORM}}
    asking = {"resultType": "input_required", "requestState": "s", "inputRequests": asked}
    world.upstreams["one"].answers["read"] = asking
    call(world, "read", 2)
    state, allowed = last(world)["requestState"], world.judge.policies.digest
    world.upstreams["one"].answers["read"] = text("done")
    quiet(world)
    change = world.store.change

    def once(*given: Any) -> Any:
        """The call is decided, and whether its answers may go on waits for the store."""
        world.store.change = change  # type: ignore[method-assign]
        done = change(*given)
        world.store.busy = 1
        return done

    world.store.change = once  # type: ignore[method-assign]
    call(world, "read", 3, requestState=state, inputResponses={"q": {"action": "decline"}})
    put_in_force(world, f"{rules}  - {{id: more, effect: deny, tools: [push]}}\n")
    world.store.proceed()
    world.turn()
    assert [one.policy_digest for one in world.audit.records if isinstance(one, Decided)] == [allowed]
    assert allowed != world.judge.policies.digest
