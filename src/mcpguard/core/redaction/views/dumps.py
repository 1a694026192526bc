"""What a dump of bytes says: `xxd`, `hexdump`, `od`, bytes in hexadecimal with marks between them."""

import re
from array import array
from binascii import a2b_hex
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain, pairwise
from operator import itemgetter
from struct import calcsize, pack

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import stop
from mcpguard.core.redaction.engine.patterns import shapes
from mcpguard.core.redaction.views.contents import contents
from mcpguard.core.redaction.views.view import ENOUGH, SEPARATOR, View, ViewBuilder, near, windows

_NO_HEX = bytes({*range(256)} - {*b"0123456789abcdefABCDEF\n"})
_SWAPPED = {4: "H", 8: "I", 16: "Q"}
"""By digits of a word, numbers (`array`) of half as many bytes."""
_Decode = Callable[[list[bytes]], list[bytes]]
"""Of the rows of a dump what each says."""


def _plain(rows: list[bytes]) -> list[bytes]:
    joined = b"\n".join(rows)
    for prefix in (b"0x", b"0X"):
        joined = joined.replace(prefix, b"") if prefix in joined else joined
    digits = joined.translate(None, _NO_HEX).split(b"\n")
    return [a2b_hex(row[: len(row) & ~1]) for row in digits]


def _swapped(rows: list[bytes]) -> list[bytes]:
    """Words, each with its last byte first. Of single bytes that is nothing new."""
    words = b" ".join(rows).split()
    sizes = set(map(len, words))
    if len(sizes) == 1 and (form := _SWAPPED.get(sizes.pop())) and not words[0].startswith((b"0x", b"0X")):
        numbers = array(form, a2b_hex(b"".join(words)))
        numbers.byteswap()
        plain = numbers.tobytes()
        ends = accumulate((len(row.translate(None, _NO_HEX)) // 2 for row in rows), initial=0)
        return [plain[start:end] for start, end in pairwise(ends)]
    said = [_swapped_row(row) for row in rows]
    return [one for one, _ in said] if any(wide for _, wide in said) else []


def _swapped_row(row: bytes) -> tuple[bytes, bool]:
    """What it says, and whether it has a word of several bytes."""
    words = row.replace(b"0x", b"").replace(b"0X", b"").replace(b"-", b" ").split()
    sizes = set(map(len, words))
    if any(size % 2 for size in sizes):
        words = [word for word in words if not len(word) % 2]
    # The last byte of all comes first, if the words go backwards too.
    return a2b_hex(b"".join(words[::-1]))[::-1], max(sizes, default=0) > 2


def _numbers(base: int, form: str) -> _Decode:
    """Numbers of as many bytes as `form` has (`struct`), the last byte first."""
    mask = (1 << 8 * calcsize(form)) - 1

    def decode(row: bytes) -> bytes:
        numbers = [int(word, base) & mask for word in row.split()]
        return pack(f"<{len(numbers)}{form}", *numbers)

    return lambda rows: [decode(row) for row in rows]


def _bits(rows: list[bytes]) -> list[bytes]:
    digits = [row.translate(None, b" ") for row in rows]
    return [int(row, 2).to_bytes(len(row) // 8) for row in digits]


def _floats(form: str) -> _Decode:
    """Numbers with a fraction, of as many bytes as `form` has (`struct`)."""

    def decode(row: bytes) -> bytes:
        words = row.split()
        try:
            return pack(f"<{len(words)}{form}", *map(float, words))
        except OverflowError:  # Wider ones.
            return b""

    return lambda rows: [decode(row) for row in rows]


_ESCAPES = {b"\\0": b"\0", b"\\a": b"\a", b"\\b": b"\b", b"\\t": b"\t", b"\\n": b"\n", b"\\f": b"\f"}
_ESCAPES |= {b"\\r": b"\r", b"\\v": b"\v", b"": b" "}
_NAMES = (
    b"nul soh stx etx eot enq ack bel bs ht nl vt ff cr so si "
    b"dle dc1 dc2 dc3 dc4 nak syn etb can em sub esc fs gs rs us sp"
)
_ESCAPES |= {name: bytes([code]) for code, name in enumerate(_NAMES.split())} | {b"del": b"\x7f"}
"""As `od -a` calls them."""


def _cells(rows: list[bytes]) -> list[bytes]:
    """Four columns for each byte."""
    return [_cells_of(row) for row in rows]


def _cells_of(row: bytes) -> bytes:
    cells = [row[at : at + 4].strip() for at in range(0, len(row), 4)]
    return b"".join(
        cell if len(cell) == 1 else _ESCAPES.get(cell) or bytes([int(cell, 8) & 0xFF]) for cell in cells
    )


_Row = tuple[bytes, tuple[_Decode, ...]]


def _row(shape: bytes, *decode: _Decode, behind: bytes = b"") -> _Row:
    """Rows that begin where a line does, or after one of the marks `behind`."""
    begin = rb"(?:^|(?<=\x1f))[ \t]*"
    begin = rb"(?:%b|(?<=[%b]))" % (begin, behind) if behind else begin
    return rb"(?m)" + begin + shape + rb"[ \t]*\r?(?=$|\x1f)", decode


def _units(unit: bytes, *decode: _Decode) -> _Row:
    """Rows of such words, as `od` prints them, with or without an offset before them."""
    return (
        rb"(?m)(?:^|(?<=\x1f))[ \t]*?(?:[0-9A-Fa-f]{6,16})??((?: +" + unit + rb"){1,128})[ \t]*\r?(?=$|\x1f)",
        decode,
    )


_PLACE = rb"(?:0[xX])?[0-9A-Fa-f]{4,16}"
_LAST_WORD = rb" {1,16}[0-9A-Fa-f]{2,14}(?= {2})"
_LOGGED = rb" \t:>|)\]`+,\"\x82\x92-"
"""What may precede a row: a log, the message of an error, a diff."""
_XXD = _row(
    _PLACE + rb"(?::| -)? {1,9}((?:[0-9A-Fa-f]{2}(?: {1,2}|-|(?=\r?$|\x1f))"
    rb"|[0-9A-Fa-f]{4,64}(?: |-|(?=\r?$|\x1f))){1,32}(?:%b)?|%b)[^\n\x1f]*" % (_LAST_WORD, _LAST_WORD),
    _plain,
    _swapped,
    behind=_LOGGED,
)
_HEXDUMP = _row(
    rb"[0-9A-Fa-f]{4,16} {1,3}((?:[0-9A-Fa-f]{2} {1,2}){0,31}[0-9A-Fa-f]{2})"
    rb"(?: +[|>][^\n\x1f]*|  [^\n\x1f]*)?",
    _plain,
    behind=_LOGGED,
)
_HEXYL = _row(
    rb"(?:\xe2\x94\x82|\|)[0-9a-f]{8}(?:\xe2\x94\x82|\|) "
    rb"((?:[0-9a-f]{2} |   |(?:\xe2\x94\x8a|\|) ){9,72})(?:\xe2\x94\x82|\|)[^\n\x1f]*",
    _plain,
    behind=_LOGGED,
)
_WORDS = _units(rb"[0-9A-Fa-f]{4}", _swapped, _plain)
_LONGS = _units(rb"[0-9A-Fa-f]{8}", _swapped, _plain)
_QUADS = _units(rb"[0-9A-Fa-f]{16}", _swapped, _plain)
_MEMORY = _row(
    rb"0x[0-9a-f]{4,16}(?: <[^<>\n]{1,99}>)?:?((?:[ \t]{1,4}0x[0-9a-f]{2,16}){1,16})(?: [^\n\x1f]*)?",
    _plain,
    _swapped,
)
_BITS = _row(rb"[0-9A-Fa-f]{6,16}: ((?:[01]{8} ){1,16}) *(?: [^\n\x1f]*)?", _bits)
_OCTAL = _units(rb"[01][0-7]{5}", _numbers(8, "H"))
_OCTAL_LONGS = _units(rb"[0-3][0-7]{10}", _numbers(8, "I"))
_OCTAL_EIGHTS = _units(rb"[01][0-7]{21}", _numbers(8, "Q"))
_OCTETS = _units(rb"[0-3][0-7]{2}", _numbers(8, "B"))
_DECIMALS = _units(rb"-?[0-9]{1,3}", _numbers(10, "B"))
_SHORTS = _units(rb"-?[0-9]{1,5}", _numbers(10, "H"))
_WIDE = _units(rb"-?[0-9]{1,10}", _numbers(10, "I"))
_EIGHTS = _units(rb"-?[0-9]{1,20}", _numbers(10, "Q"))
_FLOATS = _units(rb"-?[0-9]{1,16}(?:\.[0-9]{1,20})?(?:e[+-][0-9]{2,3})?", _floats("f"), _floats("d"))
_LETTERS = _row(
    rb"(?:[0-9A-Fa-f]{6,16})?((?:   [ -~]|  \\[0abtnvfr]| [0-3][0-7]{2}|%b){1,32})"
    % b"|".join(name.rjust(4) for name in [*_NAMES.split(), b"del"]),
    _cells,
)
_BYTES = expression(
    # What each of these begins with stands alone, so that a search passes over all else at once.
    rb"[0-9A-Fa-f](?<![0-9A-Za-z].)(?:(?<=0)[xX][0-9A-Fa-f]{2}|[0-9A-Fa-f])"
    rb"(?>[:,][ \t\r\n]{0,8}|\]?,?[ \t\r\n]{1,8}\[?|-)"
    rb"(?:(?:0[xX])?[0-9A-Fa-f]{2}(?:[:,][ \t\r\n]{0,8}|\]?,?[ \t\r\n]{1,8}\[?|-)){2,}+"
    rb"(?:(?:0[xX])?[0-9A-Fa-f]{2}(?![0-9A-Za-z]))?"
)
_LINE = expression(rb"[^\r\n]+")


def list_of(first: bytes, rest: bytes, mark: bytes) -> re.Pattern[bytes]:
    """What is in one line of a list: three of these or more, each of a first character and the rest."""
    unit = first + rest
    return expression(
        rb"(%b(?<![0-9A-Za-z.].)%b%b(?:%b%b){2,255}+(?:%b(?![0-9A-Za-z]))?)"
        % (first, rest, mark, unit, mark, unit)
    )


_LISTS = (
    list_of(rb"0", rb"[xX][0-9A-Fa-f]{2}", rb", {0,3}"),
    list_of(rb"[0-9A-Fa-f]", rb"[0-9A-Fa-f]", rb" {1,2}"),
    expression(
        rb"([2-7](?<![0-9A-Za-z].)[0-9A-Fa-f](?:[2-7][0-9A-Fa-f]){3}(?:[2-7][0-9A-Fa-f]){0,60}+)"
        rb"(?![0-9A-Za-z])"
    ),
)
_DUMPS: tuple[tuple[str, tuple[_Row, ...]], ...] = (
    ("[0-9A-Fa-f]{4}(?::| -)? {1,9}(?:[0-9A-Fa-f]{2} {1,2}){5}", (_XXD, _HEXDUMP)),
    (r"(?:\x82|\|) (?:[0-9A-Fa-f]{2} {1,2}){5}", (_HEXYL,)),
    ("[0-9A-Fa-f]{7}: [0-9A-Fa-f]{2,64} ", (_XXD,)),
    ("[0-9A-Fa-f]{7} (?:[0-9A-Fa-f]{2} ){1,3}[0-9A-Fa-f]{2}\r?\n", (_HEXDUMP,)),
    ("(?:[0-9A-Fa-f]{4} {1,4}){4}", (_XXD, _WORDS)),
    (" [0-9A-Fa-f]{4}\r?\n", (_WORDS,)),
    ("(?:^|[^0-9A-Fa-f])[0-9A-Fa-f]{8} [0-9A-Fa-f]{8}(?:[^0-9A-Fa-f]|$)", (_XXD, _LONGS)),
    (" [0-9A-Fa-f]{8}\r?\n", (_LONGS,)),
    (r" [0-9A-Fa-f]{16}[ \r\n\x1f]", (_XXD, _QUADS)),
    (": (?:[01]{8} )", (_BITS,)),
    (" [01][0-7]{5}[ \r\n]", (_OCTAL,)),
    (" [0-3][0-7]{10}[ \r\n]", (_OCTAL_LONGS,)),
    (" [01][0-7]{21}[ \r\n]", (_OCTAL_EIGHTS,)),
    ("(?:[01][0-7]{2} ){4}", (_OCTETS,)),
    ("(?: {1,3}-?[0-9]{1,3}){4}", (_DECIMALS,)),
    (" {1,3}[0-9]{5}[ \r\n]", (_SHORTS,)),
    (" [0-9]{9,10}[ \r\n]", (_WIDE,)),
    (" [0-9]{18,20}[ \r\n]", (_EIGHTS,)),
    ("[0-9]e[+-][0-9]{2}", (_FLOATS,)),
    ("[!-~]   [!-~]   [!-~]   [!-~]   [!-~]", (_LETTERS,)),
    ("\t0x[0-9a-f]{2,16}\t0x", (_MEMORY,)),
)
"""The shape of what is dumped, and the rows in which that is."""
OFFSET = (
    r"(?:^|[\n\r\t x:>|)\]`+,\"\-\x1f\x82\x92\xff])0000"
    r"(?:[0-9a-f][0-9a-f][: 0-9a-f]|(?::| -)? {1,3}[0-9a-f]{2} [0-9a-f]{2} )"
)
"""How rows of a dump begin, up to a megabyte."""
UNITS = "|".join(f"[0-9a-f]{{4}}\\n {{{spaces}}}[0-9a-f]{{4}}" for spaces in range(1, 10))
"""Where rows have no offset. Indented code costs half as much where each form has one length."""
BARE = (
    "(?:[0-9A-Fa-f]{2} ){6}",
    "(?:[0-9A-Fa-f]{2}[:,-]){6}",
    "0[xX][0-9A-Fa-f]{2},? ?0[xX]",
    "0x[0-9a-f]{4,8}:  [0-9a-f]{4} [0-9a-f]{4}",
    "(?:[0-9a-f]{8} ){4}",
    "[^0-9A-Za-z](?:[2-7][0-9A-Fa-f]){8}",
    "\t0x[0-9a-f]{2,16}\t0x",
)
BARE_SIGNS = (
    "(?:[0-9][0-9A-Fa-f] ){4}",
    "(?:[0-9][0-9A-Fa-f][:,-]){5}",
    *BARE[2:4],
    "(?:[0-9][0-9a-f]{7} ){2}",
    *BARE[-2:],
)
"""In what BARE finds, and faster to look for: each byte of a text begins with a digit, of others a few in a
row do, and words do not."""
_LEAST = 12
_SHORTEST = 3 * (_LEAST - 1)
_WORD = expression(rb"[0-9A-Za-z]")
_COST_OF_A_ROW = 4
_BEFORE = 256
"""A log has no more than this before a row."""


def dumped(view: View, budget: Budget) -> Iterator[View]:
    """What the dumps of bytes in `view` say."""
    pieces = ViewBuilder(view)
    done: set[int] = set()
    for rows, decode in _dumps(view.text, budget):
        said = [*map(itemgetter(rows[0].re.groups), rows)]
        key = hash((decode, rows[0].start(), *map(re.Match.end, rows), *map(bytes.strip, said)))
        if key not in done:  # Rows of two shapes may look alike, and then say the same.
            done.add(key)
            add_rows(pieces, rows, decode(said), budget)
        yield from pieces.parts(ENOUGH)
    yield from pieces.parts()


def _dumps(text: bytes, budget: Budget) -> Iterator[tuple[list[re.Match[bytes]], _Decode]]:
    """The rows of each dump, and a way to read them."""
    bare = shapes("bare", *BARE).search(text, stop)
    for at, end in near(windows(text, "bare", BARE)) if bare else ():
        for block in _BYTES.finditer(text, at, end):
            if block.end() - block.start() < _SHORTEST:
                continue  # Were it not matched at all, each byte of it would be tried.
            yield [*_LINE.finditer(text, *block.span())], _plain
        for each in _LISTS:
            yield from ((rows, _plain) for rows in behind_others(each.finditer(text, at, end), budget))
    if not bare and not shapes("offsets", OFFSET, UNITS).search(text, stop):
        return
    found = [*windows(text, "dumps", [sign for sign, _ in _DUMPS])]
    signs = set[int]().union(*(indices for _, _, indices in found))
    for row in dict.fromkeys(row for index in sorted(signs) for row in _DUMPS[index][1]):
        expected, ways = row
        for at, end in near(found, {index for index in signs if row in _DUMPS[index][1]}):
            for lines in _blocks(re.compile(expected).finditer(text, at, end)):
                yield from ((lines, decode) for decode in ways)


def _blocks(rows: Iterable[re.Match[bytes]]) -> Iterator[list[re.Match[bytes]]]:
    """Rows that follow one another, each in the next line or text."""
    block: list[re.Match[bytes]] = []
    end = 0
    for row in rows:
        start, stop = row.span()
        if start > end + 1 and block and _between(row.string, end, start):
            yield block
            block = []
        block.append(row)
        end = stop
    if block:
        yield block


def behind_others(rows: Iterable[re.Match[bytes]], budget: Budget) -> Iterator[list[re.Match[bytes]]]:
    """Rows in lines that follow one another, each behind something else: the number of the line, or what a
    log writes. Others are found as they are."""
    for block in _blocks(rows):
        budget.piece(_COST_OF_A_ROW * len(block))
        before = [_before(row) for row in block]
        if len({begin for begin, _ in before}) > 1 and all(is_word for _, is_word in before):
            yield block


def _before(row: re.Match[bytes]) -> tuple[int, bool]:
    """Where the line of a row begins, and whether a word or a number is there before the row."""
    text, start = row.string, row.start()
    least = max(0, start - _BEFORE)
    begin = max(least, text.rfind(b"\n", least, start) + 1)
    begin = max(begin, text.rfind(SEPARATOR, begin, start) + 1)
    return begin, bool(_WORD.search(text, begin, start))


def _between(text: bytes, end: int, start: int) -> bool:
    """Whether a line or a text stands between two rows, or more than what is written before one."""
    return start > end + _BEFORE or text.count(b"\n", end, start) + text.count(SEPARATOR, end, start) > 1


def add_rows(pieces: ViewBuilder, rows: list[re.Match[bytes]], said: list[bytes], budget: Budget) -> None:
    """What these rows say; each byte comes from all of its row, which may show it a second time."""
    starts = array("I", accumulate(map(len, said), initial=0))
    plain = b"".join(said)
    for found in contents(plain, budget) if len(plain) >= _LEAST else ():
        budget.read(len(found.plain))
        if found.packed:
            pieces.add(found.plain, rows[0].start(), rows[-1].end())
        else:
            first, last = bisect_right(starts, found.start) - 1, bisect_left(starts, found.end)
            begins = [start - found.start for start in starts[first:last]]
            begins[0] = 0
            places = chain.from_iterable(map(re.Match.span, rows[first:last]))
            pieces.add_each(plain[found.start : found.end], begins, places)
        pieces.gap()
