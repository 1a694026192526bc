"""Calls that last: what else happens meanwhile sheds nothing of what is known, and lets out nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import Uptime
from tests.fakes import FixedClock, World, give, text
from tests.gateway.questions.parking import ELICIT, parked, retry, told
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    ALLOW_ALL,
    FORM,
    ask,
    call,
    last,
    legacy,
    modern,
    put_in_force,
)

NO_PUSH = "  - {id: leak, effect: deny, tools: [push], when: \"'private' in session.labels\"}\n"
ON_CALL = (
    "  - {id: read, effect: allow, tools: [read], label: [private]}\n"
    "  - {id: use, effect: allow, tools: [write, push]}\n"
    "  - {id: tasks, effect: allow, action: [tasks/result]}\n"
) + NO_PUSH
ON_RESULT = (
    "  - {id: use, effect: allow}\n"
    "  - {id: seen, effect: allow, tools: [read], on: result, label: [private]}\n"
) + NO_PUSH
IDLE = 60
LONG = 3600


def idling(rules: str, folder: Path) -> World:
    """Its sessions end after a minute."""
    return on_disk(rules, folder).listed()


def on_disk(rules: str, folder: Path) -> World:
    worlds: list[World] = []
    up = lambda: Uptime("one", worlds[0].clock.now().timestamp())  # noqa: E731
    worlds.append(World(rules, store=SqliteStore(folder, IDLE, FixedClock(), up)))
    return worlds[0]


def pushed(world: World) -> bool:
    world.call("push", 9)
    return world.upstreams["one"].requests[-1].invocation.params == {"name": "push", "arguments": {}}


def test_a_label_of_a_result_stays_though_the_session_was_idle_while_it_came(tmp_path: Path) -> None:
    world = idling(ON_RESULT, tmp_path)
    world.call("read")
    world.clock.wind(LONG)
    world.answer(text("private"))
    assert not pushed(world)


def test_a_label_of_a_call_is_there_when_its_result_comes_after_the_session_ended(tmp_path: Path) -> None:
    world = idling(ON_CALL, tmp_path)
    world.call("read", 1)
    world.clock.wind(LONG)
    world.call("write", 2)  # The session begins anew.
    world.answer(text("private"))
    world.clock.wind(IDLE / 2)
    assert not pushed(world)


def test_the_result_of_a_task_brings_the_label_of_its_call_again(tmp_path: Path) -> None:
    world = legacy(on_disk(ON_CALL, tmp_path))
    world.upstreams["one"].answers["read"] = {"task": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "read", "arguments": {}, "task": {}}, 1)
    world.clock.wind(LONG)
    world.upstreams["one"].answers["tasks/result"] = text("private")
    world.send("tasks/result", {"taskId": "t1"}, 2)
    assert last(world) == text("private")
    assert not pushed(world)


def test_bytes_are_counted_when_they_come(tmp_path: Path) -> None:
    world = idling("  - {id: use, effect: allow, limit: {bytes: 500, per: 1m}}\n", tmp_path)
    world.call("read", 1)
    world.clock.wind(LONG)
    world.answer(text("x" * 400))
    assert last(world) == text("x" * 400)
    world.call("read", 2)
    world.answer(text("x" * 400))
    assert "the limit of 500 bytes in 1m would be exceeded" in str(last(world))


# --- policies that change meanwhile -------------------------------------------------------------------

WITHHOLD = "  - {id: no, effect: deny, on: result, when: has(result.content)}\n"


def test_a_result_is_reviewed_under_the_policies_that_its_call_was_decided_under() -> None:
    world = World(ALLOW_ALL + WITHHOLD).listed()
    world.call("read")
    put_in_force(world, ALLOW_ALL)
    world.answer(text("private"))
    assert "mcpguard withheld its result (p/no)" in str(last(world))
    world.call("read")
    put_in_force(world, ALLOW_ALL + WITHHOLD)
    world.answer(text("public"))
    assert last(world) == text("public")


def test_a_call_that_goes_on_under_other_policies_is_labelled_and_reviewed_as_they_say() -> None:
    world, state = parked()
    rules = "  - {id: use, effect: allow, tools: [read, push], label: [private], fact: [done]}\n"
    put_in_force(world, rules + WITHHOLD)
    retry(world, state)
    world.answer(text("private"))
    assert "mcpguard withheld its result (p/no)" in str(last(world))
    (kept,) = world.store.kept.values()
    assert (kept.labels, kept.facts, kept.calls) == (["private"], [], 0)
    decision = next(one for one in world.audit.records if getattr(one, "rules", ()) == ("p/use",))
    assert (decision.labels, decision.facts) == (("private",), ())


# --- answers of the client, which it gives when it has read more ----------------------------------------

SINK = (
    "  - {id: use, effect: allow, action: ['*']}\n"
    "  - {id: seen, effect: allow, tools: [write], on: result, label: [private]}\n"
    "  - {id: leak, effect: deny, action: [elicitation/create], when: \"'private' in session.labels\"}\n"
)
PRIVATE = {"action": "accept", "content": {"branch": "what was read"}}
KEPT_BACK = "the answer to elicitation/create was withheld: Refused by mcpguard (p/leak)"


def read_private(world: World, *, modern_client: bool) -> None:
    if modern_client:
        call(world, "write", 7)
    else:
        world.call("write", 7)
    wait, _progress = world.upstreams["one"].held.pop()
    give(wait, text("what was read"))
    world.turn()


@pytest.mark.parametrize("modern_client", [False, True])
def test_an_answer_that_may_hold_what_was_read_meanwhile_does_not_reach_a_legacy_upstream(
    modern_client: bool,
) -> None:
    if modern_client:
        world, state = parked(SINK)
        read_private(world, modern_client=True)
        retry(world, state, responses={"question-1": PRIVATE})
    else:
        world = legacy(World(SINK), ALL_CAPABILITIES)
        world.send("tools/list", {}, 1)
        world.call("read", 2)
        ask(world, ELICIT, FORM)
        asked = world.client.sent[-1]["id"]
        read_private(world, modern_client=False)
        world.gateway.receive({"id": asked, "result": PRIVATE})
        world.turn()
    (body,) = told(world)
    assert KEPT_BACK in body["error"]["message"]
    assert "deny" in [getattr(one, "effect", "") for one in world.audit.records]


@pytest.mark.parametrize("modern_client", [False, True])
def test_an_answer_that_may_hold_what_was_read_meanwhile_does_not_reach_a_modern_upstream(
    modern_client: bool,
) -> None:
    world = World(SINK)
    world.upstreams["one"].modern = True
    asking = {"resultType": "input_required", "inputRequests": {"q": {"method": ELICIT, "params": FORM}}}
    if modern_client:
        modern(world, "tools/list")
        call(world, "read")
        world.answer(asking)
        state = last(world)["requestState"]
        read_private(world, modern_client=True)
        call(world, "read", 9, requestState=state, inputResponses={"q": PRIVATE})
        assert world.upstreams["one"].requests[-1].invocation.params["inputResponses"] == {}
    else:
        legacy(world, ALL_CAPABILITIES).send("tools/list", {}, 1)
        world.call("read", 2)
        world.answer(asking)
        asked = world.client.sent[-1]["id"]
        read_private(world, modern_client=False)
        world.gateway.receive({"id": asked, "result": PRIVATE})
        world.turn()
        assert KEPT_BACK in str(world.client.sent[-1])
    assert "what was read" not in str([one.invocation.params for one in world.upstreams["one"].requests])


def test_an_answer_is_not_refused_because_its_question_used_up_the_limit() -> None:
    world, state = parked(
        "  - {id: use, effect: allow}\n"
        "  - {id: ask, effect: allow, action: [elicitation/create], limit: {calls: 1, per: session}}\n"
    )
    retry(world, state)
    assert told(world) == [{"result": ACCEPTED}]


def test_a_call_that_goes_on_is_not_in_its_own_way() -> None:
    world, state = parked(
        "  - {id: once, effect: allow, tools: [read], when: '!(\"one/read\" in session.tools)'}\n"
        "  - {id: ask, effect: allow, action: [elicitation/create]}\n"
    )
    retry(world, state)
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]
    call(world, "read", 5)
    assert last(world)["_meta"]["mcpguard/decision"]["cause"] == "no-rule"


def test_a_call_that_is_cancelled_has_used_up_its_limit_and_left_its_label() -> None:
    world = World(
        "  - {id: few, effect: allow, tools: [read], limit: {calls: 1, per: 1h}, label: [private]}\n"
        "  - {id: use, effect: allow, tools: [push]}\n"
        "  - {id: leak, effect: deny, tools: [push], when: \"'private' in session.labels\"}\n"
    ).listed()
    world.call("read", 1)
    world.send("notifications/cancelled", {"requestId": 1})
    world.call("read", 2)
    assert last(world)["_meta"]["mcpguard/decision"]["cause"] == "limit"
    world.call("push", 3)
    assert last(world)["_meta"]["mcpguard/decision"]["rules"] == ["p/leak"]


def test_a_limit_stays_used_up_through_policies_that_do_not_have_it() -> None:
    limited = "  - {id: few, effect: allow, limit: {calls: 1, per: 1h}}\n"
    world = World(limited).listed()
    world.call("read", 1)
    world.answer(text("ok"))
    put_in_force(world, "  - {id: few, effect: allow}\n")
    world.call("read", 2)
    world.answer(text("ok"))
    put_in_force(world, limited)
    world.call("read", 3)
    assert last(world)["_meta"]["mcpguard/decision"]["cause"] == "limit"
