"""What a text says behind a disguise: its views, and for each place in a view where that comes from.

    undisguised   no invisible characters and colours of a terminal; escapes of URLs, JSON and HTML undone
    decoded       what its base64 and hexadecimal say, where that may hold something that is looked for

Law of this file: a disguise is in this table or it is not promised. The work is linear: each text has at most
one view of each kind, none of them is longer than the text, and views of views end at `DEPTH`.
"""

import re
from base64 import b64encode
from binascii import a2b_base64, a2b_hex
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.detectors import DETECTORS
from mcpguard.core.redaction.matching import HIT_CAP, PAD, Matcher, compile_literals

DEPTH = 3
"""So many disguises over one another are seen through."""

ORDINARY = bytes({*range(0x20, 0x7F), *b"\t\n\r\x1f\xff"} - {*b"%&\\"})
"""Bytes that are in no disguise of the first kind."""
ALPHABET = bytes(97 if (chr(byte).isalnum() and byte < 128) or byte in b"+/_-" else 32 for byte in range(256))
LONG = b"a" * 16
"""`text.translate(ALPHABET)` has this in it where something in `text` may be base64 or hexadecimal, a
piece of it at least: without separators the names of members would be such a piece in every answer."""

_LINES = bytes(10 if byte in b"\n\r\\" else ALPHABET[byte] for byte in range(256))
_SIGN = 6

SEPARATOR = b"\x1f"
WHITE = b" \t\n\r\x0b\x0c\x1f"
_KEPT = re.compile(rb"(?:[^\s\x1f\\]++|\\(?![nr]))++")
_ROUNDS = 4

# What comes to a letter of ASCII, or to nothing: the rest of such escapes says nothing that is looked for.
_UNSEEN = (
    rb"(?<=\xc2)(?:[\x80-\x9f]|\xad)|(?<=\xcd)\x8f|(?<=\xd8)\x9c"
    rb"|(?<=\xe1)(?:\xa0[\x8b-\x8f]|\x85[\x9f\xa0])"
    rb"|(?<=\xe2)(?:\x80[\x8b-\x8f\xaa-\xae]|\x81[\xa0-\xaf])|(?<=\xe3)\x85\xa4"
    rb"|(?<=\xef)(?:\xbb\xbf|\xb8[\x80-\x8f]|\xbe\xa0)"
    rb"|(?<=\xf3)\xa0[\x84-\x87][\x80-\xbf]"
)
# The first byte stands alone, so that what cannot begin one is passed over a byte at a time.
_DISGUISE = re.compile(
    rb"[%\\&\x00-\x08\x0b\x0c\x0e-\x1e\x7f\xc2\xcd\xd8\xe1-\xe3\xef\xf3](?:"
    rb"(?<=%)(?:(?P<url>[0-7][0-9A-Fa-f])|(?P<urls>[89A-Fa-f][0-9A-Fa-f](?:%[89A-Fa-f][0-9A-Fa-f]){1,3}))"
    rb"|(?<=\\)\\{0,7}(?:u(?P<utf16>00[0-7][0-9A-Fa-f]|00[aA][dD]|20[0-9A-Fa-f]{2}|[fF][eE][fF]{2})"
    rb"|x(?P<hex>[0-7][0-9A-Fa-f])|/)"
    rb"|(?<=&)(?:#(?:[xX](?P<xml>[0-9A-Fa-f]{1,6})|(?P<decimal>[0-9]{1,7}))|(?P<name>amp|lt|gt|quot|apos));"
    # Colours and other sequences of a terminal (ECMA-48), controls, and marks that are not seen.
    rb"|(?:(?<=\x1b)\[|(?<=\xc2)\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    rb"|(?<=\x1b)\][^\x07\x1b\x1f]{0,512}(?:\x07|\x1b\\)"
    rb"|(?<=\x1b)(?:[ -/]{1,2}[0-~]|[@-Z\\^_])?|(?<=[\x00-\x08\x0b\x0c\x0e-\x1e\x7f])|"
    + _UNSEEN
    +
    # Letters of tags (U+E0020 to U+E007E) and full width (U+FF01 to U+FF5E).
    rb"|(?<=\xf3)\xa0(?P<tag>[\x80\x81][\x80-\xbf])|(?<=\xef)(?P<wide>\xbc[\x81-\xbf]|\xbd[\x80-\x9e]))"
)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


Size = tuple[int, int]
"""How much of a piece comes from how much: so many bytes from so many characters."""

WHOLE: Size = (1, 1)
"""A piece that is there as it stands."""
REPLACED: Size = (0, 0)
"""A piece all of whose bytes come from all of it."""


class View:
    """`text`, which ends in PAD, is made of pieces of `outer`, None where it is the text itself."""

    __slots__ = ("_flat", "_made", "_outer", "_pieces", "text")

    def __init__(self, text: bytes, outer: "View | None" = None) -> None:
        self.text = text
        self._outer = outer
        self._made: list[int] = []
        self._pieces: list[tuple[int, int, Size]] = []
        self._flat: Flat | None = None

    def add(self, made: int, start: int, end: int, size: Size) -> None:
        """A piece that begins at `made`, of what `outer` has from `start` to `end`."""
        self._made.append(made)
        self._pieces.append((start, end, size))

    @property
    def flat(self) -> "Flat":
        """The same without what stands between its leaves."""
        if self._flat is None:
            self._flat = Flat(self)
        return self._flat

    def place(self, start: int, end: int) -> tuple[int, int]:
        """What is at `start` to `end` here, in the text that all is a view of."""
        if self._outer is None:
            return start, end
        return self._outer.place(self.at(start), self.at(end - 1, 1))

    def at(self, place: int, more: int = 0) -> int:
        """Where in `outer` the byte at `place` begins; with `more`, 1, where it ends."""
        piece = bisect_right(self._made, place) - 1
        start, end, (wide, narrow) = self._pieces[piece]
        if not wide:
            return end if more else start
        offset = (place - self._made[piece] + more) * narrow
        return min(end, start + (-(-offset // wide) if more else offset // wide))


class Flat(View):
    """A view without its separators, so that what was cut up is in one piece; `bounds` is where each leaf but
    the first begins."""

    __slots__ = ("_bounds", "source")

    def __init__(self, outer: View) -> None:
        super().__init__(outer.text.replace(SEPARATOR, b""), outer)
        self.source = outer.text
        self._bounds: list[int] | None = None

    @property
    def bounds(self) -> list[int]:
        """Found when they are first needed: most texts hold nothing."""
        if self._bounds is None:
            self._bounds, size = [], 0
            for leaf in self.source.split(SEPARATOR)[:-1]:
                size += len(leaf)
                self._bounds.append(size)
        return self._bounds

    def at(self, place: int, more: int = 0) -> int:
        return place + bisect_right(self.bounds, place) + more


class Bare(View):
    """A view without its separators, white space and the ends of lines as JSON writes them: what an encoder
    has put into lines is in one piece."""

    __slots__ = ("_source",)

    def __init__(self, outer: View) -> None:
        super().__init__(_bare(outer.text), outer)
        self._source = outer.text

    def at(self, place: int, more: int = 0) -> int:
        if not self._made:
            size = 0
            for found in _KEPT.finditer(self._source):
                self.add(size, *found.span(), WHOLE)
                size += len(found[0])
        return super().at(place, more)


def views(text: bytes, every_run: bool = False) -> Iterator[View]:
    """`text`, which ends in PAD, and all views of it. With `every_run` all base64 is decoded that gives text,
    for what has no literal that it begins with. Raises InspectionError for a flood of beginnings."""
    yield from _below(View(text), DEPTH, every_run)


def may_hide(text: bytes) -> bool:
    """Whether `text` may have views of what is looked for: where one of `signs` is, or `in_lines` says so."""
    if text.translate(None, ORDINARY) and marks().search(text, stop):
        return True
    flat = text.replace(SEPARATOR, b"")
    return beginnings().search(flat, in_run) or in_lines(flat)


def in_lines(flat: bytes) -> bool:
    """Whether the beginning of a format is in `flat` as base64 or hexadecimal that is cut up in lines."""
    ends = flat.translate(_LINES)
    if ends.find(LONG + b"\n") < 0 and ends.find(b"\n" + LONG) < 0:
        return False
    return beginnings().search(_bare(flat), stop)


def _bare(text: bytes) -> bytes:
    return text.replace(b"\\n", b"").replace(b"\\r", b"").translate(None, WHITE)


def _below(view: View, depth: int, every_run: bool) -> Iterator[View]:
    yield view
    for inner in (_undisguised(view), *_decoded(view, every_run)) if depth else ():
        if inner is not None:
            yield from _below(inner, depth - 1, every_run)


# --- undisguised -------------------------------------------------------------------------


def _undisguised(view: View) -> View | None:
    found: View | None = None
    for _ in range(_ROUNDS):
        if not _disguised(view.text):
            break
        view = found = Undisguised(view)
    return found


def _disguised(text: bytes) -> bool:
    """Whether anything in `text` is disguised in the first way so that a letter of a token comes out."""
    return bool(text.translate(None, ORDINARY)) and marks().search(text, stop)


def stop(_index: int, _from: int, _end: int, _flags: int, _text: bytes) -> bool:
    """A Visit: one hit is enough."""
    return True


@cache
def marks() -> Matcher:
    """The compiled `mark_literals`."""
    return compile_literals(mark_literals())


def mark_literals() -> list[bytes]:
    """What is met only where such a disguise is."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-.:=@~"
    unseen = (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, *range(0x180B, 0x1810), *range(0x200B, 0x2010), 0x3164)
    unseen += (*range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0)
    found = {bytes([code]) for code in {*range(32), 0x7F} - {*b"\t\n\r\x1f"}}
    found |= {chr(code).encode() for code in (*range(0x80, 0xA0), *unseen)} | {b"\xf3\xa0"}
    found |= {chr(code + 0xFEE0).encode() for code in letters}
    texts = {f"%{code:02x}" for code in (*letters, *range(9), 0x1B, 0x25)}
    texts |= {"%e2%80", "%e2%81", "%ef%bb", "%c2%ad"}
    texts |= {f"\\u00{high}" for high in range(2, 8)} | {f"\\x{high}" for high in range(2, 8)}
    texts |= {"\\u00ad", "\\u001b", "\\u200", "\\u202", "\\u206", "\\ufeff", "\\x1b", "\\/"}
    texts |= {"&#0", "&#x0", "&amp;#", "&amp;amp"}
    texts |= {shape.format(code) for code in letters for shape in ("&#{};", "&#x{:x};")}
    # A space alone says little, but between digits, or in the first line of a key.
    texts |= {"BEGIN%20", *[f"{digit}%20" for digit in range(10)]}
    both = {one for text in texts for one in (text, text.upper(), text.replace("&#x", "&#X"))}
    mixed = {one[:-1] + one[-1:].upper() for one in both if one.startswith(("%", "&#x"))}
    return sorted(found | {one.encode() for one in both | mixed})


class Undisguised(View):
    """A view as it would be seen, or read by who undoes its escapes."""

    __slots__ = ("_source",)

    def __init__(self, outer: View) -> None:
        self._source = outer.text[: -len(PAD)]
        super().__init__(_DISGUISE.sub(_plain, self._source) + PAD, outer)

    def at(self, place: int, more: int = 0) -> int:
        if not self._made:
            self._make()
        return super().at(place, more)

    def _make(self) -> None:
        at = size = 0
        for match in _DISGUISE.finditer(self._source):
            start, end = match.span()
            if start > at:
                self.add(size, at, start, WHOLE)
                size += start - at
            plain = _plain(match)
            if plain:
                self.add(size, start, end, REPLACED)
                size += len(plain)
            at = end
        self.add(size, at, len(self._source) + len(PAD), WHOLE)


def _plain(match: re.Match[bytes]) -> bytes:
    """What a match of `_DISGUISE` stands for, "" for nothing."""
    kind = match.lastgroup
    if kind is None:
        return b"/" if match[0][-1:] == b"/" else b""
    said = match[kind]
    if kind == "name":
        return _NAMED[said]
    if kind in ("tag", "wide"):
        low = said[1] & 0x3F | (said[0] & 1) << 6
        return bytes([low + 0x20]) if kind == "wide" else bytes([low]) if 0x20 <= low < 0x7F else b""
    if kind == "urls":
        return bytes.fromhex(said.decode().replace("%", ""))
    number = int(said, 10 if kind == "decimal" else 16)
    if kind in ("url", "hex"):
        return bytes([number])
    return chr(number).encode("utf-8", "surrogatepass") if number <= 0x10FFFF else b""


# --- decoded --------------------------------------------------------------------------------------


class _Way(NamedTuple):
    """One way to write bytes in these letters: `group` of them for `size` bytes."""

    group: int
    size: int
    letters: bytes
    run: re.Pattern[bytes]


_WAYS = {
    "base64": _Way(
        4,
        3,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-",
        re.compile(rb"[A-Za-z0-9+/_-]*"),
    ),
    "hex": _Way(2, 1, b"0123456789abcdefABCDEF", re.compile(rb"[0-9A-Fa-f]*")),
}
_STANDARD = bytes.maketrans(b"-_", b"+/")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_BEFORE = 16


class _Stretch:
    """What is written in one way from `begin` on, where a group begins. `plain` is what it says."""

    def __init__(self, text: bytes, begin: int, way: str) -> None:
        found = _WAYS[way].run.match(text, begin)
        self.way = way
        self.begin = begin
        self.end = begin if found is None else found.end()
        chars = text[begin : self.end]
        self.plain = _hex(chars) if way == "hex" else _base64(chars)

    def has(self, place: int) -> bool:
        """Whether a group begins at this place."""
        return (place - self.begin) % _WAYS[self.way].group == 0


def _hex(chars: bytes) -> bytes:
    return a2b_hex(chars[: len(chars) & ~1])


def _base64(chars: bytes) -> bytes:
    whole = chars[:-1] if len(chars) % 4 == 1 else chars
    return a2b_base64(whole.translate(_STANDARD) + b"=" * (-len(whole) % 4))


@cache
def beginnings() -> Matcher:
    """The compiled literals of `_table`."""
    return compile_literals([literal for literal, *_ in _table()])


@cache
def _table() -> list[tuple[bytes, str, int]]:
    """The literals that begin a format, as each way writes them, at each alignment, and base64 twice over;
    for each its way, and how many characters of its first group stand before it."""
    table: dict[bytes, tuple[str, int]] = {}
    for start in {start.encode() for detector in DETECTORS for start in detector.starts}:
        table |= {text.encode(): ("hex", 0) for text in (start.hex(), start.hex().upper())}
        for once, first in _cores(start):
            table[once] = ("base64", first)
            table |= {twice: ("base64", outer) for twice, outer in _cores(once)}
    return [(literal, *how) for literal, how in table.items()]


def signs() -> tuple[list[bytes], list[bytes]]:
    """The marks, and how `beginnings` begin. In each text that has a view is one of the first, or one of the
    others with `in_run`, unless a line ends within it."""
    return mark_literals(), sorted({literal[:_SIGN] for literal, *_ in _table()})


def in_run(_index: int, _from: int, end: int, _flags: int, flat: bytes) -> bool:
    """A Visit of `beginnings`: whether it stands where there may be base64, and not in a word."""
    return flat[max(0, end - len(LONG)) : end + len(LONG)].translate(ALPHABET).find(LONG) >= 0


def _cores(data: bytes) -> Iterator[tuple[bytes, int]]:
    """What base64 makes of `data` behind 0, 1 or 2 other bytes, without the characters that these share, and
    how many these are; in both alphabets (RFC 4648, sections 4 and 5)."""
    for ahead in range(3):
        first, last = -(-8 * ahead // 6), 8 * (ahead + len(data)) // 6
        core = b64encode(bytes(ahead) + data)[first:last]
        yield core, first
        yield core.translate(_URL_SAFE), first


def _decoded(seen: View, every_run: bool) -> Iterator[View | None]:
    if seen.text.translate(ALPHABET).find(LONG) < 0:
        return
    bare = Bare(seen)
    yield _of_runs(bare, list(_runs(bare.text)))
    if every_run:
        text = seen.flat.text
        found = [
            _Stretch(text, one.start(), "base64") for one in _RUN.finditer(text, 0, len(text) - len(PAD))
        ]
        yield _of_runs(seen.flat, [run for run in found if _is_text(run.plain)])


def _of_runs(outer: View, runs: list[_Stretch]) -> View | None:
    view, parts, size = View(b"", outer), [], 0
    for run in runs:
        way = _WAYS[run.way]
        view.add(size, run.begin, run.end, (way.size, way.group))
        parts.append(run.plain)
        size += len(run.plain) + 1
    view.text = b"\xff".join(parts) + PAD
    return view if parts else None


def _is_text(plain: bytes) -> bool:
    try:
        plain.decode()
    except UnicodeDecodeError:
        return False
    return True


def _runs(text: bytes) -> Iterator[_Stretch]:
    """Those in which a format may begin, each at the alignment at which it does."""
    table = _table()
    hits: list[tuple[int, int]] = []

    def visit(index: int, _from: int, end: int, _flags: int, _text: bytes) -> None:
        if len(hits) == HIT_CAP:
            raise InspectionError(f"more than {HIT_CAP} hits")
        hits.append((end - len(table[index][0]), index))

    beginnings().search(text, visit)
    open_runs: list[_Stretch] = []
    for at, index in sorted(hits):
        _, way, first = table[index]
        group = at - first
        open_runs = [run for run in open_runs if at < run.end]
        if any(run.way == way and run.has(group) for run in open_runs):
            continue
        begin = _begin(text, group, at, way)
        if begin >= 0:
            open_runs.append(_Stretch(text, begin, way))
            yield open_runs[-1]


def _begin(text: bytes, group: int, at: int, way: str) -> int:
    """Where to begin so that the group at `group` and a little before it is decoded; -1 where the literal at
    `at` cannot be written in this way."""
    size, letters = _WAYS[way].group, _WAYS[way].letters
    if group < 0 or text[group : at + 1].translate(None, letters):
        return -1
    for before in range(_BEFORE, 0, -size):
        if before <= group and not text[group - before : group].translate(None, letters):
            return group - before
    return group
