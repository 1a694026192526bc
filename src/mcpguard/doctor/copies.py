"""Old copies of a client's file: beside it, and in the local history of editors.

Law of this file: names and bounds decide what is looked at, and no history leads out of its own folder.
"""

import os
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import DecodeError, Struct
from msgspec.json import decode

from mcpguard.doctor.files import text_of

BESIDE_LIMIT = 5000
"""How many names of a folder are looked at."""

EDITORS = ("Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf")
"""Folders below that of settings in which editors of one family keep their history."""

_MARKS = ("bak", "backup", "old", "orig", "copy", "save", "before", "~")
_ELSEWHERE = {".claude.json": Path(".claude/backups")}


def beside(path: Path) -> list[Path]:
    """Copies that editors, installers and people leave, by their names."""
    folders = [path.parent]
    if path.name in _ELSEWHERE:
        folders.append(path.parent / _ELSEWHERE[path.name])
    return [folder / name for folder in folders for name in _files(folder) if _is_copy(name, path)]


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as names:
            return sorted(one.name for one in islice(names, BESIDE_LIMIT) if one.is_file())
    except OSError:
        return []


def _is_copy(name: str, path: Path) -> bool:
    name, whole, stem = name.lower(), path.name.lower(), path.stem.lower()
    if whole in name:
        rest = name.replace(whole, "", 1)
        return rest in (".swp", "##") or any(mark in rest for mark in _MARKS)
    rest = name.removeprefix(stem)
    return rest != name and rest.endswith(path.suffix) and any(mark in rest for mark in _MARKS)


class _Saved(Struct):
    id: str


class _History(Struct):
    """`entries.json` of one file, as the editors of this family write it."""

    resource: str
    entries: list[_Saved]


def in_history(settings: Path, paths: Collection[Path]) -> Iterator[tuple[Path, Path]]:
    """(one of `paths`, an earlier state of it) for each that the history of an editor has."""
    for editor in EDITORS:
        folder = settings / editor / "User" / "History"
        try:
            with os.scandir(folder) as found:
                names = [one.name for one in islice(found, BESIDE_LIMIT)]
        except OSError:
            continue
        for name in names:
            yield from _saved(folder / name, paths)


def _saved(folder: Path, paths: Collection[Path]) -> Iterator[tuple[Path, Path]]:
    text = text_of(folder / "entries.json")
    if not isinstance(text, str):
        return
    try:
        history = decode(text, type=_History)
        path = Path(unquote(urlsplit(history.resource).path))
    except (DecodeError, ValueError, RecursionError):
        return
    if path in paths:
        yield from ((path, folder / one.id) for one in history.entries if os.path.basename(one.id) == one.id)
