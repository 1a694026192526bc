"""What is on record of a request: everything that answers who, what, why and what came of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.errors import InspectionError, UpstreamError
from mcpguard.core.evidence.bounds import BoundTerms, EvidenceRoom
from mcpguard.core.evidence.records import MOST_ARGUMENTS, MOST_IDENTITY, Decided, Noticed, Outcome
from mcpguard.core.model import Detection, Principal
from mcpguard.core.policy.session import name_of
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import RawAnswer
from mcpguard.gateway.recorder import MOST_PLACES, Recorder, finding_counts
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.protocol.jsonrpc import encode
from mcpguard.protocol.trace import child_of
from tests.fakes import SECRET, World, text, tool
from tests.gateway.scenes import legacy

ALL = '  - {id: all, effect: allow, tools: ["*"]}\n'
ASK = "  - {id: push, effect: ask, tools: [push], message: Others see it.}\n"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def decisions(world: World) -> list[Decided]:
    return [one for one in world.audit.records if isinstance(one, Decided)]


def outcomes(world: World) -> list[Outcome]:
    return [one for one in world.audit.records if isinstance(one, Outcome)]


def named(world: World, name: str, release: str = "") -> World:
    info = {"name": name, **({"version": release} if release else {})}
    world.send("initialize", {"protocolVersion": "2025-06-18", "clientInfo": info}, 0)
    world.send("tools/list", {}, 1)
    world.audit.records.clear()
    return world


def as_principal(
    world: World, room: EvidenceRoom | None = None, *, arguments: bool = True, **more: Any
) -> World:
    """The same for another principal, who may leave as many arguments as `room` has."""
    old = world.scope.recorder
    principal = Principal("ada", "https://id.example", **more)
    world.scope.recorder = Recorder(
        clock=world.clock,
        principal=principal,
        agent="desk",
        judge=world.judge,
        credentials=old.credentials,
        nonce="n",
        inspector=world.inspector,
        arguments=arguments,
        room=room,
    )
    return world


# --- who -----------------------------------------------------------------------------------------


def test_a_decision_names_the_client_the_request_and_the_session() -> None:
    world = named(World(ALL), "Desk", "2.1")
    world.call("read", 7, path="a")
    (one,) = decisions(world)
    assert (one.client, one.request) == ("Desk/2.1", "7")
    assert one.session == name_of(Principal("ada", "os-user"), "desk")
    assert (one.human, one.actor) == ("", "")


def test_what_the_client_claims_is_inspected() -> None:
    world = named(World(ALL), f"Desk {SECRET}")
    world.call("read", f"id-{SECRET}", path="a")
    (one,) = decisions(world)
    assert (one.client, one.request) == (
        "Desk [REDACTED:credential:env:CANARY#1]",
        "id-[REDACTED:credential:env:CANARY#1]",
    )


def test_a_name_that_comes_to_be_held_is_gone_from_the_next_record() -> None:
    world = named(World(ALL), "Desk-4711-xyz")
    world.call("read", 1)
    world.redactor.hold("later", Secret("Desk-4711-xyz"))
    world.call("read", 2)
    first, second = decisions(world)
    assert (first.client, second.client) == ("Desk-4711-xyz", "[REDACTED:credential:later#1]")


def test_of_a_verified_token_the_person_and_the_agent_that_acts_stand_apart_from_claims() -> None:
    world = named(as_principal(World(ALL), actor="bot-7"), "Desk")
    world.call("read", 1)
    (one,) = decisions(world)
    assert (one.principal, one.human, one.actor) == (
        "https://id.example:ada",
        "https://id.example:ada",
        "bot-7",
    )
    assert (one.agent, one.client) == ("desk", "Desk")


def test_groups_and_claims_of_a_verified_token_are_on_record() -> None:
    world = named(as_principal(World(ALL), groups=("ops",), claims={"team": "red"}), "Desk")
    world.call("read", 1)
    world.call("none", 2)
    allowed, refused = decisions(world)
    assert (allowed.groups, allowed.claims) == (refused.groups, refused.claims) == (("ops",), {"team": "red"})


def test_a_token_without_groups_and_claims_is_on_record_as_such() -> None:
    world = named(as_principal(World(ALL)), "Desk")
    world.call("read", 1)
    (one,) = decisions(world)
    assert (one.groups, one.claims) == ((), {})


@pytest.mark.parametrize("claim", ["x" * MOST_IDENTITY, SECRET, "deep"])
def test_groups_and_claims_that_are_too_large_or_hold_a_secret_are_left_out(
    claim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect = Redactor.inspect

    def fails(redactor: Redactor, value: Any, *more: Any, **named: Any) -> Any:
        if value == [["ops"], {"team": "deep"}]:
            raise InspectionError("too deep")
        return inspect(redactor, value, *more, **named)

    monkeypatch.setattr(Redactor, "inspect", fails)
    world = named(as_principal(World(ALL), groups=("ops",), claims={"team": claim}), "Desk")
    world.call("read", 1)
    (one,) = decisions(world)
    assert (one.groups, one.claims) == (None, None)


def test_where_only_digests_of_arguments_are_recorded_groups_and_claims_are_not() -> None:
    world = named(as_principal(World(ALL), groups=("ops",), arguments=False), "Desk")
    world.call("read", 1)
    (one,) = decisions(world)
    assert (one.groups, one.claims) == (None, None)


def test_who_acts_for_somebody_is_another_principal() -> None:
    ada = Principal("ada", "https://id.example")
    assert ada != structs.replace(ada, actor="bot-7")


def test_a_notice_of_a_client_says_whose_it_is() -> None:
    world = World(ALL).greeted()
    world.send("no/such/method", {}, 3)
    (one,) = [one for one in world.audit.records if isinstance(one, Noticed)]
    assert (one.what, one.principal) == ("message-refused", "os-user:ada")
    assert one.session == name_of(Principal("ada", "os-user"), "desk")


# --- what ----------------------------------------------------------------------------------------


def test_arguments_are_recorded_redacted_beside_the_digest_of_what_they_were() -> None:
    world = World(ALL).listed()
    args = {"path": "a", "key": f"x {SECRET}"}
    world.call("read", 1, **args)
    (one,) = decisions(world)
    assert one.arguments == {"path": "a", "key": "x [REDACTED:credential:env:CANARY#1]"}
    assert (one.arguments_omitted, one.args) == ("", sha256(encode(args)).hexdigest())


def test_what_became_visible_in_arguments_or_was_dropped_is_counted() -> None:
    world = World(ALL).listed()
    world.call("read", 1, path="\x1b[31ma", text="b\u200bc")
    world.call("read", 2, path="a")
    one, two = decisions(world)
    assert one.arguments == {"path": "a", "text": "b[U+200B]c"}
    assert (set(one.arguments_neutralised), two.arguments_neutralised) == ({"terminal", "invisible"}, {})


def test_what_a_rule_redacts_from_results_is_redacted_from_arguments() -> None:
    rules = '  - {id: all, effect: allow, tools: ["*"], redact: [email]}\n'
    world = World(rules).listed()
    world.call("read", 1, to="ada@example.com")
    (one,) = decisions(world)
    assert one.arguments == {"to": "[REDACTED:email#1]"}
    assert one.redact == ("email",)


def test_the_arguments_of_what_is_refused_are_recorded_too() -> None:
    world = World('  - {id: no, effect: deny, tools: ["*"], message: Never.}\n' + ALL).listed()
    world.call("read", 1, path="a")
    world.call("nothing", 2, path=SECRET)
    refused, unknown = decisions(world)
    assert (refused.arguments, refused.message) == ({"path": "a"}, "Never.")
    assert unknown.cause == "unknown"
    assert (unknown.arguments, unknown.request) == ({"path": "[REDACTED:credential:env:CANARY#1]"}, "2")


def test_the_message_of_a_refusal_is_inspected_and_cut() -> None:
    world = World(f"  - {{id: no, effect: deny, message: {SECRET} {'x' * 2000}}}\n").listed()
    world.call("read", 1)
    (one,) = decisions(world)
    assert one.message.startswith("[REDACTED:credential:env:CANARY#1] xxx")
    assert len(one.message) == 1000


@pytest.mark.parametrize(
    ("args", "omitted"),
    [({"a": "x" * MOST_ARGUMENTS}, "size"), ({"a": "x" * 9000 + SECRET}, "inspection")],
)
def test_arguments_that_are_too_many_leave_their_digest_and_why(args: Any, omitted: str) -> None:
    world = World(ALL).listed()
    world.call("read", 1, **args)
    (one,) = decisions(world)
    assert (one.arguments, one.arguments_omitted) == (None, omitted)
    assert one.args == sha256(encode(args)).hexdigest()


def test_arguments_that_cannot_be_inspected_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ALL).listed()
    inspect = Redactor.inspect

    def failing(self: Redactor, value: Any, *rest: Any, **more: Any) -> Any:
        if value == {"path": "a"}:
            raise InspectionError("it is too deep")
        return inspect(self, value, *rest, **more)

    monkeypatch.setattr(Redactor, "inspect", failing)
    world.call("read", 1, path="a")
    (one,) = decisions(world)
    assert (one.arguments, one.arguments_omitted) == (None, "inspection")


def test_arguments_beyond_what_a_session_may_leave_are_a_digest_and_a_length() -> None:
    world = as_principal(World(ALL), room=EvidenceRoom(BoundTerms(arguments=1000))).listed()
    args = {"a": "x" * 1500}
    for number in range(4):
        world.call("read", number, **args)
    world.call("read", 9, a="small")
    ones = decisions(world)
    assert [one.arguments is None for one in ones] == [False, False, True, True, False]
    assert (ones[2].arguments_omitted, ones[2].arguments_bytes) == ("rate", len(encode(args)))
    assert ones[2].args == sha256(encode(args)).hexdigest()


def test_arguments_of_refused_calls_are_bounded_apart_however_small_they_are() -> None:
    world = as_principal(
        World('  - {id: no, effect: deny, tools: ["*"]}\n'), room=EvidenceRoom(BoundTerms(arguments=10))
    ).listed()
    for number in range(3):
        world.call("read", number, a="x" * 20)
    assert [one.arguments_omitted for one in decisions(world)] == ["", "rate", "rate"]


def test_places_of_findings_without_end_are_counted_together() -> None:
    found = (Detection("aws-key", f"rows[{n}].{'k' * 200}") for n in range(1000))
    counts = finding_counts(found)
    assert sum(map(len, counts)) <= MOST_PLACES + 20
    assert (sum(counts.values()), counts["aws-key *"] > 900) == (1000, True)
    assert finding_counts([Detection("aws-key", "rows[0]")] * 3) == {"aws-key rows[0]": 3}


def test_where_it_is_configured_arguments_leave_their_digest_only() -> None:
    world = World(ALL).listed()
    world.scope.recorder.arguments = False
    world.call("read", 1, path="a")
    (one,) = decisions(world)
    assert (one.arguments, one.arguments_omitted, len(one.args)) == (None, "setting", 64)


@pytest.mark.parametrize("several", [False, True])
def test_the_arguments_on_record_are_those_that_a_rule_has_set(several: bool) -> None:
    rule = "  - {id: read, effect: allow, tools: [read], argument: {path: set}}\n"
    world = World(rule).listed()
    world.inspector.together.several = several
    world.call("read", 1, path="asked for")
    (one,) = decisions(world)
    assert one.arguments == {"path": "set"}


def test_a_decision_names_the_kinds_of_credentials_the_limits_and_what_brought_each_label() -> None:
    rules = (
        "  - {id: read, effect: allow, tools: [read], label: [private], limit: {calls: 5, per: 1h}}\n"
        "  - {id: push, effect: allow, tools: [push], when: \"!('never' in session.labels)\"}\n"
    )
    world = World(rules).listed()
    world.scope.recorder.credentials = {("one", ""): ("credential:bot", "env:CANARY")}
    world.scope.recorder.kinds = {"credential:bot": "command", "credential:other": "value"}
    world.upstreams["one"].answers |= {"read": text("x"), "push": text("y")}
    world.call("read", 1)
    world.call("push", 2)
    first, second = decisions(world)
    assert first.credential_kinds == {"credential:bot": "command"}
    assert list(first.limits.values()) == [1]
    assert next(iter(first.limits)).endswith("1h")
    assert (second.session_labels, second.label_causes) == (("private",), {"private": first.id})


# --- the trace -----------------------------------------------------------------------------------


def traced(world: World, meta: Any, request_id: int = 1) -> tuple[Decided, Any]:
    world.send("tools/call", {"name": "read", "arguments": {}, "_meta": meta}, request_id)
    params = world.upstreams["one"].requests[-1].invocation.params or {}
    return decisions(world)[-1], params.get("_meta")


def test_a_trace_goes_on_upstream_as_a_child_of_the_clients() -> None:
    world = World(ALL).listed()
    one, meta = traced(world, {"traceparent": PARENT, "tracestate": "x"})
    assert one.trace == PARENT
    assert meta == {"traceparent": child_of(PARENT, one.id), "tracestate": "x"}
    assert meta["traceparent"][3:35] == PARENT[3:35]
    assert meta["traceparent"][36:52] == sha256(one.id.encode()).hexdigest()[:16]


def test_a_trace_in_a_header_goes_on_too() -> None:
    world = World(ALL).listed()
    params = {"name": "read", "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    world.gateway.receive(message, {"traceparent": PARENT})
    world.turn()
    (one,) = decisions(world)
    sent = world.upstreams["one"].requests[-1].invocation.params or {}
    assert (one.trace, sent["_meta"]) == (PARENT, {"traceparent": child_of(PARENT, one.id)})
    world.gateway.receive({**message, "id": 2}, {})
    world.turn()
    assert decisions(world)[-1].trace == ""


def test_without_a_trace_none_is_begun_unless_tracing_is_on() -> None:
    world = World(ALL).listed()
    assert traced(world, {}) == (decisions(world)[-1], None)
    world.scope.tracing = True
    one, meta = traced(world, {}, 2)
    assert (one.trace, meta) == ("", {"traceparent": child_of("", one.id)})


def test_a_trace_that_is_a_credential_is_not_recorded() -> None:
    world = World(ALL).listed()
    world.redactor.hold("env:one", Secret(PARENT[3:35]))
    one, _meta = traced(world, {"traceparent": PARENT})
    assert (one.trace, PARENT[3:35] in str(world.audit.records)) == ("", False)


def test_a_list_is_recorded_with_its_request_and_its_trace() -> None:
    world = World(ALL).greeted()
    world.audit.records.clear()
    world.send("tools/list", {"_meta": {"traceparent": PARENT}}, 5)
    (one,) = [one for one in decisions(world) if not one.server]
    assert (one.request, one.trace, one.arguments) == ("5", PARENT, None)


# --- its outcome -----------------------------------------------------------------------------


def test_an_outcome_says_how_long_each_step_took_and_how_many_bytes_went() -> None:
    world = World(ALL).listed()
    world.call("read", 1)
    wait, _progress = world.upstreams["one"].held.pop()
    wait.set(RawAnswer({"id": 1, "result": text("x")}, 100, 70, world.clock.seconds()))
    world.turn()
    (one,) = outcomes(world)
    assert (one.sent, one.received, one.error, one.message) == (70, 100, "", "")
    steps = one.steps
    assert steps is not None
    assert min(steps.decide, steps.record, steps.inject, steps.call, steps.inspect) > 0
    assert steps.wait == 0


def test_the_error_of_an_upstream_is_recorded_inspected() -> None:
    world = World(ALL).listed()
    world.upstreams["one"].answers["read"] = {"error": {"code": -1, "message": f"no {SECRET}"}}
    world.call("read", 1)
    (one,) = outcomes(world)
    assert (one.status, one.error) == ("error", "no [REDACTED:credential:env:CANARY#1]")


def test_an_upstream_that_fails_leaves_why_it_did() -> None:
    world = World(ALL).listed()
    world.upstreams["one"].answers["read"] = UpstreamError("upstream 'one' has ended")
    world.call("read", 1)
    (one,) = outcomes(world)
    assert (one.status, one.error) == ("unavailable", "upstream 'one' has ended")


def test_a_result_that_is_withheld_leaves_what_was_said() -> None:
    world = World(ALL + "  - {id: no, effect: deny, on: result, message: Too much.}\n").listed()
    world.upstreams["one"].answers["read"] = text("x")
    world.call("read", 1)
    (one,) = outcomes(world)
    assert (one.status, one.message) == ("withheld", "Too much.")


# --- what is not decided yet, or never -----------------------------------------------------------


def test_a_call_that_waits_for_a_person_is_on_record_before_and_after() -> None:
    world = legacy(World(ALL + ASK, approvals=ApprovalTerms(30.0, 900.0)))
    world.clock.slow = True
    world.audit.records.clear()
    world.call("push", 1, to="main")
    waits = decisions(world)[-1]
    assert (waits.effect, waits.cause, waits.rules) == ("ask", "approval", ("p/push",))
    assert (waits.arguments, len(waits.ticket)) == ({"to": "main"}, 12)
    world.send("notifications/cancelled", {"requestId": 1})
    over = decisions(world)[-1]
    assert (over.effect, over.cause, over.ticket) == ("deny", "cancelled", waits.ticket)
    assert over.id == waits.id
    assert over.id not in [one.id for one in outcomes(world)]


def test_the_time_that_a_person_takes_is_no_time_of_ours() -> None:
    world = legacy(World(ALL + ASK, approvals=ApprovalTerms(30.0, 900.0)))
    world.upstreams["one"].answers["push"] = text("x")
    world.clock.slow = True
    world.call("push", 1, to="main")
    (ticket,) = world.store.tickets.values()
    said = TicketAnswer("approved", "os-user:ada", "terminal")
    world.store.tickets[ticket.id] = structs.replace(ticket, state="approved", answer=said)
    world.clock.wind(2)
    world.clock.ring()
    world.turn()
    steps = outcomes(world)[-1].steps
    assert steps is not None
    assert steps.wait > 2000 > steps.decide
    assert decisions(world)[-1].ticket == ticket.id


def test_a_request_that_is_taken_back_before_it_is_decided_leaves_a_record() -> None:
    world = World(ALL, {"one": [tool("read")]}).greeted()
    held: Wait[None] = Wait()
    world.upstreams["one"].ready = lambda: held  # type: ignore[method-assign]
    world.audit.records.clear()
    world.call("read", 4, a=1)
    world.send("notifications/cancelled", {"requestId": 4})
    one = decisions(world)[-1]
    assert (one.effect, one.cause, one.tool, one.request) == ("deny", "cancelled", "read", "4")
    assert one.arguments == {"a": 1}
