"""Cursors and URIs from which something would be removed work at the next call, by an alias."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpguard.core.secret import Secret
from mcpguard.gateway.inspection import handles as module
from mcpguard.gateway.inspection.handles import Handles
from mcpguard.gateway.inspection.inspector import INLINE_BYTES
from mcpguard.gateway.ports import RawAnswer
from tests.fakes import World, tool
from tests.gateway.scenes import ALL_CAPABILITIES, ALLOW_ALL, last, legacy, modern, offers, quiet

HELD = "tok-9f3Kq7Zx1Lm5Wb8e"
TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
URI = f"https://api.example.com/file?key={HELD}"
CURSOR = f"after:{TOKEN}"
UPDATED = "notifications/resources/updated"
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


def two(rules: str = ALLOW_ALL) -> World:
    """Two servers, of which `one` has a credential and lists a resource and a template."""
    world = World(rules, {"one": [tool("read")], "two": [tool("read")]})
    world.redactor.hold("env:one", Secret(HELD))
    offers(
        world,
        "one",
        resources=[{"uri": URI, "name": "file"}, {"uri": "x:plain", "name": "plain"}],
        resourceTemplates=[{"uriTemplate": "y://{+rest}", "name": "y"}],
        prompts=[{"name": "greet"}],
    )
    return world


class Client:
    """A client of either era; `send` gives what it is answered."""

    def __init__(self, world: World, era: str) -> None:
        self.world = world
        self.modern = era == "modern"
        self.number = 10
        if not self.modern:
            legacy(world, ALL_CAPABILITIES)

    def send(self, method: str, params: Any, answer: Any = None) -> Any:
        self.number += 1
        if self.modern:
            modern(self.world, method, params, self.number, capabilities=ALL_CAPABILITIES)
        else:
            self.world.send(method, params, self.number)
        if answer is not None:
            self.world.answer(answer)
        assert HELD not in repr((self.world.client.sent, self.world.reports, self.world.audit.records))
        assert TOKEN not in repr((self.world.client.sent, self.world.reports, self.world.audit.records))
        return last(self.world)

    def call(self, server: str = "one", answer: Any = None, **arguments: Any) -> Any:
        params = {"name": f"{server}__read", "arguments": arguments}
        return self.send("tools/call", params, {"content": []} if answer is None else answer)

    def sent(self, server: str = "one") -> Any:
        """The params of what that server got last."""
        return self.world.upstreams[server].requests[-1].invocation.params


def client(era: str, world: World | None = None) -> Client:
    made = Client(two() if world is None else world, era)
    made.send("tools/list", {})
    quiet(made.world)
    return made


@ERAS
def test_a_cursor_in_a_structured_result_works_at_the_next_call(era: str) -> None:
    one = client(era)
    said = {"items": [TOKEN], "page": {"nextCursor": CURSOR}, "next_cursor": None, "cursor": "plain"}
    text = json.dumps(said, indent=2)
    result = one.call(answer={"content": [{"type": "text", "text": text}], "structuredContent": said})
    alias = result["structuredContent"]["page"]["nextCursor"]
    assert alias.startswith("cursor-")
    assert result["structuredContent"] == {
        "items": ["[REDACTED:github-token#1]"],
        "page": {"nextCursor": alias},
        "next_cursor": None,
        "cursor": "plain",
    }
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    one.call(page={"after": [alias, "x"]}, n=1)
    assert one.sent()["arguments"] == {"page": {"after": [CURSOR, "x"]}, "n": 1}


@ERAS
def test_a_cursor_in_a_text_that_is_json_works_too(era: str) -> None:
    one = client(era)
    text = json.dumps({"rows": [1, TOKEN], "endCursor": CURSOR}, separators=(",", ":"))
    result = one.call(answer={"content": [{"type": "text", "text": text}]})
    said = json.loads(result["content"][0]["text"])
    assert said == {"rows": [1, "[REDACTED:github-token#1]"], "endCursor": said["endCursor"]}
    one.call(cursor=said["endCursor"])
    assert one.sent()["arguments"] == {"cursor": CURSOR}


def test_the_same_cursor_has_the_same_alias() -> None:
    one = client("legacy")
    answer = {"content": [], "structuredContent": {"nextCursor": CURSOR, "cursor": CURSOR}}
    first, second = (one.call(answer=answer)["structuredContent"] for _ in range(2))
    assert first == second
    assert first["nextCursor"] == first["cursor"]


@pytest.mark.parametrize("text", ["{", f"see {CURSOR}", f'["{TOKEN}"]', json.dumps({"a": TOKEN})])
def test_other_texts_are_left_as_they_were_inspected(text: str) -> None:
    one = client("legacy")
    result = one.call(answer={"content": [{"type": "text", "text": text}]})
    assert "cursor-" not in repr(result)
    assert "mcpguard://" not in repr(result)


@ERAS
def test_a_presigned_url_in_a_text_stays_redacted(era: str) -> None:
    one = client(era)
    result = one.call(
        answer={"content": [{"type": "text", "text": f"get {URI}"}], "structuredContent": {"uri": URI}}
    )
    assert (
        result["content"][0]["text"] == "get https://api.example.com/file?key=[REDACTED:credential:env:one#1]"
    )
    assert "mcpguard://" not in repr(result)


@ERAS
def test_a_listed_resource_is_read_by_its_alias(era: str) -> None:
    one = client(era)
    listed = {entry["name"]: entry["uri"] for entry in one.send("resources/list", {})["resources"]}
    assert listed["plain"] == "x:plain"
    alias = listed["file"]
    assert alias.startswith("mcpguard://resource/")
    result = one.send("resources/read", {"uri": alias}, {"contents": [{"uri": URI, "text": "hello"}]})
    assert one.sent() == {"uri": URI}
    assert result["contents"] == [{"uri": alias, "text": "hello"}]
    decided = [
        record for record in one.world.audit.records if getattr(record, "method", "") == "resources/read"
    ]
    assert decided[-1].subject == "https://api.example.com/file?key=[REDACTED:credential:env:one#1]"


@ERAS
def test_a_policy_decides_on_the_real_uri(era: str) -> None:
    rules = (
        "  - {id: t, effect: allow}\n"
        "  - {id: r, effect: allow, action: [resources/read],"
        " when: resource.uri.startsWith('https://api.example.com/')}\n"
    )
    one = client(era, two(rules))
    (entry,) = one.send("resources/list", {})["resources"]
    one.send("resources/read", {"uri": entry["uri"]}, {"contents": []})
    assert one.sent() == {"uri": URI}


@ERAS
@pytest.mark.parametrize(
    "block",
    [
        {"type": "resource_link", "uri": f"y://{TOKEN}", "name": "y"},
        {"type": "resource", "resource": {"uri": f"y://{TOKEN}", "text": "t"}},
    ],
)
def test_a_link_in_a_result_or_a_prompt_can_be_followed(era: str, block: Any) -> None:
    one = client(era)
    first = one.call(answer={"content": [block]})["content"][0]
    message = {"role": "user", "content": block}
    again = one.send("prompts/get", {"name": "one__greet"}, {"messages": [message]})["messages"][0]["content"]
    alias = (first.get("resource") or first)["uri"]
    assert alias == (again.get("resource") or again)["uri"]
    one.send("resources/read", {"uri": alias}, {"contents": []})
    assert one.sent() == {"uri": f"y://{TOKEN}"}


@ERAS
def test_an_alias_is_worth_nothing_at_another_server(era: str) -> None:
    one = client(era)
    alias = one.call(answer={"content": [], "structuredContent": {"cursor": CURSOR}})["structuredContent"][
        "cursor"
    ]
    one.send("tools/call", {"name": "two__read", "arguments": {"cursor": alias}})
    assert one.sent("two")["arguments"] == {"cursor": alias}


def test_an_alias_of_a_resource_that_is_another_servers_by_now_is_unknown() -> None:
    one = client("legacy")
    alias = one.world.scope.handles.uri("two", "y://z")
    assert one.send("resources/read", {"uri": alias})["message"] == "Resource not found"
    assert (
        one.send("resources/read", {"uri": "mcpguard://resource/000000-9"})["message"] == "Resource not found"
    )


def test_an_alias_of_another_connection_is_unknown() -> None:
    mine, other = Handles(), Handles()
    alias = mine.uri("one", URI)
    assert alias is not None
    assert mine.of(alias) == ("one", URI)
    assert other.uri("one", "x") != alias
    assert other.of(alias) is None


def test_a_legacy_client_subscribes_by_an_alias_and_hears_of_it() -> None:
    one = client("legacy")
    alias = next(
        entry["uri"] for entry in one.send("resources/list", {})["resources"] if entry["name"] == "file"
    )
    one.send("resources/subscribe", {"uri": alias}, {})
    assert one.sent() == {"uri": URI}
    quiet(one.world)
    one.world.gateway.notified("one", UPDATED, {"uri": URI})
    one.world.turn()
    assert one.world.client.sent[-1]["params"] == {"uri": alias}
    one.send("resources/unsubscribe", {"uri": alias})
    assert one.sent() == {"uri": URI}
    quiet(one.world)
    one.world.gateway.notified("one", UPDATED, {"uri": URI})
    one.world.turn()
    assert one.world.client.sent == []


def test_a_modern_client_subscribes_by_an_alias_and_hears_of_it() -> None:
    one = client("modern")
    listed = one.send("resources/list", {})["resources"]
    alias = next(entry["uri"] for entry in listed if entry["name"] == "file")
    gone = one.world.scope.handles.uri("two", "x:plain")
    one.world.upstreams["one"].answers["resources/subscribe"] = {}
    quiet(one.world)
    modern(one.world, "subscriptions/listen", {"notifications": {"resourceSubscriptions": [alias, gone]}}, 99)
    acknowledged = one.world.client.sent[-1]["params"]["notifications"]
    assert acknowledged == {"resourceSubscriptions": [alias]}
    one.world.gateway.notified("one", UPDATED, {"uri": URI})
    one.world.turn()
    assert one.world.client.sent[-1]["params"]["uri"] == alias
    assert HELD not in repr(one.world.client.sent)


def test_a_held_value_of_another_server_in_a_handle_goes_nowhere() -> None:
    world = two()
    world.redactor.hold("env:two", Secret("key-2b7Yt4Rv6Np0Sc3d"))
    one = client("legacy", world)
    said = {"cursor": "x key-2b7Yt4Rv6Np0Sc3d"}
    alias = one.call(answer={"content": [], "structuredContent": said})["structuredContent"]["cursor"]
    refused = one.send("tools/call", {"name": "one__read", "arguments": {"cursor": alias}})
    assert "a credential that is not for this server" in refused["content"][0]["text"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    handles = Handles()
    first, second = handles.uri("one", "a"), handles.uri("one", "b")
    assert handles.uri("one", "a") == first
    third = handles.uri("one", "c")
    assert [handles.of(str(one)) for one in (first, second, third)] == [("one", "a"), None, ("one", "c")]
    assert handles.uri("one", "x" * (module.LONGEST + 1)) is None
    handles.forget(frozenset({"two"}))
    assert handles.of(str(first)) is None
    assert handles.restored("one", [first]) == [first]


def test_what_is_too_long_stays_redacted() -> None:
    one = client("legacy")
    long = TOKEN + "x " * module.LONGEST
    result = one.call(answer={"content": [], "structuredContent": {"cursor": long}, "nextCursor": TOKEN})
    assert result["structuredContent"]["cursor"].startswith("[REDACTED:")
    assert result["nextCursor"].startswith("cursor-")


@pytest.mark.parametrize("structured", [False, True])
def test_a_big_result_gets_aliases_too(structured: bool) -> None:
    one = client("legacy")
    one.number += 1
    one.world.send("tools/call", {"name": "one__read", "arguments": {}}, one.number)
    wait, _ = one.world.upstreams["one"].held.pop(0)
    block = {"type": "resource_link", "uri": f"y://{TOKEN}", "name": "y"}
    result = {"content": [block], **({"structuredContent": {"cursor": CURSOR}} if structured else {})}
    wait.set(RawAnswer({"id": 1, "result": result}, INLINE_BYTES + 1))
    one.world.turn()
    found = last(one.world)
    assert found["content"][0]["uri"].startswith("mcpguard://resource/")
    assert not structured or found["structuredContent"]["cursor"].startswith("cursor-")


def test_names_of_members_and_other_values_are_no_handles() -> None:
    handles = Handles()
    before = {"a": {"cursor": 5, TOKEN: [TOKEN]}, "text": 1}
    after: Any = {"a": {"cursor": "[R]", "[R]": ["[R]"]}, "text": 1}
    assert handles.aliased("one", before, after) is after
    assert handles.aliased("one", {"text": '{"a": 1}'}, odd := {"text": '{"a": [1], "b": 2}'}) is odd
    assert handles.aliased("one", {"text": "[1]"}, odd := {"text": "[1, 2]"}) is odd


def test_a_completion_for_a_resource_is_asked_for_by_its_alias() -> None:
    one = client("legacy")
    alias = one.world.scope.handles.uri("one", "y://z")
    ref = {"type": "ref/resource", "uri": alias}
    one.send(
        "completion/complete", {"ref": ref, "argument": {"name": "rest", "value": ""}}, {"completion": {}}
    )
    assert one.sent()["ref"] == {"type": "ref/resource", "uri": "y://z"}


@ERAS
def test_a_rule_against_secrets_lets_a_handle_back_to_its_server_and_nothing_else(era: str) -> None:
    rules = ALLOW_ALL + (
        "  - {id: d, effect: deny, action: ['*'], when: 'has(args.uri) && args.uri == \"y://no\""
        ' || detect(args, "secret") != []\'}\n'
    )
    one = client(era, two(rules))
    said = {"cursor": CURSOR, "next_cursor": f"{CURSOR} {HELD}"}
    made = one.call(answer={"content": [], "structuredContent": said})["structuredContent"]
    for alias in made.values():
        one.call(page={"after": [alias]})
    assert one.sent()["arguments"] == {"page": {"after": [said["next_cursor"]]}}
    link = {"type": "resource_link", "uri": f"y://{TOKEN}", "name": "y"}
    uri = one.call(answer={"content": [link]})["content"][0]["uri"]
    one.send("resources/read", {"uri": uri}, {"contents": []})
    assert one.sent() == {"uri": link["uri"]}
    for arguments in ({"cursor": made["cursor"], "more": TOKEN}, {"cursor": TOKEN}, {"n": [1, TOKEN]}):
        before = len(one.world.upstreams["one"].requests)
        params = {"name": "one__read", "arguments": arguments}
        modern(one.world, "tools/call", params, 90) if one.modern else one.world.send(
            "tools/call", params, 90
        )
        assert last(one.world)["isError"]
        assert len(one.world.upstreams["one"].requests) == before
