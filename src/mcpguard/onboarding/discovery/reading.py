"""The configurations that the clients of this user and project have, with their servers. Nothing is written.

Law of this file: a file that cannot be read is one sentence with its place, and the others go on; no sentence
holds a value.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.adapters.system.files import read_regular
from mcpguard.core.secret import Unprinted
from mcpguard.onboarding.discovery.clients import CHOOSING, CLIENTS, FILTERS, HIDING, File, KnownClient
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.inputs import Input, inputs_of
from mcpguard.onboarding.discovery.name_lists import SPACE, NameList, NamesSaid
from mcpguard.onboarding.discovery.plaintext import secrets_of
from mcpguard.onboarding.formats import (
    ALIAS,
    Member,
    Step,
    TreeNode,
    UnreadableFormat,
    found_within,
    jsonc,
    leaves,
    place,
    yaml_text,
)

SIZE_LIMIT = 32 << 20
"""The largest configuration that is read, in bytes. Clients keep histories beside their servers."""

SERVERS_LIMIT = {"user": 500, "project": 100}
"""How many servers of a file are looked at. What holds more, somebody made to hold the command up."""


NAMES_LIMIT = {"user": 100_000, "project": 2_000}
"""How many names its lists may have."""


def _toml(text: str) -> TreeNode:
    # tomlkit takes longer to import than all files take to read, and few people have a TOML file.
    from mcpguard.onboarding.formats import toml_text

    return toml_text.parse(text)


PARSERS: dict[str, Callable[[str], TreeNode]] = {"jsonc": jsonc.parse, "toml": _toml, "yaml": yaml_text.parse}
"""Format of a File -> what reads it."""

_ENV_FILES = ("envFile", "env_file")

_FORMS = (
    ("command", (str, dict), "a string"),
    ("args", list, "a list"),
    ("env", dict, "a mapping"),
    ("headers", dict, "a mapping"),
    ("url", str, "a string"),
    ("cwd", str, "a string"),
)
"""Keys that most clients have, and what their values are."""

BOM = "\ufeff"


class SearchPlaces(Struct, frozen=True):
    """Where the files of this user and this project are looked for. `project` is None for none."""

    home: Path
    config: Path
    project: Path | None


class ClientFile(Unprinted, frozen=True, kw_only=True):
    """A client's file that is there. `path` is as the client names it, `target` where a link leads; `text` is
    without a byte order mark; `digest` is the SHA-256 of its bytes in hex. `problem` is a sentence, "" for
    none; with one there are no entries. `inputs` are what it asks for, `lists` name servers."""

    client: KnownClient
    file: File
    path: Path
    target: Path
    text: str = ""
    mark: bool = False
    digest: str = ""
    entries: tuple[Entry, ...] = ()
    inputs: tuple[Input, ...] = ()
    lists: tuple[NamesSaid, ...] = ()
    problem: str = ""


def folder_of(found: ClientFile, table: tuple[Step, ...], places: SearchPlaces) -> Path | None:
    """The folder of the project that the servers in `table` are of, None for those of the user."""
    if found.file.scope == "project":
        return places.project
    inside = table[:1] == ("projects",) and len(table) > 1 and os.path.isabs(str(table[1]))
    return Path(str(table[1])) if inside else None


def view_of(found: ClientFile, table: tuple[Step, ...], places: SearchPlaces) -> str:
    """The project as the configuration names it, for which the client sees the servers in `table`: a folder,
    or, for a file beside the user's first one, that file. "" for the servers that the user has everywhere."""
    folder = folder_of(found, table, places)
    if folder is not None:
        return str(folder)
    return "" if found.file is found.client.files[0] else str(found.path)


def here(environ: Mapping[str, str], project: Path | None) -> SearchPlaces:
    """The places of this user, from $HOME and $XDG_CONFIG_HOME."""
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return SearchPlaces(home, home / "Library" / "Application Support", project)
    return SearchPlaces(home, Path(environ.get("XDG_CONFIG_HOME") or home / ".config"), project)


def existing(places: SearchPlaces, clients: Iterable[KnownClient] = CLIENTS) -> Iterator[ClientFile]:
    """Every configuration that is there, client by client, each file once, with what the client's lists say
    of its servers."""
    every = {client.name: _files(client, places) for client in clients}
    for founds in every.values():
        for found in founds:
            others = [one for name in found.file.shared for one in every.get(name, ())]
            heard = [one for one in said([*founds, *others], places) if concerns(one[1].kind, one[0], found)]
            entries = tuple(_switched(found, entry, founds, heard, places) for entry in found.entries)
            yield replace(found, entries=entries)


def _files(client: KnownClient, places: SearchPlaces) -> list[ClientFile]:
    founds: dict[Path, ClientFile] = {}
    for file in (*client.files, *client.settings):
        for path in paths_of(file, places):
            target = Path(os.path.realpath(path))
            if os.path.lexists(path) and target not in founds:
                founds[target] = read(client, file, path)
    return list(founds.values())


Heard = tuple[ClientFile, NamesSaid, Path | None]
"""A list with its file, and the folder of the project to which it applies (None: everywhere)."""


def said(founds: Iterable[ClientFile], places: SearchPlaces) -> Iterator[Heard]:
    """Every list in these files."""
    for found in founds:
        for one in found.lists:
            yield found, one, folder_of(found, one.where, places)


def concerns(kind: NameList, where: ClientFile, found: ClientFile) -> bool:
    """Whether a list of `where` applies to the servers of `found`, a file that its client reads."""
    if kind.of == "project":
        return found.file.scope == "project"
    return kind.of != "own" or where.path == found.path or kind.means != "only"


def _switched(
    found: ClientFile, entry: Entry, every: list[ClientFile], heard: list[Heard], places: SearchPlaces
) -> Entry:
    """`entry` with what the lists of its client say about it."""
    mine = folder_of(found, entry.where[:-1], places)
    for where, one, folder in heard:
        if folder not in (None, mine) and mine is not None:
            continue
        everywhere = folder in (None, mine) and where.client is found.client
        line = SPACE.join((entry.command, *entry.args))
        name = {"serverCommand": line, "serverUrl": entry.url}.get(one.kind.by, entry.name)
        if one.bars(name) and everywhere:
            entry = replace(entry, disabled=True)
        elif one.bars(name) or one.blurs(name):
            some = "is" if one.bars(name) else "has tools that are"
            entry = _kept(entry, f"{some} switched off by {one.way}{where.path}")
        elif one.kind.means == "only" and not one.whole(entry.name):
            entry = replace(entry, only=tuple(tool for tool, _, _ in one.tools(entry.name)))
    approving = [each for each in heard if each[1].approves and each[2] in (None, mine)]
    if approving and not any(one.whole(entry.name) for _, one, _ in approving):
        entry = _kept(entry, f"is not approved by {approving[0][1].way}{approving[0][0].path}")
    for other in every:
        nearer = mine is None and other.file.scope == "project"
        if nearer and any(one.disabled and one.name == entry.name for one in other.entries):
            entry = _kept(entry, f"is switched off by {other.path}")
        if other.problem and any(
            kind.means in ("off", "only") and concerns(kind, other, found) for kind in other.file.lists
        ):
            entry = _kept(entry, f"may be switched off by {other.path}, which cannot be read")
    return entry


def _kept(entry: Entry, why: str) -> Entry:
    """`entry` as one that stays with its client, since it would be on behind mcpguard where it is not now."""
    if entry.problem or entry.disabled or entry.claims:
        return entry
    said = (
        f"{why}, and would be switched on behind mcpguard: correct that, or remove the server, and "
        "import again"
    )
    return replace(entry, problem=said)


def paths_of(file: File, places: SearchPlaces) -> list[Path]:
    """Where `file` is or would be; of a pattern only what is there."""
    root, _, rest = file.path.partition("/")
    folder = {"~": places.home, "{config}": places.config, ".": places.project}[root]
    if folder is None:
        return []
    return sorted(folder.glob(rest)) if "*" in rest else [folder / rest]


def read(client: KnownClient, file: File, path: Path) -> ClientFile:
    """The file at `path` as one of `client`."""
    target = Path(os.path.realpath(path))
    found = ClientFile(client=client, file=file, path=path, target=target)
    try:
        data = read_regular(target, SIZE_LIMIT) if target.is_file() else None
    except OSError as error:
        return replace(found, problem=f"{path}: cannot be read: {error.strerror}")
    if data is None:
        return replace(found, problem=f"{path}: not a regular file")
    if len(data) > SIZE_LIMIT:
        return replace(found, problem=f"{path}: larger than {SIZE_LIMIT} bytes")
    return parsed(found, data)


def parsed(found: ClientFile, data: bytes) -> ClientFile:
    """`found` with what `data` says."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return replace(found, problem=f"{found.path}:{line}:1: not UTF-8")
    mark = text.startswith(BOM)
    text = text.removeprefix(BOM)
    found = replace(found, text=text, mark=mark, digest=hashlib.sha256(data).hexdigest())
    if not text.strip():
        return found
    try:
        root = PARSERS[found.file.format](text)
    except UnreadableFormat as broken:
        line, column = place(text, broken.offset)
        return replace(found, problem=f"{found.path}:{line}:{column}: {broken}")
    twice = next(_twice(found.file, root), None)
    if twice is not None:
        # Clients take one of them, and a secret in the other one would stay.
        line, column = place(text, twice.start)
        said = "this key is a duplicate: delete one of the two, and run the command again"
        return replace(found, problem=f"{found.path}:{line}:{column}: {said}")
    entries = tuple(islice(_entries(found, root), SERVERS_LIMIT[found.file.scope] + 1))
    lists = tuple(_lists(found.file, root))
    names = sum(len(one.names) for one in lists)
    counts = ((len(entries), SERVERS_LIMIT, "servers"), (names, NAMES_LIMIT, "names in lists"))
    for number, limits, what in counts:
        if number > limits[found.file.scope]:
            return replace(found, problem=f"{found.path}: more than {limits[found.file.scope]} {what}")
    return replace(found, entries=entries, inputs=inputs_of(root), lists=lists)


def _lists(file: File, root: TreeNode) -> Iterator[NamesSaid]:
    """The lists of names that are there. What is not a text names nothing."""
    for kind in file.lists:
        for where, node in _reach((), root, kind.way):
            if node.kind == "list" and kind.by:
                yield NamesSaid.of_rules(kind, where, node.plain())
            elif node.kind == "list":
                yield NamesSaid(kind, where, {one: None for one in node.plain() if isinstance(one, str)})
            elif node.kind == "map":
                yield NamesSaid(kind, where, node.plain())
            elif kind.by == "all" and node.value is True:
                yield NamesSaid(kind, where, {"*": None})


def tables_of(file: File, root: TreeNode) -> Iterator[tuple[tuple[Step, ...], TreeNode]]:
    """Each table of servers that is there, with the way to it."""
    for table in file.tables:
        yield from _reach((), root, table)


def _reach(
    done: tuple[Step, ...], node: TreeNode, rest: tuple[str, ...]
) -> Iterator[tuple[tuple[Step, ...], TreeNode]]:
    if not rest:
        yield done, node
    elif rest[0] == "*":
        for member in node.value if node.kind == "map" else ():
            yield from _reach((*done, member.key), member.node, rest[1:])
    elif (inner := node.get(rest[0])) is not None:
        yield from _reach((*done, rest[0]), inner, rest[1:])


def _twice(file: File, root: TreeNode) -> Iterator[Member]:
    """Keys that are there twice, on the ways to servers and among them."""
    for table in file.tables:
        for end in range(len(table) + 1):
            for _, node in _reach((), root, table[:end]):
                for member in node.repeated():
                    if end == len(table) or table[end] in ("*", member.key):
                        yield member


def _entries(found: ClientFile, root: TreeNode) -> Iterator[Entry]:
    for path, table in tables_of(found.file, root):
        pairs: list[tuple[Step, TreeNode]] = []
        if found.file.listed and table.kind == "list":
            pairs = list(enumerate(table.value))
        elif not found.file.listed and table.kind == "map":
            pairs = [(member.key, member.node) for member in table.value]
        for step, node in pairs:
            data = node.plain()
            if _is_no_server(found, (*path, step), data):
                continue
            name = step
            if found.file.listed and isinstance(data, dict):
                # A block from elsewhere has its name there.
                name = data.get("name") or data.get("uses") or step
            line, _ = place(found.text, node.start)
            entry = read_entry(found.client, str(name), (*path, step), line, data)
            yield entry if entry.problem else replace(entry, secrets=secrets_of(entry))


def _is_no_server(found: ClientFile, way: tuple[Step, ...], data: Any) -> bool:
    """Whether it is another table, a setting beside one, or a part of the client itself."""
    if way in found.file.tables:
        return True
    if not isinstance(data, dict):
        return any(
            table[: len(way) - 1] == way[:-1] and len(table) >= len(way) for table in found.file.tables
        )
    return data.get("type") in found.client.inner


def read_entry(client: KnownClient, name: str, where: tuple[Step, ...], line: int, data: Any) -> Entry:
    """One entry as written. What has a different form than expected is its `problem`."""
    if not isinstance(data, dict):
        return Entry(name=name, where=where, line=line, problem="is not a mapping")
    try:
        json.dumps([name, where, data], ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return Entry(name=name, where=where, line=line, problem="contains half of a surrogate pair")
    if "<<" in data or ALIAS in leaves(data):
        return Entry(name=name, where=where, line=line, problem="has a YAML alias: write out its value")
    data = client.usual(data)
    command = data.get("command")
    if isinstance(command, dict):
        data = {**data, **command}
        command = command.get("path")
    url = next((data[key] for key in client.urls if isinstance(data.get(key), str)), "")
    kind = data.get("type") or data.get("transport") or ""
    if url and "httpUrl" in data:
        kind = "http"
    passed = {name: f"${{env:{name}}}" for name in _names(data.get(client.passes)) or ()}
    timeouts = client.timeouts_in(data)
    read = client.known | {one.way[0] for one in timeouts}
    known: dict[str, Any] = {
        "command": command if isinstance(command, str) else "",
        "args": tuple(map(_text, data.get("args") or ())) if isinstance(data.get("args"), list) else (),
        "env": {**passed, **_texts(data.get("env"))},
        "url": url,
        "headers": _headers(client, data),
        "type": kind if isinstance(kind, str) else "",
        "cwd": data.get("cwd") if isinstance(data.get("cwd"), str) else "",
        "env_file": next((data[key] for key in _ENV_FILES if isinstance(data.get(key), str)), ""),
        "disabled": data.get("disabled") is True or data.get("enabled") is False,
        "filters": tuple(key for key in FILTERS if data.get(key) and _names(data[key]) is None),
        "hidden": tuple(name for key in HIDING for name in _names(data.get(key)) or ()),
        "only": next((names for key in CHOOSING if (names := _names(data.get(key))) is not None), None),
        "timeouts": timeouts,
        "unread": tuple(str(key) for key in data if key not in read and data[key]),
    }
    problem = _stored(client, data, known) or _problem(data, known)
    return Entry(name=name, where=where, line=line, problem=problem, **known)


def _stored(client: KnownClient, data: dict[str, Any], known: dict[str, Any]) -> str:
    names = [name for name in _names(data.get(client.stores)) or () if name not in known["env"]]
    if not names:
        return ""
    return (
        f"takes {', '.join(names)} from a store of its client, which mcpguard cannot read: insert the value "
        "first"
    )


def _problem(data: dict[str, Any], known: dict[str, Any]) -> str:
    for key, form, words in _FORMS:
        if data.get(key) and not isinstance(data[key], form):
            return f"sets `{key}` to something other than {words}"
    if not known["command"] and not known["url"]:
        if data.get("source") == "extension" or "settings" in data:
            return "is started by an extension of its client: enter its command or URL there instead"
        return "has neither a command nor a URL"
    if any(data.get(key) and not isinstance(data[key], str) for key in _ENV_FILES):
        return "has several files of variables (envFile)"
    known_as = [data.get(key) for key in ("args", "env", "headers")]
    values = [value for one in known_as for value in (one.values() if isinstance(one, dict) else one or ())]
    if any(isinstance(one, (dict, list)) for one in values):
        return "has a list or a mapping where a string is expected"
    return ""


def _headers(client: KnownClient, data: dict[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for way in client.headers:
        headers.update(_texts(found_within(data, way)))
    # References are written as mcpguard writes them.
    headers.update({key: f"${{env:{name}}}" for key, name in _texts(data.get(client.env_headers)).items()})
    bearer = data.get(client.bearer) if client.bearer else None
    if isinstance(bearer, str):
        headers["Authorization"] = f"Bearer ${{env:{bearer}}}"
    token = data.get(client.key) if client.key else None
    return headers | ({"Authorization": f"Bearer {token}"} if token and isinstance(token, str) else {})


def _names(value: Any) -> tuple[str, ...] | None:
    """The names of tools in a list of texts; None for anything else."""
    usable = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return tuple(value) if usable else None


def _texts(value: Any) -> dict[str, str]:
    return {str(key): _text(one) for key, one in value.items()} if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
