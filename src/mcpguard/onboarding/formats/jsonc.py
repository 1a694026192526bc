"""JSON with comments and trailing commas -> a tree with spans; and edits of its members.

The grammar is that of RFC 8259, with `//` and `/* */` comments and a comma before `}` or `]`, as editors
take it. Clients differ in what they accept; a file that is read here and edited keeps its own habits.
"""

import json
import re
from typing import Any

from mcpguard.onboarding.formats import DEPTH_LIMIT, Change, Member, Step, TreeNode, UnreadableFormat, Way

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_TEXT = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_WORDS = {"true": True, "false": False, "null": None}


def parse(text: str) -> TreeNode:
    """The tree of `text`. Raises UnreadableFormat."""
    reader = _JsonReader(text)
    node = reader.value(reader.skip(0), 0)
    if reader.skip(node.end) != len(text):
        raise UnreadableFormat(reader.skip(node.end), "nothing may follow the end of the value")
    return node


class _JsonReader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, at: int) -> int:
        """Where blanks and comments end that begin at `at`."""
        found = _BLANK.match(self._text, at)
        end = found.end() if found else at
        if self._text.startswith("/*", end):
            raise UnreadableFormat(end, "this comment is not closed")
        return end

    def value(self, at: int, depth: int) -> TreeNode:
        if depth > DEPTH_LIMIT:
            raise UnreadableFormat(at, f"nested deeper than {DEPTH_LIMIT} levels")
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
            raise UnreadableFormat(at, "a value is expected here" if first else "the file ends too early")
        word = found[0]
        try:
            return TreeNode("plain", at, found.end(), _WORDS[word] if word in _WORDS else json.loads(word))
        except ValueError:
            raise UnreadableFormat(at, "this number has too many digits") from None

    def _string(self, at: int) -> tuple[str, int]:
        found = _TEXT.match(self._text, at)
        if not found:
            raise UnreadableFormat(at, "text in double quotes is expected here")
        try:
            return str(json.loads(found[0])), found.end()
        except ValueError:
            raise UnreadableFormat(at, "this text has an escape that JSON does not know") from None

    def _map(self, start: int, depth: int) -> TreeNode:
        members: list[Member] = []
        at = self.skip(start + 1)
        while self._text[at : at + 1] != "}":
            key, end = self._string(at)
            colon = self.skip(end)
            if self._text[colon : colon + 1] != ":":
                raise UnreadableFormat(colon, "`:` is expected after a key")
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
            raise UnreadableFormat(at, f"`,` or `{close}` is expected here")
        return at


_LINE_START = re.compile(r"(?:^|\n)([ \t]*)$")


def replace(
    text: str, root: TreeNode, path: Way, steps: list[Step], name: str, entry: dict[str, Any]
) -> list[Change]:
    """In the mapping at `path` the first member of `steps` becomes `name` (unless that is ""), the others
    go."""
    table = root.there(path)
    changes: list[Change] = []
    gone = [member for member in table.value if member.key in steps]
    first = gone[0] if name else None
    if first is not None:
        changes.append((first.start, first.node.end, _member(text, first, name, entry)))
    for member in gone:
        if member is not first:
            changes += removal(text, member.start, member.node.end)
    last = table.value[-1]
    kept = [member for member in table.value if member not in gone or member is first]
    if kept and last is not kept[-1] and _comma(text, last.node.end) is None:
        comma = _comma(text, kept[-1].node.end)
        if comma is not None:
            changes.append((comma, comma + 1, ""))
    return changes


def removal(text: str, start: int, end: int) -> list[Change]:
    """The value at `start` to `end` and its comma go, with the lines that they leave empty; comments stay."""
    comma = _comma(text, end)
    before = _LINE_START.search(text, 0, start)
    begin = before.start(1) if before else start
    if comma is not None and text[end:comma].strip():
        return [(start, end, ""), (comma, comma + 1, "")]
    end = end if comma is None else comma + 1
    blank = re.compile(r"[ \t]*(\r?\n)?").match(text, end)
    if blank and before and blank[1]:
        return [(begin, blank.end(), "")]
    return [(start, blank.end() if blank and not blank[1] else end, "")]


def insert(text: str, root: TreeNode, path: Way, name: str, entry: Any) -> Change:
    """`name: entry` after the last member of the mapping at `path`, which is made if it is missing."""
    depth = 0
    node = root
    while depth < len(path) and (inner := node.get(path[depth])) is not None:
        node, depth = inner, depth + 1
    key, value = name, entry
    if depth < len(path):
        key, value = str(path[depth]), {name: entry}
        for step in reversed(path[depth + 1 :]):
            value = {step: value}
    if node.kind != "map":
        raise UnreadableFormat(node.start, "not a mapping")
    line = newline(text)
    if not node.value:
        outer = _indent(text, node.start)
        inner_text = _dumped(key, value, outer + "  ", "  ", line)
        return node.start, node.end, f"{{{line}{outer}  {inner_text}{line}{outer}}}"
    last: Member = node.value[-1]
    indent = _indent(text, last.start)
    fresh = _LINE_START.search(text, 0, last.start) is not None
    body = _dumped(key, value, indent, unit(text), line) if fresh else flat(key, value)
    lead = f"{line}{indent}" if fresh else " "
    comma = _comma(text, last.node.end)
    if comma is None:
        return last.node.end, last.node.end, f",{lead}{body}"
    return comma + 1, comma + 1, f"{lead}{body},"


def append(text: str, node: TreeNode, new: str) -> Change:
    """The text `new` after the last item of the list `node`."""
    dumped = json.dumps(new, ensure_ascii=False)
    if not node.value:
        return node.start + 1, node.start + 1, dumped
    last = node.value[-1]
    fresh = _LINE_START.search(text, 0, last.start)
    lead = newline(text) + fresh[1] if fresh else " "
    return last.end, last.end, f",{lead}{dumped}"


def remove(text: str, spans: list[tuple[int, int]], at: int) -> list[Change]:
    """Of what stands at `spans`, separated by commas, the one with the index `at` goes."""
    start, end = spans[at]
    if at and text[spans[at - 1][1] : start].strip() == ",":
        return [(spans[at - 1][1], end, "")]
    if at + 1 < len(spans) and text[end : spans[at + 1][0]].strip() == ",":
        return [(start, spans[at + 1][0], "")]
    return removal(text, start, end)


def value(text: str, node: TreeNode, new: Any) -> Change:
    """`new` in place of the value at `node`."""
    dumped = json.dumps(new, indent=unit(text), ensure_ascii=False)
    return node.start, node.end, dumped.replace("\n", newline(text) + _indent(text, node.start))


def newline(text: str) -> str:
    """How lines of `text` end."""
    return "\r\n" if "\r\n" in text else "\n"


def unit(text: str) -> str:
    """What one level of indentation is in `text`."""
    found = re.search(r"[\[{][ \t]*(?://[^\n]*)?\r?\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _member(text: str, member: Member, name: str, entry: dict[str, Any]) -> str:
    if "\n" not in text[member.start : member.node.end]:
        return flat(name, entry)
    return _dumped(name, entry, _indent(text, member.start), unit(text), newline(text))


def flat(name: str, value: Any) -> str:
    """A member on one line."""
    return f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"


def _dumped(name: str, value: Any, indent: str, step: str, line: str) -> str:
    dumped = json.dumps(value, indent=step, ensure_ascii=False)
    return f"{json.dumps(name, ensure_ascii=False)}: {dumped}".replace("\n", line + indent)


def _indent(text: str, at: int) -> str:
    found = re.match(r"[ \t]*", text[text.rfind("\n", 0, at) + 1 : at])
    return found[0] if found else ""


def _comma(text: str, end: int) -> int | None:
    found = _BLANK.match(text, end)
    at = found.end() if found else end
    return at if text[at : at + 1] == "," else None
