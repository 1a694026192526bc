"""A structured result from which something was removed conforms to its tool's schema, in both eras."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import World, tool
from tests.gateway.scenes import ALLOW_ALL, call, last, legacy, modern, quiet

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "string", "format": "uuid"}, "n": {"type": "integer"}},
    "required": ["id"],
}
STAND_IN = {"id": "00000000-0000-4000-8000-000000000001", "n": 1}
SAID = {"id": TOKEN, "n": 1}
BOTH = {"content": [{"type": "text", "text": json.dumps(SAID)}], "structuredContent": SAID}


def world(schema: Any = SCHEMA, rules: str = ALLOW_ALL) -> World:
    listed = tool("read") if schema is None else {**tool("read"), "outputSchema": schema}
    return World(rules, {"one": [listed]})


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_stand_in_takes_the_place_of_a_placeholder_in_both_forms(era: str) -> None:
    made = world()
    if era == "legacy":
        quiet(legacy(made)).call("read")
    else:
        modern(made, "tools/list")
        call(quiet(made), "read")
    made.answer(BOTH)
    result = last(made)
    assert result["structuredContent"] == STAND_IN
    assert json.loads(result["content"][0]["text"]) == STAND_IN
    outcome = made.audit.records[-1]
    assert outcome.status == "ok"
    assert outcome.findings["github-token /structuredContent/id"] == 1


def test_without_a_schema_placeholders_stay() -> None:
    made = quiet(legacy(world(None)))
    made.call("read")
    made.answer(BOTH)
    assert last(made)["structuredContent"]["id"] == "[REDACTED:github-token#1]"


def test_a_result_that_holds_nothing_is_as_it_was() -> None:
    made = quiet(legacy(world()))
    made.call("read")
    made.answer({**BOTH, "structuredContent": {"n": "not even of its schema"}, "content": []})
    assert last(made)["structuredContent"] == {"n": "not even of its schema"}


@pytest.mark.parametrize("again", [False, True], ids=["no stand-in", "a stand-in that is removed again"])
def test_what_cannot_conform_is_an_error_that_says_why(again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if again:
        monkeypatch.setattr("mcpguard.gateway.results.agreeing", lambda before, *_: dict(before))
    made = quiet(
        legacy(world({"properties": {"id": {"type": "string", "pattern": "^(?=ghp_)"}}, "required": ["id"]}))
    )
    made.call("read")
    made.answer({"content": [{"type": "text", "text": "see there"}], "structuredContent": SAID})
    result = last(made)
    assert result["isError"]
    assert "structuredContent" not in result
    assert "`outputSchema`" in result["content"][0]["text"]
    assert result["content"][1]["text"] == "see there"
    assert made.audit.records[-1].status == "withheld"
    assert TOKEN not in repr(made.client.sent)


def test_what_a_rule_on_the_result_redacts_conforms_too() -> None:
    schema = {"properties": {"mail": {"type": "string", "format": "email"}}, "required": ["mail"]}
    rules = ALLOW_ALL + "  - {id: r, effect: allow, on: result, redact: [email]}\n"
    made = quiet(legacy(world(schema, rules)))
    made.call("read")
    made.answer({"content": [], "structuredContent": {"mail": "jane@corp.example.com"}})
    assert last(made)["structuredContent"] == {"mail": "redacted-1@redacted.invalid"}


@pytest.mark.parametrize("method", ["tasks/result", "tasks/get"])
def test_the_result_of_a_task_conforms_to_the_schema_of_its_tool(method: str) -> None:
    made = quiet(legacy(world()))
    upstream = made.upstreams["one"]
    upstream.answers["read"] = {"task": {"taskId": "t1", "status": "working"}}
    made.send("tools/call", {"name": "read", "arguments": {}, "task": {"ttl": 60}}, 1)
    upstream.answers[method] = {"taskId": "t1", "result": BOTH} if method == "tasks/get" else BOTH
    made.send(method, {"taskId": "t1"}, 2)
    result = last(made)
    assert (result["result"] if method == "tasks/get" else result)["structuredContent"] == STAND_IN


def test_other_methods_have_no_structured_form() -> None:
    made = quiet(legacy(world()))
    made.upstreams["one"].answers["skills/list"] = {"structuredContent": SAID}
    made.send("skills/list", {}, 1)
    assert last(made)["structuredContent"]["id"] == "[REDACTED:github-token#1]"
