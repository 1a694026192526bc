"""What the codes of characters say in a list (`[97, 98]`, as Node, Go and Python print bytes), behind numbers
(`[[0, 97], [1, 98]]`, `{"0": 97, "1": 98}`), with a fraction (`97.0, 98.0`) or in calls
(`CHR(97)||CHR(98)`); and what numbers of two to eight bytes say, or rows of bits.
"""

import re
from array import array
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import accumulate, chain, compress, islice
from struct import pack

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.contents import contents
from mcpguard.core.redaction.views.dumps import add_rows, behind_others, list_of
from mcpguard.core.redaction.views.view import ENOUGH, View, ViewBuilder, near, windows

_HEX_WORD = "0[xX](?:[2-7][0-9A-Fa-f]){2,8}"
_PRINTED = "(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6])"
_TWO_DIGITS = "[3-9][0-9]"
CODES = (
    # In a list: a small letter of the second half among four, or eight of neither small letters nor these.
    *(
        form.replace("N", one).replace("S", mark)
        for mark in (",", ", {1,2}", r"\x1f", " {1,2}")
        for form, one in (("NS1[01][0-9]SNSNS", _PRINTED), ("(?:NS){8}", _TWO_DIGITS))
    ),
    rf"{_PRINTED},\n {{1,24}}1[01][0-9],\n {{1,24}}{_PRINTED},",
    rf"(?:{_TWO_DIGITS},\n {{1,24}}){{3}}{_TWO_DIGITS},",
    r"[\])], ?[\[(][0-9]{1,4}, ?[0-9]{2,3}[\])], ?[\[(]",
    r"[0-9]\.0,[ \n]{1,9}[0-9]{2,3}\.0,[ \n]{1,9}[0-9]{2,3}\.0",
    r"[0-9]\.0{1,6}\n[0-9]{2,3}\.0{1,6}\n[0-9]{2,3}\.0",
    r"[0-9]\.0{6}e\+0[12]",
    r"[0-9]\.0\x1f[0-9]{2,3}\.0\x1f[0-9]{2,3}\.0\x1f",
    r"\x1f3\x1f[0-9]{2,3}\x1f4\x1f[0-9]{2,3}\x1f5\x1f",
    r"\"3\": ?[0-9]{2,3},\s{0,9}\"4\": ?[0-9]{2,3}",
    r"[: ]3, ?\"[a-z]{1,12}\": ?[0-9]{2,3}\}, ?\{",
    r"[ ,{\[(]3[:=] ?[0-9]{2,3},? 4[:=] ?[0-9]{2,3}[, ]",
    r"[Cc][Hh][Aa]?[Rr][Ww$]?[(\]][0-9]{2,3}\)?[^0-9\n]{1,9}[Cc][Hh][Aa]?[Rr][Ww$]?[(\]][0-9]{2,3}",
    r"\[3\][ :=>]{1,5}[0-9]{2,3}[,;]?\r?\n[^\n\[]{0,40}\[4\]",
    r"\[3\]=>\s{1,9}int\([0-9]{2,3}\)",
    r"3 {1,12}(?:\||│) {1,9}[0-9]{2,3} {0,9}(?:\||│)?\n(?:\||│)? {0,9}4 {1,12}(?:\||│) {1,9}[0-9]{2,3}",
    r"\[ {0,3}[0-9]{1,4}\](?: {1,3}[0-9]{2,3}){5}",
    r"\.byte[ \t]{1,4}[0-9]{2,3}(?:, ?[0-9]{2,3}){3}",
    r"\n3[ ,:\t=]{1,3}[0-9]{2,3}\r?\n4[ ,:\t=]{1,3}[0-9]{2,3}\r?\n",
)
"""Where there may be such codes."""
NUMBERS = (
    # Two of which each byte can be read.
    rf"{_HEX_WORD}[uUlLn]{{0,3}},?(?:\s{{1,9}}|\x1f){_HEX_WORD}[uUlLn]{{0,3}}[,\s\x1f\]]",
    # Numbers of four or eight bytes are times and identifiers in nearly all lists, so only where it says so.
    r"\"words\": ?\[|sigBytes",
    r"(?:Int|Uint|nt64)(?:32)?Array(?:\([0-9]{1,6}\))? ?\[",
    r"\[1\] => [0-9]{9,20}\n",
    r"0b1[01]{5,6}[, '\"\n\x1f]{1,4}0b1[01]{5,6}[, '\"\n\x1f]",
    r"(?:0[01]{7}(?:[ ,_\n]{1,2}|\x1f)){4}",
    "[01]{64}",
    # A character a row, as `cmp -l` and lists of what Unicode calls it have it.
    r"\n {0,9}[0-9]{1,7} [ 1][0-7]{2} [ 1][0-7]{2}\n {0,9}[0-9]{1,7} [ 1][0-7]{2} [ 1][0-7]{2}\n",
    r"U\+00[2-7][0-9A-Fa-f][^\n]{1,48}\nU\+00[2-7]",
)
"""Where there may be numbers of several bytes, or bits."""

_NUMBER = rb"[0-9]{1,7}(?:\.[0-9]{1,9}(?:e\+0[0-2])?)?"
_END = expression(rb"[0-9](?![0-9.e+])")
_EACH = expression(rb"(" + _NUMBER + rb")")
_LISTS = (list_of(rb"[0-9]", rb"[0-9]{0,2}", rb", {0,3}"), list_of(rb"[0-9]", rb"[0-9]{0,2}", rb" {1,3}"))
_FOR_ONE = 8
"""Numbers, and what stands between them, that cost as much as one piece of another view."""
_AT_ONCE = 16 * 1024
_LEAST = 12
_RUN = expression(_NUMBER + rb"(?:[^0-9\xff]{1,24}" + _NUMBER + rb"){%d,}+" % (_LEAST - 1))
_WORD = rb"(?:0[xX][0-9A-Fa-f]{3,16}|[0-9]{9,20})"
_WORDS = expression(
    rb"(?<![0-9A-Za-z.])"
    + _WORD
    + rb"(?:[uUlLn]{0,3}[^0-9A-Za-z\xff]{1,24}(?:\[[0-9]{1,4}\] => )?"
    + _WORD
    + rb"){1,}+"
)
_EACH_WORD = expression(_WORD)
_BITS = expression(
    rb"(?<![0-9A-Za-z])(?:0[bB])?[01]{6,8}(?:[\s\x1f,'\"_|-]{1,4}(?:0[bB])?[01]{6,8}){11,}+(?![0-9A-Za-z])"
    rb"|(?<![0-9A-Za-z])[01]{16,}(?:\r?\n[01]{8,})*+(?![0-9A-Za-z])"
)
_OCTAL = rb"(?:  [0-7]| [1-7][0-7]|1[0-7]{2})"
_ROWS_OF_CODES = (
    (
        expression(rb"\n {0,9}[0-9]{1,7} %b %b\n" % (_OCTAL, _OCTAL)),
        expression(rb"(?:(?:^|(?<=\n)) {0,9}[0-9]{1,7} %b %b\n){8,4096}+" % (_OCTAL, _OCTAL)),
        (
            expression(rb" *[0-9]+ (%b) [ 0-7]{3}\n" % _OCTAL),
            expression(rb" *[0-9]+ [ 0-7]{3} (%b)\n" % _OCTAL),
        ),
        8,
    ),
    (
        expression(rb"U\+00[0-7]"),
        expression(rb"(?:U\+00[0-7][0-9A-Fa-f] [^\n\xff]{0,64}(?:\n|(?=\xff))){8,4096}+"),
        (expression(rb"U\+00(..)[^\n\xff]*"),),
        16,
    ),
)
"""What such rows have in them, which is faster to search for; a bounded number of rows, since while they are
matched no other thread runs; each of them, by one code or the other in it; and the base of the codes."""
_EACH_BYTE = expression(rb"(?:0[bB])?([01]+)")
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_WIDEST = 3
"""How many numbers may be a row."""
_FORMS = {2: "H", 4: "I", 8: "Q"}
Span = tuple[int, int]
_READABLE = expression(rb"[^\x00]{%d,}+" % _LEAST)
_READ = frozenset((9, 10, 13, *range(32, 127)))
_MOST_KNOWN = 4_096


class _Codes(dict[bytes, int]):
    """By number, as it is written, the code that it is; 0 for one that cannot be read."""

    def __missing__(self, number: bytes) -> int:
        code = _code(number)
        code = code if code in _READ else 0
        if len(self) < _MOST_KNOWN:
            self[number] = code
        return code


_CODES = _Codes({b"%d" % code: code if code in _READ else 0 for code in range(256)})


def coded(view: View, budget: Budget) -> Iterator[View]:
    """What the codes in `view` say. Raises InspectionError where `budget` is used up."""
    pieces, lists = ViewBuilder(view), ViewBuilder(view)
    text = view.text
    for at, end in near(windows(text, "coded", CODES)):
        for run in _RUN.finditer(text, at, end):
            codes, marks, first = bytearray(), set[bytes](), list[bytes]()
            for parts in _parts(text, *run.span()):
                budget.piece(1 + len(parts) // _FOR_ONE)
                codes += bytes(map(_CODES.__getitem__, parts[1::2]))
                marks.update(parts[0 if first else 2 : -1 : 2])
                first = first or parts[1 : 6 * _WIDEST : 2]
            ends = cache(partial(_ends, text, *run.span()))
            widest = 1 if len(marks) == 1 and not _counts(first) else _WIDEST
            for width in range(1, widest + 1):
                for column in range(width):
                    _add(pieces, bytes(codes[column::width]), ends, column, width)
            yield from pieces.parts(ENOUGH)
        for expected in _LISTS:
            for rows in behind_others(expected.finditer(text, at, end), budget):
                add_rows(lists, rows, [*map(_said, rows)], budget)
    yield from pieces.parts()
    yield from lists.parts()


def _parts(text: bytes, start: int, stop: int) -> Iterator[list[bytes]]:
    """What stands between the numbers, and these: many at once, since there may be one for each few bytes,
    and not all, since each takes fifty."""
    while start < stop:
        found = _END.search(text, start + _AT_ONCE, stop)
        end = found.end() if found else stop
        yield _EACH.split(text[start:end])
        start = end


def _ends(text: bytes, start: int, stop: int) -> "array[int]":
    """Where each number begins and ends: asked where something is found."""
    ends = array("I", [start])
    for parts in _parts(text, start, stop):
        ends.extend(islice(accumulate(map(len, parts[:-1]), initial=ends[-1]), 1, None))
    return ends


def _said(row: re.Match[bytes]) -> bytes:
    return bytes(int(one) & 0xFF for one in row[0].replace(b",", b" ").split())


def _counts(numbers: list[bytes]) -> bool:
    """Whether one of the columns that `numbers` may be in counts, so that they are not all codes."""
    for width in range(2, _WIDEST + 1):
        for column in range(width):
            one, two, three = map(_code, numbers[column : column + 3 * width : width][:3])
            if three - two == two - one in (0, 1):
                return True
    return False


def _code(number: bytes) -> int:
    return int(number) if number.isdigit() else int(float(number))


def _add(
    pieces: ViewBuilder, codes: bytes, ends: Callable[[], "array[int]"], column: int, width: int
) -> None:
    """Each run of codes that can be read in one column of `width`; `ends` says where each number is."""
    for found in _READABLE.finditer(codes):
        begin, stop = found.span()
        first, last = 1 + 2 * (column + begin * width), 1 + 2 * (column + stop * width)
        pieces.add_late(found[0], partial(_places, ends, slice(first, last, 2 * width)))
        pieces.gap()


def _places(ends: Callable[[], "array[int]"], which: slice) -> "array[int]":
    starts_of = ends()[which]
    places = array("I", bytes(2 * starts_of.itemsize * len(starts_of)))
    places[::2], places[1::2] = starts_of, ends()[which.start + 1 : which.stop + 1 : which.step]
    return places


def numbered(view: View, budget: Budget) -> Iterator[View]:
    """What the numbers of several bytes and the bits in `view` say. Raises InspectionError where `budget` is
    used up."""
    pieces = ViewBuilder(view)
    for at, end in near(windows(view.text, "numbered", NUMBERS)):
        for run in _WORDS.finditer(view.text, at, end):
            _add_words(pieces, run, budget)
        for run in _BITS.finditer(view.text, at, end):
            if b"1" in run[0]:
                _add_bits(pieces, [*_EACH_BYTE.finditer(view.text, *run.span())], budget)
        for inside, expected, columns, base in _ROWS_OF_CODES:
            for run in expected.finditer(view.text, at, end) if inside.search(view.text, at, end) else ():
                for each in columns:
                    said = bytes([int(code, base) for code in each.findall(run[0])])
                    _add_bytes(pieces, said, _spans(each, run), 1, budget)
    yield from pieces.parts()


def _add_words(pieces: ViewBuilder, run: re.Match[bytes], budget: Budget) -> None:
    """What numbers of as many bytes as the largest has say, the first or the last of them first."""
    words = _EACH_WORD.findall(run[0])
    bases = [16 if word[1] in b"xX" else 10 for word in words]
    numbers = [*map(int, words, bases)]
    wide = max(map(len, compress(words, map((16).__eq__, bases))), default=2) - 2
    largest = max(numbers)
    size = 2 if wide in range(1, 5) else 4 if wide <= 8 and largest < 1 << 32 else 8
    if largest < 1 << 8 * size:
        for order in "><":
            said = pack(f"{order}{len(numbers)}{_FORMS[size]}", *numbers)
            _add_bytes(pieces, said, _spans(_EACH_WORD, run), size, budget)


def _spans(each: re.Pattern[bytes], run: re.Match[bytes]) -> Callable[[], list[Span]]:
    """Where each of a run is: to be asked only where it says something."""
    return lambda: [*map(re.Match.span, each.finditer(run.string, *run.span()))]


def _add_bits(pieces: ViewBuilder, rows: list[re.Match[bytes]], budget: Budget) -> None:
    """What bits say, of which the first or the last of each byte comes first."""
    if all(len(row[1]) <= 8 for row in rows):
        said, places = bytes(int(row[1], 2) for row in rows), [row.span() for row in rows]
    else:
        bits = b"".join(row[1] for row in rows)
        said = int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8)
        places = [(rows[0].start(), rows[-1].end())] * len(said)
    for one in (said, said.translate(_MIRRORED)):
        _add_bytes(pieces, one, lambda: places, 1, budget)


def _add_bytes(
    pieces: ViewBuilder, said: bytes, places: Callable[[], list[Span]], size: int, budget: Budget
) -> None:
    """What can be read of `said`, of which each `size` bytes come from one of `places`."""
    budget.piece(len(said) // size)
    spans: list[Span] = []
    for found in contents(said, budget, 0):
        spans = spans or places()
        first = found.start // size
        text = said[first * size : found.end]
        each = spans[first : -(-found.end // size)]
        pieces.add_each(text, range(0, len(text), size), chain.from_iterable(each))
        pieces.gap()
