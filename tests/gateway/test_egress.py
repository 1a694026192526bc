"""A credential that is held for one server goes to no other, whatever the policy says (law 3)."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.core.secret import Secret
from mcpguard.gateway.inspection.inspector import INLINE_BYTES
from mcpguard.gateway.scope import ApprovalTerms
from tests.fakes import World, text, tool
from tests.gateway.questions.parking import told
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
    offers,
    quiet,
)
from tests.rows import each

OTHERS = "tok-9f3Kq7Zx1Lm5Wb8e"
MARK = "[REDACTED:credential:env:two#1]"
OWN = "key-2b7Yt4Rv6Np0Sc3d"
ELICIT = "elicitation/create"
STRAY: dict[str, Any] = {"action": "accept", "content": {"branch": OTHERS}}


def holding(rules: str = ALLOW_ALL) -> World:
    """Server `one` and another one, each with a credential."""
    world = World(rules, {"one": [tool("read"), tool("write")], "two": [tool("read")]})
    world.redactor.hold("env:two", Secret(OTHERS))
    world.redactor.hold("env:one", Secret(OWN))
    offers(
        world, "one", prompts=[{"name": "greet"}], resourceTemplates=[{"uriTemplate": "x:{id}", "name": "x"}]
    )
    return world


def refused(world: World) -> Any:
    """What the record of the last decision says, once it is sure that nothing was sent."""
    sent = [one.invocation.method for one in world.upstreams["one"].requests]
    assert all(method.endswith("/list") for method in sent), sent
    assert OTHERS not in repr((world.client.sent, world.audit.records, world.reports))
    return world.audit.records[-1]


def calling(world: World, **arguments: Any) -> World:
    quiet(legacy(world)).send("tools/list", {}, 0)
    world.send("tools/call", {"name": "one__read", "arguments": arguments}, 1)
    return world


@each(
    "arguments",
    [
        {"query": f"use {OTHERS} please"},
        {"query": b64encode(f"user:{OTHERS}".encode()).decode()},
        {"query": OTHERS.encode().hex()},
        {"query": OTHERS[::-1]},
        {OTHERS: 1},
        {"a": [{"b": [OTHERS]}]},
        {"a": OTHERS[:9], "b": OTHERS[9:]},
        {"a": list(OTHERS)},
    ],
)
def test_the_credential_of_another_server_in_arguments_is_refused_in_every_form(arguments: Any) -> None:
    world = calling(holding(), **arguments)
    result = last(world)
    assert result["isError"]
    said = result["content"][0]["text"]
    assert "contains a credential that is not for this server, so nothing was sent" in said
    assert "two" not in said
    record = refused(world)
    assert (record.effect, record.cause, record.credentials) == ("deny", "credential", ("env:two",))
    assert "refused tools/call read (credential env:two): `mcpguard explain" in world.reports[-1]


def test_what_a_server_may_have_goes_to_it() -> None:
    world = calling(holding(), query=f"use {OWN}")
    assert world.upstreams["one"].requests[-1].invocation.args == {"query": f"use {OWN}"}
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]


def test_a_value_that_two_servers_have_goes_to_both() -> None:
    world = holding()
    world.redactor.hold("env:one", Secret(OTHERS))
    calling(world, query=OTHERS)
    assert world.audit.records[-1].effect == "allow"


def test_a_longer_value_of_its_own_with_the_credential_of_another_in_it_is_not_sent() -> None:
    world = holding()
    world.redactor.hold("env:one", Secret(f"{OTHERS}-and-more"))
    assert refused(calling(world, query=f"{OTHERS}-and-more")).credentials == ("env:two",)


def test_a_refusal_of_a_rule_comes_after_it_so_that_evidence_says_what_was_tried() -> None:
    world = calling(holding("  - {id: no, effect: deny}\n" + ALLOW_ALL), query=OTHERS)
    assert refused(world).cause == "credential"


def test_of_a_hidden_tool_it_says_nothing() -> None:
    world = calling(holding('  - {id: w, effect: allow, tools: ["write"]}\n'), query=OTHERS)
    assert last(world)["message"].startswith("Unknown tool: one__read")
    assert refused(world).cause == "credential"


def test_an_argument_that_a_rule_sets_is_searched_too() -> None:
    rules = f"  - {{id: a, effect: allow, argument: {{token: {OTHERS}}}}}\n"
    assert refused(calling(holding(rules), query="x")).cause == "credential"


@each(
    ("method", "params"),
    [
        ("prompts/get", {"name": "one__greet", "arguments": {"who": OTHERS}}),
        ("resources/read", {"uri": f"x:{OTHERS}"}),
        ("resources/subscribe", {"uri": f"x:{OTHERS}"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "one__greet"}, "argument": {"value": OTHERS}}),
        ("skills/list", {"kind": OTHERS}),
        ("skills/list", {"_meta": {"baggage": f"k={OTHERS}"}}),
    ],
)  # fmt: skip
def test_no_method_carries_it(method: str, params: Any) -> None:
    world = legacy(holding())
    world.send(method, params, 1)
    assert last(world)["data"]["cause"] == "credential"
    assert refused(world).credentials == ("env:two",)


def test_a_modern_subscription_does_not_carry_it() -> None:
    world = holding()
    modern(world, "subscriptions/listen", {"notifications": {"resourceSubscriptions": [f"x:{OTHERS}"]}})
    assert "credential" in [getattr(record, "cause", "") for record in world.audit.records]
    assert not [
        one for one in world.upstreams["one"].requests if one.invocation.method == "resources/subscribe"
    ]


def test_what_cannot_be_searched_to_the_end_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.core.redaction.budget.HITS", (10, 0))
    world = calling(holding(), query=f"{OWN} " * 20)
    assert "could not be searched completely for credentials" in last(world)["content"][0]["text"]
    assert refused(world).credentials == ()


def test_what_is_big_is_searched_in_a_thread_and_once() -> None:
    world = calling(holding(), query="x" * INLINE_BYTES + OTHERS)
    assert last(world)["content"][0]["text"].count("a credential that is not for this server") == 1
    assert refused(world).credentials == ("env:two",)
    seen: list[Any] = []
    world.redactor.foreign = lambda *given: seen.append(given) or ()  # type: ignore[method-assign, func-returns-value]
    world.send("tools/call", {"name": "one__read", "arguments": {"query": "x" * INLINE_BYTES}}, 2)
    assert len(seen) == 1
    assert world.audit.records[-1].effect == "allow"


# --- answers to what a server asks -----------------------------------------------------------------


def test_a_question_may_hold_it_since_that_is_redacted_on_its_way_to_the_client() -> None:
    world = legacy(holding(), ALL_CAPABILITIES)
    ask(world, ELICIT, {**FORM, "message": f"Is it {OTHERS}?"})
    assert world.client.sent[-1]["params"]["message"].endswith("Is it [REDACTED:credential:env:two#1]?")


def test_the_answer_of_a_legacy_client_to_a_legacy_server_does_not_carry_it() -> None:
    world = legacy(holding(), ALL_CAPABILITIES)
    ask(world, ELICIT, FORM)
    world.gateway.receive({"jsonrpc": "2.0", "id": "mcpguard-1", "result": STRAY})
    world.turn()
    (answered,) = world.upstreams["one"].answered
    assert "not for this server" in answered[1]["error"]["message"]
    assert OTHERS not in repr(answered)
    assert world.reports[-1].startswith("one: withheld the answer to elicitation/create (credential env:two)")
    assert refused(world).credentials == ("env:two",)


def test_the_error_of_a_legacy_client_does_not_carry_it() -> None:
    world = legacy(holding(), ALL_CAPABILITIES)
    ask(world, ELICIT, FORM)
    world.gateway.receive({"jsonrpc": "2.0", "id": "mcpguard-1", "error": {"code": 1, "message": OTHERS}})
    world.turn()
    assert OTHERS not in repr(world.upstreams["one"].answered)


def with_a_call(answer: Any = None, **more: Any) -> World:
    """A modern client has called a tool of `one`; with an `answer` that server is a modern one too."""
    world = holding()
    world.upstreams["one"].modern = answer is not None
    modern(world, "tools/list")
    quiet(world)
    call(world, "one__read", 1, **more)
    if answer is not None:
        world.answer(answer)
    return world


ASKING: dict[str, Any] = {
    "resultType": "input_required",
    "requestState": "theirs",
    "inputRequests": {"branch": {"method": ELICIT, "params": FORM}},
}


def sent_to_one(world: World) -> Any:
    return [one.invocation.params for one in world.upstreams["one"].requests]


def test_the_answer_of_a_modern_client_to_a_legacy_server_does_not_carry_it() -> None:
    world = with_a_call()
    world.gateway.asked(world.question("one", 1, ELICIT, FORM, None))
    world.turn()
    state = last(world)["requestState"]
    call(world, "one__read", 2, requestState=state, inputResponses={"question-1": STRAY})
    assert "not for this server" in told(world)[0]["error"]["message"]
    assert OTHERS not in repr(told(world))


def test_the_answer_of_a_modern_client_to_a_modern_server_does_not_carry_it() -> None:
    world = with_a_call(ASKING)
    more = {"requestState": last(world)["requestState"]}
    call(world, "one__read", 2, inputResponses={"branch": STRAY}, **more)
    assert sent_to_one(world)[-1]["inputResponses"] == {}
    call(world, "one__read", 3, inputResponses={"branch": ACCEPTED}, **more)
    assert sent_to_one(world)[-1]["inputResponses"] == {"branch": ACCEPTED}


def test_an_answer_that_comes_before_the_question_does_not_carry_it() -> None:
    world = with_a_call(ASKING, inputResponses={"branch": STRAY})
    assert "not for this server" in last(world)["message"]
    assert OTHERS not in repr(sent_to_one(world))


HALVES = {
    key: {"action": "accept", "content": {"x": half}} for key, half in (("a", OTHERS[:9]), ("b", OTHERS[9:]))
}
ASKING_TWICE: dict[str, Any] = {
    "resultType": "input_required",
    "requestState": "theirs",
    "inputRequests": {key: {"method": ELICIT, "params": FORM} for key in HALVES},
}


def test_two_answers_to_a_modern_server_do_not_carry_it_between_them() -> None:
    world = with_a_call(ASKING_TWICE)
    more = {"requestState": last(world)["requestState"]}
    call(world, "one__read", 2, inputResponses=HALVES, **more)
    assert sent_to_one(world)[-1]["inputResponses"] == {}
    call(world, "one__read", 3, inputResponses={"a": ACCEPTED, "b": HALVES["b"]}, **more)
    assert sent_to_one(world)[-1]["inputResponses"] == {"a": ACCEPTED, "b": HALVES["b"]}


def test_two_answers_that_come_before_the_questions_do_not_carry_it_between_them() -> None:
    world = with_a_call(ASKING_TWICE, inputResponses=HALVES)
    assert "not for this server" in last(world)["message"]
    assert OTHERS[9:] not in repr(sent_to_one(world))


def test_two_answers_to_a_legacy_server_do_not_carry_it_between_them() -> None:
    world = with_a_call()
    for n in (1, 2, 3):  # The first is put alone.
        world.gateway.asked(world.question("one", n, ELICIT, FORM, None))
    world.turn()
    first = {"question-1": ACCEPTED}
    call(world, "one__read", 2, requestState=last(world)["requestState"], inputResponses=first)
    both = dict(zip(("question-1", "question-2"), HALVES.values(), strict=True))
    call(world, "one__read", 3, requestState=last(world)["requestState"], inputResponses=both)
    assert ["error" in body for body in told(world)] == [False, True, True]
    assert OTHERS[9:] not in repr(told(world))


def test_two_answers_of_a_legacy_client_do_not_carry_it_between_them() -> None:
    world = holding()
    world.upstreams["one"].modern = True
    legacy(world, ALL_CAPABILITIES).send("tools/list", {}, 0)
    quiet(world)
    world.send("tools/call", {"name": "one__read", "arguments": {}}, 1)
    world.answer(ASKING_TWICE)
    for number, half in enumerate(HALVES.values(), 1):
        world.gateway.receive({"jsonrpc": "2.0", "id": f"mcpguard-{number}", "result": half})
        world.turn()
    assert "not for this server" in last(world)["message"]
    assert OTHERS[9:] not in repr(sent_to_one(world))


def test_an_answer_that_is_big_is_searched_in_a_thread() -> None:
    world = with_a_call(ASKING)
    more = {"requestState": last(world)["requestState"]}
    big = {"action": "accept", "content": {"branch": "x" * 8 * INLINE_BYTES + OTHERS}}
    call(world, "one__read", 2, inputResponses={"branch": big}, **more)
    assert sent_to_one(world)[-1]["inputResponses"] == {}


# --- placeholders of ours ----------------------------------------------------------------------------


@each(
    ("method", "params"),
    [
        ("tools/call", {"name": "one__read", "arguments": {"edits": [{MARK: MARK}]}}),
        ("prompts/get", {"name": "one__greet", "arguments": {"who": MARK}}),
        ("resources/read", {"uri": f"x:{quote(MARK)}"}),
        ("resources/subscribe", {"uri": f"x:{quote(MARK)}"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "one__greet"}, "argument": {"value": MARK}}),
        ("skills/list", {"kind": MARK}),
    ],
)  # fmt: skip
def test_a_placeholder_of_ours_is_not_sent(method: str, params: Any) -> None:
    world = quiet(legacy(holding()))
    world.send("tools/list", {}, 0)
    world.send(method, params, 1)
    answer = last(world)
    said = answer["content"][0]["text"] if "content" in answer else answer["message"]
    assert said.startswith(
        "Refused by mcpguard: this contains [REDACTED:...] or [U+...], which mcpguard wrote"
    )
    record = refused(world)
    assert (record.effect, record.cause, record.rules) == ("deny", "placeholder", ())


def test_a_rule_may_let_a_placeholder_through() -> None:
    world = calling(holding("  - {id: a, effect: allow, placeholders: true}\n"), query=MARK)
    assert world.upstreams["one"].requests[-1].invocation.args == {"query": MARK}


# --- what changes while a call waits -----------------------------------------------------------------


def test_a_call_that_a_person_approves_is_searched_for_what_came_to_be_held_meanwhile() -> None:
    rules = "  - {id: r, effect: ask, tools: ['*']}\n"
    world = World(rules, {"one": [tool("read")], "two": []}, approvals=ApprovalTerms(60.0, 600.0))
    world.redactor.hold("env:two", Secret(OTHERS))
    legacy(world).send("tools/list", {}, 0)
    world.clock.slow = True
    late = "pw-8dR2mQ5sXk1Zt7Gv"
    world.send("tools/call", {"name": "one__read", "arguments": {"query": late}}, 1)
    world.redactor.hold("env:three", Secret(late))
    (ticket,) = world.store.tickets
    assert world.store.answer(ticket, TicketAnswer("approved", "os-user:ada", "terminal"))
    world.clock.ring()
    world.turn()
    assert "contains a credential that is not for this server" in last(world)["content"][0]["text"]
    assert refused(world).credentials == ("env:three",)
