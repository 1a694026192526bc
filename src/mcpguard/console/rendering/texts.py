"""Text of others as markup: what it says, in the order in which it says it, and nothing that it does.

Law of this file: every character is seen. One that is not printable stands there as its escape; letters that
run from right to left are kept together, so that they move nothing around them; a letter that only looks
like one of the word's alphabet is marked; what redaction took out is a mark of its own. Colour adds nothing
and takes nothing away.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from markupsafe import Markup, escape

from mcpguard.adapters.system.terminal import plain
from mcpguard.console.rendering.languages import PLACEHOLDER, Language, classes_of

_WORD = re.compile(r"\w+")
_LATIN = re.compile(r"[A-Za-z]")
_ALIKE = ("CYRILLIC ", "GREEK ", "ARMENIAN ", "CHEROKEE ", "FULLWIDTH ", "MATHEMATICAL ", "LATIN LETTER ")
_KEPT = "\n\t"
_NAMES = 12
"""How many characters of a run of escapes are named in its title."""


def marked(text: str) -> Markup:
    """`text` as markup that shows all of it."""
    if text.isascii() and text.isprintable() and "[REDACTED:" not in text:
        return escape(text)
    parts: list[Markup] = []
    at = 0
    for found in PLACEHOLDER.finditer(text):
        parts += [visible(text[at : found.start()]), redaction(found[1], found[2])]
        at = found.end()
    return Markup("").join([*parts, visible(text[at:])])


def redaction(kind: str, number: str) -> Markup:
    """The mark of a value that redaction took out."""
    title = f"{kind}: taken out before anything was shown; equal numbers stand for equal values"
    return Markup('<mark class="redacted" title="{}">redacted {}&#8239;#{}</mark>').format(
        title, kind, number
    )


def visible(text: str) -> Markup:
    """`text`, which has no mark of a redaction, with all its characters to be seen."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return escape(text)
    odd = _odd(text)
    pieces = [
        (kind, "".join(c for _, _, c in run)) for kind, run in groupby(_kinds(text, odd), itemgetter(0))
    ]
    return Markup("").join(_piece(kind, piece) for kind, piece in _joined(pieces))


def _kinds(text: str, odd: set[int]) -> Iterator[tuple[str, int, str]]:
    for at, character in enumerate(text):
        if character in _KEPT:
            yield "", at, character
        elif plain(character) != character:
            yield "escape", at, character
        elif at in odd:
            yield "odd", at, character
        elif unicodedata.bidirectional(character) in ("R", "AL"):
            yield "rtl", at, character
        else:
            yield "", at, character


def _odd(text: str) -> set[int]:
    """Where letters stand that look like those of the Latin word around them."""
    found: set[int] = set()
    for word in _WORD.finditer(text):
        if word[0].isascii() or not _LATIN.search(word[0]):
            continue
        for at, character in enumerate(word[0], word.start()):
            if not character.isascii() and unicodedata.name(character, "").startswith(_ALIKE):
                found.add(at)
    return found


def _joined(pieces: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Words from right to left with the single blanks between them, as one: so they read in their order."""
    held = ""
    for at, (kind, piece) in enumerate(pieces):
        between = held and piece == " " and at + 1 < len(pieces) and pieces[at + 1][0] == "rtl"
        if kind == "rtl" or between:
            held += piece
            continue
        if held:
            yield "rtl", held
            held = ""
        yield kind, piece
    if held:
        yield "rtl", held


def _piece(kind: str, piece: str) -> Markup:
    if kind == "escape":
        names = ", ".join(unicodedata.name(c, f"U+{ord(c):04X}").lower() for c in piece[:_NAMES])
        return Markup('<span class="escape" title="{}">{}</span>').format(names, plain(piece))
    if kind == "odd":
        names = ", ".join(unicodedata.name(c).lower() for c in piece[:_NAMES])
        return Markup('<span class="odd" title="{}">{}</span>').format(names, piece)
    if kind == "rtl":
        return Markup('<bdi dir="rtl">{}</bdi>').format(piece)
    return escape(piece)


def highlighted(text: str, language: Language) -> Markup:
    """`text` as markup, in colour where a lexer knows it."""
    kinds = classes_of(text, language)
    if not kinds:
        return marked(text)
    parts: list[Markup] = []
    at = 0
    for kind, run in groupby(kinds):
        end = at + len(list(run))
        piece = marked(text[at:end])
        plain = kind in ("", "redacted")
        parts.append(piece if plain else Markup('<span class="{}">{}</span>').format(f"tok-{kind}", piece))
        at = end
    return Markup("").join(parts)
