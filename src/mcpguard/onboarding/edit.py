"""Entries of a client's file replaced by the one of mcpguard, as an edit of spans of its text.

Law of this file: outside of the replaced entries every character stays, and what comes out means exactly what
was meant: it is read again and compared, and a difference refuses the edit.
"""

import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import count
from pathlib import PurePath
from typing import Any

from mcpguard.onboarding.discovery.clients import PROJECT, File, words_of
from mcpguard.onboarding.discovery.reading import PARSERS, ClientFile, tables_of
from mcpguard.onboarding.formats import (
    Change,
    Step,
    TreeNode,
    Unreadable,
    UnreadableFormat,
    Way,
    jsonc,
    toml_text,
    within,
    yaml_text,
)
from mcpguard.onboarding.journal import AddedNames

REPLACE = {"jsonc": jsonc.replace, "toml": toml_text.replace, "yaml": yaml_text.replace}
INSERT = {"jsonc": jsonc.insert, "toml": toml_text.insert, "yaml": yaml_text.insert}
APPEND = {"jsonc": jsonc.append, "yaml": yaml_text.append}
REMOVE = {"jsonc": jsonc.remove, "yaml": yaml_text.remove}
"""By the format of a File, as PARSERS."""

NAME = "mcpguard"
"""What the entry is called, unless a server of another kind has that name. That of a project has the name of
its folder besides: where both have one name, most clients take the project's and leave the user's out."""


def called(entry: dict[str, Any]) -> str:
    """What `entry` is to be called: see NAME."""
    words = words_of(entry)
    if PROJECT not in words:
        return NAME
    folder = PurePath(words[words.index(PROJECT) + 1]).name
    plain = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:24].strip("-")
    return f"{NAME}-{plain}" if plain else f"{NAME}-project"


def replaced(found: ClientFile, gone: Iterable[Way], entry: dict[str, Any]) -> str:
    """The text of `found` in which the entries at `gone` are one entry of mcpguard in each table.

    Raises Unreadable where that cannot be done without touching more.
    """
    root = PARSERS[found.file.format](found.text)
    want = deepcopy(root.plain())
    changes: list[Change] = []
    try:
        for path, table in tables_of(found.file, root):
            if steps := [way[-1] for way in gone if way[:-1] == path]:
                name = name_for(found, path, table, steps, entry)
                changes += REPLACE[found.file.format](found.text, root, path, steps, name, entry)
                _expect(want, path, steps, name, entry)
    except UnreadableFormat as broken:
        raise Unreadable(f"{found.path}: {broken}") from None
    return checked(found, applied(found.text, changes), want)


def name_for(found: ClientFile, path: Way, table: TreeNode, steps: list[Step], entry: dict[str, Any]) -> str:
    """What the entry of mcpguard is called in the `table` at `path` when `steps` go, "" where it is there."""
    mine = set(words_of(entry))
    ours = [one for one in found.entries if one.guarded and mine <= set(one.args)]
    there = any(one.where[:-1] == path for one in ours)
    return "" if there else free_name(_names(table.plain()), steps, called(entry))


def added(found: ClientFile, entry: dict[str, Any]) -> str:
    """The text of `found`, which may be empty, with the entry of mcpguard besides the others.

    Raises Unreadable.
    """
    text = found.text
    if not text.strip():
        return new_text(found.file, entry)
    root = PARSERS[found.file.format](text)
    path = table_for(found.file, root)
    want = deepcopy(root.plain())
    try:
        inner = want
        for step in path:
            inner = inner.setdefault(step, {})
        name = free_name(list(inner), [])
        inner[name] = entry
        change = INSERT[found.file.format](text, root, path, name, entry)
    except (AttributeError, TypeError, UnreadableFormat) as error:
        if isinstance(error, UnreadableFormat) and found.file.format == "yaml":
            raise Unreadable(f"{found.path}: {error}") from None
        raise Unreadable(
            f"{found.path}: {'.'.join(path)} is not a mapping, so nothing can be added"
        ) from None
    return checked(found, applied(text, [change]), want)


def with_names(found: ClientFile, added: Iterable[AddedNames]) -> str:
    """The text of `found` with the names of `added` in its lists and mappings. Raises Unreadable."""
    text = found.text
    want = deepcopy(PARSERS[found.file.format](text).plain())
    for one in added:
        inner = within(want, one.where)
        for name, value in one.names.items():
            root = PARSERS[found.file.format](text)
            try:
                if isinstance(inner, list):
                    inner.append(name)
                    change = APPEND[found.file.format](text, root.there(tuple(one.where)), name)
                else:
                    inner[name] = value
                    change = INSERT[found.file.format](text, root, tuple(one.where), name, value)
            except UnreadableFormat as broken:
                raise Unreadable(f"{found.path}: {broken}") from None
            text = applied(text, [change])
    return checked(found, text, want)


def without_names(found: ClientFile, added: Iterable[AddedNames]) -> str:
    """The text of `found` without what is left of the names of `added`. Raises Unreadable."""
    text = found.text
    want = deepcopy(PARSERS[found.file.format](text).plain())
    for one in added:
        for name, value in one.names.items():
            node = PARSERS[found.file.format](text).at(tuple(one.where))
            spans = [] if node is None or node.kind == "plain" else node.spans()
            plain = None if node is None else node.plain()
            if isinstance(plain, list) and name in plain:
                at = plain.index(name)
            elif isinstance(plain, dict) and plain.get(name, ...) == value:
                at = list(plain).index(name)
            else:
                continue
            text = applied(text, REMOVE[found.file.format](text, spans, at))
            inner = within(want, one.where)
            del inner[at if isinstance(inner, list) else name]
    return checked(found, text, want)


def table_for(file: File, root: TreeNode) -> tuple[str, ...]:
    """The table of servers to which one is added: the first that has any, else the first of all."""
    there = (table for table in file.tables if "*" not in table and (node := root.at(table)) and node.value)
    return next(there, file.tables[0])


def new_text(file: File, entry: dict[str, Any]) -> str:
    """The text of a file that has nothing but the entry of mcpguard."""
    path = file.tables[0]
    if file.format == "toml":
        return toml_text.block("", (*path, NAME), entry)
    if file.format == "yaml" and not file.listed:
        return yaml_text.insert("", TreeNode("map", 0, 0, []), path, NAME, entry)[2]
    if file.format == "yaml":
        lines = yaml_text.item("  ", {"name": NAME, **entry})
        return f"name: {NAME}\nversion: 0.0.1\nschema: v1\nmcpServers:\n  - {lines}\n"
    whole: Any = {NAME: entry}
    for step in reversed(path):
        whole = {step: whole}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _names(table: Any) -> list[str]:
    if isinstance(table, dict):
        return list(table)
    return [str(one.get("name")) for one in table if isinstance(one, dict)]


def free_name(names: list[str], steps: list[Step], wanted: str = NAME) -> str:
    """`wanted`, or what is nearest to it and neither in `names` nor, if it is, one of `steps`, which go."""
    taken = {name for name in names if name not in steps}
    return next(name for name in numbered(wanted) if name not in taken)


def numbered(name: str) -> Iterator[str]:
    """`name`, then `name-2` and so on."""
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def _expect(want: Any, path: Way, steps: list[Step], name: str, entry: dict[str, Any]) -> None:
    table = within(want, path)
    first = min(steps, key=lambda one: one if isinstance(one, int) else 0)
    for step in sorted(steps, key=lambda one: one if isinstance(one, int) else 0, reverse=True):
        del table[step]
    if name and isinstance(table, list):
        table.insert(int(first), {"name": name, **entry})
    elif name:
        table[name] = entry


def applied(text: str, changes: Iterable[Change]) -> str:
    """`text` with `changes` made; they do not overlap."""
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def checked(found: ClientFile, text: str, want: Any) -> str:
    """`text`, if it says `want`. Raises Unreadable."""
    try:
        root = PARSERS[found.file.format](text)
        if found.file.format == "yaml":
            yaml_text.compose(text)
        if root.plain() == want:
            return text
    except UnreadableFormat:
        pass
    raise Unreadable(f"{found.path}: is written in a way that cannot be edited safely, so it was left alone")
