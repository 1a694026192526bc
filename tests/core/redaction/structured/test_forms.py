"""The two forms of a tool's result stay alike."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.structured.forms import agreeing
from tests.rows import each

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
MARK = "[REDACTED:github-token#1]"
DATED = {"properties": {"a": {"type": "string", "format": "date"}}, "required": ["a"]}
REDACTOR = Redactor(b"key")


def clean(one: Any) -> bool:
    return not REDACTOR.inspect(one).findings


def result(said: Any, *texts: str, **more: Any) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": one} for one in texts],
        "structuredContent": said,
        **more,
    }


def made(before: dict[str, Any], schema: Any = None) -> dict[str, Any]:
    return agreeing(before, REDACTOR.inspect(before).value, schema, clean)


def texts(found: dict[str, Any]) -> list[str]:
    return [block["text"] for block in found["content"]]


@each(
    "form",
    [
        {"separators": (",", ":")},
        {},
        {"indent": 2},
        {"indent": 4, "ensure_ascii": False},
        {"separators": (",", ":"), "ensure_ascii": False},
    ],
)
def test_a_stand_in_stands_in_the_text_too_in_the_form_of_the_text(form: Any) -> None:
    said = {"a": TOKEN, "é": [1, 2.5, True, None]}
    found = made(result(said, json.dumps(said, **form), "as it is"), DATED)
    assert found["structuredContent"] == {**said, "a": "1970-01-02"}
    assert texts(found) == [json.dumps({**said, "a": "1970-01-02"}, **form), "as it is"]


@pytest.mark.parametrize("text", ['{ "a" :"%s"}', '{\n\t"a": "%s"\n}'])
def test_a_text_in_another_form_is_written_in_a_usual_one(text: str) -> None:
    found = made(result({"a": TOKEN}, text % TOKEN), DATED)
    assert json.loads(texts(found)[0]) == found["structuredContent"] == {"a": "1970-01-02"}
    assert ("\n" in texts(found)[0]) is ("\n" in text)


def test_placeholders_are_the_same_in_both_forms() -> None:
    said = {"a": TOKEN, "b": [f"x {TOKEN}"]}
    found = made(result(said, json.dumps(said)))
    assert found["structuredContent"] == {"a": MARK, "b": [f"x {MARK}"]}
    assert texts(found) == [json.dumps(found["structuredContent"])]


def test_what_was_removed_from_one_form_only_is_removed_from_both() -> None:
    said = {"a": "secret", "b": ["x", 1], "c": {"d": "y"}}
    before = result(said, json.dumps(said))
    removed = json.dumps({"a": MARK, "b": ["x", MARK], "c": {"d": "y"}})
    found = agreeing(before, {**before, "content": [{"type": "text", "text": removed}]}, None, clean)
    assert found["structuredContent"] == {"a": MARK, "b": ["x", MARK], "c": {"d": "y"}}
    assert texts(found) == [removed]


def test_a_text_that_is_no_json_any_more_is_rewritten() -> None:
    said = {"a": TOKEN, "b": 1}
    before = result(said, json.dumps(said))
    after = {**before, "structuredContent": {"a": MARK, "b": 1}, "content": [{"type": "text", "text": "{"}]}
    assert texts(agreeing(before, after, None, clean)) == [json.dumps({"a": MARK, "b": 1})]


def test_texts_of_another_shape_change_nothing() -> None:
    said: dict[str, Any] = {"a": [1, 2], "b": {"c": 1}}
    before = result(said, json.dumps(said))
    other = json.dumps({"a": [1], "b": {"d": 1}})
    after = {**before, "content": [{"type": "text", "text": other}]}
    assert agreeing(before, after, None, clean) is after


@each(
    "before",
    [
        {"content": [{"type": "text", "text": TOKEN}]},
        result({"a": TOKEN}),
        result({"a": TOKEN}, "[", "1", TOKEN),
        {"structuredContent": {"a": TOKEN}, "content": [1, {"type": "image", "data": ""}, {"type": "text"}]},
        {"structuredContent": {"a": TOKEN}, "content": "x"},
        {"structuredContent": {"a": 1}, "content": [{"type": "text", "text": '{"a": true}'}, TOKEN]},
    ],
)
def test_what_has_no_second_form_is_left_as_it_was_inspected(before: Any) -> None:
    after = REDACTOR.inspect(before).value
    assert agreeing(before, after, None, clean) is after


def test_what_cannot_conform_becomes_an_error_that_says_why() -> None:
    schema = {"properties": {"a": {"const": TOKEN}}, "required": ["a"]}
    found = made(result({"a": TOKEN}, f"see {TOKEN}", _meta={"x": 1}), schema)
    assert found.keys() == {"content", "isError", "_meta"}
    assert found["isError"] is True
    first, second = texts(found)
    assert "does not conform" in first or "no longer conforms to the `outputSchema`" in first
    assert second == f"see {MARK}"
    assert len(agreeing({"structuredContent": TOKEN}, {"structuredContent": MARK}, {"const": TOKEN}, clean)["content"]) == 1  # fmt: skip


def test_an_error_of_the_tool_need_not_conform() -> None:
    schema = {"properties": {"a": {"const": TOKEN}}, "required": ["a"]}
    found = made(result({"a": TOKEN}, isError=True), schema)
    assert found["structuredContent"] == {"a": MARK}
