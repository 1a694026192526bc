"""Which rows a statement means: the most that it can give back, and whether a change is known to mean chosen
rows only, UPDATE and DELETE with a condition that names them, and INSERT whose rows do not take the place of
those that are there.

Law of this file: the number is a bound that holds whatever the data, so what is not known is `UNLIMITED`,
which is greater than any number that a rule would ask for. A condition counts only if each row that it lets
through has a column of the changed table equal to a constant that is written there, or to one of a list of
them. Everything else (a range, a subquery, a negation, a function, a column of another table) may hold for
every row, so it does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mcpguard.core.functions.sql.tree import Node, Tree, name_of
from mcpguard.core.functions.sql.words import NOT_COLUMNS

UNLIMITED = 2**53
"""The greatest whole number that JSON holds for certain."""

_ONE_ROW = ("Count", "Sum", "Avg", "Min", "Max")
_OF_IT = (
    "Alias", "Paren", "Add", "Sub", "Mul", "Div", "Neg", "Cast", "Round", "Coalesce", "Literal",
    "DataType", "DataTypeParam",
)  # fmt: skip


def most_rows(tree: Tree, exp: Any) -> int:
    """The most rows that the statement can give back; UNLIMITED where no bound is known."""
    root = tree.root
    if isinstance(root, exp.Query | exp.Values):
        return _of_query(root, exp)
    changes = exp.Insert | exp.Update | exp.Delete | exp.Merge
    if isinstance(root, changes | exp.Create | exp.Drop | exp.Alter | exp.TruncateTable | exp.Comment):
        return UNLIMITED if tree.of_kind(exp.Returning) else 0
    return UNLIMITED


def _of_query(query: Node, exp: Any) -> int:
    while isinstance(query, exp.Subquery) and query.args.get("limit") is None:
        query = query.this
    limit = query.args.get("limit")
    if limit is not None:
        return _stated(limit, exp)
    if isinstance(query, exp.Values):
        return len(query.expressions)
    return 1 if isinstance(query, exp.Select) and _aggregates(query, exp) else UNLIMITED


def _stated(limit: Node, exp: Any) -> int:
    options = limit.args.get("limit_options")
    if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
        return UNLIMITED
    count = limit.args.get("count") or limit.args.get("expression")
    if not isinstance(count, exp.Literal) or not count.is_int or limit.args.get("expressions"):
        return UNLIMITED
    return min(int(count.name), UNLIMITED)


def _aggregates(select: Node, exp: Any) -> bool:
    """Whether a SELECT gives one row, since it counts and sums only, or has constants and no FROM."""
    if select.args.get("group") is not None:
        return False
    known = tuple(getattr(exp, name) for name in _ONE_ROW)
    around = tuple(getattr(exp, name) for name in (*_OF_IT, "Identifier"))
    found = select.args.get("from_") is None
    for output in select.expressions:
        for node in output.walk(prune=lambda one: type(one) in known):
            found |= type(node) in known
            if type(node) not in known + around:
                return False
    return found


_SYSTEM = frozenset({"cmax", "cmin", "tableoid", "xmax", "xmin"})
"""Columns of PostgreSQL that may be alike in all rows of a table."""

_NOT_ZERO = re.compile(r"[0-9]*\.?[0-9]*[1-9][0-9]*\.?[0-9]*")

IsColumn = Callable[[tuple[str, ...]], bool]


def filtered(tree: Tree, exp: Any, dialect: str, is_column: IsColumn) -> bool:
    """Whether a change is known to mean chosen rows only. `is_column` says whether a name with dots certainly
    is a column."""
    known = exp.Query | exp.Values | exp.Insert | exp.Update | exp.Delete | exp.Create
    if not isinstance(tree.root, known | exp.Attach | exp.Detach | exp.Use) or tree.of_kind(exp.Merge):
        return False
    changes = tree.of_kind((exp.Update, exp.Delete))
    return all(_Condition(node, exp, dialect, is_column).narrows() for node in changes) and not any(
        _overwrites(node) and not isinstance(node.expression, exp.Values) for node in tree.of_kind(exp.Insert)
    )


def _overwrites(insert: Node) -> bool:
    """Whether rows that are there may change: by all that follows INSERT or the rows, but DO NOTHING."""
    conflict = insert.args.get("conflict")
    action = str(conflict.args.get("action") or "").upper() if conflict is not None else "DO NOTHING"
    other = str(insert.args.get("alternative") or "IGNORE").upper()
    return (
        action != "DO NOTHING"
        or other not in ("IGNORE", "ABORT", "FAIL", "ROLLBACK")
        or bool(insert.args.get("overwrite"))
    )


class _Condition:
    """The WHERE of one UPDATE or DELETE."""

    def __init__(self, change: Node, exp: Any, dialect: str, is_column: IsColumn) -> None:
        self._change = change
        self._exp = exp
        self._dialect = dialect
        self._is_column = is_column
        table = change.this
        joined = [change.args.get(key) for key in ("from_", "using", "tables", "joins")]
        joins = table.args.get("joins") if isinstance(table, exp.Expression) else None
        self._alone = isinstance(table, exp.Table) and not any(joined) and not joins
        self._names = self._target(table) if isinstance(table, exp.Table) else frozenset[str]()

    def _target(self, table: Node) -> frozenset[str]:
        alias = table.args.get("alias")
        return frozenset({name_of(alias.this if alias is not None else table.this, self._dialect)})

    def narrows(self) -> bool:
        """Whether the condition compares a column of the table with constants, whatever else it does."""
        where = self._change.args.get("where")
        return where is not None and self._narrows(where.this)

    def _narrows(self, node: Node) -> bool:
        exp = self._exp
        if type(node) is exp.Paren:
            return self._narrows(node.this)
        if type(node) is exp.And:
            return self._narrows(node.left) or self._narrows(node.right)
        if type(node) is exp.Or:
            return self._narrows(node.left) and self._narrows(node.right)
        return self._names_rows(node)

    def _names_rows(self, node: Node) -> bool:
        exp = self._exp
        if type(node) is exp.EQ:
            return self._pair(node.left, [node.right]) or self._pair(node.right, [node.left])
        if type(node) is exp.In and not any(node.args.get(key) for key in ("query", "unnest", "field")):
            return bool(node.expressions) and self._pair(node.this, node.expressions)
        return False

    def _pair(self, column: Node, values: list[Node]) -> bool:
        return self._column(column, values) and all(self._constant(value) for value in values)

    def _column(self, node: Node, values: list[Node]) -> bool:
        exp = self._exp
        if type(node) is not exp.Column or not isinstance(node.this, exp.Identifier):
            return False
        quoted = bool(node.this.args.get("quoted"))
        if quoted and self._dialect == "sqlite":  # a text, where no column has that name
            return all(isinstance(value, exp.Literal) and not value.is_string for value in values)
        names = tuple(name_of(part, self._dialect) for part in node.parts)
        if len(names) == 1:
            column = names[0] not in self._names | _SYSTEM and (quoted or names[0] not in NOT_COLUMNS)
            return self._alone and column
        if not self._alone and self._dialect in ("mysql", "tsql"):
            return False  # a change of a join is one of any of its tables
        return len(names) == 2 and names[0] in self._names and self._is_column(names)

    def _constant(self, node: Node) -> bool:
        exp = self._exp
        if isinstance(node, exp.Neg):
            return isinstance(node.this, exp.Literal) and self._constant(node.this)
        if isinstance(node, exp.Literal):
            # MySQL takes each text without digits for the number 0.
            return self._dialect != "mysql" or node.is_string or bool(_NOT_ZERO.fullmatch(node.name))
        if isinstance(node, exp.Boolean):
            return self._dialect != "mysql" or bool(node.this)
        if type(node) is exp.Cast:
            return self._dialect == "postgres" and isinstance(node.this, exp.Literal) and node.this.is_string
        if isinstance(node, exp.Parameter):
            return self._dialect == "postgres"
        return isinstance(node, exp.Placeholder | exp.National | exp.RawString)
