"""The most rows that a statement can give back.

Law of this file: the number is a bound that holds whatever the data, so what is not known is `UNLIMITED`,
which is greater than any number that a rule would ask for.
"""

from __future__ import annotations

from typing import Any

from mcpguard.core.functions.sql.tree import Node, Tree

UNLIMITED = 2**53
"""The greatest whole number that JSON holds for certain."""

_ONE_ROW = ("Count", "Sum", "Avg", "Min", "Max")
_OF_IT = (
    "Alias",
    "Paren",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Cast",
    "Round",
    "Coalesce",
    "Literal",
    "DataType",
    "DataTypeParam",
)


def most_rows(tree: Tree, exp: Any) -> int:
    """See this file."""
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
