"""Resources: read from the server that offers them, decided, inspected, and never from another one."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from mcpguard.gateway.flight import Wait
from tests.fakes import GONE, SECRET, World, give
from tests.gateway.scenes import ALLOW_ALL, deep, last, legacy, methods_of, modern, offers, two
from tests.rows import each

READ = "resources/read"
FILE = {"uri": "file:///a", "name": "a"}
CONTENTS = {"contents": [{"uri": "file:///a", "text": "hello"}]}
ONLY_A = "  - {id: a, effect: allow, action: [resources/read], when: \"resource.uri == 'file:///a'\"}\n"


def serving(rules: str = ALLOW_ALL, answer: Any = CONTENTS, *resources: Any) -> World:
    world = World(rules)
    offers(world, "one", resources=list(resources) or [FILE])
    world.upstreams["one"].answers[READ] = answer
    return world


def test_an_allowed_read_is_recorded_sent_inspected_and_answered() -> None:
    world = legacy(serving())
    world.send(READ, {"uri": "file:///a"}, 1)
    assert last(world) == CONTENTS
    assert world.trace[-4:] == ["decision allow", "request resources/read", "outcome ok", "reply 1"]
    decided = world.audit.records[-2]
    assert (decided.method, decided.subject, decided.tool) == (READ, "file:///a", "")
    assert world.upstreams["one"].requests[-1].invocation.params == {"uri": "file:///a"}


def test_a_modern_read_is_private_and_has_a_time_to_live() -> None:
    world = serving(answer={**CONTENTS, "ttlMs": 7, "cacheScope": "public"})
    modern(world, READ, {"uri": "file:///a"})
    assert last(world)["resultType"] == "complete"
    assert (last(world)["ttlMs"], last(world)["cacheScope"]) == (7, "private")


def test_conditions_see_the_uri_and_what_was_listed() -> None:
    rule = (
        "  - {id: r, effect: allow, action: [resources/read], when: \"args.uri == 'file:///a' && "
        "resource.uri == 'file:///a' && resource.name == 'a' && resource.mimeType == ''\"}\n"
    )
    world = serving(rule)
    modern(world, READ, {"uri": "file:///a"})
    assert last(world)["contents"] == CONTENTS["contents"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_hidden_resource_answers_exactly_like_one_that_is_missing(era: str) -> None:
    world = two(ONLY_A)
    offers(world, "a", resources=[FILE, {"uri": "file:///b", "name": "b"}])
    if era == "legacy":
        legacy(world)
    for uri, request_id in (("file:///b", 1), ("file:///z", 2)):
        if era == "legacy":
            world.send(READ, {"uri": uri}, request_id)
        else:
            modern(world, READ, {"uri": uri}, request_id)
    hidden, missing = world.client.sent
    assert hidden["error"]["code"] == (-32002 if era == "legacy" else -32602)
    assert hidden["error"] == {**missing["error"], "data": {"uri": "file:///b"}}
    assert methods_of(world, "a") == []


def test_a_denied_read_of_a_visible_resource_is_an_error_with_the_facts() -> None:
    rules = ALLOW_ALL + (
        "  - {id: no, effect: deny, action: [resources/read], when: \"args.uri == 'file:///b'\", "
        "message: Not this one.}\n"
    )
    world = serving(rules, CONTENTS, FILE, {"uri": "file:///b", "name": "b"})
    modern(world, READ, {"uri": "file:///b"})
    assert "Not this one." in last(world)["message"]
    assert last(world)["data"]["rules"] == ["p/no"]
    assert last(world)["data"]["cause"] == "rule"
    assert methods_of(world) == []


@pytest.mark.parametrize(
    "content",
    [
        {"text": f"token {SECRET}"},
        {"blob": b64encode(f"token {SECRET}".encode()).decode()},
        {"text": "x", "_meta": {SECRET: SECRET}},
        {"text": "x", "mimeType": SECRET},
    ],
)
def test_a_secret_in_any_part_of_what_is_read_is_gone_and_counted(content: Any) -> None:
    world = serving(answer={"contents": [{"uri": "file:///a", **content}]})
    modern(world, READ, {"uri": "file:///a"})
    assert SECRET not in str(world.client.sent + world.audit.records)
    assert b64encode(SECRET.encode()).decode()[:12] not in str(world.client.sent)
    assert world.audit.records[-1].findings


def test_contents_that_cannot_be_inspected_are_withheld() -> None:
    world = serving(answer={"contents": deep()})
    modern(world, READ, {"uri": "file:///a"})
    assert last(world)["data"]["cause"] == "withheld"
    assert world.trace[-2:] == ["outcome withheld", "refuse 1"]


@each("answer", [None, "text", [CONTENTS], {"error": "broken"}, {"error": 3}])
def test_an_answer_that_is_no_object_is_one_clear_error_with_an_outcome(answer: Any) -> None:
    world = serving()
    del world.upstreams["one"].answers[READ]
    modern(world, READ, {"uri": "file:///a"})
    world.answer(answer)
    assert last(world)["message"] == "upstream 'one' returned a result that is not an object"
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]


def test_a_result_of_a_type_that_is_not_known_is_refused() -> None:
    world = serving(answer={**CONTENTS, "resultType": "surprise"})
    modern(world, READ, {"uri": "file:///a"})
    assert "unknown type" in last(world)["message"]


@pytest.mark.parametrize(("era", "code"), [("legacy", -32002), ("modern", -32602)])
def test_a_resource_that_the_server_does_not_have_has_the_code_of_the_clients_era(
    era: str, code: int
) -> None:
    world = serving(answer={"error": {"code": -32002, "message": "gone"}})
    if era == "legacy":
        legacy(world).send(READ, {"uri": "file:///a"}, 1)
    else:
        modern(world, READ, {"uri": "file:///a"})
    assert last(world)["code"] == code


def test_one_server_is_asked_also_for_what_it_did_not_list() -> None:
    world = serving()
    modern(world, READ, {"uri": "file:///unlisted"})
    assert last(world)["contents"] == CONTENTS["contents"]


# --- several servers ------------------------------------------------------------------------------


def test_a_secret_in_a_uri_that_nobody_listed_is_not_in_the_records() -> None:
    world = World(ALLOW_ALL, {"one": []})
    for uri in (f"file:///{SECRET}", "file:///" + "x" * 240 + SECRET):
        modern(world, "resources/read", {"uri": uri})
    subjects = [getattr(record, "subject", "") for record in world.audit.records]
    assert "file:///[REDACTED:credential:env:CANARY#1]" in subjects
    assert SECRET[:8] not in str(subjects)


TAKEN = "left out of the list: 'file:///a', which"
CHANGED = "notifications/resources/list_changed"
ONLY_B = "  - {id: b, effect: allow, server: b, action: [resources/read, resources/subscribe]}\n"


def listing(world: World, *servers: str) -> World:
    """These servers list and serve the same URI, each with its own name as the text."""
    for server in servers:
        offers(world, server, resources=[FILE])
        world.upstreams[server].answers[READ] = {"contents": [{"uri": "file:///a", "text": server}]}
    return world


def read(world: World, request_id: int = 1) -> Any:
    modern(world, READ, {"uri": "file:///a"}, request_id)
    return last(world).get("contents", [last(world)])[0].get("text")


def test_a_uri_stays_with_the_server_that_listed_it_first_and_the_operator_hears_of_the_other() -> None:
    world = listing(two(), "b")
    assert read(world) == "b"
    listing(world, "a")
    modern(world, "resources/list", {}, 2)
    assert last(world)["resources"] == [FILE]
    assert world.reports == [f"a: {TAKEN} 'b' listed first"]
    assert read(world, 3) == "b"
    assert methods_of(world, "a") == []


def test_a_uri_that_its_server_lists_no_more_goes_to_the_next_one() -> None:
    world = listing(two(), "b")
    assert read(world) == "b"
    listing(world, "a")
    modern(world, "resources/list", {}, 2)
    offers(world, "b", resources=[])
    world.gateway.notified("b", CHANGED, {})
    world.turn()
    assert read(world, 3) == "a"


def test_an_upstream_that_policy_hides_takes_no_uri_from_one_that_it_shows() -> None:
    world = listing(two(ONLY_B), "a", "b")
    modern(world, "resources/list", {})
    assert last(world)["resources"] == [FILE]
    assert world.reports == []
    assert read(world, 2) == "b"
    modern(world, "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///a"]}}, 3)
    assert methods_of(world, "a") == []
    assert methods_of(world, "b") == [READ, "resources/subscribe"]


def test_a_template_that_policy_hides_takes_no_uri_from_one_that_it_shows() -> None:
    world = two(ONLY_B)
    offers(world, "a", resourceTemplates=[{"uriTemplate": "file:///a", "name": "t"}])
    offers(world, "b", resourceTemplates=[{"uriTemplate": "file:///{+path}", "name": "t"}])
    world.upstreams["b"].answers[READ] = CONTENTS
    assert read(world) == "hello"
    assert methods_of(world, "a") == []


@pytest.mark.parametrize("servers", ["ab", "ba"])
def test_a_uri_that_several_servers_hide_answers_exactly_like_one_that_is_missing(servers: str) -> None:
    world = listing(two(ONLY_B.replace("server: b", "server: nobody")), *servers)
    read(world)
    modern(world, READ, {"uri": "file:///z"}, 2)
    hidden, missing = world.client.sent
    assert hidden["error"] == {**missing["error"], "data": {"uri": "file:///a"}}
    assert methods_of(world, "a") + methods_of(world, "b") == []


def test_a_broad_template_takes_no_uri_of_a_more_specific_one() -> None:
    world = listing(two(), "a", "b")
    offers(world, "a", resources=[], resourceTemplates=[{"uriTemplate": "{+x}", "name": "t"}])
    offers(world, "b", resources=[], resourceTemplates=[{"uriTemplate": "file:///{+path}", "name": "t"}])
    assert read(world) == "b"
    assert methods_of(world, "a") == []


@pytest.mark.parametrize("first", ["a", "b"])
def test_of_servers_that_are_listed_together_the_first_in_the_configuration_has_the_uri(first: str) -> None:
    world = listing(two(), "a", "b")
    lists = {server: hold(world, server) for server in ("a", "b")}
    modern(world, "resources/list", {})
    for server in sorted(lists, key=lambda one: one != first):
        give(lists[server][0], {"resources": [FILE]})
        world.turn()
    assert read(world, 2) == "a"
    assert world.reports == [f"b: {TAKEN} 'a' listed first"]


def test_a_server_that_is_not_listed_yet_holds_back_only_the_first_list_of_another_one() -> None:
    world = listing(two(), "a", "b")
    lists = {server: hold(world, server) for server in ("a", "b")}
    modern(world, "resources/list", {})
    give(lists["b"][0], {"resources": [FILE]})
    world.turn()
    give(lists["a"][0], GONE)
    world.turn()
    assert last(world)["resources"] == [FILE]
    modern(world, "resources/list", {}, 2)
    give(lists["b"][1], {"resources": [FILE, {"uri": "file:///new", "name": "new"}]})
    world.turn()
    modern(world, READ, {"uri": "file:///new"}, 3)
    assert last(world)["contents"][0]["text"] == "b"
    assert len(lists["a"]) == 2


def hold(world: World, server: str) -> list[Wait[Any]]:
    """Its lists of resources are answered when the test says so."""
    upstream, waits = world.upstreams[server], list[Wait[Any]]()
    original = upstream.request

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        if permit.invocation.method != "resources/list":
            return original(permit, progress)
        waits.append(Wait())
        return waits[-1]

    upstream.request = request  # type: ignore[method-assign]
    return waits


def test_a_uri_goes_to_the_server_whose_template_makes_it() -> None:
    world = two()
    offers(world, "a", resourceTemplates=[{"uriTemplate": "db://{table}/{+row}", "name": "t"}])
    offers(world, "b", resourceTemplates=[{"uriTemplate": "file:///{+path}", "name": "t"}])
    for server in ("a", "b"):
        world.upstreams[server].answers[READ] = {"contents": [{"uri": "x", "text": server}]}
    for uri, server in (("db://users/1/2", "a"), ("file:///x/y", "b")):
        modern(world, READ, {"uri": uri})
        assert last(world)["contents"][0]["text"] == server
    modern(world, READ, {"uri": "other://x"})
    assert last(world)["code"] == -32602


def test_a_server_that_is_not_available_keeps_nobody_from_what_another_one_lists() -> None:
    world = two()
    offers(world, "b", resources=[FILE])
    world.upstreams["a"].answers["resources/list"] = GONE
    world.upstreams["a"].answers["resources/templates/list"] = GONE
    world.upstreams["b"].answers[READ] = CONTENTS
    modern(world, READ, {"uri": "file:///a"}, 1)
    assert last(world)["contents"] == CONTENTS["contents"]
    asked = len(world.upstreams["a"].requests)
    modern(world, READ, {"uri": "file:///a"}, 2)
    assert last(world)["contents"] == CONTENTS["contents"]
    assert len(world.upstreams["a"].requests) == asked


def test_when_no_server_is_available_a_read_is_one_clear_error() -> None:
    world = two()
    for server in ("a", "b"):
        world.upstreams[server].answers["resources/list"] = GONE
    modern(world, READ, {"uri": "file:///a"})
    assert last(world)["data"]["cause"] == "unavailable"
    assert world.audit.records[-1].cause == "unavailable"


def test_a_rule_for_one_server_opens_no_resource_of_another() -> None:
    world = two("  - {id: r, effect: allow, server: a, action: [resources/read]}\n")
    for server in ("a", "b"):
        offers(world, server, resources=[{"uri": f"{server}:1", "name": "x"}])
        world.upstreams[server].answers[READ] = CONTENTS
    modern(world, READ, {"uri": "a:1"})
    assert last(world)["contents"] == CONTENTS["contents"]
    modern(world, READ, {"uri": "b:1"})
    assert last(world)["message"] == "Resource not found"
    assert methods_of(world, "b") == []
