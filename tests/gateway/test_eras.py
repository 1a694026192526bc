"""Which era a client is of: decided once, with and without headers, and a method of the other is not there."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.policy.terms import ACTIONS
from mcpguard.gateway import path
from mcpguard.protocol import eras
from mcpguard.protocol.eras import LEGACY_VERSIONS
from mcpguard.protocol.methods import FROM_CLIENT, Era, Treatment
from tests.fakes import World, text, tool
from tests.gateway.scenes import ALLOW_ALL, call, envelope, last, legacy, modern, offers, quiet
from tests.rows import each

META = "_meta"
REF = {"ref": {"type": "ref/resource", "uri": "x:1"}, "argument": {}}
PARAMS: dict[str, Any] = {
    "tools/call": {"name": "read"},
    "prompts/get": {"name": "p"},
    "resources/read": {"uri": "x:1"},
    "resources/subscribe": {"uri": "x:1"},
    "resources/unsubscribe": {"uri": "x:1"},
    "completion/complete": REF,
    "tasks/get": {"taskId": "t"},
    "tasks/result": {"taskId": "t"},
    "tasks/cancel": {"taskId": "t"},
    "tasks/update": {"taskId": "t", "inputResponses": {}},
    "logging/setLevel": {"level": "info"},
    "subscriptions/listen": {"notifications": {}},
}
NOT_THERE = -32601
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
REQUESTS = [row for row in FROM_CLIENT.values() if row.request]
rows = pytest.mark.parametrize("row", REQUESTS, ids=lambda row: row.name)


def http(world: World, method: str, params: Any = None, /, **changes: str | None) -> Any:
    """A modern request with its headers; `changes` replace or (None) remove one: `method`, `version`, `name`,
    or any other by its own name."""
    params = {**(params or {}), META: envelope()}
    names = {"method": "mcp-method", "version": "mcp-protocol-version", "name": "mcp-name"}
    headers: dict[str, str | None] = {"mcp-method": method, "mcp-protocol-version": "2026-07-28"}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    headers |= {names.get(key, key): value for key, value in changes.items()}
    given = {key: value for key, value in headers.items() if value is not None}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    world.gateway.receive(message, given)
    world.turn()


def refused_as_missing(world: World) -> bool:
    sent = world.client.sent[-1] if world.client.sent else {}
    return bool(sent.get("error", {}).get("code") == NOT_THERE)


# --- every row ------------------------------------------------------------------------------------


@rows
def test_each_method_is_there_for_a_legacy_client_exactly_if_its_row_says_so(row: Any) -> None:
    world = World(ALLOW_ALL)
    if row.name != "initialize":
        legacy(world)
    world.send(row.name, PARAMS.get(row.name, {}), 1)
    assert refused_as_missing(world) is (row.era is Era.MODERN)


@rows
def test_each_method_is_there_for_a_modern_client_exactly_if_its_row_says_so(row: Any) -> None:
    world = World(ALLOW_ALL)
    modern(world, row.name, PARAMS.get(row.name, {}), capabilities=TASKS)
    assert refused_as_missing(world) is (row.era is Era.LEGACY)


DECIDED = [row for row in REQUESTS if row.treatment is Treatment.DECIDED]


@each("row", DECIDED, ids=lambda row: row.name)
@each("era", [Era.LEGACY, Era.MODERN])
def test_without_a_rule_no_decided_method_reaches_an_upstream(row: Any, era: Era) -> None:
    if row.era not in (era, Era.BOTH):
        return
    world = World("  - {id: nothing, effect: allow, action: [extension]}\n")
    world.upstreams["one"].lists["prompts/list"] = {"prompts": [{"name": "p"}]}
    if era is Era.LEGACY:
        legacy(world).send(row.name, PARAMS[row.name], 1)
    else:
        modern(world, row.name, PARAMS[row.name], capabilities=TASKS)
    assert {p.invocation.method for p in world.upstreams["one"].requests} <= {
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
    }
    assert "error" in world.client.sent[-1]
    assert world.audit.records[-1].effect == "deny"


def test_what_is_decided_is_an_action_that_a_rule_can_name() -> None:
    assert {row.name for row in DECIDED} <= ACTIONS


@pytest.mark.parametrize("row", [r for r in FROM_CLIENT.values() if not r.request], ids=lambda row: row.name)
def test_a_notification_is_no_request_and_a_request_no_notification(row: Any) -> None:
    world = legacy(World(ALLOW_ALL))
    world.send(row.name, {}, 1)
    assert refused_as_missing(world)
    quiet(world)
    for name in FROM_CLIENT:
        world.send(name, PARAMS.get(name, {}))
    assert world.client.sent == []
    assert world.upstreams["one"].requests == []


# --- who is of which era --------------------------------------------------------------------------


def test_a_first_request_with_an_envelope_makes_the_client_modern_for_good() -> None:
    world = World(ALLOW_ALL)
    assert (world.gateway.modern, world.gateway.version) == (False, "2025-11-25")
    modern(world, "tools/list")
    assert world.gateway.modern
    world.send("tools/list", {}, 2)
    assert last(world)["code"] == -32602
    assert "`_meta` must be an object" in last(world)["message"]
    world.send("initialize", {"protocolVersion": "2025-06-18"}, 3)
    assert last(world)["code"] == eras.UNSUPPORTED_VERSION
    assert last(world)["data"] == {"supported": ["2026-07-28"], "requested": "2025-06-18"}
    assert world.gateway.modern


def test_a_client_that_initialized_is_legacy_for_good() -> None:
    world = legacy(World(ALLOW_ALL))
    modern(world, "tools/list")
    assert last(world)["code"] == -32600
    assert "has no envelope" in last(world)["message"]
    world.send("tools/list", {}, 2)
    assert "tools" in last(world)


def test_to_discover_is_not_to_choose_an_era() -> None:
    world = World(ALLOW_ALL)
    modern(world, "server/discover")
    found = last(world)
    assert found["supportedVersions"] == ["2026-07-28"]
    assert (found["resultType"], found["ttlMs"], found["cacheScope"]) == ("complete", 0, "private")
    assert found["_meta"][eras.SERVER_INFO_KEY] == {"name": "mcpguard", "version": "0"}
    assert set(found["capabilities"]["extensions"]) == {"io.modelcontextprotocol/tasks", "com.example/skills"}
    assert world.gateway.modern  # An upstream that is started now is greeted in its era first.
    world.send("initialize", {"protocolVersion": "2025-06-18"}, 2)
    assert last(world)["protocolVersion"] == "2025-06-18"
    assert not world.gateway.modern


def test_initialize_and_discover_of_the_other_era_are_refused() -> None:
    world = World(ALLOW_ALL)
    modern(world, "initialize")
    assert last(world)["code"] == NOT_THERE
    world.send("server/discover", {}, 2)
    assert last(world)["code"] == NOT_THERE


def test_a_revision_that_is_not_served_is_refused_with_those_that_are() -> None:
    world = World(ALLOW_ALL)
    world.send("tools/list", {META: {**envelope(), eras.VERSION_KEY: "2099-01-01"}}, 1)
    assert last(world)["code"] == eras.UNSUPPORTED_VERSION
    assert last(world)["data"]["requested"] == "2099-01-01"
    assert not world.gateway.modern


def test_an_envelope_that_lacks_something_is_refused() -> None:
    world = World(ALLOW_ALL)
    world.send("tools/list", {META: {eras.VERSION_KEY: "2026-07-28"}}, 1)
    assert last(world)["code"] == -32602
    assert world.upstreams["one"].requests == []


def test_an_initialize_that_cannot_be_read_leaves_the_client_unknown() -> None:
    world = World(ALLOW_ALL)
    world.send("initialize", {"capabilities": []}, 1)
    assert last(world)["code"] == -32602
    world.send("tools/list", {}, 2)
    assert last(world)["message"] == "initialize must come first"


def test_upstreams_are_greeted_for_whom_they_serve() -> None:
    old = legacy(World(ALLOW_ALL), {"roots": {}}, "2025-03-26")
    assert (old.gateway.version, old.gateway.declared_to("one").capabilities) == ("2025-03-26", {"roots": {}})
    new = World(ALLOW_ALL)
    modern(new, "tools/list", capabilities={"roots": {}})
    assert new.gateway.version == "2025-11-25"
    assert set(new.gateway.declared_to("one").capabilities) == {"roots", "sampling", "elicitation"}
    sent = new.upstreams["one"].requests[-1].invocation.caller
    assert (sent.modern, sent.capabilities) == (True, {"roots": {}})


def test_only_a_session_of_the_revision_with_batches_takes_them() -> None:
    takes = {version: legacy(World(ALLOW_ALL), {}, version).gateway.batches for version in LEGACY_VERSIONS}
    assert [version for version, does in takes.items() if does] == ["2025-03-26"]
    new = World(ALLOW_ALL)
    assert new.gateway.batches is False
    modern(new, "tools/list")
    assert new.gateway.batches is False


def test_each_modern_request_says_for_itself_what_its_client_can() -> None:
    world = World(ALLOW_ALL)
    for capabilities in ({"roots": {}}, {}):
        call(world, "read", 1, capabilities=capabilities)
        assert world.upstreams["one"].requests[-1].invocation.caller.capabilities == capabilities
        world.answer(text("x"))


def test_changed_roots_are_told_to_upstreams_of_a_legacy_client_only() -> None:
    world = legacy(World(ALLOW_ALL))
    world.send("notifications/roots/list_changed", {"secret": 1})
    assert world.upstreams["one"].told == ["notifications/roots/list_changed"]
    new = World(ALLOW_ALL)
    modern(new, "tools/list")
    new.send("notifications/roots/list_changed", {})
    assert new.upstreams["one"].told == []


# --- headers --------------------------------------------------------------------------------------


def test_headers_that_agree_with_the_body_are_served() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].answers["read"] = text("hello")
    http(world, "tools/call", {"name": "read"})
    assert last(world)["content"] == text("hello")["content"]
    world.upstreams["one"].answers["resources/read"] = {"contents": []}
    http(world, "resources/read", {"uri": "x:1"}, name="x:1")
    assert last(world)["contents"] == []


@each(
    "changes",
    [
        {"method": "tools/list"},
        {"method": None},
        {"version": "2025-11-25"},
        {"version": None},
        {"name": "write"},
        {"name": None},
    ],
)
def test_headers_that_say_otherwise_than_the_body_are_refused(changes: dict[str, str | None]) -> None:
    world = World(ALLOW_ALL)
    http(world, "tools/call", {"name": "read"}, **changes)
    assert last(world)["code"] == eras.HEADER_MISMATCH
    assert world.upstreams["one"].requests == []
    assert not world.gateway.modern


def test_a_modern_header_without_an_envelope_is_a_modern_request_that_lacks_it() -> None:
    world = World(ALLOW_ALL)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    world.gateway.receive(message, {"mcp-protocol-version": "2026-07-28"})
    world.turn()
    assert last(world)["code"] == -32602


def test_a_legacy_client_over_http_needs_no_such_headers() -> None:
    world = legacy(World(ALLOW_ALL))
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    world.gateway.receive(message, {"mcp-protocol-version": "2025-11-25"})
    world.turn()
    assert "tools" in last(world)


SCHEMA = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
REGIONAL = {**tool("query"), "inputSchema": SCHEMA}


@pytest.mark.parametrize(
    ("header", "served"),
    [({"mcp-param-region": "eu"}, True), ({"mcp-param-region": "us"}, False), ({}, False)],
)
def test_a_mirrored_argument_must_agree_with_its_header(header: dict[str, str], served: bool) -> None:
    world = World(ALLOW_ALL, {"one": [REGIONAL]})
    world.upstreams["one"].answers["query"] = text("hello")
    params = {"name": "query", "arguments": {"region": "eu"}}
    http(world, "tools/call", params, **header)
    assert ("content" in last(world)) is served
    assert served or last(world)["code"] == eras.HEADER_MISMATCH


@pytest.mark.parametrize("most", [1, 1000])
def test_what_is_mirrored_is_what_the_tool_was_listed_with_last(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path, "MOST_ANNOTATED", most)
    plain = {**tool("plain"), "inputSchema": {"type": "object"}}
    world = World(ALLOW_ALL, {"one": [REGIONAL, plain]})
    world.upstreams["one"].answers |= {"query": text("hello"), "plain": text("hello")}
    params = {"name": "query", "arguments": {"region": "eu"}}
    for _ in range(2):
        http(world, "tools/call", params)
        assert last(world)["code"] == eras.HEADER_MISMATCH
        http(world, "tools/call", {**params, "name": "plain"})
        assert "content" in last(world)
    world.upstreams["one"].tools = [{**tool("query"), "inputSchema": {"type": "object"}}, plain]
    world.gateway.notified("one", "notifications/tools/list_changed", {})
    world.turn()
    http(world, "tools/call", params)
    assert "content" in last(world)


def test_a_hidden_tool_is_not_shown_by_what_its_headers_lack() -> None:
    world = World("  - {id: r, effect: allow, tools: [other]}\n", {"one": [REGIONAL]})
    for name in ("query", "nope__"):
        http(world, "tools/call", {"name": name, "arguments": {"region": "eu"}})
        assert last(world) == {"code": -32602, "message": f"Unknown tool: {name}"}


def test_a_legacy_client_mirrors_no_argument() -> None:
    world = legacy(World(ALLOW_ALL, {"one": [REGIONAL]}))
    world.upstreams["one"].answers["query"] = text("hello")
    params = {"name": "query", "arguments": {"region": "eu"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    world.gateway.receive(message, {"mcp-protocol-version": "2025-11-25"})
    world.turn()
    assert last(world) == text("hello")


def test_only_arguments_of_tools_are_mirrored() -> None:
    world = World(ALLOW_ALL)
    offers(world, "one", prompts=[{"name": "p", "inputSchema": SCHEMA}])
    answers = {"p": {"messages": []}, "skills/list": {"skills": []}}
    world.upstreams["one"].answers |= answers
    http(world, "prompts/get", {"name": "p", "arguments": {"region": "eu"}})
    assert last(world)["messages"] == []
    http(world, "skills/list", {"region": "eu"})
    assert last(world)["skills"] == []


def test_without_headers_no_argument_is_compared() -> None:
    world = World(ALLOW_ALL, {"one": [REGIONAL]})
    world.upstreams["one"].answers["query"] = text("hello")
    modern(world, "tools/call", {"name": "query", "arguments": {"region": "eu"}})
    assert "content" in last(world)


# --- results --------------------------------------------------------------------------------------


def test_a_modern_result_is_complete_and_a_legacy_one_has_nothing_of_it() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].answers["read"] = text("hello")
    call(world, "read")
    info = {eras.SERVER_INFO_KEY: {"name": "mcpguard", "version": "0"}}
    assert last(world) == {**text("hello"), "resultType": "complete", "_meta": info}
    old = legacy(World(ALLOW_ALL))
    given = {**text("hello"), "resultType": "complete", "ttlMs": 1, "cacheScope": "public"}
    old.upstreams["one"].answers["read"] = given
    old.call("read")
    assert last(old) == text("hello")


@pytest.mark.parametrize("meta", [{"k": 1}, 3, {eras.SERVER_INFO_KEY: {"name": "theirs"}}])
def test_who_serves_is_said_beside_what_the_upstream_said(meta: Any) -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].answers["read"] = {**text("hello"), META: meta}
    call(world, "read")
    name = last(world)[META][eras.SERVER_INFO_KEY]["name"]
    assert name == ("theirs" if type(meta) is dict and eras.SERVER_INFO_KEY in meta else "mcpguard")
    assert meta == 3 or last(world)[META].items() >= meta.items()


def test_a_denied_call_of_a_modern_client_is_a_complete_result() -> None:
    rule = '  - {id: no, effect: deny, tools: [read], when: "args.a == 1"}\n'
    world = World(ALLOW_ALL + rule)
    call(world, "read")
    assert (last(world)["isError"], last(world)["resultType"]) == (True, "complete")
    assert last(world)[META]["mcpguard/decision"]["rules"] == ["p/no"]
