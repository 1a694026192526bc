"""What clients offer, on this machine, to allow some servers only, and what a lock is to allow: the entries
that start mcpguard in the files of a client, of the user and of the projects that the configuration names. To
add a client: an entry in `LOCKABLE`, or a sentence in `ELSEWHERE`.

`docs/guides/lock-a-client.md` says for each what it was checked against.

Law of this file: only an entry that positively starts an installed mcpguard, by its full path, is allowed; in
a file of a project, which others write, only one that serves a configuration of the user.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.config.loading import Config
from mcpguard.config.servers import project_folder
from mcpguard.onboarding.discovery.clients import CLIENTS, PROJECT, Format, KnownClient
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.ourselves import arguments_of, starts_mcpguard
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces, existing

Form = Literal["allowlist", "requirements", "settings"]

_ENVIRONMENT = (
    "it compares the command and its arguments, not the environment: an entry with the same command can "
    "still set variables that change what runs (`mcpguard doctor` reports such an entry)"
)
_SERVER = (
    "settings that an organization delivers from its servers or by device management take precedence over "
    "this file"
)


class Lockable(Struct, frozen=True, kw_only=True):
    """A file of the system that one or several clients obey: from the root of the system, on Linux and macOS.

    `form` is how it lists servers. `also` are keys at its top that make the list binding. `limits` are
    sentences on what it does not lock.
    """

    title: str
    clients: tuple[str, ...]
    linux: str
    macos: str
    form: Form
    also: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def format(self) -> Format:
        """In which language it is written."""
        return "toml" if self.form == "requirements" else "jsonc"

    def known(self) -> Iterator[KnownClient]:
        """The clients that obey it, as far as they are known."""
        return (one for one in CLIENTS if one.name in self.clients)


LOCKABLE: tuple[Lockable, ...] = (
    Lockable(
        title="Claude Code",
        clients=("claude-code",),
        linux="etc/claude-code/managed-settings.json",
        macos="Library/Application Support/ClaudeCode/managed-settings.json",
        form="allowlist",
        also=("allowManagedMcpServersOnly",),
        limits=(_ENVIRONMENT, _SERVER, "the server that comes with its VS Code extension stays"),
    ),
    Lockable(
        title="VS Code and GitHub Copilot CLI",
        clients=("vscode", "vscode-insiders", "copilot-cli"),
        linux="etc/github-copilot/managed-settings.json",
        macos="Library/Application Support/GitHubCopilot/managed-settings.json",
        form="allowlist",
        limits=(
            _ENVIRONMENT,
            _SERVER,
            "the GitHub server that is built into Copilot stays",
            "VS Code before 1.130 does not read this list, and a chat that it hands to Copilot's own agent "
            "may not obey it",
            "other programs that read this file, such as Copilot for JetBrains, are locked as well",
        ),
    ),
    Lockable(
        title="Codex",
        clients=("codex",),
        linux="etc/codex/requirements.toml",
        macos="etc/codex/requirements.toml",
        form="requirements",
        limits=(_ENVIRONMENT, _SERVER, "a Codex from before July 2026 does not know arguments in this file"),
    ),
    Lockable(
        title="Gemini CLI",
        clients=("gemini",),
        linux="etc/gemini-cli/settings.json",
        macos="Library/Application Support/GeminiCli/settings.json",
        form="settings",
        limits=(
            "whoever starts it with `--allowed-mcp-server-names` or with the variable "
            "GEMINI_CLI_SYSTEM_SETTINGS_PATH bypasses the lock",
            "the entry is the same for every user of this machine",
        ),
    ),
)
"""Every file that locks a client. One file may lock several: then the entries of all of them are allowed."""

_AWS = "its list of allowed servers is set in the AWS console of an organization, not on this machine"
_DASHBOARD = "its list of allowed servers is set in the dashboard of a team, not on this machine"

ELSEWHERE: dict[str, str] = {
    "amazon-q": _AWS,
    "amp": "its list of allowed servers is in its managed settings, which mcpguard does not write",
    "claude-desktop": "on this machine it can only turn local servers off altogether, by device management",
    "cline": "its list of allowed servers is part of an organization's remote configuration",
    "cursor": _DASHBOARD,
    "goose": "its list is at an address that a variable names, which whoever starts it can set",
    "kiro": _AWS,
    "qwen": "its system settings list names only, and options of its command line bypass them",
    "windsurf": _DASHBOARD,
}
"""Client -> where its list is, of those that have one somewhere else."""

NOTHING = "it has no list of allowed servers that could be set on this machine"


def lockable(client: str) -> Lockable | None:
    """The file that locks `client`, or None."""
    return next((one for one in LOCKABLE if client in one.clients), None)


class SystemFolders(Struct, frozen=True):
    """Where files of the system are: below `root`, as on `platform`."""

    root: Path
    platform: str

    def file(self, one: Lockable) -> Path:
        return self.root / (one.macos if self.platform == "darwin" else one.linux)

    @property
    def records(self) -> Path:
        """The folder in which it is noted what a lock has changed."""
        # Not below /var/lib/mcpguard: systemd gives that to the user that the service runs as.
        darwin = self.platform == "darwin"
        return self.root / (
            "Library/Application Support/mcpguard/locks" if darwin else "var/lib/mcpguard-locks"
        )


_REFERENCE = re.compile(r"\$\{?\w+\}?|\$\{env:\w+\}")


_SAID = {"--config", "--agent", PROJECT}


class AllowedEntry(Struct, frozen=True, order=True):
    """An entry of mcpguard in a file of `client`. `command` is the program with its arguments; `project` is
    its folder, "" for the user's. `env` are variables that it passes on, by reference."""

    client: str
    name: str
    command: tuple[str, ...]
    project: str = ""
    env: tuple[tuple[str, str], ...] = ()


class LockSurvey(NamedTuple):
    """What the files of a client have: entries that a lock allows, those of mcpguard that it cannot allow,
    each with the reason, and servers without mcpguard, which it ends. `unread` are sentences on files."""

    allowed: list[AllowedEntry]
    left: list[str]
    ended: list[str]
    unread: list[str]


def look(
    one: Lockable, places: SearchPlaces, projects: Iterable[Path], config: Path | None = None
) -> LockSurvey:
    """What the clients of `one` have in the files of the user, of `places.project` and of `projects`;
    `config` is the configuration of the user, beside those that their own files name."""
    found = LockSurvey([], [], [], [])
    files = list(_files(one, places, projects))
    mine = {served(entry) for file in files if file.file.scope == "user" for entry in file.entries}
    mine = {*mine, "" if config is None else str(config.absolute())} - {""}
    for file in files:
        if file.problem:
            found.unread.append(file.problem)
        others_write = file.file.scope == "project"
        for entry in [each for each in file.entries if not each.disabled]:
            if others_write and entry.guarded and served(entry) not in mine:
                where = f"{entry.name} in {file.path}"
                found.left.append(f"{where} does not serve your configuration, and others write that file")
            else:
                _sort(one, file, entry, found)
    return LockSurvey(sorted(set(found.allowed)), *(list(dict.fromkeys(part)) for part in found[1:]))


def served(entry: Entry) -> str:
    """The configuration that `entry` serves; "" where it is not `mcpguard run` with nothing but `--config`,
    `--agent` and `--project`."""
    words = arguments_of(entry.command, entry.args) if entry.guarded else []
    named = dict(zip(words[1::2], words[2::2], strict=False))
    plainly = words[:1] == ["run"] and len(words) == 1 + 2 * len(named) and named.keys() <= _SAID
    return named.get("--config", "") if plainly else ""


def _files(one: Lockable, places: SearchPlaces, projects: Iterable[Path]) -> Iterator[ClientFile]:
    seen: set[Path] = set()
    for project in (places.project, *projects):
        for file in existing(replace(places, project=project), list(one.known())):
            if file.path not in seen:
                seen.add(file.path)
                yield file


def _sort(one: Lockable, file: ClientFile, entry: Entry, found: LockSurvey) -> None:
    where = f"{entry.name} in {file.path}"
    if not entry.guarded:
        found.ended.append(where)
        return
    # The folder that `mcpguard run` is given with `--project`, "" for none.
    words = list(entry.args)
    project = words[words.index(PROJECT) + 1] if PROJECT in words[:-1] else ""
    secret = [name for name, value in entry.env.items() if not _REFERENCE.fullmatch(value)]
    if not os.path.isabs(entry.command):
        found.left.append(f"{where} starts mcpguard by a name that PATH decides: give its full path")
    elif one.form == "settings" and project:
        found.left.append(
            f"{where} is for the project {project} alone: {one.title} starts what its lock names everywhere"
        )
    elif one.form == "settings" and secret:
        found.left.append(f"{where} sets {', '.join(secret)}, which every user here could then read")
    elif one.form != "allowlist" and any(
        each.name == entry.name and each.project != project for each in found.allowed
    ):
        found.left.append(
            f"{where} has the same name as another entry, and {one.title} keeps one entry for each name: "
            "rename it"
        )
    else:
        env = tuple(entry.env.items()) if one.form == "settings" else ()
        found.allowed.append(
            AllowedEntry(file.client.name, entry.name, (entry.command, *entry.args), project, env)
        )


def projects_in(config: Config | None, one: Lockable) -> list[Path]:
    """The folders of projects that `config` names for the clients of `one`."""
    views = {} if config is None else config.clients
    return [
        Path(project_folder(path)) for name in one.clients if name in views for path in views[name].projects
    ]


def runs_mcpguard(command: list[str]) -> bool:
    """Whether these words serve an installed mcpguard, and nothing that they name themselves."""
    if not command or arguments_of(command[0], command[1:])[:1] != ["run"]:
        return False
    return starts_mcpguard(command[0], command[1:], {})


def titles(every: Iterable[AllowedEntry]) -> str:
    """How people call the clients that have these entries."""
    names = {one.client for one in every}
    return " and ".join(client.title for client in CLIENTS if client.name in names)
