"""Text of others on a page: all of it is seen, in its order, and none of it does anything."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.console.rendering.languages import MOST
from mcpguard.console.rendering.texts import highlighted, marked
from tests.rows import each

LANGUAGES = ("sql", "shell", "json")


def seen(markup: str) -> str:
    """What stands on the page: the text without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


@each(
    ("text", "escaped"),
    [
        ("a\u202eb", r"a\u202eb"),
        ("a\u2066b\u2069", r"a\u2066b\u2069"),
        ("a\u200bb", r"a\u200bb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\rb", r"a\rb"),
        ("a\u2028b", r"a\u2028b"),
        ("a\xa0b", r"a\xa0b"),
        ("a\u3164b", r"a\u3164b"),
        ("a\ufeffb", r"a\ufeffb"),
        ("\ud800", r"\ud800"),
        ("tag\U000e0041", r"tag\U000e0041"),
    ],
)
def test_what_is_not_seen_is_shown_as_its_escape(text: str, escaped: str) -> None:
    markup = marked(text)
    assert seen(markup) == escaped
    assert '<span class="escape" title=' in markup


def test_lines_and_tabs_stay_as_they_are() -> None:
    assert marked("a\n\tb") == "a\n\tb"
    assert marked("a\n\u202e") == 'a\n<span class="escape" title="right-to-left override">\\u202e</span>'


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&lt;b", "'"]
)
def test_markup_of_others_is_text(text: str) -> None:
    for markup in (marked(text), marked(text + "\u202e"), *(highlighted(text, one) for one in LANGUAGES)):  # type: ignore[arg-type]
        assert not re.search(r"<(?!/?(?:span|bdi|mark)\b)", markup)
        assert seen(markup).startswith(text)


def test_what_redaction_took_out_is_marked_also_between_colours() -> None:
    text = "SELECT '[REDACTED:github-token#1]' -- [REDACTED:x#2]"
    for markup in (marked(text), highlighted(text, "sql")):
        assert markup.count('<mark class="redacted"') == 2
        assert "redacted github-token" in markup
    assert "<mark" not in marked("[REDACTED:<b>#1] [REDACTED:x]")


def test_words_from_right_to_left_keep_together_and_move_nothing() -> None:
    assert marked("rm \u05d0\u05d1 \u05d2 -rf 1") == 'rm <bdi dir="rtl">\u05d0\u05d1 \u05d2</bdi> -rf 1'
    assert marked("\u0627") == '<bdi dir="rtl">\u0627</bdi>'


def test_a_letter_that_looks_like_another_is_marked() -> None:
    markup = marked("p\u0430ypal.example \u043f\u0440\u0438\u0432\u0435\u0442")
    assert markup.count('class="odd"') == 1
    assert "cyrillic small letter a" in markup


@given(st.text(st.characters(exclude_categories=[]), max_size=200))
def test_every_character_of_any_text_is_seen(text: str) -> None:
    plain = seen(marked(text))
    rest = plain
    for character in text:
        shown = character if rest.startswith(character) else character.encode("unicode_escape").decode()
        assert rest.startswith(shown) or "REDACTED" in text
        rest = rest[len(shown) :]


@given(st.text(st.characters(exclude_categories=[]), max_size=200), st.sampled_from(LANGUAGES))
def test_colour_adds_and_takes_nothing(text: str, language: str) -> None:
    assert seen(highlighted(text, language)) == seen(marked(text))  # type: ignore[arg-type]


def test_statements_and_command_lines_have_colour() -> None:
    assert '<span class="tok-keyword">SELECT</span>' in highlighted("SELECT 1", "sql")
    assert "tok-string" in highlighted("echo 'a'", "shell")
    assert "tok-" in highlighted('{"a": 1}', "json")
    assert "tok-" not in highlighted("SELECT " + "1," * MOST, "sql")


@each("language", LANGUAGES)
@each("part", ["$(", "${", "((", "'", '"', "/*", "$$", "`", "\\", "<<E\n", "{", "[", "--", "a ", "\n"])
def test_no_text_keeps_a_lexer_busy(language: str, part: str) -> None:
    text = (part * MOST)[:MOST]
    assert seen(highlighted(text, language)) == seen(marked(text))  # type: ignore[arg-type]
