"""Subscriptions of both eras: a client hears what policy let it subscribe to, from the server it belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.errors import CredentialError
from mcpguard.gateway.lists import subscriptions
from tests.fakes import GONE, SECRET, World, give
from tests.gateway.scenes import (
    ALLOW_ALL,
    last,
    legacy,
    methods_of,
    modern,
    offers,
    put_in_force,
    quiet,
    two,
)
from tests.rows import each

LISTEN = "subscriptions/listen"
SUBSCRIBE, UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"
UPDATED = "notifications/resources/updated"
TAG = "io.modelcontextprotocol/subscriptionId"
URIS = ["x:1", "x:2"]


def serving(rules: str = ALLOW_ALL) -> World:
    world = two(rules)
    offers(world, "a", resources=[{"uri": uri, "name": "x"} for uri in URIS])
    for upstream in world.upstreams.values():
        upstream.answers |= {SUBSCRIBE: {}, UNSUBSCRIBE: {}}
    return world


def listen(world: World, request_id: int | str = 1, uris: list[str] | None = None, **lists: bool) -> None:
    wanted: dict[str, Any] = {**lists, **({} if uris is None else {"resourceSubscriptions": uris})}
    modern(world, LISTEN, {"notifications": wanted}, request_id)


def updated(world: World, server: str = "a", uri: Any = "x:1", **more: Any) -> None:
    world.gateway.notified(server, UPDATED, {"uri": uri, **more})
    world.turn()


def told(world: World) -> list[Any]:
    """The requests whose subscriptions were told something."""
    return [one["params"]["_meta"][TAG] for one in world.client.sent]


# --- modern ---------------------------------------------------------------------------------------


def test_what_is_granted_is_acknowledged_first_and_only_what_was_asked_for() -> None:
    world = serving()
    listen(world, 5, ["x:1"], toolsListChanged=True, promptsListChanged=False)
    assert world.client.sent == [
        {
            "method": "notifications/subscriptions/acknowledged",
            "params": {
                "_meta": {TAG: 5},
                "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["x:1"]},
            },
        }
    ]
    assert world.client.related == [5]
    assert world.gateway.idle


def test_an_update_is_inspected_tagged_and_goes_the_way_of_the_subscription() -> None:
    world = serving()
    listen(world, 5, ["x:1"])
    quiet(world)
    updated(world, _meta={"k": 1, TAG: 99}, title=SECRET)
    (sent,) = world.client.sent
    assert (sent["method"], sent["params"]["uri"]) == (UPDATED, "x:1")
    assert sent["params"]["_meta"] == {"k": 1, TAG: 5}
    assert SECRET not in str(sent)
    assert world.client.related == [5]
    updated(world, _meta=3)
    assert world.client.sent[-1]["params"]["_meta"] == {TAG: 5}


@pytest.mark.parametrize(("server", "uri"), [("b", "x:1"), ("a", "x:2"), ("a", 1), ("b", "y:1")])
def test_an_update_of_something_else_or_of_another_server_goes_nowhere(server: str, uri: Any) -> None:
    world = serving()
    listen(world, 5, ["x:1"])
    quiet(world)
    updated(world, server, uri)
    assert world.client.sent == []


def test_each_subscription_hears_what_it_asked_for() -> None:
    world = serving()
    listen(world, 1, ["x:1"])
    listen(world, 2, ["x:1", "x:2"], resourcesListChanged=True)
    listen(world, "three", toolsListChanged=True, promptsListChanged=True)
    quiet(world)
    updated(world)
    updated(world, uri="x:2")
    for kind in ("tools", "prompts", "resources"):
        world.gateway.notified("b", f"notifications/{kind}/list_changed", {})
        world.turn()
    assert told(world) == [1, 2, 2, "three", "three", 2]


def test_a_resource_is_subscribed_once_upstream_and_ended_when_nobody_wants_it() -> None:
    world = serving()
    listen(world, 1, ["x:1", "x:1"])
    listen(world, 2, ["x:1"])
    assert methods_of(world, "a") == [SUBSCRIBE]
    world.send("notifications/cancelled", {"requestId": 1})
    assert methods_of(world, "a") == [SUBSCRIBE]
    quiet(world)
    updated(world)
    assert told(world) == [2]
    world.send("notifications/cancelled", {"requestId": 2})
    assert methods_of(world, "a") == [SUBSCRIBE, UNSUBSCRIBE]
    quiet(world)
    updated(world)
    assert world.client.sent == []


def test_the_end_of_a_subscription_leaves_records_before_the_upstream_is_asked() -> None:
    world = serving()
    listen(world, 1, ["x:1"])
    quiet(world)
    world.send("notifications/cancelled", {"requestId": 1})
    unsubscribed = ["decision allow", "outcome cancelled", f"request {UNSUBSCRIBE}", "outcome ok"]
    assert world.trace == unsubscribed
    decided = world.audit.records[0]
    assert (decided.method, decided.server, decided.credentials) == (UNSUBSCRIBE, "a", ("env:CANARY",))


@pytest.mark.parametrize("answer", [GONE, {"error": {"code": -1, "message": "no"}}])
def test_an_upstream_that_does_not_end_a_subscription_is_recorded_and_harms_nobody(answer: Any) -> None:
    world = serving()
    listen(world, 1, ["x:1"])
    world.upstreams["a"].answers[UNSUBSCRIBE] = answer
    world.send("notifications/cancelled", {"requestId": 1})
    assert world.trace[-1] in ("outcome unavailable", "outcome error")


def test_a_credential_that_is_gone_at_the_end_of_a_subscription_is_reported() -> None:
    world = serving()
    listen(world, 1, ["x:1"])
    world.upstreams["a"].answers[UNSUBSCRIBE] = CredentialError("env:X is not set")
    world.send("notifications/cancelled", {"requestId": 1})
    assert world.reports == ["a: env:X is not set"]


def test_a_resource_that_policy_denies_is_not_acknowledged_nor_subscribed() -> None:
    rules = (
        ALLOW_ALL + "  - {id: no, effect: deny, action: [resources/subscribe], when: \"args.uri == 'x:2'\"}\n"
    )
    world = serving(rules)
    listen(world, 1, ["x:2", "x:1", "unknown:1"])
    assert world.client.sent[0]["params"]["notifications"] == {"resourceSubscriptions": ["x:1"]}
    subscribed = [
        p.invocation.params for p in world.upstreams["a"].requests if p.invocation.method == SUBSCRIBE
    ]
    assert subscribed == [{"uri": "x:1"}]
    denied = [r for r in world.audit.records if getattr(r, "effect", "") == "deny"]
    assert [(r.method, r.subject) for r in denied] == [(SUBSCRIBE, "x:2")]
    quiet(world)
    updated(world, uri="x:2")
    assert world.client.sent == []


@pytest.mark.parametrize("answer", [GONE, {"error": {"code": -32601, "message": "no"}}])
def test_a_resource_that_its_upstream_refuses_is_not_acknowledged(answer: Any) -> None:
    world = serving()
    world.upstreams["a"].answers[SUBSCRIBE] = answer
    listen(world, 1, ["x:1"])
    assert world.client.sent[0]["params"]["notifications"] == {}
    assert "outcome unavailable" in world.trace or "outcome error" in world.trace


def test_a_resource_of_servers_that_are_all_gone_is_not_acknowledged() -> None:
    world = serving()
    for upstream in world.upstreams.values():
        upstream.answers["resources/list"] = GONE
    listen(world, 1, ["x:1"])
    assert world.client.sent[0]["params"]["notifications"] == {}


@each(
    "params",
    [
        {},
        {"notifications": []},
        {"notifications": {"resourceSubscriptions": "x:1"}},
        {"notifications": {"resourceSubscriptions": [1]}},
        {"notifications": {"resourceSubscriptions": ["x"] * 1001}},
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(params: Any) -> None:
    world = serving()
    modern(world, LISTEN, params)
    assert last(world)["code"] == -32602
    assert world.gateway.idle


def test_no_more_resources_than_the_limit_over_all_subscriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_URIS", 1)
    world = serving()
    listen(world, 1, ["x:1"])
    listen(world, 2, ["x:2"])
    listen(world, 3, ["x:1"])
    granted = [one["params"]["notifications"] for one in world.client.sent]
    assert granted == [{"resourceSubscriptions": ["x:1"]}, {}, {"resourceSubscriptions": ["x:1"]}]


def test_a_client_that_leaves_while_it_subscribes_leaves_nothing_subscribed() -> None:
    world = serving()
    listen(world, 1, [])
    del world.upstreams["a"].answers[SUBSCRIBE]
    listen(world, 2, ["x:1", "x:2"])
    wait, _progress = world.upstreams["a"].held.pop(0)
    give(wait, {})
    world.turn()
    quiet(world)
    world.send("notifications/cancelled", {"requestId": 2})
    assert "cancel cancelled" in world.trace
    assert world.trace.count("outcome cancelled") == 2
    gone = [p.invocation.params for p in world.upstreams["a"].requests if p.invocation.method == UNSUBSCRIBE]
    assert gone == [{"uri": "x:1"}]


def test_when_mcpguard_ends_a_subscription_is_closed_with_a_result() -> None:
    world = serving()
    listen(world, 5, ["x:1"])
    quiet(world)
    world.gateway.abandon("abandoned")
    world.turn()
    assert world.client.sent == [{"id": 5, "result": {"resultType": "complete", "_meta": {TAG: 5}}}]
    assert methods_of(world, "a")[-1] == UNSUBSCRIBE


def test_a_subscription_is_refused_while_evidence_cannot_be_written() -> None:
    world = serving()
    world.audit.fail = True
    listen(world, 1, ["x:1"])
    assert "audit log" in last(world)["message"]
    assert world.upstreams["a"].requests == []


def test_evidence_that_fails_at_the_end_of_a_subscription_asks_nothing_of_the_upstream() -> None:
    world = serving()
    listen(world, 1, ["x:1"])
    world.audit.fail = True
    world.send("notifications/cancelled", {"requestId": 1})
    assert methods_of(world, "a") == [SUBSCRIBE]
    assert world.reports == ["a: the disk is full"]


# --- legacy ---------------------------------------------------------------------------------------


def test_a_legacy_client_subscribes_hears_and_unsubscribes() -> None:
    world = legacy(serving())
    for request_id in (1, 2):
        world.send(SUBSCRIBE, {"uri": "x:1"}, request_id)
    assert last(world) == {}
    quiet(world)
    updated(world, title=SECRET)
    updated(world, "b")
    (sent,) = world.client.sent
    assert (sent["method"], sent["params"]["uri"], "_meta" in sent["params"]) == (UPDATED, "x:1", False)
    assert SECRET not in str(sent)
    world.send(UNSUBSCRIBE, {"uri": "x:1"}, 3)
    assert last(world) == {}
    assert methods_of(world, "a")[-1] == UNSUBSCRIBE
    quiet(world)
    updated(world)
    assert world.client.sent == []


def test_unsubscribing_from_what_was_not_subscribed_does_nothing() -> None:
    world = legacy(serving())
    world.send(UNSUBSCRIBE, {"uri": "x:1"}, 1)
    assert world.client.sent == [{"id": 1, "result": {}}]
    assert methods_of(world, "a") == []
    world.send(UNSUBSCRIBE, {}, 2)
    assert last(world)["code"] == -32602


def test_a_legacy_subscription_that_is_denied_or_refused_hears_nothing() -> None:
    world = legacy(serving(ALLOW_ALL + "  - {id: no, effect: deny, action: [resources/subscribe]}\n"))
    world.send(SUBSCRIBE, {"uri": "x:1"}, 1)
    assert last(world)["data"]["cause"] == "rule"
    assert methods_of(world, "a") == []
    refusing = legacy(serving())
    refusing.upstreams["a"].answers[SUBSCRIBE] = {"error": {"code": -32601, "message": "no"}}
    refusing.send(SUBSCRIBE, {"uri": "x:1"}, 1)
    assert last(refusing)["code"] == -32601
    for one in (world, refusing):
        quiet(one)
        updated(one)
        assert one.client.sent == []


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_limit_on_subscribing_bounds_the_ends_of_subscriptions_too(era: str) -> None:
    world = serving(
        "  - {id: few, effect: allow, action: [resources/subscribe], limit: {calls: 3, per: 1h}}\n"
    )
    if era == "legacy":
        legacy(world)
    for n in range(1, 10):
        if era == "modern":
            listen(world, n, ["x:1"])
            world.send("notifications/cancelled", {"requestId": n})
        else:
            world.send(SUBSCRIBE, {"uri": "x:1"}, n)
            world.send(UNSUBSCRIBE, {"uri": "x:1"}, n + 100)
    assert methods_of(world, "a") == [SUBSCRIBE, UNSUBSCRIBE] * 3


def test_a_legacy_client_cannot_subscribe_to_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_URIS", 1)
    world = legacy(serving())
    for request_id, uri in enumerate(["x:1", "x:2", "x:1"]):
        world.send(SUBSCRIBE, {"uri": uri}, request_id)
    assert ["error" in one for one in world.client.sent] == [False, True, False]
    assert world.client.sent[1]["error"]["message"] == "at most 1 resources can be subscribed to"


def test_at_the_limit_a_hidden_resource_still_answers_like_one_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriptions, "MAX_URIS", 1)
    action = "[resources/read, resources/subscribe]"
    rule = f"""  - {{id: one, effect: allow, action: {action}, when: 'resource.uri == "x:1"'}}\n"""
    world = legacy(serving(rule))
    for request_id, uri in enumerate(["x:1", "x:2", "x:3"]):
        world.send(SUBSCRIBE, {"uri": uri}, request_id)
    _, hidden, missing = (one.get("error") for one in world.client.sent)
    assert missing["message"] == "Resource not found"
    assert str(hidden).replace("x:2", "x:3") == str(missing)


# --- other policies than before --------------------------------------------------------------------

ONE = "  - {id: all, effect: allow, action: ['*'], when: \"!has(resource.uri) || resource.uri != 'x:1'\"}\n"
STATEFUL = "  - {id: all, effect: allow, action: ['*'], when: session.calls < 99}\n"


def subscribed(era: str, rules: str = ALLOW_ALL) -> World:
    world = serving(rules)
    if era == "modern":
        listen(world, 5, URIS)
    else:
        legacy(world)
        for number, uri in enumerate(URIS, 1):
            world.send(SUBSCRIBE, {"uri": uri}, number)
    return quiet(world)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_policies_that_do_not_allow_it_any_more_end_a_subscription_with_evidence(era: str) -> None:
    world = subscribed(era)
    put_in_force(world, ONE)
    assert world.reports == ["a: nobody is subscribed to 'x:1' any more: the policies have changed"]
    denied = [one for one in world.audit.records if getattr(one, "effect", "") == "deny"]
    assert [(one.method, one.policy_digest) for one in denied] == [(SUBSCRIBE, world.judge.policies.digest)]
    assert methods_of(world, "a")[-1] == UNSUBSCRIBE
    quiet(world)
    for uri in URIS:
        updated(world, uri=uri, title="news")
    assert [one["params"]["uri"] for one in world.client.sent] == ["x:2"]
    put_in_force(world, ALLOW_ALL)
    quiet(world)
    updated(world)
    assert world.client.sent == []


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_policies_that_come_while_a_subscription_begins_are_those_that_count(era: str) -> None:
    world = serving()
    del world.upstreams["a"].answers[SUBSCRIBE]
    if era == "modern":
        listen(world, 5, ["x:1"])
    else:
        legacy(world).send(SUBSCRIBE, {"uri": "x:1"}, 1)
    put_in_force(world, ONE)
    ((wait, _progress),) = world.upstreams["a"].held
    give(wait, {})
    world.turn()
    if era == "modern":
        assert world.client.sent[-1]["params"]["notifications"] == {}
    quiet(world)
    updated(world)
    assert world.client.sent == []


def test_a_subscription_that_ends_while_it_is_decided_again_ends_once() -> None:
    world = subscribed("modern", STATEFUL)
    world.store.busy = 2
    put_in_force(world, f"{STATEFUL}  - {{id: no, effect: deny, action: [{SUBSCRIBE}]}}\n")
    world.gateway.cancel(5, "cancelled")
    world.turn()
    world.store.proceed()
    world.store.proceed()
    world.turn()
    assert methods_of(world, "a").count(UNSUBSCRIBE) == 2
    assert world.reports == []
