"""mcpguard added to a client that has no server, or only others; by absolute paths, since a desktop has
another PATH than a terminal."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcpguard.config.loading import Config, config_option
from mcpguard.core.errors import CredentialError
from mcpguard.onboarding import configuration
from mcpguard.onboarding.changed import encoded
from mcpguard.onboarding.discovery.clients import CLIENTS, File, KnownClient
from mcpguard.onboarding.discovery.reading import (
    ClientFile,
    SearchPlaces,
    existing,
    parsed,
    paths_of,
    read,
    said,
)
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.edit import added, new_text, with_names
from mcpguard.onboarding.journal import AddedNames, Edit, MoveJournal
from mcpguard.onboarding.moves import PendingWrite, carry_out, client_writing, config_writing, needs_vault
from mcpguard.onboarding.vault import Vault, in_files


def launcher(config: Path) -> dict[str, Any]:
    """`command` and `args` of the entry that serves `config`."""
    command, before = _program()
    return {"command": command, "args": [*before, "run", "--config", str(config)]}


def as_administrator(words: list[str], environ: Mapping[str, str]) -> str:
    """The line for a shell that runs `mcpguard` with `words` as the administrator, with this user's files."""
    kept = [f"{name}={environ[name]}" for name in ("HOME", "XDG_CONFIG_HOME") if environ.get(name)]
    command, before = _program()
    return shlex.join(["sudo", "env", *kept, command, *before, *words])


def alias() -> str:
    """The line for a shell after which `mcpguard` is this one, "" where a program of that name is in PATH."""
    if shutil.which("mcpguard"):
        return ""
    command, before = _program()
    return f"alias mcpguard={shlex.quote(shlex.join([command, *before]))}"


def _program() -> tuple[str, list[str]]:
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "mcpguard")
    found = beside if os.access(beside, os.X_OK) else shutil.which("mcpguard")
    if found:
        return os.path.abspath(found), []
    # -P: in a project that has a `mcpguard` of its own, that one must not run.
    return os.path.abspath(sys.executable), ["-P", "-m", "mcpguard"]


def install(
    name: str, config: Config, servers: list[str], places: SearchPlaces, journal: MoveJournal, vault: Vault
) -> list[str]:
    """Add an entry that serves `config` to the user's file of the client `name`, which is to see `servers` of
    it besides those that it sees, and say what was done, line by line. The lock is held. Raises
    McpGuardError; then all is as it was."""
    client = next(one for one in CLIENTS if one.name == name)
    file, path = _where(client, places)
    entry = client.entry(launcher(config.path))
    shown, beside = _visibility_changes(config, name, servers), list[str]()
    if not path.exists():
        found = ClientFile(client=client, file=file, path=path, target=Path(os.path.realpath(path)))
        todo = client_writing(found, new_text(file, entry), [Edit([], entry)], [], new=True)
    else:
        found = read(client, file, path)
        if found.problem:
            raise MoveError(found.problem)
        if any(one.guarded for one in found.entries):
            return [f"{client.title} already has mcpguard, in {path}: nothing was done"]
        text, names = _allowed(found, added(found, entry), places)
        todo = client_writing(found, text, [Edit([], entry)], names)
        beside = _beside(found)
    try:
        if needs_vault([*shown, todo]):
            vault.ready()
    except CredentialError as error:
        raise CredentialError(f"{error}{in_files(vault, f'install {name}')}. Nothing was changed") from None
    carry_out(journal, vault, {}, [*shown, todo])
    done = f"done: {client.title} now starts mcpguard, through {path}."
    return [f"{done} Restart it; `mcpguard undo` reverts this.", *beside]


def _allowed(found: ClientFile, text: str, places: SearchPlaces) -> tuple[str, list[AddedNames]]:
    """`text`, in which mcpguard was added to `found`, with its name in the lists of what alone is started.
    Raises MoveError where a list of its client would keep it from being started."""
    now = parsed(found, encoded(found, text))
    name = next(one.name for one in now.entries if one.where not in [each.where for each in found.entries])
    for where, one, folder in said(existing(places, [found.client]), places):
        if folder is None and one.kind.means == "off" and one.bars(name):
            raise MoveError(
                f"{found.client.title} would not start {name}, since {one.way}{where.path} names it: "
                "correct that list; nothing was done"
            )
    names = [
        AddedNames(list(one.where), {one.kind.server[0].format(name): None})
        for one in now.lists
        if one.bars(name) and one.kind.means == "only"
    ]
    return with_names(now, names), names


def _beside(found: ClientFile) -> list[str]:
    """A note on the servers that the client still reaches without mcpguard; none where there are none."""
    names = [entry.name for entry in found.entries if not entry.disabled]
    if not names:
        return []
    move = f"`mcpguard import --client {found.client.name}` moves what is there"
    return [f"note: {found.client.title} still reaches {', '.join(names)} without mcpguard: {move}"]


def _visibility_changes(config: Config, name: str, servers: list[str]) -> list[PendingWrite]:
    """What lets the client see `servers`: a change of the configuration, or none."""
    unknown = [one for one in servers if one not in config.servers]
    if unknown:
        raise MoveError(f"{config.path} has no server {unknown[0]}; it has {', '.join(config.servers)}")
    if not servers:
        if config.clients and name not in config.clients:
            first = next(iter(config.servers))
            raise MoveError(
                f"{config.path}: `clients` does not name {name}: say what it sees, as in `mcpguard install "
                f"{name} --server {first}{config_option(config.path, os.environ)}`"
            )
        return []
    before = configuration.read(config.path)
    more = configuration.ConfigAddition(clients={name: {"servers": servers}})
    after = configuration.extended(before, str(config.path), more)
    return [] if after == before else [config_writing(config.path, before, after)]


def _where(client: KnownClient, places: SearchPlaces) -> tuple[File, Path]:
    """The file to write: the user's first one that is there, else the first that can be."""
    candidates = []
    for file in client.files:
        if file.scope == "user" and not (file.listed and "*" not in file.path):
            # A file of servers of its own, where a client reads a whole folder.
            plain = File(file.path.replace("*", "mcpguard"), file.scope)
            candidates += [(file, path) for path in paths_of(plain, places)]
    return next((one for one in candidates if one[1].exists()), candidates[0])
