"""The credential that a rule chooses goes with the call, what the call began stays with it, and evidence names
it."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Lease, Secret
from mcpguard.gateway.ports import Mint
from tests.fakes import World, text, tool
from tests.gateway.lists.test_subscriptions import listen, methods_of, serving
from tests.gateway.questions.parking import ELICIT, retry
from tests.gateway.questions.test_input_required import asks, waiting
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    FORM,
    ask,
    call,
    last,
    legacy,
    modern,
    put_in_force,
    quiet,
)

CHOOSES = "  - {{id: use, effect: allow, action: ['*'], credential: {}}}\n"
NARROW = CHOOSES.format("narrow")
WORKING = {"task": {"taskId": "t1", "status": "working"}}


def statuses(world: World) -> list[str]:
    return [one.status for one in world.audit.records if hasattr(one, "status")]


def chosen(world: World, server: str = "one") -> list[tuple[str, str]]:
    sent = [(one.invocation.method, one.credential) for one in world.upstreams[server].requests]
    return [each for each in sent if not each[0].endswith("/list") or each[0] == "tasks/list"]


def begun(rules: str = NARROW) -> World:
    """A call under `rules` has begun the task `t1`."""
    world = legacy(World(rules, {"one": [tool("x")]}))
    world.upstreams["one"].answers |= {"x": WORKING, "tasks/get": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "x", "arguments": {}, "task": {}}, 1)
    world.upstreams["one"].requests.clear()
    return quiet(world)


def test_a_call_is_made_with_the_credential_that_its_rule_chooses_and_the_record_names_it() -> None:
    world = World(NARROW).listed()
    world.call("read")
    world.answer(text("ok"))
    assert chosen(world) == [("tools/call", "narrow")]
    decided, outcome = world.audit.records
    assert (decided.credential, decided.credentials, outcome.status) == ("narrow", (), "ok")


def test_a_credential_that_cannot_be_had_refuses_the_call_with_evidence() -> None:
    world = World(NARROW).listed()
    world.upstreams["one"].answers["read"] = CredentialError("credential:narrow is not there")
    world.call("read")
    assert "credential:narrow is not there" in last(world)["message"]
    assert statuses(world) == ["unavailable"]


def test_a_record_names_the_placeholders_of_the_call_and_no_value() -> None:
    rule = '  - {id: use, effect: allow, argument: {t: "{{secret:b}} {{secret:a}}"}}\n'
    world = World(rule).listed()
    world.call("read")
    world.answer(text("ok"))
    assert world.audit.records[0].credentials == ("credential:a", "credential:b", "env:CANARY")


def test_a_task_is_asked_for_with_the_credential_of_the_call_that_began_it() -> None:
    world = begun()
    put_in_force(world, "  - {id: use, effect: allow, action: ['*']}\n")
    world.send("tasks/get", {"taskId": "t1"}, 2)
    world.upstreams["one"].answers["tasks/list"] = {"tasks": [{"taskId": "t1"}, {"taskId": "t2"}]}
    world.send("tasks/list", {}, 3)
    assert chosen(world) == [("tasks/get", "narrow"), ("tasks/list", "narrow")]
    assert world.audit.records[0].credential == "narrow"
    assert last(world) == {"tasks": [{"taskId": "t1"}]}


def test_a_task_is_not_asked_for_with_another_credential_than_it_was_begun_with() -> None:
    world = begun()
    put_in_force(world, CHOOSES.format("wide"))
    quiet(world)
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert "this task was started with a different credential" in last(world)["message"]
    assert chosen(world) == []
    assert statuses(world) == ["unavailable"]


def test_a_task_of_another_process_of_a_server_under_the_same_id_is_withheld() -> None:
    world = begun()
    put_in_force(world, CHOOSES.format("wide"))
    world.send("tools/call", {"name": "x", "arguments": {}, "task": {}}, 2)
    assert "in use by another server, or another process of it" in str(last(world))


@pytest.mark.parametrize(
    ("second", "granted"), [("narrow", {"resourceSubscriptions": ["x:1"]}), ("wide", {})]
)
def test_a_resource_is_heard_of_under_the_credential_that_it_was_subscribed_with(
    second: str, granted: Any
) -> None:
    world = serving(NARROW)
    listen(world, 1, ["x:1"])
    put_in_force(world, CHOOSES.format(second))
    listen(world, 2, ["x:1"])
    assert world.client.sent[-1]["params"]["notifications"] == granted
    assert chosen(world, "a") == [("resources/subscribe", "narrow")]
    world.gateway.cancel(1, "cancelled")
    world.gateway.cancel(2, "cancelled")
    world.turn()
    assert methods_of(world, "a")[-1] == "resources/unsubscribe"
    listen(world, 3, ["x:1"])
    assert chosen(world, "a")[-1] == ("resources/subscribe", second)


def test_a_suspended_call_does_not_go_on_for_a_request_with_another_credential() -> None:
    world = World(NARROW)
    modern(world, "tools/list")
    call(world, "read", 1, capabilities=ALL_CAPABILITIES)
    ask(world, ELICIT, FORM)
    state = last(world)["requestState"]
    put_in_force(world, CHOOSES.format("wide"))
    quiet(world)
    retry(world, state)
    assert "this call was started with a different credential" in str(last(world))
    told = [body for _question, body in world.upstreams["one"].answered]
    assert [list(body) for body in told] == [["error"]]
    assert statuses(world) == ["denied", "unavailable"]


def test_an_answer_does_not_go_to_a_server_with_another_credential_than_who_asked() -> None:
    world = waiting(asks(), NARROW)
    state = last(world)["requestState"]
    put_in_force(world, CHOOSES.format("wide"))
    quiet(world)
    world.upstreams["one"].requests.clear()
    call(world, "read", 2, requestState=state, inputResponses={"branch": ACCEPTED})
    assert "this call was started with a different credential" in str(last(world))
    assert chosen(world) == []
    assert statuses(world) == ["unavailable"]


def test_the_question_of_one_process_is_put_to_the_request_that_runs_in_it() -> None:
    world = World(
        "  - {id: read, effect: allow, tools: [read]}\n"
        "  - {id: push, effect: allow, tools: [push], credential: narrow}\n"
        "  - {id: ask, effect: allow, action: [elicitation/create]}\n"
    )
    modern(world, "tools/list")
    for request_id, name in ((1, "read"), (2, "push")):
        call(world, name, request_id, capabilities=ALL_CAPABILITIES)
    quiet(world)
    for credential, request_id in (("narrow", 2), ("", 1)):
        world.gateway.asked(world.question("one", request_id, ELICIT, FORM, None, credential))
        world.turn()
        sent = world.client.sent[-1]
        assert (sent["id"], sent["result"]["resultType"]) == (request_id, "input_required")


def test_a_source_that_issues_again_each_time_renews_nothing_and_forgets_nothing() -> None:
    class Anew(Mint):
        def lease(self) -> Lease:
            return Lease(Secret("v"), None)

    mint = Anew()
    lease = mint.lease()
    mint.refused()
    assert mint.renew(lease) is None
