"""JSON in a text: the whole text, a line of it, or a part of it, read as the value that it is.

Law of this file: JSON is read once from each place at which it may begin, and of many such places a bounded
number is tried. If JSON is cut off, what stands before the cut is read. What was removed before may be a
part of it, and is not read.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import msgspec

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.objects import (
    ARGUMENTS,
    Judge,
    NumberedLeaf,
    ObjectReading,
    words,
)
from mcpguard.core.redaction.detectors.named.values import Found
from mcpguard.core.redaction.engine.matching import PAD, stop

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
)
"""How a text ends that names something beside it or below it, in lower case, and what stands behind it. What
stands right behind its name is found by `pairs`, and `key` and `auth` alone say nothing."""
PEEK = "".join(rf"(?<!\"{word}\"{'.' * size})" for word in ("key", "auth") for size in range(1, 5))
PEEK += r"(?:(?<!\n)|\s{0,32}[}\]])"
MARKS = 'keyname"', *(f'{mark}"' for mark in ("sensitive", "secure", "secret", "masked", "httponly"))
PEEK_MARKS = r"(?:(?<=[Mm][Ee]\")\s{0,64}:\s{0,64}\"|\s{0,64}:\s{0,64}true)"
"""Names of members that say something of others beside them, and what stands behind these."""

_KEYS = tuple(
    word.encode()
    for word in (
        *("name", "key", "id", "variable", "parameter", "option", "setting", "field", "label", "header"),
        *("property", "title", '"k'),
    )
)
"""How the names of members end whose text names something beside it, in lower case."""
_TYPES = b"securestring", b"concealed", b"password", b"secret"
_decode_lines = msgspec.json.Decoder().decode_lines
_STRING = expression(rb'"((?:[^"\\]|\\.)*+)"')
_SIGN = expression(rb'"(?:[^"\\\x1f\xff]|\\.)*+"?|[{}\[\],\x1f\xff]')
_OPENS, _SPACE = b"{[", b" \t\r\n"
_CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}
TABLE = r"\[\s*\[[\s\"\[\]{0-9tfn-]"
"""Where a list begins in a list, with what may be JSON."""
_TABLE = expression(TABLE.encode())
_CELL = expression(rb'\s{0,64}"(?:[^"\\\x1f]|\\.){1,128}+"\s{0,64}[,\]]')
_REMOVED = expression(rb"(?<!\xff)\xff{2,}+(?!\Z)")
_LISTS = tuple(f'{name}"'.encode() for name in (*ARGUMENTS, "eaders"))
"""How the names of lists end in which an option or a header stands before its value."""
_IN_A_LIST = 2
_COMMA, _QUOTE, _COLON = b',":'
_BEHIND, _ENDING = b" \t\r,;)", b"}]"
_FIRST = expression(r"[^\s,;)]")
_LOCAL, _FAR = 4096, 64 * 1024
_IN_VAIN = 16 * 1024
"""Once this many bytes have been read for nothing, less is read of each table."""
_BLANKS, _LONGEST = 8, 160
_NEAR, _HOPS = 512, 16
_DEEPEST = 100
_FOR_ONE = 10
"""Bytes of JSON that take as long to read as a unit of work."""

Part = tuple[int, Any, bytes]
"""Where JSON ends, or up to where something else was read; the value, or None; and the bytes that it was read
from."""


class Documents:
    """The JSON in one text. `spend` is called with what each reading costs."""

    __slots__ = ("_judge", "_leaf", "_may_name", "_read", "_searched", "_spend", "_text", "_vain", "_whole")

    def __init__(self, text: bytes, judge: Judge, spend: Callable[[int], None]) -> None:
        self._whole = self._text = text
        self._judge = judge
        self._spend = spend
        self._may_name: bool | None = None
        self._leaf = 0, -1
        self._searched = -1, False
        self._read: dict[int, Part] = {}
        self._vain = 0
        """How many bytes were read of parts that turned out to be invalid."""

    def secrets(self, at: int) -> tuple[list[Found], int]:
        """What is to be removed from the JSON that a place is in, and how far that was read."""
        leaf, end = self._around(at)
        names = _names_another(self._text, at)
        if not names or (names == _IN_A_LIST and not self._has_tables(leaf, end)):
            return [], at
        return self._first(self._starts(at, leaf, end), at, leaf, end)

    def table(self, at: int) -> tuple[list[Found], int]:
        """The same behind a TABLE, if a text of it may name something: of all JSON of a leaf, and of a part
        that begins there with a text."""
        at -= 1
        leaf, end = self._around(at)
        starts = [(leaf, end)] if self._text[leaf] in _OPENS else []
        most = min(end, at + _FAR) if self._vain < 2 * _IN_VAIN + at else at
        if (
            self._vain > _IN_VAIN
        ):  # Each line of a log may be cut off in a table: then the line alone is read.
            most = self._text.find(b"\n", at, most)
        if most > at and _CELL.match(self._text, at, end):
            starts.append((self._text.rfind(b"[", leaf, at - 1), most))
        if starts and self._may_name is None:
            self._may_name = words().search(self._text, stop)
        if self._may_name is False:
            return [], end
        return self._first(starts, at, leaf, end)

    def _first(
        self, starts: Iterable[tuple[int, int]], at: int, leaf: int, end: int
    ) -> tuple[list[Found], int]:
        """What is to be removed from the first JSON that a place is in, of what may begin at `starts`."""
        stop = at
        for start, most in starts:
            if start < leaf:
                continue
            reaches, value, data = self._read.get(start) or self._part(start, most, start == leaf)
            if reaches >= at and data:
                found = [
                    (start + first, start + last, kind)
                    for first, last, kind in _secrets(value, data, self._judge)
                ]
                return [one for one in found if b"\xff" not in self._whole[slice(*one[:2])]], reaches
            if reaches > at:
                # Not as far as the leaf goes: each place in a long line would search all of it.
                stop = max(stop, min(reaches, self._text.find(b"\n", at, min(end, reaches + _LOCAL))))
        return [], stop

    def _has_tables(self, leaf: int, end: int) -> bool:
        """Whether a text may have a list in which names stand beside values, or above them."""
        if leaf != self._searched[0]:
            text = self._text
            some = any(text.find(name, leaf, end) >= 0 for name in _LISTS)
            self._searched = leaf, some or _TABLE.search(text, leaf, end) is not None
        return self._searched[1]

    def _around(self, at: int) -> tuple[int, int]:
        """Where the leaf that a place is in begins, without spaces, and ends."""
        begin, end = self._leaf
        if end < 0 and self._text.find(PAD[:1]) < len(self._text) - len(PAD):
            # So that what is around it is still JSON: mostly it is in quotes.
            self._text = _REMOVED.sub(lambda found: b"\x7f" * len(found[0]), self._text)
        if not begin <= at <= end:
            text = self._text
            begin = text.rfind(b"\x1f", 0, at) + 1
            begin = max(begin, text.rfind(b"\xff", begin, at) + 1)
            last = text.find(b"\x1f", at)
            end = text.find(b"\xff", at, last if last >= 0 else len(text))
            head = text[begin : min(begin + _NEAR, at)]
            begin, end = begin + len(head) - len(head.lstrip(_SPACE)), end if end >= 0 else last
            self._leaf = begin, end
        return begin, end

    def _starts(self, at: int, leaf: int, end: int) -> Iterator[tuple[int, int]]:
        """Where JSON may begin that a place is in, and up to where it is looked for: the text; the first
        bracket in the line of the place, or a line above that begins with one; and the bracket that is open
        there. Before `leaf` for nothing."""
        yield leaf, end
        text, least, most = self._text, max(leaf, at - _LOCAL), min(end, at + _LOCAL)
        line = max(text.rfind(b"\n", least, at - 1) + 1, least)
        if places := [place for one in (b"{", b"[") if (place := text.find(one, line, at)) >= 0]:
            yield min(places), most
        else:
            yield max(text.rfind(b"\n{", least, at), text.rfind(b"\n[", least, at)) + 1, min(end, at + _FAR)
        yield self._open(at, max(leaf, at - _NEAR)), most

    def _open(self, at: int, least: int) -> int:
        """The bracket before a place that is open there; -1 for none."""
        depth, text = 0, self._text
        for _ in range(_HOPS):
            at = max(text.rfind(one, least, at) for one in (b"{", b"[", b"}", b"]"))
            depth += 1 if text[at] in _OPENS else -1
            if at < 0 or depth > 0:
                return at
        return -1

    def _part(self, start: int, most: int, whole: bool) -> Part:
        """What begins at a place, as far as another: that may be the `whole` text."""
        made = self._read[start] = self._json(start, most, whole)
        self._spend((made[0] - start) // _FOR_ONE)
        if not made[2] and not whole:
            self._vain += made[0] - start
        return made

    def _json(self, start: int, most: int, whole: bool) -> Part:
        text = self._text
        if text[start] not in _OPENS:
            return start, None, b""
        line = text.find(b"\n", start, most)
        if whole:
            data = text[start:most]
            value = _decoded(data) or (line >= 0 and _decoded(data, _decode_lines))
            if value := value or _decoded(b"[%b]" % data.rstrip(_BEHIND)):
                return most, value, data
        data = text[start : line if line >= 0 else most].rstrip(_BEHIND)
        if data[-1] in _ENDING and (value := _decoded(data)):
            return start + len(data), value, data
        return self._bracketed(start, most)

    def _bracketed(self, start: int, most: int) -> Part:
        """What begins with a bracket and ends with the one that closes it, or is cut off."""
        stack: list[int] = []
        cut, depth, reaches = 0, 0, most
        for sign in _SIGN.finditer(self._text, start, most):
            at, char = sign.start(), self._text[sign.start()]
            if char in _CLOSING:
                stack.append(_CLOSING[char])
            elif char == _COMMA:
                cut, depth = at, len(stack)
            elif char != _QUOTE:
                if stack.pop() != char:
                    return at, None, b""
                cut, depth = at + 1, len(stack)
            if not 0 < len(stack) < _DEEPEST:
                reaches = at + 1
                break
        data = self._text[start:cut] + bytes(reversed(stack[:depth]))
        value = _decoded(data)
        return reaches, value, data if value else b""


def _names_another(text: bytes, at: int) -> int:
    """Whether the text in quotes that ends shortly before a place may name another, or what is in it; and
    whether it stands in a list."""
    quote = text.rfind(b'"', at - _BLANKS, at)
    opening = text.rfind(b'"', max(0, at - _LONGEST), quote)
    before = text[max(0, opening - _LONGEST) : max(0, opening)].rstrip(_SPACE)
    if quote == at - 1 or text[quote + 1] == _COLON:
        return quote == at - 1 or before[-1:] in (b"[", b",", b"{")
    if not before.endswith(b":"):
        return _IN_A_LIST * (before[-1:] in (b"[", b","))
    key = before[:-1].rstrip(_SPACE)[:-1].lower()
    return key.endswith(_KEYS) or (key.endswith(b"type") and text[opening:quote].lower().endswith(_TYPES))


def _secrets(value: Any, data: bytes, judge: Judge) -> list[Found]:
    """What is to be removed from the JSON that a value was read from."""
    if not ObjectReading(judge, value).found:
        return []  # Texts that know their place take much.
    strings = [found.span(1) for found in _STRING.finditer(data)]
    made = []
    for leaf, ahead, kind in ObjectReading(judge, _numbered(data)).found:
        assert isinstance(leaf, NumberedLeaf)  # noqa: S101 - as all of that value
        start, end = strings[leaf.part]
        made.append((start + ahead, end, kind))
    return made


def _decoded(data: bytes, decode: Callable[[bytes], Any] = msgspec.json.decode) -> Any:
    """The object or list that it is; None for anything else."""
    try:
        value = decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return value if type(value) in (dict, list) else None


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
