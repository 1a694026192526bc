"""The clients whose configurations can be read and rewritten. To add one: an entry in `CLIENTS`.

`docs/guides/import.md` says for each path whether its vendor's documentation was read for it.
"""

from typing import Any, Literal

from msgspec import Struct

PROJECT = "--project"
"""The option of `mcpguard run` that names the folder of a project."""

Format = Literal["jsonc", "toml", "yaml"]


class File(Struct, frozen=True):
    """A file that a client may have.

    `path` begins with `~/` (the user's folder), `{config}/` (`$XDG_CONFIG_HOME` or `~/.config` on Linux,
    `~/Library/Application Support` on macOS) or `./` (the project); it may end with a `*` name. `tables` are
    the ways to what holds the servers; `*` in one stands for every key. `listed`: the servers are a list of
    entries with a `name`.
    """

    path: str
    scope: Literal["user", "project"]
    tables: tuple[tuple[str, ...], ...] = (("mcpServers",),)
    format: Format = "jsonc"
    listed: bool = False


class KnownClient(Struct, frozen=True):
    """A client: what it is called on the command line and by people, its files, and the keys of an entry.

    `urls` are the keys that a URL can have, `headers` the ways to headers. `env_headers` and `bearer` name
    variables that hold a header's value, and a bearer token. `style` is how the client writes references to
    variables: "braced" `${env:X}`, "plain" `${X}`, "shell" `$X` and `${X}`, "" not at all. `passes` is the
    key of an entry that lists variables which the client passes on. `added` stands in the entry of mcpguard
    besides `command` and `args`.
    """

    name: str
    title: str
    files: tuple[File, ...]
    urls: tuple[str, ...] = ("url",)
    headers: tuple[tuple[str, ...], ...] = (("headers",),)
    env_headers: str = ""
    bearer: str = ""
    passes: str = ""
    style: Literal["", "braced", "plain", "shell"] = ""
    added: dict[str, str] = {}

    def entry(self, launcher: dict[str, Any], project: str = "") -> dict[str, Any]:
        """The entry of mcpguard in a file of this client, made of `launcher`, its `command` and `args`, for
        the servers of `project` or, without one, of the user. Each client is an agent of its own, so that
        what one has read does not stop the others."""
        args = [*launcher["args"], "--agent", self.name, *([PROJECT, project] if project else [])]
        return {**self.added, **launcher, "args": args}

    @property
    def known(self) -> set[str]:
        """The keys of an entry that are read."""
        ways = (*self.urls, *(way[0] for way in self.headers), self.env_headers, self.bearer, self.passes)
        return {*_KNOWN.split(), *FILTERS, *ways}


HIDING = ("disabledTools", "excludeTools", "disabled_tools")
"""Keys of an entry with the tools that the client does not show."""

CHOOSING = ("includeTools", "enabled_tools")
"""Keys of an entry with the only tools that the client shows."""

FILTERS = (*HIDING, *CHOOSING)

_KNOWN = "name command path args env type transport cwd disabled enabled envFile env_file"
_MCP = ("mcpServers",)

CLIENTS: tuple[KnownClient, ...] = (
    KnownClient(
        "claude-desktop",
        "Claude Desktop",
        files=(File("{config}/Claude/claude_desktop_config.json", "user"),),
    ),
    KnownClient(
        "claude-code",
        "Claude Code",
        files=(
            File("~/.claude.json", "user", tables=(_MCP, ("projects", "*", "mcpServers"))),
            File("./.mcp.json", "project"),
        ),
        style="plain",
        added={"type": "stdio"},
    ),
    KnownClient(
        "cursor",
        "Cursor",
        files=(File("~/.cursor/mcp.json", "user"), File("./.cursor/mcp.json", "project")),
        style="braced",
    ),
    KnownClient(
        "vscode",
        "VS Code",
        files=(
            File("{config}/Code/User/mcp.json", "user", tables=(("servers",),)),
            File("{config}/Code/User/settings.json", "user", tables=(("mcp", "servers"), ("mcp.servers",))),
            File("./.vscode/mcp.json", "project", tables=(("servers",),)),
        ),
        style="braced",
        added={"type": "stdio"},
    ),
    KnownClient(
        "windsurf",
        "Windsurf",
        files=(File("~/.codeium/windsurf/mcp_config.json", "user"),),
        urls=("serverUrl", "url"),
        style="braced",
    ),
    KnownClient(
        "zed",
        "Zed",
        files=(
            File("~/.config/zed/settings.json", "user", tables=(("context_servers",),)),
            File("./.zed/settings.json", "project", tables=(("context_servers",),)),
        ),
    ),
    KnownClient(
        "cline",
        "Cline",
        files=(
            File(
                "{config}/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
                "user",
            ),
            File("~/.cline/data/settings/cline_mcp_settings.json", "user"),
        ),
        style="braced",
    ),
    KnownClient(
        "codex",
        "Codex",
        files=(
            File("~/.codex/config.toml", "user", tables=(("mcp_servers",),), format="toml"),
            File("./.codex/config.toml", "project", tables=(("mcp_servers",),), format="toml"),
        ),
        headers=(("http_headers",),),
        env_headers="env_http_headers",
        bearer="bearer_token_env_var",
        passes="env_vars",
        style="braced",
    ),
    KnownClient(
        "gemini",
        "Gemini CLI",
        files=(File("~/.gemini/settings.json", "user"), File("./.gemini/settings.json", "project")),
        urls=("httpUrl", "url"),
        style="shell",
    ),
    KnownClient(
        "continue",
        "Continue",
        files=(
            File("~/.continue/config.yaml", "user", format="yaml", listed=True),
            File("~/.continue/mcpServers/*.yaml", "user", format="yaml", listed=True),
            File("./.continue/mcpServers/*.yaml", "project", format="yaml", listed=True),
        ),
        headers=(("requestOptions", "headers"), ("headers",)),
    ),
    KnownClient(
        "junie",
        "JetBrains Junie",
        files=(File("~/.junie/mcp/mcp.json", "user"), File("./.junie/mcp/mcp.json", "project")),
    ),
    KnownClient(
        "lmstudio",
        "LM Studio",
        files=(File("~/.lmstudio/mcp.json", "user"), File("~/.cache/lm-studio/mcp.json", "user")),
    ),
)
"""Every client that is known, in the order in which they are looked for."""
