"""How clients decide by the files that a lock writes, and the published forms of these files.

The JSON schemas in this folder are extracts of those that SchemaStore and Google publish (see their `$comment`). For
Codex and Copilot none is published for these files: what is checked here is written from their documentation
(`learn.chatgpt.com`, configuration reference, `requirements.toml`; `docs.github.com`, enterprise managed settings)
and, for Codex, from its source (`codex-rs/config/src/mcp_requirements.rs`, Apache License 2.0).
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

HERE = Path(__file__).parent


class Server(NamedTuple):
    """A server as a client has it, by its own files or by a plugin."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    plugin: str = ""


def claude_code(text: str, server: Server) -> bool:
    """https://code.claude.com/docs/en/managed-mcp, "How a server is evaluated"."""
    settings = json.loads(text)
    jsonschema.validate(settings, json.loads((HERE / "claude-code-settings.json").read_text()))
    if not settings.get("allowManagedMcpServersOnly"):
        return True  # A user's own list counts too.
    return _by_allowlist(settings, server)


def copilot(text: str, server: Server) -> bool:
    """https://docs.github.com, "Configuring an MCP server allowlist for your enterprise", evaluation rules."""
    settings = json.loads(text)
    for rule in settings["allowedMcpServers"]:
        assert len(rule) == 1
        assert rule.keys() <= {"serverName", "serverUrl", "serverCommand"}
        assert all(isinstance(word, str) and word for word in rule.get("serverCommand", ["x"]))
        assert not any("$" in word for word in rule.get("serverCommand", []))
    return _by_allowlist(settings, server)


def _by_allowlist(settings: dict[str, Any], server: Server) -> bool:
    rules = settings.get("allowedMcpServers")
    if rules is None:
        return True
    stricter = "serverUrl" if server.url else "serverCommand"
    if any(stricter in rule for rule in rules):
        return {stricter: server.url or list(server.command)} in rules
    return {"serverName": server.name} in rules


def codex(text: str, server: Server) -> bool:
    """The configuration reference on `mcp_servers` and `plugins` of `requirements.toml`."""
    rules = tomllib.loads(text)
    if server.plugin:
        plugins = rules.get("plugins")
        if plugins is None:
            return True
        allowed = plugins.get(server.plugin, {}).get("mcp_servers", {})
    else:
        if "mcp_servers" not in rules:
            return True
        allowed = rules["mcp_servers"]
    for rule in allowed.values():
        assert rule.keys() == {"identity"}
        assert len(rule["identity"]) == 1
    identity = allowed.get(server.name, {}).get("identity", {})
    if server.url:
        return bool(identity.get("url") == server.url)
    command = identity.get("command")
    if isinstance(command, str) or command is None:
        return bool(server.command) and command == server.command[0]
    assert command.keys() == {"executable", "args"}
    assert all(matcher.keys() == {"match", "value"} for matcher in command["args"])
    args = [matcher["value"] for matcher in command["args"] if matcher["match"] == "exact"]
    return [command["executable"], *args] == list(server.command)


def gemini(text: str, server: Server) -> bool:
    """`docs/cli/enterprise.md` of google-gemini/gemini-cli: the definition in the system's file goes before any other
    of that name, and names that `mcp.allowed` does not have are blocked."""
    settings = json.loads(text)
    jsonschema.validate(settings, json.loads((HERE / "gemini-cli-settings.json").read_text()))
    allowed = settings.get("mcp", {}).get("allowed")
    if not allowed:
        return True
    if server.name not in allowed:
        return False
    there = settings.get("mcpServers", {}).get(server.name)
    # What starts is the system's own definition, whatever the user's file says.
    return there is None or [there["command"], *there["args"]] == list(server.command)


OBEYING = {"claude-code": claude_code, "vscode": copilot, "codex": codex, "gemini": gemini}
"""Client -> whether it starts a server, given the text of its file."""
