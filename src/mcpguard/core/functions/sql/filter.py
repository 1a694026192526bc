"""Whether a statement could change every row of a table: UPDATE, DELETE and MERGE without a condition, and
INSERT where its rows take the place of those that are there.

Law of this file: a condition counts only if it depends on a column and is not always true. Data
may still make it hold for every row.
"""

from __future__ import annotations

from typing import Any

from mcpguard.core.functions.sql.tree import Node, Tree


def filtered(tree: Tree, exp: Any) -> bool:
    """Whether each change of rows has a condition on some column of its own, or names its rows."""
    if tree.of_kind(exp.TruncateTable):
        return False
    for node in tree.of_kind((exp.Update, exp.Delete)):
        where = node.args.get("where")
        if not isinstance(node.parent, exp.When) and (where is None or not _narrows(where.this, exp)):
            return False
    if any(
        _overwrites(node) and not isinstance(node.expression, exp.Values) for node in tree.of_kind(exp.Insert)
    ):
        return False
    conditions = [node.args.get("on") for node in tree.of_kind(exp.Merge)]
    return all(one is not None and _narrows(one, exp) for one in conditions)


def _overwrites(insert: Node) -> bool:
    """Whether rows that are there may change: OVERWRITE, OR REPLACE, DO UPDATE, ON DUPLICATE KEY UPDATE."""
    conflict = insert.args.get("conflict")
    action = str(conflict.args.get("action")).upper() if conflict is not None else ""
    replaces = str(insert.args.get("alternative")).upper() == "REPLACE"
    return replaces or bool(insert.args.get("overwrite")) or "UPDATE" in action


def _narrows(node: Node, exp: Any, negated: bool = False) -> bool:
    """Not a condition that holds for all rows, whatever the data."""
    if isinstance(node, exp.Paren):
        return _narrows(node.this, exp, negated)
    if isinstance(node, exp.Not):
        return _narrows(node.this, exp, negated=True)
    if isinstance(node, exp.And | exp.Or | exp.Xor):
        sides = [_narrows(side, exp, negated) for side in (node.left, node.right)]
        return any(sides) if isinstance(node, exp.And) and not negated else all(sides)
    if isinstance(node, exp.Binary) and _same(node.left, node.right, exp):
        return False
    return any(isinstance(one, exp.Column) for one in node.walk(prune=lambda one: isinstance(one, exp.Query)))


def _same(left: Node, right: Node, exp: Any) -> bool:
    """Whether two values are spelt alike; a column without its table may be that of any."""
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        tables = {side.args["table"].name.lower() for side in (left, right) if side.args.get("table")}
        both = left.args.get("table") is not None and right.args.get("table") is not None
        return bool(left.name.lower() == right.name.lower()) and not (both and len(tables) > 1)
    return _spelling(left) == _spelling(right)


def _spelling(node: Node) -> list[tuple[str, str]]:
    return [(type(one).__name__, str(one.name).lower()) for one in node.walk()]
