"""Tasks of both eras: an id leads only to the server that made it, for the client that started it."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.evidence.bounds import MINUTES, BoundTerms, EvidenceRoom
from mcpguard.gateway import tasks
from mcpguard.gateway.flight import Wait
from tests.fakes import GONE, SECRET, World, give, text, tool
from tests.gateway.scenes import ALLOW_ALL, call, deep, last, legacy, modern, offers, put_in_force, quiet

EXTENSION = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
METHODS = ["tasks/get", "tasks/result", "tasks/cancel"]
STATUS = {"taskId": "t1", "status": "working"}


def started(rules: str = ALLOW_ALL, servers: str = "ab", task_id: str = "t1") -> World:
    """A legacy client has started the task `t1` at the first server by its tool `x`."""
    world = legacy(World(rules, {name: [tool("x")] for name in servers}))
    begin(world, servers[0], task_id)
    quiet(world)
    return world


def begin(world: World, server: str, task_id: str) -> None:
    world.upstreams[server].answers["x"] = {"task": {"taskId": task_id, "status": "working"}}
    name = f"{server}__x" if len(world.upstreams) > 1 else "x"
    world.send("tools/call", {"name": name, "arguments": {}, "task": {"ttl": 60}}, 1)


def asked(world: World, server: str) -> list[str]:
    sent = [permit.invocation.method for permit in world.upstreams[server].requests]
    return [method for method in sent if method.startswith("tasks/")]


def test_a_wish_for_a_task_goes_to_the_server_and_its_id_comes_back() -> None:
    world = started()
    sent = world.upstreams["a"].requests[-1].invocation.params
    assert sent == {"name": "x", "arguments": {}, "task": {"ttl": 60}}


@pytest.mark.parametrize("method", METHODS)
def test_a_task_is_reached_at_its_server_only_decided_and_recorded(method: str) -> None:
    world = started()
    world.upstreams["a"].answers[method] = STATUS
    world.send(method, {"taskId": "t1"}, 2)
    assert last(world) == STATUS
    assert (asked(world, "a"), asked(world, "b")) == ([method], [])
    decided, outcome = world.audit.records
    assert (decided.method, decided.server, outcome.status) == (method, "a", "ok")


@pytest.mark.parametrize("method", METHODS)
def test_a_task_that_this_client_did_not_start_is_not_there(method: str) -> None:
    world = started()
    world.send(method, {"taskId": "t2"}, 2)
    assert last(world) == {"code": -32602, "message": "Unknown task: t2"}
    assert asked(world, "a") + asked(world, "b") == []
    assert world.audit.records[-1].cause == "unknown"
    other = legacy(World(ALLOW_ALL, {"a": [], "b": []}))
    other.send(method, {"taskId": "t1"}, 2)
    assert last(other)["message"] == "Unknown task: t1"


@pytest.mark.parametrize("method", METHODS)
def test_a_task_that_policy_denies_is_not_reached(method: str) -> None:
    world = started(ALLOW_ALL + f"  - {{id: no, effect: deny, action: [{method}], message: Never.}}\n")
    world.send(method, {"taskId": "t1"}, 2)
    assert "Never." in last(world)["message"]
    assert last(world)["data"]["rules"] == ["p/no"]
    assert asked(world, "a") == []


def test_a_task_of_another_server_with_the_same_id_is_withheld_and_the_first_stays_right() -> None:
    world = started()
    begin(world, "b", "t1")
    assert last(world)["data"]["cause"] == "withheld"
    world.upstreams["a"].answers["tasks/get"] = STATUS
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert asked(world, "b") == []
    begin(world, "a", "t1")
    assert last(world)["task"]["taskId"] == "t1"


@pytest.mark.parametrize("result", [{"task": 1}, {"task": {"taskId": 1}}, {"task": {}}, text("no task")])
def test_what_is_no_task_is_not_remembered(result: Any) -> None:
    world = legacy(World(ALLOW_ALL, {"one": [tool("x")]}))
    world.upstreams["one"].answers["x"] = result
    world.call("x")
    world.send("tasks/get", {"taskId": "1"}, 2)
    assert last(world)["message"] == "Unknown task: 1"


def test_what_looks_like_a_task_and_answers_no_call_is_not_remembered() -> None:
    world = legacy(World(ALLOW_ALL))
    offers(world, "one", prompts=[{"name": "p"}])
    world.upstreams["one"].answers["p"] = {"messages": [], "task": STATUS}
    world.send("prompts/get", {"name": "p"}, 1)
    assert last(world)["messages"] == []
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert last(world)["message"] == "Unknown task: t1"


def test_above_the_limit_the_oldest_task_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_TASKS", 1)
    world = started()
    begin(world, "a", "t2")
    world.upstreams["a"].answers["tasks/get"] = STATUS
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert "Unknown task" in last(world)["message"]
    world.send("tasks/get", {"taskId": "t2"}, 3)
    assert last(world) == STATUS


def test_the_result_of_a_task_is_inspected_with_what_the_call_was_allowed_under() -> None:
    rules = (
        "  - {id: r, effect: allow, redact: [email]}\n"
        "  - {id: t, effect: allow, action: [tasks/get, tasks/result]}\n"
    )
    world = started(rules)
    world.upstreams["a"].answers["tasks/result"] = text(f"ada@example.org {SECRET}")
    world.send("tasks/result", {"taskId": "t1"}, 2)
    assert "ada@example.org" not in str(world.client.sent)
    assert SECRET not in str(world.client.sent + world.audit.records)


@pytest.mark.parametrize("answer", [text("private"), {"error": {"code": 1, "message": "private"}}])
def test_the_result_of_a_task_that_is_forgotten_meanwhile_is_withheld(
    monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(tasks, "MAX_TASKS", 1)
    world = started(ALLOW_ALL + "  - {id: no, effect: deny, on: result, when: has(result.content)}\n")
    world.send("tasks/result", {"taskId": "t1"}, 2)
    wait, _progress = world.upstreams["a"].held.pop()
    begin(world, "a", "t2")
    give(wait, answer)
    world.turn()
    assert last(world)["data"]["cause"] == "withheld"
    assert "private" not in str(world.client.sent)


# --- what no rule is about ------------------------------------------------------------------------

TOOLS_ONLY = "  - {id: ok, effect: allow, tools: [x]}\n"
OTHER = "  - {id: ok, effect: allow, tools: [y]}\n"
NAMES_RESULT = "  - {id: get, effect: allow, action: [tasks/result], when: principal.id == 'nobody'}\n"


@pytest.mark.parametrize("method", METHODS)
def test_what_allowed_a_call_allows_following_its_task_and_the_record_names_the_call(method: str) -> None:
    world = started(TOOLS_ONLY)
    begun = world.upstreams["a"].requests[-1].invocation
    world.upstreams["a"].answers[method] = STATUS
    world.send(method, {"taskId": "t1"}, 2)
    assert last(world) == STATUS
    decided = world.audit.records[0]
    assert (decided.effect, decided.rules, decided.began) == ("allow", ("p/ok",), begun.id)


@pytest.mark.parametrize("more", [NAMES_RESULT, NAMES_RESULT.replace("allow", "ask")])
def test_a_rule_about_such_requests_takes_the_place_of_what_allowed_the_call(more: str) -> None:
    world = started(TOOLS_ONLY + more)
    world.send("tasks/result", {"taskId": "t1"}, 2)
    assert "no rule allows" in last(world)["message"]
    world.upstreams["a"].answers["tasks/get"] = STATUS
    world.send("tasks/get", {"taskId": "t1"}, 3)
    assert last(world) == STATUS


def test_a_deny_of_such_requests_overrides_what_allowed_the_call() -> None:
    world = started(TOOLS_ONLY + "  - {id: no, effect: deny, action: [tasks/get]}\n")
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert last(world)["data"]["rules"] == ["p/no"]


@pytest.mark.parametrize("later", [OTHER, TOOLS_ONLY.replace("{id: ok", "{id: other")])
def test_a_task_whose_rule_is_gone_is_out_of_reach(later: str) -> None:
    world = started(TOOLS_ONLY)
    put_in_force(world, later)
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert "no rule allows" in last(world)["message"]


def test_a_rule_in_shadow_mode_says_nothing_else_about_a_task() -> None:
    world = started(TOOLS_ONLY + "  - {id: s, effect: deny, mode: shadow, action: ['*'], when: 'false'}\n")
    world.upstreams["a"].answers["tasks/get"] = STATUS
    world.send("tasks/get", {"taskId": "t1"}, 2)
    assert (last(world), world.audit.records[0].shadow) == (STATUS, "")


def test_a_result_that_is_withheld_is_so_of_the_request_that_asked_for_it() -> None:
    world = started(TOOLS_ONLY + "  - {id: no, effect: deny, on: result, when: has(result.content)}\n")
    world.upstreams["a"].answers["tasks/result"] = text("private")
    world.send("tasks/result", {"taskId": "t1"}, 2)
    decided, outcome = world.audit.records
    assert (decided.id, outcome.id, outcome.rules) == (last(world)["data"]["invocation"],) * 2 + (("p/no",),)
    assert decided.id in last(world)["message"]


# --- what upstreams say ---------------------------------------------------------------------------


def test_a_status_is_inspected_and_passed_on_from_the_tasks_own_server_only() -> None:
    world = started()
    status = {**STATUS, "statusMessage": SECRET}
    world.gateway.notified("b", "notifications/tasks/status", status)
    world.gateway.notified("a", "notifications/tasks/status", {**status, "taskId": "t2"})
    world.gateway.notified("a", "notifications/tasks/status", {**status, "taskId": 1})
    world.turn()
    assert world.client.sent == []
    world.gateway.notified("a", "notifications/tasks/status", status)
    world.turn()
    assert world.client.sent[0]["params"]["taskId"] == "t1"
    assert SECRET not in str(world.client.sent)


# --- tasks/list -----------------------------------------------------------------------------------


def listing(world: World, server: str, *pages: Any) -> list[Any]:
    """`server` answers `tasks/list` with these pages; gives the cursors that it is asked with."""
    cursors: list[Any] = []
    upstream, left = world.upstreams[server], list(pages)
    original = upstream.request

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        if permit.invocation.method == "tasks/list":
            cursors.append(permit.invocation.params.get("cursor"))
            upstream.answers["tasks/list"] = left.pop(0) if len(left) > 1 else left[0]
        return original(permit, progress)

    upstream.request = request  # type: ignore[method-assign]
    return cursors


def test_the_list_has_the_tasks_of_this_client_of_every_server_and_page() -> None:
    world = started()
    begin(world, "b", "t3")
    quiet(world)
    foreign = {"taskId": "foreign"}
    cursors = listing(world, "a", {"tasks": [foreign, 1], "nextCursor": "2"}, {"tasks": [STATUS]})
    listing(world, "b", {"tasks": [{"taskId": "t3", "statusMessage": SECRET}, {"taskId": "t1"}]})
    world.send("tasks/list", {}, 5)
    assert [one["taskId"] for one in last(world)["tasks"]] == ["t1", "t3"]
    assert SECRET not in str(world.client.sent)
    assert cursors == [None, "2"]
    assert [(r.server, r.method) for r in world.audit.records if hasattr(r, "method")] == [
        *(("", "tasks/list"), ("a", "tasks/list"), ("b", "tasks/list")),
    ]
    assert [r.status for r in world.audit.records if hasattr(r, "status")] == ["ok"] * 3


def test_who_lists_without_end_gets_what_was_listed_before() -> None:
    world = legacy(World(ALLOW_ALL, {"a": [tool("x")]}, room=EvidenceRoom(BoundTerms(refusals=1))))
    begin(world, "a", "t1")
    quiet(world)
    listing(world, "a", {"tasks": [STATUS]})
    for n in range(20):
        world.send("tasks/list", {}, n + 5)
        assert [one["taskId"] for one in last(world)["tasks"]] == ["t1"]
    assert asked(world, "a") == ["tasks/list"] * (MINUTES + 1)


def test_the_list_needs_no_rule_and_is_recorded() -> None:
    world = started("  - {id: call, effect: allow}\n  - {id: no, effect: deny, action: [tasks/get]}\n")
    listing(world, "a", {"tasks": [STATUS]})
    world.send("tasks/list", {}, 5)
    assert last(world)["tasks"] == [STATUS]
    assert [r.effect for r in world.audit.records if hasattr(r, "effect")] == ["allow", "allow"]


def test_a_server_without_tasks_of_this_client_is_not_asked_for_any() -> None:
    world = started()
    listing(world, "a", {"tasks": [STATUS]})
    world.send("tasks/list", {}, 5)
    assert asked(world, "b") == []
    nobody = legacy(World(ALLOW_ALL))
    nobody.send("tasks/list", {}, 5)
    assert last(nobody) == {"tasks": []}


def test_a_server_that_is_gone_or_talks_nonsense_leaves_the_others_listed() -> None:
    world = started(servers="abcde")
    for server, task_id in (("b", "t2"), ("c", "t3"), ("d", "t4"), ("e", "t5")):
        begin(world, server, task_id)
    listing(world, "a", GONE)
    listing(world, "d", "nonsense")
    listing(world, "e", {"tasks": "nonsense"})
    listing(world, "b", {"error": {"code": -32601, "message": "no"}})
    listing(world, "c", {"tasks": [{"taskId": "t3"}]})
    quiet(world)
    world.send("tasks/list", {}, 5)
    assert last(world) == {"tasks": [{"taskId": "t3"}]}
    assert world.reports == ["a: upstream 'one' has ended"]
    assert "outcome unavailable" in world.trace


def test_a_list_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_PAGES", 3)
    world = started()
    cursors = listing(world, "a", {"tasks": [STATUS], "nextCursor": "again"})
    world.send("tasks/list", {}, 5)
    assert len(cursors) == len(last(world)["tasks"]) == 3


def test_a_cursor_that_we_never_gave_is_refused() -> None:
    world = started()
    world.send("tasks/list", {"cursor": "x"}, 5)
    assert last(world)["code"] == -32602
    assert asked(world, "a") == []


def test_a_list_that_cannot_be_inspected_is_withheld() -> None:
    world = started()
    listing(world, "a", {"tasks": [{**STATUS, "_meta": deep()}]})
    world.send("tasks/list", {}, 5)
    assert last(world)["data"]["cause"] == "withheld"
    assert world.trace[-2:] == ["outcome withheld", "refuse 5"]


def test_a_list_that_is_cancelled_is_cancelled_upstream_and_leaves_its_outcomes() -> None:
    world = started()
    world.upstreams["a"].answers.pop("tasks/list", None)
    world.send("tasks/list", {}, 5)
    world.send("notifications/cancelled", {"requestId": 5})
    assert world.trace[-3:] == ["cancel cancelled", "outcome cancelled", "outcome cancelled"]
    assert world.upstreams["a"].held == []
    assert world.client.sent == []


def test_a_list_is_refused_while_evidence_cannot_be_written() -> None:
    world = started()
    world.audit.fail = True
    world.send("tasks/list", {}, 5)
    assert "audit log" in last(world)["message"]
    assert asked(world, "a") == []


# --- the modern extension -------------------------------------------------------------------------


def modern_task() -> World:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    call(world, "read", 1, capabilities=EXTENSION)
    world.answer({"resultType": "task", **STATUS})
    return world


def test_a_modern_task_is_reached_and_kept_in_its_form() -> None:
    world = modern_task()
    assert (last(world)["resultType"], last(world)["taskId"]) == ("task", "t1")
    for method, more in (("tasks/get", {}), ("tasks/update", {"inputResponses": {}}), ("tasks/cancel", {})):
        world.upstreams["one"].answers[method] = {"status": "working"}
        modern(world, method, {"taskId": "t1", **more}, 2, capabilities=EXTENSION)
        assert last(world)["status"] == "working"
        assert world.upstreams["one"].requests[-1].invocation.params == {"taskId": "t1", **more}


def test_a_task_for_a_client_that_does_not_know_tasks_is_refused() -> None:
    for capabilities in ({}, {"extensions": {}}, {"extensions": 1}):
        world = World(ALLOW_ALL)
        modern(world, "tools/list")
        call(world, "read", 1, capabilities=capabilities)
        world.answer({"resultType": "task", **STATUS})
        assert "unknown type" in last(world)["message"]


def test_a_result_of_another_unknown_type_is_refused_for_a_client_that_knows_tasks_too() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    call(world, "read", 1, capabilities=EXTENSION)
    world.answer({"resultType": "surprise", **STATUS})
    assert "unknown type" in last(world)["message"]


def test_a_modern_client_that_does_not_declare_the_extension_cannot_use_it() -> None:
    world = modern_task()
    modern(world, "tasks/get", {"taskId": "t1"}, 2)
    assert last(world)["code"] == -32021
    assert "tasks/get" not in [permit.invocation.method for permit in world.upstreams["one"].requests]


def test_a_status_of_the_legacy_form_is_not_told_to_a_modern_client() -> None:
    world = quiet(modern_task())
    world.gateway.notified("one", "notifications/tasks/status", STATUS)
    world.turn()
    assert world.client.sent == []


def test_a_modern_client_is_not_told_of_its_tasks_and_the_acknowledgment_says_so() -> None:
    world = quiet(modern_task())
    wanted = {"notifications": {"taskIds": ["t1"], "toolsListChanged": True}}
    modern(world, "subscriptions/listen", wanted, 2, capabilities=EXTENSION)
    (told,) = world.client.sent
    assert told["params"]["notifications"] == {"toolsListChanged": True}
    quiet(world)
    world.gateway.notified("one", "notifications/tasks", {**STATUS, "result": text(SECRET)})
    world.turn()
    assert (world.client.sent, world.audit.records) == ([], [])


@pytest.mark.parametrize(("capabilities", "task_ids"), [({}, ["t1"]), ({"extensions": 1}, 1)])
def test_who_wants_to_hear_of_tasks_declares_the_extension(capabilities: Any, task_ids: Any) -> None:
    world = World(ALLOW_ALL)
    wanted = {"notifications": {"taskIds": task_ids}}
    modern(world, "subscriptions/listen", wanted, 2, capabilities=capabilities)
    assert last(world)["code"] == -32021
    assert last(world)["data"] == {"requiredCapabilities": EXTENSION}
    assert world.gateway.idle
