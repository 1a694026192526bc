"""What clients offer, on this machine, to allow some servers only: the literal table. To add one: an entry in
`LOCKABLE`, or a sentence in `ELSEWHERE`.

`docs/guides/lock-a-client.md` says for each what it was checked against.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from mcpguard.onboarding.discovery.clients import CLIENTS, Format, KnownClient

Form = Literal["allowlist", "requirements", "settings"]

_ENVIRONMENT = (
    "it compares the command and its arguments, not the environment: an entry with the same command can "
    "still set variables that change what runs (`mcpguard doctor` reports such an entry)"
)
_SERVER = (
    "settings that an organization delivers from its servers or by device management go before this file"
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
        limits=(_ENVIRONMENT, _SERVER, "the server that its VS Code extension brings along stays"),
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
        limits=(
            _ENVIRONMENT,
            _SERVER,
            "a Codex from before July 2026 does not know arguments in this file",
        ),
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
    """The file that locks `client`, None where there is none."""
    return next((one for one in LOCKABLE if client in one.clients), None)


class System(Struct, frozen=True):
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
