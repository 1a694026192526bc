"""Lints on operands that exclude each other, so that `&&` between them is never true, or `||` always.

    args.env == "prod" && args.env == "test"   never true: no value is both
    args.env != "prod" || args.env != "test"   always true: each value differs from one of them

Law of this file: only operands that read one and the same value and nothing else are held against each other,
and what cannot be evaluated for a value may hold for it.
"""

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from mcpguard.authoring.check.lints.entry import Finder, LintSubject
from mcpguard.authoring.conditions import constant_in, path_of, reads_of
from mcpguard.core.conditions.cel import Bound, ConditionError
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.tree import Logic, SubExpression, inner, parts_of, value_of
from mcpguard.core.errors import Problem
from mcpguard.core.model import Json

if TYPE_CHECKING:
    from mcpguard.core.conditions.cel_python import PythonEngine

Path = tuple[str, ...]
"""The name that an operand reads, and the members below it."""

_LOWER = {"relation_gt": True, "relation_ge": False}
_UPPER = {"relation_lt": True, "relation_le": False}
"""Orders, and whether they exclude the bound itself."""
_NEGATED = {
    **{"relation_gt": "relation_le", "relation_le": "relation_gt"},
    **{"relation_lt": "relation_ge", "relation_ge": "relation_lt"},
    **{"relation_eq": "relation_ne", "relation_ne": "relation_eq"},
}
_SWAPPED = {
    **{"relation_gt": "relation_lt", "relation_lt": "relation_gt"},
    **{"relation_ge": "relation_le", "relation_le": "relation_ge"},
    **{"relation_eq": "relation_eq", "relation_ne": "relation_ne"},
}
_MOST = 1_000
"""How many times an operand is evaluated for a value."""


class _Demand(Struct, frozen=True):
    """That an operand has a certain truth: `values` are those of which its value must be one, None where that
    is not known; it must be above `low` and below `high`, or equal to a bound that is not `strict`."""

    text: str
    values: tuple[Json, ...] | None = None
    low: tuple[float, bool] = (-inf, False)
    high: tuple[float, bool] = (inf, False)


def _excluding(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        when, told = placed.rule.placed, set[str]()
        if when is None or not _compares_one_twice(when.text):
            continue
        for part in _parts(when.text):
            if part.logic in ("and", "or") and (path := _impossible(when.text, part)):
                said = _said(".".join(path), part.logic)
                if said not in told:  # What stands in brackets is a part, too.
                    told.add(said)
                    yield placed.problem(("when",), said, when.origin(part.start))


def _compares_one_twice(text: str) -> bool:
    """Whether it reads a value twice and compares it: others need no engine, which takes a while to load."""
    reads = Counter((one.root, *one.steps) for one in reads_of(text))
    if max(reads.values(), default=0) < 2:
        return False
    compared = (one.children for one in _parsed(text).iter_subtrees() if one.data == "relation")
    sides = (side for one in compared if len(one) == 2 for side in (one[0].children[0], one[1]))
    paths = (path_of(side, {}) for side in sides)
    return any(path is not None and reads[path.root, *path.steps] > 1 for path in paths)


def _parsed(text: str) -> Any:
    return cast("PythonEngine", engine("python")).parsed(text)


def _parts(text: str) -> tuple[SubExpression, ...]:
    try:
        return parts_of(text)
    except ConditionError:  # Only the other engine takes it.
        return ()


def _said(name: str, logic: Logic) -> str:
    if logic == "and":
        what = f"no value of `{name}` satisfies all of these conditions, so they are never true together"
        return f"{what}: use `||` if one of them is enough"
    what = f"every value of `{name}` satisfies at least one of these conditions, so they exclude nothing"
    return f"{what}: use `&&` if all of them must be true"


def _impossible(text: str, part: SubExpression) -> Path | None:
    """The value of which no operand of `part` leaves anything: where all are true, or for `||` all false."""
    truth = part.logic == "and"
    demands: dict[Path, list[_Demand]] = {}
    for operand in _operands(part, parts_of(text)):
        paths = {(one.root, *one.steps) for one in reads_of(operand.text)}
        path = next(iter(paths), ())
        if len(paths) == 1 and all(isinstance(step, str) for step in path):
            demands.setdefault(cast(Path, path), []).append(_demand(operand.text, truth))
    several = ((path, each) for path, each in demands.items() if len(each) > 1)
    return next((path for path, each in several if not _possible(path, each, truth)), None)


def _operands(part: SubExpression, parts: tuple[SubExpression, ...]) -> Iterator[SubExpression]:
    """What is directly under it, also behind brackets."""
    for one in parts:
        if one.depth == part.depth + 1 and part.start <= one.start and one.end <= part.end:
            yield from _operands(one, parts) if one.logic == part.logic else (one,)


def _demand(text: str, truth: bool) -> _Demand:
    tree = inner(_parsed(text))
    while tree.data == "unary" and tree.children[0].data == "unary_not":
        tree, truth = inner(tree.children[1]), not truth
    if tree.data != "relation" or len(tree.children) != 2:
        return _Demand(text)
    how, left, right = tree.children[0].data, tree.children[0].children[0], tree.children[1]
    # Not of what is computed of the value, such as its size.
    if path_of(left, {}) is None:
        how, left, right = _SWAPPED.get(how, ""), right, left
    if path_of(left, {}) is None:
        return _Demand(text)
    if how == "relation_in":
        return _Demand(text, _constants(right) if truth else None)
    constant = constant_in(right)
    return _compared(text, how if truth else _NEGATED.get(how, ""), constant) if constant else _Demand(text)


def _compared(text: str, how: str, constant: tuple[Json]) -> _Demand:
    (bound,) = constant
    if how == "relation_eq":
        return _Demand(text, constant)
    if type(bound) in (int, float) and how in _LOWER:
        return _Demand(text, low=(cast(float, bound), _LOWER[how]))
    if type(bound) in (int, float) and how in _UPPER:
        return _Demand(text, high=(cast(float, bound), _UPPER[how]))
    return _Demand(text)


def _constants(tree: Any) -> tuple[Json, ...] | None:
    """The items of a list of constants."""
    node = inner(tree)
    items = node.children if node.data == "exprlist" else []
    found = [constant_in(one) for one in items]
    return tuple(one[0] for one in found if one) if found and all(found) else None


def _possible(path: Path, demands: list[_Demand], truth: bool) -> bool:
    pinned = next((one.values for one in demands if one.values is not None), None)
    if pinned is not None:
        # A whole number may be of either type.
        values = [*pinned, *(float(one) for one in pinned if type(one) is int)]
        many = len(values) * len(demands) > _MOST
        return many or any(_fits(path, value, demands, truth) for value in values)
    low, above = max(one.low for one in demands)
    high, below = min((one.high for one in demands), key=lambda bound: (bound[0], not bound[1]))
    return low < high or (low == high and not (above or below))


def _fits(path: Path, value: Json, demands: list[_Demand], truth: bool) -> bool:
    root, *steps = path
    for step in reversed(steps):
        value = {step: value}
    bound = {root: value}
    return all(value_of(one.text, Bound(view=bound)) is not (not truth) for one in demands)


CONTRADICTIONS: dict[str, Finder] = {"P208": _excluding}
