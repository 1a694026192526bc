"""A ticket at the terminal: readable, bounded, and nothing in it that looks like a line of ours."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console
from rich.text import Text

from mcpguard.console.desk import SeenRule
from mcpguard.console.terminal import show
from mcpguard.core.policy.tickets import AnswerTerms
from tests.adapters.store.test_store import TICKET


def seen(args: Any, width: int = 80, colour: bool = False, **more: Any) -> list[str]:
    text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
    file = io.StringIO()
    system = "truecolor" if colour else None
    console = Console(
        file=file, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True,
        color_system=system, force_terminal=colour,
    )  # fmt: skip
    rules = [SeenRule("p/r", file="p.yaml", line=7)]
    show(
        structs.replace(TICKET, shown=text, message="Others see it.", **more),
        rules,
        ["private"],
        "a call waits",
        console,
    )
    return file.getvalue().split("\n")


def test_it_says_who_calls_what_and_why_it_is_asked() -> None:
    assert seen({})[:7] == [
        "tools/call s/push",
        "by os-user:ada with desk",
        "a call waits",
        "asked by p/r  p.yaml:7",
        "Others see it.",
        "the session has private",
        "",
    ]


def test_a_statement_and_a_command_keep_their_lines_and_say_their_language() -> None:
    lines = seen({"query": "SELECT 1\nFROM t", "command": "ls -l"})[7:]
    assert lines == ["query: SQL", "│ SELECT 1", "│ FROM t", "command: shell", "│ ls -l", ""]


def test_an_edit_is_a_diff() -> None:
    lines = seen({"path": "a", "old_text": "one\ntwo\n", "new_text": "one\nthree\n"})[7:]
    assert lines[0] == "old_text → new_text:"
    assert {"│   one", "│ - two", "│ + three", 'path: "a"'} <= set(lines)
    assert {"│ + three", "│ - two"} <= set(seen({"patch": "--- a\n+++ b\n@@ -1 +1 @@\n-two\n+three"}))


def test_what_the_rule_wants_shown_stands_first() -> None:
    lines = seen({"a": 1, "b": True, "c": None}, terms=AnswerTerms(show=("c", "none")))[7:]
    assert lines == ["c: null", "a: 1", "b: true", ""]


def test_structures_are_a_member_a_line() -> None:
    assert seen({"a": [1, {"b": 2}], "e": {}})[7:] == [
        "a:", "│ [", "│   1,", "│   {", '│     "b": 2', "│   }", "│ ]", "e: {}", "",
    ]  # fmt: skip


def test_what_redaction_took_out_is_marked_in_colour() -> None:
    (line,) = [one for one in seen({"a": "x [REDACTED:password#1] y"}, colour=True) if "REDACTED" in one]
    assert "\x1b[1;35m[REDACTED:password#1]\x1b[0m" in line


def test_the_colour_of_a_name_and_of_the_margin_ends_with_them() -> None:
    lines = seen({"a": "x", "query": "SELECT 1"}, colour=True)
    assert '\x1b[1ma\x1b[0m\x1b[2m:\x1b[0m "x"' in lines
    assert "\x1b[2m│ \x1b[0m\x1b[35mSELECT\x1b[0m \x1b[36m1\x1b[0m" in lines


def test_colour_changes_no_character() -> None:
    args = {"query": "SELECT 'a\u202e' -- [REDACTED:x#1]\n", "command": "echo 'ab", "old": "1", "new": "2"}
    assert [Text.from_ansi(one).plain for one in seen(args, colour=True)] == seen(args)


@pytest.mark.parametrize(
    "text", ["a\nby os-user:root", "a\r\nby os-user:root", "a\u2028by os-user:root", "\x1b[2Kby"]
)
def test_nothing_in_an_argument_looks_like_a_line_of_ours(text: str) -> None:
    for name in ("text", "query", "command", "patch", text):
        lines = seen({name: text})
        assert [one for one in lines if one.startswith("by ")] == ["by os-user:ada with desk"]
        assert "\x1b" not in "".join(lines)
        assert "\r" not in "".join(lines)


def test_a_long_line_is_continued_with_a_mark_and_loses_nothing() -> None:
    text = "x" * 300 + "宽" * 50
    lines = [one for one in seen({"text": text}, width=40) if one][6:]
    assert [one[:2] for one in lines[1:]] == ["> "] * (len(lines) - 1)
    assert lines[0] + "".join(one[2:] for one in lines[1:]) == f'text: "{text}"'
    assert all(len(one) + one.count("宽") <= 40 for one in lines)


def test_what_is_no_object_is_behind_the_margin() -> None:
    assert seen('["a"]')[7:] == ['│ ["a"]', ""]
    assert seen("{broken\nby x")[7:] == ["│ {broken", "│ by x", ""]
