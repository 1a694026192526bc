"""Statements that are read by their words alone, since the parser has no tree for them.

Law of this file: a statement is accepted only where its words say all of what it touches.
"""

from __future__ import annotations

import re

from msgspec import Struct

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.sql.text import SqlToken
from mcpguard.core.functions.sql.tree import shown
from mcpguard.core.functions.sql.words import READING_BARE_PRAGMAS, READING_PRAGMAS, STATEMENT_WORDS

PLAIN_KINDS = ("transaction", "set", "show", "pragma")
"""What kinds these are."""


class Plain(Struct, frozen=True):
    """What such a statement is."""

    kind: str
    writes: bool
    tables: frozenset[str] = frozenset()


_TRANSACTION = re.compile(
    r"begin( (transaction|work|tran|deferred|immediate|exclusive|isolation level [a-z ]+|read (only|write)))*"
    r"|start transaction( (read (only|write)|isolation level [a-z ]+|with consistent snapshot|,))*"
    r"|(commit|rollback|end|abort)( (transaction|work|tran))?( and( no)? chain)?"
    r"|(savepoint|release|release savepoint|rollback to|rollback to savepoint) [a-z_][a-z0-9_]*"
)
_SHOW = re.compile(
    r"show( (full|global|session))?( (tables|databases|schemas|variables|status|processlist|warnings|errors"
    r"|engines|plugins|collation|charset|privileges|all))( like string)?"
)
_SHOW_SETTING = re.compile(r"show ([a-z_]+|all|time zone|transaction isolation level|session authorization)")
"""Of PostgreSQL: any word is the name of a setting."""
_SHOW_OF = re.compile(
    r"show( full)?( (columns|fields|index|indexes|indices|keys)( (from|in))|( create (table|view)))"
)


def plain(tokens: list[SqlToken], dialect: str) -> Plain | None:
    """None for a statement that the parser has to read. Raises FunctionError."""
    first = tokens[0].text if tokens[0].kind == "word" else ""
    if first in ("begin", "start", "commit", "rollback", "end", "abort", "savepoint", "release"):
        return _transaction(tokens)
    if first in ("set", "reset"):
        return _set(tokens)
    if first == "show":
        return _show(tokens, dialect)
    if first == "pragma":
        return _pragma(tokens, dialect)
    return None


def _words(tokens: list[SqlToken]) -> str:
    return " ".join(token.text if token.kind in ("word", "mark") else token.kind for token in tokens)


def _transaction(tokens: list[SqlToken]) -> Plain:
    if not _TRANSACTION.fullmatch(_words(tokens)):
        raise FunctionError("sql() cannot determine what this transaction statement does")
    return Plain("transaction", writes=True)


def _set(tokens: list[SqlToken]) -> Plain:
    words = {token.text for token in tokens if token.kind == "word"}
    if words & STATEMENT_WORDS or any(token.kind == "mark" and token.text in "([" for token in tokens):
        raise FunctionError("sql() does not read a SET that computes its value")
    return Plain("set", writes=True)


def _show(tokens: list[SqlToken], dialect: str) -> Plain:
    if dialect not in ("postgres", "mysql"):
        raise FunctionError("sql() reads SHOW of PostgreSQL and MySQL only")
    words = _words(tokens)
    head = _SHOW_OF.match(words)
    if head and dialect == "mysql":
        rest = tokens[len(head.group().split()) :]
        names = [shown(one.text, one.kind == "name", dialect) for one in rest[::2]]
        dots = all(one.kind == "mark" and one.text == "." for one in rest[1::2])
        if len(rest) % 2 and dots and all(one.kind in ("word", "name") for one in rest[::2]):
            return Plain("show", writes=False, tables=frozenset({".".join(names)}))
    elif (_SHOW if dialect == "mysql" else _SHOW_SETTING).fullmatch(words):
        return Plain("show", writes=False)
    raise FunctionError("sql() cannot determine what this SHOW shows")


def _pragma(tokens: list[SqlToken], dialect: str) -> Plain:
    """`PRAGMA [schema.]name [= value | (value)]`. Source: sqlite.org/pragma.html."""
    if dialect != "sqlite":
        raise FunctionError("sql() reads PRAGMA of SQLite only")
    rest = tokens[1:]
    if len(rest) > 2 and rest[1].text == ".":
        rest = rest[2:]
    if not rest or rest[0].kind != "word":
        raise FunctionError("sql() found a PRAGMA without a name")
    name, value = rest[0].text, rest[1:]
    if not value:
        return Plain("pragma", writes=name not in READING_PRAGMAS | READING_BARE_PRAGMAS)
    shape = [token.text if token.kind == "mark" else "value" for token in value]
    if shape != ["(", "value", ")"] or name not in READING_PRAGMAS:
        return Plain("pragma", writes=True)
    argument = value[1]
    text = argument.text[1:-1] if argument.kind == "string" else argument.text
    quoted = argument.kind != "word"
    return Plain("pragma", writes=False, tables=frozenset({shown(text, quoted, dialect)}))
