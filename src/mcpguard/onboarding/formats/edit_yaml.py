"""Items of a YAML list replaced and removed, as changes of spans."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from mcpguard.onboarding.formats.edit_json import Change, newline
from mcpguard.onboarding.formats.tree import Broken, Step, TreeNode

_DASH = re.compile(r"(?:^|\n)([ \t]*)-[ \t]+$")


def replace(text: str, table: TreeNode, steps: list[Step], name: str, entry: dict[str, Any]) -> list[Change]:
    """The first item of `steps` becomes the entry of mcpguard (unless `name` is ""), the others go."""
    changes: list[Change] = []
    for place, step in enumerate(sorted(map(int, steps))):
        node = table.get(step)
        if node is None or text[table.start : table.start + 1] == "[":
            raise Broken(table.start, "a list in brackets cannot be edited: write one server per line")
        end = len(text[: node.end].rstrip())
        if place == 0 and name:
            changes.append((node.start, end, _item_at(text, node, {"name": name, **entry})))
        else:
            changes.append(_removal(text, node.start, end))
    return changes


def item(indent: str, entry: dict[str, Any], line: str = "\n") -> str:
    """The keys of an item of a block list whose dash stands at `indent`, without the dash."""
    rows = [f"{key}: {scalar(value)}" for key, value in entry.items()]
    return f"{line}{indent}  ".join(rows)


def scalar(value: Any) -> str:
    """A value as YAML that every reader takes for it: as JSON, with what YAML does not print escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)


def compose(text: str) -> None:
    """Raises Broken where an alias names nothing, or `text` is no YAML."""
    try:
        yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        raise Broken(0, "not YAML") from None


def _item_at(text: str, node: TreeNode, entry: dict[str, Any]) -> str:
    if text[node.start : node.start + 1] == "{":
        return scalar(entry)
    column = node.start - (text.rfind("\n", 0, node.start) + 1)
    return item(" " * (column - 2), entry, newline(text))


def _removal(text: str, start: int, end: int) -> Change:
    dash = _DASH.search(text, 0, start)
    if not dash:
        raise Broken(start, "an item that does not begin its line cannot be removed")
    rest = re.compile(r"[ \t]*(\r?\n)?").match(text, end)
    if rest and (rest[1] or rest.end() == len(text)):
        return dash.start(1), rest.end(), ""
    return dash.start(1), end, ""
