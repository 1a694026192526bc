"""A server whose policies are only observed: what they refuse goes on with evidence, and only there, until its day
is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from mcpguard.core.evidence.records import Decided, ObservedRefusal, Outcome
from mcpguard.core.policy.pdp import NO_SESSION
from mcpguard.core.policy.session import StoredSession
from mcpguard.core.policy.terms import Observation
from mcpguard.core.secret import Secret
from mcpguard.gateway.recorder import MOST_MESSAGE
from mcpguard.gateway.scope import ApprovalTerms
from tests.fakes import SECRET, World, text, tool
from tests.gateway.questions.parking import ELICIT, parked, retry
from tests.gateway.scenes import (
    ALL_CAPABILITIES,
    FORM,
    ask,
    call,
    last,
    legacy,
    modern,
    offers,
    put_in_force,
    quiet,
)

ON = Observation(frozenset({"one"}), datetime(2026, 8, 10, tzinfo=UTC))
"""The clock begins on 2026-08-01."""
TEN_DAYS = 10 * 86_400.0
READ = "  - {id: read, effect: allow, tools: [read]}\n"
PUSH = f"{READ}  - {{id: no-push, effect: deny, tools: [push], message: Not to main.}}\n"
TOOLS = {name: [tool("read"), tool("push")] for name in ("one", "two")}
REFUSED = ObservedRefusal("rule", ("p/no-push",), "Not to main.")


def observed(rules: str = PUSH, tools: Any = TOOLS, **more: Any) -> World:
    world = World(rules, tools, **more)
    world.judge.policies = world.judge.policies.observing(ON)
    for upstream in world.upstreams.values():
        upstream.answers |= {"push": text("pushed"), "read": text("done")}
    return world.listed()


def decided(world: World) -> Decided:
    return [one for one in world.audit.records if isinstance(one, Decided)][-1]


def outcome(world: World) -> Outcome:
    return [one for one in world.audit.records if isinstance(one, Outcome)][-1]


def over(world: World) -> None:
    """Its last day passes, and nobody has noticed yet."""
    world.clock.wind(TEN_DAYS)


def test_what_policy_refuses_goes_on_and_the_record_says_what_would_have_been() -> None:
    world = observed()
    world.call("one__push")
    assert last(world) == text("pushed")
    record = decided(world)
    assert (record.effect, record.cause, record.rules, record.observed) == ("allow", "", (), REFUSED)
    assert world.trace == ["decision allow", "request push", "outcome ok", "reply 1"]
    assert world.reports == [
        f"one: would refuse tools/call push by p/no-push (p.yaml:5): `mcpguard explain {record.id}`"
    ]


def test_what_policy_allows_has_nothing_of_it_in_its_record() -> None:
    world = observed()
    world.call("one__read")
    assert decided(world).rules == ("p/read",)
    assert (decided(world).observed, outcome(world).observed, world.reports) == (None, None, [])


def test_the_same_call_of_another_server_is_refused() -> None:
    world = observed()
    world.call("two__push")
    assert last(world)["message"] == "Unknown tool: two__push"
    assert decided(world).cause == "rule"


def test_a_modern_client_gets_it_too() -> None:
    world = World(PUSH, TOOLS)
    world.judge.policies = world.judge.policies.observing(ON)
    world.upstreams["one"].answers["push"] = text("pushed")
    modern(world, "tools/list")
    call(world, "one__push")
    assert last(world)["content"] == text("pushed")["content"]
    assert decided(world).observed == REFUSED


def test_after_its_last_day_the_call_is_refused_although_nobody_has_ended_it() -> None:
    world = observed()
    over(world)
    world.call("one__push")
    assert last(world)["message"] == "Unknown tool: one__push"
    assert (decided(world).cause, decided(world).observed) == ("rule", None)


def test_lists_show_all_tools_of_the_observed_server_and_of_no_other() -> None:
    world = observed("  - {id: q, effect: ask, tools: [read]}\n")

    def names() -> list[str]:
        world.send("tools/list", {}, 9)
        return [one["name"] for one in last(world)["tools"]]

    assert names() == ["one__read", "one__push", "two__read"]
    by_name = {one["name"]: one["description"] for one in last(world)["tools"]}
    assert "approve" not in by_name["one__read"]
    assert "approve" in by_name["two__read"]
    over(world)
    assert names() == ["one__read", "two__read"]


def ended(world: World) -> None:
    """As the serving process does when the last day is over."""
    policies = world.judge.policies
    world.judge.policies = policies.observing(None)
    later = structs.replace(ON, end=world.clock.now() + timedelta(days=1))
    world.gateway.policies_changed(policies.observing(later))
    world.turn()


def test_a_client_hears_that_other_tools_are_listed_once_it_is_over() -> None:
    world = quiet(observed())
    over(world)
    ended(world)
    assert [one["method"] for one in world.client.sent] == ["notifications/tools/list_changed"]
    quiet(world)
    put_in_force(world, PUSH)
    assert world.client.sent == []


def test_nobody_is_asked_about_a_call_that_needs_an_approval() -> None:
    world = observed(
        f"{READ}  - {{id: q, effect: ask, tools: [push], message: Pushing is seen.}}\n",
        approvals=ApprovalTerms(0.0, 900.0),
    )
    world.call("one__push")
    assert last(world) == text("pushed")
    assert world.store.tickets == {}
    record = decided(world)
    assert record.observed == ObservedRefusal("approval", ("p/q",), "Pushing is seen.")
    assert record.approval == ""


def test_a_limit_counts_and_stops_nothing_until_the_day_is_over() -> None:
    world = observed("  - {id: few, effect: allow, limit: {calls: 1, per: 30d}}\n")
    for request_id in (1, 2):
        world.call("one__push", request_id)
        assert last(world) == text("pushed")
    assert decided(world).observed is not None
    over(world)
    world.call("one__push", 3)
    assert last(world)["isError"]
    assert decided(world).cause == "limit"


LABELS = (
    "  - {id: out, effect: deny, tools: [push], when: \"'private' in session.labels\"}\n"
    "  - {id: all, effect: allow, when: server == 'two' || tool.name == 'push'}\n"
    "  - {id: seen, effect: allow, tools: [read], on: result, label: [private], fact: [reviewed]}\n"
    "  - {id: use, effect: allow, tools: [read], when: \"'reviewed' in session.facts\"}\n"
)


def test_what_it_returned_restrains_other_servers_and_never_lets_them_do_more() -> None:
    world = observed(LABELS)
    world.call("one__read")
    assert decided(world).observed == ObservedRefusal("no-rule")
    assert (outcome(world).labels, outcome(world).facts) == (("private",), ())
    (kept,) = world.store.kept.values()
    assert (kept.labels, kept.facts) == (["private"], [])
    world.call("two__push", 2)
    assert decided(world).cause == "rule"


def test_no_result_of_it_is_withheld_and_the_outcome_says_what_would_have_been() -> None:
    world = observed(f"{READ}  - {{id: keep, effect: deny, on: result, message: Too much.}}\n")
    world.call("one__read")
    assert last(world) == text("done")
    assert outcome(world).status == "ok"
    assert outcome(world).observed == ObservedRefusal("rule", ("p/keep",), "Too much.")
    assert world.reports == [
        "one: would withhold the result of tools/call read by p/keep (p.yaml:5): `mcpguard explain "
        f"{decided(world).id}`"
    ]
    world.call("two__read", 2)
    assert (outcome(world).status, outcome(world).observed) == ("withheld", None)


def test_results_are_still_inspected_and_what_rules_redact_is_redacted() -> None:
    rules = "  - {id: no, effect: deny}\n  - {id: all, effect: allow, redact: [email]}\n"
    world = observed(rules)
    world.upstreams["one"].answers["read"] = text(f"{SECRET} of jane@example.com")
    world.call("one__read")
    said = last(world)["content"][0]["text"]
    assert SECRET not in said
    assert "jane@example.com" not in said


def test_a_secret_of_another_server_does_not_leave() -> None:
    world = observed()
    world.redactor.hold("env:two", Secret("canary-of-two-5f0c9a1e"))
    world.call("one__push", a="take canary-of-two-5f0c9a1e")
    assert last(world)["isError"]
    assert (decided(world).cause, decided(world).observed) == ("credential", None)
    assert all(permit.invocation.method == "tools/list" for permit in world.upstreams["one"].requests)


def test_what_a_client_or_a_server_says_observes_nothing() -> None:
    world = World(PUSH, {"two": [tool("push", observe=True, observed=True)]}).greeted()
    world.upstreams["two"].answers["push"] = text("pushed")
    world.judge.policies = world.judge.policies.observing(ON)
    world.send("tools/list", {}, 0)
    for name, more in (
        ("two__push", {"server": "one"}),
        ("one__push", {}),
        ("push", {"_meta": {"observe": {"until": "2026-08-09", "servers": ["two"]}}}),
    ):
        world.send("tools/call", {"name": name, "arguments": {"observe": ["two"]}, **more}, 5)
        assert "error" in world.client.sent[-1] or last(world)["isError"]
    assert [permit.invocation.method for permit in world.upstreams["two"].requests] == ["tools/list"]


def test_without_the_state_of_the_session_it_is_refused() -> None:
    world = observed("  - {id: few, effect: allow, limit: {calls: 1, per: 1h}}\n")
    world.store.down = "the disk is full"
    world.call("one__push")
    assert NO_SESSION in last(world)["content"][0]["text"]


def test_without_evidence_it_is_refused() -> None:
    world = observed()
    world.audit.fail = True
    world.call("one__push")
    assert "audit log" in last(world)["message"]
    assert all(permit.invocation.method == "tools/list" for permit in world.upstreams["one"].requests)


def test_questions_of_the_server_are_observed_too() -> None:
    world = legacy(World(READ), ALL_CAPABILITIES)
    world.judge.policies = world.judge.policies.observing(ON)
    world.send("tools/list", {}, 0)
    world.call("read", 7)
    quiet(world)
    ask(world, ELICIT, FORM)
    assert [one.get("method") for one in world.client.sent] == [ELICIT]
    assert decided(world).observed == ObservedRefusal("no-rule")
    assert world.reports[-1].startswith("one: would refuse elicitation/create (no-rule)")


def test_a_subscription_and_a_resource_are_observed_too() -> None:
    world = World(READ, {"one": []})
    world.judge.policies = world.judge.policies.observing(ON)
    offers(world, "one", resources=[{"uri": "x:1", "name": "x"}])
    world.upstreams["one"].answers |= {"resources/subscribe": {}, "resources/read": {"contents": []}}
    modern(world, "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["x:1"]}}, 5)
    assert decided(world).observed == ObservedRefusal("no-rule")
    assert world.reports[-1].startswith("one: would refuse resources/subscribe x:1 (no-rule)")
    modern(world, "resources/read", {"uri": "x:1"}, 6)
    assert last(world)["contents"] == []


def test_a_call_that_was_suspended_goes_on_as_observed_and_not_once_it_is_over() -> None:
    for late in (False, True):
        world, state = parked()
        put_in_force(world, "  - {id: no, effect: deny}\n")
        world.judge.policies = world.judge.policies.observing(ON)
        quiet(world)
        if late:
            over(world)
        retry(world, state)
        record = next(one for one in world.audit.records if isinstance(one, Decided))
        assert record.effect == ("deny" if late else "allow")
        assert (record.observed is None) == late
        assert ("would refuse" in " ".join(world.reports)) != late


def test_a_long_message_is_cut_and_a_secret_in_it_is_gone() -> None:
    world = observed(f"  - {{id: no, effect: deny, message: {SECRET} {'x' * 2000}}}\n")
    world.call("one__push")
    record = decided(world)
    assert record.observed is not None
    assert len(record.observed.message) == MOST_MESSAGE
    assert SECRET not in record.observed.message


def test_sessions_know_what_they_had_before() -> None:
    world = observed(LABELS)
    world.store.kept["os-user", "ada", "desk"] = StoredSession(labels=["private"])
    world.call("one__push")
    record = decided(world)
    assert record.observed is not None
    assert (record.session_labels, record.observed.rules) == (("private",), ("p/out",))
