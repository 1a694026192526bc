"""Laws of what is left of an answer: whatever a server sends, it leaves without what was removed, or as it came."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from mcpguard.gateway.inspection.handles import Handles, usable
from mcpguard.gateway.results import _agreeing
from tests.rows import each

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
REDACTOR = Redactor(b"key")

TEXTS = st.one_of(
    st.text(max_size=5), st.sampled_from(["type", "image", TOKEN, f"x {TOKEN}", f'["{TOKEN}"]'])
)
NAMES = st.one_of(
    st.sampled_from(
        ["type", "uri", "cursor", "data", "blob", "text", "structuredContent", "resource", TOKEN]
    ),
    st.text(max_size=3),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
KINDS = st.sampled_from(["string", "integer", "array", "object", ["string", "null"]])
SCHEMAS = st.recursive(
    st.one_of(
        st.builds(lambda kind: {"type": kind}, KINDS),
        st.builds(lambda form: {"format": form}, st.sampled_from(["uri", "date", "none"])),
        st.sampled_from([{}, True, False, {"pattern": "^[a-z]+$"}, {"enum": ["a", 1]}, {"maxLength": 3}]),
    ),
    lambda inner: st.one_of(
        st.builds(lambda part: {"properties": part}, st.dictionaries(NAMES, inner, max_size=3)),
        st.builds(lambda part: {"items": part, "additionalProperties": part}, inner),
        st.builds(lambda key, parts: {key: parts}, st.sampled_from(["anyOf", "oneOf", "allOf"]), st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda names: {"required": names}, st.lists(NAMES, max_size=2)),
    ),
    max_leaves=4,
)  # fmt: skip


@settings(deadline=None)
@given(VALUES, VALUES, SCHEMAS, st.booleans())
def test_whatever_is_sent_leaves_without_what_was_removed(
    said: Any, block: Any, schema: Any, mirrored: bool
) -> None:
    text = {"type": "text", "text": json.dumps(said)}
    body = {"content": [block, text] if mirrored else [block], "structuredContent": said}
    inspected = REDACTOR.inspect(body)
    if not inspected.changed:
        return
    made = usable(Handles(), "one", REDACTOR, body, (), inspected)
    made = _agreeing(REDACTOR, body, made, (), "", schema)
    assert TOKEN not in made.payload.decode()
    assert set(inspected.findings) <= set(made.findings)
    assert not REDACTOR.inspect(made.value).changed
    if mirrored and made.value.get("isError") is not True:
        assert json.loads(made.value["content"][1]["text"]) == made.value["structuredContent"]


NUMBER = 491827364519283746
MARK = "[REDACTED:credential:env:one#1]"
HOLDING = Redactor(b"key")
HOLDING.hold("env:one", Secret(str(NUMBER)))


@each(
    ("before", "after"),
    [
        ({"code": NUMBER, "message": "no"}, {"code": -32603, "message": "no"}),
        ({"code": NUMBER, "data": {"code": NUMBER}}, {"code": -32603, "data": {"code": MARK}}),
        (
            {"progressToken": "t", "progress": NUMBER, "total": 1.5},
            {"progressToken": "t", "progress": 0, "total": 1.5},
        ),
        (
            {
                "content": [
                    {
                        "type": "resource_link",
                        "uri": "x:y",
                        "size": NUMBER,
                        "annotations": {"priority": NUMBER},
                    }
                ]
            },
            {"content": [{"type": "resource_link", "uri": "x:y", "size": 0, "annotations": {"priority": 0}}]},
        ),
        ({"structuredContent": {"size": NUMBER}}, {"structuredContent": {"size": MARK}}),
        ({"code": "x", "size": str(NUMBER), "age": NUMBER}, {"code": "x", "size": MARK, "age": MARK}),
    ],
)
def test_a_number_that_mcp_needs_is_left_a_number(before: Any, after: Any) -> None:
    found = usable(Handles(), "one", HOLDING, before, (), HOLDING.inspect(before))
    assert found.value == after
    assert found.findings
