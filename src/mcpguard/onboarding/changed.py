"""What somebody has changed after the import. A client's file: is mcpguard in it, and what is it without. A
secret: is it another one.

Law of this file: what cannot be read is taken for one that starts mcpguard, and stays; and what gives way
to entries that are put back is exactly what the import wrote, and what a client noted in it since.
"""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from mcpguard.onboarding import disk
from mcpguard.onboarding.discovery.clients import CHOOSING, CLIENTS, HIDING
from mcpguard.onboarding.discovery.reading import BOM, PARSERS, ClientFile, parsed, tables_of
from mcpguard.onboarding.edit import REPLACE, applied, checked, free_name, name_for, table_for, without_names
from mcpguard.onboarding.formats import (
    Change,
    TreeNode,
    Unreadable,
    UnreadableFormat,
    Way,
    jsonc,
    within,
    yaml_text,
)
from mcpguard.onboarding.formats import Step as Key
from mcpguard.onboarding.formats.toml_text import statements
from mcpguard.onboarding.journal import ImportMove, Step, mark
from mcpguard.onboarding.vault import REMOVED, Vault

_NOTED = {
    *("trust", "disabled", "enabled", "isActive", "timeout", "description", *HIDING, *CHOOSING),
    *("alwaysAllow", "autoApprove", "tools", "default_tools_approval_mode"),
}
"""Keys in which clients note in the entry of a server what their user chose for it. They start nothing."""


def encoded(found: ClientFile, text: str) -> bytes:
    """`text` as the bytes of the file `found`."""
    return (BOM + text if found.mark else text).encode()


def uses_us(step: Step) -> bool:
    """Whether a client's file is not what it was before, and starts mcpguard. Raises MoveError."""
    path = Path(step.path)
    now = disk.digest(path)
    if step.back or now in (None, disk.IRREGULAR, step.before):
        return False
    data = path.read_bytes()
    found = _found(step, data)
    if found is None or found.problem:
        return b"mcpguard" in data
    return any(one.claims for one in found.entries)


def without_us(step: Step, was: bytes, now: bytes) -> tuple[bytes, list[str]]:
    """The bytes of the file of `step`, which are `now`, with the entries of `was` in place of mcpguard's; and
    the tables that are gone. Raises Unreadable."""
    before, found = _found(step, was), _found(step, now)
    if before is None or found is None:
        raise Unreadable("an earlier version of mcpguard did the import")
    if found.problem:
        raise Unreadable(found.problem)
    gone: list[str] = []
    for edit in step.edits:
        text, lost = put_back(before, found, edit.gone, edit.entry)
        found = parsed(found, encoded(found, text))
        gone += lost
    if step.added:
        found = parsed(found, encoded(found, without_names(found, step.added)))
    return encoded(found, found.text), gone


def _found(step: Step, data: bytes) -> ClientFile | None:
    for client in CLIENTS:
        for file in (*client.files, *client.settings):
            if (client.name, file.path) == (step.client, step.place):
                path = Path(step.path)
                return parsed(ClientFile(client=client, file=file, path=path, target=path), data)
    return None


def is_another(move: ImportMove, vault: Vault, name: str) -> bool:
    """Whether the vault holds something else under `name` than `move` stored."""
    value, stored = vault.get(name), move.marks.get(name)
    if value in (None, REMOVED) or stored is None:
        return False
    try:
        return mark(vault.get(move.key) or "", value) != stored
    except ValueError:
        return True  # The key is the last to go, so what is still there was left on purpose.


class ServerItem(NamedTuple):
    """A server in its table: its name (None: it has none), what it says, and where it stands."""

    name: str | None
    plain: Any
    start: int
    end: int


class _Restored(NamedTuple):
    """What is to happen at `path`: `ours` (None if absent) gives way to `originals` of `was`."""

    path: Way
    ours: ServerItem | None
    originals: list[ServerItem]


def put_back(
    was: ClientFile, now: ClientFile, gone: Iterable[Way], entry: dict[str, Any]
) -> tuple[str, list[str]]:
    """The text of `now` with the entries of `was` at `gone` in place of `entry`, which was written for them;
    and the tables that have no entry of mcpguard any more. Where the entries stand there already, nothing
    changes.

    Raises Unreadable where the entry was changed, where a name is taken, and where it cannot be done without
    touching more.
    """
    ways = list(gone)
    root = PARSERS[now.file.format](now.text)
    want = deepcopy(root.plain())
    changes: list[Change] = []
    lost: list[str] = []
    for path, name, originals in _moved(was, ways, entry):
        node = root.at(path)
        items = [] if node is None else _items(now.text, node)
        stand = [(one.name, one.plain) for one in items]
        if originals and all((one.name, one.plain) in stand for one in originals):
            continue
        ours = _ours(now, path, items, name, entry)
        if ours is None and (name or not items):
            lost.append(".".join(map(str, path)))
            continue
        taken = {one.name for one in items if one is not ours and one.name}
        taken &= {one.name for one in originals}
        if taken:
            raise Unreadable(f"{now.path}: now has another server named {taken.pop()}")
        changes += _changes(was, now, root, _Restored(path, ours, originals))
        _expect(want, path, ours, originals)
        if not originals and now.file.format == "toml":
            _drop_empty(want, path, now.text)
    return checked(now, applied(now.text, changes), want), lost


def _moved(
    was: ClientFile, gone: list[Way], entry: dict[str, Any]
) -> Iterable[tuple[Way, str, list[ServerItem]]]:
    """For each table the name that the entry of mcpguard got there ("": it was there), and what moved."""
    if not gone:
        root = PARSERS[was.file.format](was.text) if was.text.strip() else None
        path: Way = was.file.tables[0] if root is None else table_for(was.file, root)
        node = None if root is None else root.at(path)
        names = [] if node is None else [str(one.name) for one in _items(was.text, node)]
        yield path, free_name(names, []), []
        return
    for path, table in tables_of(was.file, PARSERS[was.file.format](was.text)):
        steps = [way[-1] for way in gone if way[:-1] == path]
        if steps:
            every = list(zip(_steps(table), _items(was.text, table), strict=True))
            yield (
                path,
                name_for(was, path, table, steps, entry),
                [one for step, one in every if step in steps],
            )


def _steps(table: TreeNode) -> list[Key]:
    if table.kind == "list":
        return list(range(len(table.value)))
    return [member.key for member in table.value]


def _items(text: str, table: TreeNode) -> list[ServerItem]:
    if table.kind == "map":
        return [
            ServerItem(one.key, one.node.plain(), one.start, len(text[: one.node.end].rstrip()))
            for one in table.value
        ]
    found = []
    for node in table.value if table.kind == "list" else ():
        plain = node.plain()
        name = plain.get("name") if isinstance(plain, dict) else None
        found.append(
            ServerItem(None if name is None else str(name), plain, node.start, len(text[: node.end].rstrip()))
        )
    return found


def _ours(
    now: ClientFile, path: Way, items: list[ServerItem], name: str, entry: dict[str, Any]
) -> ServerItem | None:
    named = [one for one in items if one.name == name]
    want = {"name": name, **entry} if now.file.listed else entry
    if len(named) > 1 or any(_without_notes(one.plain, want) != want for one in named):
        raise Unreadable(f"{now.path}: its entry {name} was changed after the import")
    if name and not named and any(one.claims and one.where[:-1] == path for one in now.entries):
        raise Unreadable(f"{now.path}: its mcpguard entry was renamed after the import")
    return named[0] if named else None


def _without_notes(plain: Any, want: dict[str, Any]) -> Any:
    if not isinstance(plain, dict):
        return plain
    return {key: value for key, value in plain.items() if key in want or key not in _NOTED}


def _expect(want: Any, path: Way, ours: ServerItem | None, originals: list[ServerItem]) -> None:
    table = within(want, path)
    if isinstance(table, list):
        at = len(table) if ours is None else table.index(ours.plain)
        table[at : at + 1] = [one.plain for one in originals]
        return
    if ours is not None:
        del table[ours.name]
    table.update({one.name: one.plain for one in originals})


def _drop_empty(want: Any, path: Way, text: str) -> None:
    """In TOML a table is gone with the last one in it, unless it has a header of its own."""
    ways = [one.path for one in statements(text)]
    parent = within(want, path[:-1])
    if not parent[path[-1]] and path not in ways:
        del parent[path[-1]]


def _changes(was: ClientFile, now: ClientFile, root: TreeNode, table: _Restored) -> list[Change]:
    try:
        if now.file.format == "toml":
            return _in_toml(was, now, table)
        text = now.text
        texts = [was.text[one.start : one.end] for one in table.originals]
        node = root.there(table.path)
        if table.ours is not None and not texts:
            steps = [
                step for step, one in zip(_steps(node), _items(text, node), strict=True) if one == table.ours
            ]
            return REPLACE[now.file.format](text, root, table.path, steps, "", {})
        here = table.ours or _items(text, node)[-1]
        before = text[text.rfind("\n", 0, here.start) + 1 : here.start]
        line = jsonc.newline(text)
        if now.file.format == "yaml":
            if before.strip() != ("-" if node.kind == "list" else ""):
                raise UnreadableFormat(here.start, yaml_text.BRACKETS)
            between = line + before
        else:
            between = "," + (line + before if not before.strip() else " ")
        if table.ours is None:
            return [(here.end, here.end, "".join(between + one for one in texts))]
        return [(here.start, here.end, between.join(texts))]
    except UnreadableFormat as broken:
        raise Unreadable(f"{now.path}: {broken}") from None


def _in_toml(was: ClientFile, now: ClientFile, table: _Restored) -> list[Change]:
    def mine(text: str, names: set[str]) -> list[tuple[int, int]]:
        ways = {(*map(str, table.path), name) for name in names}
        long = len(table.path) + 1
        return [(one.start, one.end) for one in statements(text) if one.path[:long] in ways]

    line = jsonc.newline(now.text)
    spans = mine(was.text, {str(one.name) for one in table.originals})
    texts = [was.text[start:end] for start, end in spans]
    new = "".join(text if text.endswith("\n") else text + line for text in texts)
    if table.ours is None:
        end = len(now.text)
        return [(end, end, new if now.text.endswith("\n") else line + new)]
    first, *rest = mine(now.text, {str(table.ours.name)})
    return [(*first, new), *((start, end, "") for start, end in rest)]
