"""What a parsed statement touches: its tables, columns, conditions and limit, from the parser's tree.

Law of this file: whatever is not known is reported as touched. A name is left out of the tables only where
a common table expression of that name is in scope; a column that could stand for a whole row reports "*".
Source: sqlglot's `expressions`; SQL:2016 7.17 for the scope of WITH.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.sql.text import ascii_lower

Node = Any
"""A node of the parser's tree; the parser is imported at first use only."""

_EXACT = frozenset({"postgres", "snowflake"})
_CASED = frozenset({"mysql", "bigquery"})
_PLAIN = re.compile(r"[a-z_#@][a-z0-9_#@]*")


def shown(name: str, quoted: bool, dialect: str) -> str:
    """A name as results have it: lower case, and in double quotes where lower case would be another name
    for the database (or hold a dot or a space)."""
    lower = ascii_lower(name)
    if quoted and dialect in _EXACT:
        same = name == (lower if dialect == "postgres" else name.upper())
        if not same:
            return _in_quotes(name)
    return lower if _PLAIN.fullmatch(lower) else _in_quotes(lower)


def _in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def name_of(identifier: Node, dialect: str) -> str:
    """The shown name of an Identifier, or of whatever else stands in its place."""
    return shown(identifier.name, bool(identifier.args.get("quoted")), dialect)


class Tree:
    """One statement. `exp` is the parser's module of node classes."""

    def __init__(self, exp: Any, root: Node, dialect: str) -> None:
        self._exp = exp
        self._dialect = dialect
        self.root = root
        self.nodes: list[Node] = []
        self.read: dict[int, str] = {}
        """By the id of a Table node: the shown name of the real table."""
        self._walk()

    def _walk(self) -> None:
        stack: list[tuple[Node, frozenset[str]]] = [(self.root, frozenset())]
        while stack:
            node, scope = stack.pop()
            self.nodes.append(node)
            if isinstance(node, self._exp.Table):
                self._table(node, scope)
            elif isinstance(node, self._exp.In) and self._dialect == "sqlite" and node.args.get("field"):
                raise FunctionError("sql() reads IN with a list or a SELECT, not with the name of a table")
            stack.extend(self._children(node, scope))

    def _children(self, node: Node, scope: frozenset[str]) -> Iterator[tuple[Node, frozenset[str]]]:
        with_ = node.args.get("with_")
        if with_ is not None:
            self.nodes.append(with_)
            for cte in with_.expressions:
                key = self._key(cte.args["alias"].this)
                self.nodes.append(cte)
                yield cte.args["alias"], scope
                recursive = bool(with_.args.get("recursive"))
                yield from self._within(cte, scope, scope | {key} if recursive else scope)
                scope = scope | {key}
            extra = [one for one in with_.iter_expressions() if not isinstance(one, self._exp.CTE)]
            yield from ((one, scope) for one in extra)
        for child in node.iter_expressions():
            if child is not with_:
                yield child, scope

    def _within(
        self, cte: Node, outer: frozenset[str], own: frozenset[str]
    ) -> Iterator[tuple[Node, frozenset[str]]]:
        """The parts of a common table expression. Its own name is in scope in the last arm of a union only:
        some databases look for a real table in the first."""
        for child in cte.iter_expressions():
            if child is cte.args["alias"]:
                continue
            if isinstance(child, self._exp.Union) and own != outer and child.args.get("with_") is None:
                self.nodes.append(child)
                for arm in child.iter_expressions():
                    yield arm, own if arm is child.expression else outer
            else:
                yield child, outer

    def _key(self, identifier: Node) -> str:
        if self._dialect in _CASED:
            return str(identifier.name)
        return name_of(identifier, self._dialect)

    def _table(self, node: Node, scope: frozenset[str]) -> None:
        exp = self._exp
        if node.args.get("rows_from") or isinstance(node.this, exp.Func | exp.Anonymous):
            return
        parts = [node.args.get(key) for key in ("catalog", "db", "this")]
        if any(part is not None and not isinstance(part, exp.Identifier) for part in parts):
            raise FunctionError("sql() found a table that is not given by name")
        alone = parts[0] is None and parts[1] is None
        if alone and self._key(node.this) in scope and not self._is_target(node):
            return
        self.read[id(node)] = ".".join(name_of(part, self._dialect) for part in parts if part is not None)
        if self._dialect == "bigquery" and "*" in node.name:
            raise FunctionError("sql() does not read a pattern in place of a table")

    def _is_target(self, node: Node) -> bool:
        exp = self._exp
        parent = node.parent
        writers = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Schema, exp.Into)
        return isinstance(parent, writers) and node.arg_key in ("this", "tables")

    def tables(self) -> set[str]:
        """The real tables."""
        return set(self.read.values())

    def of_kind(self, kinds: Any) -> list[Node]:
        """All nodes of these classes."""
        return [node for node in self.nodes if isinstance(node, kinds)]

    def below(self, node: Node) -> set[str]:
        """The real tables in one part of the statement. Raises FunctionError where the parser found none."""
        if not isinstance(node, self._exp.Expression):
            raise FunctionError("sql() cannot determine what this statement changes")
        return {self.read[id(one)] for one in node.find_all(self._exp.Table) if id(one) in self.read}

    def written(self) -> set[str]:
        """The tables that are written to, as far as that can be told from those that are read."""
        exp = self._exp
        found: set[str] = set()
        for node in self.of_kind((exp.Insert, exp.Into)):
            found |= self.below(node.this)
        for node in self.of_kind((exp.Update, exp.Delete, exp.Merge)):
            if not isinstance(node.parent, exp.When):
                found |= self._changed(node)
        if isinstance(self.root, exp.Create):
            return found | self.below(self.root.this)
        if not isinstance(
            self.root, exp.Query | exp.Insert | exp.Update | exp.Delete | exp.Merge | exp.Values
        ):
            return self.tables()
        return found

    def _changed(self, node: Node) -> set[str]:
        """In MySQL and SQL Server a change may name an alias, a view of a WITH or a join."""
        direct = node.this
        joins = direct.args.get("joins") if isinstance(direct, self._exp.Expression) else None
        joined = node.args.get("from_") or node.args.get("using") or node.args.get("tables")
        indirect = joined or node.args.get("with_") or joins
        if self._dialect in ("mysql", "tsql") and indirect and not isinstance(node, self._exp.Merge):
            return self.below(node)
        if self._dialect == "tsql" and node.args.get("with_"):
            return self.below(node)
        return self.below(direct)

    def columns(self) -> set[str]:
        """The columns, without their tables; "*" stands for all of one table."""
        exp = self._exp
        rows, sources = self.row_names(), self._source_names()
        found: set[str] = set()
        for node in self.of_kind(exp.Column):
            names = [name_of(part, self._dialect) for part in node.parts if not isinstance(part, exp.Star)]
            fields = names if isinstance(node.this, exp.Star) else names[:-1]
            found |= {name for name in fields if name not in sources}
            if not isinstance(node.this, exp.Star):
                found |= {"*"} if names[-1] in rows else set()
                found |= set() if self._output(node) else {names[-1]}
        named = (exp.Identifier, exp.Literal)  # SQLite takes a string for a name
        found |= {name_of(part, self._dialect) for part in self._parts() if isinstance(part, named)}
        found |= {name_of(node.this, self._dialect) for node in self.of_kind(exp.ColumnDef)}
        listed = exp.Query | exp.Values | exp.Insert | exp.Update | exp.Delete | exp.Merge | exp.Create
        unread = exp.Drop | exp.TruncateTable | exp.Attach | exp.Detach | exp.Use | exp.Grant | exp.Revoke
        whole = not isinstance(self.root, listed | unread) or any(self._whole(node) for node in self.nodes)
        return found | ({"*"} if whole else set())

    def _parts(self) -> Iterator[Node]:
        """What names a column without being one in the tree."""
        exp = self._exp
        yield from (node.expression for node in self.of_kind(exp.Dot))
        for node in self.of_kind((exp.Schema, exp.Join, exp.Update)):
            if isinstance(node, exp.Schema):
                yield from node.expressions
            elif isinstance(node, exp.Join):
                yield from node.args.get("using") or []
            else:
                yield from (one.this for one in node.expressions)

    def _output(self, node: Node) -> bool:
        """Whether `ORDER BY name` names an output of the same query, which SQL looks for first."""
        exp = self._exp
        order = node.parent.parent if isinstance(node.parent, exp.Ordered) else None
        select = order.parent if isinstance(order, exp.Order) else None
        if not isinstance(select, exp.Select) or node.args.get("table") is not None:
            return False
        return any(
            isinstance(one, exp.Alias) and one.args["alias"] == node.this for one in select.expressions
        )

    def row_names(self) -> set[str]:
        """The names of tables and joins, which stand for a whole row where a column could stand."""
        exp = self._exp
        tables = [node for node in self.of_kind((exp.Table, exp.Subquery)) if self._opaque(node)]
        aliases = [node.args["alias"].this for node in tables if node.args.get("alias")]
        names = [*aliases, *(node.this for node in tables)]
        return {name_of(part, self._dialect) for part in names if isinstance(part, exp.Identifier)}

    def _opaque(self, node: Node) -> bool:
        """Whether columns of real tables are in it that the statement does not name: a table, or a join."""
        return id(node) in self.read or (
            isinstance(node, self._exp.Subquery) and isinstance(node.this, self._exp.Table)
        )

    def _source_names(self) -> set[str]:
        """What may precede the dot of a column without being a column: tables, aliases, schemas."""
        exp = self._exp
        tables = self.of_kind(exp.Table)
        parts = [node.args.get(key) for node in tables for key in ("this", "db", "catalog")]
        parts += [node.this for node in self.of_kind(exp.TableAlias)]
        return {name_of(part, self._dialect) for part in parts if isinstance(part, exp.Identifier)} | {
            "excluded"
        }

    def _whole(self, node: Node) -> bool:
        """Whether columns are read that are not named: `*`, NATURAL, new names by place, PIVOT."""
        exp = self._exp
        if isinstance(node, exp.Star):
            return not isinstance(node.parent, exp.Count) and not _of_values(node.parent, exp)
        if isinstance(node, exp.Join):
            return bool(node.args.get("method"))
        if isinstance(node, exp.TableAlias):
            return bool(node.args.get("columns")) and self._opaque(node.parent)
        if isinstance(node, exp.Insert):
            return not isinstance(node.this, exp.Schema)
        return isinstance(node, exp.Pivot)


def _of_values(select: Node, exp: Any) -> bool:
    """The parser writes a bare VALUES as `SELECT * FROM (VALUES ...)`."""
    source = select.args.get("from_")
    return source is not None and isinstance(source.this, exp.Values) and not select.args.get("joins")
