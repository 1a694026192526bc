"""Lists in which clients name servers, or tools of servers, beside the entries: what is switched off, what
alone is started, what an agent may use, what needs no question.

`docs/guides/import.md` says where each of them was read.
"""

import re
from fnmatch import fnmatchcase
from typing import Any, Literal

from msgspec import Struct

SPACE = "\0"
"""What separates a command and its arguments where they are one name."""

Means = Literal["off", "only", "named", "allowed"]


class NameList(Struct, frozen=True):
    """A list of names, or a mapping with names as its keys, at `way`, in which `*` stands for every key.

    `means`: "off": what it names is not used; "only": nothing else is; "named": it is, here; "allowed": is
    somebody asked. `server` are the ways to write a whole server, the first of which is the usual one, `tool`
    those to write a tool of it. `of`: it is about the servers of a "project" or of its "own" file; one of its
    own file that says "only" is "named" for all others. `by`: it is a list of rules, which is not edited, and
    what they are about is under that key: a server, a tool, a command with its arguments, or a URL; "all": it
    stands for every server where it is true.
    """

    way: tuple[str, ...]
    means: Means
    server: tuple[str, ...] = ("{}",)
    tool: tuple[str, ...] = ()
    of: Literal["", "project", "own"] = ""
    by: str = ""


class NamesSaid(Struct, frozen=True):
    """The list `kind` as a file has it at `where`: its names, each with its value (None in a list)."""

    kind: NameList
    where: tuple[str | int, ...]
    names: dict[str, Any]

    @classmethod
    def of_rules(cls, kind: NameList, where: tuple[str | int, ...], rules: list[Any]) -> "NamesSaid":
        """What `rules` refuse, whatever else they ask for. A rule for all servers still applies to all."""
        refused: dict[str, Any] = {}
        for rule in rules:
            named = rule.get(kind.by) if isinstance(rule, dict) else None
            if kind.by == "serverCommand" and isinstance(named, list):
                named = SPACE.join(map(str, named))
            for name in named if isinstance(named, list) else [named]:
                if isinstance(name, str) and name != "*" and rule.get("decision", "deny") == "deny":
                    refused[name] = None
        return cls(kind, where, refused)

    @property
    def way(self) -> str:
        """Where it is in its file, for people."""
        return f"`{'.'.join(map(str, self.where))}` in " if self.where else ""

    def whole(self, server: str) -> list[str]:
        """The names that stand for the server as such, maybe with `*`."""
        forms = {form.format(spelt) for form in self.kind.server for spelt in _spellings(server)}
        meant = [name for name, value in self.names.items() if self.kind.means != "off" or _is_off(value)]
        return [
            name
            for name in meant
            if name in forms or any(fnmatchcase(form.casefold(), name.strip().casefold()) for form in forms)
        ]

    def tools(self, server: str) -> list[tuple[str, str, Any]]:
        """The tools of the server that it names, maybe with `*`: each with its form and its value."""
        whole, found = self.whole(server), []
        for form in self.kind.tool:
            before, between, after = form.split("{}")
            for lead in sorted({f"{before}{spelt}{between}" for spelt in _spellings(server)}):
                for name, value in self.names.items():
                    tool = name[len(lead) : len(name) - len(after)]
                    if name.startswith(lead) and name.endswith(after) and tool and name not in whole:
                        found.append((tool, form, value))
        return found

    @property
    def approves(self) -> bool:
        """Whether somebody has said there which servers of a project may be started."""
        return self.kind.means == "named" and self.kind.of == "project" and bool(self.names)

    def blurs(self, server: str) -> bool:
        """Whether it switches off tools of the server in a way in which they cannot be named one by one."""
        means = self.kind.means
        if means not in ("off", "only"):
            return False
        whole = bool(self.whole(server))
        off = [tool for tool, _, value in self.tools(server) if means == "only" or _is_off(value)]
        if means == "only":
            return not whole and any("*" in tool for tool in off)
        some = [tool for tool in off if self.kind.by or "*" in tool]
        return bool(self.kind.tool or self.kind.by) and (whole or bool(some))

    def bars(self, server: str) -> bool:
        """Whether it keeps the server from being started."""
        if self.kind.means == "off":
            return not (self.kind.tool or self.kind.by) and bool(self.whole(server))
        return self.kind.means == "only" and not self.whole(server) and not self.tools(server)


def _is_off(value: Any) -> bool:
    """Whether the `value` of a name says that it is off: a mapping can also say what is on."""
    if isinstance(value, dict):
        return value.get("enabled") is False or value.get("default") == "deny"
    return value is None or value is False or value == "deny"


def _spellings(server: str) -> set[str]:
    """The name of a server, and what clients make of it where it is a part of the name of a tool."""
    return {server, re.sub(r"[^A-Za-z0-9_-]", "_", server), re.sub(r"\s", "", server).lower()}


_DOUBLE: dict[str, Any] = {"server": ("mcp__{}", "mcp__{}__*"), "tool": ("mcp__{}__{}",)}
_SLASH: dict[str, Any] = {"server": ("@{}",), "tool": ("@{}/{}",)}
_GEMINI_TOOLS: dict[str, Any] = {"server": ("mcp_{}_*",), "tool": ("mcp_{}_{}", "{}__{}")}
_OPENCODE_TOOLS: dict[str, Any] = {"server": ("{}_*", "{}*"), "tool": ("{}_{}",)}
_CURSOR_TOOLS: dict[str, Any] = {
    "server": ("Mcp({}:*)", "Mcp({}, *)"),
    "tool": ("Mcp({}:{})", "Mcp({}, {})"),
}

_PERMISSIONS = (
    NameList(("permissions", "deny"), "off", **_DOUBLE),
    NameList(("permissions", "ask"), "allowed", **_DOUBLE),
    NameList(("permissions", "allow"), "allowed", **_DOUBLE),
)
CLAUDE_PROJECTS = (
    NameList(("projects", "*", "disabledMcpServers"), "off"),
    NameList(("projects", "*", "disabledMcpjsonServers"), "off", of="project"),
    NameList(("projects", "*", "enabledMcpjsonServers"), "named", of="project"),
    NameList(("projects", "*", "enableAllProjectMcpServers"), "named", of="project", by="all"),
    NameList(("projects", "*", "allowedTools"), "allowed", **_DOUBLE),
)
CLAUDE_SETTINGS = (
    *(NameList(("deniedMcpServers",), "off", by=key) for key in ("serverName", "serverCommand", "serverUrl")),
    NameList(("disabledMcpjsonServers",), "off", of="project"),
    NameList(("enabledMcpjsonServers",), "named", of="project"),
    NameList(("enableAllProjectMcpServers",), "named", of="project", by="all"),
    *_PERMISSIONS,
)
GEMINI = (
    NameList(("mcp", "excluded"), "off"),
    NameList(("mcp", "allowed"), "only"),
    NameList(("tools", "exclude"), "off", **_GEMINI_TOOLS),
    NameList(("tools", "confirmationRequired"), "allowed", **_GEMINI_TOOLS),
    NameList(("tools", "allowed"), "allowed", **_GEMINI_TOOLS),
    # What they were called before.
    NameList(("excludeMCPServers",), "off"),
    NameList(("allowMCPServers",), "only"),
)
GEMINI_RULES = (
    NameList(("rule",), "off", by="mcpName"),
    NameList(("rule",), "off", by="toolName", **_GEMINI_TOOLS),
)
GEMINI_ENABLEMENT = (NameList((), "off"),)
QWEN = (
    NameList(("mcp", "excluded"), "off"),
    NameList(("mcp", "allowed"), "only"),
    *_PERMISSIONS,
    NameList(("tools", "exclude"), "off", **_DOUBLE),
    NameList(("tools", "allowed"), "allowed", **_DOUBLE),
)
AMP = (NameList(("amp.tools.disable",), "off", **_DOUBLE),)
COPILOT = (NameList(("disabledMcpServers",), "off"),)
CURSOR_CLI = (
    NameList(("permissions", "deny"), "off", **_CURSOR_TOOLS),
    NameList(("permissions", "allow"), "allowed", **_CURSOR_TOOLS),
)
CURSOR = (NameList(("mcpAllowlist",), "allowed", server=("{}:*",), tool=("{}:{}",)),)
VSCODE_TOOLSETS = (NameList(("*", "tools"), "named", server=("{}/*", "{}"), tool=("{}/{}",)),)
ZED = (
    NameList(("agent", "tool_permissions", "tools"), "off", server=(), tool=("mcp:{}:{}",)),
    NameList(("agent", "profiles", "*", "context_servers"), "named"),
)
OPENCODE = tuple(
    NameList((*way, key), "off", **_OPENCODE_TOOLS)
    for way in ((), ("agent", "*"))
    for key in ("tools", "permission")
)
CRUSH = (NameList(("permissions", "allowed_tools"), "allowed", server=(), tool=("mcp_{}_{}",)),)
AGENT = (
    NameList(("tools",), "only", of="own", **_SLASH),
    NameList(("allowedTools",), "allowed", **_SLASH),
)
KIRO_AGENT = (
    NameList(("tools",), "named", **_SLASH),
    NameList(("allowedTools",), "allowed", **_SLASH),
)
GOOSE = (
    NameList(("user", "never_allow"), "off", server=(), tool=("{}__{}",)),
    NameList(("user", "ask_before"), "allowed", server=(), tool=("{}__{}",)),
    NameList(("user", "always_allow"), "allowed", server=(), tool=("{}__{}",)),
)

IN_TEXT: dict[str, tuple[str, tuple[str, ...]]] = {
    "claude-code": ("mcp__{}__", ("~/.claude/agents/*.md", "./.claude/agents/*.md")),
    "gemini": ("mcp_{}_", ("~/.gemini/agents/*.md", "./.gemini/agents/*.md")),
    "vscode": ("{}/", ("./.github/agents/*.md", "./.github/prompts/*.md", "./.github/chatmodes/*.md")),
}
"""Client -> how a tool begins that a text names in its front matter, and the files with such texts, as in a
File. They are not edited."""
