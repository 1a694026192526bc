"""Which passages may have a call for which an expression is true, or false, by the least and the greatest of
the values in them.

Law of this file: what is left out is true, or false, of no call of the passage. What is not followed here may
be either, and so may what the engines decide differently, such as booleans that are compared with numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import le, lt
from os.path import commonprefix
from typing import Any

from mcpguard.adapters.audit.zones import FALSE, LIST, MAP, NULL, NUMBER, STRING, TRUE, Zone, zone_of
from mcpguard.authoring.conditions import (
    CallPath,
    Loops,
    constant_in,
    constant_text,
    is_has,
    path_of,
    sized_by,
)
from mcpguard.core.conditions.tree import inner

_Zones = Mapping[str, Zone]
_Values = Callable[[_Zones], Zone | None]
"""The values of an expression in a passage; None where they are not known."""
_Check = Callable[[_Zones], bool]
MADE = {"prompt": "subject", "resource": "subject"}
"""Names of maps that conditions see, each with the member of a record that it is made of."""
_HOW = {
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_eq": "==",
    "relation_ne": "!=",
}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_BOOLEAN = TRUE | FALSE
_EDGE = re.compile(r"\$|\\[bBzA]")
"""What depends on where a text ends, or is inside of it."""


class ZonedNeed:
    """Something that a call needs, which `may_hold` by what is known of the values in its passage."""

    def __init__(self, may_hold: _Check) -> None:
        self.may_hold = may_hold


def in_zones(node: Any, value: bool, loops: Loops) -> tuple[ZonedNeed, ...]:
    """What is needed for the expression `node`, which joins no others, to be `value`; () where it is not
    followed."""
    check = _check(node, value, loops)
    return () if check is None else (ZonedNeed(check),)


def _check(node: Any, value: bool, loops: Loops) -> _Check | None:
    if node.data == "relation":
        return _related(node, value, loops)
    if node.data == "member_dot_arg":
        return _asked(node, value, loops)
    if is_has(node):
        return _has(node, value, loops)
    values = None if node.data == "literal" else _values(node, loops)
    if values is None:
        return None
    return _known(values, lambda zone: bool(zone.kinds & (TRUE if value else FALSE)))


def _known(values: _Values, check: Callable[[Zone], bool]) -> _Check:
    def checked(zones: _Zones) -> bool:
        zone = values(zones)
        return zone is None or check(zone)

    return checked


def _values(tree: Any, loops: Loops) -> _Values | None:
    constant = constant_in(tree)
    if constant is not None:
        zone = zone_of(constant)
        return lambda _: zone
    sized = sized_by(tree)
    if sized is not None:
        whole = _values(sized, loops)
        return None if whole is None else lambda zones: _size(whole(zones))
    node, path = inner(tree), path_of(tree, loops)
    if path is None:
        return _computed(node, loops) if node.data == "addition" else None
    root, steps = path.root, path.steps
    if root in MADE and len(steps) == 1:
        root, steps = MADE[root], ()
    if root not in ("args", "subject", "message", "error"):
        return None
    return lambda zones: _at(zones.get(root), steps)


def _computed(node: Any, loops: Loops) -> _Values | None:
    """The sums or differences of numbers. Rounding keeps their order."""
    operator, right = node.children
    (left,), minus = operator.children, operator.data == "addition_sub"
    one, other = _values(left, loops), _values(right, loops)
    if one is None or other is None:
        return None

    def computed(zones: _Zones) -> Zone | None:
        mine, theirs = one(zones), other(zones)
        if not (mine and theirs and mine.kinds == theirs.kinds == NUMBER and mine.numbers and theirs.numbers):
            return None
        (low, high), (least, most) = mine.numbers, theirs.numbers
        least, most = (-most, -least) if minus else (least, most)
        return Zone(NUMBER, numbers=(low + least, high + most))

    return computed


def _at(zone: Zone | None, steps: tuple[str | None, ...]) -> Zone | None:
    for step in steps:
        if zone is None:
            break
        zone = zone.element() if step is None else zone.member(step)
    return zone


def _size(zone: Zone | None) -> Zone | None:
    return zone and (Zone(NUMBER, numbers=zone.sizes) if zone.sizes else Zone())


def _related(node: Any, value: bool, loops: Loops) -> _Check | None:
    relation, (left,), right = node.children[0].data, node.children[0].children, node.children[1]
    if relation == "relation_in":
        return _in(left, right, value, loops)
    how = _HOW[relation] if value else _OPPOSITE[_HOW[relation]]
    one, other = _values(left, loops), _values(right, loops)
    if one is None or other is None:
        return None
    return lambda zones: _may_be(one(zones), how, other(zones))


def _may_be(one: Zone | None, how: str, other: Zone | None) -> bool:
    """Whether some value of one is `how` some value of the other."""
    if one is None or other is None:
        return True
    if how == "!=":
        return bool(one.kinds and other.kinds) and not _same(one, other)
    if how[0] == ">":
        one, how, other = other, how.replace(">", "<"), one
    if _compared_otherwise(one, how, other):
        return True
    pairs: list[tuple[Any, Any]] = [(one.numbers, other.numbers), (one.texts, other.texts)]
    below = lt if how == "<" else le
    return any(
        mine and theirs and below(mine[0], theirs[1]) and (how != "==" or theirs[0] <= mine[1])
        for mine, theirs in pairs
    )


def _same(one: Zone, other: Zone) -> bool:
    """Whether there is only one value, the same on both sides."""
    if one.kinds in (NULL, TRUE, FALSE):
        return one.kinds == other.kinds
    for kind, mine, theirs in ((NUMBER, one.numbers, other.numbers), (STRING, one.texts, other.texts)):
        if one.kinds == other.kinds == kind and mine and theirs:
            return mine[:2] == theirs[:2] and mine[0] == mine[1]
    return False


def _compared_otherwise(one: Zone, how: str, other: Zone) -> bool:
    """Whether there are values that are neither both numbers nor both texts, and may be `how`."""
    both = one.kinds & other.kinds
    booleans = [zone.kinds & _BOOLEAN for zone in (one, other)]
    if booleans[0] and booleans[1] and (how != "==" or both & _BOOLEAN):
        return True
    crossed = (booleans[0] and other.kinds & NUMBER) or (booleans[1] and one.kinds & NUMBER)
    return bool(crossed or both & (NULL | LIST | MAP))


def _in(left: Any, right: Any, value: bool, loops: Loops) -> _Check | None:
    one, items = _values(left, loops), inner(right)
    if one is None:
        return None
    if items.data == "exprlist":
        each = [_values(item, loops) for item in items.children]
        known = [some for some in each if some is not None]
        if len(known) < len(each):
            return None
        if value:
            return lambda zones: any(_may_be(one(zones), "==", some(zones)) for some in known)
        return lambda zones: all(_may_be(one(zones), "!=", some(zones)) for some in known)
    some, key = _values(items, loops), constant_text(left)
    if some is None:
        return None

    def check(zones: _Zones) -> bool:
        zone = some(zones)
        if zone and value and zone.kinds == LIST:
            return _may_be(one(zones), "==", zone.element())
        return zone is None or _may_have(zone, key, value)

    return check


def _may_have(zone: Zone, key: str | None, value: bool) -> bool:
    """Whether a map may have the key, or, with `value` false, may lack it."""
    if zone.kinds != MAP or key is None:
        return bool(zone.kinds & (MAP | LIST))
    member = zone.member(key)
    return member is None or (bool(member.kinds) if value else member.absent)


def _has(node: Any, value: bool, loops: Loops) -> _Check | None:
    path = path_of(node.children[1], loops)
    if path is None or path.root != "args" or not path.steps:
        return None
    *steps, key = path.steps
    if key is None or (steps and not value):
        return None
    return lambda zones: (zone := _at(zones.get("args"), tuple(steps))) is None or _may_have(zone, key, value)


def _asked(node: Any, value: bool, loops: Loops) -> _Check | None:
    """Whether a method may be `value` for a text."""
    how, values = str(node.children[1]), _values(node.children[0], loops)
    text = constant_text(node.children[2]) if len(node.children) == 3 else None
    if how not in _MAY or text is None or values is None:
        return None

    def check(zone: Zone) -> bool:
        if zone.texts is None:
            return False
        if value:
            return _MAY[how](text, zone.texts)
        return _MAY_NOT[how](text, _beginning(*zone.texts[:2]), zone.texts[2])

    return _known(values, check)


def outside(values: CallPath, folders: list[str]) -> ZonedNeed:
    """What a path needs that is in none of the folders, if it has no step out of one."""

    def check(zones: _Zones) -> bool:
        zone = _at(zones.get(values.root), values.steps)
        if zone is None or zone.kinds & LIST or zone.texts is None:
            return zone is None or bool(zone.kinds & LIST)
        begin = _beginning(*zone.texts[:2])
        return not any(begin.startswith(one.rstrip("/") + "/") for one in folders)

    return ZonedNeed(check)


def _may_not_match(text: str, begin: str, end: str) -> bool:
    """Where no edge of the text matters, what matches a part of it matches the whole."""
    import re2

    if _EDGE.search(text):
        return True
    try:
        pattern = re2.compile(text)
    except re2.error:
        return True
    return not (pattern.search(begin) or ("^" not in text and pattern.search(end)))


def _beginning(least: str, greatest: str) -> str:
    """What all texts between these begin with."""
    return commonprefix([least, greatest])  # noqa: RUF071 - of characters


_MAY: dict[str, Callable[[str, Any], bool]] = {
    "startsWith": lambda text, edges: edges[0][: len(text)] <= text <= edges[1],
    "endsWith": lambda text, edges: edges[2].endswith(text) or text.endswith(edges[2]),
    **dict.fromkeys(("contains", "matches"), lambda *_: True),
}
_MAY_NOT: dict[str, Callable[[str, str, str], bool]] = {
    "startsWith": lambda text, begin, _: not begin.startswith(text),
    "endsWith": lambda text, _, end: not end.endswith(text),
    "contains": lambda text, begin, end: text not in begin and text not in end,
    "matches": _may_not_match,
}
"""By what all texts begin and end with."""
