"""What the codes of characters say in a list (`[97, 98]`, as Node, Go and Python print bytes), behind numbers
(`[[0, 97], [1, 98]]`, `{"0": 97, "1": 98}`), with a fraction (`97.0, 98.0`) or in calls
(`CHR(97)||CHR(98)`).
"""

from array import array
from collections.abc import Iterator
from itertools import accumulate, chain, islice

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.view import ENOUGH, View, ViewBuilder, slices

_PRINTED = "(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6])"
_TWO_DIGITS = "[3-9][0-9]"
CODES = (
    # In a list: a small letter of the second half among four, or eight of neither small letters nor these.
    *(
        form.replace("N", one).replace("S", mark)
        for mark in (",", ", ", r"\x1f", " ")
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

_NUMBER = rb"[0-9]{1,7}(?:\.[0-9]{1,9}(?:e\+0[0-2])?)?"
_SOME = expression(rb"(?:[^0-9]{0,24}" + _NUMBER + rb"){1,2000}")
_EACH = expression(rb"(" + _NUMBER + rb")")
_LEAST = 12
_RUN = expression(_NUMBER + rb"(?:[^0-9\xff]{1,24}" + _NUMBER + rb"){%d,}+" % (_LEAST - 1))
_WIDEST = 3
"""How many numbers may be a row."""
_READABLE = expression(rb"[^\x00]{%d,}+" % _LEAST)
_READ = frozenset((9, 10, 13, *range(32, 127)))


class _Codes(dict[bytes, int]):
    """By number, as it is written, the code that it is; 0 for one that cannot be read."""

    def __missing__(self, number: bytes) -> int:
        code = _code(number)
        return code if code in _READ else 0


_CODES = _Codes({b"%d" % code: code if code in _READ else 0 for code in range(256)})


def coded(view: View, budget: Budget) -> Iterator[View]:
    """What the codes in `view` say. Raises InspectionError where `budget` is used up."""
    pieces = ViewBuilder(view)
    for at, end in slices(view.text):
        for run in _RUN.finditer(view.text, at, end):
            codes, ends = bytearray(), array("I", [run.start()])
            marks, first = set[bytes](), list[bytes]()
            for part in _SOME.finditer(run[0]):
                # What stands between the numbers, and these: many at once, since there may be one for each
                # few bytes, and not all, since each takes fifty.
                parts = _EACH.split(part[0])
                budget.piece(len(parts) // 2)
                ends.extend(islice(accumulate(map(len, parts[:-1]), initial=ends[-1]), 1, None))
                codes += bytes(map(_CODES.__getitem__, parts[1::2]))
                marks.update(parts[0 if first else 2 : -1 : 2])
                first = first or parts[1 : 6 * _WIDEST : 2]
            widest = 1 if len(marks) == 1 and not _counts(first) else _WIDEST
            for width in range(1, widest + 1):
                for column in range(width):
                    _add(pieces, bytes(codes[column::width]), ends, column, width)
            if pieces.size > ENOUGH:
                yield pieces.whole()
                pieces = ViewBuilder(view)
    made = pieces.made()
    if made:
        yield made


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


def _add(pieces: ViewBuilder, codes: bytes, ends: "array[int]", column: int, width: int) -> None:
    """Each run of codes that can be read in one column of `width`; `ends` says where each number is."""
    for found in _READABLE.finditer(codes):
        begin, stop = found.span()
        first, last = 1 + 2 * (column + begin * width), 1 + 2 * (column + stop * width)
        starts_of, ends_of = ends[first : last : 2 * width], ends[first + 1 : last + 1 : 2 * width]
        places = chain.from_iterable(zip(starts_of, ends_of, strict=True))
        pieces.add_each(found[0], range(stop - begin), places)
        pieces.gap()
