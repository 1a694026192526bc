"""Statements, command lines and documents in colour.

Law of this file: colour adds nothing and takes nothing away. The text is that of `texts.marked`, and where a
lexer does not give back exactly what it got, or there is much of it, there is none.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from mcpguard.console.texts import PLACEHOLDER, marked

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

Language = Literal["sql", "shell", "json"]

MOST = 8_192
"""Longer texts stay without colour: lexers are regular expressions, and the text may be made against them."""

_CLASSES = {
    "Comment": "comment",
    "Keyword": "keyword",
    "Name.Builtin": "builtin",
    "Name.Function": "builtin",
    "Name.Variable": "variable",
    "Name.Tag": "variable",
    "Literal.String": "string",
    "Literal.Number": "number",
    "Literal": "string",
    "Operator": "operator",
    "Punctuation": "operator",
}
"""The first that is the kind of a token or around it gives its class."""


def highlighted(text: str, language: Language) -> Markup:
    """`text` as markup, in colour where that can be had."""
    kinds = _of_characters(text, language) if len(text) <= MOST else []
    if len(kinds) != len(text):
        return marked(text)
    for found in PLACEHOLDER.finditer(text):
        kinds[found.start() : found.end()] = ["redacted"] * (found.end() - found.start())
    parts: list[Markup] = []
    at = 0
    for kind, run in groupby(kinds):
        end = at + len(list(run))
        piece = marked(text[at:end])
        plain = kind in ("", "redacted")
        parts.append(piece if plain else Markup('<span class="{}">{}</span>').format(f"tok-{kind}", piece))
        at = end
    return Markup("").join(parts)


def _of_characters(text: str, language: Language) -> list[str]:
    """The class of each character; fewer than there are where the lexer left something out."""
    kinds: list[str] = []
    for at, token, value in _lexer(language).get_tokens_unprocessed(text):
        if at != len(kinds) or text[at : at + len(value)] != value:
            return []
        kinds += [_class(token)] * len(value)
    return kinds


@cache
def _class(token: _TokenType) -> str:
    name = str(token).removeprefix("Token.")
    while name:
        if name in _CLASSES:
            return _CLASSES[name]
        name = name.rpartition(".")[0]
    return ""


@cache
def _lexer(language: Language) -> Lexer:
    from pygments.lexers.data import JsonLexer
    from pygments.lexers.shell import BashLexer
    from pygments.lexers.sql import PostgresLexer

    lexers = {"sql": PostgresLexer, "shell": BashLexer, "json": JsonLexer}
    return lexers[language]()
