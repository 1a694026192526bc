"""The arguments of a call: edits are diffs, statements have colour, and what is not seen is counted."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from mcpguard.console.rendering.arguments import (
    FOLD_CHARACTERS,
    MOST_MEMBERS,
    MOST_ON_THE_PAGE,
    ShownArguments,
    ShownValue,
    shown_arguments,
    whole,
)
from mcpguard.console.rendering.diffs import MOST_LINES, compared, is_patch
from tests.rows import each


def shown(args: Any) -> ShownArguments:
    return shown_arguments(args if isinstance(args, str) else json.dumps(args))


def only(args: Any) -> ShownValue:
    (one,) = shown(args).values
    return one


def signs(one: ShownValue) -> str:
    return "".join(line.sign for line in one.lines)


@each(
    ("args", "kind", "language"),
    [
        ({"query": "DELETE FROM t"}, "code", "sql"),
        ({"sql": "-- why\nselect 1"}, "code", "sql"),
        ({"query": "weather in Berlin"}, "text", ""),
        ({"command": "rm -rf /"}, "code", "shell"),
        ({"body": '{"a": 1}'}, "code", "json"),
        ({"text": "a\nb"}, "block", ""),
        ({"path": "/srv"}, "text", ""),
        ({"n": 1.5}, "number", ""),
        ({"n": None}, "word", ""),
        ({"n": True}, "word", ""),
        ({"n": {}}, "object", ""),
        ({"n": []}, "list", ""),
    ],
)
def test_a_value_is_read_as_what_it_is(args: dict[str, Any], kind: str, language: str) -> None:
    one = only(args)
    assert (one.kind, one.language) == (kind, language)


@pytest.mark.parametrize(
    ("old", "new"),
    [("oldText", "newText"), ("old_string", "new_string"), ("old_str", "new_str"), ("search", "replace")],
)
def test_an_edit_is_a_diff(old: str, new: str) -> None:
    one, path = shown({old: "a\nb\n", new: "a\nc\n", "path": "/p"}).values
    assert one.kind == "diff"
    assert [(line.sign, str(line.text)) for line in one.lines] == [(" ", "a"), ("-", "b"), ("+", "c")]
    assert path.name == "path"


def test_a_list_of_edits_is_a_list_of_diffs() -> None:
    one = only({"edits": [{"oldText": "a", "newText": "b"}, {"oldText": "c", "newText": ""}]})
    assert [signs(edit.members[0]) for edit in one.members] == ["-+", "-"]


def test_a_patch_is_shown_as_one() -> None:
    patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n"
    assert signs(only({"patch": patch})) == "@@@-+  "
    assert signs(only({"input": patch})) == "@@@-+  "
    assert not is_patch("text", "a\n--- b")
    assert not is_patch("diff", "none of it")


def test_what_stays_the_same_is_folded_and_kept() -> None:
    before = [str(number) for number in range(40)]
    after = [*before[:20], "new", *before[21:]]
    lines = compared("\n".join(before), "\n".join(after))
    folded = [line for line in lines if line.folded]
    assert len(folded) == 2
    assert sum(len(line.folded) for line in folded) + sum(line.sign in " -" for line in lines) == 40
    assert [line.text for line in lines if line.sign in "+-"] == ["20", "new"]


def test_a_missing_end_of_the_last_line_is_told() -> None:
    assert compared("a\n", "a")[-1].text == "only the old text ends its last line"
    assert compared("a", "a\n")[-1].text == "only the new text ends its last line"
    assert "".join(line.sign for line in compared("", "a\n")) == "+"
    assert compared("", "") == []


def test_long_edits_stand_one_after_the_other() -> None:
    long = "a\n" * MOST_LINES
    assert {line.sign for line in compared(long, "b\n")} == {"-", "+"}


def test_long_texts_are_folded_and_counted() -> None:
    text = "word " * 1000
    args = shown({"text": text})
    (one,) = args.values
    assert len(one.text) <= FOLD_CHARACTERS
    assert one.folded == args.folded == len(text) - len(one.text)
    assert str(one.text) + str(one.rest) == text
    assert only({"text": "word " * 20}).folded == 0
    assert only({"text": "\n" * 100}).folded > 50


def test_the_page_stays_small_whatever_the_arguments_are() -> None:
    for args in (
        {"text": "x" * 60_000},
        {str(number): "x" * 40 for number in range(1400)},
        {"list": [{"a": [1] * 20}] * 1000},
        {"edits": [{"oldText": "a\n" * 5000, "newText": "b\n" * 5000}]},
        {"x" * 30_000: "x" * 30_000},
        {"patch": "--- a\n" + "+x\n" * 15_000},
    ):
        found = shown(args)
        assert len(repr(found)) < 12 * MOST_ON_THE_PAGE
        assert found.cut > 0


def test_nothing_is_left_out_uncounted() -> None:
    args = {"list": list(range(MOST_MEMBERS + 40))}
    found = shown(args)
    more = found.values[0].members[-1]
    assert more.kind == "more"
    assert "40 more" in more.text
    assert found.cut > 0


def test_deep_arguments_end_in_text() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}
    assert '"a"' in html.unescape(repr(shown(deep)))
    assert shown("[" * 3000).raw is not None


def test_what_is_no_object_is_shown_as_it_is() -> None:
    for text in ('{"torn": "aaa', "[1, 2]", "null", '"\\u202e"'):
        assert shown(text).raw is not None


def test_what_the_rule_wants_seen_first_stands_first() -> None:
    args = shown_arguments('{"a": 1, "b": 2, "c": 3}', ("c", "missing", "b"))
    assert [one.name for one in args.values] == ["c", "b", "a"]


def test_redactions_are_counted() -> None:
    assert shown({"a": "[REDACTED:x#1] [REDACTED:y#2]"}).redacted == 2


def test_the_whole_is_a_member_a_line_with_nothing_hidden() -> None:
    text = whole('{"a": "x\\u202ey", "b": [1]}')
    assert text == '{\n  "a": "x\\u202ey",\n  "b": [\n    1\n  ]\n}\n'
    assert whole("a\x1b") == "a\\x1b\n"


def test_names_of_arguments_are_text_too() -> None:
    one = only({"<b>\u202e": 1})
    assert one.name is not None
    assert "&lt;b&gt;" in one.name
    assert re.search(r"\\u202e", one.name)
