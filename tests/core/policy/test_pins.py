"""How a definition stands to those that were accepted, and what two of them differ in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from mcpguard.core.policy.pins import (
    MOST_TEXT,
    UNSHOWN,
    Hold,
    Pin,
    Standing,
    difference,
    held_now,
    standing,
)
from tests.rows import each

HELD = Standing(held=True)


@each(
    ("known", "hold", "expected"),
    [
        ({}, "changed", Standing(held=False, is_new=True)),
        ({}, "all", Standing(held=True, is_new=True)),
        ({}, "report", Standing(held=False, is_new=True)),
        ({"d": True}, "changed", None),
        ({"d": True}, "all", None),
        ({"d": False}, "changed", HELD),
        ({"d": False}, "all", HELD),
        ({"d": False}, "report", None),
        ({"c": True}, "changed", Standing(held=True, is_new=True, before="c")),
        ({"c": True, "b": False}, "all", Standing(held=True, is_new=True, before="b")),
        ({"c": True}, "report", Standing(held=False, is_new=True, before="c")),
    ],
)
def test_what_was_never_accepted_is_held_unless_it_is_the_first(
    known: dict[str, bool], hold: Hold, expected: Standing | None
) -> None:
    assert standing(known, "d", hold) == expected


@each(("kind", "subject"), [("tool", "one/read"), ("prompt", "one/prompt:read")])
def test_a_definition_is_named_as_people_write_it(kind: str, subject: str) -> None:
    assert Pin("one", "here", kind, "read", "d", True, 0.0, "", "{}").subject == subject


def text(**members: Any) -> str:
    return json.dumps({"name": "read", **members})


@each(
    ("before", "after", "expected"),
    [
        (text(description="a"), text(description="a"), []),
        (
            text(description="Reads."),
            text(description="Sends."),
            ['-description: "Reads."', '+description: "Sends."'],
        ),
        (text(description="a\nb\nc"), text(description="a\nx\nc"), ["-description| b", "+description| x"]),
        (text(), text(description=""), ['+description: ""']),
        (
            text(inputSchema={"properties": {"a": {"type": "string"}}, "required": ["a"]}),
            text(inputSchema={"properties": {"a": {"type": "number"}}, "required": []}),
            [
                '-inputSchema.properties.a.type: "string"',
                '-inputSchema.required[0]: "a"',
                '+inputSchema.properties.a.type: "number"',
                "+inputSchema.required: []",
            ],
        ),
        (text(n=1), text(n=True), ["-n: 1", "+n: true"]),
        (text(n=1), text(n="1"), ["-n: 1", '+n: "1"']),
        (text(a={"b": 1}), text(**{"a.b": 1}), ["-a.b: 1", '+"a.b": 1']),
        ("", text(description="x"), ['+name: "read"', '+description: "x"']),
    ],
)
def test_what_is_different_is_shown_by_the_path_of_each_value(
    before: str, after: str, expected: list[str]
) -> None:
    assert difference(before, after) == expected


def test_of_definitions_that_were_cut_the_parts_are_compared() -> None:
    assert difference('{"a":1,"b":2,"c', '{"a":1,"b":3,"c') == ['-"b":2', '+"b":3']


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_JSON, _JSON)
def test_two_definitions_never_look_the_same_unless_they_are(before: Any, after: Any) -> None:
    first, second = (json.dumps({"name": "x", "v": value}, sort_keys=True) for value in (before, after))
    assert (difference(first, second) == []) is (json.loads(first) == json.loads(second) and first == second)


def pin(digest: str, accepted: bool, said: str | None = None, name: str = "read") -> Pin:
    whole = text(description=digest) if said is None else said
    return Pin("one", "here", "tool", name, digest, accepted, 0.0, "", whole)


def test_of_each_name_the_latest_definition_that_is_held_is_one_to_decide_about() -> None:
    known = [pin("a", True), pin("b", False), pin("c", False), pin("x", True, name="push")]
    assert [one.pin for one in held_now(known)] == [known[2]]


def changes(*known: Pin) -> list[str]:
    """What a person reads of the one that is held."""
    (held,) = held_now(known)
    return held.changes


def test_a_person_reads_what_is_different_from_what_was_accepted_last() -> None:
    known = [pin("a", True), pin("b", True), pin("c", False), pin("x", True, name="push")]
    assert changes(*known) == ['-description: "b"', '+description: "c"']
    assert changes(*known[2:]) == ['+name: "read"', '+description: "c"']


def test_a_person_reads_that_something_is_not_shown() -> None:
    same = text(description="a")
    assert changes(pin("a", True, same), pin("b", False, same)) == [f"({UNSHOWN})"]
    long = text(description="x" * MOST_TEXT)[:MOST_TEXT]
    for cut in (long, ""):
        assert "too long to be kept whole" in changes(pin("a", True), pin("b", False, cut))[-1]


def test_of_a_definition_of_which_only_a_short_part_was_kept_it_is_said_that_more_is_not_shown() -> None:
    whole = Pin("one", "here", "tool", "read", "d1", False, 0.0, "", '{"description":"Reads, then sends."}')
    for kept in range(len(whole.text)):
        part = structs.replace(whole, text=whole.text[:kept])
        assert changes(part)[-1].endswith("the rest of it is not shown)")
    assert changes(whole) == ['+description: "Reads, then sends."']


def test_of_very_long_definitions_it_is_shown_which_lines_go_and_come() -> None:
    names = [f"m{at}" for at in range(1_000)]
    before, after = text(a=dict.fromkeys(names, 1)), text(a=dict.fromkeys([*names[1:], "new"], 1))
    assert difference(before, after) == ["-a.m0: 1", "+a.new: 1"]
    lines = [str(at) for at in range(1_000)]
    moved = text(a="\n".join([*lines[1:], lines[0]]))
    assert difference(text(a="\n".join(lines)), moved) == [
        "(the same lines as before, in another order or number)"
    ]
    assert difference(moved, moved) == []


def test_no_tool_is_written_as_a_prompt_is() -> None:
    prompt = Pin("one", "here", "prompt", "read", "d1", False, 0.0, "", "{}")
    tool = structs.replace(prompt, kind="tool", name="prompt:read")
    other = structs.replace(tool, name="tool:prompt:read")
    assert [one.subject for one in (prompt, tool, other)] == [
        "one/prompt:read",
        "one/tool:prompt:read",
        "one/tool:tool:prompt:read",
    ]
