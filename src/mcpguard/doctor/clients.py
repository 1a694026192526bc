"""The clients of this user and this folder: servers past mcpguard, credentials in plain text, old copies, and
the locks that keep a client from starting anything else.

The files are read by `onboarding/discovery/reading.py`, as `mcpguard import` reads them.

Law of this file: names and bounds decide which copies are looked at, and no history of an editor leads out of
its own folder.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from shlex import quote
from typing import TypedDict
from urllib.parse import unquote, urlsplit

from msgspec import DecodeError, Struct
from msgspec.json import decode

from mcpguard.adapters.credentials.keychain import keeps_nothing
from mcpguard.authoring.findings import Finding, Unchecked
from mcpguard.config.loading import Server
from mcpguard.core.errors import ConfigError, InspectionError
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.permissions import open_to_readers, open_to_writers
from mcpguard.doctor.plain_text import in_plain_text, secrets_in
from mcpguard.doctor.surroundings import CheckSubject, MachineSurroundings, text_of
from mcpguard.onboarding import disk
from mcpguard.onboarding.conversion import convert
from mcpguard.onboarding.discovery import reading
from mcpguard.onboarding.discovery.clients import CLIENTS, File, KnownClient
from mcpguard.onboarding.discovery.entry import Entry, NotMoved
from mcpguard.onboarding.discovery.ourselves import PROJECT, fetched
from mcpguard.onboarding.formats import Unreadable
from mcpguard.onboarding.installing import as_administrator
from mcpguard.onboarding.locks import lockable
from mcpguard.onboarding.locks.forms import is_locked, more, refused, says

_GONE = "delete it there, and replace it at its issuer"
_OURS = "store it with `mcpguard secret set NAME`, refer to it as ${keyring:NAME}, and delete it there"


def check(subject: CheckSubject) -> Iterator[Checked]:
    """D101, D104, D201 to D203, D208; D501 and D502 for these files."""
    places = subject.at.places
    if places is None:
        yield Unchecked("the clients of this user", "there is no home folder: set HOME")
        return
    known = _known(places)
    off = _switched_off(places)
    for path, kind in known.items():
        for copy in copies_of(path):
            yield from _copy(subject, *kind, path, copy)
        if os.path.lexists(path):
            yield from _file(subject, *kind, path, off)
    for path, copy in in_history(places.config, known):
        yield from _copy(subject, *known[path], path, copy)
    yield from open_to_writers("D501", known, subject.at)


def _known(places: reading.SearchPlaces) -> dict[Path, tuple[KnownClient, File]]:
    """Where a client's file is or would be."""
    return {
        path: (client, file)
        for client in CLIENTS
        for file in client.files
        for path in reading.paths_of(file, places)
    }


def _switched_off(places: reading.SearchPlaces) -> set[tuple[Path, str]]:
    """The servers that are disabled, also by a list of their client: each with its file."""
    try:
        founds = list(reading.existing(places))
    except (OSError, RuntimeError):
        return set()  # The files are reported one by one.
    return {(found.path, entry.name) for found in founds for entry in found.entries if entry.disabled}


def configuration_in_use(at: MachineSurroundings) -> Path | None:
    """The first file that an entry of mcpguard of this user names with `--config`, None where none does."""
    places = at.places
    try:
        known = {} if places is None else _known(places)
    except OSError:
        return None  # The check of clients reports that.
    for path, kind in known.items():
        if kind[1].scope == "project":
            continue  # Others write these, and would say what is looked at.
        try:
            entries = reading.read(*kind, path).entries
        except (OSError, RuntimeError):
            continue
        for entry in entries:
            named = [one for word, one in pairwise(entry.args) if word == "--config" and os.path.isabs(one)]
            if entry.guarded and not entry.disabled and named:
                return Path(named[0])
    return None


def variables_given(at: MachineSurroundings) -> frozenset[str]:
    """The environment variables that a client sets where it starts mcpguard."""
    places, names = at.places, set[str]()
    for path, kind in ({} if places is None else _known(places)).items():
        with suppress(OSError, RuntimeError):
            entries = reading.read(*kind, path).entries
            names.update(name for one in entries if one.guarded and not one.disabled for name in one.env)
    return frozenset(names)


def _file(
    subject: CheckSubject, client: KnownClient, file: File, path: Path, off: Collection[tuple[Path, str]]
) -> Iterator[Checked]:
    try:
        read = reading.read(client, file, path)
    except (OSError, RuntimeError) as error:
        yield Unchecked(
            str(path), getattr(error, "strerror", None) or "a symbolic link that points to itself"
        )
        return
    if read.problem:
        yield Unchecked(str(path), read.problem.removeprefix(f"{path}: "))
    plain: list[Checked] = []
    rest = read.text
    for entry in read.entries:
        for said, value in in_plain_text(entry, subject.redactor):
            message = f"the server {entry.name} has it in {said}"
            remedy = _remedy(subject, read, entry)
            plain.append(found("D101", path, message, entry.line, **remedy, subject=entry.name))
            rest = rest.replace(value, "")
        if not entry.guarded and not entry.disabled and (path, entry.name) not in off:
            yield _bypass(subject, read, entry)
        elif not entry.disabled and file.scope == "project" and _is_of_others(subject, entry):
            said = f"{client.title} starts mcpguard as {entry.name}, which does not serve your configuration"
            fix = f"delete this entry, and run `mcpguard install {client.name}`"
            yield found("D203", path, said, entry.line, fix, subject=entry.name)
        elif not entry.disabled and (reason := _refusal(subject, entry)):
            yield found("D208", path, reason, entry.line, subject=entry.name)
    plain += _elsewhere(subject, path, rest)
    yield from plain
    if plain:
        yield from open_to_readers(path, subject.at)


def _is_of_others(subject: CheckSubject, entry: Entry) -> bool:
    """Whether an entry of mcpguard in a file of the project serves what is not the user's: those who write
    that file then decide what it starts, and what is allowed."""
    return subject.config is not None and lockable.served(entry) != str(subject.config.path)


def _refusal(subject: CheckSubject, entry: Entry) -> str:
    """Why mcpguard, as `entry` starts it, would refuse the client; "" where it would not."""
    config, named = subject.config, dict(pairwise(entry.args))
    if config is None or named.get("--config") != str(config.path):
        return ""
    try:
        config.view(named.get("--agent"), named.get("--project"))
    except ConfigError as refused:
        return refused.problems[0].message
    return ""


def _elsewhere(subject: CheckSubject, path: Path, text: str) -> Iterator[Checked]:
    """Tokens in comments, in histories and in settings that are not a server's."""
    try:
        places = secrets_in(text, subject.redactor, by_name=False)
    except InspectionError:
        yield Unchecked(str(path), "it contains too much that looks like a credential")
        return
    for line, kind in places:
        yield found(
            "D101", path, f"looks like a credential, outside the servers' entries: {kind}", line, _GONE
        )


class _Remedy(TypedDict, total=False):
    run: str
    fix: str


def _remedy(subject: CheckSubject, seen: reading.ClientFile, entry: Entry) -> _Remedy:
    """The command that moves `entry` behind mcpguard, or why none does."""
    if entry.guarded:
        return {"fix": _OURS}
    if reason := _stays(subject, seen, entry):
        return {"fix": reason}
    to = " --to file" if keeps_nothing() else ""
    command = f"mcpguard import --client {seen.client.name}{to}{subject.option}"
    if seen.file.scope == "project":
        command = f"cd {quote(str(subject.at.project))} && {command}"
    return {"run": command}


def _stays(subject: CheckSubject, seen: reading.ClientFile, entry: Entry) -> str:
    """Why `mcpguard import` would leave `entry` where it is, and what to do; "" where it would not."""
    places = subject.at.places
    if places is None:
        return ""
    try:
        disk.refuse_irreplaceable(seen.target)
        convert(seen, entry, places, subject.at.environ)
    except NotMoved as reason:
        return f"`mcpguard import` leaves it alone, since it {reason}"
    except disk.MoveError as reason:
        return str(reason)
    return ""


def _bypass(subject: CheckSubject, seen: reading.ClientFile, entry: Entry) -> Finding:
    client, path = seen.client, seen.path
    if entry.claims:
        said = f"{client.title} starts something as {entry.name} that is not an installed mcpguard"
        said += _project(entry)
        fix = f"delete this entry, and run `mcpguard install {client.name}`"
        return found("D203", path, said, entry.line, fix, subject=entry.name)
    remedy = _remedy(subject, seen, entry)
    servers = () if subject.config is None else subject.config.servers.values()
    for server in servers:
        if _is_same(server, entry):
            said = f"{client.title} reaches {entry.name}, which is guarded as {server.name}"
            return found("D202", path, said, entry.line, **remedy, subject=entry.name)
    said = f"{client.title} connects to {entry.name} directly"
    return found("D201", path, said, entry.line, **remedy, subject=entry.name)


def _project(entry: Entry) -> str:
    """What is to be said of the program of `entry`, or of the package that a launcher fetches for it."""
    if os.path.isabs(entry.command) and not os.path.exists(entry.command):
        return f": {entry.command} does not exist, so the client has no tools of it (was mcpguard moved?)"
    package = fetched(entry.command, entry.args)
    if not package:
        return ""
    if package == f"{PROJECT} of PyPI":
        return f": a launcher fetches {package} at each start, in whatever version there is"
    return f": a launcher fetches {package}, which is another project; this one is {PROJECT} of PyPI"


def _is_same(server: Server, entry: Entry) -> bool:
    if server.url is not None:
        return bool(entry.url) and _address(entry.url) == _address("".join(server.url.texts))
    if not entry.command or entry.url:
        return False
    same = os.path.basename(server.command) == os.path.basename(entry.command)
    return same and server.args == entry.args


def _address(url: str) -> str:
    return url.partition("?")[0].partition("#")[0].rstrip("/").lower()


def _copy(
    subject: CheckSubject, client: KnownClient, file: File, path: Path, copy: Path
) -> Iterator[Checked]:
    lines: dict[int, str] = {}
    try:
        for entry in reading.read(client, file, copy).entries:
            for said, _ in in_plain_text(entry, subject.redactor):
                lines.setdefault(entry.line, f"{entry.name}: {said}")
        text = text_of(copy)
        if isinstance(text, str) and not lines:
            lines = dict(secrets_in(text, subject.redactor, by_name=False))
    except (OSError, RuntimeError, InspectionError):
        yield Unchecked(str(copy), "it cannot be read")
        return
    for line, said in lines.items():
        run = f"rm {quote(os.fspath(copy))}"
        yield found("D104", copy, f"an old copy of {path.name}: {said}", line, run=run)


NAMES_LIMIT = 5000
"""How many names of a folder are looked at."""

EDITORS = ("Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf")
"""Folders below that of settings in which editors of one family keep their history."""

_MARKS = ("bak", "backup", "old", "orig", "copy", "save", "before", "~")
_ELSEWHERE = {".claude.json": Path(".claude/backups")}


def copies_of(path: Path) -> list[Path]:
    """Copies that editors, installers and people leave, by their names."""
    folders = [path.parent]
    if path.name in _ELSEWHERE:
        folders.append(path.parent / _ELSEWHERE[path.name])
    return [folder / name for folder in folders for name in _files(folder) if _is_copy(name, path)]


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as names:
            return sorted(one.name for one in islice(names, NAMES_LIMIT) if one.is_file())
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
                names = [one.name for one in islice(found, NAMES_LIMIT)]
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


def check_locks(subject: CheckSubject) -> Iterator[Checked]:
    """D204, D205 and D206, for clients that have mcpguard."""
    places = subject.at.places
    if places is None:
        return  # The check of clients reports that.
    for one in lockable.LOCKABLE:
        mine = None if subject.config is None else subject.config.path
        seen = lockable.look(one, places, lockable.projects_in(subject.config, one), mine)
        if seen.allowed:
            yield from _lock(subject, one, seen)


def _lock(subject: CheckSubject, one: lockable.Lockable, seen: lockable.LockSurvey) -> Iterator[Checked]:
    path = lockable.SystemFolders(subject.at.system, subject.at.platform).file(one)
    text = text_of(path)
    if isinstance(text, Unchecked):
        yield text
        return
    try:
        there = says(text or "", one.format, str(path))
    except Unreadable as error:
        yield Unchecked(str(path), str(error).removeprefix(f"{path}: "))
        return
    name = seen.allowed[0].client
    if not is_locked(one, there):
        said = f"{lockable.titles(seen.allowed)} could start servers without mcpguard"
        yield found(
            "D204",
            path,
            said,
            fix=f"lock it: `mcpguard lock {name}` (`--print` only shows the file)",
            subject=name,
        )
        return
    words = ["lock", name, *(["--config", str(subject.path)] if subject.option else [])]
    for each in refused(one, seen.allowed, there):
        said = f"it does not allow {each.name}: {' '.join(each.command)}"
        yield found("D205", path, said, run=_line(subject, words), subject=name)
    for rest in more(one, there):
        run = _line(subject, [*words, "--replace"])
        yield found("D206", path, f"it also allows {rest}", run=run, subject=name)


def _line(subject: CheckSubject, words: list[str]) -> str:
    environ = {"HOME": os.fspath(subject.at.home or ""), **subject.at.environ}
    return as_administrator(words, environ)
