"""The names of a text that the parser's tree does not hold, such as the column in
`date_trunc(password, now())`, which the parser takes for a unit of time, or holds in an unknown role, such as
`f(data->'a')`, which it takes for a lambda.

Law of this file: each quoted name, and in PostgreSQL, SQLite and MySQL each word that is not syntax in its
place, is an identifier of the tree with a role that is known, or is reported as a column.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from mcpguard.core.functions.sql.pure import POSTGRES_TYPES
from mcpguard.core.functions.sql.text import SqlToken
from mcpguard.core.functions.sql.tree import Tree, name_of, shown
from mcpguard.core.functions.sql.words import MYSQL_SYNTAX, ROLES, SYNTAX, UNITS, WITHOUT_BRACKETS

MYSQL = MYSQL_SYNTAX | UNITS | WITHOUT_BRACKETS
_NOTHING = SqlToken("mark", "", -1, -1)


def lost(tokens: list[SqlToken], tree: Tree, exp: Any, dialect: str) -> set[str]:
    """See this file."""
    words = dialect in ("mysql", "postgres", "sqlite")
    found: Counter[str] = Counter()
    defined = frozenset(node.name.lower() for node in tree.of_kind(exp.ColumnDef))
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) else _NOTHING
        if after.kind == "mark" and after.text == "(":
            continue
        syntax = token.text in MYSQL if dialect == "mysql" else _is_syntax(tokens, place, after, defined)
        if token.kind == "name" or (words and token.kind == "word" and not syntax):
            found[shown(token.text, token.kind == "name", dialect)] += 1
    names = tree.of_kind(exp.Identifier)
    found.subtract(name_of(node, dialect) for node in names)
    odd = {name_of(node, dialect) for node in names if not _has_role(node, exp)}
    return {name for name, count in found.items() if count > 0} | odd


def _has_role(name: Any, exp: Any) -> bool:
    """Whether an identifier is the name of something other than a column, or of a column that is reported."""
    if isinstance(name.parent, exp.Dot):
        return name.arg_key == "expression" or isinstance(name.parent.expression, exp.Func | exp.Identifier)
    return f"{type(name.parent).__name__}.{name.arg_key}" in ROLES


def _is_syntax(tokens: list[SqlToken], place: int, after: SqlToken, defined: frozenset[str]) -> bool:
    word = tokens[place].text
    last = tokens[place - 1] if place else _NOTHING
    if word in SYNTAX or word in WITHOUT_BRACKETS or _is_argument(tokens, place + 1):
        return True
    if word in UNITS:
        extracted = last.text == "(" and place > 1 and tokens[place - 2].text == "extract"
        return last.kind in ("string", "number") or last.text == "to" or extracted
    if word in POSTGRES_TYPES or word in ("precision", "varying"):
        before = last.text in (":", "as", "double", "character", "bit", "char")
        return before or after.kind == "string" or after.text in ("with", "without") or last.text in defined
    return False


def _is_argument(tokens: list[SqlToken], place: int) -> bool:
    """Whether `=>` stands here, so that the word before is the name of an argument."""
    signs = tokens[place : place + 2]
    return [one.text for one in signs] == ["=", ">"] and signs[0].end == signs[1].start
