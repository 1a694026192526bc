"""YAML text -> a tree in which every value knows its line and column.

Law of this file: nothing surprising survives. A scalar without quotes is null, `true`, `false`, a
decimal number, or else text (so `no`, `on` and `0x1` are text, as in YAML 1.2); aliases, anchors,
tags, further documents, keys that are not text and deep nesting are faults. A file of another program
(`foreign`) may have aliases, anchors that differ, tags and any keys: they are its own matter.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

import yaml
from msgspec import Struct

Kind = Literal["map", "list", "text", "null", "bool", "int", "float", "alias"]

DEPTH_LIMIT = 32
"""How deep lists and mappings may be nested."""
FOREIGN_DEPTH_LIMIT = 64
"""The same in a file of another program."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML 1.1 (section 5.1) does not call printable; a class of the others compiles 3 ms longer.
_NOT_YAML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_UNSEEN = re.compile("[\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Ends of lines for YAML 1.1 but not for a reader of the file, and signs that reverse what is read: by
these a comment could hold a rule, and a rule look like another."""
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_ESCAPE = re.compile(r"\\(?:x(..)|u(....)|U(........)|(\r\n|.))", re.DOTALL)
_BLANK_ESCAPES = frozenset("tnvfrN_LP \t\n\r\x85\u2028\u2029") | {"\r\n"}


class Fault(NamedTuple):
    """Something wrong at `line` and `column` (both from 1; 0 is the whole text)."""

    line: int
    column: int
    message: str


class Node(Struct):
    """A value and its place. `value` is a list of (key, value) Nodes for a map, a list of Nodes for a
    list, None for an alias, else the Python value; `style` of text is one of "", ', ", |, >, that of a
    map or list in brackets is "{". The value is `text[start:end]`."""

    kind: Kind
    line: int
    column: int
    end_line: int
    value: Any
    style: str = ""
    start: int = 0
    end: int = 0


def parse_tree(text: str, foreign: bool = False) -> tuple[Node | None, list[Fault]]:
    """The tree of the one document in `text`, None where it is empty, and all faults.

    Where the YAML itself is broken or too deep there is one fault, and the tree is None.
    """
    bad = _NOT_YAML.search(text)
    if bad:
        line, column = _place(text, bad.start())
        return None, [Fault(line, column, "this character is not allowed in YAML")]
    if not foreign and (unseen := _UNSEEN.search(text)):
        said = f"write this character as an escape in a quoted text: \\u{ord(unseen[0]):04X}"
        return None, [Fault(*_place(text, unseen.start()), said)]
    builder = _Foreign() if foreign else _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
            if builder.depth > builder.depth_limit:
                return None, [Fault(*_start(event), f"nested deeper than {builder.depth_limit} levels")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        said = error.problem or error.context or ""
        advice = _advice(said, text, line, column)
        return None, [Fault(line, column, f"not YAML: {said}{advice and '; '}{advice}")]
    except ValueError:
        # The loader in Python lets chr() fail; the one in C tells the place.
        return None, [Fault(0, 0, "not YAML: an escape names no character")]
    return builder.root, builder.faults


class _Builder:
    """Takes the parser's events in their order."""

    depth_limit = DEPTH_LIMIT

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._open: list[Node] = []
        self._documents = 0

    @property
    def depth(self) -> int:
        """How many lists and mappings are open."""
        return len(self._open)

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._add(event, _scalar(event))
        elif isinstance(event, yaml.CollectionStartEvent):
            kind: Kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            node = Node(kind, *_start(event), 0, [], "{" if event.flow_style else "", *_span(event))
            self._add(event, node)
            self._open.append(node)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(event, Node("alias", *_start(event), 0, None, "", *_span(event)))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents == 2:
                self._fault(event, "a file may contain one document only")

    def _add(self, event: Any, node: Node) -> None:
        if self._documents > 1:
            return
        self._check(event, node)
        if self._open:
            self._open[-1].value.append(node)
        else:
            self.root = node

    def _close(self, event: Any) -> None:
        node = self._open.pop()
        node.end_line = event.end_mark.line + 1
        # The parser sees the end of a block where the next thing begins.
        node.end = _span(event)[1] if node.style or not node.value else node.value[-1].end
        if node.kind == "map":
            node.value = list(zip(node.value[::2], node.value[1::2], strict=True))
            self._check_keys(node)

    def _check(self, event: Any, node: Node) -> None:
        if node.kind == "alias":
            self._fault(event, "aliases (`*name`) are not supported: write the value out, or quote this text")
        elif event.anchor:
            self._fault(event, "anchors (`&name`) are not supported: quote a value that begins with `&`")
        if node.kind == "text" and _NOT_TEXT.search(node.value):
            self._fault(event, "NUL and halves of surrogate pairs are not allowed")
        if getattr(event, "tag", None):
            self._fault(event, "tags (`!name`) are not supported: quote a value that begins with `!`")

    def _check_keys(self, node: Node) -> None:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.kind != "text":
                self.faults.append(Fault(key.line, key.column, "a key must be text"))
            elif key.value in seen:
                message = f"`{key.value}` appears twice; first on line {seen[key.value]}"
                self.faults.append(Fault(key.line, key.column, message))
            else:
                seen[key.value] = key.line

    def _fault(self, event: Any, message: str) -> None:
        self.faults.append(Fault(*_start(event), message))


class _Foreign(_Builder):
    """The same for a file of another program."""

    depth_limit = FOREIGN_DEPTH_LIMIT

    def __init__(self) -> None:
        super().__init__()
        self._anchors: set[str] = set()

    def _check(self, event: Any, node: Node) -> None:
        if node.kind == "alias" or not event.anchor:
            return
        if event.anchor in self._anchors:
            # Which one an alias means would change with what goes between them.
            self._fault(event, "an anchor is there twice")
        self._anchors.add(event.anchor)

    def _check_keys(self, node: Node) -> None:
        """Its reader says what they mean."""


_DEEPER = "what goes on in the next line is indented deeper than its key"
_QUOTE = "quote the whole value, or write it on the next line after `key: >-`"
_ADVICE = {
    "found unknown escape": "in double quotes a backslash begins an escape: use single quotes",
    "found unexpected end of stream": "a quote is not closed",
    "did not find expected ','": "a bracket is not closed, a comma is missing, or a value needs quotes",
    "did not find expected comment": "the text begins on the line after `>` or `|`",
    "did not find expected '-'": "check the indentation of this line",
    "block sequence entries": "write the list on the next lines, or in brackets",
    "found a tab": "indent with spaces",
    "could not find expected ':'": _DEEPER,
}
"""What to do, by the beginning of what libyaml says."""
_VALUE = re.compile(r"[\s-]*[\w.-]+:\s+\S")
"""A line that has a key and the beginning of its value."""
_JOINED = re.compile(r"[\s-]*[\w.-]+:[^\s:]\S*\s*$")
"""A line whose key has no blank after its colon."""
_NO_BLANK = re.compile(r" *([^\S \t])")
"""A line whose indentation has what looks like a blank."""
_SIGN = re.compile(r"(?:[:,{-]\s+|\[\s*|\A\s*)([!&*?])")
"""A sign of YAML with which a value begins."""
_SIGNED = (
    *(f"did not find expected {what}" for what in ("comment", "whitespace", "alphabetic")),
    "mapping keys are not allowed",
)


def _advice(said: str, text: str, line: int, column: int) -> str:
    """What to write where the YAML is broken, "" where that is not plain."""
    lines = [*text.splitlines(), ""]
    if pasted := _pasted(lines, line):
        return pasted
    source = lines[max(line - 1, 0)]
    found = next((advice for start, advice in _ADVICE.items() if said.startswith(start)), "")
    if said.startswith("found character that cannot start"):
        char = source[column - 1 : column]
        return "indent with spaces" if char == "\t" else f"quote this value: it cannot begin with `{char}`"
    if source.lstrip().startswith(("&&", "||")):
        return _DEEPER
    if said.startswith(_SIGNED) and (signs := _SIGN.findall(source[: column + 1])):
        return f"quote this value: it cannot begin with `{signs[-1]}`"
    if said.startswith(("mapping values", "did not find expected key")):
        joined = _JOINED.match(lines[max(line - 2, 0)]) and f"put a blank after the colon in line {line - 1}"
        return (
            _QUOTE if _VALUE.match(source[: column - 1]) else joined or "check the indentation of this line"
        )
    return found


def _pasted(lines: list[str], line: int) -> str:
    """What a merge of git or a copy of a web page has left there; "" for nothing."""
    for number, one in enumerate(lines, 1):
        if one.startswith(("<<<<<<< ", ">>>>>>> ")):
            return f"line {number} belongs to an unresolved merge conflict"
    for number in (line - 1, line):
        if number and (odd := _NO_BLANK.match(lines[number - 1])):
            return f"indent line {number} with spaces: U+{ord(odd[1]):04X} there only looks like one"
    return ""


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _span(event: Any) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index


def _scalar(event: Any) -> Node:
    style = event.style or ""
    kind, value = _quoted(event.value) if style else _plain(event.value)
    return Node(kind, *_start(event), event.end_mark.line + 1, value, style, *_span(event))


def _quoted(text: str) -> tuple[Kind, Any]:
    return "text", text


def _plain(text: str) -> tuple[Kind, Any]:
    if text in ("", "~", "null"):
        return "null", None
    if text in ("true", "false"):
        return "bool", text == "true"
    if _INT.fullmatch(text):
        return "int", int(text)
    if _FLOAT.fullmatch(text):
        return "float", float(text)
    return "text", text


def offset_place(text: str, node: Node, offset: int) -> tuple[int, int]:
    """Line and column (from 1) in `text` of the character at `offset` in the text of `node`.

    Folding and chomping change blanks only, so the k-th character that is not a blank stands in the
    source as the k-th one too; an offset on a blank gives the next character that is not blank, and one
    past the end gives the place after the last.
    """
    before = sum(1 for char in node.value[:offset] if not char.isspace())
    if node.value[offset:].strip():
        start, _ = next(islice(_solid(text, node), before, None))
        return _place(text, start)
    if before:
        _, end = next(islice(_solid(text, node), before - 1, None))
        return _place(text, end)
    return node.line, node.column


def _solid(text: str, node: Node) -> Iterator[tuple[int, int]]:
    """(start, end) in the source of each character of a scalar that is not a blank."""
    lines = text.splitlines(keepends=True)
    at = sum(map(len, lines[: node.line - 1])) + node.column - 1
    if node.style in ("|", ">"):
        at = sum(map(len, lines[: node.line]))
    elif node.style:
        at += 1
    while True:  # a caller takes no more characters than the scalar has
        end = at + 1
        blank = text[at].isspace()
        escape = _ESCAPE.match(text, at) if node.style == '"' else None
        if escape:
            end = escape.end()
            code = escape[1] or escape[2] or escape[3]
            blank = chr(int(code, 16)).isspace() if code else escape[4] in _BLANK_ESCAPES
        elif node.style == "'" and text[at] == "'":
            end = at + 2
        if not blank:
            yield at, end
        at = end


def _place(text: str, index: int) -> tuple[int, int]:
    lines = (text[:index] + "|").splitlines()
    return len(lines), len(lines[-1])
