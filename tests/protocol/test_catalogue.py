"""Names and URIs: which exposed thing is whose."""

from __future__ import annotations

from typing import Any

from mcpguard.core.model import Listed
from mcpguard.protocol.catalogue import DIGESTS, KINDS, MAX_NAME, MAX_URI, Catalogue, Visible
from tests.fakes import tool
from tests.rows import each

TOOL = KINDS["tool"]


def put(catalogue: Catalogue, server: str, kind: str, *entries: Any) -> list[str]:
    listed, refused = catalogue.read(server, KINDS[kind], list(entries), list(entries))
    catalogue.replace(server, KINDS[kind], listed)
    return refused


def anything(_entry: Listed) -> bool:
    return True


def of(*servers: str) -> Visible:
    """Policy shows what these servers offer, and nothing else."""
    return lambda entry: entry.server in servers


def exposed(catalogue: Catalogue, kind: str = "tool", visible: Visible = anything) -> list[str]:
    return [entry.exposed for entry in catalogue.offered(kind, visible)]


def resource(uri: str, **more: Any) -> dict[str, Any]:
    return {"uri": uri, "name": uri.rpartition("/")[2], **more}


def template(uri: str, **more: Any) -> dict[str, Any]:
    return {"uriTemplate": uri, "name": "t", **more}


def test_one_server_keeps_its_names_and_several_get_a_prefix() -> None:
    one = Catalogue(("git",))
    put(one, "git", "tool", tool("log"))
    assert exposed(one) == ["log"]
    two = Catalogue(("git", "time"))
    put(two, "time", "tool", tool("now"))
    assert two.find("tool", "time__now") is not None
    assert two.find("tool", "now") is None
    assert two.find("tool", "nobody__now") is None
    assert not two.listed("git", "tool")
    assert two.listed("time", "tool")


def test_the_order_is_that_of_the_configuration_whoever_answers_first() -> None:
    catalogue = Catalogue(("b", "a"))
    put(catalogue, "a", "tool", tool("z"), tool("y"))
    put(catalogue, "b", "tool", tool("x"))
    assert exposed(catalogue) == ["b__x", "a__z", "a__y"]


def test_a_new_list_replaces_the_old_one_of_that_server_only() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "a", "tool", tool("x"))
    put(catalogue, "b", "tool", tool("x"))
    put(catalogue, "b", "prompt", {"name": "p"})
    put(catalogue, "b", "tool")
    assert exposed(catalogue) == ["a__x"]
    assert exposed(catalogue, "prompt") == ["b__p"]


def test_a_tool_is_not_found_as_a_prompt_of_the_same_name() -> None:
    catalogue = Catalogue(("a",))
    put(catalogue, "a", "tool", tool("x"))
    assert catalogue.find("prompt", "x") is None


def test_what_conditions_see_has_always_the_same_members_of_the_same_types() -> None:
    odd = {"name": "x", "title": 3, "description": None, "annotations": "no", "outputSchema": []}
    catalogue = Catalogue(("a",))
    put(catalogue, "a", "tool", odd)
    found = catalogue.find("tool", "x")
    assert found is not None
    texts = {"name": "x", "title": "", "description": "", "annotations": {}}
    assert found.about == {**texts, "inputSchema": {}, "outputSchema": {}, "firstAnnotations": {}}
    put(catalogue, "a", "resource", {"uri": "x:1", "mimeType": 7})
    unnamed = catalogue.resource("x:1", anything)
    assert unnamed is not None
    empty = {"name": "", "title": "", "description": "", "annotations": {}}
    assert unnamed.about == {**empty, "uri": "x:1", "mimeType": "", "listed": True}


def test_conditions_see_the_whole_inspected_descriptor() -> None:
    catalogue = Catalogue(("a", "b"))
    schema = {"type": "object", "properties": {"q": {"type": "string", "description": "[removed]"}}}
    whole = {
        "name": "x",
        "inputSchema": schema,
        "icons": [],
        "execution": {"a": 1},
        "_meta": {"b": 2},
        "odd": 3,
    }
    put(catalogue, "a", "tool", whole)
    put(catalogue, "a", "prompt", {"name": "p", "arguments": [{"name": "q"}]})
    tool, prompt = catalogue.find("tool", "a__x"), catalogue.find("prompt", "a__p")
    assert tool is not None
    assert prompt is not None
    rest = {"title": "", "description": "", "annotations": {}, "outputSchema": {}, "firstAnnotations": {}}
    assert tool.about == {**whole, **rest}
    assert prompt.about["arguments"] == [{"name": "q"}]


def test_a_tool_keeps_the_annotations_of_the_first_list_whatever_comes_later() -> None:
    catalogue = Catalogue(("a", "b"))
    reads = {"readOnlyHint": True}
    put(catalogue, "a", "tool", {**tool("x"), "annotations": reads, "firstAnnotations": {"z": 1}}, tool("y"))
    changed = [{**tool(name), "annotations": {**reads, "n": 1}, "firstAnnotations": reads} for name in "xyz"]
    put(catalogue, "b", "tool", *changed)
    for _ in range(2):
        put(catalogue, "a", "tool", *changed)
        first = {name: catalogue.find("tool", name) for name in ("a__x", "a__y", "a__z", "b__y")}
        assert {name: one and one.about["firstAnnotations"] for name, one in first.items()} == {
            "a__x": reads,
            "a__y": {},
            "a__z": {},
            "b__y": {**reads, "n": 1},
        }
        put(catalogue, "a", "tool")


def test_what_a_template_makes_and_what_nobody_lists_is_not_listed() -> None:
    catalogue = Catalogue(("a",))
    put(catalogue, "a", "template", {"uriTemplate": "n:{x}", "name": "t", "listed": True})
    put(catalogue, "a", "resource", {"uri": "n:1", "listed": False})
    seen = {uri: catalogue.resource(uri, anything) for uri in ("n:1", "n:2", "o:3")}
    assert {uri: one and one.about["listed"] for uri, one in seen.items()} == {
        "n:1": True,
        "n:2": False,
        "o:3": False,
    }
    template = catalogue.template("n:{x}", anything)
    assert template is not None
    assert template.about["listed"] is False


def test_the_digest_covers_every_member_as_it_was_sent() -> None:
    digests = set()
    for change in (
        {},
        {"title": "t"},
        {"annotations": {"readOnlyHint": True}},
        {"inputSchema": {}},
        {"_meta": {}},
    ):
        catalogue = Catalogue(("a",))
        put(catalogue, "a", "tool", {**tool("x"), **change})
        found = catalogue.find("tool", "x")
        assert found is not None
        digests.add(found.digest)
    assert len(digests) == 5


DIGEST = "e672c4e578be14719474c047b30851588a068f3c65cb42523b58c27448431bef"


def test_a_definition_has_the_digest_that_earlier_versions_gave_it() -> None:
    """With another one goes another `DIGESTS`, or every tool of every server is held after an upgrade."""
    catalogue = Catalogue(("a",))
    put(catalogue, "a", "tool", {"name": "x", "title": "é", "inputSchema": {"type": "object", "a": [1, 2.5]}})
    found = catalogue.find("tool", "x")
    assert found is not None
    assert (DIGESTS, found.digest) == (2, DIGEST)


def owner(found: Listed | None) -> str:
    return "" if found is None else found.server


def test_a_uri_keeps_its_text_and_belongs_to_who_listed_it_first() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "b", "resource", resource("file:///x"), resource("file:///y"))
    put(catalogue, "a", "resource", resource("file:///x"), resource("file:///z"))
    for find in (catalogue.resource, catalogue.listed_resource):
        assert owner(find("file:///x", anything)) == "b"
    assert exposed(catalogue, "resource") == ["file:///z", "file:///x", "file:///y"]
    assert list(catalogue.contested("a", "resource", anything)) == [("file:///x", "b")]
    assert list(catalogue.contested("b", "resource", anything)) == []


def test_who_keeps_listing_a_uri_keeps_it_and_who_stops_comes_last_from_then_on() -> None:
    catalogue = Catalogue(("a", "b"))
    for server in ("b", "a", "b"):
        put(catalogue, server, "resource", resource("file:///x"))
    assert owner(catalogue.resource("file:///x", anything)) == "b"
    put(catalogue, "b", "resource")
    assert owner(catalogue.resource("file:///x", anything)) == "a"
    put(catalogue, "b", "resource", resource("file:///x"))
    assert owner(catalogue.resource("file:///x", anything)) == "a"
    for server in ("a", "b"):
        put(catalogue, server, "resource")
    assert catalogue.resource("file:///x", anything) is None


def test_what_a_client_may_not_see_takes_no_uri_from_what_it_may_see() -> None:
    catalogue = Catalogue(("a", "b"))
    for server in ("a", "b"):
        put(catalogue, server, "resource", resource("file:///x"))
        put(catalogue, server, "template", template("x:{id}"))
    for server in ("a", "b"):
        for kind, uri in (("resource", "file:///x"), ("template", "x:{id}")):
            assert exposed(catalogue, kind, of(server)) == [uri]
            assert list(catalogue.contested(server, kind, of(server))) == []
        for found in (
            catalogue.resource("file:///x", of(server)),
            catalogue.listed_resource("file:///x", of(server)),
            catalogue.resource("x:1", of(server)),
            catalogue.template("x:{id}", of(server)),
        ):
            assert owner(found) == server
    assert exposed(catalogue, "resource", of()) == []
    assert catalogue.listed_resource("file:///x", of()) is None
    assert owner(catalogue.resource("file:///x", of())) == "a"


def test_a_hidden_resource_is_not_reached_through_a_template_of_its_own_server() -> None:
    catalogue = Catalogue(("a",))
    put(catalogue, "a", "resource", resource("file:///x", title="secret"))
    put(catalogue, "a", "template", template("file:///{+path}"), template("file:///y/{name}", title="secret"))
    for uri in ("file:///x", "file:///y/z"):
        found = catalogue.resource(uri, lambda entry: entry.about["title"] != "secret")
        assert found is not None
        assert found.about["title"] == "secret"


@each("order", [("a", "b"), ("b", "a")])
@each(
    ("broad", "narrow", "uri"),
    [
        ("{+x}", "file:///{+path}", "file:///x"),
        ("{+a}:{+b}/{+c}/{+d}/{+e}", "x:{+id}", "x:1/2/3/4"),
        ("file:///{+path}", "file:///home/{+path}", "file:///home/x"),
        ("x:{a}{b}", "x:{a}.txt", "x:1.txt"),
        ("{+x}", "x:1", "x:1"),
    ],
)
def test_the_most_specific_template_has_the_uri_wherever_its_server_stands(
    order: tuple[str, str], broad: str, narrow: str, uri: str
) -> None:
    catalogue = Catalogue(order)
    put(catalogue, "a", "template", template(broad))
    put(catalogue, "b", "template", template(broad + "{?q}"), template(narrow))
    assert owner(catalogue.resource(uri, anything)) == "b"


def test_of_templates_that_are_as_specific_the_first_in_the_configuration_has_the_uri() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "b", "template", template("x:{one}"))
    put(catalogue, "a", "template", template("x:{two}"))
    assert owner(catalogue.resource("x:1", anything)) == "a"


def test_of_two_templates_with_one_text_that_which_was_listed_first_has_its_uris() -> None:
    catalogue = Catalogue(("a", "b"))
    for server in ("b", "a"):
        put(catalogue, server, "template", template("x:{id}"))
    assert owner(catalogue.resource("x:1", anything)) == "b"
    assert exposed(catalogue, "template") == ["x:{id}"]
    assert list(catalogue.contested("a", "template", anything)) == [("x:{id}", "b")]


def test_a_listed_uri_comes_before_a_template_that_would_make_it() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "a", "template", template("file:///{+path}", title="files"))
    put(catalogue, "b", "resource", resource("file:///x"))
    assert owner(catalogue.resource("file:///x", anything)) == "b"
    made = catalogue.resource("file:///other", anything)
    assert made is not None
    assert (made.server, made.kind, made.digest) == ("a", "resource", "")
    assert (made.about["uri"], made.about["title"]) == ("file:///other", "files")


def test_what_nobody_lists_belongs_to_the_only_server_and_with_several_to_none() -> None:
    assert owner(Catalogue(("a",)).resource("x:1", anything)) == "a"
    assert owner(Catalogue(("a", "b")).resource("x:1", anything)) == ""


def test_a_uri_that_is_too_long_comes_of_no_template() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "a", "template", template("x:{+rest}"))
    assert owner(catalogue.resource("x:" + "y" * (MAX_URI - 2), anything)) == "a"
    assert owner(catalogue.resource("x:" + "y" * MAX_URI, anything)) == ""


def test_a_completion_may_name_a_template_by_its_text_or_a_resource() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "b", "template", template("x:{id}"))
    put(catalogue, "a", "resource", resource("y:1"))
    assert owner(catalogue.template("x:{id}", anything)) == "b"
    assert owner(catalogue.template("y:1", anything)) == "a"
    assert catalogue.template("z:{id}", anything) is None


def test_a_hidden_template_is_not_passed_by_through_a_resource_of_the_same_text() -> None:
    catalogue = Catalogue(("a", "b"))
    put(catalogue, "a", "template", template("x:1"))
    put(catalogue, "a", "resource", resource("x:1"))
    shown: Visible = lambda entry: entry.kind == "resource"  # noqa: E731
    found = catalogue.template("x:1", shown)
    assert found is not None
    assert found.kind == "template"
    put(catalogue, "b", "resource", resource("x:1"))
    assert owner(catalogue.template("x:1", shown)) == "b"


@each(
    ("kind", "entry"),
    [
        ("tool", "no object"),
        ("tool", {}),
        ("tool", {"name": 3}),
        ("tool", {"name": ""}),
        ("tool", {"name": "x" * (MAX_NAME + 1)}),
        ("tool", {"name": "a\nb"}),
        ("resource", {"name": "x"}),
        ("resource", {"uri": "x" * (MAX_URI + 1)}),
        ("resource", {"uri": "x:\u202e"}),
        ("template", {"uriTemplate": "{a}" * 33}),
        ("tool", {"name": "x", "inputSchema": {"x-mcp-header": "A"}}),
    ],
)
def test_what_cannot_be_offered_is_left_out_with_a_sentence(kind: str, entry: Any) -> None:
    catalogue = Catalogue(("a",))
    assert len(put(catalogue, "a", kind, entry)) == 1
    assert exposed(catalogue, kind) == []


def test_an_entry_whose_name_was_changed_by_the_inspection_is_left_out() -> None:
    catalogue = Catalogue(("a",))
    _, (said,) = catalogue.read("a", TOOL, [{"name": "t-secret"}], [{"name": "t-[REDACTED]"}])
    assert said == "a tool whose name contains a secret or hidden characters"


def test_of_two_entries_with_one_name_the_first_counts() -> None:
    catalogue = Catalogue(("a",))
    said = put(catalogue, "a", "prompt", {"name": "p", "title": "1"}, {"name": "p", "title": "2"})
    assert said == ["a second prompt named 'p'"]
    found = catalogue.find("prompt", "p")
    assert found is not None
    assert found.about["title"] == "1"
