"""The params of a request: one shape, and nothing that policy does not see."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.errors import MessageError
from mcpguard.core.policy.terms import ACTIONS
from mcpguard.protocol.calls import FORMS, Call, read_call, upstream_params
from tests.rows import each

NAMED = {"tool": "name", "prompt": "name", "resource": "uri", "task": "taskId"}


def least(method: str) -> dict[str, Any]:
    return {FORMS[method].key: "x"}


@each("method", sorted(FORMS))
def test_every_method_names_its_target_and_refuses_what_it_does_not_know(method: str) -> None:
    call = read_call(method, least(method), True)
    assert call.name == "x"
    assert NAMED[call.kind] == FORMS[method].key
    for bad in ({}, {FORMS[method].key: ""}, {FORMS[method].key: 1}, {**least(method), "more": 1}):
        with pytest.raises(MessageError) as refused:
            read_call(method, bad, True)
        assert refused.value.code == -32602


@each("method", sorted(FORMS))
def test_what_goes_upstream_has_the_upstreams_own_name_and_what_policy_saw(method: str) -> None:
    call = read_call(method, {**least(method), "_meta": {"traceparent": "00-1"}}, True)
    sent = upstream_params(call, "own" if call.kind in ("tool", "prompt") else "x")
    assert sent.pop("_meta") == {"traceparent": "00-1"}
    name = sent.pop(FORMS[method].key)
    assert name == ("own" if call.kind in ("tool", "prompt") else "x")
    assert sent in ({}, {"arguments": {}})
    assert call.args in ({}, {FORMS[method].key: "x"})


def test_arguments_are_what_conditions_see_and_members_beside_them_travel() -> None:
    call = read_call("tools/call", {"name": "t", "arguments": {"a": 1}, "task": {"ttl": 9}}, False)
    assert (call.args, call.rest) == ({"a": 1}, {"task": {"ttl": 9}})
    assert upstream_params(call, "t") == {"name": "t", "arguments": {"a": 1}, "task": {"ttl": 9}}
    prompt = read_call("prompts/get", {"name": "p", "arguments": {"a": "1"}}, False)
    assert upstream_params(prompt, "own") == {"name": "own", "arguments": {"a": "1"}}
    update = read_call("tasks/update", {"taskId": "t", "inputResponses": {"k": {}}}, True)
    assert update.args == {"taskId": "t", "inputResponses": {"k": {}}}
    assert update.responses is None


@each("task", [{"ttl": "1"}, {"ttl": True}, {"note": "x"}, [], None])
def test_a_task_that_says_more_than_its_time_to_live_is_refused(task: Any) -> None:
    with pytest.raises(MessageError):
        read_call("tools/call", {"name": "t", "task": task}, False)


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_only_a_modern_retry_has_responses_and_state(method: str) -> None:
    params = {**least(method), "inputResponses": {"k": {}}, "requestState": "s"}
    call = read_call(method, params, True)
    assert (call.state, call.responses) == ("s", {"k": {}})
    assert "requestState" not in upstream_params(call, "x")
    with pytest.raises(MessageError):
        read_call(method, params, False)
    for bad in ({"requestState": 1}, {"inputResponses": []}):
        with pytest.raises(MessageError):
            read_call(method, {**least(method), **bad}, True)


def test_a_completion_names_a_prompt_or_a_template_and_policy_sees_the_argument() -> None:
    argument = {"name": "a", "value": "v"}
    prompt = {"ref": {"type": "ref/prompt", "name": "p", "title": "T"}, "argument": argument}
    call = read_call("completion/complete", {**prompt, "context": {"arguments": {}}}, True)
    assert (call.kind, call.name) == ("prompt", "p")
    assert call.args == {"argument": argument, "context": {"arguments": {}}}
    sent = upstream_params(call, "own")
    assert sent["ref"] == {"type": "ref/prompt", "name": "own"}
    resource = {"ref": {"type": "ref/resource", "uri": "x:{a}"}, "argument": argument}
    call = read_call("completion/complete", resource, False)
    assert (call.kind, call.name) == ("template", "x:{a}")
    assert upstream_params(call, "x:{a}")["ref"] == {"type": "ref/resource", "uri": "x:{a}"}


@each(
    "params",
    [
        {},
        {"ref": {"type": "ref/prompt", "name": "p"}},
        {"ref": [], "argument": {}},
        {"ref": {"type": "ref/prompt"}, "argument": {}},
        {"ref": {"type": "ref/resource"}, "argument": {}},
        {"ref": {"type": "ref/tool", "name": "x"}, "argument": {}},
        {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {}, "context": 1},
        {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {}, "more": 1},
    ],
)
def test_a_completion_that_cannot_be_read_is_refused(params: Any) -> None:
    with pytest.raises(MessageError):
        read_call("completion/complete", params, True)


def test_all_params_of_an_extension_are_seen_and_sent() -> None:
    call = read_call("skills/list", {"a": 1, "_meta": {"progressToken": 1}}, True)
    assert (call.kind, call.name, call.args, call.progress_token) == ("extension", "", {"a": 1}, 1)
    assert upstream_params(call, "") == {"a": 1}


def test_of_meta_only_trace_and_progress_travel() -> None:
    meta = {
        "progressToken": "p",
        "traceparent": "t",
        "tracestate": 1,
        "baggage": "x" * 513,
        "io.modelcontextprotocol/related-task": {"taskId": "1"},
        "io.modelcontextprotocol/clientInfo": {"name": "root"},
    }
    call = read_call("tools/call", {"name": "t", "_meta": meta}, True)
    assert (call.meta, call.progress_token) == ({"traceparent": "t"}, "p")
    assert read_call("tools/call", {"name": "t", "_meta": {"progressToken": None}}, True).meta == {}


def test_a_retry_is_known_by_method_target_and_arguments_in_any_order_of_keys() -> None:
    one = Call("tools/call", "tool", "t", {"a": 1, "b": {"c": 2, "d": 3}})
    same = Call("tools/call", "tool", "t", {"b": {"d": 3, "c": 2}, "a": 1}, state="s", responses={})
    assert one.fingerprint() == same.fingerprint()
    others = [
        Call("prompts/get", "prompt", "t", one.args),
        Call("tools/call", "tool", "u", one.args),
        Call("tools/call", "tool", "t", {**one.args, "a": 2}),
        Call("tools/call", "tool", "t", one.args, {"task": {}}),
    ]
    assert one.fingerprint() not in {other.fingerprint() for other in others}


def test_every_action_that_a_client_can_ask_for_has_a_form() -> None:
    asked_by_upstreams = {"sampling/createMessage", "elicitation/create", "roots/list"}
    assert FORMS.keys() | {"completion/complete"} >= ACTIONS - asked_by_upstreams - {"extension"}
