"""What the expressions of a condition are: constants, values that are selected, sizes of them.

Law of this file: what is not one of these is None. Trees are those of `celpy`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from typing import Any

from msgspec import Struct, json

from mcpguard.core.conditions.cel_text import string_value
from mcpguard.core.conditions.hoisting import MACROS
from mcpguard.core.model import Json

_EXACT = 10**15
"""Whole numbers below are written with all their digits."""

_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


class CallPath(Struct, frozen=True):
    """A value: what `steps` lead to from the name `root`; None is an element, or a key that is computed."""

    root: str
    steps: tuple[str | None, ...] = ()


Loops = Mapping[str, CallPath | None]
"""The variables of macros around an expression, and what each of them is."""


def inner(tree: Any) -> Any:
    """`tree` without the layers of the grammar, and without parentheses."""
    while len(tree.children) == 1 and hasattr(tree.children[0], "children"):
        tree = tree.children[0]
        if tree.data in ("exprlist", "mapinits"):
            break
    return tree


def is_has(node: Any) -> bool:
    """Whether it is `has(...)`."""
    return bool(node.data == "ident_arg" and node.children[0].value == "has")


def is_macro(node: Any) -> bool:
    """Whether it goes over elements, as `exists` does."""
    return bool(node.data == "member_dot_arg" and node.children[1].value in MACROS)


def path_of(tree: Any, loops: Loops) -> CallPath | None:
    """The value that `tree` selects; None for what is computed."""
    node = inner(tree)
    if node.data == "ident":
        name = str(node.children[0])
        return loops[name] if name in loops else CallPath(name)
    if node.data not in ("member_dot", "member_index"):
        return None
    owner = path_of(node.children[0], loops)
    if owner is None:
        return None
    key = node.children[1]
    step = str(key) if node.data == "member_dot" else constant_text(key)
    return CallPath(owner.root, (*owner.steps, step))


def sized_by(tree: Any) -> Any:
    """What `tree` is the size of; None for another expression."""
    node = inner(tree)
    if node.data == "ident_arg" and node.children[0].value == "size" and len(node.children) == 2:
        return node.children[1]
    is_method = node.data == "member_dot_arg" and node.children[1].value == "size" and len(node.children) == 2
    return node.children[0] if is_method else None


def within(node: Any, loops: Loops) -> tuple[CallPath, list[str]] | None:
    """What `pathWithin(paths, folders)` selects, and these if constant, without `.` and empty names."""
    if node.data != "ident_arg" or node.children[0].value != "pathWithin":
        return None
    arguments = node.children[1].children
    path, listed = path_of(arguments[0], loops), inner(arguments[-1])
    folders = [constant_text(one) for one in (listed.children if listed.data == "exprlist" else [listed])]
    known = [one for one in folders if one is not None]
    if path is None or len(arguments) != 2 or len(known) < len(folders):
        return None
    return path, [_normal(one) for one in known]


def _normal(path: str) -> str:
    return "/" * path.startswith("/") + "/".join(name for name in path.split("/") if name not in ("", "."))


def constant_in(tree: Any) -> tuple[Json] | None:
    """The constant that it is, in a tuple, since `null` is one too."""
    node = inner(tree)
    if node.data != "literal":
        return None
    word = str(node.children[0])
    if word in _WORDS:
        return (_WORDS[word],)
    if word[-1] in "\"'":
        return None if word[0] in "bB" else (string_value(word),)
    whole = re.fullmatch(r"(-?(?:0x[0-9a-f]+|[0-9]+))u?", word.lower())
    return (int(whole[1], 0) if whole else float(word),)


def constant_text(tree: Any) -> str | None:
    """The text that it is."""
    found = constant_in(tree)
    return found[0] if found and isinstance(found[0], str) else None


def token_of(tree: Any) -> bytes | None:
    """The JSON of a constant; of a number what all that are equal begin with."""
    found = constant_in(tree)
    if found is None:
        return None
    (value,) = found
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int:
        # A record may have -0.0 for 0.
        return str(value).encode() if 0 < abs(value) < _EXACT else None
    return None if value in (inf, -inf) else json.encode(value)
