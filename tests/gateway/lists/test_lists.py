"""Lists of every kind: merged, filtered, inspected, kept fresh, and in the form of the client's era."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError, UpstreamError
from mcpguard.core.evidence.bounds import MINUTES, BoundTerms, EvidenceRoom
from mcpguard.core.evidence.records import Outcome
from mcpguard.core.model import Json, Redacted
from mcpguard.core.policy import visibility
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.inspection.inspector import INLINE_BYTES
from mcpguard.gateway.lists import fetching, listing
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.protocol.jsonrpc import ordered
from tests.fakes import GONE, SECRET, World, give, text, tool
from tests.gateway.scenes import ALLOW_ALL, deep, last, legacy, modern, offers, put_in_force, quiet, two

pytestmark = pytest.mark.anyio

PROMPT = {"name": "greet", "description": "says hello"}
FILE = {"uri": "file:///a", "name": "a"}
FILES = {"uriTemplate": "file:///{+path}", "name": "files"}

KINDS = [
    ("tools/list", "tools", "name", tool("x")),
    ("prompts/list", "prompts", "name", PROMPT),
    ("resources/list", "resources", "uri", FILE),
    ("resources/templates/list", "resourceTemplates", "uriTemplate", FILES),
]
each_kind = pytest.mark.parametrize(("method", "key", "id_key", "entry"), KINDS)


def lists(world: World, server: str, key: str, entries: list[Any]) -> None:
    if key == "tools":
        world.upstreams[server].tools = entries
    else:
        offers(world, server, **{key: entries})


@each_kind
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_each_kind_is_listed_from_every_server_in_their_order(
    method: str, key: str, id_key: str, entry: Any, era: str
) -> None:
    world = two()
    other = {**entry, id_key: entry[id_key] + "2"}
    lists(world, "a", key, [entry, other])
    lists(world, "b", key, [entry])
    if era == "modern":
        modern(world, method)
    else:
        legacy(world).send(method, {}, 1)
    names = [one[id_key] for one in last(world)[key]]
    if id_key == "name":
        assert names == [f"a__{entry['name']}", f"a__{entry['name']}2", f"b__{entry['name']}"]
    else:
        assert names == [entry[id_key], entry[id_key] + "2"]


@each_kind
def test_who_lists_without_end_gets_what_was_listed_before(
    method: str, key: str, id_key: str, entry: Any
) -> None:
    world = legacy(World(ALLOW_ALL, {"one": [], "two": []}, room=EvidenceRoom(BoundTerms(refusals=1))))
    lists(world, "one", key, [entry])
    for n in range(20):
        world.send(method, {}, n + 1)
        (listed,) = last(world)[key]
        assert listed[id_key].endswith(entry[id_key])
    # The first time is always one too many: nothing is known before.
    assert len([one for one in world.audit.records if getattr(one, "server", "")]) == 2 * (MINUTES + 1)
    assert len(world.upstreams["one"].requests) == MINUTES + 1
    lists(world, "one", key, [])
    world.clock.wind(60)
    world.send(method, {}, 99)
    assert last(world)[key] == []


def test_a_server_that_fails_is_asked_no_more_often_and_the_client_gets_its_failure() -> None:
    world = legacy(World(ALLOW_ALL, room=EvidenceRoom(BoundTerms(refusals=1))))
    world.upstreams["one"].down = "upstream 'one' has ended"
    for n in range(20):
        world.send("tools/list", {}, n + 1)
        assert "upstream 'one' has ended" in last(world)["message"]
        world.send("tools/call", {"name": "read"}, n + 100)
        assert "upstream 'one' has ended" in str(last(world))
    assert len([one for one in world.audit.records if getattr(one, "server", "")]) == MINUTES + 1


@each_kind
def test_a_legacy_list_has_nothing_of_the_modern_era(method: str, key: str, id_key: str, entry: Any) -> None:
    world = legacy(World(ALLOW_ALL, {"one": []}))
    lists(world, "one", key, [entry])
    world.send(method, {}, 1)
    assert last(world) == {key: [entry]}


@each_kind
def test_a_modern_list_is_complete_private_and_names_who_serves(
    method: str, key: str, id_key: str, entry: Any
) -> None:
    world = World(ALLOW_ALL, {"one": []})
    lists(world, "one", key, [entry])
    modern(world, method)
    assert last(world) == {
        key: [entry],
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "mcpguard", "version": "0"}},
    }


@each_kind
def test_a_secret_in_what_is_listed_is_gone_and_an_entry_named_by_one_too(
    method: str, key: str, id_key: str, entry: Any
) -> None:
    world = World(ALLOW_ALL, {"one": []})
    leaking = {**entry, "description": f"use {SECRET}", "_meta": {SECRET: [SECRET]}}
    lists(world, "one", key, [leaking, {**entry, id_key: f"x{SECRET}"}])
    modern(world, method)
    shown = [one[id_key] for one in last(world)[key]]
    # A resource is found by what stands for its URI.
    assert [one for one in shown if not one.startswith("mcpguard://resource/")] == [entry[id_key]]
    assert len(shown) == (2 if id_key == "uri" else 1)
    assert SECRET not in str(world.client.sent + world.reports + world.audit.records)
    assert "value(s) removed" in " ".join(world.reports)


@each_kind
def test_a_list_that_cannot_be_inspected_is_not_shown(method: str, key: str, id_key: str, entry: Any) -> None:
    world = World(ALLOW_ALL, {"one": []})
    lists(world, "one", key, [{**entry, "_meta": deep()}])
    modern(world, method)
    assert world.client.sent[0]["error"]["code"] == -31000
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]


def test_a_list_is_withheld_where_all_servers_together_are_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ALLOW_ALL, {"one": [tool("x")]})
    seal = world.inspector.seal

    def sealed(value: Json, size: int, **of: Any) -> Any:
        if not of:
            raise InspectionError("more than 9 hits in 100 bytes")
        return seal(value, size, **of)

    monkeypatch.setattr(world.inspector, "seal", sealed)
    modern(world, "tools/list")
    said = world.client.sent[0]["error"]
    assert said["message"] == (
        "The answer was withheld by mcpguard: more than 9 hits in 100 bytes. A smaller answer may pass. "
        f"A person can see why with `mcpguard explain {said['data']['invocation']}`."
    )
    assert world.trace[-2:] == ["outcome withheld", "refuse 1"]


def test_a_list_that_is_cancelled_while_it_is_inspected_leaves_an_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(ALLOW_ALL, {"one": [tool("x")]})
    seal = world.inspector.seal

    async def sealed(value: Json, size: int, **of: Any) -> Any:
        return await (seal(value, size, **of) if of else Wait())

    monkeypatch.setattr(world.inspector, "seal", sealed)
    modern(world, "tools/list", None, 5)
    world.send("notifications/cancelled", {"requestId": 5})
    assert "outcome cancelled" in world.trace
    assert world.client.sent == []


@pytest.mark.parametrize(
    ("method", "key", "id_key", "rule"),
    [
        ("prompts/list", "prompts", "name", "action: [prompts/get], when: \"prompt.name == 'greet'\""),
        (
            "resources/list",
            "resources",
            "uri",
            "action: [resources/read], when: \"resource.uri == 'file:///a'\"",
        ),
        (
            "resources/templates/list",
            "resourceTemplates",
            "uriTemplate",
            "action: [resources/read], when: \"resource.uri == 'file:///{+path}'\"",
        ),
    ],
)
def test_a_list_shows_only_what_policy_lets_the_principal_reach(
    method: str, key: str, id_key: str, rule: str
) -> None:
    world = World(f"  - {{id: r, effect: allow, {rule}}}\n", {"one": []})
    entry = next(one for name, _, _, one in KINDS if name == method)
    lists(world, "one", key, [entry, {**entry, id_key: "file:///other"}])
    modern(world, method)
    assert [one[id_key] for one in last(world)[key]] == [entry[id_key]]


def test_freshness_is_that_of_the_least_fresh_page_and_server() -> None:
    world = two()
    for server, ttl in (("a", 5000), ("b", 300)):
        world.upstreams[server].answers["tools/list"] = {"tools": [], "ttlMs": ttl}
    modern(world, "tools/list")
    assert last(world)["ttlMs"] == 300
    world.upstreams["b"].answers["tools/list"] = {"tools": [], "ttlMs": "soon"}
    modern(world, "tools/list")
    assert last(world)["ttlMs"] == 0


@each_kind
def test_every_page_is_fetched_with_the_cursor_that_the_server_gave(
    method: str, key: str, id_key: str, entry: Any
) -> None:
    world = World(ALLOW_ALL, {"one": []})
    upstream = world.upstreams["one"]
    pages = {None: {key: [entry], "nextCursor": "2"}, "2": {key: [{**entry, id_key: "file:///b"}]}}
    seen: list[Any] = []

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        seen.append(permit.invocation.params.get("cursor"))
        wait: Wait[Any] = Wait()
        give(wait, pages[seen[-1]])
        return wait

    upstream.request = request  # type: ignore[method-assign]
    modern(world, method)
    assert seen == [None, "2"]
    assert [one[id_key] for one in last(world)[key]] == [entry[id_key], "file:///b"]
    assert "nextCursor" not in last(world)


@pytest.mark.parametrize(
    ("kind", "most"), [("resources", "MAX_ENTRIES"), ("resourceTemplates", "MAX_TEMPLATES")]
)
@pytest.mark.parametrize("pages", [1, 2])
def test_more_entries_than_the_limit_are_refused_on_one_page_too(
    monkeypatch: pytest.MonkeyPatch, kind: str, most: str, pages: int
) -> None:
    monkeypatch.setattr(fetching, most, 2)
    world = World(ALLOW_ALL, {"one": []})
    key = "uri" if kind == "resources" else "uriTemplate"
    left = [{"nextCursor": "2"}, {}][-pages:]
    upstream = world.upstreams["one"]

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        wait: Wait[Any] = Wait()
        entries = [{key: f"x:{len(left)}{number}", "name": "x"} for number in range(4 - pages)]
        give(wait, {kind: entries, **left.pop(0)})
        return wait

    upstream.request = request  # type: ignore[method-assign]
    modern(world, "resources/list" if kind == "resources" else "resources/templates/list")
    assert last(world)["code"] == -31000
    assert (
        f"lists more than 2 {kind[:-1].removeprefix('resource').lower() or 'resource'}s"
        in last(world)["message"]
    )


@each_kind
def test_a_cursor_that_we_never_gave_is_refused(method: str, key: str, id_key: str, entry: Any) -> None:
    world = World(ALLOW_ALL)
    modern(world, method, {"cursor": "x"})
    assert last(world)["code"] == -32602
    assert world.upstreams["one"].requests == []


@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "resources/templates/list"])
def test_a_server_that_does_not_declare_a_kind_is_not_asked_for_it(method: str) -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].capabilities = {"tools": {}}
    modern(world, method)
    assert world.upstreams["one"].requests == []
    assert world.client.sent[0]["result"]["resultType"] == "complete"


def test_a_server_that_declares_no_tools_is_asked_and_may_refuse() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].capabilities = None
    world.upstreams["one"].answers["tools/list"] = {"error": {"code": -32601, "message": "no"}}
    modern(world, "tools/list")
    assert last(world)["tools"] == []


def test_a_server_with_resources_and_no_templates_may_say_so() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].lists["resources/templates/list"] = {"error": {"code": -32601, "message": "no"}}
    modern(world, "resources/templates/list")
    assert last(world)["resourceTemplates"] == []


def test_a_list_that_is_cancelled_leaves_an_outcome() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].request = lambda *_: Wait()  # type: ignore[method-assign]
    modern(world, "tools/list", None, 5)
    world.send("notifications/cancelled", {"requestId": 5})
    assert "outcome cancelled" in world.trace
    assert world.client.sent == []


async def test_a_defect_while_a_list_is_read_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ALLOW_ALL)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("mcpguard.protocol.catalogue.Catalogue.replace", broken)
    defects: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
    modern(world, "tools/list")
    assert len(defects) == 1
    assert last(world)["message"] == "upstream 'one' could not be listed"
    monkeypatch.undo()
    modern(world, "tools/list", None, 2)
    assert len(last(world)["tools"]) == 3


CHANGES = [
    ("notifications/tools/list_changed", ["tools/list"]),
    ("notifications/prompts/list_changed", ["prompts/list"]),
    ("notifications/resources/list_changed", ["resources/list", "resources/templates/list"]),
]


@pytest.mark.parametrize(("method", "fetched"), CHANGES)
def test_a_change_of_each_kind_is_fetched_and_then_told(method: str, fetched: list[str]) -> None:
    world = legacy(World(ALLOW_ALL))
    world.gateway.notified("one", method, {"_meta": {SECRET: 1}})
    world.turn()
    assert [permit.invocation.method for permit in world.upstreams["one"].requests] == fetched
    assert world.client.sent == [{"method": method, "params": {}}]


def test_a_flood_of_changes_is_not_a_flood_of_fetches() -> None:
    world = World(ALLOW_ALL).listed()
    world.clock.slow = True
    for fetched in (1, 2):
        for _ in range(100):
            world.gateway.notified("one", "notifications/tools/list_changed", {})
            world.turn()
        assert world.trace.count("request tools/list") == fetched - 1
        world.clock.ring()
        world.turn()
        world.turn()
        assert world.trace.count("request tools/list") == fetched
    assert world.clock.alarms == []


def test_a_change_reaches_a_modern_client_only_through_a_subscription() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    quiet(world)
    world.gateway.notified("one", "notifications/tools/list_changed", {})
    world.turn()
    assert world.client.sent == []


def test_what_is_gone_from_a_list_cannot_be_used_any_more() -> None:
    world = World(ALLOW_ALL)
    offers(world, "one", prompts=[PROMPT])
    world.upstreams["one"].answers["greet"] = {"messages": []}
    modern(world, "prompts/get", {"name": "greet"})
    assert last(world)["messages"] == []
    offers(world, "one", prompts=[])
    world.gateway.notified("one", "notifications/prompts/list_changed", {})
    world.turn()
    modern(world, "prompts/get", {"name": "greet"})
    assert last(world) == {"code": -32602, "message": "Unknown prompt: greet"}


def test_a_server_that_is_gone_keeps_its_old_entries_and_takes_nothing_from_the_others() -> None:
    world = two()
    offers(world, "a", prompts=[PROMPT])
    offers(world, "b", prompts=[PROMPT])
    modern(world, "prompts/list")
    world.upstreams["a"].answers["prompts/list"] = GONE
    modern(world, "prompts/list")
    assert [one["name"] for one in last(world)["prompts"]] == ["a__greet", "b__greet"]
    for server in ("a", "b"):
        world.upstreams[server].answers["prompts/list"] = UpstreamError(f"upstream '{server}' has ended")
    modern(world, "prompts/list")
    assert last(world)["message"] == "upstream 'a' has ended; upstream 'b' has ended"


def test_an_error_instead_of_a_list_is_told_as_the_server_says_it_inspected_and_short() -> None:
    world = World(ALLOW_ALL).greeted()
    said = {"code": -32603, "message": f"no\ndatabase for {SECRET} " + "x" * 1000}
    world.upstreams["one"].answers["tools/list"] = {"error": said}
    world.send("tools/list", {}, 1)
    message = last(world)["message"]
    assert message.startswith("upstream 'one' answered tools/list with error -32603: no database for ")
    assert SECRET not in message
    assert len(message) < 400
    assert world.audit.records[-1].status == "unavailable"


# --- a server that was started anew --------------------------------------------------------------------


def test_after_a_new_life_a_list_that_is_another_one_is_told_and_in_force() -> None:
    world = World(ALLOW_ALL).listed()
    world.upstreams["one"].tools = [tool("read"), tool("fresh")]
    world.gateway.renewed("one")
    world.turn()
    assert [sent["method"] for sent in world.client.sent] == ["notifications/tools/list_changed"]
    assert world.trace.count("request tools/list") == 1
    assert "request prompts/list" not in world.trace  # Nobody has asked for that list yet.
    world.call("fresh")
    assert world.trace[-1] == "request fresh"


def test_after_a_new_life_the_same_list_is_nothing_to_tell() -> None:
    world = World(ALLOW_ALL).listed()
    world.gateway.renewed("one")
    world.turn()
    assert world.trace.count("request tools/list") == 1
    assert world.client.sent == []


def test_after_a_new_life_a_modern_client_is_told_through_its_subscription_only() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    quiet(world)
    world.upstreams["one"].tools = []
    world.gateway.renewed("one")
    world.turn()
    assert world.client.sent == []
    modern(world, "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, 9)
    quiet(world)
    world.upstreams["one"].tools = [tool("fresh")]
    world.gateway.renewed("one")
    world.turn()
    assert [sent["method"] for sent in world.client.sent] == ["notifications/tools/list_changed"]
    assert world.client.related == [9]


def test_a_list_that_cannot_be_fetched_after_a_new_life_is_reported_and_stays() -> None:
    world = World(ALLOW_ALL).listed()
    world.upstreams["one"].answers["tools/list"] = GONE
    world.gateway.renewed("one")
    world.turn()
    assert world.reports == [f"one: {GONE}"]
    assert world.client.sent == []
    world.call("read")
    assert world.trace[-1] == "request read"


def test_nobody_is_told_of_a_new_life_before_the_client_has_said_hello() -> None:
    world = World(ALLOW_ALL)
    world.gateway.renewed("one")
    world.turn()
    assert world.trace == []


TIMELESS = '  - {id: all, effect: allow, when: tool.name != "hidden"}\n'


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tools whose visibility is decided from now on."""
    decided: list[str] = []
    decide = visibility.visible

    def visible(policies: Any, invocation: Any) -> bool:
        decided.append(invocation.target.name)
        return decide(policies, invocation)

    monkeypatch.setattr(visibility, "visible", visible)
    return decided


def shown(world: World) -> list[str]:
    world.send("tools/list", {}, 1)
    return [one["name"] for one in last(world)["tools"]]


def test_what_a_client_may_see_is_decided_once_for_as_long_as_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = legacy(World(TIMELESS, {"one": [tool("a"), tool("hidden")]}))
    decided = counted(monkeypatch)
    assert [shown(world), shown(world)] == [["a"], ["a"]]
    assert decided == ["a", "hidden"]
    world.upstreams["one"].tools = [{**tool("a"), "title": "new"}, tool("hidden"), tool("b")]
    assert shown(world) == ["a", "b"]
    assert decided == ["a", "hidden", "a", "b"]
    put_in_force(world, TIMELESS.replace("hidden", "a"))
    assert shown(world) == ["hidden", "b"]


@pytest.mark.parametrize(
    "rules",
    [
        TIMELESS.replace('tool.name != "hidden"', 'now > timestamp("2020-01-01T00:00:00Z")'),
        f"{TIMELESS}expires: 2099-01-01\n",
    ],
)
def test_what_depends_on_time_is_decided_each_time(rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = legacy(World(rules, {"one": [tool("a")]}))
    decided = counted(monkeypatch)
    assert [shown(world), shown(world)] == [["a"], ["a"]]
    assert decided == ["a", "a"]


def test_only_so_much_is_remembered_of_what_a_client_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_VISIBLE", 1)
    world = legacy(World(TIMELESS, {"one": [tool("a"), tool("b")]}))
    decided = counted(monkeypatch)
    assert [shown(world), shown(world)] == [["a", "b"], ["a", "b"]]
    assert decided == ["a", "b", "a", "b"]


def inspections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the lists that are inspected from now on."""
    found: list[str] = []
    inspect = Redactor.inspect

    def counting(self: Redactor, value: Any, *rest: Any, **more: Any) -> Redacted:
        if isinstance(value, dict):
            found.extend(key for key in value if key.endswith("s") and key != "ttlMs")
        return inspect(self, value, *rest, **more)

    monkeypatch.setattr(Redactor, "inspect", counting)
    return found


@each_kind
def test_a_list_is_inspected_once_for_as_long_as_nothing_changes(
    method: str, key: str, id_key: str, entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(ALLOW_ALL, {"one": []})
    lists(world, "one", key, [entry])
    inspected = inspections(monkeypatch)
    for _ in range(3):
        modern(world, method)
        assert [one[id_key] for one in last(world)[key]] == [entry[id_key]]
    assert inspected == [key, key]
    lists(world, "one", key, [{**entry, "title": "new"}])
    modern(world, method)
    assert last(world)[key][0]["title"] == "new"
    assert inspected == [key] * 4


def test_a_value_that_comes_to_be_held_is_gone_from_a_list_that_did_not_change() -> None:
    later = "held-later-4711-xyz"
    world = legacy(World(ALLOW_ALL, {"one": [{**tool("a"), "description": f"use {later}"}]}))
    assert shown(world) == ["a"]
    assert later in str(last(world))
    world.redactor.hold("later", Secret(later))
    assert shown(world) == ["a"]
    assert later not in str(last(world))


def test_a_list_with_another_freshness_says_so() -> None:
    world = World(ALLOW_ALL, {"one": [tool("a")]})
    for ttl in (1000, 2000):
        world.upstreams["one"].answers["tools/list"] = {"tools": [tool("a")], "ttlMs": ttl}
        modern(world, "tools/list")
        assert last(world)["ttlMs"] == ttl


def test_each_list_leaves_its_own_evidence_though_it_is_inspected_once() -> None:
    world = legacy(World(ALLOW_ALL, {"one": [tool("a")]}))
    for _ in range(2):
        shown(world)
    outcomes = [one for one in world.audit.records if isinstance(one, Outcome)][-4:]
    assert len({one.id for one in outcomes}) == 4
    assert [one.result for one in outcomes[:2]] == [one.result for one in outcomes[2:]]


def test_a_big_list_is_inspected_once_too() -> None:
    big = [{**tool(f"t{number}"), "description": "x" * 2000} for number in range(40)]
    world = legacy(World(ALLOW_ALL, {"one": big}))
    assert len(shown(world)) == len(shown(world)) == 40


async def test_what_is_done_with_much_is_done_elsewhere() -> None:
    inspector = World(ALLOW_ALL).inspector
    assert await inspector.apart(lambda: "done", INLINE_BYTES + 1) == "done"
    assert inspector.waiting == 0


SAID = "A person is asked to approve each call."
ASKED = (
    "  - {id: push, effect: ask, tools: [push]}\n"
    "  - {id: big, effect: ask, tools: [write], when: args.size > 9}\n"
    "  - {id: some, effect: allow, tools: [read, write]}\n"
    "  - {id: late, effect: ask, tools: [late], when: args.size > 9}\n"
    "  - {id: both, effect: ask, tools: [both]}\n"
    "  - {id: of-both, effect: allow, tools: [both, ahead]}\n"
    "  - {id: ahead, effect: ask, tools: [ahead]}\n"
    "  - {id: in-advance, effect: allow, tools: [ahead], when: args.size < 3, approves: [p/ahead]}\n"
    "  - {id: trial, effect: ask, mode: shadow, tools: [read]}\n"
)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_tool_whose_calls_all_need_an_approval_says_so(era: str) -> None:
    tools = [*map(tool, ("read", "write", "push", "late", "both", "ahead")), {"name": "push2"}]
    world = World(ASKED.replace("[push]", "[push, push2]"), {"one": tools})
    if era == "legacy":
        legacy(world).send("tools/list", {}, 1)
    else:
        modern(world, "tools/list", {}, 1)
    said = {one["name"]: one["description"] for one in last(world)["tools"]}
    assert said == {
        "read": "does read",
        "write": "does write",
        "push": f"does push\n\n{SAID}",
        "late": f"does late\n\n{SAID}",
        "both": f"does both\n\n{SAID}",
        "ahead": "does ahead",
        "push2": SAID,
    }


def test_what_rules_and_approvals_know_of_such_a_tool_is_what_its_server_listed() -> None:
    rules = "  - {id: r, effect: ask, tools: [push], when: tool.description == 'does push'}\n"
    world = legacy(World(rules, approvals=ApprovalTerms(0.0, 900.0)))
    world.upstreams["one"].answers["push"] = text("pushed")
    world.send("tools/list", {}, 1)
    (entry,) = last(world)["tools"]
    assert entry["description"] == f"does push\n\n{SAID}"
    world.call("push", 2)
    (ticket,) = world.store.tickets.values()
    assert ticket.definition == sha256(ordered(tool("push"))).hexdigest()
    assert ticket.rules == ("p/r",)


def test_policies_that_ask_from_now_on_change_the_list() -> None:
    world = legacy(World(ALLOW_ALL, {"one": [tool("push")]}))
    world.send("tools/list", {}, 1)
    quiet(world)
    put_in_force(world, f"{ALLOW_ALL}  - {{id: ask, effect: ask}}\n")
    assert [one.get("method") for one in world.client.sent] == ["notifications/tools/list_changed"]
    world.send("tools/list", {}, 2)
    assert last(world)["tools"][0]["description"] == f"does push\n\n{SAID}"
