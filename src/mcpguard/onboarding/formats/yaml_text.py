"""YAML of other programs -> a tree with spans, by the one reader of YAML (`core/document/yaml_tree.py`)."""

from __future__ import annotations

from mcpguard.core.document import yaml_tree
from mcpguard.onboarding.formats.tree import ALIAS, Broken, Member, TreeNode


def parse(text: str) -> TreeNode:
    """The tree of the only document in `text`. An alias is ALIAS, and not followed; a number with a point is
    text, so that it stays as it is written. Raises Broken."""
    root, faults = yaml_tree.parse_tree(text, foreign=True)
    for line, column, message in faults:
        before = text.splitlines(keepends=True)[: max(line - 1, 0)]
        raise Broken(sum(map(len, before)) + max(column - 1, 0), message)
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
