"""Values for the params of a pack out of what is on this machine: folders, remotes of git, tables of a file.

Law of this file: it reads files and starts nothing, and takes only what says that the person works with it: a
clone alone names a stranger. Nothing that it gives is wider than what the server could do before.
"""

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from urllib.parse import quote, urlsplit

from msgspec import Struct

from mcpguard.adapters.system.files import read_regular
from mcpguard.core.functions.function import FunctionError
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.programs import own_arguments
from mcpguard.onboarding.discovery.reading import ClientFile, Places

Values = dict[str, list[str]]
"""By param. An empty list: nothing may be used until somebody sets it."""

FOLDERS_LIMIT = 200
"""How many folders are looked at for repositories."""

TABLES_LIMIT = 1000

TEXT_LIMIT = 1 << 20
"""How many bytes are read of a file."""

# Nothing here passes the end of a line twice: who can write in a project must not hold the import up.
_REMOTE = re.compile(r'(?m)^[ \t]*\[[ \t]*remote[ \t]+"origin"[ \t]*\][ \t\r]*$(?:\n(?![ \t]*\[).*)*')
_URL = re.compile(r"(?m)^[ \t]*url[ \t]*=[ \t]*(\S+)[ \t\r]*$")
_SCP = re.compile(r"(?:[^@/\s]+@)?([A-Za-z0-9.-]+):(?!//)/?([^/\s]+)/")
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?")
_MADE_HERE = re.compile(r"(?m)\tcommit(?: \([a-z-]+\))?: ")
_GH_USER = re.compile(r"(?m)^[ \t]+user:[ \t]*([A-Za-z0-9-]+)[ \t\r]*$")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_COLUMN = re.compile(r"(?i)passw|secret|token|api_?key|private_?key|ssn")


class Machine(Struct, frozen=True):
    """What the machine says: `projects` are folders that clients know as such, and the one in which the
    command runs; `folders` are those that servers are given; `config` is the user's folder of settings."""

    projects: tuple[str, ...]
    folders: tuple[str, ...]
    config: Path


def machine(founds: Iterable[ClientFile], places: Places) -> Machine:
    """Out of everything that clients have."""
    projects: dict[str, None] = {}
    folders: dict[str, None] = {}
    for found in founds:
        for entry in found.entries:
            if entry.where[:1] == ("projects",) and os.path.isabs(str(entry.where[1])):
                projects[str(entry.where[1])] = None
            for word in (*entry.args, entry.cwd):
                if os.path.isabs(word) and os.path.isdir(word):
                    folders[word] = None
    if places.project is not None and places.project != places.home:
        projects[str(places.project)] = None
    return Machine(tuple(projects), tuple(folders), places.config)


def values_for(pack: str, entry: Entry, project: Path | None, around: Machine) -> Values:
    """What the params of `pack` are for the server `entry`, which is of `project` if it is of one. A param
    that is missing can only be set by a person."""
    if pack == "filesystem":
        named = [word for word in own_arguments(entry) if os.path.isabs(word)]
        return _some("folders", named or ([str(project)] if project else []))
    if pack == "git":
        pairs = pairwise(entry.args)
        named = [value for option, value in pairs if option in ("--repository", "-r")]
        named += [word.partition("=")[2] for word in entry.args if word.startswith("--repository=")]
        return {"repositories": _texts(named) or _repositories(project, around)}
    if pack == "shell":
        folder = entry.cwd if os.path.isabs(entry.cwd) else str(project or "")
        return _some("folders", [folder] if folder else [])
    if pack == "github":
        return {"owners": sorted({*_owners(around), *_login(around.config)}, key=str.lower)}
    if pack == "sqlite":
        return _tables_of(entry)
    return {"hosts": []} if pack == "fetch" else {}


def _some(name: str, values: list[str]) -> Values:
    """Without one nothing is said: a relative path begins in the first of them."""
    kept = [one for one in _texts(values) if _readable(one)]
    return {name: kept} if kept else {}


def _texts(values: Iterable[str]) -> list[str]:
    """Those that a policy can hold, each once."""
    usable = (
        one for one in values if os.path.isabs(one) and one.isprintable() and not set(one) & set("'\"\\")
    )
    return list(dict.fromkeys(usable))


def _readable(folder: str) -> bool:
    """Whether a policy can name the folder: it would not be loaded otherwise."""
    # Most clients have no server of files.
    from mcpguard.core.functions.paths.reading import path_within

    try:
        return path_within(folder, folder)
    except FunctionError:
        return False


def _repositories(project: Path | None, around: Machine) -> list[str]:
    """The repositories that a server without a fixed one is used with."""
    known = [str(project)] if project else [*around.projects, *around.folders]
    return _texts(one for one in known if os.path.isdir(os.path.join(one, ".git")))


def _owners(around: Machine) -> Iterator[str]:
    """Who has the repositories in which this person commits, by the address of `origin` on github.com."""
    for folder in islice(_candidates(around), FOLDERS_LIMIT):
        git = Path(folder, ".git")
        if not _MADE_HERE.search(_text(git / "logs" / "HEAD")):
            continue
        remote = _REMOTE.search(_text(git / "config"))
        url = _URL.search(remote[0]) if remote else None
        owner = _owner(url[1]) if url else ""
        if owner:
            yield owner


def _candidates(around: Machine) -> Iterator[str]:
    """The folders, and what is in those of them that are not repositories: those who write in a repository
    also write what is in it."""
    for folder in (*around.projects, *around.folders):
        yield folder
        if os.path.lexists(os.path.join(folder, ".git")):
            continue
        try:
            with os.scandir(folder) as inside:
                names = sorted(one.path for one in inside if one.is_dir(follow_symlinks=False))
        except (OSError, ValueError):
            continue
        yield from names


def _owner(url: str) -> str:
    scp = _SCP.match(url)
    if scp:
        host, owner = scp[1], scp[2]
    else:
        try:
            parts = urlsplit(url)
        except ValueError:
            return ""
        host, owner = parts.hostname or "", parts.path.strip("/").partition("/")[0]
    return owner if host.lower() == "github.com" and _OWNER.fullmatch(owner) else ""


def _login(config: Path) -> list[str]:
    """The person's own name at GitHub, as its command line tool has it."""
    found = _GH_USER.search(_text(config / "gh" / "hosts.yml"))
    return [found[1]] if found else []


def _text(path: Path) -> str:
    try:
        return (read_regular(path, TEXT_LIMIT) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def _tables_of(entry: Entry) -> Values:
    """The tables and views of the file that a server of SQLite gets, and the tables that hold no secret."""
    named = [value for option, value in pairwise(entry.args) if option == "--db-path"]
    named += [word.partition("=")[2] for word in entry.args if word.startswith("--db-path=")]
    path = os.path.expanduser(named[0]) if named else ""
    if not os.path.isabs(path) or not os.path.isfile(path):
        return {"tables": []}
    try:
        database = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=1)
        try:
            return _tables_in(database)
        finally:
            database.close()
    except (sqlite3.Error, UnicodeDecodeError):  # The second for a message of SQLite's that quotes the file.
        return {"tables": []}


def _tables_in(database: sqlite3.Connection) -> Values:
    rows = database.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY name LIMIT ?",
        (TABLES_LIMIT,),
    )
    kinds = {name: kind for name, kind in rows.fetchall() if type(name) is str and _TABLE.fullmatch(name)}
    # A view may have a secret under another name, and SQLite may need hours for the columns of a few views.
    tables = [name for name, kind in kinds.items() if kind == "table"]
    whole = [one for one in tables if not any(map(_SECRET_COLUMN.search, _columns(database, one)))]
    return {"tables": list(kinds), "whole": whole}


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in database.execute(f'PRAGMA table_info("{table}")')]
