"""The functions that a statement calls, and whether it is a plain read.

Law of this file: functions are found in the tokens and in the tree, and both count, since the parser
renames what it knows (`now()` becomes CURRENT_TIMESTAMP) and drops what it thinks empty. A statement is
a plain read only where each node, each function and each word is known to have no effect.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.sql.pure import PURE
from mcpguard.core.functions.sql.text import SqlToken
from mcpguard.core.functions.sql.tree import Node, Tree, name_of, shown
from mcpguard.core.functions.sql.words import (
    ALARM_PAIRS,
    ALARMS,
    CALLED_UNLESS_AFTER,
    MAY_BE_CALLED,
    NOT_CALLED,
    READ_NODES,
    RUNS_TEXT,
    RUNS_TEXT_POSTGRES,
    TYPES,
    WITHOUT_BRACKETS,
)

_QUANTIFIERS = frozenset({"all", "any", "some"})
"""Reserved words, which the parser takes for functions before an array."""


def called(tokens: list[SqlToken], tree: Tree, exp: Any, dialect: str) -> set[str]:
    """The shown names of all functions; one with a schema is there with it and without it."""
    found: Counter[tuple[str, ...]] = Counter()
    for place, token in enumerate(tokens):
        if _is_call(tokens, place):
            found[(*_schema(tokens, place, dialect), shown(token.text, token.kind == "name", dialect))] += 1
    found.subtract(_not_calls(tree, exp, dialect))
    names = [name for name, count in found.items() if count > 0]
    anonymous = {shown(node.name, False, dialect) for node in tree.of_kind(exp.Anonymous)} - _QUANTIFIERS
    return {name[-1] for name in names} | {".".join(name) for name in names} | anonymous


def refuse_text_as_sql(functions: set[str], dialect: str) -> None:
    """Raises FunctionError for a function whose tables stand in a text."""
    runs = RUNS_TEXT_POSTGRES if dialect == "postgres" else RUNS_TEXT
    if any(name.rpartition(".")[2] in runs for name in functions):
        raise FunctionError("sql() found a function that runs a text as SQL")


def pure(functions: set[str], dialect: str) -> bool:
    """Whether all functions are known to have no effect."""
    return all(name.removeprefix("pg_catalog.") in PURE[dialect] for name in functions)


def _is_call(tokens: list[SqlToken], place: int) -> bool:
    token = tokens[place]
    if token.kind not in ("word", "name"):
        return False
    after = tokens[place + 1].text if place + 1 < len(tokens) else ""
    after_dot = place > 0 and tokens[place - 1].text == "." and tokens[place - 1].kind == "mark"
    if token.kind == "word" and token.text in WITHOUT_BRACKETS and not after_dot:
        return True
    if after != "(" or tokens[place + 1].kind != "mark":
        return False
    if token.kind == "word" and token.text in CALLED_UNLESS_AFTER:
        return place == 0 or tokens[place - 1].text not in CALLED_UNLESS_AFTER[token.text]
    return token.kind == "name" or after_dot or token.text not in NOT_CALLED | TYPES


def _schema(tokens: list[SqlToken], place: int, dialect: str) -> list[str]:
    parts: list[str] = []
    while place >= 2 and tokens[place - 1].text == "." and tokens[place - 1].kind == "mark":
        place -= 2
        parts.insert(0, shown(tokens[place].text, tokens[place].kind == "name", dialect))
    return parts


def _not_calls(tree: Tree, exp: Any, dialect: str) -> Counter[tuple[str, ...]]:
    """Names before a bracket that holds a list of columns: of a WITH, an alias, a table."""
    lists = [node.this for node in tree.of_kind(exp.TableAlias) if node.args.get("columns")]
    lists += [node.this for node in tree.of_kind(exp.Schema) if isinstance(node.this, exp.Table)]
    lists += [node.args["table"] for node in tree.of_kind(exp.Index) if node.args.get("table")]
    named = ([one] if isinstance(one, exp.Identifier) else one.parts for one in lists if one is not None)
    return Counter(tuple(name_of(part, dialect) for part in parts) for parts in named)


def plain_read(tokens: list[SqlToken], tree: Tree, functions: set[str], exp: Any, dialect: str) -> bool:
    """Whether the statement is a query without any effect that could be known of."""
    if not isinstance(tree.root, exp.Query | exp.Values):
        return False
    if not pure(functions, dialect) or _alarms(tokens):
        return False
    if dialect == "duckdb" and any('"' in name for name in tree.tables()):
        return False  # a quoted name may be a file that DuckDB reads
    return all(_reads(node, exp) for node in tree.nodes)


def _reads(node: Node, exp: Any) -> bool:
    if type(node).__name__ in READ_NODES:
        return True
    if isinstance(node, exp.PropertyEQ | exp.NextValueFor):
        return False
    return isinstance(node, exp.Binary | exp.Unary | exp.Func | exp.Predicate)


def _alarms(tokens: list[SqlToken]) -> bool:
    last = SqlToken("mark", "", 0, 0)
    for place, token in enumerate(tokens):
        if token.kind == "word":
            after = tokens[place + 1].text if place + 1 < len(tokens) else ""
            harmless = token.text in MAY_BE_CALLED and after == "("
            if token.text in ALARMS and not harmless:
                return True
            if last.kind == "word" and (last.text, token.text) in ALARM_PAIRS:
                return True
        elif token.kind == "name" and token.text.lower() in ("nextval", "currval"):
            return True
        last = token
    return False
