"""What the codes of characters say that stand behind numbers or have a fraction: `[[0, 97], [1, 98]]`,
`{"0": 97, "1": 98}`, `97.0, 98.0`, `CHR(97)||CHR(98)`. Those that stand side by side are searched for as they
are.
"""

import re
from array import array
from collections.abc import Iterator
from itertools import accumulate, chain, islice, repeat

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.view import ENOUGH, Pieces, View, slices

CODES = (
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
_SOME = re.compile(rb"(?:[^0-9]{0,24}" + _NUMBER + rb"){1,2000}")
_EACH = re.compile(rb"(" + _NUMBER + rb")")
_LEAST = 12
_RUN = re.compile(_NUMBER + rb"(?:[^0-9\xff]{1,24}" + _NUMBER + rb"){%d,}+" % (_LEAST - 1))
_WIDEST = 3
"""How many numbers may be a row."""
_READABLE = re.compile(rb"[^\x00]{%d,}+" % _LEAST)
_CODES = {code: code for code in (9, 10, 13, *range(32, 127))}


def coded(view: View, budget: Budget) -> Iterator[View]:
    """What the codes in `view` say. Raises InspectionError where `budget` is used up."""
    pieces = Pieces(view)
    for at, end in slices(view.text):
        for run in _RUN.finditer(view.text, at, end):
            codes, ends = bytearray(), array("I", [run.start()])
            for part in _SOME.finditer(run[0]):
                # What stands between the numbers, and these: many at once, since there may be one for each
                # few bytes, and not all, since each takes fifty.
                parts = _EACH.split(part[0])
                budget.piece(len(parts) // 2)
                ends.extend(islice(accumulate(map(len, parts[:-1]), initial=ends[-1]), 1, None))
                codes += bytes(map(_CODES.get, map(_code, parts[1::2]), repeat(0)))
            for width in range(1, _WIDEST + 1):
                for column in range(width):
                    _add(
                        pieces,
                        bytes(codes[column::width]),
                        ends[1 + 2 * column :: 2 * width],
                        ends[2 + 2 * column :: 2 * width],
                    )
            if pieces.size > ENOUGH:
                yield pieces.whole()
                pieces = Pieces(view)
    made = pieces.made()
    if made:
        yield made


def _code(number: bytes) -> int:
    return int(number) if number.isdigit() else int(float(number))


def _add(pieces: Pieces, codes: bytes, starts: "array[int]", ends: "array[int]") -> None:
    """Each run of codes that can be read."""
    for found in _READABLE.finditer(codes):
        begin, stop = found.span()
        places = chain.from_iterable(zip(starts[begin:stop], ends[begin:stop], strict=True))
        pieces.add_each(found[0], range(stop - begin), places)
        pieces.gap()
