"""mcpguard's own configuration with more servers and policies in it; what a person wrote there stays."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcpguard.config.file import ConfigFile
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import ConfigError, Problem
from mcpguard.onboarding.clients_section import Clients, with_clients
from mcpguard.onboarding.formats import yaml_text
from mcpguard.onboarding.formats.jsonc import newline
from mcpguard.onboarding.formats.tree import Broken, TreeNode, place
from mcpguard.onboarding.formats.yaml_text import scalar

_HEAD = "# Made by `mcpguard import`; change it as you like. `mcpguard check` reports mistakes.\nversion: 1\n"
_ONE_LINE = "is written in brackets: write one entry per line, so that `mcpguard import` can add to it"


def extended(
    text: str,
    source: str,
    servers: dict[str, dict[str, Any]],
    policies: dict[str, dict[str, list[str]]],
    clients: Clients | None = None,
) -> str:
    """`text` (empty: a new file) with `servers`, the files `policies` with their params, and who sees what as
    under `clients`, added. Raises ConfigError, with `source` as the name of the file, where it or what would
    come out is not a configuration."""
    if not text.strip():
        text = f"{_HEAD}servers:\n{_servers(servers, '  ')}"
        text += "policies:\n" + "".join(f"  {row}\n" for row in _policies(policies))
    else:
        text = _added(text, source, servers, policies)
    text = with_clients(text, clients or {})
    checked(text, source)
    return text


def _added(
    text: str, source: str, servers: dict[str, dict[str, Any]], policies: dict[str, dict[str, list[str]]]
) -> str:
    before = checked(text, source)
    root = yaml_text.parse(text)
    line = newline(text)
    changes = [_into(source, text, root, "servers", _servers(servers, "{}"), line)]
    there = {one if isinstance(one, str) else one.file for one in before.policies}
    fresh = {one: params for one, params in policies.items() if one not in there}
    if fresh:
        rows = "".join(f"{{}}{row}\n" for row in _policies(fresh))
        changes.append(_into(source, text, root, "policies", rows, line))
    for at, new in sorted(changes, reverse=True):
        text = text[:at] + new + text[at:]
    return text


def checked(text: str, source: str) -> ConfigFile:
    """`text` as a configuration. Raises ConfigError."""
    return Document(text, source, ConfigError, frozenset({"env", "headers", "url"})).read(ConfigFile)


def _servers(servers: dict[str, dict[str, Any]], indent: str) -> str:
    return "".join(f"{indent}{row}\n" for name, entry in servers.items() for row in _rows(name, entry))


def _policies(policies: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    for file, params in policies.items():
        if not params:
            yield f"- {scalar(file)}"
            continue
        yield f"- file: {scalar(file)}"
        yield "  params:"
        for name, values in params.items():
            yield f"    {name}:"
            yield from (f"      - {scalar(value)}" for value in values)


def _rows(name: str, entry: dict[str, Any]) -> Iterator[str]:
    yield f"{name}:"
    for key, value in entry.items():
        if isinstance(value, dict):
            yield f"  {key}:"
            yield from (f"    {scalar(inner)}: {scalar(one)}" for inner, one in value.items())
        else:
            yield f"  {key}: {scalar(value)}"


def _into(source: str, text: str, root: TreeNode, key: str, rows: str, line: str) -> tuple[int, str]:
    """Where `rows` (with {} for the indentation) go, and how."""
    member = next((one for one in root.value if one.key == key), None)
    if member is None:
        return len(text), ("" if text.endswith("\n") else line) + f"{key}:{line}" + _lines(rows, "  ", line)
    node: TreeNode = member.node
    if not node.value or text[node.start] in "[{":
        raise ConfigError([Problem(source, *place(text, member.start), f"`{key}` {_ONE_LINE}")])
    column = node.start - (text.rfind("\n", 0, node.start) + 1)
    end = text.find("\n", len(text[: node.end].rstrip()))
    lead = ""
    if end < 0:
        end, lead = len(text), line
    else:
        end += 1
    return end, lead + _lines(rows, " " * column, line)


def _lines(rows: str, indent: str, line: str) -> str:
    return "".join(f"{row.replace('{}', indent, 1)}{line}" for row in rows.split("\n") if row)


def read(path: Path) -> str:
    """The text of the configuration, "" where there is none. Raises ConfigError."""
    from mcpguard.config.policies import read_document

    return read_document(path, ConfigError) if path.exists() else ""


def entries(text: str) -> dict[str, Any]:
    """The servers in `text` as written."""
    try:
        servers = yaml_text.parse(text).get("servers")
    except Broken:
        return {}
    found = {} if servers is None else servers.plain()
    return found if isinstance(found, dict) else {}


def same(one: Any, other: Any) -> bool:
    """Whether two entries say the same."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
