"""The clients whose configurations can be read and rewritten. To add one: an entry in `CLIENTS`.

`docs/guides/import.md` says for each path whether its vendor's documentation was read for it.
"""

import re
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from mcpguard.onboarding.discovery import name_lists
from mcpguard.onboarding.discovery.name_lists import NameList
from mcpguard.onboarding.formats import found_within

PROJECT = "--project"
"""The option of `mcpguard run` that names the folder of a project."""

Format = Literal["jsonc", "toml", "yaml"]
Tables = tuple[tuple[str, ...], ...]


class File(Struct, frozen=True):
    """A file that a client may have.

    `path` begins with `~/` (the user's folder), `{config}/` (`$XDG_CONFIG_HOME` or `~/.config` on Linux,
    `~/Library/Application Support` on macOS) or `./` (the project); it may end with a `*` name. `tables` are
    the ways to what holds the servers; `*` in one stands for every key. `listed`: the servers are a list of
    entries with a `name`. `lists` name servers beside their entries. `shared` are clients that read it, too.
    """

    path: str
    scope: Literal["user", "project"]
    tables: Tables = (("mcpServers",),)
    format: Format = "jsonc"
    listed: bool = False
    lists: tuple[NameList, ...] = ()
    shared: tuple[str, ...] = ()


class ClientTimeout(Struct, frozen=True):
    """What a client calls a timeout: the `way` to it in an entry, whether it bounds the start of a server and
    calls of its tools, and how many of its units make a second."""

    way: tuple[str, ...]
    start: bool = True
    call: bool = True
    per_second: int = 1


_SECONDS = (ClientTimeout(("timeout",)),)
_MILLISECONDS = (ClientTimeout(("timeout",), per_second=1000),)
_CALL_SECONDS = (ClientTimeout(("timeout",), start=False),)
_CALL_MILLISECONDS = (ClientTimeout(("timeout",), start=False, per_second=1000),)
_AMAZON_Q_AGENTS = ("agents/default", "cli-agents/*")
# A number bounds the list of tools, a mapping both.
_OPENCODE_TIMEOUTS = (
    ClientTimeout(("timeout",), call=False, per_second=1000),
    ClientTimeout(("timeout", "startup"), call=False, per_second=1000),
    ClientTimeout(("timeout", "request"), start=False, per_second=1000),
)
_CRUSH_FILES = (
    "~/.config/crush/crush.json",
    "~/.local/share/crush/crush.json",
    "./crush.json",
    "./.crush.json",
)
_CODEX_TIMEOUTS = (
    ClientTimeout(("startup_timeout_sec",), call=False),
    ClientTimeout(("startup_timeout_ms",), call=False, per_second=1000),
    ClientTimeout(("tool_timeout_sec",), start=False),
)


class KnownClient(Struct, frozen=True):
    """A client: what it is called on the command line and by people, its files, and the keys of an entry.

    `urls` are the keys that a URL can have, `headers` the ways to headers. `env_headers` and `bearer` name
    variables that hold a header's value, and a bearer token, which `key` holds itself. `style` is how the
    client writes references to variables: "braced" `${env:X}`, "plain" `${X}`, "shell" `$X` and `${X}`,
    "curly" `{env:X}`, "" not at all; `runs`: it runs the command in a `$(…)`. `passes` is the key of an entry
    that lists variables which the client passes on. `added` is in the entry of mcpguard besides `command` and
    `args`. `renamed` has the names of keys, with what most clients call them; `joined`: the command and its
    arguments are one list. `inner` are the types of entries that are a part of the client itself, `stores`
    the key of those variables that it takes from a store of its own. `timeouts` are those that an entry can
    have, in the order in which the client takes one. `settings` are files without servers that have lists of
    them.
    """

    name: str
    title: str
    files: tuple[File, ...]
    urls: tuple[str, ...] = ("url",)
    headers: tuple[tuple[str, ...], ...] = (("headers",),)
    env_headers: str = ""
    bearer: str = ""
    key: str = ""
    passes: str = ""
    style: Literal["", "braced", "plain", "shell", "curly"] = ""
    runs: bool = False
    added: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    joined: bool = False
    inner: tuple[str, ...] = ()
    stores: str = ""
    timeouts: tuple[ClientTimeout, ...] = ()
    settings: tuple[File, ...] = ()

    def entry(self, launcher: dict[str, Any], project: str = "") -> dict[str, Any]:
        """The entry of mcpguard in a file of this client, made of `launcher`, its `command` and `args`, for
        the servers of `project` or, without one, of the user. Each client is an agent of its own, so that
        what one has read does not stop the others."""
        args = [*launcher["args"], "--agent", self.name, *([PROJECT, project] if project else [])]
        if self.joined:
            return {**self.added, "command": [launcher["command"], *args]}
        return {**self.added, self.written("command"): launcher["command"], "args": args}

    def written(self, key: str) -> str:
        """What this client calls `key` of an entry."""
        return next((own for own, usual in self.renamed.items() if usual == key), key)

    def usual(self, data: dict[str, Any]) -> dict[str, Any]:
        """An entry of this client as most clients write it."""
        made = {self.renamed.get(key, key): value for key, value in data.items()}
        if self.joined and isinstance(made.get("command"), list):
            words = made["command"]
            made |= {"command": words[0] if words else "", "args": words[1:]}
        if self.stores and isinstance(made.get("headers"), dict) and isinstance(made.get("env"), dict):
            # They are there for the headers alone.
            variables = made.pop("env")
            made["headers"] = {key: _filled(one, variables) for key, one in made["headers"].items()}
        # An empty list is nothing for Copilot, and everything for Goose.
        if self.renamed and made.get("includeTools") in ([["*"], []] if self.stores else [["*"]]):
            del made["includeTools"]
        if isinstance(made.get("transport"), dict):
            made = {**made.pop("transport"), **made}
        return made

    @property
    def known(self) -> set[str]:
        """The keys of an entry that are read."""
        named = self.env_headers, self.bearer, self.key, self.passes, self.stores
        return {*_KNOWN.split(), *FILTERS, *self.urls, *(way[0] for way in self.headers), *named}

    def timeouts_in(self, data: dict[str, Any]) -> dict[ClientTimeout, float]:
        """The timeouts of an entry in seconds, of a second or more."""
        found = {}
        for one in self.timeouts:
            value = found_within(data, one.way)
            if type(value) in (int, float) and one.per_second <= value < float("inf"):
                found[one] = value / one.per_second
        return found


def _filled(value: Any, variables: dict[str, Any]) -> Any:
    """A header in which the client puts variables of the entry itself."""
    fill = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
    return fill.sub(lambda one: str(variables.get(one[1] or one[2], one[0])), str(value))


def words_of(entry: dict[str, Any]) -> list[str]:
    """The arguments in an entry that `KnownClient.entry` made."""
    words: list[str] = entry["command"][1:] if isinstance(entry.get("command"), list) else entry["args"]
    return words


HIDING = ("disabledTools", "excludeTools", "disabled_tools")
"""Keys of an entry with the tools that the client does not show."""
CHOOSING = ("includeTools", "enabled_tools")
"""Keys of an entry with the only tools that the client shows."""

FILTERS = (*HIDING, *CHOOSING)

_KNOWN = (
    "name command path args env type transport cwd disabled enabled envFile env_file "
    "description display_name bundled source"
)
_MCP = ("mcpServers",)
_SERVERS = (("servers",),)


def _file(
    path: str, *lists: NameList, tables: Tables = (_MCP,), format: Format = "jsonc", **more: Any
) -> File:
    """A file of servers: the project's where the path begins in its folder, else the user's."""
    return File(path, "project" if path.startswith("./") else "user", tables, format, lists=lists, **more)


_settings = partial(_file, tables=())
"""A file with lists of servers, and most of the time with no servers."""


def _opencode(name: str, title: str, ends: tuple[str, str], tables: Tables) -> KnownClient:
    """opencode, or what is made of it."""
    folders = (f"~/.config/{name}", ".", f"./.{name}")
    paths = [f"{folder}/{name}.{end}" for folder in folders for end in ends]
    return KnownClient(
        name,
        title,
        files=tuple(_file(path, *name_lists.OPENCODE, tables=tables) for path in paths),
        style="curly",
        added={"type": "local"},
        renamed={"environment": "env"},
        joined=True,
        timeouts=_OPENCODE_TIMEOUTS,
    )


def _vscode(name: str, title: str, folder: str, *more: File) -> KnownClient:
    """VS Code, or a build of it that keeps its settings in another folder."""
    user = f"{{config}}/{folder}/User"
    files = (
        _file(f"{user}/mcp.json", tables=_SERVERS),
        _file(f"{user}/settings.json", tables=(("mcp", "servers"), ("mcp.servers",))),
        _file(f"{user}/profiles/*/mcp.json", tables=_SERVERS),
        *more,
    )
    toolsets = _settings(f"{user}/prompts/*.toolsets.jsonc", *name_lists.VSCODE_TOOLSETS)
    return KnownClient(name, title, files, style="braced", added={"type": "stdio"}, settings=(toolsets,))


CLIENTS: tuple[KnownClient, ...] = (
    KnownClient(
        "claude-desktop", "Claude Desktop", files=(_file("{config}/Claude/claude_desktop_config.json"),)
    ),
    KnownClient(
        "claude-code",
        "Claude Code",
        files=(
            _file(
                "~/.claude.json", *name_lists.CLAUDE_PROJECTS, tables=(_MCP, ("projects", "*", "mcpServers"))
            ),
            _file("./.mcp.json", shared=("copilot-cli", "qwen")),
        ),
        style="plain",
        added={"type": "stdio"},
        timeouts=_CALL_MILLISECONDS,
        settings=tuple(
            _settings(f"{folder}/.claude/{name}.json", *name_lists.CLAUDE_SETTINGS)
            for folder in ("~", ".")
            for name in ("settings", "settings.local")
        ),
    ),
    KnownClient(
        "cursor",
        "Cursor",
        files=(_file("~/.cursor/mcp.json"), _file("./.cursor/mcp.json")),
        style="braced",
        settings=(
            _settings("~/.cursor/cli-config.json", *name_lists.CURSOR_CLI),
            _settings("{config}/cursor/cli-config.json", *name_lists.CURSOR_CLI),
            _settings("./.cursor/cli.json", *name_lists.CURSOR_CLI),
            _settings("~/.cursor/permissions.json", *name_lists.CURSOR),
            _settings("./.cursor/permissions.json", *name_lists.CURSOR),
        ),
    ),
    _vscode("vscode", "VS Code", "Code", _file("./.vscode/mcp.json", tables=_SERVERS)),
    _vscode("vscode-insiders", "VS Code Insiders", "Code - Insiders"),
    _vscode("vscodium", "VSCodium", "VSCodium"),
    KnownClient(
        "copilot-cli",
        "GitHub Copilot CLI",
        files=(_file("~/.copilot/mcp-config.json"), _file("./.github/mcp.json")),
        style="plain",
        added={"type": "local", "tools": ["*"]},
        renamed={"tools": "includeTools"},
        timeouts=_CALL_MILLISECONDS,
        settings=tuple(
            _settings(path, *name_lists.COPILOT)
            for path in (
                "~/.copilot/settings.json",
                "~/.copilot/config.json",
                "./.github/copilot/settings.json",
                "./.github/copilot/settings.local.json",
            )
        ),
    ),
    KnownClient(
        "windsurf",
        "Windsurf",
        files=(_file("~/.codeium/windsurf/mcp_config.json"),),
        urls=("serverUrl", "url"),
        style="braced",
    ),
    KnownClient(
        "zed",
        "Zed",
        files=tuple(
            _file(f"{at}/settings.json", *name_lists.ZED, tables=(("context_servers",),))
            for at in ("~/.config/zed", "./.zed")
        ),
    ),
    KnownClient(
        "cline",
        "Cline",
        files=(
            _file("{config}/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
            _file("~/.cline/data/settings/cline_mcp_settings.json"),
        ),
        style="braced",
        timeouts=_CALL_SECONDS,
    ),
    KnownClient(
        "roo",
        "Roo Code",
        files=(
            _file("{config}/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"),
            _file("./.roo/mcp.json"),
        ),
        style="braced",
        timeouts=_CALL_SECONDS,
    ),
    _opencode("kilo", "Kilo Code", ("jsonc", "json"), (("mcp",),)),
    KnownClient(
        "kilo-classic",
        "Kilo Code (mcp_settings.json)",
        files=(
            _file("{config}/Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json"),
            _file("~/.kilocode/cli/global/settings/mcp_settings.json"),
            _file("./.kilocode/mcp.json"),
        ),
        style="braced",
        timeouts=_CALL_SECONDS,
    ),
    KnownClient(
        "codex",
        "Codex",
        files=tuple(
            _file(f"{at}/.codex/config.toml", tables=(("mcp_servers",),), format="toml") for at in ("~", ".")
        ),
        headers=(("http_headers",),),
        env_headers="env_http_headers",
        bearer="bearer_token_env_var",
        passes="env_vars",
        style="braced",
        timeouts=_CODEX_TIMEOUTS,
    ),
    KnownClient(
        "gemini",
        "Gemini CLI",
        files=tuple(_file(f"{at}/.gemini/settings.json", *name_lists.GEMINI) for at in ("~", ".")),
        urls=("httpUrl", "url"),
        style="shell",
        timeouts=_MILLISECONDS,
        settings=(
            _settings("~/.gemini/mcp-server-enablement.json", *name_lists.GEMINI_ENABLEMENT),
            _settings("~/.gemini/policies/*.toml", *name_lists.GEMINI_RULES, format="toml"),
        ),
    ),
    KnownClient(
        "qwen",
        "Qwen Code",
        files=(
            _file("~/.qwen/settings.json", *name_lists.QWEN),
            _file("./.qwen/settings.json", *name_lists.QWEN),
            _file("./.qwen/settings.local.json", *name_lists.QWEN),
        ),
        urls=("httpUrl", "url"),
        style="shell",
        timeouts=_MILLISECONDS,
    ),
    KnownClient(
        "antigravity",
        "Antigravity",
        files=(
            _file("~/.gemini/config/mcp_config.json"),
            _file("~/.gemini/antigravity/mcp_config.json"),
            _file("~/.gemini/antigravity-cli/mcp_config.json"),
            _file("./.agents/mcp_config.json"),
        ),
        urls=("serverUrl", "url"),
    ),
    KnownClient(
        "amp",
        "Amp",
        files=tuple(
            _file(f"{folder}/settings.json", *name_lists.AMP, tables=(("amp.mcpServers",),))
            for folder in ("~/.config/amp", "./.amp")
        ),
        style="plain",
    ),
    KnownClient(
        "kiro",
        "Kiro",
        files=(_file("~/.kiro/settings/mcp.json"), _file("./.kiro/settings/mcp.json")),
        style="plain",
        timeouts=_MILLISECONDS,
        settings=tuple(
            _settings(f"{folder}/.kiro/agents/*.json", *name_lists.KIRO_AGENT) for folder in ("~", ".")
        ),
    ),
    KnownClient(
        "amazon-q",
        "Amazon Q Developer",
        files=tuple(
            _file(f"{folder}/{name}.json", *lists)
            for folder in ("~/.aws/amazonq", "./.amazonq")
            for name, lists in (("mcp", ()), *((agents, name_lists.AGENT) for agents in _AMAZON_Q_AGENTS))
        ),
        style="braced",
        timeouts=_MILLISECONDS,
    ),
    # The tables of the second version first.
    _opencode("opencode", "opencode", ("json", "jsonc"), (("mcp", "servers"), ("mcp",))),
    KnownClient(
        "crush",
        "Crush",
        files=tuple(_file(path, *name_lists.CRUSH, tables=(("mcp",),)) for path in _CRUSH_FILES),
        style="shell",
        runs=True,
        added={"type": "stdio"},
        timeouts=(ClientTimeout(("timeout",), call=False),),
    ),
    KnownClient(
        "goose",
        "Goose",
        files=(_file("~/.config/goose/config.yaml", tables=(("extensions",),), format="yaml"),),
        added={"enabled": True, "type": "stdio", "name": "mcpguard", "description": "mcpguard"},
        renamed={"cmd": "command", "envs": "env", "uri": "url", "available_tools": "includeTools"},
        inner=("builtin", "platform", "frontend", "inline_python"),
        stores="env_keys",
        timeouts=_SECONDS,
        settings=(_settings("~/.config/goose/permission.yaml", *name_lists.GOOSE, format="yaml"),),
    ),
    KnownClient(
        "continue",
        "Continue",
        files=(
            _file("~/.continue/config.yaml", format="yaml", listed=True),
            _file("~/.continue/mcpServers/*.yaml", format="yaml", listed=True),
            _file("./.continue/mcpServers/*.yaml", format="yaml", listed=True),
        ),
        headers=(("requestOptions", "headers"), ("headers",)),
        key="apiKey",
        timeouts=(ClientTimeout(("connectionTimeout",), call=False, per_second=1000),),
    ),
    KnownClient(
        "junie", "JetBrains Junie", files=(_file("~/.junie/mcp/mcp.json"), _file("./.junie/mcp/mcp.json"))
    ),
    KnownClient(
        "warp",
        "Warp",
        files=(_file("~/.warp/.mcp.json"), _file("./.warp/.mcp.json")),
        renamed={"working_directory": "cwd"},
    ),
    KnownClient(
        "lmstudio", "LM Studio", files=(_file("~/.lmstudio/mcp.json"), _file("~/.cache/lm-studio/mcp.json"))
    ),
)
"""Every client that is known, in the order in which they are looked for."""
