"""JSON in a text: the whole text, a line of it, or a part of it, read as the value that it is.

Law of this file: JSON is read once from each place at which it may begin, and of many such places a bounded
number is tried. If JSON is cut off, what stands before the cut is read. What was removed before may be a
part of it, and is not read.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.objects import (
    Judge,
    NumberedLeaf,
    ObjectReading,
    words,
)
from mcpguard.core.redaction.detectors.named.roles import ARGUMENTS, PLAIN
from mcpguard.core.redaction.detectors.named.values import Found
from mcpguard.core.redaction.engine.matching import PAD, stop
from mcpguard.core.redaction.engine.prefixes import prefix

_WORDS = (
    *("password", "passwd", "passphrase", "_pass", "pwd", "secret", "token", "key", "auth", "credentials"),
    *("authorization", "cookie", "jwt", "passwords", "secrets", "tokens", "securestring", "concealed"),
)
_CELLS = (
    *("pass", "_pw", '"pw', "psk", "passcode", "mnemonic", "credential", "creds", "authtok", "bearer"),
    *("passwort", "dsn", "sessionid"),
)
"""Further names, as cells of lists alone: as names of members they say less."""
_ENDS = (",", "]", "}", "\n", "\r\n", " }", " ]", ":{", ": {", ":[{", ": [{", ": [\n")
LITERALS = (
    *(f'{word}"{end}' for word in _WORDS for end in _ENDS),
    *(f'{word}"{end}' for word in _CELLS for end in (",", "]", " ]", "\n", "\r\n")),
    *(f'{word}")' for word in (*_WORDS, *_CELLS)),
)
"""How a text ends that names something beside it or below it, in lower case, and what stands behind it. What
stands right behind its name is found by `pairs`, and `key` and `auth` alone say nothing."""
PEEK = "".join(rf"(?<!\"{word}\"{'.' * size})" for word in ("key", "auth") for size in range(1, 5))
PEEK += r"(?:(?<!\n)|\s{0,32}[}\]])"
PRINTED = tuple(
    f"{word}{mark}" for word in (*_WORDS, *_CELLS, "sensitive", "httponly") for mark in ("'", "\\", '"\\')
)
PEEK_PRINTED = r"(?<!['\"]key['\\])(?<!['\"]auth['\\])(?:(?<=')|(?<=\"\\)\\{0,14}[nrt]|\\{0,15}[\"'])"
PEEK_PRINTED += r"(?:\s|\\{1,15}[nrt]){0,4}(?:[,\])}]|(?::|=>)\s{0,4}(?:[\[{(]|[Tt]rue))"
"""The same in single quotes, as Python, JavaScript and Ruby print them; in quotes with backslashes before
them, as in what is a text itself; and with the end of a line behind it that is escaped there."""
MARKS = (
    'keyname"',
    'lease_id"',
    *(f'{mark}"' for mark in ("sensitive", "secure", "secret", "masked", "httponly")),
)
PEEK_MARKS = r"(?:(?<=[MmIi][EeDd]\")\s{0,64}:\s{0,64}\"|\s{0,64}:\s{0,64}true)"
"""Names of members that say something of others beside them, and what stands behind these."""

_KEYS = tuple(
    word.encode()
    for word in (
        *("name", "key", "id", "variable", "parameter", "option", "setting", "field", "label", "header"),
        *("property", "title", '"k', "question", "prompt", "term", "attribute", "heading", "caption"),
        *("description", "path", "text", '"first', '"0'),
    )
)
"""How the names of members end whose text names something beside it, in lower case."""
_OF_CELLS = b"value", b'"v', b'"s'
"""The same where each cell of a row is an object of its own."""
_TYPES = b"securestring", b"concealed", b"password", b"secret"
_VALUES = tuple(
    f'{end}"'.encode()
    for end in (
        *(f'"{name}' for name in sorted(PLAIN)),
        *("alue", "ALUE", '"val', '"Val', '"VAL'),
        *("lease_id", "bcrypt_hash", "aintext", "ainText", "AINTEXT", '"setting', '"Setting', '"SETTING'),
    )
)
"""How the names end of members that may be what another names."""
TABLE = r"\[\s*\[[\s\"\[\]{0-9tfn-]"
"""Where a list begins in a list, with what may be JSON."""
_TABLE = expression(rb'%b|\[\s{0,64}\{\s{0,64}"[^"]{1,64}"\s{0,64}:\s{0,64}\[' % TABLE.encode())
"""The same, or rows that are objects of one list."""
_CELL = expression(rb'\s{0,64}"(?:[^"\\\x1f]|\\.){1,128}+"\s{0,64}[,\]]')
_LISTS = tuple(f'{name}"'.encode() for name in (*ARGUMENTS, "eaders"))
"""How the names of lists end in which an option or a header stands before its value."""
_BESIDE, _IN_A_LIST, _BELOW = 1, 2, 3
_REMOVED = expression(rb"(?<!\xff)\xff{2,}+(?!\Z)")
_STRING = expression(rb'"((?:[^"\\]|\\.)*+)"')
_FIRST = expression(r"[^\s,;)]")
_OPENS, _SPACE = b"{[", b" \t\r\n"
_OF_NAMES = b"abcdefghijklmnopqrstuvwxyz0123456789_$-"
_PREFIXES = frozenset(map(bytes, zip(b"bBuUrR")))
_BREAKS = b"\\n", b"\\r", b"\\t"
_AHEAD, _MARKS_OF_MEMBERS = (b"[", b",", b"{", b"("), (b":", b"=>")
_LOCAL = 4096
BLANKS, _LONGEST = 48, 160
_NEAR, _HOPS, _TRIES = 512, 16, 4
_FEW = 16
_TRIES_IN_VAIN = 64
"""Each line of a log may have a table; one with a usual heading is read nevertheless."""
_COST_OF_A_PART, _COST_OF_A_TABLE = 12, 8
_FOR_ONE = 16
"""Bytes of JSON that take as long to read as a unit of work."""


class _Leaf:
    """One leaf of a text: where it begins, without spaces, and ends; where the first line below begins that
    may be JSON; and whether there may be values beside their names, and tables."""

    __slots__ = ("begin", "below", "end", "has_tables", "has_values")

    def __init__(self, text: bytes, begin: int, end: int) -> None:
        self.begin, self.end = begin, end
        self.below = min(
            (at for one in (b"\n{", b"\n[") if (at := text.find(one, begin, end)) >= 0), default=-1
        )
        self.has_values = any(text.find(name, begin, end) >= 0 for name in _VALUES)
        listed = any(text.find(name, begin, end) >= 0 for name in _LISTS)
        self.has_tables = listed or _TABLE.search(text, begin, end) is not None


class Documents:
    """The JSON in one text. `spend` is called with what each reading costs."""

    __slots__ = (
        *(
            "_edges",
            "_in_vain",
            "_judge",
            "_leaf",
            "_line",
            "_may_name",
            "_next",
            "_read",
            "_spend",
            "_text",
            "_whole",
            "begun",
            "names_nothing",
        ),
    )

    def __init__(self, text: bytes, judge: Judge, spend: Callable[[int], None]) -> None:
        self._whole = self._text = text
        self._judge = judge
        self._spend = spend
        self._may_name: bool | None = None
        self._in_vain = 0
        self._edges: dict[bytes, tuple[int, int]] = {}
        self._leaf: _Leaf | None = None
        self._line = 0, -1
        self._next: dict[int, int] = {}
        self._read: dict[int, tuple[int, bool]] = {}
        self.begun, self.names_nothing = -1, False
        """Where the JSON begins that the last place is in which was asked for, -1 for none; and whether there
        is nothing in all of its leaf that could be named there."""

    def secrets(self, at: int) -> tuple[list[Found], int]:
        """What is to be removed from the JSON that a place is in, and how far that was read."""
        leaf = self._around(at)
        names = names_another(self._text, self._text.rfind(b'"', max(0, at - BLANKS), at), at)
        self.begun, self.names_nothing = -1, not names or (names == _BESIDE and not leaf.has_values)
        if names != _BELOW and not (names and leaf.has_tables) and not (names == _BESIDE and leaf.has_values):
            return [], at
        return self._first(self._starts(at, leaf), at, leaf)

    def table(self, at: int) -> tuple[list[Found], int]:
        """The same behind a TABLE, if a text of it may name something: of all JSON of a leaf, and of a part
        that begins there with a text."""
        at -= 1
        leaf = self._around(at)
        starts = [leaf.begin] if self._text[leaf.begin] in _OPENS and leaf.begin not in self._read else []
        if self._in_vain < _TRIES_IN_VAIN and _CELL.match(self._text, at, leaf.end):
            starts.append(self._text.rfind(b"[", leaf.begin, at - 1))
        if not starts:
            return [], at
        self._spend(_COST_OF_A_TABLE)
        if self._may_name is None:
            self._may_name = words().search(self._text, stop)
        if not self._may_name:
            return [], leaf.end
        found, reach = self._first(starts, at, leaf)
        self._in_vain += not found
        return found, reach

    def _first(self, starts: Iterable[int], at: int, leaf: _Leaf) -> tuple[list[Found], int]:
        """What is to be removed from the first JSON that a place is in, and from what stands before it, of
        what may begin at `starts`."""
        found: list[Found] = []
        for start in starts:
            if start >= leaf.begin:
                if start not in self._read:
                    found += self._part(start, leaf)
                reach, is_json = self._read[start]
                if is_json and reach >= at:
                    self.begun = start
                    return found, reach
        return found, at

    def _around(self, at: int) -> _Leaf:
        """The leaf that a place is in."""
        leaf = self._leaf
        if leaf is None and self._text.find(PAD[:1]) < len(self._text) - len(PAD):
            # So that what is around it is still JSON: mostly it is in quotes.
            self._text = _REMOVED.sub(lambda found: b"\x7f" * len(found[0]), self._text)
        if leaf is None or not leaf.begin <= at <= leaf.end:
            text = self._text
            # Not from the beginning again: in what was exchanged there may be as many leaves as texts.
            least = leaf.end if leaf is not None and leaf.end < at else 0
            begin = text.rfind(b"\x1f", least, at) + 1
            begin = max(begin, text.rfind(b"\xff", max(begin, least), at) + 1, least)
            end = min(self._next_edge(b"\x1f", at), self._next_edge(b"\xff", at))
            head = text[begin : min(begin + _NEAR, at)]
            begin += len(head) - len(head.lstrip(_SPACE))
            leaf = self._leaf = _Leaf(text, begin, end)
        return leaf

    def _next_edge(self, mark: bytes, at: int) -> int:
        """The first `mark` behind a place; the end of the text for none."""
        begin, edge = self._edges.get(mark, (0, -1))
        if not begin <= at <= edge:
            edge = self._text.find(mark, at)
            edge = edge if edge >= 0 else len(self._text)
            self._edges[mark] = at, edge
        return edge

    def _starts(self, at: int, leaf: _Leaf) -> Iterator[int]:
        """Where JSON may begin that a place is in: with the text, or a line of it; in the line of the place,
        or with a line above; and with the bracket that is open there. Before the leaf for nothing."""
        yield leaf.begin
        if leaf.below < at:
            yield leaf.below + 1
        text, (begin, end) = self._text, self._line
        if not begin <= at <= end:
            end = text.find(b"\n", at, leaf.end)
            begin, end = max(text.rfind(b"\n", 0, at - 1) + 1, leaf.begin), end if end >= 0 else leaf.end
            self._line = begin, end
        place = self._next.get(begin, begin)
        for _ in range(_TRIES):
            brackets = [first for one in (b"{", b"[") if (first := text.find(one, place, at)) >= 0]
            if not brackets:
                break
            yield (start := min(brackets))
            place = self._next[begin] = max(start + 1, self._read[start][0])
        if place == begin:
            least = max(leaf.begin, at - _LOCAL)
            yield max(text.rfind(b"\n{", least, at), text.rfind(b"\n[", least, at)) + 1
        yield self._open(at, max(leaf.begin, at - _NEAR))

    def _open(self, at: int, least: int) -> int:
        """The bracket before a place that is open there; -1 for none."""
        depth, text = 0, self._text
        for _ in range(_HOPS):
            at = max(text.rfind(one, least, at) for one in (b"{", b"[", b"}", b"]"))
            depth += 1 if text[at] in _OPENS else -1
            if at < 0 or depth > 0:
                return at
        return -1

    def _part(self, start: int, leaf: _Leaf) -> list[Found]:
        """What is to be removed from what begins at a place, if that is JSON."""
        if self._text[start] not in _OPENS:
            self._read[start] = start, False
            return []
        is_first = start in (leaf.begin, leaf.below + 1)
        size, value, data, cost = prefix(memoryview(self._text)[start : leaf.end], is_first)
        self._read[start] = start + size, value is not None
        self._spend(_COST_OF_A_PART + cost + len(data) // _FOR_ONE)
        found = [] if value is None else _secrets(value, data, self._judge)
        places = [(start + first, start + last, kind) for first, last, kind in found]
        return [one for one in places if b"\xff" not in self._whole[slice(*one[:2])]]


def names_another(text: bytes, end: int, at: int) -> int:
    """Whether the text with a quote at `end`, shortly before `at`, may name another beside it, one of the
    same list, or what is below it; 0 for none of them."""
    opening = opening_before(text, end)
    before = text[max(0, opening - _LONGEST) : max(0, opening)].rstrip(_SPACE)
    before = before[:-1].rstrip(_SPACE) if before[-1:] in _PREFIXES else before
    while before.endswith(_BREAKS):
        before = before[:-2].rstrip(_SPACE + b"\\")
    if text[end + 1 : at].lstrip(_SPACE).startswith((b":", b"=>")):
        return _BELOW if before[-1:] in _AHEAD else 0
    if end == at - 1:
        return _BESIDE  # One of MARKS.
    if not before.endswith(_MARKS_OF_MEMBERS):
        return _IN_A_LIST if before[-1:] in _AHEAD else 0
    key = before[:-1].rstrip(b" \t\r\n=").rstrip(b"\"'\\").lower()
    key = b'"' + key[len(key.rstrip(_OF_NAMES)) :]
    if key.endswith(b"type"):
        return _BESIDE if text[opening:end].lower().endswith(_TYPES) else 0
    return _BESIDE if key.endswith(_KEYS) else _IN_A_LIST if key.endswith(_OF_CELLS) else 0


def opening_before(text: bytes, end: int) -> int:
    """The quote that a text begins with which ends with another one; -1 for none near."""
    quote, least = text[end : end + 1], max(0, end - _LONGEST)
    at = text.rfind(quote, least, max(0, end))
    if at > 0 and text[at - 1 : at] == b"\\":  # As no opening quote has.
        at = text[least:end].replace(b"\\" + quote, b"__").rfind(quote)
        return least + at if at >= 0 else -1
    return at


def _secrets(value: Any, data: bytes, judge: Judge) -> list[Found]:
    """What is to be removed from the JSON that a value was read from."""
    claims = ObjectReading(judge, value).found
    places = [_only_place(data, text) for text, _, _ in claims] if len(claims) <= _FEW else [-1]
    if min(places, default=0) >= 0:
        return [
            (at + ahead, at + len(_encoded(text)), kind)
            for at, (text, ahead, kind) in zip(places, claims, strict=True)
        ]
    # Only now, since texts that know their place take much.
    strings = [found.span(1) for found in _STRING.finditer(data)]
    made = []
    for leaf, ahead, kind in ObjectReading(judge, _numbered(data)).found:
        assert isinstance(leaf, NumberedLeaf)  # noqa: S101 - as all of that value
        start, end = strings[leaf.part]
        made.append((start + ahead, end, kind))
    return made


def _only_place(data: bytes, text: str) -> int:
    """Where a text begins in JSON if it is there only once, and as it is; -1 for anything else."""
    written = b'"%b"' % _encoded(text)
    at = data.find(written)
    if b"\\" in written or written.count(b'"') > len(b'""') or at < 0 or data.find(written, at + 1) >= 0:
        return -1
    return at + 1


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _Members(tuple[tuple[str, Any], ...]):
    """Those of an object, in order."""


class _Again(str):
    """A name that stands a second time in an object, which both are members of."""

    __slots__ = ()
    __eq__, __hash__ = object.__eq__, object.__hash__


_read_one = json.JSONDecoder(object_pairs_hook=_Members, parse_int=float, strict=False).raw_decode


def _numbered(data: bytes) -> Any:
    """What JSON says, or a list of all that it says one behind the other, with texts that know which string
    of it they are; names of members are strings too."""
    text, places, made, at = data.decode("utf-8", "replace"), count(), list[Any](), 0
    while found := _FIRST.search(text, at):
        value, at = _read_one(text, found.start())
        made.append(_placed(value, places))
    return made if len(made) > 1 else made[0]


def _placed(value: Any, places: Iterator[int]) -> Any:
    kind = type(value)
    if kind is str:
        return NumberedLeaf(value, next(places))
    if kind is list:
        return [_placed(child, places) for child in value]
    if kind is not _Members:
        return value
    members: dict[str, Any] = {}
    for name, child in value:
        next(places)
        members[_Again(name) if name in members else name] = _placed(child, places)
    return members
