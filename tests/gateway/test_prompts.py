"""Prompts and completions: decided like everything else, and inspected to the last message."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import SECRET, World
from tests.gateway.scenes import ALLOW_ALL, last, legacy, methods_of, modern, offers, two

GET = "prompts/get"
COMPLETE = "completion/complete"
GREET = {"name": "greet", "title": "Greeting"}
MESSAGES = {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}]}
VALUES = {"completion": {"values": ["ada"], "hasMore": False}}
ARGUMENT = {"name": "who", "value": "a"}
BY_PROMPT = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": ARGUMENT}
BY_TEMPLATE = {"ref": {"type": "ref/resource", "uri": "x:{id}"}, "argument": ARGUMENT}


def serving(rules: str = ALLOW_ALL, answer: Any = MESSAGES) -> World:
    world = World(rules)
    offers(world, "one", prompts=[GREET], resourceTemplates=[{"uriTemplate": "x:{id}", "name": "x"}])
    world.upstreams["one"].answers |= {"greet": answer, COMPLETE: VALUES}
    return world


def test_an_allowed_prompt_is_recorded_sent_inspected_and_answered() -> None:
    world = legacy(serving())
    world.send(GET, {"name": "greet", "arguments": {"who": "ada"}}, 1)
    assert last(world) == MESSAGES
    assert world.trace[-4:] == ["decision allow", "request greet", "outcome ok", "reply 1"]
    assert (world.audit.records[-2].method, world.audit.records[-2].subject) == (GET, "greet")
    sent = world.upstreams["one"].requests[-1].invocation.params
    assert sent == {"name": "greet", "arguments": {"who": "ada"}}


def test_a_modern_prompt_is_complete_and_not_cacheable() -> None:
    world = serving()
    modern(world, GET, {"name": "greet"})
    assert last(world)["resultType"] == "complete"
    assert "ttlMs" not in last(world)


def test_conditions_see_the_prompt_and_its_arguments() -> None:
    rule = (
        "  - {id: r, effect: allow, action: [prompts/get], "
        "when: \"args.who == 'ada' && prompt.title == 'Greeting'\"}\n"
    )
    world = serving(rule)
    modern(world, GET, {"name": "greet", "arguments": {"who": "ada"}})
    assert last(world)["messages"]
    modern(world, GET, {"name": "greet", "arguments": {"who": "eve"}})
    assert last(world)["data"]["cause"] == "no-rule"
    assert methods_of(world) == [GET]


def test_a_rule_about_tools_opens_no_prompt_of_the_same_name() -> None:
    world = serving('  - {id: r, effect: allow, tools: ["*"]}\n')
    modern(world, GET, {"name": "greet"})
    assert last(world) == {"code": -32602, "message": "Unknown prompt: greet"}


def test_a_hidden_prompt_answers_exactly_like_one_that_is_missing() -> None:
    world = serving("  - {id: r, effect: allow, action: [prompts/get], when: \"prompt.name == 'x'\"}\n")
    modern(world, GET, {"name": "greet"}, 1)
    modern(world, GET, {"name": "nope"}, 2)
    hidden, missing = (str(one["error"]) for one in world.client.sent)
    assert hidden.replace("greet", "nope") == missing
    assert [record.cause for record in world.audit.records[-2:]] == ["no-rule", "unknown"]


def test_prompts_that_look_alike_go_each_to_its_own_server() -> None:
    world = two()
    offers(world, "a", prompts=[{"name": "greet"}, {"name": "b__greet"}])
    offers(world, "b", prompts=[{"name": "greet"}])
    for server in ("a", "b"):
        world.upstreams[server].answers |= {"greet": {"messages": [server]}, "b__greet": {"messages": ["no"]}}
    for name, server in (("a__greet", "a"), ("b__greet", "b")):
        modern(world, GET, {"name": name})
        assert last(world)["messages"] == [server]
    modern(world, GET, {"name": "greet"})
    assert last(world)["message"] == "Unknown prompt: greet. Did you mean a__greet or b__greet?"


@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "text": SECRET},
        {"type": "resource", "resource": {"uri": f"x:{SECRET}", "text": SECRET}},
        {"type": "resource_link", "uri": "x:1", "description": SECRET},
        {SECRET: 1},
    ],
)
def test_a_secret_in_any_message_of_a_prompt_is_gone(content: Any) -> None:
    world = serving(answer={"description": SECRET, "messages": [{"role": "user", "content": content}]})
    modern(world, GET, {"name": "greet"})
    assert SECRET not in str(world.client.sent + world.audit.records)


@pytest.mark.parametrize(("params", "kind"), [(BY_PROMPT, "prompt"), (BY_TEMPLATE, "template")])
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_completion_is_decided_sent_and_answered(params: Any, kind: str, era: str) -> None:
    world = serving()
    if era == "legacy":
        legacy(world).send(COMPLETE, params, 1)
    else:
        modern(world, COMPLETE, params)
    assert last(world)["completion"] == VALUES["completion"]
    decided, outcome = world.audit.records[-2:]
    assert (decided.method, decided.server, outcome.status) == (COMPLETE, "one", "ok")
    assert decided.subject == ("greet" if kind == "prompt" else "x:{id}")
    assert world.upstreams["one"].requests[-1].invocation.params == params


@pytest.mark.parametrize("params", [BY_PROMPT, BY_TEMPLATE])
def test_a_completion_of_something_hidden_is_as_one_of_something_missing(params: Any) -> None:
    world = serving("  - {id: r, effect: allow, action: [completion/complete]}\n")
    denied = serving("  - {id: r, effect: allow}\n")
    modern(denied, COMPLETE, params)
    assert last(denied)["code"] == -32602
    assert methods_of(denied) == []
    modern(world, COMPLETE, params)
    assert "completion" in last(world)


def test_a_completion_that_policy_does_not_allow_says_so_where_its_prompt_is_visible() -> None:
    world = serving("  - {id: r, effect: allow, action: [prompts/get]}\n")
    modern(world, COMPLETE, BY_PROMPT)
    assert last(world)["data"]["cause"] == "no-rule"
    assert methods_of(world) == []


def test_a_completion_of_a_template_that_nobody_has_is_not_found() -> None:
    world = two()
    modern(world, COMPLETE, BY_TEMPLATE)
    assert last(world) == {"code": -32602, "message": "Resource not found", "data": {"uri": "x:{id}"}}


def test_a_secret_among_the_values_of_a_completion_is_gone() -> None:
    world = serving()
    world.upstreams["one"].answers[COMPLETE] = {"completion": {"values": ["ada", SECRET]}}
    modern(world, COMPLETE, BY_PROMPT)
    assert last(world)["completion"]["values"][0] == "ada"
    assert SECRET not in str(world.client.sent)


def test_an_upstream_may_not_ask_back_for_a_completion() -> None:
    world = serving()
    world.upstreams["one"].answers[COMPLETE] = {"resultType": "input_required", "requestState": "s"}
    modern(world, COMPLETE, BY_PROMPT)
    assert "asks for input" in last(world)["message"]
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]
