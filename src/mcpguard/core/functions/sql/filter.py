"""Whether a change is known to mean chosen rows only: UPDATE and DELETE with a condition that names them, and
INSERT whose rows do not take the place of those that are there.

Law of this file: a condition counts only if each row that it lets through has a column of the changed table
equal to a constant that is written there, or to one of a list of them. Everything else (a range, a subquery,
a negation, a function, a column of another table) may hold for every row, so it does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mcpguard.core.functions.sql.tree import Node, Tree, name_of
from mcpguard.core.functions.sql.words import NOT_COLUMNS

_SYSTEM = frozenset({"cmax", "cmin", "tableoid", "xmax", "xmin"})
"""Columns of PostgreSQL that may be alike in all rows of a table."""

_NOT_ZERO = re.compile(r"[0-9]*\.?[0-9]*[1-9][0-9]*\.?[0-9]*")

IsColumn = Callable[[tuple[str, ...]], bool]


def filtered(tree: Tree, exp: Any, dialect: str, is_column: IsColumn) -> bool:
    """See this file. `is_column` says of names with dots whether they are a column for certain."""
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
