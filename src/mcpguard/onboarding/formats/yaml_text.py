"""YAML of other programs -> a tree with spans, by the one reader of YAML (`core/document/yaml_tree.py`);
and edits of the items of a list."""

import json
import re
from typing import Any

import yaml

from mcpguard.core.document import yaml_tree
from mcpguard.onboarding.formats import ALIAS, Change, Member, Step, TreeNode, UnreadableFormat, Way, jsonc
from mcpguard.onboarding.formats.jsonc import newline


def parse(text: str) -> TreeNode:
    """The tree of the only document in `text`. An alias is ALIAS, and not followed; a number with a point is
    text, so that it stays as it is written. Raises UnreadableFormat."""
    root, faults = yaml_tree.parse_tree(text, foreign=True)
    for line, column, message in faults:
        before = text.splitlines(keepends=True)[: max(line - 1, 0)]
        raise UnreadableFormat(sum(map(len, before)) + max(column - 1, 0), message)
    return TreeNode("map", 0, 0, []) if root is None else _converted(text, root)


def _converted(text: str, node: yaml_tree.Node) -> TreeNode:
    if node.kind == "map":
        pairs = [(_converted(text, key), _converted(text, value)) for key, value in node.value]
        members = [Member(str(key.plain()), key.start, value) for key, value in pairs]
        return TreeNode("map", node.start, node.end, members)
    if node.kind == "list":
        return TreeNode("list", node.start, node.end, [_converted(text, one) for one in node.value])
    value = {"alias": ALIAS, "float": text[node.start : node.end]}.get(node.kind, node.value)
    return TreeNode("plain", node.start, node.end, value)


BRACKETS = "a list in brackets cannot be edited: write one server per line"
_DASH = re.compile(r"(?:^|\n)([ \t]*)-[ \t]+$")


def replace(
    text: str, root: TreeNode, path: Way, steps: list[Step], name: str, entry: dict[str, Any]
) -> list[Change]:
    """At `path` the first item of `steps` becomes the entry of mcpguard (unless `name` is ""), the others
    go."""
    table = root.there(path)
    if table.kind == "map":
        return _replace_members(text, table, steps, name, entry)
    changes: list[Change] = []
    for place, step in enumerate(sorted(map(int, steps))):
        node = table.get(step)
        if node is None or text[table.start : table.start + 1] == "[":
            raise UnreadableFormat(table.start, BRACKETS)
        end = len(text[: node.end].rstrip())
        if place == 0 and name:
            changes.append((node.start, end, _item_at(text, node, {"name": name, **entry})))
        else:
            changes.append(_removal(text, node.start, end))
    return changes


def _replace_members(
    text: str, table: TreeNode, steps: list[Step], name: str, entry: dict[str, Any]
) -> list[Change]:
    if text[table.start : table.start + 1] == "{":
        raise UnreadableFormat(table.start, BRACKETS)
    changes: list[Change] = []
    for place, member in enumerate([member for member in table.value if member.key in steps]):
        start, end = member.start, len(text[: member.node.end].rstrip())
        indent = text[text.rfind("\n", 0, start) + 1 : start]
        if indent.strip(" "):
            raise UnreadableFormat(start, "an entry that does not begin its line cannot be edited")
        if place == 0 and name:
            changes.append((start, end, _mapping(indent, name, entry, newline(text))))
        else:
            rest = re.compile(r"[ \t]*(\r?\n)?").match(text, end)
            whole = rest is not None and (rest[1] or rest.end() == len(text))
            changes.append((start - len(indent), rest.end() if rest and whole else end, ""))
    return changes


def insert(text: str, root: TreeNode, path: Way, name: str, entry: dict[str, Any]) -> Change:
    """`name: entry` after the last member of the block mapping at `path`, which is made if it is missing."""
    line = newline(text)
    table = root.at(path)
    if table is None and len(path) == 1:
        lead = "" if not text or text.endswith("\n") else line
        return len(text), len(text), f"{lead}{path[0]}:{line}  {_mapping('  ', name, entry, line)}{line}"
    if table is None or table.kind != "map" or not table.value or text[table.start] == "{":
        raise UnreadableFormat(0 if table is None else table.start, BRACKETS)
    last: Member = table.value[-1]
    indent = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    end = len(text[: last.node.end].rstrip())
    rest = text.find("\n", end)
    # A comment in the line of the last value stays there.
    at = len(text) if rest < 0 else rest + 1
    lead = line if rest < 0 else ""
    return at, at, f"{lead}{indent}{_mapping(indent, name, entry, line)}{line}"


def append(text: str, node: TreeNode, new: str) -> Change:
    """The text `new` after the last item of the list `node`."""
    if text[node.start : node.start + 1] == "[":
        return jsonc.append(text, node, new)
    last = node.value[-1]
    lead, end = text[text.rfind("\n", 0, last.start) + 1 : last.start], len(text[: last.end].rstrip())
    if lead.strip() != "-":
        raise UnreadableFormat(last.start, "an item that does not begin its line cannot be edited")
    return end, end, f"{newline(text)}{lead}{scalar(new)}"


def remove(text: str, spans: list[tuple[int, int]], at: int) -> list[Change]:
    """Of what stands at `spans` the one with the index `at` goes."""
    start, end = spans[at][0], len(text[: spans[at][1]].rstrip())
    begin = text.rfind("\n", 0, start) + 1
    if text[begin:start].strip() != "-":
        return jsonc.remove(text, spans, at)
    rest = re.compile(r"[ \t]*(?:\r?\n|$)").match(text, end)
    return [(begin, rest.end(), "")] if rest else [(start, end, '""')]


def _mapping(indent: str, name: str, entry: dict[str, Any], line: str) -> str:
    rows = [f"{name}:", *(f"{indent}  {key}: {scalar(value)}" for key, value in entry.items())]
    return line.join(rows)


def item(indent: str, entry: dict[str, Any], line: str = "\n") -> str:
    """The keys of an item of a block list whose dash stands at `indent`, without the dash."""
    rows = [f"{key}: {scalar(value)}" for key, value in entry.items()]
    return f"{line}{indent}  ".join(rows)


def scalar(value: Any) -> str:
    """A value as YAML that every reader takes for it: as JSON, with what YAML does not print escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)


def compose(text: str) -> None:
    """Raises UnreadableFormat where an alias names nothing, or `text` is not YAML."""
    try:
        yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        raise UnreadableFormat(0, "not YAML") from None


def _item_at(text: str, node: TreeNode, entry: dict[str, Any]) -> str:
    if text[node.start : node.start + 1] == "{":
        return scalar(entry)
    column = node.start - (text.rfind("\n", 0, node.start) + 1)
    return item(" " * (column - 2), entry, newline(text))


def _removal(text: str, start: int, end: int) -> Change:
    dash = _DASH.search(text, 0, start)
    if not dash:
        raise UnreadableFormat(start, "an item that does not begin its line cannot be removed")
    rest = re.compile(r"[ \t]*(\r?\n)?").match(text, end)
    if rest and (rest[1] or rest.end() == len(text)):
        return dash.start(1), rest.end(), ""
    return dash.start(1), end, ""
