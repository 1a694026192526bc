"""The policies that the servers of an import get: a pack with values for its params, or the built-in one, and
what clients had switched off. Values come from what is on this machine: folders, remotes of git, tables of a
file.

Law of this file: what it gives is never wider than what the server's client had. It reads files and starts
nothing, and takes only what says that the person works with it: a clone alone names a stranger.
"""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from mcpguard.adapters.system.files import read_regular
from mcpguard.adapters.system.shipped import SECRET_COLUMN, declared_for, pack_for, version_of
from mcpguard.adapters.system.terminal import plain
from mcpguard.config.policies import read_document
from mcpguard.core.document.reading import read
from mcpguard.core.errors import PolicyError
from mcpguard.core.functions.function import FunctionError
from mcpguard.core.policy.compiled import compile_policy
from mcpguard.core.policy.terms import ParamType, as_tuple
from mcpguard.core.policy.written import Policy
from mcpguard.onboarding import configuration
from mcpguard.onboarding.configuration import ParamValue
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.programs import known, own_arguments
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.edit import numbered
from mcpguard.onboarding.formats.yaml_text import scalar

Values = dict[str, list[str]]
Params = dict[str, ParamValue]
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


class MachineFacts(Struct, frozen=True):
    """What the machine says: `projects` are folders that clients know as such, and the one in which the
    command runs; `folders` are those that servers are given; `config` is the user's folder of settings."""

    projects: tuple[str, ...]
    folders: tuple[str, ...]
    config: Path


def machine(founds: Iterable[ClientFile], places: SearchPlaces) -> MachineFacts:
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
    return MachineFacts(tuple(projects), tuple(folders), places.config)


def values_for(pack: str, entry: Entry, project: Path | None, around: MachineFacts) -> Values:
    """What the params of `pack` are for the server `entry`, which belongs to `project`, if to any. A param
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


def _repositories(project: Path | None, around: MachineFacts) -> list[str]:
    """The repositories that a server without a fixed one is used with."""
    known = [str(project)] if project else [*around.projects, *around.folders]
    return _texts(one for one in known if os.path.isdir(os.path.join(one, ".git")))


def _owners(around: MachineFacts) -> Iterator[str]:
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


def _candidates(around: MachineFacts) -> Iterator[str]:
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
    whole = [one for one in tables if not any(map(SECRET_COLUMN.search, _columns(database, one)))]
    return {"tables": list(kinds), "whole": whole}


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in database.execute(f'PRAGMA table_info("{table}")')]


_POLICY = re.compile(r"(?m)^policy: *([\w.-]+)")

DECLARED = (
    "tools that declare themselves read-only pass, you are asked about others: write a policy to change that"
)


class ChosenPolicy(Struct, frozen=True):
    """The policy of a server: its text, a sentence on what it is, values for its params, and those params for
    which there is nothing, each with what it is."""

    text: str
    said: str
    params: Params = {}
    unset: dict[str, str] = {}


def pack_of(entry: Entry) -> str:
    """The policy for what `entry` starts, such as `git/careful.yaml`; "" for none."""
    program = known(entry)
    return program.policy if program else ""


def policy_for(name: str, entry: Entry, values: Mapping[str, list[str]]) -> ChosenPolicy:
    """The policy for the server `name`; `values` are those that are known for its params. A list of names for
    which nothing is known is empty, so that its rule says what is missing."""
    policy = pack_of(entry)
    text = pack_for(policy, name) if policy else None
    if text is None:
        return ChosenPolicy(declared_for(name), DECLARED)
    pack, _, posture = policy.removesuffix(".yaml").partition("/")
    said = f"the pack {pack}, {posture}" if posture else f"the policy {pack}"
    declared = read(text, policy, Policy).params
    params = {one: _as_taken(about.type, values[one]) for one, about in declared.items() if one in values}
    open_ = {one: about for one, about in declared.items() if not (params.get(one) or about.is_set)}
    for one, about in open_.items():
        if about.type in ("strings", "folders") and one != "folders":
            params.setdefault(one, [])
    unset = {} if pack == "fetch" else {one: about.description for one, about in open_.items()}
    return ChosenPolicy(text, said, params, unset)


def present_params(config: Path, wanted: Mapping[tuple[str, str], list[str]]) -> dict[str, Params]:
    """For each policy file of the configuration at `config` the `wanted` values, by server and param, that
    are for it. Raises MoveError for one that no policy takes, or with which its policy is not loaded."""
    found: dict[str, Params] = {}
    written = list(_named_in(config)) if wanted else []
    for (server, name), values in wanted.items():
        takes = (one for one in written if _takes(one[2], one[0], server, name))
        file, params, text = next(takes, ("", {}, ""))
        if not file:
            raise MoveError(f"no policy for a server named {server} has a param {name}; nothing was done")
        value = _as_taken(read(text, file, Policy).params[name].type, values)
        found.setdefault(file, {})[name] = value
        params[name] = _together(params.get(name), value)
        if refusal := refusal_of(text, params):
            said = ", ".join(values)[:300]
            raise MoveError(f"{plain(said)} is not a value for {server}.{name}: {refusal}; nothing was done")
    return found


def _as_taken(kind: ParamType, values: list[str]) -> ParamValue:
    """`values` as a param of this type takes them: of a mapping each is NAME.ITEM."""
    if kind != "map" or not all("." in one for one in values):
        return values
    found: dict[str, list[str]] = {}
    for one in values:
        name, _, item = one.rpartition(".")
        found.setdefault(name, []).append(item)
    return found


def _together(there: Any, more: ParamValue) -> Any:
    if isinstance(more, dict):
        known = there if isinstance(there, dict) else {}
        return {**known, **{name: _together(known.get(name), items) for name, items in more.items()}}
    return [*(there or ()), *more]


def _takes(text: str, file: str, server: str, param: str) -> bool:
    policy = read(text, file, Policy)
    return param in policy.params and any(server in as_tuple(rule.server) for rule in policy.rules)


def _named_in(config: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(name, params, text) of each policy of the configuration at `config`."""
    text = configuration.read(config)
    for one in configuration.checked(text, str(config)).policies if text.strip() else ():
        file, params = (one, {}) if isinstance(one, str) else (one.file, one.params)
        yield file, dict(params), read_document(config.parent / Path(file).expanduser(), PolicyError)


class NewerPolicy(Struct, frozen=True):
    """A policy that is a pack of an earlier version, and what the pack `name` is in this one. `refusal` says
    why that would not be loaded, "" where it would."""

    path: Path
    name: str
    before: str
    after: str
    refusal: str


def newer_policies(config: Path) -> Iterator[NewerPolicy]:
    """For the policies of the configuration at `config` that nobody has changed. Raises PolicyError."""
    for file, params, text in _named_in(config):
        found = version_of(text)
        if found is not None and not found.is_newest:
            path = (config.parent / Path(file).expanduser()).resolve()
            yield NewerPolicy(path, found.name, text, found.newest, refusal_of(found.newest, params))


class PolicyFiles:
    """The files of policies that an import writes, beside those that the configuration has."""

    def __init__(self, config: Path, there: Iterable[str]) -> None:
        """`there` are the policies that the configuration at `config` names."""
        self.texts: dict[Path, str] = {}
        """What is to be in each of them; some are there already."""
        self._folder = config.parent / "policies"
        self._named: dict[str, str] = {}
        for file in there:
            with suppress(PolicyError):
                self._know(read_document(config.parent / Path(file).expanduser(), PolicyError))

    def _know(self, text: str) -> None:
        found = _POLICY.search(text)
        if found:
            self._named[found[1]] = text

    def is_named_as_another(self, text: str) -> bool:
        """Whether there is another policy of this name, with which it could not be loaded."""
        found = _POLICY.search(text)
        return found is not None and self._named.get(found[1], text) != text

    def add(self, name: str, make: Callable[[str], str]) -> Path:
        """The file for the policy that `make` gives for the name of a file: `name`, or what is next to it."""
        stem = next(one for one in numbered(name) if self._has_room(self._path(one), make(one)))
        self.texts[self._path(stem)] = make(stem)
        self._know(make(stem))
        return self._path(stem)

    def _path(self, stem: str) -> Path:
        return self._folder / f"{stem}.yaml"

    def _has_room(self, path: Path, text: str) -> bool:
        if self.is_named_as_another(text):
            return False
        if path in self.texts:
            return self.texts[path] == text
        return not path.exists() or path.read_bytes() == text.encode()


def refusal_of(text: str, params: Params) -> str:
    """Why the policy `text` would not be loaded with these values, "" where it would. What a project's file
    says must not stop mcpguard from starting for everybody."""
    from mcpguard.core.redaction.redactor import OPT_IN

    try:
        compile_policy(text, "policy", OPT_IN, None, params)
    except PolicyError as error:
        return error.problems[0].message
    return ""


def expect_params(
    server: str, wanted: Iterable[tuple[tuple[str, str], list[str]]], has: Collection[str]
) -> None:
    """Raises MoveError where one of the `wanted` values is for a param of `server` that its policy lacks."""
    for (name, param), _ in wanted:
        if name == server and param not in has:
            those = ", ".join(sorted(has)) or "none"
            raise MoveError(f"no param {param} for {name}, whose policy has {those}; nothing was done")


class HiddenTools(Struct, frozen=True):
    """The tools of a server that the client `agent` does not show: those in `names`, and where `only` is
    something, all others."""

    agent: str
    names: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    @property
    def any(self) -> bool:
        return bool(self.names) or self.only is not None

    def hides(self, tool: str) -> bool:
        return tool in self.names or (self.only is not None and tool not in self.only)


_OFF = "This tool was switched off in the client before mcpguard was put in front of it."


def hidden_policy(server: str, hidden: list[HiddenTools], policy: str) -> str:
    """The text of the policy `policy`, which still hides these tools."""
    rules = []
    for number, one in enumerate(hidden, 1):
        for kind, when in _conditions(one):
            condition = scalar(f"client.agent == {json.dumps(one.agent)} && {when}")
            rules.append(
                f"  - id: {kind}-{number}\n    effect: deny\n    server: {server}\n    when: {condition}\n"
                f"    message: {_OFF}\n"
            )
    return (
        "# What clients had switched off when their servers moved behind mcpguard.\n"
        f"version: 1\npolicy: {policy}\nowner: mcpguard import\nrules:\n" + "\n".join(rules)
    )


def _conditions(hidden: HiddenTools) -> list[tuple[str, str]]:
    found = []
    if hidden.names:
        found.append(("switched-off", f"tool.name in {_listed(hidden.names)}"))
    if hidden.only is not None:
        found.append(("not-chosen", f"!(tool.name in {_listed(hidden.only)})"))
    return found


def _listed(names: tuple[str, ...]) -> str:
    """`names` in CEL, which knows what JSON escapes but no half of a character."""
    return json.dumps(names, ensure_ascii=False)
