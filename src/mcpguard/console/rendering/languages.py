"""What language an argument is in, by its name and how it begins, and what each of its characters is there.

Law of this file: a guess gives colour and nothing else. Where a lexer does not give back exactly what it got,
or there is much of it, there is no colour.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

Language = Literal["sql", "shell", "json"]

PLACEHOLDER = re.compile(r"\[REDACTED:([A-Za-z0-9_.:/-]+)#([0-9]{1,5})\]")
"""What redaction puts in place of what it takes out."""

MOST = 8_192
"""Longer texts stay without colour: lexers are regular expressions, and the text may be made against them."""

_SQL = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(?:select|insert|update|delete|with|create|alter|drop|grant|revoke|truncate|explain|merge|copy|call"
    r"|begin|set|vacuum)\b",
    re.IGNORECASE,
)
_SQL_NAMES = re.compile(r"(?i)(?:^|_)(?:sql|query|statement|ddl)$")
_SHELL_NAMES = re.compile(r"(?i)^(?:command|cmd|script|shell|bash|commandline|command_line|run)$")
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


def language_of(name: str, text: str) -> Language | None:
    """The language of the argument `name`, None for none of these."""
    if _SHELL_NAMES.match(name):
        return "shell"
    if _SQL_NAMES.search(name) and _SQL.match(text):
        return "sql"
    if text[:1] in ("{", "[") and len(text) > 1 and _is_json(text):
        return "json"
    return None


def classes_of(text: str, language: Language) -> list[str]:
    """What each character is, such as "keyword" or "redacted", "" for nothing in particular; empty where
    that is not known."""
    kinds = _of_characters(text, language) if len(text) <= MOST else []
    if len(kinds) != len(text):
        return []
    for found in PLACEHOLDER.finditer(text):
        kinds[found.start() : found.end()] = ["redacted"] * (found.end() - found.start())
    return kinds


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


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
