"""The functions that a statement calls, and whether it is a plain read; and what PostgreSQL runs as code
though no function is called: `'x'::mood` calls the input function of `mood`, and the checks of a domain; `a
@- b` calls the function behind the operator; a database may have any number of both.

Law of this file: functions are found in the tokens and in the tree, and both count, since the parser
renames what it knows (`now()` becomes CURRENT_TIMESTAMP) and drops what it thinks empty. A statement is
a plain read only where each node, each function and each word is known to have no effect. Each type and
each operator of PostgreSQL that is not on the list is given back by its name.
Source: PostgreSQL 4.1.3 (where an operator ends), 4.2.9 and 38.14.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.sql import words
from mcpguard.core.functions.sql.text import SqlToken
from mcpguard.core.functions.sql.tree import Node, Tree, name_of, shown

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


def tables_that_run(tables: set[str]) -> set[str]:
    """The names of these tables that SQLite and DuckDB call instead, without brackets and with what a column
    is equal to as the argument: a pragma, or another virtual table that no CREATE made. Not those that are
    known to read only. Source: sqlite.org/vtab.html 1.1.2, sqlite.org/pragma.html#pragfunc."""
    names = {name.rpartition(".")[2] for name in tables}
    own = {name for name in names if name.startswith(("pragma_", "sqlite_"))}
    return own - words.READING_TABLES | names & words.MODULES


def commanded(tree: Tree, exp: Any) -> set[str]:
    """The tables of SQLite in which an INSERT sets the column of the table's own name: in a table for
    full-text search that is a command, such as `delete-all`. Source: sqlite.org/fts5.html 6."""
    found = set()
    for insert in tree.of_kind(exp.Insert):
        if isinstance(insert.this, exp.Schema):
            table = name_of(insert.this.this.this, "sqlite")
            found |= {table} & {one.name.lower() for one in insert.this.expressions}
    return found


def refuse_text_as_sql(functions: set[str], dialect: str) -> None:
    """Raises FunctionError for a function whose tables stand in a text."""
    runs = words.RUNS_TEXT_POSTGRES if dialect == "postgres" else words.RUNS_TEXT
    if any(name.rpartition(".")[2] in runs for name in functions):
        raise FunctionError("sql() found a function that runs a text as SQL")


def pure(functions: set[str], dialect: str) -> bool:
    """Whether all functions are known to have no effect."""
    return all(name.removeprefix("pg_catalog.") in words.PURE[dialect] for name in functions)


def _is_call(tokens: list[SqlToken], place: int) -> bool:
    token = tokens[place]
    if token.kind not in ("word", "name"):
        return False
    after = tokens[place + 1].text if place + 1 < len(tokens) else ""
    after_dot = place > 0 and tokens[place - 1].text == "." and tokens[place - 1].kind == "mark"
    if token.kind == "word" and token.text in words.WITHOUT_BRACKETS and not after_dot:
        return True
    if after != "(" or tokens[place + 1].kind != "mark":
        return False
    if token.kind == "word" and token.text in words.CALLED_UNLESS_AFTER:
        return place == 0 or tokens[place - 1].text not in words.CALLED_UNLESS_AFTER[token.text]
    return token.kind == "name" or after_dot or token.text not in words.NOT_CALLED | words.TYPES


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


def plain_read(
    tokens: list[SqlToken],
    tree: Tree,
    functions: set[str],
    exp: Any,
    dialect: str,
    written: frozenset[str],
) -> bool:
    """Whether the statement is a query, and each node, function and word in it is known to have no effect.
    `written` are the columns that the author of the policy lists, as `TABLE.COLUMN`."""
    if not isinstance(tree.root, exp.Query | exp.Values):
        return False
    if not pure(functions, dialect) or _alarms(tokens):
        return False
    if dialect == "duckdb" and any(_may_be_a_file(name, written) for name in tree.tables()):
        return False
    return all(_reads(node, exp) for node in tree.nodes)


def _may_be_a_file(table: str, written: frozenset[str]) -> bool:
    """DuckDB reads a file where it has no table of the name: `users.csv`, with quotes or without."""
    known = table in words.CATALOGUE or any(one.startswith(f"{table}.") for one in written)
    return '"' in table or ("." in table and not known)


def _reads(node: Node, exp: Any) -> bool:
    if type(node).__name__ in words.READ_NODES:
        return True
    if isinstance(node, exp.PropertyEQ | exp.NextValueFor):
        return False
    return isinstance(node, exp.Binary | exp.Unary | exp.Func | exp.Predicate)


def _alarms(tokens: list[SqlToken]) -> bool:
    last = SqlToken("mark", "", 0, 0)
    for place, token in enumerate(tokens):
        if token.kind == "word":
            after = tokens[place + 1].text if place + 1 < len(tokens) else ""
            harmless = token.text in words.MAY_BE_CALLED and after == "("
            if token.text in words.ALARMS and not harmless:
                return True
            if last.kind == "word" and (last.text, token.text) in words.ALARM_PAIRS:
                return True
        elif token.kind == "name" and token.text.lower() in ("nextval", "currval"):
            return True
        last = token
    return False


_SIGNS = frozenset("+-*/<>=~!@#%^&|?")
_LAST = frozenset("~!@#%^&|?")
"""Signs without which an operator does not end in a plus or a minus."""


def unknown_types(tree: Tree, exp: Any, dialect: str) -> set[str]:
    """The types that the dialect does not define: one of T-SQL may run code to read a value. SQLite makes
    nothing of a type but a way to compare."""
    types = () if dialect == "sqlite" else tree.of_kind(exp.DataType)
    own = (node.args.get("kind") for node in types if node.this is exp.DataType.Type.USERDEFINED)
    return {str(name).lower() for name in own if name is not None}


def implicit(tokens: list[SqlToken], tree: Tree, exp: Any) -> set[str]:
    """The types and the operators that are not known."""
    found = {name for name in _types(tokens) if name not in words.POSTGRES_TYPES}
    found |= {one for one in _operators(tokens) if one not in words.POSTGRES_OPERATORS}
    for node in tree.of_kind(exp.DataType):
        kind = node.args.get("kind")
        if isinstance(kind, exp.Expression) and (name := _shown_type(kind, exp)) not in words.POSTGRES_TYPES:
            found.add(name)
        elif (
            isinstance(node, exp.ObjectIdentifier | exp.PseudoType)
            and node.name.lower() not in words.POSTGRES_TYPES
        ):
            found.add(node.name.lower())
    return found


def _shown_type(kind: Any, exp: Any) -> str:
    return ".".join(name_of(part, "postgres") for part in kind.find_all(exp.Identifier, bfs=False))


def _types(tokens: list[SqlToken]) -> Iterator[str]:
    """After `::`, after the AS of a CAST, and before a string."""
    opened: list[str] = []
    for place, token in enumerate(tokens):
        last = tokens[place - 1] if place else token
        if token.kind == "mark" and token.text == "(":
            opened.append(last.text if last.kind == "word" else "")
        elif token.kind == "mark" and token.text == ")":
            opened.pop()
        elif (token.kind == "mark" and token.text == ":" == last.text and last.end == token.start) or (
            token.kind == "word" and token.text == "as" and opened and opened[-1] in ("cast", "treat")
        ):
            yield _type_at(tokens, place + 1)
        elif (
            token.kind == "string" and last.kind in ("word", "name") and last.text not in words.BEFORE_STRING
        ):
            yield shown(last.text, last.kind == "name", "postgres")


def _type_at(tokens: list[SqlToken], place: int) -> str:
    end = place
    while end + 1 < len(tokens) and tokens[end + 1].text == ".":
        end += 2
    return ".".join(shown(one.text, one.kind == "name", "postgres") for one in tokens[place : end + 1 : 2])


def _operators(tokens: list[SqlToken]) -> Iterator[str]:
    run, end = "", -1
    for token in [*tokens, SqlToken("mark", ";", -1, -1)]:
        sign = token.kind == "mark" and token.text in _SIGNS
        if run and not (sign and token.start == end):
            yield from _split(run)
            run = ""
        if sign:
            run, end = run + token.text, token.end


def _split(run: str) -> Iterator[str]:
    """The operators of adjacent signs: one, but for pluses and minuses at its end."""
    while run:
        one = run
        while len(one) > 1 and one[-1] in "+-" and not _LAST & set(one):
            one = one[:-1]
        yield one
        run = run[len(one) :]
