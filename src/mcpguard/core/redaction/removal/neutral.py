"""What is hidden in a text, or steers what shows it, becomes visible; what a language needs stays.

Law of this file: a character stays if it is seen, if it is a space or the end of a line, or if it is listed
here with the neighbours that give it a meaning (`_NEEDED`). Any other is written as `[U+200B]`, and a whole
sequence of a terminal is dropped, as the terminal would not show it either. That form is valid inside JSON,
HTML and code. Neutralising what was neutralised changes nothing.

Source: the Unicode Character Database 15.0 (DerivedCoreProperties: Default_Ignorable_Code_Point; PropList:
Bidi_Control; emoji-data: Extended_Pictographic) and ECMA-48, section 5.4 (control sequences).
"""

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import compress, count
from operator import and_, is_not, not_

from mcpguard.core.expressions import expression
from mcpguard.core.legible import GROUPS, HIDDEN, charset
from mcpguard.core.model import Json
from mcpguard.core.redaction.engine.matching import PAD, Matcher, compile_literals
from mcpguard.core.redaction.leaves import SEPARATOR

TERMINAL = "terminal"

_RANGES = sorted((start, end, kind) for kind, ranges in GROUPS.items() for start, end in ranges)
_STARTS = [start for start, *_ in _RANGES]

_EMOJI = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u24c2"
    "\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff\U0001fc00-\U0001fffd"
)
_IDEOGRAPHS = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CURSIVE = charset(
    # Arabic, Syriac, N'Ko, Mandaic and Mongolian, with their presentation forms, and others of their kind.
    *((0x620, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC), (0x1807, 0x180A), (0x1820, 0x18AA)),
    *((0xA840, 0xA877), (0x10A80, 0x10AFF), (0x10D00, 0x10D3F), (0x10F30, 0x10FDF), (0x1E900, 0x1E94B)),
)
_UNJOINED = charset(
    # Joining_Type: Right_Joining and Non_Joining, of the letters of Arabic: after these no joiner is seen.
    *((0x621, 0x625), (0x627, 0x627), (0x629, 0x629), (0x62F, 0x632), (0x648, 0x648), (0x671, 0x677)),
    *((0x688, 0x699), (0x6C0, 0x6C0), (0x6C3, 0x6CB), (0x6CD, 0x6CD), (0x6CF, 0x6CF), (0x6D2, 0x6D5)),
    *((0x6EE, 0x6EF), (0x759, 0x75B), (0x76B, 0x76C), (0x771, 0x771), (0x773, 0x774), (0x778, 0x779)),
)
_KILLED = charset(
    # Indic_Syllabic_Category: Virama and Pure_Killer, from Devanagari to Sinhala.
    *((0x94D, 0x94D), (0x9CD, 0x9CD), (0xA4D, 0xA4D), (0xACD, 0xACD), (0xB4D, 0xB4D), (0xBCD, 0xBCD)),
    *((0xC4D, 0xC4D), (0xCCD, 0xCCD), (0xD3B, 0xD3C), (0xD4D, 0xD4D), (0xDCA, 0xDCA)),
)
_JOINING = charset(
    # The other Brahmic scripts.
    *((0xF00, 0x109F), (0x1700, 0x17B3), (0x17B6, 0x17FF), (0x1A20, 0x1AAD), (0x1B00, 0x1C4F)),
    *((0xA800, 0xA83F), (0xA880, 0xA8FF), (0xA930, 0xA9FF), (0xAA60, 0xAAFF), (0xABC0, 0xABFF)),
    *((0x10A00, 0x10A5F), (0x11000, 0x11FFF)),
)
_INDIC = "\u0900-\u0dff"
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_JOINERS = _ZWNJ + _ZWJ
_HIEROGLYPHS = charset((0x13000, 0x1342F), (0x13440, 0x143FF))
_RIGHT_TO_LEFT = charset(
    *((0x590, 0x61B), (0x61D, 0x8FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC), (0x10800, 0x10FFF)),
    (0x1E800, 0x1EFFF),
)
_UNSPACED = charset(
    *((0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17B3), (0x17B6, 0x17FF), (0x1950, 0x19DF)),
    *((0x1A20, 0x1AAD), (0xA9E0, 0xA9FF), (0xAA60, 0xAADF)),
)
_STANDARDISED = (
    "0\u2200-\u22ff\u2a00-\u2aff\u3001\u3002\uff01-\uff1f\u1000-\u109f\uaa60-\uaa7f\ua840-\ua873"
    + _IDEOGRAPHS
    + _IDEOGRAPHS
)
_MARKS = frozenset("\u061c\u200e\u200f")
_SELECTORS = "\U000e0100-\U000e011f"
_ALONE = expression(f"[\n\b{''.join(_MARKS)}]")
"""What is in a text that is looked at alone: for a mark counts what else is there."""
_FAR = 24
"""Characters to the left or right in which there has to be text from right to left."""
_FEW, _SPARSE = 6, 8
"""This many marks are in a short text, and one in so many characters in a long one."""


def _behind(before: str, character: str, after: str = "") -> str:
    return f"(?<=[{before}][{character}]){after}"


def _any_of(characters: str, *rules: str) -> tuple[str, str]:
    return characters, "|".join(rules)


_RULES = (
    # Where a word may be divided.
    _any_of("\xad", _behind(r"\w", "\xad", r"(?=\w)")),
    # Where a word ends in scripts without spaces, where a file begins, and beside points of Hebrew.
    _any_of("\u200b", _behind(_UNSPACED, "\u200b", f"(?=[{_UNSPACED}])")),
    _any_of("\ufeff", _behind("\n", "\ufeff")),
    _any_of("\u034f", _behind("\u0591-\u05c7", "\u034f")),
    _any_of(
        _JOINERS,
        # In sequences of emoji (UTS 51, ED-9a to ED-16).
        _behind(f"{_EMOJI}\ufe0f\U0001f3fb-\U0001f3ff", "\u200d", f"(?=[{_EMOJI}])"),
        # In scripts that join letters (Unicode standard, 9.2, 12.1 and 23.2), one at a time: where one
        # changes what is seen, and where people type it all the same if no other is near.
        _behind(_CURSIVE, _ZWNJ, f"(?<![{_UNJOINED}].)(?![{HIDDEN}])"),
        _behind(_CURSIVE, _ZWJ, f"(?![{HIDDEN}{_CURSIVE}])"),
        _behind("\u0626", _ZWJ, f"(?=[{_CURSIVE}])"),
        _behind(_KILLED, _JOINERS, f"(?![{HIDDEN}])"),
        # A chillu of Malayalam as it was written before Unicode 5.1, and a letter that does not join it.
        _behind("\u0d4d", _ZWJ, f"(?={_ZWNJ}[\u0d00-\u0d7f])"),
        f"(?<=\u0d4d{_ZWJ}{_ZWNJ})(?=[\u0d00-\u0d7f])",
        _behind(_INDIC, _JOINERS, f"(?=[{_KILLED}])"),
        _behind("\u0905", _ZWJ, "(?=\u0945)"),
        _behind(_JOINING, _JOINERS, f"(?![{HIDDEN}])"),
        f"(?:{_behind(_UNJOINED, _ZWNJ)}|{_behind(_INDIC, _JOINERS)})(?![{HIDDEN}])"
        + "".join(f"(?<![{_UNJOINED}{_INDIC}][{_JOINERS}].{{{near}}}.)" for near in range(1, _SPARSE)),
    ),
    _any_of(
        "\ufe0e\ufe0f",
        _behind(f"{_EMOJI}\U0001f1e6-\U0001f1ff", "\ufe0e\ufe0f"),
        _behind("0-9#*", "\ufe0e\ufe0f", "(?=\u20e3)"),
    ),
    _any_of(
        "\U00013430-\U0001343f",
        _behind(_HIEROGLYPHS, "\U00013430-\U0001343f", f"(?=[{_HIEROGLYPHS}])"),
    ),
    # Variants of characters (StandardizedVariants, the Ideographic Variation Database, Mongolian).
    _any_of("\ufe00-\ufe02", _behind(_STANDARDISED, "\ufe00-\ufe02")),
    _any_of(
        _SELECTORS,
        _behind(_IDEOGRAPHS, _SELECTORS)
        + "".join(f"(?<![{_SELECTORS}].{{{few}}}.)" for few in range(2, _FEW)),
    ),
    _any_of("\u180b-\u180f", _behind("\u1820-\u18aa", "\u180b-\u180f")),
)
_STRING = r"[^\x00-\x1f\x7f-\x9f]{0,4096}+(?:\x07|\x1b\\|\x9c)"
_SEQUENCE = (
    r"(?:(?<=\x1b)\[|(?<=\x9b))[0-?]{0,64}+[ -/]{0,8}+[@-~]"
    rf"|(?:(?<=\x1b)[\]PX^_]|(?<=[\x90\x98\x9d-\x9f])){_STRING}"
    # Of two letters only those that terminals know: a file with keys for an editor has any other.
    r"|(?<=\x1b)(?: [FGLMN]|[!-/]{1,4}[0-~])|(?<=\x1b)[6-9<=>DEHMNOZ\\cln-o|}~]"
)
_BLANK = "\u2800"
_STEERING = f"\x1b\x90\x98\x9b\x9d-\x9f{_BLANK}"
_HIDDEN_ONE = expression(f"[{HIDDEN}]")
_NO_RULE, _STEERS = -1, -2


@lru_cache(4096)
def _rule_of(character: str) -> int:
    """Which of `_RULES` lets a hidden character stay."""
    if re.match(f"[{_STEERING}]", character):
        return _STEERS
    return next((at for at, (of, _) in enumerate(_RULES) if re.match(f"[{of}]", character)), _NO_RULE)


@cache
def _hidden(*wanted: int) -> re.Pattern[str]:
    """A sequence of a terminal, a run of blanks of Braille, or a run of other hidden characters, where these
    rules are `wanted`."""
    needed = "|".join(f"(?<=[{of}])(?:{rest})" for at, (of, rest) in enumerate(_RULES) if at in wanted)
    unless = f"(?!{needed})" if needed else ""
    # The first character stands alone, so that a search passes over all others at once.
    if _STEERS not in wanted:
        return re.compile(f"([{HIDDEN}]{unless}(?:[{HIDDEN}]{unless})*+)")
    return re.compile(
        f"([{HIDDEN}](?:(?<=[{_STEERING[:-1]}])(?:{_SEQUENCE})|(?<={_BLANK}){_BLANK}*+"
        f"|{unless}(?:(?![{_STEERING}])[{HIDDEN}]{unless})*+))"
    )


_ALL_RULES = _STEERS, *range(len(_RULES))


def _hidden_in(text: str) -> re.Pattern[str]:
    """`_hidden` for a text. Each rule is asked of each hidden character, and a hostile text has nothing else
    in it, but mostly of one kind."""
    rules = {*map(_rule_of, _HIDDEN_ONE.findall("".join({*text})))} - {_NO_RULE}
    return _hidden(*(rules if len(rules) < 2 else _ALL_RULES))


_ONE_SEQUENCE = expression(rf"[\x1b\x90\x98\x9b\x9d-\x9f](?:{_SEQUENCE})")
_FROM_RIGHT = expression(f"[{_RIGHT_TO_LEFT}]")
_BEGINS = expression("[\x08\x1b\x90\x98\x9b\x9d-\x9f]")
_OVERSTRUCK = expression(r"([^\x08\n])(?:\x08\1)++|_\x08(?=[^\x08\n_])")
"""Bold and underlined text as a printer makes it, which is how `man` writes to a file."""
_FLAG = "\U0001f3f4"
_NAMES = ("gbeng", "gbsct", "gbwls")
_FLAGS = {"".join(chr(0xE0000 + ord(letter)) for letter in f"{name}\x7f") for name in _NAMES}

_SLICE = 32 * 1024
_LOOKED_AT = _AT_ONCE = 4096
_SHORT = 512
_WRITTEN = 8
_BYTE_ORDER_MARK = "\ufeff"
_SEEN = bytes({*range(0x20, 0x7F), *b"\t\n\x0c\r\xff"})


def neutral(text: str, counts: Counter[str]) -> str:
    """`text` in which nothing is hidden, the very same object if nothing was; adds to `counts` how many
    characters and sequences were neutralised, by kind."""
    while _may_hide(text) and (made := _once(text, counts)) != text:
        text = made
    return text


def _may_hide(text: str) -> bool:
    if text.isascii() and text.isprintable():
        return False
    return len(text) < _SHORT or may_hide_in(text.encode("utf-8", "surrogatepass") + PAD)


def neutralised(parts: list[str], counts: Counter[str]) -> list[str] | None:
    """The same for the leaves of a value, None where nothing is hidden in them."""
    text = "".join(parts)
    if text.isascii() and text.isprintable():
        return None
    alone = _ALONE.search(text) is not None
    del text  # As much as all of them.
    edited = [*parts]
    seen = map(and_, map(str.isascii, parts), map(str.isprintable, parts))
    hiding = array("I", compress(count(), map(not_, seen)))
    for first in range(0, len(hiding), _AT_ONCE):  # There may be as many as names.
        some = hiding[first : first + _AT_ONCE]
        # As lines of one text: nothing that is hidden stays for what is in another line.
        lines = [at for at in some if len(parts[at]) < _SHORT and not (alone and _ALONE.search(parts[at]))]
        shown = neutral("\n".join([parts[at] for at in lines]), counts).split("\n")
        for at, text in zip(lines, shown, strict=False):
            if text != parts[at]:
                edited[at] = text
        for at in {*some}.difference(lines):
            edited[at] = neutral(parts[at], counts)
    return edited if any(map(is_not, edited, parts)) else None


def hides(text: bytes) -> bool:
    """Whether something is hidden in the leaves of `text`, which ends in PAD; 0xFF covers what is not to be
    looked at."""
    if not may_hide_in(text.replace(b"\x1f", b"")):
        return False
    if text.find(b"\xff") < len(text) - len(PAD):
        text = text[: -len(PAD)].replace(b"\xff", b"?") + PAD
    at, size = 0, len(text) - len(PAD)
    while at < size:
        end = text.find(SEPARATOR.encode(), min(at + _SLICE, size)) % (size + 1)
        leaves = text[at:end].decode("utf-8", "surrogatepass").split(SEPARATOR)
        if any(_changes(leaf) for leaf in leaves if not (leaf.isascii() and leaf.isprintable())):
            return True
        at = end + 1
    return False


def _changes(text: str) -> bool:
    """Whether `neutral` would change anything."""
    mark = 1 if text.startswith(_BYTE_ORDER_MARK) else 0
    return any(_shown(text, at, end, Counter()) != text[at:end] for at, end in _pieces(text, mark))


def _once(text: str, counts: Counter[str]) -> str:
    """The same, but for what stays because of a neighbour that does not."""
    mark = 1 if text.startswith(_BYTE_ORDER_MARK) else 0
    return text[:mark] + "".join([_shown(text, at, end, counts) for at, end in _pieces(text, mark)])


def _shown(whole: str, start: int, stop: int, counts: Counter[str]) -> str:
    """What is shown of a piece of the `whole`, which decides too what stays beside the ends of the piece."""
    if "\b" in whole:
        text, count = _OVERSTRUCK.subn(r"\1", whole[start:stop])
        counts[TERMINAL] += count
        parts = _hidden_in(text).split(text)
    else:
        # No call of a function for each: a hostile text has nothing else in it.
        first = max(0, start - _FAR)
        text = whole[first : stop + _FAR]
        parts = _hidden_in(text).split(text)
        _trim(parts, start - first)
        _trim_end(parts, min(len(whole), stop + _FAR) - stop)
    if len(parts) == 1:
        return parts[0]
    found = parts[1::2]
    tally = Counter(found) if len(found) > 1 else {found[0]: 1}
    shown = {one: _written(one) for one in tally}
    marks = sum(tally[mark] for mark in _MARKS & tally.keys())
    parts[1::2] = map(shown.__getitem__, found)
    may_stay = _FLAGS if marks > _FEW + (stop - start) // _SPARSE else _FLAGS | _MARKS
    if any(one in may_stay or one.startswith(_BLANK) for one in tally):
        before = whole[max(0, start - _FAR) : start]
        for at, one in enumerate(found):
            before = (before + parts[2 * at])[-_FAR:]
            if (one in may_stay or one.startswith(_BLANK)) and _stays(one, before, parts[2 * at + 2]):
                parts[2 * at + 1] = one
                tally[one] -= 1
            before += one
    for one, times in tally.items():
        for kind, size in _kinds(one):
            counts[kind] += size * times
    return "".join(parts)


def _trim(parts: list[str], size: int) -> None:
    """Take so many characters away from the beginning of `parts`, of which each second one is hidden; and a
    whole sequence of a terminal that would be cut."""
    while len(parts) > 1 and size >= len(parts[0]) + len(parts[1]):
        size -= len(parts[0]) + len(parts[1])
        del parts[:2]
    if size > len(parts[0]):
        hidden = parts[1]
        parts[1] = "" if _ONE_SEQUENCE.fullmatch(hidden) else hidden[size - len(parts[0]) :]
    parts[0] = parts[0][size:]


def _trim_end(parts: list[str], size: int) -> None:
    """The same from the end, but for a sequence of a terminal, which stays."""
    while len(parts) > 1 and size >= len(parts[-1]) + len(parts[-2]):
        size -= len(parts[-1]) + len(parts[-2])
        del parts[-2:]
    if size > len(parts[-1]) and not _ONE_SEQUENCE.fullmatch(parts[-2]):
        parts[-2] = parts[-2][: len(parts[-1]) - size]
    parts[-1] = parts[-1][: max(0, len(parts[-1]) - size)]


def _stays(found: str, before: str, after: str) -> bool:
    """Whether these characters belong to a flag, to a picture made of Braille, or beside text from right to
    left: at the edge of a word of it, with no other mark in sight."""
    if found[0] == _BLANK:
        return "\u2801" <= before[-1:] <= "\u28ff" or "\u2801" <= after[:1] <= "\u28ff"
    if found in _FLAGS:
        return before.endswith(_FLAG)
    if before[-2:-1] in _MARKS or before[-1:] in _MARKS or (before[-1:].isalnum() and after[:1].isalnum()):
        return False
    line = before.rpartition("\n")[2] + after[:_FAR].partition("\n")[0]
    return _FROM_RIGHT.search(line) is not None


def _kinds(found: str) -> Iterable[tuple[str, int]]:
    if len(found) == 1:
        return _kinds_of_one(found)
    if _ONE_SEQUENCE.fullmatch(found):
        return ((TERMINAL, 1),)
    # A run may be as long as the text, and is of few different characters.
    return [(kind, times) for one, times in Counter(found).items() for kind, _ in _kinds_of_one(one)]


@lru_cache(1024)
def _kinds_of_one(found: str) -> tuple[tuple[str, int]]:
    return ((_RANGES[bisect_right(_STARTS, ord(found)) - 1][2], 1),)


def _written(found: str) -> str:
    if len(found) > 1 and _ONE_SEQUENCE.fullmatch(found):
        return ""
    if len(found) > _WRITTEN:
        return f"[U+{ord(found[0]):04X} and {len(found) - 1} more hidden characters]"
    return "".join([f"[U+{ord(one):04X}]" for one in found])


def spelled(value: Json) -> Json:
    """`value`, in which the characters that begin a sequence of a terminal are written as escapes: where a
    person decides what is sent, nothing of it may be dropped."""
    if type(value) is str:
        return _BEGINS.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    if type(value) is dict:
        made: dict[str, Json] = {}
        for name, child in value.items():
            shown = spelled(name)
            while shown in made or (shown != name and shown in value):
                shown += "_"
            made[shown] = spelled(child)
        return made
    return [spelled(child) for child in value] if type(value) is list else value


def may_hide_in(padded: bytes) -> bool:
    """Whether `padded`, which ends in PAD, has a hidden character in it: at some 1 GB/s."""
    return bool(padded.translate(None, _SEEN)) and _literals().search(padded, lambda *_: True)


def literals() -> list[bytes]:
    """How hidden characters begin in UTF-8."""
    found: dict[bytes, None] = {}
    for start, end, _ in _RANGES:
        for code in range(start, end + 1):
            data = chr(code).encode("utf-8", "surrogatepass")
            # What begins as these do is nearly always one of them.
            found[data[:2] if data[0] in b"\xed\xf3" else data] = None
    return list(found)


@cache
def _literals() -> Matcher:
    return compile_literals(literals(), table="hidden")


def _pieces(text: str, at: int) -> Iterator[tuple[int, int]]:
    """`text` from `at` on, in pieces, so that other threads have their turn: behind the end of a line, if
    there is one."""
    while len(text) - at > _SLICE:
        end = text.rfind("\n", at + _SLICE - _LOOKED_AT, at + _SLICE) + 1 or at + _SLICE
        yield at, end
        at = end
    yield at, len(text)
