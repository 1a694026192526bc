"""What is cut up in lines and put together again: by the width of a terminal or of a column, with or without
numbers, names and marks before each line, and with line ends as JSON writes them."""

import re
from array import array
from collections.abc import Iterator
from functools import lru_cache

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD, Matcher
from mcpguard.core.redaction.engine.patterns import shapes
from mcpguard.core.redaction.views.view import SEPARATOR, SQUEEZED, WHOLE, Size, View, ViewBuilder, lines_of

_RUN = "[A-Za-z0-9+/=_.-]"
LINE_END = _RUN + r"{12}(?:\$?\r?\n|\\[nr])"
KEY_END = r"(?:BEGIN|PRIVATE)[ A-Z]{0,20}-{0,4}\r?\n"
"""In the first line of a key, where that is cut."""
LEAF_END = _RUN + r"{12}\x1f"
LINE_BEGIN = r"\n(?:[ \t]*[0-9]{1,6}[\t:|-] ?|[+>-] ?)?" + _RUN + "{16}"

_BREAK = expression(rb"[ \t]*(?:\$?\r?\n|(?:\\[nr])+)")
_PIECE = expression(rb"[^\s\x00-\x1f\\\"'<>|\xff]+")
_LEAVES = expression(rb"(?:\x1f+%b+){1,4096}+" % _PIECE.pattern)
"""A bounded number, since while it is matched no other thread runs."""
_LAST = expression(rb"[A-Za-z0-9+/=_.-]{1,12}\$?\r?\Z")
_NUMBERED = expression(
    rb"[ \t]*[0-9]{1,7}(?:\t|[:)][ \t]?|-(?=[^-])|[ \t]*(?:\||\xe2\x94\x82)[ \t]?|[ \t]{1,4})"
)
_BARRED = expression(rb"[ \t]*[0-9]{0,7}[ \t_~+-]{0,6}(?:\||\xe2\x94\x82) ?")
_BLAMED = expression(rb"\^?[0-9a-f]{7,40} (?:\S+ +)?\([^()\n]{8,100}?[0-9]+\) ?")
_DIGITS = bytes(48 if 48 <= byte < 58 else byte for byte in range(256))
_MARKS = b" \t:|>)]#*+-=/;,"
_NO_MARKS = bytes({*range(256)} - {*_MARKS})
_WORDS = b"abcdefghijklmnopqrstuvwxyz_./=-\n\x1f"
"""Of these is what has no digit and no capital: words, and names made of them."""
LIKE_WORDS = bytes({*range(256)} - {*b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
_NAME = expression(rb"(?<![A-Za-z0-9])[a-z]*(?:[A-Z][a-z]+){2,}\Z|[a-z_]{3}\.[A-Z_]+\Z")
_NEXT = expression(rb"\$?\r?\n[ \t]*[a-z_]{2,}[ .(:,)=]")
_LONGEST = 120
_BEFORE = 512
_WIDE = 1024
_SHORT = 12
_LONG = 16
_LF = 10
_EVEN, _NARROW = 16, 32
"""Lines of this many letters of base64 that are as wide as one another are not words, nor are those of fewer
letters and digits."""
_WIDTHS = 64, 76
"""Of lines of base64 (RFC 1421 and 2045)."""
_COST_OF_A_LINE = 3
_BEGINNING = 2


def line_ends() -> Matcher:
    """LINE_END, which is the first, and KEY_END."""
    return shapes("ends", LINE_END, KEY_END, once=False)


def line_begins() -> Matcher:
    """LINE_BEGIN."""
    return shapes("begins", LINE_BEGIN, once=False)


def leaf_ends() -> Matcher:
    """LEAF_END."""
    return shapes("leaves", LEAF_END, once=False)


def joined(view: View, budget: Budget) -> View | None:
    """Each run of `view` that is cut up in lines, in one piece. Raises InspectionError where `budget` is used
    up."""
    text, pieces, done = view.text, ViewBuilder(view), 0
    # What is asked of each place waits until it is known that no run reaches over it.
    for found in sorted(_places(text, line_ends()) + _places(text, line_begins(), _BEGINNING)):
        end, sign = found >> 2, found & 3
        place = _goes_on_at(text, end, sign) if end > done else 0
        if place > done:
            at = done
            for start, end, size in _chain(text, place):
                budget.piece(_COST_OF_A_LINE)
                plain = text[start:end]
                pieces.add(plain if size is WHOLE else plain.translate(None, b"\r\n"), start, end, size)
                done = end
            if done > at:
                pieces.gap()
    return pieces.made(stretches=True)


def _places(text: bytes, signs: Matcher, first: int = 0) -> "array[int]":
    """Where each of the `signs` ends, as plain numbers: four times the place, and which sign it is."""
    places = array("I")
    signs.search(text, lambda index, _from, end, _flags, _text: places.append(4 * end + first + index))
    return places


def _goes_on_at(text: bytes, end: int, sign: int) -> int:
    """Where the line begins that goes on with the one before, where a sign ends; 0 where nothing goes on."""
    if sign != _BEGINNING:
        return end if sign or _goes_on(text, end_of_run(text, end)) else 0
    place = text.rfind(b"\n", 0, end) + 1 if is_random(text, end) else 0
    return place if place and _LAST.search(text, max(0, place - _SHORT - 3), place - 1) else 0


def across(view: View, budget: Budget) -> View | None:
    """Each run of `view` that is cut up in leaves, in one piece: for what is encoded, since two words make a
    third by chance."""
    pieces, text, done = ViewBuilder(view), view.text, 0
    found: re.Match[bytes] | None = None

    def goes_on(_index: int, _from: int, place: int, _flags: int, text: bytes) -> bool:
        nonlocal found
        end = place - 1
        # First as `is_random` asks, for what most leaves are.
        if end < done or not text[end - _SHORT : end].translate(None, LIKE_WORDS) or not _goes_on(text, end):
            return False
        found = _LEAVES.match(text, end)
        return found is not None

    # It begins again behind what is put together: a visit of each leaf in that takes longer.
    while leaf_ends().search(text, goes_on, max(0, done - _SHORT)) and found:
        begin = _line(text, found.start(), _BEFORE)
        while found:
            done = found.end()
            budget.read(done - begin)
            pieces.add(text[begin:done].replace(SEPARATOR, b""), begin, done, SQUEEZED)
            begin = done
            found = _LEAVES.match(text, done)
        pieces.gap()
    return pieces.made(stretches=True)


def _goes_on(text: bytes, end: int) -> bool:
    """Whether the run that ends at `end` may go on: not behind the padding of a base64."""
    return is_random(text, end) and text[end - 2 : end] != b"=="


def is_random(text: bytes, end: int) -> bool:
    """Whether the run that ends at `end` may be a piece of a secret or of something encoded: it has a digit,
    or three capitals beside small letters, as hardly a name has."""
    last = text[max(0, end - _SHORT) : end]
    unlike_words = last.translate(None, LIKE_WORDS)
    if not unlike_words:
        return False
    if not unlike_words.isalpha():
        return True
    return len(unlike_words) >= 3 and not last.isupper()


def is_name(text: bytes, end: int) -> bool:
    """Whether the run that ends at `end` ends as names of code do, and a word begins the next line: lines of
    code are so, and hardly a token is, which has a digit or two capitals in a row."""
    return bool(_NAME.search(text[max(0, end - _SHORT) : end]) and _NEXT.match(text, end))


def _chain(text: bytes, place: int) -> Iterator[tuple[int, int, Size]]:
    """The pieces of the run that goes on at `place`, where a line or a text begins."""
    end = end_of_run(text, place)
    first = -1
    while True:
        found = _BREAK.match(text, end)
        start = found.end() if found else len(text)
        if start >= len(text) - len(PAD):
            return
        ahead = _ahead(text, end, start) if text[start - 1] == _LF else 0
        longer, ahead = ahead < 0, max(ahead, -1 - ahead)
        piece = _PIECE.match(text, start + ahead)
        if not piece or (longer and not _is_run(piece[0])):
            return
        if first < 0:
            begin = _line(text, end, _BEFORE)
            before = _line(text, begin - 1, _BEFORE) if begin else 0
            if text[start - 1] == _LF and begin - before == start - begin:
                yield before + ahead, begin - 1, WHOLE  # As wide: what is cut up may begin there.
            first = begin + ahead
            yield first, end, WHOLE
        yield *piece.span(), WHOLE
        end = piece.end()
        even = _even(text, start, end) if not ahead and text[start - 1] == _LF else None
        if even:
            yield even
            end = even[1]


def _even(text: bytes, start: int, end: int) -> tuple[int, int, Size] | None:
    """The lines of base64 behind that from `start` to `end`, each as wide as that: all in one piece."""
    width = end - start
    if not _EVEN <= width <= _BEFORE:
        return None
    for ends in (1, 2):
        found = _lines_of(width, ends).match(text, end)
        if found:
            return end + ends, found.end(), lines_of(width, ends)
    return None


@lru_cache(64)
def _lines_of(width: int, ends: int) -> re.Pattern[bytes]:
    end, letters = rb"\r\n" if ends == 2 else rb"\n", b"A-Za-z0-9" if width < _NARROW else b"A-Za-z0-9+/"
    return re.compile(rb"(?:%b[A-Za-z0-9][%b]{%d}(?=\r?\n)){2,}+" % (end, letters, width - 1))


def _is_run(piece: bytes) -> bool:
    """Whether what is longer than the line before goes on with it all the same."""
    return len(piece) >= _LONG and bool(piece.translate(None, _WORDS))


def end_of_run(text: bytes, place: int) -> int:
    """Where the run ends that stands before `place`."""
    if text[place - 1 : place] == b"\x1f":
        return place - 1
    if text[place - 2 : place] in (b"\\n", b"\\r"):
        return place - 2
    at = place - 1
    at -= text[at - 1 : at] == b"\r"
    return at - (text[at - 1 : at] == b"$")


def _line(text: bytes, end: int, most: int) -> int:
    """Where the line begins that ends at `end`, at most so far before that."""
    least = max(0, end - most)
    return max(least, *[text.rfind(mark, least, end) + 1 for mark in (b"\n", b"\x1f")])


def _ahead(text: bytes, end: int, start: int) -> int:
    """How much of the line at `start` is not part of what goes on from the line before, which ends at `end`;
    so much below -1 where the line before is shorter."""
    before = _line(text, end, _WIDE)
    stop = text.find(b"\n", start, start + _WIDE)
    stop = min(len(text) - len(PAD), start + _WIDE) if stop < 0 else stop
    leaf = text.find(b"\x1f", start, stop)
    stop = stop if leaf < 0 else leaf
    longer = stop - start > end - before + 2
    one = text[before : min(end, before + _LONGEST)]
    two = text[start : min(stop, start + _LONGEST)]
    alike = _alike(one, two)
    for known in (_NUMBERED, _BARRED, _BLAMED):
        if known.match(one):
            found = known.match(two)
            alike = max(alike, found.end() if found else 0)
    return -1 - alike if longer else alike


def _alike(one: bytes, two: bytes) -> int:
    """How much both lines begin with, but for the digits in it, up to a mark or a space."""
    size = min(len(one), len(two))
    # All bytes at once: those before the first that differs cancel each other out.
    left, right = one[:size].translate(_DIGITS), two[:size].translate(_DIGITS)
    size -= ((int.from_bytes(left) ^ int.from_bytes(right)).bit_length() + 7) // 8
    size = len(two[:size].rstrip(_NO_MARKS))
    if size == 1 and (two[:1] == b"/" or (two[:1] == b"+" and len(one) in _WIDTHS)):
        return 0  # Lines of base64 may begin so too.
    dashes = size - len(two[:size].rstrip(b"-"))
    return size - dashes if dashes > 1 else size  # The first line of a key begins with five.
