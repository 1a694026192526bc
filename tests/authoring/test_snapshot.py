"""Snapshots: written the same for the same offers, read strictly, and schemas that may say anything."""

from __future__ import annotations

from io import StringIO
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import MCPError
from mcp.types import CONNECTION_CLOSED, INTERNAL_ERROR

from mcpguard.authoring.snapshot import (
    Offer,
    Presence,
    Snapshot,
    Steps,
    _declined,
    _reason,
    _sentence,
    _unheard,
    presence,
    read_snapshot,
    write_snapshot,
)
from mcpguard.core.errors import DocumentError
from tests.rows import each

ALWAYS, OPTIONAL, NEVER, UNKNOWN = Presence.ALWAYS, Presence.OPTIONAL, Presence.NEVER, Presence.UNKNOWN


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": ["need"]}


SCHEMAS: list[tuple[Any, Steps, list[Presence]]] = [
    (closed(need={}), ("need",), [ALWAYS]),
    (closed(maybe={}), ("maybe",), [OPTIONAL]),
    (closed(maybe={}), ("other",), [NEVER]),
    (closed(maybe={}), ("maybe", "deep"), [OPTIONAL, UNKNOWN]),
    (closed(need=closed(need={})), ("need", "need"), [ALWAYS, ALWAYS]),
    (closed(need={"type": "string"}), ("need", "deep"), [ALWAYS, NEVER]),
    (closed(need={"type": ["string", "object"]}), ("need", "deep"), [ALWAYS, UNKNOWN]),
    (closed(need={"items": closed(need={})}), ("need", None, "need"), [ALWAYS, ALWAYS, ALWAYS]),
    (closed(need={"items": closed(need={})}), ("need", 0, "other"), [ALWAYS, ALWAYS, NEVER]),
    (closed(need={"type": "array"}), ("need", 0), [ALWAYS, UNKNOWN]),
    ({"type": "object"}, ("any",), [UNKNOWN]),
    ({**closed(a={}), "additionalProperties": True}, ("b",), [UNKNOWN]),
    ({**closed(a={}), "patternProperties": {}}, ("b",), [UNKNOWN]),
    ({"anyOf": [closed(a={}), {"type": "null"}]}, ("a",), [OPTIONAL]),
    ({"anyOf": [closed(a={}), {"type": "null"}]}, ("b",), [NEVER]),
    ({"allOf": [closed(a={}), {"required": ["a"]}], "properties": {}}, ("a",), [ALWAYS]),
    ({"$ref": "#/$defs/x~1y", "$defs": {"x/y": closed(a={})}}, ("a",), [OPTIONAL]),
    ({"$ref": "#/$defs/gone"}, ("a",), [UNKNOWN]),
    ({"$ref": "#/a/b", "a": 1}, ("a",), [UNKNOWN]),
    ({"$ref": "other.json"}, ("a",), [UNKNOWN]),
    ({"$ref": 1}, ("a",), [UNKNOWN]),
    ({"$ref": "#/$defs/me", "$defs": {"me": {"$ref": "#/$defs/me", "properties": {}}}}, ("a",), [UNKNOWN]),
    (None, ("a",), [UNKNOWN]),
    ("text", ("a",), [UNKNOWN]),
    ({"properties": "wrong", "required": 1}, ("a",), [NEVER]),
    (closed(need={}), (), []),
]


@each(("schema", "steps", "expected"), SCHEMAS)
def test_a_schema_says_how_far_a_path_leads(schema: Any, steps: Steps, expected: list[Presence]) -> None:
    assert presence(schema, steps) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["properties", "items", "anyOf", "$ref", "type", "required", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.lists(st.sampled_from(["a", 0, None]), max_size=3))
def test_no_schema_fails(schema: Any, steps: list[str | int | None]) -> None:
    assert len(presence(schema, tuple(steps))) <= len(steps)


def test_a_schema_that_refers_to_itself_for_ever_ends() -> None:
    assert presence({"$ref": "#"}, ("a",)) == [UNKNOWN]
    both = {"$ref": "#/$defs/me"}
    assert presence({"$defs": {"me": {"anyOf": [both, both]}}, **both}, ("a",)) == [UNKNOWN]


def test_a_schema_may_refer_to_itself() -> None:
    assert presence(closed(need={"$ref": "#"}), ("need", "need", "gone")) == [ALWAYS, ALWAYS, NEVER]


def test_what_is_written_is_read_and_the_same_for_the_same() -> None:
    snapshot = Snapshot(version=1, servers={"b": Offer(tools=({"name": "x", "a": 1},)), "a": Offer()})
    text = write_snapshot(snapshot)
    assert read_snapshot(text, "s.json") == snapshot
    other = Snapshot(version=1, servers={"a": Offer(), "b": Offer(tools=({"a": 1, "name": "x"},))})
    assert write_snapshot(other) == text
    assert text.endswith("}\n")


@each(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 2, "servers": {}}',
        "[" * 100_000,
        '{"version": 1, "servers": {"a": {"tools": [1]}}}',
    ],
)
def test_what_is_no_snapshot_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_snapshot(text, "s.json")
    assert str(caught.value).startswith("s.json: not a snapshot made by `mcpguard snapshot`: ")


def test_a_tool_without_a_name_is_none() -> None:
    assert list(
        Snapshot(version=1, servers={"a": Offer(tools=({}, {"name": 1}, {"name": "x"}))}).tools()
    ) == [("a", "x", {"name": "x"})]


def test_a_survey_serves_nothing_that_a_server_asks_for_and_hears_nothing() -> None:
    with pytest.raises(MCPError, match="roots/list is not served"):
        anyio.run(_declined, None, "roots/list", None)
    anyio.run(_unheard, None, "notifications/message", None)


@each(
    ("log", "why"),
    [
        ("starting\nmcpguard: the disk is full\nmcpguard: ended\n", ": the disk is full"),
        ("Traceback\n", ""),
        ("", ""),
    ],
)
def test_what_ends_without_an_answer_is_reported_with_the_first_line_it_wrote(log: str, why: str) -> None:
    said = _sentence("files", MCPError(CONNECTION_CLOSED, "Connection closed"))
    assert said == "files could not be listed: `mcpguard run` ended before it answered"
    assert _reason(said, StringIO(log)) == why


def test_what_a_server_answers_says_more_than_the_log() -> None:
    said = _sentence("files", MCPError(INTERNAL_ERROR, "The server is busy."))
    assert (said, _reason(said, StringIO("mcpguard: x\n"))) == ("The server is busy.", "")
    refused = _sentence("files", MCPError(INTERNAL_ERROR, "x", {"unstarted": "p.yaml:3: unknown key"}))
    assert refused.endswith("ended before it answered: p.yaml:3: unknown key")
