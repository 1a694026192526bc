"""Names: which exposed tool is whose."""

from __future__ import annotations

from mcpguard.protocol.catalogue import Catalogue
from tests.fakes import tool


def test_one_server_keeps_its_names_and_several_get_a_prefix() -> None:
    one = Catalogue(("git",))
    one.replace("git", [tool("log")], [tool("log")])
    assert [entry.exposed for entry in one.tools()] == ["log"]
    two = Catalogue(("git", "time"))
    two.replace("time", [tool("now")], [tool("now")])
    assert two.find("time__now") is not None
    assert two.find("now") is None
    assert two.server_of("nobody__now") is None
    assert not two.listed("git")


def test_the_order_is_that_of_the_configuration_whoever_answers_first() -> None:
    catalogue = Catalogue(("b", "a"))
    catalogue.replace("a", [tool("z"), tool("y")], [tool("z"), tool("y")])
    catalogue.replace("b", [tool("x")], [tool("x")])
    assert [entry.exposed for entry in catalogue.tools()] == ["b__x", "a__z", "a__y"]


def test_a_new_list_replaces_the_old_one_of_that_server_only() -> None:
    catalogue = Catalogue(("a", "b"))
    catalogue.replace("a", [tool("x")], [tool("x")])
    catalogue.replace("b", [tool("x")], [tool("x")])
    catalogue.replace("b", [], [])
    assert [entry.exposed for entry in catalogue.tools()] == ["a__x"]


def test_facts_have_always_the_same_members_of_the_same_types() -> None:
    odd = {"name": "x", "title": 3, "description": None, "annotations": "no"}
    catalogue = Catalogue(("a",))
    catalogue.replace("a", [odd], [odd])
    found = catalogue.find("x")
    assert found is not None
    assert found.facts == {"name": "x", "title": "", "description": "", "annotations": {}}


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
        entry = {**tool("x"), **change}
        catalogue.replace("a", [entry], [entry])
        found = catalogue.find("x")
        assert found is not None
        digests.add(found.digest)
    assert len(digests) == 5
