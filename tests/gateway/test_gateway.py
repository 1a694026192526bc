"""The one path, with fakes all around: what happens, in which order, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.core.errors import CredentialError, InspectionError, UpstreamError
from mcpguard.core.evidence.records import Outcome
from mcpguard.core.model import Caller
from mcpguard.core.redaction.redactor import AT_ONCE
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.gateway import STOPPED, STOPPING
from mcpguard.gateway.inspection.inspector import CROWDED, FULL, INLINE_BYTES, TEXT, Sealed
from mcpguard.gateway.ports import RawAnswer
from mcpguard.gateway.scope import Request
from tests.fakes import GONE, SECRET, World, give, text, tool
from tests.rows import each

ALLOW_READ = '  - {id: read, effect: allow, tools: ["read"]}\n'
ALLOW_ALL = '  - {id: all, effect: allow, tools: ["*"]}\n'
NO_FORCE = (
    '  - {id: no-force, effect: deny, tools: ["push"], when: "has(args.force) && args.force",'
    " message: Open a pull request.}\n"
)


def test_an_allowed_call_is_recorded_before_it_is_sent_and_again_before_the_reply() -> None:
    world = World(ALLOW_READ).listed()
    world.upstreams["one"].answers["read"] = text("hello")
    world.call("read", 7, path="a")
    assert world.trace == ["decision allow", "request read", "outcome ok", "reply 7"]
    assert world.client.sent == [{"id": 7, "result": text("hello")}]
    decided, outcome = world.audit.records
    assert decided.id == outcome.id
    assert decided.rules == ("p/read",)
    assert decided.principal == "os-user:ada"
    assert decided.agent == "desk"
    assert decided.credentials == ("env:CANARY",)
    assert len(decided.args) == len(decided.tool_digest) == len(outcome.result) == 64


def test_what_is_sent_upstream_is_what_was_decided_and_nothing_else() -> None:
    world = World(ALLOW_READ).listed()
    meta = {"traceparent": "00-1", "tracestate": "x", "evil": "1", "com.example/role": "admin"}
    world.send("tools/call", {"name": "read", "arguments": {"a": 1}, "_meta": meta}, 1)
    permit = world.upstreams["one"].requests[-1]
    sent = {"name": "read", "arguments": {"a": 1}, "_meta": {"traceparent": "00-1", "tracestate": "x"}}
    assert permit.invocation.params == sent


def test_arguments_that_do_not_fit_the_schema_go_nowhere_and_the_model_reads_what_does() -> None:
    forced = {**tool("push"), "inputSchema": {"properties": {"force": {"type": "boolean"}}}}
    world = World(ALLOW_ALL + NO_FORCE, {"one": [forced]}).listed()
    world.call("push", force="true")
    assert world.trace == ["decision deny", "reply 1"]
    result = world.client.sent[0]["result"]
    assert result["content"][0]["text"] == (
        "Refused by mcpguard: The arguments do not match the tool's schema: `force` must be of type boolean."
        " [invocation n-4]"
    )
    assert (result["isError"], result["_meta"]["mcpguard/decision"]["cause"]) == (True, "arguments")
    world.call("push", 2, force=False)
    assert world.trace[-1] == "request push"


def test_a_hidden_tool_does_not_say_what_fits_its_schema() -> None:
    forced = {**tool("push"), "inputSchema": {"properties": {"force": {"type": "boolean"}}}}
    world = World(ALLOW_READ, {"one": [forced]}).listed()
    world.call("push", force="true")
    world.call("nothing", 2, force="true")
    hidden, unknown = (message["error"] for message in world.client.sent)
    assert hidden["message"].replace("push", "nothing") == unknown["message"]


def test_a_denied_call_touches_no_upstream_and_says_which_rule_and_why() -> None:
    world = World(ALLOW_ALL + NO_FORCE).listed()
    world.call("push", force=True)
    assert world.trace == ["decision deny", "reply 1"]
    result = world.client.sent[0]["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"] == (
        "Refused by mcpguard (p/no-force): Open a pull request. [invocation n-6]"
    )
    assert result["_meta"]["mcpguard/decision"]["cause"] == "rule"


def test_no_matching_rule_is_a_refusal() -> None:
    world = World('  - {id: r, effect: allow, tools: ["read"], when: "args.a == 1"}\n').listed()
    world.call("read", a=2)
    assert world.trace == ["decision deny", "reply 1"]
    assert "no rule allows this call" in world.client.sent[0]["result"]["content"][0]["text"]


def test_a_deny_that_cannot_be_evaluated_refuses_and_shows_no_expression() -> None:
    world = World(ALLOW_ALL + '  - {id: d, effect: deny, tools: ["push"], when: "args.branch == \'x\'"}\n')
    world.listed().call("push")
    shown = world.client.sent[0]["result"]["content"][0]["text"]
    assert "(p/d): the rule could not be evaluated" in shown
    assert "branch" not in shown


def test_an_ask_rule_refuses_and_says_that_it_needs_approval() -> None:
    world = World('  - {id: a, effect: ask, tools: ["push"]}\n').listed()
    world.call("push")
    assert world.trace == ["decision deny", "reply 1"]
    assert "a person has to approve this call" in world.client.sent[0]["result"]["content"][0]["text"]


def test_a_tool_that_is_hidden_answers_exactly_like_one_that_is_missing() -> None:
    world = World(ALLOW_READ).listed()
    world.call("push")
    world.call("nope")
    hidden, missing = world.client.sent
    assert hidden["error"] == {"code": -32602, "message": "Unknown tool: push"}
    assert str(hidden).replace("push", "nope") == str(missing)
    assert [record.cause for record in world.audit.records] == ["no-rule", "unknown"]
    said = [one.partition(": `mcpguard explain")[0] for one in world.reports]
    assert [one for one in said if "(unknown)" in one] == [": refused tools/call 'nope' (unknown)"]


def test_advice_ends_the_answer_for_hidden_and_missing_tools_alike() -> None:
    world = World(ALLOW_READ, advice="Write a policy.").listed()
    world.call("push")
    world.call("nope")
    assert {sent["error"]["message"][-16:] for sent in world.client.sent} == {" Write a policy."}


def test_a_name_of_an_unknown_tool_is_inspected_before_it_is_recorded_or_repeated() -> None:
    world = World(ALLOW_READ).listed()
    world.call(f"x{SECRET}")
    assert SECRET not in str(world.client.sent)
    assert SECRET not in str(world.audit.records)


def test_the_list_shows_only_what_some_arguments_would_allow() -> None:
    conditional = '  - {id: w, effect: allow, tools: ["write"], when: "args.path == \'ok\'"}\n'
    world = World(ALLOW_READ + conditional).greeted()
    world.send("tools/list", {}, 2)
    names = [entry["name"] for entry in world.client.sent[0]["result"]["tools"]]
    assert names == ["read", "write"]
    fetched = ["decision allow", "request tools/list", "outcome ok"]
    assert world.trace == ["decision allow", *fetched, "outcome ok", "reply 2"]


def test_with_several_servers_tools_carry_the_server_and_never_mix() -> None:
    world = World(ALLOW_ALL, {"a": [tool("read"), tool("b__read")], "b": [tool("read")]}).greeted()
    world.send("tools/list", {}, 2)
    names = [entry["name"] for entry in world.client.sent[0]["result"]["tools"]]
    assert names == ["a__read", "a__b__read", "b__read"]
    world.upstreams["b"].answers["read"] = text("b")
    world.call("b__read")
    assert world.client.sent[-1]["result"] == text("b")
    assert [permit.invocation.method for permit in world.upstreams["a"].requests] == ["tools/list"]


def test_a_call_lists_only_the_server_that_it_is_for() -> None:
    world = World(ALLOW_ALL, {"a": [tool("x")], "b": [tool("x")]}).greeted()
    world.upstreams["b"].answers["x"] = text("b")
    world.call("b__x")
    assert world.upstreams["a"].requests == []
    assert world.client.sent[-1]["result"] == text("b")


def test_a_server_that_is_not_available_leaves_the_others_listed() -> None:
    world = World(ALLOW_ALL, {"a": [tool("x")], "b": [tool("x")]}).greeted()
    world.upstreams["a"].answers["tools/list"] = UpstreamError("upstream 'a' is not available")
    world.send("tools/list", {}, 2)
    assert [entry["name"] for entry in world.client.sent[0]["result"]["tools"]] == ["b__x"]
    assert world.reports == ["a: upstream 'a' is not available"]


def test_when_no_server_is_available_the_list_is_one_clear_error() -> None:
    world = World(ALLOW_ALL).greeted()
    world.upstreams["one"].answers["tools/list"] = CredentialError("env:X is not set")
    world.send("tools/list", {}, 2)
    assert world.client.sent[0]["error"]["message"] == "env:X is not set"
    assert world.trace[-2:] == ["outcome unavailable", "refuse 2"]


def test_a_call_to_a_server_that_is_not_available_is_one_clear_error() -> None:
    world = World(ALLOW_ALL).greeted()
    world.upstreams["one"].answers["tools/list"] = UpstreamError(f"it said {SECRET}")
    world.call("read")
    assert world.client.sent[0]["error"]["code"] == -31000
    assert world.client.sent[0]["error"]["data"]["invocation"] == world.audit.records[-1].id
    assert world.audit.records[-1].cause == "unavailable"
    assert SECRET not in str(world.client.sent + world.audit.records)


def test_a_server_is_listed_only_after_a_record_since_that_may_start_it_with_its_credential() -> None:
    world = World(ALLOW_ALL).greeted()
    world.upstreams["one"].answers["read"] = text("hello")
    world.call("read")
    listed = ["decision allow", "request tools/list", "outcome ok"]
    assert world.trace == [*listed, "decision allow", "request read", "outcome ok", "reply 1"]
    assert world.audit.records[0].credentials == ("env:CANARY",)


def test_a_server_is_not_even_listed_while_evidence_cannot_be_written() -> None:
    world = World(ALLOW_ALL).greeted()
    world.audit.fail = True
    world.call("read")
    assert world.upstreams["one"].requests == []
    assert (
        "cannot write its audit log, so this request was refused" in world.client.sent[0]["error"]["message"]
    )


@pytest.mark.parametrize("answer", [{"tools": "no"}, {"tools": {}}, {}, "no"])
def test_a_list_that_is_no_list_of_tools_is_refused(answer: Any) -> None:
    world = World(ALLOW_ALL).greeted()
    world.upstreams["one"].answers["tools/list"] = answer
    world.send("tools/list", {}, 2)
    said = "upstream 'one' did not answer tools/list with a list of tools"
    assert world.client.sent[0]["error"]["message"] == said
    failed = f": no answer to tools/list: {said}: `mcpguard explain n-1`"
    assert world.reports == [f"one: {said}", failed]


def test_all_pages_of_a_list_are_fetched_and_the_client_gets_one() -> None:
    world = World(ALLOW_ALL).greeted()
    upstream = world.upstreams["one"]
    upstream.answers["tools/list"] = {"tools": [tool("a")], "nextCursor": "2"}
    original = upstream.request

    def request(permit: Any, progress: Any = None) -> Any:
        if permit.invocation.params == {"cursor": "2"}:
            upstream.answers["tools/list"] = {"tools": [tool("b")]}
        return original(permit, progress)

    upstream.request = request  # type: ignore[method-assign]
    world.send("tools/list", {}, 2)
    assert [entry["name"] for entry in world.client.sent[0]["result"]["tools"]] == ["a", "b"]
    assert "nextCursor" not in world.client.sent[0]["result"]


def test_a_list_without_end_is_cut_off_with_an_error() -> None:
    world = World(ALLOW_ALL).greeted()
    world.upstreams["one"].answers["tools/list"] = {"tools": [], "nextCursor": "again"}
    world.send("tools/list", {}, 2)
    assert "lists more than" in world.client.sent[0]["error"]["message"]
    world.upstreams["one"].answers["tools/list"] = {"tools": [tool("a")] * 10_001, "nextCursor": "again"}
    world.send("tools/list", {}, 3)
    assert "lists more than" in world.client.sent[1]["error"]["message"]


def test_entries_that_cannot_be_offered_are_left_out_and_reported() -> None:
    entries = [
        "no tool",
        {"name": 3},
        tool(""),
        tool("x" * 300),
        tool(f"t-{SECRET}"),
        tool("a\nb"),
        tool("ok"),
    ]
    world = World(ALLOW_ALL, {"one": [*entries, tool("ok")]}).greeted()
    world.send("tools/list", {}, 2)
    assert [entry["name"] for entry in world.client.sent[0]["result"]["tools"]] == ["ok"]
    assert len(world.reports) == 8
    assert SECRET not in str(world.reports)


def test_a_secret_in_a_description_is_gone_from_the_list() -> None:
    world = World(ALLOW_ALL, {"one": [{**tool("a"), "description": f"use {SECRET}"}]}).greeted()
    world.send("tools/list", {}, 2)
    shown = world.client.sent[0]["result"]["tools"][0]["description"]
    assert shown == "use [REDACTED:credential:env:CANARY#1]"


def test_requests_that_need_the_same_list_share_one_fetch() -> None:
    world = World(ALLOW_ALL).greeted()
    world.upstreams["one"].answers["tools/list"] = None
    held = world_wait()
    asked = []

    def request(*given: Any) -> Any:
        asked.append(given)
        return held

    world.upstreams["one"].request = request  # type: ignore[method-assign, assignment]
    world.call("read", 1)
    world.send("tools/list", {}, 2)
    assert len(asked) == 1
    give(held, {"tools": [tool("other")]})
    world.turn()
    assert [sent["id"] for sent in world.client.sent] == [1, 2]


def test_a_cursor_that_we_never_gave_is_refused() -> None:
    world = World(ALLOW_ALL).greeted()
    world.send("tools/list", {"cursor": "x"}, 2)
    assert world.client.sent[0]["error"]["code"] == -32602
    assert world.upstreams["one"].requests == []


def test_a_secret_in_a_result_is_replaced_and_recorded_without_its_value() -> None:
    world = World(ALLOW_READ).listed()
    world.upstreams["one"].answers["read"] = text(f"token {SECRET}")
    world.call("read")
    assert SECRET not in str(world.client.sent + world.audit.records)
    assert world.audit.records[1].findings == {"credential:env:CANARY /content/0/text": 1}


def test_an_obligation_to_redact_reaches_the_inspection() -> None:
    world = World('  - {id: r, effect: allow, tools: ["read"], redact: [email]}\n').listed()
    world.upstreams["one"].answers["read"] = text("write to ada@example.org today")
    world.call("read")
    assert "ada@example.org" not in str(world.client.sent)


def test_an_upstream_error_is_inspected_and_passed_on_as_an_error() -> None:
    world = World(ALLOW_READ).listed()
    world.upstreams["one"].answers["read"] = {"error": {"code": -1, "message": SECRET, "data": {SECRET: 1}}}
    world.call("read")
    assert world.client.sent[0]["error"]["code"] == -1
    assert SECRET not in str(world.client.sent)
    assert world.trace[-2:] == ["outcome error", "refuse 1"]


def test_a_tool_error_is_told_from_a_success_in_the_record() -> None:
    world = World(ALLOW_READ).listed()
    world.upstreams["one"].answers["read"] = {"content": [], "isError": True}
    world.call("read")
    assert world.trace[-2:] == ["outcome tool-error", "reply 1"]


def test_a_result_that_cannot_be_inspected_is_withheld_whole() -> None:
    world = World(ALLOW_READ).listed()
    deep: Any = SECRET
    for _ in range(200):
        deep = [deep]
    world.upstreams["one"].answers["read"] = {"content": deep}
    world.call("read")
    assert world.trace[-2:] == ["outcome withheld", "refuse 1"]
    assert world.client.sent[0]["error"]["data"]["cause"] == "withheld"
    outcome = world.audit.records[-1]
    assert isinstance(outcome, Outcome)
    assert outcome.error
    assert outcome.error in world.client.sent[0]["error"]["message"]
    said = f"one: withheld the contents of tools/call read: {outcome.error}: `mcpguard explain n-6`"
    assert world.reports == [said]


def test_an_upstream_that_is_gone_is_one_clear_error_with_an_outcome() -> None:
    world = World(ALLOW_READ).listed()
    world.upstreams["one"].answers["read"] = GONE
    world.call("read")
    assert world.client.sent[0]["error"]["message"] == "upstream 'one' has ended"
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]
    said = "one: no answer to tools/call read: upstream 'one' has ended: `mcpguard explain n-6`"
    assert world.reports == [said]


def test_a_decision_that_cannot_be_recorded_is_a_refusal_without_effect() -> None:
    world = World(ALLOW_READ).listed()
    world.audit.fail = True
    world.call("read")
    assert world.trace == ["refuse 1"]
    assert "audit log" in world.client.sent[0]["error"]["message"]


def test_a_result_whose_outcome_cannot_be_recorded_is_withheld() -> None:
    world = World(ALLOW_READ).listed()
    world.call("read")
    world.audit.fail = True
    world.answer(text("done and said"))
    assert world.trace == ["decision allow", "request read", "refuse 1"]
    assert "the answer to this request was withheld. It may have taken effect" in str(world.client.sent)
    assert "done and said" not in str(world.client.sent)


def test_a_cancelled_call_is_cancelled_upstream_recorded_and_never_answered() -> None:
    world = World(ALLOW_READ).listed()
    world.call("read", 5)
    world.send("notifications/cancelled", {"requestId": 5})
    assert world.trace == ["decision allow", "request read", "cancel cancelled", "outcome cancelled"]
    assert world.client.sent == []
    assert world.gateway.idle


def test_a_call_cancelled_before_its_record_is_durable_never_reaches_the_upstream() -> None:
    world = World(ALLOW_READ).listed()
    world.gateway.receive({"method": "tools/call", "id": 5, "params": {"name": "read"}})
    world.send("notifications/cancelled", {"requestId": 5})
    assert world.trace == ["decision allow", "outcome cancelled"]


def test_a_call_cancelled_while_its_server_is_listed_ends_quietly() -> None:
    world = World(ALLOW_READ).greeted()
    world.upstreams["one"].answers["tools/list"] = None
    del world.upstreams["one"].answers["tools/list"]
    world.upstreams["one"].request = lambda *_: world_wait()  # type: ignore[method-assign, assignment]
    world.call("read", 5)
    assert not world.gateway.idle
    world.send("notifications/cancelled", {"requestId": 5})
    assert world.gateway.idle
    assert world.client.sent == []


def world_wait() -> Any:
    return Wait()


@each("target", [99, "5", None, [1], {}])
def test_a_cancellation_of_nothing_is_ignored(target: Any) -> None:
    world = World(ALLOW_READ).listed()
    world.call("read", 5)
    world.send("notifications/cancelled", {"requestId": target})
    world.answer(text("fine"))
    assert world.client.sent[0]["id"] == 5


def test_abandoned_calls_leave_an_outcome() -> None:
    world = World(ALLOW_READ).listed()
    world.call("read", 5)
    world.call("read", 6)
    world.gateway.abandon("abandoned")
    world.turn()
    assert world.trace[-2:] == ["outcome abandoned", "outcome abandoned"]
    assert world.gateway.idle


def test_a_request_that_is_cancelled_before_it_flies_flies_all_the_same() -> None:
    request = Request(1, "ping", {}, Caller(), None)
    request.cancel("cancelled")
    assert request.flight is None


def test_progress_carries_the_clients_own_token_and_comes_before_the_result() -> None:
    world = World(ALLOW_READ).listed()
    world.send("tools/call", {"name": "read", "_meta": {"progressToken": "mine"}}, 1)
    _wait, progress = world.upstreams["one"].held[0]
    assert progress is not None
    progress({"progressToken": 99, "progress": 1, "message": SECRET})
    world.turn()
    world.answer(text("done"))
    shown, result = world.client.sent
    assert shown["params"]["progressToken"] == "mine"
    assert SECRET not in str(shown)
    assert result["id"] == 1
    assert "notice notification-redacted" in world.trace


def test_nothing_overtakes_an_answer_that_waits_for_its_record() -> None:
    world = World(ALLOW_READ).listed()
    world.call("read", 1)
    wait, _progress = world.upstreams["one"].held.pop(0)
    give(wait, text("first"))
    world.gateway.notified("one", "notifications/message", {"level": "info", "data": "second"})
    world.turn()
    assert [sent.get("id", sent.get("method")) for sent in world.client.sent] == [1, "notifications/message"]


def test_a_changed_list_is_fetched_before_the_client_hears_of_it() -> None:
    world = World(ALLOW_ALL).listed()
    world.upstreams["one"].tools.append(tool("new"))
    world.gateway.notified("one", "notifications/tools/list_changed", {})
    world.turn()
    fetched = ["decision allow", "request tools/list", "outcome ok"]
    assert world.trace == [*fetched, "notify notifications/tools/list_changed"]
    world.upstreams["one"].answers["new"] = text("new")
    world.call("new")
    assert world.client.sent[-1]["result"] == text("new")


def test_a_changed_list_that_cannot_be_fetched_is_reported_and_the_client_hears_of_it() -> None:
    world = World(ALLOW_ALL).listed()
    world.upstreams["one"].answers["tools/list"] = GONE
    world.gateway.notified("one", "notifications/tools/list_changed", {})
    world.turn()
    assert world.reports == ["one: upstream 'one' has ended"]
    assert world.client.sent[0]["method"] == "notifications/tools/list_changed"


def test_a_change_during_a_fetch_is_fetched_again_and_many_changes_are_one_more() -> None:
    world = World(ALLOW_ALL).greeted()
    answers: list[Any] = []

    def request(*_given: Any) -> Any:
        answers.append(Wait())
        return answers[-1]

    world.upstreams["one"].request = request  # type: ignore[method-assign, assignment]
    world.send("tools/list", {}, 1)
    for _ in range(3):
        world.gateway.notified("one", "notifications/tools/list_changed", {})
        world.turn()
    assert len(answers) == 1
    give(answers[0], GONE)
    world.turn()
    assert len(answers) == 2
    world.gateway.notified("one", "notifications/tools/list_changed", {})
    give(answers[1], {"tools": [tool("new")]})
    world.turn()
    give(answers[2], {"tools": [tool("newer")]})
    world.turn()
    assert len(answers) == 3
    changed = [sent for sent in world.client.sent if "method" in sent]
    assert len(changed) == 2


def test_notices_before_initialize_or_of_unknown_or_dropped_methods_go_nowhere() -> None:
    world = World(ALLOW_ALL)
    world.gateway.notified("one", "notifications/message", {})
    world.listed()
    world.gateway.notified("one", "notifications/resources/updated", {})
    world.gateway.notified("one", "notifications/mystery", {})
    assert world.client.sent == []


def test_a_notification_that_cannot_be_inspected_is_withheld_and_noted() -> None:
    world = World(ALLOW_ALL).listed()
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    world.gateway.notified("one", "notifications/message", {"data": deep})
    world.turn()
    assert world.client.sent == []
    assert world.trace == ["notice notification-withheld"]


def test_a_log_level_goes_to_every_server_and_starts_none() -> None:
    world = World(ALLOW_ALL, {"a": [], "b": []}).greeted()
    world.send("logging/setLevel", {"level": "debug"}, 3)
    for upstream in world.upstreams.values():
        assert [permit.invocation.params for permit in upstream.prepared] == [{"level": "debug"}]
        assert upstream.requests == []
    assert world.client.sent == [{"id": 3, "result": {}}]
    assert world.trace == ["decision allow", "outcome ok", "reply 3"]
    for level in (None, 3, "loud", ["debug"]):
        world.send("logging/setLevel", {} if level is None else {"level": level}, 4)
        assert world.client.sent[-1]["error"]["code"] == -32602
        assert "one of debug, info, notice" in world.client.sent[-1]["error"]["message"]
    world.send("logging/setLevel", {}, 4)
    assert world.client.sent[1]["error"]["code"] == -32602


def test_ping_is_answered_at_any_time() -> None:
    world = World(ALLOW_ALL)
    world.send("ping", None, 1)
    assert world.client.sent == [{"id": 1, "result": {}}]


def test_initialize_answers_with_the_clients_revision_or_our_newest() -> None:
    for asked, given in (("2024-11-05", "2024-11-05"), ("2099-01-01", "2025-11-25"), (None, "2025-11-25")):
        world = World(ALLOW_ALL)
        world.send("initialize", {"protocolVersion": asked}, 1)
        assert world.client.sent[0]["result"]["protocolVersion"] == given
        assert world.gateway.version == given


@each(
    ("method", "code"),
    [
        ("resources/List", -32601),
        ("prompts", -32601),
        ("server/discover", -32601),
        ("subscriptions/listen", -32601),
        ("tasks/update", -32601),
        ("elicitation/create", -32601),
        ("roots/list", -32601),
        ("notifications/message", -32601),
        ("sampling/createMessage", -32601),
        ("tools/Call", -32601),
        ("notifications/initialized", -32601),
        ("initialize", -32600),
    ],
)
def test_a_method_that_is_not_served_is_refused_and_noted(method: str, code: int) -> None:
    world = World(ALLOW_ALL).greeted()
    world.send(method, {}, 9)
    assert world.client.sent[0]["error"]["code"] == code
    assert world.upstreams["one"].requests == []
    assert world.trace == ["refuse 9", "notice message-refused"]


def test_requests_before_initialize_are_refused() -> None:
    world = World(ALLOW_ALL)
    world.send("tools/list", {}, 1)
    assert world.client.sent[0]["error"]["message"] == "initialize must come first"


def test_an_id_in_flight_cannot_be_used_again() -> None:
    world = World(ALLOW_ALL).listed()
    world.call("read", 1)
    world.call("write", 1)
    assert world.client.sent[0]["error"]["message"] == "this id is in use by an earlier request"
    world.answer(text("first"))
    assert world.client.sent[1]["result"] == text("first")


def test_answers_and_notifications_of_the_client_that_nobody_waits_for_are_ignored() -> None:
    world = World(ALLOW_ALL).listed()
    world.gateway.receive({"jsonrpc": "2.0", "id": 1, "result": {}})
    world.send("notifications/roots/list_changed", {})
    assert world.client.sent == []
    assert world.upstreams["one"].requests[1:] == []


@each(
    "params",
    [
        {},
        {"name": ""},
        {"name": 3},
        {"name": "read", "arguments": []},
        {"name": "read", "_meta": 1},
        {"name": "read", "_meta": {"progressToken": 1.5}},
        {"name": "read", "task": []},
        {"name": "read", "task": {"ttl": "1"}},
        {"name": "read", "task": {"ttl": 1, "note": "x"}},
        {"name": "read", "inputResponses": {}},
        {"name": "read", "requestState": "x"},
    ],
)
def test_params_that_policy_cannot_see_whole_are_refused(params: Any) -> None:
    world = World(ALLOW_ALL).listed()
    world.send("tools/call", params, 1)
    assert world.client.sent[0]["error"]["code"] == -32602
    assert world.trace == ["refuse 1", "notice message-refused"]


def test_claims_of_the_client_never_change_a_verdict_or_the_recorded_principal() -> None:
    world = World(
        "  - {id: r, effect: allow, tools: [\"read\"], when: \"principal.id == 'root' || client.agent == 'x'\"}\n"
    )
    world.send("initialize", {"clientInfo": {"name": "x", "version": "1"}}, 0)
    world.send("tools/list", {}, 1)
    meta = {"principal": "root", "agent": "x"}
    world.send("tools/call", {"name": "read", "arguments": {"principal": {"id": "root"}}, "_meta": meta}, 2)
    assert world.client.sent[-1]["error"]["message"] == "Unknown tool: read"
    assert {record.principal for record in world.audit.records if hasattr(record, "principal")} == {
        "os-user:ada"
    }


def test_a_defect_of_ours_is_a_refusal_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ALLOW_ALL).listed()

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("mcpguard.core.policy.pdp.decide", broken)
    world.call("read")
    assert world.client.sent[0]["error"]["code"] == -32603
    assert world.upstreams["one"].requests[1:] == []
    assert SECRET not in str(world.client.sent + world.reports)


def test_a_refusal_that_cannot_be_inspected_becomes_a_fixed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ALLOW_ALL).greeted()

    def broken(*_: Any) -> Any:
        raise InspectionError("no")

    monkeypatch.setattr(world.redactor, "inspect", broken)
    world.send("nope", {}, 1)
    assert world.client.sent[0]["error"]["message"] == "refused by mcpguard"


@pytest.mark.anyio
async def test_a_big_value_is_inspected_elsewhere() -> None:
    world = World(ALLOW_ALL)
    redacted, digest = await world.inspector.seal({"a": "x"}, 1_000_000)
    assert redacted.value == {"a": "x"}
    assert len(digest) == 64


@pytest.mark.anyio
async def test_a_value_is_inspected_elsewhere_where_much_may_be_to_remove() -> None:
    world = World(ALLOW_ALL)
    elsewhere: list[int] = []

    async def offload(work: Callable[[], Sealed]) -> Sealed:
        elsewhere.append(world.inspector.waiting)
        return work()

    world.inspector._offload = offload
    words = "word " * (AT_ONCE // 4)
    for value, times in (([words], 0), ([SECRET], 0), ([words, SECRET], 1)):
        redacted, _digest = await world.inspector.seal(value, 10)
        assert (SECRET in str(value)) == bool(redacted.findings)
        assert len(elsewhere) == times
    assert await world.inspector.apart(lambda: 7, INLINE_BYTES) == 7
    assert len(elsewhere) == 1


@pytest.mark.uncounted
@pytest.mark.anyio
async def test_a_value_of_unknown_size_counts_as_what_it_is() -> None:
    world = World(ALLOW_ALL)
    seen: list[tuple[int, bool, bool]] = []

    async def offload(work: Callable[[], Sealed]) -> Sealed:
        inspector = world.inspector
        seen.append((inspector.waiting, inspector.crowded("one"), inspector.full))
        return work()

    world.inspector._offload = offload
    for size in (INLINE_BYTES, CROWDED, FULL):
        await world.inspector.seal(["a" * size], 0, server="one")
    assert [one[0] // 10_000 for one in seen] == [INLINE_BYTES // 10_000, CROWDED // 10_000, FULL // 10_000]
    assert [one[1:] for one in seen] == [(False, False), (True, False), (True, True)]
    assert not world.inspector.crowded("one")
    assert not world.inspector.full


def test_of_a_long_line_the_beginning_is_shown() -> None:
    inspector = World(ALLOW_ALL).inspector
    assert inspector.text("a" * TEXT + "b") == "a" * TEXT


@pytest.mark.parametrize("size", [INLINE_BYTES, INLINE_BYTES + 1])
def test_a_big_answer_is_inspected_elsewhere_and_a_small_one_at_once(size: int) -> None:
    world = World(ALLOW_ALL).listed()
    elsewhere: list[int] = []

    async def offload(work: Callable[[], Sealed]) -> Sealed:
        elsewhere.append(world.inspector.waiting)
        return work()

    world.inspector._offload = offload
    world.call("read")
    wait, _progress = world.upstreams["one"].held.pop(0)
    wait.set(RawAnswer({"id": 1, "result": text(f"it says {SECRET}")}, size))
    world.turn()
    assert SECRET not in str(world.client.sent)
    assert "REDACTED" in str(world.client.sent)
    assert elsewhere == ([] if size == INLINE_BYTES else [size])
    assert world.inspector.waiting == 0


def test_while_it_drains_nothing_begins_and_what_is_open_goes_on() -> None:
    world = World(ALLOW_READ).listed()
    world.call("read", 5)
    world.gateway.drain()
    world.call("read", 6)
    assert world.client.sent[-1]["error"]["message"] == STOPPING
    world.answer(text("fine"))
    assert world.client.sent[-1]["id"] == 5
    assert world.gateway.idle


def test_what_is_given_up_while_it_drains_is_answered_after_its_record() -> None:
    world = World(ALLOW_READ).listed()
    world.call("read", 5)
    world.call("read", 6)
    world.gateway.drain()
    world.send("notifications/cancelled", {"requestId": 6})
    world.gateway.abandon("abandoned")
    world.turn()
    [answer] = world.client.sent
    assert (answer["id"], answer["error"]["message"]) == (5, STOPPED)
    assert world.trace.index("outcome abandoned") < len(world.trace) - 1


@pytest.mark.parametrize("eager", [False, True])
def test_what_reaches_a_server_waits_until_its_values_are_known(eager: bool) -> None:
    world = World(ALLOW_READ)
    known: Wait[None] = Wait()
    world.scope.known, world.scope.eager = known, ("one",) if eager else ()
    world.send("ping", {}, 1)
    assert world.trace == ["reply 1"]
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    world.send("initialize", about, 2)
    # Only where it starts a server.
    assert ("reply 2" in world.trace) != eager
    if not eager:
        before = len(world.trace)
        world.send("tools/list", {}, 3)
        assert len(world.trace) == before
    before = len(world.trace)
    known.set(None)
    world.turn()
    assert len(world.trace) > before
