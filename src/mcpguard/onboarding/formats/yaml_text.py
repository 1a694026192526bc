"""YAML -> a tree with spans. Keys and plain values are as in YAML 1.2: `no` and `on` are text."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mcpguard.onboarding.formats.tree import ALIAS, DEPTH_LIMIT, Broken, Member, Node

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def parse(text: str) -> Node:
    """The tree of the only document in `text`. An alias is ALIAS, and not followed. Raises Broken."""
    builder = _Builder(text)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Broken(mark.index if mark else 0, f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError:
        raise Broken(0, "a character is not allowed in YAML") from None
    if builder.root is None:
        return Node("map", 0, 0, [])
    return builder.root


class _Builder:
    def __init__(self, text: str) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._text = text
        self._anchors: set[str] = set()

    def take(self, event: Any) -> None:
        """The next event of the parser."""
        if isinstance(event, yaml.CollectionStartEvent):
            kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            node = Node(kind, *self._span(event), [])  # type: ignore[arg-type]
            self._add(event, node)
            self._open.append(node)
            if len(self._open) > DEPTH_LIMIT:
                raise Broken(node.start, f"nested deeper than {DEPTH_LIMIT} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._add(event, Node("plain", *self._span(event), _scalar(event)))
        elif isinstance(event, yaml.AliasEvent):
            self._add(event, Node("plain", *self._span(event), ALIAS))

    def _span(self, event: Any) -> tuple[int, int]:
        return event.start_mark.index, event.end_mark.index

    def _add(self, event: Any, node: Node) -> None:
        if node.value is not ALIAS and event.anchor:
            if event.anchor in self._anchors:
                # Which one an alias means would change with what goes between them.
                raise Broken(node.start, "an anchor is there twice")
            self._anchors.add(event.anchor)
        if self._open:
            self._open[-1].value.append(node)
        elif self.root is None:
            self.root = node
        else:
            raise Broken(self._span(event)[0], "only one document may stand in a file")

    def _close(self, event: Any) -> None:
        node = self._open.pop()
        _, node.end = self._span(event)
        if self._text[node.start : node.start + 1] not in ("{", "["):
            # The parser sees the end of a block where the next thing begins.
            node.end = node.value[-1].end if node.value else node.start
        if node.kind == "map":
            pairs = zip(node.value[::2], node.value[1::2], strict=True)
            node.value = [Member(str(key.plain()), key.start, value) for key, value in pairs]


def _scalar(event: Any) -> Any:
    if event.style:
        return event.value
    if event.value in _WORDS:
        return _WORDS[event.value]
    return int(event.value) if _INT.fullmatch(event.value) else event.value
