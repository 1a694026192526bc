"""The section `clients` of a configuration with more in it; what a person wrote there stays.

Law of this file: it only adds, servers to a list and members to a mapping, so nobody loses a server by an
import, and no comment or blank of the file changes.
"""

import re
from collections.abc import Iterator
from typing import Any

from mcpguard.onboarding.formats.jsonc import newline
from mcpguard.onboarding.formats.tree import Change, TreeNode
from mcpguard.onboarding.formats.yaml_text import parse, scalar

Clients = dict[str, dict[str, Any]]
"""As under `clients` in the file: by client, `servers` and `projects`, and `prefix` where it is not the
default."""


def with_clients(text: str, clients: Clients) -> str:
    """`text`, a configuration that can be read, with `clients` added. Raises Broken where it cannot be."""
    if not clients:
        return text
    line = newline(text)
    if not text.endswith("\n"):
        text += line
    section = parse(text).get("clients")
    if section is None:
        return text + "".join(f"{row}{line}" for row in _rows({"clients": clients}))
    changes = list(_merged(text, section, clients))
    # Of two at one place the inner one was found first, and comes first.
    for _, (start, end, new) in sorted(enumerate(changes), key=lambda one: (one[1][0], one[0]), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _merged(text: str, node: TreeNode, more: dict[str, Any]) -> Iterator[Change]:
    fresh: dict[str, Any] = {}
    for key, value in more.items():
        there = node.get(key)
        if there is None:
            fresh[key] = value
        elif there.kind == "map":
            yield from _merged(text, there, value)
        elif there.kind == "list":
            known = there.plain()
            yield from _items(text, there, [one for one in value if one not in known])
    if fresh:
        yield _members(text, node, fresh)


def _members(text: str, node: TreeNode, fresh: dict[str, Any]) -> Change:
    last = node.value[-1].node
    if text[node.start] == "{":
        return last.end, last.end, "".join(f", {scalar(key)}: {scalar(one)}" for key, one in fresh.items())
    return _lines(text, last, _rows(fresh), _indent(text, node.value[0].start))


def _items(text: str, node: TreeNode, fresh: list[str]) -> Iterator[Change]:
    if not fresh:
        return
    last = node.value[-1]
    if text[node.start] == "[":
        yield last.end, last.end, "".join(f", {scalar(one)}" for one in fresh)
    else:
        yield _lines(text, last, [f"- {scalar(one)}" for one in fresh], _indent(text, node.start))


def _lines(text: str, after: TreeNode, rows: list[str], indent: str) -> Change:
    """`rows` as lines of their own below the line in which `after` ends."""
    line = newline(text)
    at = text.find("\n", len(text[: after.end].rstrip())) + 1
    return at, at, "".join(f"{indent}{row}{line}" for row in rows)


def _indent(text: str, start: int) -> str:
    return " " * (start - (text.rfind("\n", 0, start) + 1))


def _rows(members: dict[str, Any]) -> list[str]:
    """A mapping in lines of its own, down to the lists."""
    found: list[str] = []
    for key, value in members.items():
        if isinstance(value, dict):
            found += [f"{_key(key)}:", *(f"  {row}" for row in _rows(value))]
        else:
            found.append(f"{_key(key)}: {scalar(value)}")
    return found


_PLAIN = re.compile("(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][a-z0-9_-]*")


def _key(text: str) -> str:
    """As a person would write it where that is text to every reader of YAML."""
    return text if _PLAIN.fullmatch(text) else scalar(text)
