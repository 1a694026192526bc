"""Which `a.b` of PostgreSQL is a column, and which may be the call of a function; and the names of a text
that the parser's tree does not hold, or holds in an unknown role.

PostgreSQL reads `x.f` as `f(x)` where x has no column f, whether x is a row or a single value, and `(x).f`,
`x[1].f` and `$1.f` likewise. Law of this file: a name after a dot is a column only where the columns of what
stands before the dot are written down: in the statement (an alias with names, a WITH or a subquery that names
what it gives), by the author of the policy for a table, or in `words.txt` for a view of the catalogue. Every
other one is a call of that name, which reads the whole row. Each quoted name, and in PostgreSQL, SQLite and
MySQL each word that is not syntax in its place, is an identifier of the tree with a role that is known, or is
reported as a column. Source: PostgreSQL 4.2.4, 8.16.5, 37 and 38.5.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from mcpguard.core.functions.sql import words
from mcpguard.core.functions.sql.text import SqlToken
from mcpguard.core.functions.sql.tree import Node, Tree, name_of, shown

Names = frozenset[str]
Chain = tuple[str, ...]

_GIVES: dict[str, Names] = {
    f"{kind}_{name}{end}": columns
    for kind in ("json", "jsonb")
    for name, columns in (("each", frozenset({"key", "value"})), ("array_elements", frozenset({"value"})))
    for end in ("", "_text")
}
"""The columns of functions in FROM. Source: PostgreSQL 9.16."""


class DottedNames(Struct):
    """The dots of a statement: `chains` are names with dots between them, `called` those of them before a
    bracket, `fields` the names behind a bracket or a parameter; `star` says whether there is a `.*`."""

    chains: Counter[Chain]
    called: Counter[Chain]
    fields: set[str]
    star: bool = False


class Fields(Struct, frozen=True):
    """`calls` are the names after a dot that no written list has; `whole` says that a row is read by them."""

    calls: frozenset[str]
    whole: bool


def fields(tokens: list[SqlToken], tree: Tree, exp: Any, is_column: Callable[[Chain], bool]) -> Fields:
    """The names after a dot that may be called. `is_column` is `Relations.column` of the statement."""
    dotted = _dotted(tokens)
    tables = Counter(_parts(table, exp) for table in tree.of_kind(exp.Table))
    calls = set(dotted.fields)
    for chain, count in dotted.chains.items():
        named = max(0, tables[chain] - dotted.called[chain])  # as a table, and not before a list of columns
        if count > named and not is_column(chain):
            calls.add(chain[-1])
    return Fields(frozenset(calls), whole=bool(calls) or dotted.star)


def _parts(table: Node, exp: Any) -> Chain:
    return tuple(name_of(part, "postgres") for part in table.parts if isinstance(part, exp.Identifier))


def _is_dot(tokens: list[SqlToken], place: int) -> bool:
    return place < len(tokens) and tokens[place].kind == "mark" and tokens[place].text == "."


def _dotted(tokens: list[SqlToken]) -> DottedNames:
    found = DottedNames(Counter(), Counter(), set())
    place = 1
    while place < len(tokens):
        if not _is_dot(tokens, place):
            place += 1
            continue
        first = tokens[place - 1]
        names: list[str] = []
        while _is_dot(tokens, place):
            after = tokens[place + 1 : place + 2]
            found.star |= bool(after) and after[0].text == "*" and after[0].kind == "mark"
            names += [_name(one) for one in after if one.kind in ("word", "name")]
            place += 2
        if first.kind not in ("word", "name"):
            found.fields.update(names)
            continue
        bracket = place < len(tokens) and tokens[place].kind == "mark" and tokens[place].text == "("
        if tokens[place - 1].kind != "mark":
            (found.called if bracket else found.chains)[(_name(first), *names)] += 1
    return found


def _name(token: SqlToken) -> str:
    return shown(token.text, token.kind == "name", "postgres")


class Relations:
    """What stands in the FROMs of a statement, with the columns of it that are written down: here, or in
    `written` by the author of the policy, as `TABLE.COLUMN`."""

    def __init__(self, tree: Tree, exp: Any, written: Names) -> None:
        self._tree = tree
        self._exp = exp
        self._written = written
        self._given: dict[int, Names] = {}
        self._common: dict[str, list[Node]] = {}
        for cte in tree.of_kind(exp.CTE):
            self._common.setdefault(name_of(cte.args["alias"].this, "postgres"), []).append(cte)
        self._found: dict[Chain, list[Names]] = {}
        for node in tree.of_kind((exp.Table, exp.Subquery, exp.Lateral, exp.Unnest, exp.Values)):
            for names in self._names(node):
                self._found.setdefault(names, []).append(self._columns(node))

    def column(self, chain: Chain) -> bool:
        """Whether everything that can precede the last dot has a written column of the last name."""
        found = self._found.get(chain[:-1], [])
        return bool(found) and all(chain[-1] in one for one in found)

    def _names(self, node: Node) -> list[Chain]:
        alias = node.args.get("alias")
        if alias is not None and alias.this is not None:
            names: list[Chain] = [(name_of(alias.this, "postgres"),)]
        elif isinstance(node, self._exp.Table):
            whole = _parts(node, self._exp)
            names = list(dict.fromkeys([whole[-1:], whole]))
        else:
            names = []
        inserted = isinstance(node.parent, self._exp.Insert | self._exp.Schema)
        return [*names, ("excluded",)] if inserted and node.arg_key == "this" else names

    def _columns(self, node: Node) -> Names:
        alias = node.args.get("alias")
        made = node.this if isinstance(node, self._exp.Lateral) else node
        counted = made.args.get("offset")
        if alias is not None and alias.args.get("columns"):
            number = [counted] if isinstance(counted, self._exp.Identifier) else []
            return self._listed([*alias.args["columns"], *number]) | self._number(counted)
        return self._unlisted(node) | self._number(counted or node.args.get("ordinality"))

    def _number(self, counted: Any) -> Names:
        """What WITH ORDINALITY adds, unless the alias has a name for it."""
        return frozenset({"ordinality"}) if counted is True else frozenset()

    def _unlisted(self, node: Node) -> Names:
        if isinstance(node, self._exp.Table):
            return self._of_table(node)
        if isinstance(node, self._exp.Lateral) and isinstance(node.this, self._exp.Anonymous):
            return _GIVES.get(node.this.name.lower(), frozenset())
        return self._gives(node.this)

    def _of_table(self, node: Node) -> Names:
        table = self._tree.read.get(id(node))
        if table is not None:
            last = table.rpartition(".")[2]
            return words.CATALOGUE.get(table, frozenset()) | frozenset(
                one.removeprefix(head)
                for head in (f"{table}.", f"{last}.")
                for one in self._written
                if one.startswith(head)
            )
        if isinstance(node.this, self._exp.Anonymous):
            return _GIVES.get(node.this.name.lower(), frozenset())
        named = self._common.get(name_of(node.this, "postgres"), []) if node.this is not None else []
        all_of = [self._of_common(cte) for cte in named]
        return frozenset.intersection(*all_of) if all_of else frozenset()

    def _of_common(self, cte: Node) -> Names:
        columns = cte.args["alias"].args.get("columns")
        if columns:
            return self._listed(columns)
        return self._gives(cte.this)

    def _gives(self, query: Node) -> Names:
        """The names of what a query gives, as far as it writes them; each query is asked once."""
        if not isinstance(query, self._exp.Expression):
            return frozenset()
        if id(query) not in self._given:
            self._given[id(query)] = frozenset()  # what a WITH RECURSIVE gives to itself
            self._given[id(query)] = self._named(query)
        return self._given[id(query)]

    def _named(self, query: Node) -> Names:
        exp = self._exp
        if isinstance(query, exp.SetOperation | exp.Subquery):
            return self._gives(query.this)
        returned = query.args.get("returning")
        outputs = query.expressions if isinstance(query, exp.Select) else returned and returned.expressions
        return frozenset(name for one in outputs or () for name in self._output(one, query))

    def _output(self, one: Node, query: Node) -> Iterator[str]:
        exp = self._exp
        if isinstance(one, exp.Alias):
            yield name_of(one.args["alias"], "postgres")
        elif isinstance(one, exp.Column) and not isinstance(one.this, exp.Star):
            yield name_of(one.this, "postgres")
        elif isinstance(one, exp.Star):
            sources = [query.args.get("from_"), *(query.args.get("joins") or ())]
            columns = [self._columns(source.this) for source in sources if source is not None]
            yield from frozenset[str]().union(*columns)

    def _listed(self, columns: list[Node]) -> Names:
        names = [one.this if isinstance(one, self._exp.ColumnDef) else one for one in columns]
        return frozenset(name_of(name, "postgres") for name in names)


MYSQL = words.MYSQL_SYNTAX | words.UNITS | words.WITHOUT_BRACKETS
_NOTHING = SqlToken("mark", "", -1, -1)


def lost(tokens: list[SqlToken], tree: Tree, exp: Any, dialect: str) -> set[str]:
    """The names in the text without an identifier of a known role in the tree: each may be a column."""
    found: Counter[str] = Counter()
    defined = frozenset(node.name.lower() for node in tree.of_kind(exp.ColumnDef))
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) else _NOTHING
        if after.kind == "mark" and after.text == "(":
            continue
        read = dialect in ("mysql", "postgres", "sqlite") or (dialect == "tsql" and after.kind == "string")
        word = token.kind == "word" and read and not _is_syntax(tokens, place, after, defined, dialect)
        if token.kind == "name" or word:
            found[shown(token.text, token.kind == "name", dialect)] += 1
    names = tree.of_kind(exp.Identifier)
    found.subtract(name_of(node, dialect) for node in names)
    odd = {name_of(node, dialect) for node in names if not _has_role(node, exp)}
    return {name for name, count in found.items() if count > 0} | odd


def _has_role(name: Any, exp: Any) -> bool:
    """Whether an identifier is the name of something other than a column, or of a column that is reported."""
    if isinstance(name.parent, exp.Dot):
        return name.arg_key == "expression" or isinstance(name.parent.expression, exp.Func | exp.Identifier)
    return f"{type(name.parent).__name__}.{name.arg_key}" in words.ROLES


def _is_syntax(
    tokens: list[SqlToken], place: int, after: SqlToken, defined: frozenset[str], dialect: str
) -> bool:
    """To most databases a text behind the name of a column is its alias."""
    word = tokens[place].text
    last = tokens[place - 1] if place else _NOTHING
    if dialect != "postgres" and after.kind == "string":
        return word in words.BEFORE_TEXT or (dialect == "mysql" and word in words.MYSQL_BEFORE_TEXT)
    if dialect == "mysql":
        return word in MYSQL and word not in words.NAMES[dialect]
    known = (word in words.SYNTAX or word in words.WITHOUT_BRACKETS) and word not in words.NAMES[dialect]
    if known or _is_argument(tokens, place + 1):
        return True
    if word in words.UNITS:
        extracted = last.text == "(" and place > 1 and tokens[place - 2].text == "extract"
        return last.kind in ("string", "number") or last.text == "to" or extracted
    if word in words.POSTGRES_TYPES or word in ("precision", "varying"):
        before = last.text in (":", "as", "double", "character", "bit", "char")
        return before or after.kind == "string" or after.text in ("with", "without") or last.text in defined
    return False


def _is_argument(tokens: list[SqlToken], place: int) -> bool:
    """Whether `=>` stands here, so that the word before is the name of an argument."""
    signs = tokens[place : place + 2]
    return [one.text for one in signs] == ["=", ">"] and signs[0].end == signs[1].start
