"""Tables of a TOML document replaced, removed and added, as changes of whole statements."""

from __future__ import annotations

import re
from typing import Any

import tomlkit

from mcpguard.onboarding.formats.edit_json import Change, newline
from mcpguard.onboarding.formats.toml_text import Statement, statements
from mcpguard.onboarding.formats.tree import Broken


def replace(
    text: str, path: tuple[str, ...], names: list[str], name: str, entry: dict[str, Any]
) -> list[Change]:
    """The first statement of the tables `names` below `path` becomes the entry of mcpguard (unless `name` is
    ""), the others go; comments between statements stay."""
    every = statements(text)
    mine = [one for one in every if any(one.path[: len(path) + 1] == (*path, other) for other in names)]
    seen = {one.path[len(path)] for one in mine}
    if seen != set(names):
        raise Broken(0, "servers that are written in one line cannot be edited: give each a table of its own")
    changes: list[Change] = []
    for one in mine:
        fresh = one is mine[0] and bool(name)
        changes.append((one.start, one.end, _new(text, every, one, path, name, entry) if fresh else ""))
    return changes


def append(text: str, path: tuple[str, ...], name: str, entry: dict[str, Any]) -> Change:
    """A table for `name` at the end."""
    line = newline(text)
    lead = "" if text.endswith("\n") else line
    return len(text), len(text), lead + line + block("", (*path, name), entry, line)


def block(indent: str, path: tuple[str, ...], entry: dict[str, Any], line: str = "\n") -> str:
    """A table with its header."""
    rows = [f"[{_dotted(path)}]", *tomlkit.dumps(entry).splitlines()]
    return "".join(f"{indent}{row}{line}" for row in rows)


def _new(
    text: str, every: list[Statement], one: Statement, path: tuple[str, ...], name: str, entry: dict[str, Any]
) -> str:
    indent = re.match(r"[ \t]*", text[one.start : one.end])
    lead = indent[0] if indent else ""
    line = newline(text)
    if one.header:
        return block(lead, (*path, name), entry, line)
    before = [other for other in every if other.header and other.start < one.start]
    table = before[-1].path if before else ()
    inner = ", ".join(f"{key} = {tomlkit.item(value).as_string()}" for key, value in entry.items())
    return f"{lead}{_dotted((*path, name)[len(table) :])} = {{ {inner} }}{line}"


def _dotted(path: tuple[str, ...]) -> str:
    return tomlkit.key(path).as_string()
