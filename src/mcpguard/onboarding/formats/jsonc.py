"""JSON with comments and trailing commas -> a tree with spans.

The grammar is that of RFC 8259, with `//` and `/* */` comments and a comma before `}` or `]`, as editors
take it. Clients differ in what they accept; a file that is read here and edited keeps its own habits.
"""

from __future__ import annotations

import json
import re

from mcpguard.onboarding.formats.tree import DEPTH_LIMIT, Broken, Member, TreeNode

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_TEXT = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_WORDS = {"true": True, "false": False, "null": None}


def parse(text: str) -> TreeNode:
    """The tree of `text`. Raises Broken."""
    reader = _JsonReader(text)
    node = reader.value(reader.skip(0), 0)
    if reader.skip(node.end) != len(text):
        raise Broken(reader.skip(node.end), "nothing may stand after the end of the value")
    return node


class _JsonReader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, at: int) -> int:
        """Where blanks and comments end that begin at `at`."""
        found = _BLANK.match(self._text, at)
        end = found.end() if found else at
        if self._text.startswith("/*", end):
            raise Broken(end, "this comment has no end")
        return end

    def value(self, at: int, depth: int) -> TreeNode:
        """The value that begins at `at`."""
        if depth > DEPTH_LIMIT:
            raise Broken(at, f"nested deeper than {DEPTH_LIMIT} levels")
        first = self._text[at : at + 1]
        if first == "{":
            return self._map(at, depth)
        if first == "[":
            return self._list(at, depth)
        if first == '"':
            value, end = self._string(at)
            return TreeNode("plain", at, end, value)
        found = _WORD.match(self._text, at)
        if not found:
            raise Broken(at, "a value is expected here" if first else "the file ends too early")
        word = found[0]
        try:
            return TreeNode("plain", at, found.end(), _WORDS[word] if word in _WORDS else json.loads(word))
        except ValueError:
            raise Broken(at, "this number has too many digits") from None

    def _string(self, at: int) -> tuple[str, int]:
        found = _TEXT.match(self._text, at)
        if not found:
            raise Broken(at, "text in double quotes is expected here")
        try:
            return str(json.loads(found[0])), found.end()
        except ValueError:
            raise Broken(at, "this text has an escape that JSON does not know") from None

    def _map(self, start: int, depth: int) -> TreeNode:
        members: list[Member] = []
        at = self.skip(start + 1)
        while self._text[at : at + 1] != "}":
            key, end = self._string(at)
            colon = self.skip(end)
            if self._text[colon : colon + 1] != ":":
                raise Broken(colon, "`:` is expected after a key")
            node = self.value(self.skip(colon + 1), depth + 1)
            members.append(Member(key, at, node))
            at = self._next(node.end, "}")
        return TreeNode("map", start, at + 1, members)

    def _list(self, start: int, depth: int) -> TreeNode:
        items: list[TreeNode] = []
        at = self.skip(start + 1)
        while self._text[at : at + 1] != "]":
            node = self.value(at, depth + 1)
            items.append(node)
            at = self._next(node.end, "]")
        return TreeNode("list", start, at + 1, items)

    def _next(self, end: int, close: str) -> int:
        at = self.skip(end)
        if self._text[at : at + 1] == ",":
            return self.skip(at + 1)
        if self._text[at : at + 1] != close:
            raise Broken(at, f"`,` or `{close}` is expected here")
        return at
