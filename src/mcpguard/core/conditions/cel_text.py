"""The words of a CEL text (cel-spec, lexis), as far as calls, paths and constants need them.

Law of this file: it never fails. What is not a word of CEL is an "other", and the engine says what is wrong.
"""

import re

from msgspec import Struct

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      |(?P<string>[rR]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      |(?P<bytes>[bB][rR]?(?=["']))
      |(?P<number>(?:0x[0-9a-fA-F]+|\d+)(?![.\w]))
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_HIGH = r"(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
_IN_BYTES = r"""[abfnrtv"'\\]|x[0-9a-fA-F]{2}|[0-3][0-7]{2}"""
_GOOD = {
    "string": re.compile(rf"{_IN_BYTES}|u{_HIGH}|U0000{_HIGH}|U00(0[1-9a-fA-F]|10)[0-9a-fA-F]{{4}}"),
    "bytes": re.compile(_IN_BYTES),
}
"""What may follow a backslash, by the kind of the literal: what every engine reads alike."""
_IN_RAW = re.compile("[^\"']", re.DOTALL)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class CelToken(Struct, frozen=True):
    """A word at `start`, an offset in characters. `kind`: string, bytes (only the prefix of one), number (a
    whole one), name, other (one character) or end."""

    kind: str
    text: str
    start: int


def tokens_of(text: str) -> list[CelToken]:
    """All words of `text` without space and comments, and three times the end: to look ahead is safe."""
    found = [
        CelToken(str(one.lastgroup), one[0], one.start())
        for one in _TOKEN.finditer(text)
        if one.lastgroup != "space"
    ]
    return [*found, *[CelToken("end", "", len(text))] * 3]


def escape_mistakes(tokens: list[CelToken]) -> list[tuple[int, str]]:
    """(offset in characters, sentence) for each backslash in a string that begins no escape, and in a raw one
    for each before a quote: of those the engines, and what reads constants here, do not make the same."""
    mistakes = []
    before = CelToken("end", "", 0)
    for token in tokens:
        if token.kind == "string":
            kind = before.kind if before.kind == "bytes" else "string"
            raw = token.text[0] in "rR" or (kind == "bytes" and len(before.text) > 1)
            good = _IN_RAW if raw else _GOOD[kind]
            for found in re.finditer(r"\\.", token.text, re.DOTALL):
                if not good.match(token.text, found.start() + 1):
                    said = f"`{found[0]}` is not an escape here: write two backslashes for one"
                    mistakes.append((token.start + found.start(), said))
        before = token
    return mistakes


def string_value(literal: str) -> str:
    """The value of a CEL string literal (cel-spec, lexis)."""
    raw = literal[0] in "rR"
    body = literal[1:] if raw else literal
    quote = 3 if body[:3] in ('"""', "'''") else 1
    inner = body[quote:-quote]
    return inner if raw else _ESCAPE.sub(_unescaped, inner)


def _unescaped(found: re.Match[str]) -> str:
    for digits, base in zip(found.groups()[:4], (16, 16, 16, 8), strict=True):
        if digits is not None:
            return chr(min(int(digits, base), 0x10FFFF))
    return _PLAIN.get(found[5], found[5])
