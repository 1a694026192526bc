"""Extensions: a method that a server's configuration declares is decided and sent to that server; no other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import GONE, SECRET, World
from tests.gateway.scenes import ALLOW_ALL, deep, last, legacy, modern

SKILLS = "skills/list"


def serving(rules: str = ALLOW_ALL, answer: Any = None) -> World:
    world = World(rules)
    world.upstreams["one"].answers[SKILLS] = {"skills": ["a"]} if answer is None else answer
    return world


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_declared_method_is_decided_recorded_sent_and_answered(era: str) -> None:
    world = serving()
    if era == "legacy":
        legacy(world).send(SKILLS, {"kind": "x"}, 1)
    else:
        modern(world, SKILLS, {"kind": "x"})
    assert last(world)["skills"] == ["a"]
    assert world.trace == ["decision allow", f"request {SKILLS}", "outcome ok", "reply 1"]
    decided = world.audit.records[0]
    assert (decided.method, decided.server, decided.tool, decided.subject) == (SKILLS, "one", "", "")
    assert world.upstreams["one"].requests[-1].invocation.params == {"kind": "x"}


def test_a_rule_decides_it_by_its_action_and_its_params() -> None:
    rule = (
        "  - {id: r, effect: allow, action: [extension], "
        "when: \"action == 'skills/list' && args.kind == 'x'\"}\n"
    )
    world = serving(rule)
    modern(world, SKILLS, {"kind": "x"}, 1)
    assert last(world)["skills"] == ["a"]
    modern(world, SKILLS, {"kind": "y"}, 2)
    assert last(world)["data"]["cause"] == "no-rule"
    assert len(world.upstreams["one"].requests) == 1


def test_a_rule_for_tools_allows_no_extension() -> None:
    world = serving("  - {id: r, effect: allow}\n")
    modern(world, SKILLS)
    assert last(world)["data"]["cause"] == "no-rule"
    assert world.upstreams["one"].requests == []


@pytest.mark.parametrize("method", ["skills/get", "skills", "Skills/list", "com.example/skills"])
def test_a_method_that_nobody_declared_is_not_there(method: str) -> None:
    world = serving()
    modern(world, method)
    assert last(world)["code"] == -32601
    assert world.upstreams["one"].requests == []


def test_its_answer_is_inspected() -> None:
    world = serving(answer={"skills": [SECRET], SECRET: {"x": SECRET}})
    modern(world, SKILLS)
    assert SECRET not in str(world.client.sent + world.audit.records)
    hidden = serving(answer={"skills": deep()})
    modern(hidden, SKILLS)
    assert last(hidden)["data"]["cause"] == "withheld"


def test_its_server_that_is_gone_is_one_clear_error() -> None:
    world = serving(answer=GONE)
    modern(world, SKILLS)
    assert last(world)["message"] == "upstream 'one' has ended"
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]


def test_an_extension_may_not_ask_back() -> None:
    world = serving(answer={"resultType": "input_required", "requestState": "s"})
    modern(world, SKILLS)
    assert "asks for input" in last(world)["message"]
