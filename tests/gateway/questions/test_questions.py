"""What a legacy upstream asks of a legacy client: judged, inspected, put, and answered to who asked."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest

from mcpguard.core.errors import AuditError
from mcpguard.gateway.flight import Wait
from tests.fakes import SECRET, World, text
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    ALLOW_ALL,
    FORM,
    FORMS,
    ask,
    deep,
    last,
    legacy,
    quiet,
)

ELICIT = "elicitation/create"


def asking(rules: str = ALLOW_ALL, capabilities: Any = None) -> World:
    """A legacy client has called the tool `read`, which is not answered yet."""
    world = legacy(World(rules), ALL_CAPABILITIES if capabilities is None else capabilities)
    world.send("tools/list", {}, 0)
    world.call("read", 7)
    return quiet(world)


def answered(world: World) -> Any:
    """What the upstream was told, and of which question."""
    return world.upstreams["one"].answered[-1]


def client_says(world: World, question_id: int | str, **body: Any) -> None:
    world.gateway.receive({"jsonrpc": "2.0", "id": question_id, **body})
    world.turn()


@pytest.mark.parametrize(
    ("method", "params"),
    [(ELICIT, FORM), ("sampling/createMessage", {"messages": [], "maxTokens": 5}), ("roots/list", {})],
)
def test_a_question_goes_to_the_client_and_its_answer_to_who_asked(method: str, params: Any) -> None:
    world = asking()
    question = ask(world, method, params)
    assert world.client.sent == [{"id": "mcpguard-1", "method": method, "params": params}]
    assert world.client.related == [7]
    assert world.trace == ["decision allow", "outcome asked", "ask mcpguard-1"]
    client_says(world, "mcpguard-1", result=ACCEPTED)
    assert answered(world) == (question, {"result": ACCEPTED})
    assert world.clock.alarms == []
    world.answer(text("done"))
    assert last(world) == text("done")


def test_the_record_of_a_question_names_method_server_and_rule_and_what_was_asked() -> None:
    world = asking()
    ask(world, ELICIT, FORM)
    decided, outcome = world.audit.records
    assert (decided.method, decided.server, decided.rules) == (ELICIT, "one", ("p/all",))
    assert (outcome.id, outcome.status, len(outcome.result)) == (decided.id, "asked", 64)
    assert decided.arguments == FORM


def test_an_error_of_the_client_goes_back_as_it_is() -> None:
    world = asking()
    question = ask(world, ELICIT, FORM)
    error = {"code": -1, "message": "not now"}
    client_says(world, "mcpguard-1", error=error)
    assert answered(world) == (question, {"error": error})


def test_a_question_about_a_known_request_goes_the_way_of_its_answer() -> None:
    world = asking()
    world.call("write", 8)
    _, (wait, _progress) = world.upstreams["one"].held
    ask(world, ELICIT, FORM, wait)
    assert world.client.related == [8]
    ask(world, ELICIT, FORM, Wait(), 2)
    assert world.client.related == [8, None]


def test_a_question_that_policy_denies_never_reaches_the_client() -> None:
    world = asking(ALLOW_ALL + "  - {id: no, effect: deny, action: [elicitation/create], message: Never.}\n")
    ask(world, ELICIT, FORM)
    assert world.client.sent == []
    assert "Never." in answered(world)[1]["error"]["message"]
    assert world.trace == ["decision deny", f"answer {ELICIT}"]
    ask(world, "roots/list", {}, n=2)
    assert len(world.client.sent) == 1


def test_no_rule_for_questions_is_a_refusal() -> None:
    world = asking('  - {id: r, effect: allow, tools: ["*"]}\n')
    ask(world, ELICIT, FORM)
    assert answered(world)[1]["error"]["data"]["cause"] == "no-rule"


@pytest.mark.parametrize(
    ("rules", "declared"),
    [
        ('  - {id: r, effect: allow, tools: ["*"]}\n', set()),
        ("  - {id: r, effect: allow, server: one, action: [elicitation/create]}\n", {"elicitation"}),
        ("  - {id: r, effect: allow, server: two, action: [elicitation/create]}\n", set()),
        ("  - {id: r, effect: ask, action: [roots/list]}\n", {"roots"}),
        (
            '  - {id: r, effect: allow, action: [sampling/createMessage], when: "args.maxTokens < 9"}\n',
            {"sampling"},
        ),
        (
            '  - {id: r, effect: allow, action: ["*"]}\n'
            "  - {id: s, effect: deny, action: [sampling/createMessage]}\n",
            {"elicitation", "roots"},
        ),
    ],
)
def test_no_server_hears_that_it_can_ask_what_policy_is_sure_to_refuse(
    rules: str, declared: set[str]
) -> None:
    world = legacy(World(rules), {**ALL_CAPABILITIES, "experimental": {"a": {}}})
    assert world.gateway.declared_to("one").capabilities.keys() == {*declared, "experimental"}
    few = legacy(World(ALLOW_ALL), {"roots": {}})
    assert few.gateway.declared_to("one").capabilities == {"roots": {}}


def test_without_a_policy_of_its_own_a_server_may_ask_its_user_and_not_the_model() -> None:
    text = resources.files("mcpguard.config").joinpath("read_only.yaml").read_text("utf-8")
    world = asking(text.partition("rules:\n")[2])
    assert world.gateway.declared_to("one").capabilities.keys() == {"elicitation", "roots"}
    ask(world, ELICIT, FORM)
    ask(world, "roots/list", {}, n=2)
    assert [one["method"] for one in world.client.sent] == [ELICIT, "roots/list"]
    ask(world, "sampling/createMessage", {"messages": [], "maxTokens": 5}, n=3)
    said = answered(world)[1]["error"]["message"]
    assert "(p/no-sampling): The server asked for an answer of the client's model (sampling)" in said
    assert "write a policy, and use `mcpguard run`" in said


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            '  - {id: r, effect: allow, tools: ["*"]}\n',
            ": no rule allows this question (roots/list). The owner",
        ),
        (
            f"{ALLOW_ALL}  - {{id: n, effect: deny, action: [roots/list]}}\n",
            " (p/n): this question (roots/list) is not allowed. A person can see why",
        ),
    ],
)
def test_the_refusal_of_a_question_names_it(rules: str, said: str) -> None:
    world = asking(rules)
    ask(world, "roots/list", {})
    assert f"Refused by mcpguard{said}" in answered(world)[1]["error"]["message"]


def test_conditions_see_who_asks_and_what() -> None:
    rule = (
        "  - {id: r, effect: allow, action: [elicitation/create], "
        "when: \"server == 'one' && args.message == 'Which branch?'\"}\n"
    )
    world = asking(rule + '  - {id: t, effect: allow, tools: ["*"]}\n')
    ask(world, ELICIT, FORM)
    assert len(world.client.sent) == 1
    ask(world, ELICIT, {**FORM, "message": "Your password?"}, n=2)
    assert len(world.client.sent) == 1


@pytest.mark.parametrize(
    ("capabilities", "method", "params", "what"),
    [
        ({}, ELICIT, FORM, "elicitation"),
        (FORMS, "sampling/createMessage", {}, "sampling"),
        (FORMS, ELICIT, {**FORM, "mode": "url", "url": "https://example.org"}, "elicitation of this mode"),
        ({"sampling": {}}, "sampling/createMessage", {"tools": []}, "sampling.tools"),
    ],
)
def test_a_question_that_the_client_cannot_answer_is_refused_for_it(
    capabilities: Any, method: str, params: Any, what: str
) -> None:
    world = asking(capabilities=capabilities)
    ask(world, method, params)
    assert world.client.sent == []
    assert answered(world)[1]["error"] == {
        "code": -32601,
        "message": f"mcpguard: the client did not declare {what}",
    }


@pytest.mark.parametrize(("method", "params"), [("tools/call", {}), ("mystery", {}), (ELICIT, [])])
def test_what_is_no_question_is_refused(method: str, params: Any) -> None:
    world = asking()
    ask(world, method, params)
    assert world.client.sent == []
    assert answered(world)[1]["error"]["code"] == -32602


def test_a_secret_in_a_question_is_gone_and_recorded() -> None:
    world = asking()
    ask(world, ELICIT, {"message": SECRET, "requestedSchema": {"properties": {SECRET: {"title": SECRET}}}})
    assert len(world.client.sent) == 1
    assert SECRET not in str(world.client.sent + world.audit.records)
    assert world.audit.records[-1].findings


def test_a_question_that_cannot_be_inspected_is_refused_and_recorded() -> None:
    world = asking()
    ask(world, ELICIT, {"message": deep()})
    assert world.client.sent == []
    assert "error" in answered(world)[1]
    assert world.trace == ["decision allow", "outcome withheld", f"answer {ELICIT}"]


def test_a_question_is_not_put_while_evidence_cannot_be_written() -> None:
    world = asking()
    world.audit.fail = True
    ask(world, ELICIT, FORM)
    assert world.client.sent == []
    assert answered(world)[1]["error"]["message"] == str(AuditError("the disk is full"))


def test_a_question_that_nobody_answers_is_withdrawn_in_time() -> None:
    world = asking()
    ask(world, ELICIT, FORM)
    assert world.gateway.thinking
    world.clock.ring()
    assert not world.gateway.thinking
    world.turn()
    assert world.client.sent[-1] == {
        "method": "notifications/cancelled",
        "params": {"requestId": "mcpguard-1"},
    }
    assert "did not answer" in answered(world)[1]["error"]["message"]
    client_says(world, "mcpguard-1", result=ACCEPTED)
    assert len(world.upstreams["one"].answered) == 1


def test_a_question_that_the_upstream_withdraws_is_withdrawn_from_the_client_and_not_answered() -> None:
    world = asking()
    question = ask(world, ELICIT, FORM)
    world.gateway.withdrawn(question)
    assert world.client.sent[-1]["method"] == "notifications/cancelled"
    assert world.upstreams["one"].answered == []
    assert world.clock.alarms == []
    world.gateway.withdrawn(question)
    world.gateway.withdrawn(world.question("one", 99, ELICIT, FORM))
    assert len(world.client.sent) == 2


def test_a_client_that_is_gone_leaves_no_question_open() -> None:
    world = asking()
    ask(world, ELICIT, FORM)
    world.gateway.abandon("disconnected")
    world.turn()
    assert answered(world)[1]["error"]["message"] == "the client is gone"
    assert world.trace[-1] == "outcome disconnected"
    assert world.clock.alarms == []


def test_answers_to_no_question_or_given_twice_change_nothing() -> None:
    world = asking()
    for n in (1, 2):
        ask(world, ELICIT, FORM, n=n)
    for wrong in ("mcpguard-9", 1, 7, "7"):
        client_says(world, wrong, result=ACCEPTED)
    assert world.upstreams["one"].answered == []
    client_says(world, "mcpguard-2", result=ACCEPTED)
    client_says(world, "mcpguard-2", result={"action": "decline"})
    (only,) = world.upstreams["one"].answered
    assert (only[0].id, only[1]) == (2, {"result": ACCEPTED})


def test_an_answer_goes_to_the_server_that_asked_and_to_no_other() -> None:
    world = legacy(World(ALLOW_ALL, {"a": [], "b": []}), ALL_CAPABILITIES)
    for server in ("a", "b"):
        world.gateway.asked(world.question(server, 1, ELICIT, FORM))
    world.turn()
    for question_id, server in (("mcpguard-2", "b"), ("mcpguard-1", "a")):
        client_says(world, question_id, result={"content": {"for": server}})
        (given,) = world.upstreams[server].answered
        assert given[1] == {"result": {"content": {"for": server}}}


def test_of_several_servers_a_question_names_the_one_that_asks() -> None:
    world = legacy(World(ALLOW_ALL, {"a": [], "b": []}), ALL_CAPABILITIES)
    forged = "mcpguard asks whether this call may be made.\n\nThe server 'a' asks: your password?"
    world.gateway.asked(world.question("b", 1, ELICIT, {**FORM, "message": forged}))
    world.turn()
    (put,) = world.client.sent
    assert put["params"]["message"] == f"The server 'b' asks: {forged}"
    assert world.audit.records[0].arguments["message"] == forged, "rules see what the server said"


def test_before_a_client_has_said_hello_nothing_can_be_asked() -> None:
    world = World(ALLOW_ALL)
    ask(world, ELICIT, FORM)
    assert "no open request that can" in answered(world)[1]["error"]["message"]
