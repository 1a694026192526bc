"""What encoders escape in a held value, all or some of it, hides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.held import reduced
from mcpguard.core.redaction.held.reduced import ReducedText
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

HARD = "aB3&kQ9+xZ7/mT2=pL5<w>8'vN%4"
GONE = "[REDACTED:credential:x#1]"


def some(escape: str, characters: str) -> Callable[[str], str]:
    return lambda value: "".join(escape.format(ord(char)) if char in characters else char for char in value)


PARTIAL = {
    "Go's JSON": some("\\u{:04x}", "<>&"),
    ".NET's JSON": some("\\u{:04X}", "<>&+'`"),
    "Go's PathEscape": some("%{:02X}", "/<>'%"),
    "the userinfo of WHATWG": some("%{:02x}", "/=<>%'"),
    "one character of a URL": some("%{:02X}", "&"),
    "twice in a URL": some("%25{:02X}", "&/"),
    "IIS": some("%u{:04X}", "+/"),
    "HTML by number": some("&#{:d};", "+/'"),
    "HTML by hexadecimal number": some("&#x{:X};", "+/'"),
    "XML": lambda value: value.replace("&", "&amp;").replace("<", "&lt;"),
    "HTML by name": lambda value: value.replace("+", "&plus;").replace("/", "&sol;"),
    "HTML twice": lambda value: value.replace("&", "&amp;amp;").replace("<", "&amp;lt;"),
    "quoted-printable": lambda value: value.replace("=", "=3D"),
    "C": some("\\x{:02x}", "&/"),
    "C in octal": some("\\{:03o}", "&/"),
    "Rust": some("\\u{{{:x}}}", "&/"),
    "Python": some("\\U{:08x}", "&/"),
    "DNS": some("\\{:03d}", "&/<>"),
    "RTF": some("\\'{:02x}", "&/<>"),
    "LaTeX": lambda value: (
        value.replace("<", "\\textless{}").replace(">", "\\textgreater ").replace("'", "\\textquotesingle{}")
    ),
    "a table in LaTeX": lambda value: value.replace("<", "\\ensuremath{<}").replace("&", "\\&"),
    "ConTeXt": lambda value: value.replace("<", "\\letterless{}").replace("&", "\\letterampersand{}"),
    "a page of man": lambda value: value.replace("'", "\\[aq]").replace("=", "\\(eq"),
    "two layers of backslashes": some("\\\\u{:04x}", "<>&"),
}


@pytest.mark.uncounted
@each("encoder", PARTIAL)
@each("value", [HARD, "a/b&c=d/e+f<g>h'i2", "p@ss/w0rd+1&x<2>=3'4"])
def test_a_value_of_which_some_is_escaped_is_found(encoder: str, value: str) -> None:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    text = PARTIAL[encoder](value)
    assert made.inspect_text(f"it is {text}, they say") == f"it is {GONE}, they say"


@pytest.mark.parametrize("value", ["<k9>&\"x2';Zp", "a\\9k\\nX2\\\\z"])
def test_a_value_of_few_letters_is_found_where_its_quotes_are_escaped(value: str) -> None:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    once = json.dumps(value)[1:-1]
    for text in (
        *(once, json.dumps(once)[1:-1], repr(value)[1:-1]),
        *(value.replace("'", "''"), value.replace('"', '""'), value.replace("'", "\\'")),
    ):
        assert made.inspect_text(f"it is {text}, they say") == f"it is {GONE}, they say"


def test_base64_with_the_ends_of_lines_as_json_writes_them_is_found() -> None:
    made = Redactor(b"key")
    made.hold("x", Secret("aB3kQ9xZ7mT2pL5wvN4cR8"))
    assert GONE in made.inspect_text('{"content": "YUIza1E5eFo3\\nbVQycEw1d3\\nZONGNSOA==\\n"}')


def test_a_text_is_cut_where_no_escape_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "_PART", 100)
    made = Redactor(b"key")
    made.hold("x", Secret(HARD))
    for before in range(60, 120):
        text = "." * before + PARTIAL["Go's JSON"](HARD)
        assert made.inspect_text(text) == "." * before + GONE
    plain = ("words and words " * 40).encode() + b"%2f" + PAD
    assert ReducedText(plain, True).unescaped == ReducedText(plain.replace(b"%2f", b""), False).skeleton


def test_a_text_without_escapes_is_searched_once() -> None:
    assert ReducedText(b"words & more" + PAD, False).unescaped is None
    assert ReducedText(b"words" + PAD, True).unescaped is None
    assert ReducedText(b"words" + PAD, True).places([]) == {}
