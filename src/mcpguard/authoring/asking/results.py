"""What an argument must have for a part of `url()` of it to be, to begin with, to have or to match a text,
and for `sql()` of it to have a table.

Law of this file: a part that is read is written in the argument: `url()` changes the case of ASCII letters,
decodes escapes and encodes what is not ASCII, and refuses what readers would take for something else. So does
`sql()` with the names of tables, in dialects that have no escapes in names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from mcpguard.authoring.conditions import CallPath, Loops, constant_text, path_of
from mcpguard.core.conditions.tree import inner

Texts = tuple[str, ...]
"""Of which one is written, in any case of ASCII letters; () where that is not known."""

_NAME = re.compile(r"[a-z0-9_.-]+")
_OF_NAMES = re.compile("[g-z_-]")
"""What no address has."""
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")
_PLAIN = re.compile(r"[A-Za-z0-9._~/=&,;:@!$'()*+?-]{2,}")
_END_OF_ESCAPE = re.compile(r"^[0-9A-F]{1,2}")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_WITHOUT_ESCAPES = ("postgres", "sqlite")
_LONGEST = 24
"""The characters of a text that are looked for: each can be escaped."""


def result_of(tree: Any, loops: Loops) -> tuple[str, CallPath] | None:
    """The part of `url(ARGUMENT, …)` that `tree` selects, and the argument."""
    part, arguments = _selected(tree, "url")
    path = path_of(arguments[0], loops) if part in _WRITTEN else None
    return None if path is None or path.root != "args" else (part, path)


def tables_of(tree: Any, loops: Loops) -> CallPath | None:
    """The text whose tables `tree` selects, `sql(ARGUMENT, DIALECT).tables`."""
    member, arguments = _selected(tree, "sql")
    if member not in ("tables", "written") or len(arguments) < 2:
        return None
    path = path_of(arguments[0], loops) if constant_text(arguments[1]) in _WITHOUT_ESCAPES else None
    return path if path is not None and path.root == "args" else None


def _selected(tree: Any, function: str) -> tuple[str, list[Any]]:
    """The member that `tree` selects of `function(...)`, and the arguments; ("", []) for anything else."""
    node = inner(tree)
    call = inner(node.children[0]) if node.data == "member_dot" else node
    is_call = call is not node and call.data == "ident_arg" and len(call.children) == 2
    if not is_call or call.children[0].value != function:
        return "", []
    return str(node.children[1]), call.children[1].children


def names_in(table: str) -> Texts:
    """The names that are written where a table is read, with its schema if it has one; all of them."""
    return tuple(table.split(".")) if _TABLE.fullmatch(table) else ()


def written(part: str, how: str, text: str, any_case: bool = False) -> Texts:
    """What is written in a URL whose `part` is `text` (`==`), or begins with it, ends with it or has it (as
    methods of CEL are called), in `any_case` or as it is."""
    return _WRITTEN[part](how, text, any_case)


def part_of_name(part: str, text: str) -> str:
    """A pattern (RE2) of what is written in a URL whose host has `text`, which is a part of a name; "" where
    that is not known. What is not ASCII may have become a label with it."""
    is_known = part == "host" and _NAME.fullmatch(text) and _OF_NAMES.search(text)
    return rf"(?i){re.escape(text)}|xn--|[^\x00-\x7f]" if is_known else ""


def _scheme(how: str, text: str, _any_case: bool) -> Texts:
    return (f"{text}://",) if how == "==" else ()


def _host(how: str, text: str, _any_case: bool) -> Texts:
    """Labels of a name stand as they are, but for international ones; of a part of a label it is not known
    whether it stands in one of these."""
    if not _NAME.fullmatch(text):
        return ()
    begin = 0 if how in ("==", "startsWith") else text.find(".")
    end = len(text) if how in ("==", "endsWith") else text.rfind(".") + 1
    labels = text[begin:end] if begin >= 0 else ""
    if "xn--" in labels or not _OF_NAMES.search(labels):
        return ()
    return (labels,)


def _escapable(how: str, text: str, any_case: bool) -> Texts:
    """As it is, or with an escape of one of its characters beside another one."""
    if how in ("contains", "endsWith"):  # It may begin in the escape of a character that is written as it is.
        text = _END_OF_ESCAPE.sub("", text.upper() if any_case else text)
    found = _PLAIN.search(text) if text.isascii() else None
    if found is None or found[0] != text:
        return ()
    text = text[:_LONGEST]
    escaped = {
        first + second
        for one, other in pairwise(text)
        for first in _forms(one, any_case)
        for second in _forms(other, any_case)
        if first + second != one + other
    }
    return (text, *sorted(escaped))


def _forms(character: str, any_case: bool) -> Iterable[str]:
    if not _UNRESERVED.match(character):
        return (character,)
    each = {character.lower(), character.upper()} if any_case else {character}
    return (character, *(f"%{ord(one):02X}" for one in each))


_WRITTEN: Mapping[str, Callable[[str, str, bool], Texts]] = {
    "scheme": _scheme,
    "host": _host,
    **dict.fromkeys(("path", "query", "fragment"), _escapable),
}
